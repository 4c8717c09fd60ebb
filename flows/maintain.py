"""The flow `maintain`: retention, then a look at the health of the pipeline, once a day."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from ingest.broker import Broker, PartitionLag
from ingest.broker.embedded import EmbeddedBroker
from ingest.cli.common import Session
from ingest.records import format_time
from ingest.settings import Retention, Settings
from ingest.storage import FeedState, Store
from models.errors import ConflictwireError

ARTIFACT = "conflictwire-health"
DAY = timedelta(days=1)
# A feed that fails once is the network's weather; one that has failed this often in a row wants a person.
FAILING = 3


@flow(name="maintain", persist_result=False, retries=2, retry_delay_seconds=300)
def maintain() -> State[Any]:
    """Empty texts, forget notes and prune the embedded log as `retention.*` says; make the next months' partitions.

    Then report lag, dead letters and failing feeds.

    The report is the artifact `conflictwire-health`; the run ends Failed when a server cannot be reached.
    """
    session = Session()
    now = datetime.now(UTC)
    try:
        with session.store() as store, session.broker() as broker:
            retention = session.settings.retention
            texts = drop_texts(store, retention, now)
            notes = forget(store, broker, session.settings, now)
            records = prune_log(broker, retention, now)
            tend(store, now)
            rows = report_health(store, broker, session, now)
    except ConflictwireError as error:
        return Failed(message=str(error))
    done = f"{texts} texts emptied, {notes} notes forgotten, {records} records pruned"
    return Completed(message=f"{done}; {len(rows)} things to look at")


@task(cache_policy=NO_CACHE, persist_result=False)
def drop_texts(store: Store, retention: Retention, now: datetime) -> int:
    """Empty the texts of articles older than `retention.article_text` days; events stay. Returns how many."""
    return store.drop_texts(now - retention.article_text * DAY) if retention.article_text else 0


@task(cache_policy=NO_CACHE, persist_result=False)
def forget(store: Store, broker: Broker, settings: Settings, now: datetime) -> int:
    """Delete decisions, the puller's notes and aliases that have served their time (docs/retention.md). Returns how many."""
    retention, count = settings.retention, 0
    if retention.codings:
        for part in broker.lag(settings.topics.articles, settings.group):
            # What the group has not read past can be delivered again, and must be answered as before.
            before = now - retention.codings * DAY
            count += store.forget_codings(part.topic, part.partition, part.committed, before)
    if retention.known:
        count += store.forget_known(now - retention.known * DAY)
    if retention.aliases:
        count += store.forget_aliases(now - retention.aliases * DAY)
    return count


@task(cache_policy=NO_CACHE, persist_result=False)
def tend(store: Store, now: datetime) -> None:
    """Make the partitions of the months to come, and refresh the database's statistics."""
    made = store.tend(now)
    if made:
        get_run_logger().info("partitions of %d months made", made)


@task(cache_policy=NO_CACHE, persist_result=False)
def prune_log(broker: Broker, retention: Retention, now: datetime) -> int:
    """Drop records older than `retention.embedded_log` days. Kafka has retention of its own: nothing is done there."""
    if not retention.embedded_log or not isinstance(broker, EmbeddedBroker):
        return 0
    return broker.prune(now - retention.embedded_log * DAY)


@task(cache_policy=NO_CACHE, persist_result=False)
def report_health(store: Store, broker: Broker, session: Session, now: datetime) -> list[dict[str, Any]]:
    """Write the health artifact; returns its rows."""
    topics = session.settings.topics
    lag = broker.lag(topics.articles, session.settings.group)
    dead = count_since(broker, topics.dead, now - DAY)
    rows = health(lag, dead, store.feed_states())
    counts = store.counts()
    behind = sum(partition.lag for partition in lag)
    create_table_artifact(
        rows,
        key=ARTIFACT,
        description=f"{counts.articles} articles, {counts.events} events, {counts.feeds} feeds;"
        f" lag {behind} records; {dead} dead letters in 24 hours",
    )
    get_run_logger().info("lag %d, dead letters %d, findings %d", behind, dead, len(rows))
    return rows


def count_since(broker: Broker, topic: str, since: datetime) -> int:
    """Records of `topic` published at or after `since`."""
    reader = broker.reader(topic, start=int(since.timestamp() * 1000))
    try:
        count = 0
        while not reader.at_end():
            count += len(reader.poll(max_records=500, timeout=1.0))
        return count
    finally:
        reader.close()


def health(lag: Sequence[PartitionLag], dead: int, feeds: Mapping[str, FeedState]) -> list[dict[str, Any]]:
    """What a person should look at, the pipeline first, then feeds by how long they have failed."""
    rows = [
        {"what": "lag", "where": f"{part.topic}/{part.partition}", "count": part.lag, "detail": "records not yet coded"}
        for part in lag
        if part.lag
    ]
    if dead:
        rows.append({"what": "dead letters", "where": "", "count": dead, "detail": "see `conflictwire dead list`"})
    return rows + [_feed_row(state) for state in _troubled(feeds.values())]


def _troubled(states: Iterable[FeedState]) -> list[FeedState]:
    found = [state for state in states if state.disabled or state.failures >= FAILING]
    return sorted(found, key=lambda state: (-state.failures, state.name))


def _feed_row(state: FeedState) -> dict[str, Any]:
    since = f"last read {format_time(state.last_success)}" if state.last_success else "never read"
    return {
        "what": "feed disabled" if state.disabled else "feed failing",
        "where": state.name,
        "count": state.failures,
        "detail": f"{state.last_error or 'no error given'}; {since}",
    }
