"""The flow `pull-feeds`: pulls the feeds that are due, one task run a feed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from typing import Any

from prefect import flow, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.states import Completed, Failed
from prefect.tasks import Task

from ingest.cli.common import Session
from ingest.errors import CatalogError, ServerUnreachable
from ingest.feeds.catalog import Feed, catalog_in_force
from ingest.feeds.pull import Puller, PullResult
from ingest.log import mask
from ingest.storage import FeedState
from models.errors import ConflictwireError

ARTIFACT = "conflictwire-pull"
# Rows of the artifact; failures come first. The description always counts all feeds.
MAX_ROWS = 1000
# What may be over in seconds. Anything else (a status such as 503, no feed, too slow to parse) waits for the feed's next
# turn: a server in trouble is not helped by asking again at once.
TRANSIENT = frozenset({"dns", "connect", "timeout"})
# Seconds before the second and the third attempt.
RETRY_DELAYS = (5.0, 20.0)


# One that hangs would hold the place of all that follow. No retries: the next run is due in minutes, each feed that a
# connection broke for has been tried again by its task, and a second attempt would find no feed due and call it well.
@flow(name="pull-feeds", persist_result=False, timeout_seconds=3600)
async def pull_feeds(feeds: str | None = None, names: Sequence[str] = (), force: bool = False) -> State[Any]:
    """Pull the feeds that are due and publish their new articles; what became of each is in the artifact.

    `feeds` is a catalogue file instead of the one in force, `names` pulls only the feeds called so, `force` pulls them
    whether due or not. Ends Failed when every feed that was pulled failed, or a server cannot be reached.
    """
    results: list[PullResult] = []
    trouble = None
    try:
        session = Session({"feeds": feeds})
        wanted = chosen(catalog_in_force(session.settings), names)
        with session.store() as store, session.broker() as broker, closing(broker.producer()) as producer:
            async with TaskPuller(store, producer, session.settings) as puller:
                await puller.pull_all(wanted, on_result=results.append, force=force)
    except ConflictwireError as error:
        trouble = mask(str(error))
    await acreate_table_artifact(rows(results), key=ARTIFACT, description=summary(results))
    return verdict(results, trouble)


class TaskPuller(Puller):
    """Pulls each feed as a task run of its own; connections, limits a host and parsers are shared by all."""

    async def pull(self, feed: Feed, state: FeedState) -> PullResult:
        """Pull one feed; the last attempt's result. Raises ServerUnreachable."""
        outcome: PullResult | ServerUnreachable | None = None

        async def attempt() -> PullResult | ServerUnreachable:
            nonlocal outcome
            try:
                # Each attempt starts from the same state, so all of them count as one failure in the feed's schedule.
                outcome = await super(TaskPuller, self).pull(feed, state)
            except ServerUnreachable as error:
                outcome = error
            return outcome

        await pull_feed(feed.name, attempt)
        if isinstance(outcome, ServerUnreachable):
            raise outcome
        assert outcome is not None
        return outcome


_UNREACHABLE = "Unreachable"


def _worth_another(_: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    return state.name == _UNREACHABLE and run.run_count <= len(RETRY_DELAYS)


@task(
    task_run_name="{name}",
    cache_policy=NO_CACHE,
    persist_result=False,
    # One more than there will be: Prefect logs a stack trace, though there is none, when it has run out of retries.
    retries=len(RETRY_DELAYS) + 1,
    retry_delay_seconds=list(RETRY_DELAYS),
    retry_condition_fn=_worth_another,
)
async def pull_feed(name: str, attempt: Callable[[], Awaitable[PullResult | ServerUnreachable]]) -> Any:
    """One feed. A failure is returned as a state, as an exception would be shown with its stack trace."""
    result = await attempt()
    if isinstance(result, ServerUnreachable):
        return Failed(message=mask(str(result)))
    if result.status == "failed":
        name = _UNREACHABLE if result.error_kind in TRANSIENT else "Failed"
        return Failed(name=name, message=mask(result.error or "no reason given"))
    return Completed(message=f"{result.status}: {result.new} new, {result.updated} updated")


def chosen(feeds: Sequence[Feed], names: Sequence[str]) -> list[Feed]:
    """Those of `feeds` that are called by `names`, all where there are none. Raises CatalogError for an unknown name."""
    unknown = set(names) - {feed.name for feed in feeds}
    if unknown:
        raise CatalogError(f"no feed is called {min(unknown)!r}; `conflictwire feeds list` shows the names")
    return [feed for feed in feeds if not names or feed.name in names]


def rows(results: Sequence[PullResult]) -> list[dict[str, Any]]:
    """A row a feed that failed or had news, failures first; feeds without news are only counted in the summary."""
    told = [result for result in results if result.status == "failed" or result.new or result.updated]
    told.sort(key=lambda result: (result.status != "failed", result.feed))
    return [
        {
            "feed": result.feed,
            "status": result.status,
            "new": result.new,
            "updated": result.updated,
            "entries": result.entries,
            "seconds": round(result.seconds, 2),
            "kind": result.error_kind or "",
            "reason": mask(result.error or ""),
        }
        for result in told[:MAX_ROWS]
    ]


def summary(results: Sequence[PullResult]) -> str:
    """The run in one line, such as `3 feeds pulled: 12 new and 0 updated articles; 1 failed, 57 not due`."""
    counts = Counter(result.status for result in results)
    new, updated = (sum(getattr(result, name) for result in results) for name in ("new", "updated"))
    rest = [
        f"{counts[status]} {status.replace('_', ' ')}"
        for status in ("failed", "unchanged", "not_due", "disabled")
        if counts[status]
    ]
    pulled = f"{_pulled(results)} feeds pulled: {new} new and {updated} updated articles"
    return "; ".join(filter(None, (pulled, ", ".join(rest))))


def verdict(results: Sequence[PullResult], trouble: str | None) -> State[Any]:
    """How the flow run ends. Some feed is always failing, which is no alarm; all of them at once is."""
    failed = [result for result in results if result.status == "failed"]
    if trouble is not None:
        return Failed(message=trouble)
    if failed and len(failed) == _pulled(results):
        kind, count = Counter(result.error_kind for result in failed).most_common(1)[0]
        return Failed(message=f"all {len(failed)} feeds that were due failed, {count} by {kind}")
    return Completed(message=summary(results))


def _pulled(results: Sequence[PullResult]) -> int:
    return sum(result.status in ("ok", "unchanged", "failed") for result in results)
