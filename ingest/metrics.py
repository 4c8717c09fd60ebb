"""What is counted and measured, for Prometheus: every metric stands here, and in the table of docs/observability.md.

No label holds what a feed says: feeds, articles and URLs are without number. Publishers, whose number the catalogue
bounds, are the finest that there is.
"""

from __future__ import annotations

import os
import time
from collections import Counter as Tally
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from ingest.broker import PartitionLag

if TYPE_CHECKING:
    from ingest.feeds.catalog import Feed
    from ingest.feeds.pull import PullResult
    from ingest.incidents import KeptBatch
    from ingest.storage import Alert, FeedState, Waiting
    from ingest.worker import Batch

SEAT = "_CONFLICTWIRE_SEAT"
"""In the environment of one worker of several: the name of its files in PROMETHEUS_MULTIPROC_DIR.

Not its pid, so that a worker started in the place of a dead one goes on with its files, and their number stays.
"""
if seat := os.environ.get(SEAT):
    values.ValueClass = values.MultiProcessValue(lambda: seat)  # type: ignore[no-untyped-call]

FAILING = 3
"""Failures in a row from which on a feed counts as failing."""

REGISTRY = CollectorRegistry()
"""What each process that works counts; of several workers the sum is served."""
WATCHED = CollectorRegistry()
"""What is asked of broker and store now and then by the one process that serves the metrics."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

ARTICLES = Counter(
    "conflictwire_articles", "Articles read, by what became of them.", ["outcome", "reason"], registry=REGISTRY
)
EVENTS = Counter(
    "conflictwire_events", "Event revisions stored and published.", ["type", "status", "quad"], registry=REGISTRY
)
DEAD = Counter("conflictwire_dead_letters", "Dead letters published.", ["stage", "exception"], registry=REGISTRY)
CODING = Histogram(
    "conflictwire_coding_seconds",
    "Coding of one article: the time of its batch, shared evenly.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
BATCH_CODING = Histogram(
    "conflictwire_batch_coding_seconds", "Coding of one batch.", buckets=_SECONDS, registry=REGISTRY
)
STORE = Histogram(
    "conflictwire_store_seconds", "The store's transaction for one batch.", buckets=_SECONDS, registry=REGISTRY
)
PUBLISH = Histogram(
    "conflictwire_publish_seconds", "The broker's transaction for one batch.", buckets=_SECONDS, registry=REGISTRY
)
RETRIES = Counter("conflictwire_retries", "Waits for a server that did not answer.", registry=REGISTRY)
FENCED = Counter("conflictwire_fenced", "Batches dropped, as their partitions had moved.", registry=REGISTRY)
PULLS = Counter("conflictwire_pulls", "Pulls of feeds, by outcome.", ["outcome", "kind"], registry=REGISTRY)
ENTRIES = Counter("conflictwire_entries", "Articles published by the puller.", ["change"], registry=REGISTRY)
NEWEST = Gauge(
    "conflictwire_newest_article_timestamp_seconds",
    "When the newest article coded was fetched, since 1970.",
    ["topic"],
    registry=REGISTRY,
    multiprocess_mode="max",
)
PROGRESS = Gauge(
    "conflictwire_progress_timestamp_seconds",
    "When the slowest process of the role last got on, since 1970.",
    ["role"],
    registry=REGISTRY,
    multiprocess_mode="livemin",
)
JOINED = Gauge(
    "conflictwire_workers_joined",
    "Workers that are members of the group.",
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
INCIDENTS = Counter(
    "conflictwire_incidents", "Incident revisions stored and published.", ["kind", "status"], registry=REGISTRY
)
KEEPING = Histogram(
    "conflictwire_keeping_seconds",
    "Deciding, storing and publishing one batch of events for incidents.",
    buckets=_SECONDS,
    registry=REGISTRY,
)
OPEN = Gauge(
    "conflictwire_incidents_open",
    "Incidents that further reports can join.",
    ["status"],
    registry=REGISTRY,
    multiprocess_mode="livesum",
)
DELIVERIES = Counter(
    "conflictwire_alert_deliveries",
    "Attempts to send messages of alerts, by what came of them.",
    ["channel", "result"],
    registry=REGISTRY,
)
DELIVERIES_WAITING = Gauge(
    "conflictwire_alert_deliveries_waiting",
    "Messages of alerts that wait to be sent.",
    ["channel"],
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
DELIVERIES_OLDEST = Gauge(
    "conflictwire_alert_oldest_waiting_seconds",
    "Age of the message that waits for longest.",
    ["channel"],
    registry=REGISTRY,
    multiprocess_mode="livemax",
)
LAG = Gauge("conflictwire_consumer_lag", "Records the group has yet to read.", ["topic", "partition"], registry=WATCHED)
KEEPER_LAG = Gauge(
    "conflictwire_keeper_lag", "Events that the keeper of incidents has yet to read.", ["partition"], registry=WATCHED
)
FEEDS = Gauge("conflictwire_feeds", "Feeds of the catalogue.", ["publisher", "state"], registry=WATCHED)
DEATHS = Counter(
    "conflictwire_worker_deaths", "Workers of several that died and were replaced.", ["cause"], registry=WATCHED
)
BUILD = Gauge("conflictwire_build_info", "Always 1.", ["version", "model"], registry=WATCHED)

_newest = 0.0


def progress(role: str) -> None:
    """Note that this process got on: read, coded, waited for a server that does not answer."""
    PROGRESS.labels(role).set(time.time())


def batch_done(batch: Batch, topic: str) -> None:
    """Count a committed batch of articles from `topic`."""
    global _newest
    coded = len(batch.articles) - batch.not_coded.total()
    ARTICLES.labels("coded", "").inc(coded)
    for reason, number in batch.not_coded.items():
        ARTICLES.labels("not_coded", reason).inc(number)
    for letter in batch.dead:
        ARTICLES.labels("dead", letter.failure.stage).inc()
        DEAD.labels(letter.failure.stage, letter.failure.exception).inc()
    for (type_, status, quad), number in Tally((e.type, e.status, e.quad) for e in batch.events).items():
        EVENTS.labels(type_, status, quad).inc(number)
    if batch.records:
        BATCH_CODING.observe(batch.coding_seconds)
        STORE.observe(batch.store_seconds)
        PUBLISH.observe(batch.publish_seconds)
    for _ in batch.articles:
        CODING.observe(batch.coding_seconds / batch.records)
    newest = max((article.fetched.timestamp() for article in batch.articles), default=0.0)
    if newest > _newest:
        _newest = newest
        NEWEST.labels(topic).set(newest)


def kept(batch: KeptBatch) -> None:
    """Count a committed batch of events."""
    for (kind, status), number in Tally((record.kind, record.status) for record in batch.made).items():
        INCIDENTS.labels(kind, status).inc(number)
    KEEPING.observe(batch.seconds)


def watch_open(statuses: Tally[str]) -> None:
    """Set how many incidents of each status are open."""
    for status in ("single_source", "corroborated", "contradicted"):
        OPEN.labels(status).set(statuses[status])


def watch_deliveries(alerts: Iterable[Alert], waiting: Iterable[Waiting], now: datetime) -> None:
    """Set how many messages of each channel wait, and for how long; those of paused alerts are left out."""
    channels = {alert.alert_id: alert.channel for alert in alerts if not alert.paused}
    numbers: Tally[str] = Tally()
    ages: dict[str, float] = {}
    for each in waiting:
        if channel := channels.get(each.alert_id):
            numbers[channel] += each.number
            ages[channel] = max(ages.get(channel, 0.0), (now - each.oldest).total_seconds())
    for name in ("webhook", "email"):
        DELIVERIES_WAITING.labels(name).set(numbers[name])
        DELIVERIES_OLDEST.labels(name).set(ages.get(name, 0.0))
        # There from the beginning, so that Prometheus sees the first one as an increase.
        for result in ("sent", "failed", "refused", "gave_up"):
            DELIVERIES.labels(name, result)


def pulled(result: PullResult) -> None:
    """Count the pull of a feed; those not due are none."""
    if result.status in ("not_due", "disabled"):
        return
    PULLS.labels(result.status, result.error_kind or "").inc()
    ENTRIES.labels("new").inc(result.new)
    ENTRIES.labels("updated").inc(result.updated)


def state_of(feed: Feed, state: FeedState | None) -> str:
    """The health of a feed: off (in the catalogue), disabled (it is gone), failing, unread, or ok."""
    if not feed.enabled:
        return "off"
    if state is None:
        return "unread"
    if state.disabled:
        return "disabled"
    if state.failures >= FAILING:
        return "failing"
    return "ok" if state.last_success else "unread"


def watch_feeds(feeds: Iterable[Feed], states: dict[str, FeedState]) -> None:
    """Set how many feeds of each publisher are in which state."""
    counts = Tally((feed.publisher or feed.name, state_of(feed, states.get(feed.name))) for feed in feeds)
    FEEDS.clear()
    for (publisher, state), number in counts.items():
        FEEDS.labels(publisher, state).set(number)


def watch_lag(lags: Iterable[PartitionLag]) -> None:
    """Set the lag of each partition."""
    for lag in lags:
        LAG.labels(lag.topic, str(lag.partition)).set(lag.lag)


def watch_keeper_lag(lags: Iterable[PartitionLag]) -> None:
    """Set how far the keeper is behind in each partition."""
    for lag in lags:
        KEEPER_LAG.labels(str(lag.partition)).set(lag.lag)
