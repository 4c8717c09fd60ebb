"""The keeper: event records in, incident records out, each exactly once.

    poll ─► merge ─► decide (models.incidents) ─► store (database commit) ─► publish and mark as read (one broker transaction)

The store remembers with each batch where its events were read, until its records are published. After a death between the two
commits these are published first, as they were decided; events that were kept before make nothing when they are delivered
again (docs/decisions/0002-exactly-once.md). What is in memory can be made anew from the store at any time: after a restart,
and when a batch could not be stored.

One keeper works at a time, as what an event joins depends on those before it. Another one waits for the lock in the store.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain, islice, repeat
from operator import itemgetter
from urllib.parse import urlsplit

from ingest import metrics, tracing
from ingest.broker import Broker, Consumer, Outgoing, Record, open_broker
from ingest.errors import Fenced, RecordError, RecordTooLarge, ServerUnreachable, StoreRejected
from ingest.feeds.urls import registrable_domain
from ingest.processes import open_store, stopping
from ingest.records import EventRecord, IncidentRecord, parse_event
from ingest.settings import Settings
from ingest.storage import KeeperState, Kept, Place, Store
from ingest.worker import End, Retry, attended, parts
from models.errors import ConflictwireError
from models.incidents import Incidents, Told

log = logging.getLogger(__name__)

# Event records put in the order of their coding before they are decided, and their bytes: in a replay, when partitions
# are read one after the other, this is how far they run ahead of each other.
READ_AHEAD = 2_000
READ_AHEAD_BYTES = 8_000_000
_POLL_SECONDS = 0.5
# Seconds between looks whether the keeper at work has gone.
WAIT_SECONDS = 2.0
# Seconds between counts of the open incidents.
_COUNT_SECONDS = 10.0
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class KeptBatch:
    """What one transaction brought: event records read, and the incident records published. Seconds for both."""

    events: int
    made: tuple[IncidentRecord, ...]
    seconds: float


@dataclass(slots=True)
class KeeperStats:
    """What a keeper did. `fenced` counts batches dropped as another keeper was at work, `retries` waits for a server."""

    events: int = 0
    made: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    fenced: int = 0
    retries: int = 0


# --- decisions ---


def in_order(read: Iterable[tuple[Record, EventRecord | None]]) -> list[tuple[Record, EventRecord | None]]:
    """Records with their events in the order of coding, as far as each partition's own order, which stays, allows.

    What is no event follows the one before it.
    """
    latest: dict[int, datetime] = {}
    keyed = []
    for record, event in read:
        time = latest.get(record.partition, _BEFORE_ALL)
        if event is not None:
            time = latest[record.partition] = max(time, event.coded)
        keyed.append(((time, record.partition, record.offset), (record, event)))
    return [pair for _, pair in sorted(keyed, key=itemgetter(0))]


def publisher_of(url: str, feed: str) -> str:
    """Who publishes at that address: the registrable domain of its host; the feed where it has none."""
    try:
        host = urlsplit(url).hostname
    except ValueError:
        host = None
    return registrable_domain(host) if host else feed


def told(event: EventRecord, clock: datetime) -> Told:
    """What `Incidents` is told of an event that arrives when the latest so far was coded at `clock`.

    Never earlier than the others: where partitions run ahead of each other, incidents grow old by the one ahead, and what
    is left alone for longest stays first, so that a restart finds the order again.
    """
    article = event.article
    return Told(
        event.event_id,
        event.revision,
        event.status,
        article.article_id,
        article.revision,
        publisher_of(article.url, article.feed),
        article.syndication_id or article.article_id,
        article.published or event.coded,
        clock,
        event,
    )


def told_before(record: IncidentRecord, events: Iterable[EventRecord]) -> list[Told]:
    """The reports of an incident as they were told when they joined it."""
    reports = {report.event_id: report for report in record.reports}
    return [
        replace(
            told(event, record.changed),
            published=reports[event.event_id].published,
            publisher=reports[event.event_id].publisher,
        )
        for event in events
    ]


class Keeper:
    """The open incidents in memory, and how far they are. `sound` until an error may have left them ahead of the store."""

    def __init__(self, store: Store) -> None:
        """Read what was open from the store. Raises StoreUnavailable."""
        self.sound = True
        self._store = store
        self._state = store.keeper()
        self._incidents = Incidents()
        for record, events in store.open_incidents():
            self._incidents.admit(record.incident(), told_before(record, events))

    def __len__(self) -> int:
        """How many incidents are open."""
        return len(self._incidents)

    def statuses(self) -> Counter[str]:
        """How many incidents are open, by status."""
        return Counter(record.status for record in self._incidents.records())

    @property
    def unpublished(self) -> tuple[Place, ...]:
        """Where the events were read whose records were stored last, until `published` is called; then none."""
        return self._state.unpublished

    def made(self) -> list[tuple[IncidentRecord, ...]]:
        """The records that each of the `unpublished` made. Raises StoreUnavailable."""
        numbers = [place.number for place in self.unpublished]
        found = self._store.made_of(numbers[0], numbers[-1])
        return [tuple(found[number]) for number in numbers]

    def published(self) -> None:
        """Note that nothing is `unpublished` any more. Raises as `keep` does."""
        after = replace(self._state, unpublished=())
        with self._doubted():
            self._store.move_keeper(self._state, after)
        self._state = after

    @contextmanager
    def _doubted(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.sound = False
            raise

    def keep(
        self, events: Sequence[EventRecord | None], records: Sequence[Record] = ()
    ) -> list[tuple[IncidentRecord, ...]]:
        """Decide and store the first of the events, or all; for each of those the records to publish.

        One transaction: it ends early where an event needs what those before it have not stored yet. An event revision
        that was kept before, or None (no event), gives nothing. `records` are those in which the events were read; without
        them nothing is remembered as `unpublished`.
        Raises Fenced where another keeper is at work, StoreUnavailable, StoreRejected; then it is no longer `sound`.
        """
        with self._doubted():
            return self._keep(events, records)

    def _keep(
        self, events: Sequence[EventRecord | None], records: Sequence[Record]
    ) -> list[tuple[IncidentRecord, ...]]:
        known = self._store.kept_events(event.event_id for event in events if event)
        answers: list[tuple[IncidentRecord, ...]] = []
        kept: list[Kept] = []
        places: list[Place] = []
        revisions = {name: each.revision for name, each in known.items()}
        # Incidents that this batch has changed, and the events in them: of these the store does not know yet.
        changed: set[str] = set()
        clock = self._state.clock
        for event, record in zip(events, records or repeat(None), strict=False):
            if event is None or event.revision <= revisions.get(event.event_id, 0):
                answers.append(())
                continue
            now = max(clock, event.coded) if clock else event.coded
            if event.event_id in revisions and self._incidents.home(event.event_id) is None:
                home = known[event.event_id].incident_id if event.event_id in known else None
                if event.event_id in changed or home in changed:
                    break
                if home is not None:
                    self._admit(home, event.event_id, now)
            clock = now
            made = tuple(map(IncidentRecord.of, self._incidents.observe(told(event, clock))))
            for each in made:
                changed.add(each.incident_id)
                changed.update(report.event_id for report in each.reports)
            changed.add(event.event_id)
            revisions[event.event_id] = event.revision
            kept.append(Kept(event, made))
            answers.append(made)
            if made and record:
                places.append(Place(self._state.number + len(kept), record.partition, record.offset))
        if kept:
            after = KeeperState(self._state.number + len(kept), clock, tuple(places))
            oldest = next(self._incidents.records(), None)
            named = (oldest.incident_id, oldest.revision) if oldest else None
            self._store.keep(kept, self._state, after, named)
            self._state = after
        return answers

    def _admit(self, incident_id: str, event_id: str, clock: datetime) -> None:
        """Open the closed incident again that an event belongs to, of which a new revision comes."""
        found = self._store.incident_with_events(incident_id)
        # Of an incident with many reports the oldest are forgotten: it does not tell of them any more.
        if found and any(report.event_id == event_id for report in found[0].reports):
            record, events = found
            self._incidents.admit(replace(record.incident(), changed=clock), told_before(record, events))


# --- the loop ---


def run_keeper(
    broker: Broker,
    store: Store,
    settings: Settings,
    *,
    once: bool = False,
    stop: threading.Event | None = None,
    on_batch: Callable[[KeptBatch], None] | None = None,
) -> KeeperStats:
    """Keep incidents as the one member of `settings.incidents_group`, until `stop` is set or, with `once`, all is read.

    While another keeper is at work, this one waits to take over; with `once` until that one has read all. A server that
    does not answer is waited for; with `once`, ServerUnreachable is raised after some tries in a row. Raises
    BrokerRejected where a topic or a right is missing. Whatever is raised, nothing is lost or doubled.
    """
    stop = stop or threading.Event()
    return _Loop(broker, store, settings, once, stop, on_batch).run()


class _Loop:
    def __init__(
        self,
        broker: Broker,
        store: Store,
        settings: Settings,
        once: bool,
        stop: threading.Event,
        on_batch: Callable[[KeptBatch], None] | None,
    ) -> None:
        self._broker = broker
        self._store = store
        self._settings = settings
        self._once = once
        self._stop = stop
        self._on_batch = on_batch
        self._stats = KeeperStats()
        self._retry = Retry(once, stop, "keeper")
        self._end = End()
        self._lock = store.keeper_lock()
        self._waiting = False
        self._consumer: Consumer | None = None
        self._keeper: Keeper | None = None
        self._rewound = True
        self._counted = 0.0

    def run(self) -> KeeperStats:
        """See `run_keeper`."""
        try:
            while not self._stop.is_set():
                metrics.progress("keeper")
                try:
                    if not (self._wait() if not self._lock.take() else self._step()):
                        break
                    self._retry.failures = 0
                except Fenced as error:
                    log.warning("batch dropped, as another keeper was at work", extra={"error": str(error)})
                    self._stats.fenced += 1
                    metrics.FENCED.inc()
                    self._rewound = False
                except ServerUnreachable as error:
                    self._rewound = False
                    self._stats.retries += 1
                    self._retry.after(error)
        finally:
            self._leave()
            self._lock.release()
        return self._stats

    def _leave(self) -> None:
        """Be no member any more, and forget what is in memory."""
        consumer, self._consumer = self._consumer, None
        self._keeper = None
        if consumer is not None:
            consumer.close()

    def _lag(self) -> int:
        lags = self._broker.lag(self._settings.topics.events, self._settings.incidents_group)
        return sum(part.lag for part in lags)

    def _wait(self) -> bool:
        """Wait for the keeper at work to go; whether to go on."""
        self._leave()
        if not self._waiting:
            told = {"store": self._store.check().url, "group": self._settings.incidents_group}
            log.warning("another keeper is at work on this store: waiting to take over when it ends", extra=told)
            self._waiting = True
        if self._once and self._end.reached(self._lag(), time.monotonic()):
            log.info("the other keeper has read all")
            return False
        self._stop.wait(WAIT_SECONDS)
        return True

    def _step(self) -> bool:
        """Read, decide, store, publish once; whether to go on."""
        if self._waiting:
            log.warning("took over from the other keeper")
            self._waiting = False
        topics = self._settings.topics
        if self._consumer is None:
            self._broker.ensure_topics(dict.fromkeys((topics.events, topics.incidents), topics.partitions))
            self._consumer = self._broker.consumer([topics.events], self._settings.incidents_group)
        consumer = self._consumer
        if not self._rewound:
            consumer.rewind()
            self._rewound = True
        keeper = self._sound(consumer)
        if keeper.unpublished and not self._make_up(consumer, keeper):
            return True
        records = self._read(consumer)
        if (
            self._once
            and not records
            and consumer.position_at_end()
            and self._end.reached(self._lag(), time.monotonic())
        ):
            return False
        ordered = in_order((record, self._event(record)) for record in records)
        events = iter([event for _, event in ordered])
        for part in parts([record for record, _ in ordered]):
            if not self._work_on(consumer, part, list(islice(events, len(part)))):
                break
        if time.monotonic() - self._counted > _COUNT_SECONDS or self._once:
            self._counted = time.monotonic()
            metrics.watch_open(self._sound(consumer).statuses())
        return True

    def _sound(self, consumer: Consumer) -> Keeper:
        """The keeper, made anew where there is none or its memory may be ahead of the store."""
        if self._keeper is None or not self._keeper.sound:
            began = time.perf_counter()
            self._keeper = attended(lambda: Keeper(self._store), consumer, self._stop)
            seconds = round(time.perf_counter() - began, 3)
            log.info("open incidents read", extra={"incidents": len(self._keeper), "seconds": seconds})
        return self._keeper

    def _make_up(self, consumer: Consumer, keeper: Keeper) -> bool:
        """Publish what was stored and, as a process or a server failed then, may not be published yet; whether that is done.

        It is not until the partitions that the events came from are this member's, and the transactions on them ended.
        """
        began = time.perf_counter()
        topics = self._settings.topics
        ends = {part.partition: part.end for part in self._broker.lag(topics.events, self._settings.incidents_group)}
        places = keeper.unpublished
        if any(place.offset >= ends.get(place.partition, 0) for place in places):
            log.error("not published, only stored, as the topic was made anew", extra={"topic": topics.events})
            keeper.published()
            return True
        consumer.poll(1, _POLL_SECONDS)  # to join the group; what it brings comes again
        read = [Record(topics.events, place.partition, place.offset, None, b"") for place in places]
        left = consumer.reclaim(read)
        if left is None:
            return False
        made = zip(read, attended(keeper.made, consumer, self._stop), strict=True)
        answers = [answer for record, answer in made if record in left]
        if left:
            self._publish(consumer, left, answers)
        consumer.rewind()
        keeper.published()
        if left:
            log.info("published what was stored before", extra={"events": len(left)})
            self._done(KeptBatch(0, tuple(chain.from_iterable(answers)), time.perf_counter() - began))
        return True

    def _read(self, consumer: Consumer) -> list[Record]:
        """What there is to read, up to a limit."""
        records = consumer.poll(READ_AHEAD, _POLL_SECONDS)
        size = sum(len(record.value) for record in records)
        while 0 < len(records) < READ_AHEAD and size < READ_AHEAD_BYTES:
            more = consumer.poll(READ_AHEAD - len(records), 0.0)
            if not more:
                break
            records += more
            size += sum(len(record.value) for record in more)
        return records

    def _event(self, record: Record) -> EventRecord | None:
        try:
            return parse_event(record.value)
        except RecordError as error:
            where = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
            log.warning("passed over what is no event", extra={**where, "error": str(error)})
            self._stats.unreadable += 1
            return None

    def _work_on(self, consumer: Consumer, records: Sequence[Record], events: Sequence[EventRecord | None]) -> bool:
        """Keep all of the records; whether that was so, as `stop` may end it before."""
        done = 0
        while done < len(records):
            if self._stop.is_set():
                return False
            keeper = self._sound(consumer)
            began = time.perf_counter()
            asked, read = events[done:], records[done:]
            try:
                answers = attended(lambda: keeper.keep(asked, read), consumer, self._stop)  # noqa: B023 - at once
            except StoreRejected as error:
                if len(asked) > 1:
                    return self._one_by_one(consumer, read, asked)
                where = {"partition": records[done].partition, "offset": records[done].offset}
                log.error("passed over an event that the store refuses", extra={**where, "error": str(error)})
                answers = [()]
            some = records[done : done + len(answers)]
            self._publish(consumer, some, answers)
            if keeper.unpublished:
                attended(keeper.published, consumer, self._stop)
            done += len(some)
            self._done(KeptBatch(len(some), tuple(chain.from_iterable(answers)), time.perf_counter() - began))
        return True

    def _one_by_one(self, consumer: Consumer, records: Sequence[Record], events: Sequence[EventRecord | None]) -> bool:
        """Find the event that the store refuses."""
        return all(self._work_on(consumer, [record], [event]) for record, event in zip(records, events, strict=True))

    def _publish(
        self, consumer: Consumer, records: Sequence[Record], answers: Sequence[Sequence[IncidentRecord]]
    ) -> None:
        """Publish and mark as read, in parts where something is too large for its topic: that is in the store only."""
        try:
            consumer.commit(records, list(self._outputs(records, answers)))
        except RecordTooLarge as error:
            if len(records) > 1:
                half = len(records) // 2
                self._publish(consumer, records[:half], answers[:half])
                self._publish(consumer, records[half:], answers[half:])
                return
            largest = max(answers[0], key=lambda record: len(record.to_json()))
            name = f"{largest.incident_id}/{largest.revision}"
            log.error("not published, only stored", extra={"incident": name, "error": str(error)})
            self._publish(consumer, records, [tuple(record for record in answers[0] if record is not largest)])

    def _outputs(self, records: Sequence[Record], answers: Sequence[Sequence[IncidentRecord]]) -> Iterator[Outgoing]:
        topic = self._settings.topics.incidents
        for record, made in zip(records, answers, strict=True):
            trace = tracing.carried(record.headers)
            for each in made:
                yield Outgoing(topic, each.incident_id.encode(), each.to_json(), trace)

    def _done(self, batch: KeptBatch) -> None:
        self._stats.events += batch.events
        self._stats.made.update(record.kind for record in batch.made)
        metrics.kept(batch)
        log.info(
            "kept",
            extra={"events": batch.events, "incidents": len(batch.made), "seconds": round(batch.seconds, 4)},
        )
        if self._on_batch:
            self._on_batch(batch)


# --- the process ---


def keep_incidents(
    settings: Settings, *, once: bool = False, on_batch: Callable[[KeptBatch], None] | None = None
) -> int:
    """Keep incidents until a signal or, with `once`, until all is read; returns the exit code for the process."""
    stop = threading.Event()
    with stopping(stop) as stopped:
        try:
            log.info("keeper started", extra={"pid": os.getpid(), "group": settings.incidents_group})
            store = open_store(settings, once, stop, "keeper")
            if store is None:
                return stopped.exit_code
            with closing(store), closing(open_broker(settings)) as broker:
                stats = run_keeper(broker, store, settings, once=once, stop=stop, on_batch=on_batch)
        except ConflictwireError as error:
            log.error("keeper failed", extra={"error": str(error)})
            return error.exit_code
        log.info("keeper ended", extra={"events": stats.events, "incidents": stats.made.total()})
        return stopped.exit_code
