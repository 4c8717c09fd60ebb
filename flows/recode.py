"""The flow `recode`: stored articles are coded again by the workers that run, behind the news and not in front of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed
from pydantic import Field

from ingest.broker import PartitionLag
from ingest.cli.common import Session
from ingest.cli.values import parse_when
from ingest.errors import ServerUnreachable
from ingest.recode import again
from models.errors import ConflictwireError

# Seconds between two looks at the consumer group.
LOOK_EVERY = 2.0
# Seconds without a single article read after which the workers count as gone.
PATIENCE = 900.0


# A second time from the beginning: what is coded twice the same makes no revision.
@flow(name="recode", persist_result=False, retries=1, retry_delay_seconds=300)
def recode(since: str | None = None, backlog: Annotated[int, Field(ge=1)] = 500) -> State[Any]:
    """Publish the articles fetched since `since` (2026-11-01, 30d; all if not given) to the workers once more.

    What they make of it now becomes revisions of the events: run it when the workers have new weights. At most about
    `backlog` articles wait at a time, so that the news is never far behind. Ends Failed when a server cannot be reached
    or no worker reads for 15 minutes.
    """
    session = Session()
    try:
        from_time = parse_when(since, datetime.now(UTC)) if since else None
        published, empty = _publish(session, from_time, backlog)
    except (ConflictwireError, ValueError) as error:
        return Failed(message=" ".join(str(error).split()))
    left = f"; {empty} without a text stay as they are" if empty else ""
    return Completed(message=f"{published} articles coded again{left}")


def _publish(session: Session, since: datetime | None, backlog: int) -> tuple[int, int]:
    log = get_run_logger()
    topics, group = session.settings.topics, session.settings.group
    published = empty = 0
    with session.store() as store, session.broker() as broker, closing(broker.producer()) as producer:

        def lag() -> Sequence[PartitionLag]:
            return broker.lag(topics.articles, group)

        for batch in again(store.articles(), since, topics.articles):
            wait(lag, lambda now: sum(each.lag for each in now) < backlog)
            producer.send(batch.records)
            published += len(batch.records)
            empty += batch.empty
            log.info("%d articles published again", published)
        ends = {each.partition: each.end for each in lag()}
        wait(lag, lambda now: read_up_to(ends, now))
    return published, empty


def read_up_to(ends: Mapping[int, int], now: Sequence[PartitionLag]) -> bool:
    """Whether the group has read each partition up to the offset in `ends`."""
    return all(each.end - each.lag >= ends.get(each.partition, 0) for each in now)


def wait(
    lag: Callable[[], Sequence[PartitionLag]],
    enough: Callable[[Sequence[PartitionLag]], bool],
    patience: float = PATIENCE,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Return when `enough` says so. Raises ServerUnreachable when nothing has been read for `patience` seconds."""
    moved, before = clock(), None
    while not enough(now := lag()):
        read = sum(each.end - each.lag for each in now)
        if read != before:
            moved, before = clock(), read
        elif clock() - moved >= patience:
            waiting = sum(each.lag for each in now)
            raise ServerUnreachable(
                f"{waiting} articles wait and none was read in {patience:g} s: start `conflictwire worker`, then run again"
            )
        pause(LOOK_EVERY)
