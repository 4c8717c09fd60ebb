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
from ingest.settings import Retention
from ingest.storage import FeedState, Store
from models.errors import ConflictwireError

ARTIFACT = "conflictwire-health"
DAY = timedelta(days=1)
# A feed that fails once is the network's weather; one that has failed this often in a row wants a person.
FAILING = 3


@flow(name="maintain", persist_result=False)
def maintain() -> State[Any]:
    """Empty texts and prune the embedded log as `retention.*` says, and report lag, dead letters and failing feeds.

    The report is the artifact `conflictwire-health`; the run ends Failed when a server cannot be reached.
    """
    session = Session()
    now = datetime.now(UTC)
    try:
        with session.store() as store, session.broker() as broker:
            retention = session.settings.retention
            texts = drop_texts(store, retention, now)
            records = prune_log(broker, retention, now)
            rows = report_health(store, broker, session, now)
    except ConflictwireError as error:
        return Failed(message=str(error))
    return Completed(message=f"{texts} texts emptied, {records} records pruned; {len(rows)} things to look at")


@task(cache_policy=NO_CACHE, persist_result=False)
def drop_texts(store: Store, retention: Retention, now: datetime) -> int:
    """Empty the texts of articles older than `retention.article_text` days; events stay. Returns how many."""
    return store.drop_texts(now - retention.article_text * DAY) if retention.article_text else 0


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
