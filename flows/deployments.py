"""The deployments of the flows: when they run, with what limits, and how they reach a Prefect server.

This is the one place for schedules. `conflictwire flows serve` runs them in its own process, `conflictwire flows deploy`
hands them to a work pool, and deploy/prefect.yaml, printed by `python -m flows.deployments`, is the same for
`prefect deploy`.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

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

from flows import alert
from flows.errors import PrefectUnreachable
from flows.export import export
from flows.maintain import maintain
from flows.pull import pull_feeds
from flows.recode import recode
from ingest.log import mask

WORK_POOL = "conflictwire"
# Feeds are due by their own rhythm, five minutes at the shortest; a run in which none is due costs a few seconds.
PULL_EVERY = timedelta(minutes=5)
MAINTAIN_AT = "17 3 * * *"
EXPORT_AT = "40 0 * * *"

# A fixed anchor, so that deploying again changes nothing and runs keep to the clock.
_ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)
# A run that would overlap another is cancelled, not queued: the next one is never far.
_ALONE = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
# Runs for many days or asked for by hand wait for each other, none is dropped.
_QUEUED = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)


def deployments(pull_every: timedelta = PULL_EVERY) -> list[RunnerDeployment]:
    """The deployments, not yet applied. Their flows are found by module, so the package must be installed where they run."""
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
        # On no schedule: after workers have got new weights.
        RunnerDeployment.from_flow(
            recode,
            "recode",
            concurrency_limit=_QUEUED,
            parameters={"since": None, "backlog": 500},
            tags=["conflictwire", "recode"],
            entrypoint_type=EntrypointType.MODULE_PATH,
        ),
        RunnerDeployment.from_flow(
            export,
            "export",
            schedule=Cron(EXPORT_AT, timezone="UTC"),
            concurrency_limit=_QUEUED,
            parameters={"format": "csv", "day": None, "folder": None},
            tags=["conflictwire", "export"],
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
    """Apply the deployments and run them here on schedule, each run a process of its own, until interrupted.

    Raises PrefectUnreachable.
    """
    require_api()
    served = deployments(pull_every)
    _keep_pauses(served)
    # Schedules go on while nobody serves: the runs missed show as late, which is what an operator wants to be told.
    prefect.serve(*served, pause_on_shutdown=False, print_starting_message=False)


def deploy(work_pool: str = WORK_POOL, pull_every: timedelta = PULL_EVERY, alert_url: str | None = None) -> list[str]:
    """Apply the deployments to `work_pool`, created with type process where it is missing; returns their full names.

    A pull run that fails or is late is told to `alert_url` (see `flows.alert`). Raises PrefectUnreachable.
    """
    require_api()
    with get_client(sync_client=True) as client, suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(name=work_pool, type="process"))
    wanted = deployments(pull_every)
    _keep_pauses(wanted)
    for deployment in wanted:
        applied: Any = deployment.apply(work_pool_name=work_pool)
        if deployment.name == "pull":
            alert.apply(applied, alert_url)
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
# `conflictwire flows deploy` does the first two steps in one, and sets up the alert.
# Settings reach the flows by the worker's environment.
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
        "concurrency_limit": _limit_of(deployment),
        "parameters": deployment.parameters,
        "work_pool": {"name": work_pool},
    }


def _limit_of(deployment: RunnerDeployment) -> dict[str, object]:
    options = deployment.concurrency_options
    assert options is not None
    return {"limit": deployment.concurrency_limit, "collision_strategy": options.collision_strategy.value}


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
