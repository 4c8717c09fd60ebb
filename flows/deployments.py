"""The deployments of both flows: when they run, with what limits, and how they reach a Prefect server.

This is the one place for schedules. `conflictwire flows serve` runs them in its own process, `conflictwire flows deploy`
hands them to a work pool, and deploy/prefect.yaml, printed by `python -m flows.deployments`, is the same for
`prefect deploy`.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import prefect
import yaml
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.schedules import Cron, Interval
from prefect.settings import get_current_settings
from prefect.types.entrypoint import EntrypointType

from flows.errors import PrefectUnreachable
from flows.maintain import maintain
from flows.pull import pull_feeds
from ingest.log import mask

WORK_POOL = "conflictwire"
# Feeds are due by their own rhythm, five minutes at the shortest; a run in which none is due costs a few seconds.
PULL_EVERY = timedelta(minutes=5)
MAINTAIN_AT = "17 3 * * *"

# A fixed anchor, so that deploying again changes nothing and runs keep to the clock.
_ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
# A run that would overlap another is cancelled, not queued: the next one is never far.
_ALONE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)


def deployments(pull_every: timedelta = PULL_EVERY) -> list[RunnerDeployment]:
    """Both deployments, not yet applied. Their flows are found by module, so the package must be installed where they run."""
    return [
        RunnerDeployment.from_flow(
            pull_feeds,
            "pull",
            schedule=Interval(pull_every, anchor_date=_ANCHOR, timezone="UTC"),
            concurrency_limit=_ALONE,
            parameters={"feeds": None, "names": [], "force": False},
            tags=["conflictwire", "pull"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        RunnerDeployment.from_flow(
            maintain,
            "maintain",
            schedule=Cron(MAINTAIN_AT, timezone="UTC"),
            concurrency_limit=_ALONE,
            tags=["conflictwire", "maintain"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
    ]


def require_api() -> str:
    """The address of the Prefect API, which has answered. Raises PrefectUnreachable."""
    url = get_current_settings().api.url
    if not url:
        raise PrefectUnreachable(
            "no Prefect API is set: start one with `prefect server start`, then set"
            " PREFECT_API_URL=http://127.0.0.1:4200/api"
        )
    with get_client(sync_client=True) as client:
        error = client.api_healthcheck()
    if error is not None:
        raise PrefectUnreachable(
            f"the Prefect API at {mask(url)} does not answer ({error or type(error).__name__}):"
            " start it with `prefect server start`, or correct PREFECT_API_URL"
        )
    return url


def serve(pull_every: timedelta = PULL_EVERY) -> None:
    """Apply both deployments and run them here on schedule, each run a process of its own, until interrupted.

    Raises PrefectUnreachable.
    """
    require_api()
    served = deployments(pull_every)
    _keep_pauses(served)
    # Schedules go on while nobody serves: the runs missed show as late, which is what an operator wants to be told.
    prefect.serve(*served, pause_on_shutdown=False, print_starting_message=False)


def deploy(work_pool: str = WORK_POOL, pull_every: timedelta = PULL_EVERY) -> list[str]:
    """Apply both deployments to `work_pool`, created with type process where it is missing; returns their full names.

    Raises PrefectUnreachable.
    """
    require_api()
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=work_pool, type="process"))
    wanted = deployments(pull_every)
    _keep_pauses(wanted)
    for deployment in wanted:
        deployment.apply(work_pool_name=work_pool)
    return [deployment.full_name for deployment in wanted]


def _keep_pauses(wanted: list[RunnerDeployment]) -> None:
    """Applying a deployment would start one again that an operator has paused, be it itself or its schedules."""
    with get_client(sync_client=True) as client:
        for deployment in wanted:
            try:
                there = client.read_deployment_by_name(deployment.full_name)
            except ObjectNotFound:
                continue
            deployment.paused = there.paused
            if there.schedules and not any(schedule.active for schedule in there.schedules):
                deployment.schedules = [
                    planned.model_copy(update={"active": False}) for planned in deployment.schedules or []
                ]


_HEADER = """\
# Printed by `python -m flows.deployments`; change flows/deployments.py instead.
# Needs the work pool (`prefect work-pool create conflictwire --type process`), then:
#     prefect deploy --all --prefect-file deploy/prefect.yaml
#     prefect worker start --pool conflictwire
# `conflictwire flows deploy` does both steps in one. Settings reach the flows by the worker's environment.
"""


def prefect_yaml(work_pool: str = WORK_POOL) -> str:
    """The deployments as a file for `prefect deploy`."""
    document = {
        "name": "conflictwire",
        # The flows come with the installed package: there is nothing to build, push or pull.
        "pull": [],
        "deployments": [_yaml_of(deployment, work_pool) for deployment in deployments()],
    }
    return _HEADER + yaml.safe_dump(document, sort_keys=False, width=110)


def _yaml_of(deployment: RunnerDeployment, work_pool: str) -> dict[str, object]:
    return {
        "name": deployment.name,
        "entrypoint": deployment.entrypoint,
        "tags": list(deployment.tags),
        "schedules": [_schedule_of(planned.schedule) for planned in deployment.schedules or []],
        "concurrency_limit": {"limit": _ALONE.limit, "collision_strategy": _ALONE.collision_strategy.value},
        "parameters": deployment.parameters,
        "work_pool": {"name": work_pool},
    }


def _schedule_of(schedule: object) -> dict[str, object]:
    if isinstance(schedule, IntervalSchedule):
        return {
            "interval": int(schedule.interval.total_seconds()),
            "anchor_date": schedule.anchor_date.isoformat(),
            "timezone": schedule.timezone,
        }
    assert isinstance(schedule, CronSchedule)
    return {"cron": schedule.cron, "timezone": schedule.timezone}


if __name__ == "__main__":
    sys.stdout.write(prefect_yaml())
