"""The worker: article records in, event records out, each exactly once.

    poll ─► read ─► code ─► store (database commit) ─► publish and mark as read (one broker transaction)

The store decides once for each place in the log and remembers what it decided, so whatever is killed between its commit
and the broker's, the record is delivered again and gives the same event records again. What a record itself is to blame
for ends in a dead letter, and the others go on; a server that does not answer is waited for, with nothing lost.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from ingest import metrics, tracing
from ingest.broker import Broker, Consumer, Outgoing, Record
from ingest.crashes import LETHAL, CrashNotes, WorkerDied, position
from ingest.dead import DeadLetter, as_letter, as_reason, buried, bury, history_of, without_value
from ingest.errors import Fenced, RecordError, RecordTooLarge, ServerUnreachable, StoreRejected
from ingest.records import Article, EventRecord, parse_article
from ingest.settings import Settings, Topics
from ingest.storage import Answer, Coding, Position, Store
from models.errors import ModelError
from models.events import Event
from models.text import uncodable

log = logging.getLogger(__name__)

_T = TypeVar("_T")

# Bytes of one article record. Kafka's own default for a topic is 1,048,588, and both brokers shall give the same events.
MAX_ARTICLE = 1_048_576
# Bytes of one event record, and of all event records of one article: a long title is repeated in each of its events.
MAX_EVENT = 1_000_000
MAX_EVENTS = 64_000_000
# Bytes of article records coded and committed together: they, their texts and their events are in memory at once.
MAX_BATCH = 2_000_000
MAX_RECORDS = 500
# Transactions cost a few milliseconds each, and readers wait for their end: batches are sized to take about this long.
BATCH_SECONDS = 2.0
# Seconds after which what is left of a poll is given back, so that partitions can move to other workers.
POLL_BUDGET = 60.0
# Seconds between looks at the group while a batch is coded or stored.
KEEP_SECONDS = 1.0
# Seconds of coding one batch after which the process ends itself: the coder hangs, and would hold its partitions for good.
# That counts as a death over the batch (`ingest.crashes`). The largest takes a minute or two on two cores.
CODING_LIMIT = 1_800.0
# Seconds after a request to stop until a worker that is still busy leaves its group, for others to take over at once.
LEAVE_SECONDS = 5.0
# EX_SOFTWARE of sysexits.h: the coder hangs, or an exception that nobody expected. Such a worker is started again.
CRASHED = 70
CODE_ATTEMPTS = 3
# What the text or our own code is to blame for, and would be again.
LASTING = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    NameError,
    AssertionError,
    RecursionError,
    NotImplementedError,
)
ONCE_ATTEMPTS = 5
# Seconds without progress of the whole group after which a worker with `once` that has nothing to read ends.
ONCE_PATIENCE = 30.0
_FIRST_RECORDS = 16
_POLL_SECONDS = 0.5
_FIRST_DELAY, _LONGEST_DELAY = 0.25, 30.0
chance = random.SystemRandom().random


class ArticleCoder(Protocol):
    """What the worker needs of `models.Coder`."""

    def code(
        self,
        text: str,
        title: str | None = None,
        published: datetime | None = None,
        min_confidence: float | None = None,
        url: str | None = None,
    ) -> list[Event]:
        """The events of one article."""

    def code_many(self, articles: Iterable[Article], *, min_confidence: float | None = None) -> Iterator[list[Event]]:
        """The events of each article, in order."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction brought: articles coded, event revisions published, dead letters; times in seconds.

    `not_coded` counts, by reason (`models.text.uncodable`), those of the articles that the coder does not read.
    """

    articles: tuple[Article, ...]
    events: tuple[EventRecord, ...]
    dead: tuple[DeadLetter, ...]
    coding_seconds: float
    store_seconds: float
    publish_seconds: float
    not_coded: Counter[str] = field(default_factory=Counter)

    @property
    def records(self) -> int:
        """Article records read, good and bad."""
        return len(self.articles) + len(self.dead)


@dataclass(slots=True)
class WorkerStats:
    """What a worker did. `retries` counts waits for a server, `fenced` the batches dropped as others own them now;
    `articles` has those `not_coded` too."""

    batches: int = 0
    articles: int = 0
    events: int = 0
    dead: int = 0
    retries: int = 0
    fenced: int = 0
    not_coded: Counter[str] = field(default_factory=Counter)

    def add(self, batch: Batch) -> None:
        """Count `batch` in."""
        self.batches += 1
        self.articles += len(batch.articles)
        self.events += len(batch.events)
        self.dead += len(batch.dead)
        self.not_coded += batch.not_coded


def reasons(not_coded: Counter[str]) -> str:
    """Why articles were not coded, for people: `es 9, ar 3, empty 1`."""
    return ", ".join(f"{reason.removeprefix('language:')} {number}" for reason, number in not_coded.most_common())


# --- decisions ---


def read(record: Record) -> Article | DeadLetter:
    """The article in a record, or the letter that says why there is none."""
    if len(record.value) > MAX_ARTICLE:
        error = RecordError(f"article record: {len(record.value)} bytes, more than {MAX_ARTICLE}")
        return bury(record, "read", error)
    try:
        return parse_article(record.value)
    except RecordError as error:
        return bury(record, "read", error)


def too_large(article: Article, events: Sequence[Event]) -> RecordTooLarge | None:
    """The error if the event records of `article` would be larger than a topic takes.

    To be asked before the store is: what it has committed must be publishable. Estimates from above: six bytes for a
    code point is the longest that JSON makes of one.
    """
    every = 6 * (len(article.title) + len(article.url) + len(article.feed)) + 2_000
    sizes = [every + 6 * _characters(event) for event in events]
    if max(sizes, default=0) > MAX_EVENT:
        return RecordTooLarge(f"an event record of up to {max(sizes)} bytes, more than {MAX_EVENT}")
    if sum(sizes) > MAX_EVENTS:
        return RecordTooLarge(f"{len(sizes)} event records of up to {sum(sizes)} bytes, more than {MAX_EVENTS}")
    return None


def _characters(event: Event) -> int:
    spans = (event.trigger, event.sentence, event.location, event.date, event.dead, event.injured)
    lists = (*event.actors, *event.recipients, *event.claimed_by)
    return sum(len(span.text) + 50 for span in (*spans, *lists) if span)


def outputs(
    records: Sequence[Record], results: Sequence[Sequence[EventRecord] | DeadLetter], topics: Topics
) -> list[Outgoing]:
    """What to publish, in the order of the records read; events carry the trace of their article."""
    found: list[Outgoing] = []
    for record, result in zip(records, results, strict=True):
        if isinstance(result, DeadLetter):
            found.append(as_letter(result, topics.dead))
        else:
            trace = tracing.carried(record.headers)
            found += [Outgoing(topics.events, e.article.article_id.encode(), e.to_json(), trace) for e in result]
    return found


def parts(
    records: Sequence[Record], limit: int = MAX_BATCH, alone: Collection[Position] = ()
) -> Iterator[Sequence[Record]]:
    """`records` cut into runs of at most `limit` bytes of value, each of at least one record; those of `alone` alone."""
    first = size = 0
    for at, record in enumerate(records):
        apart = alone and at > first and not {position(record), position(records[at - 1])}.isdisjoint(alone)
        if apart or (at > first and size + len(record.value) > limit):
            yield records[first:at]
            first, size = at, 0
        size += len(record.value)
    if first < len(records):
        yield records[first:]


def suspects(records: Iterable[Record], deaths: Counter[Position]) -> set[Position]:
    """Those of `records` to be coded alone: workers died over them, in this life or, as their headers tell, before."""
    died = WorkerDied.__name__
    return {
        position(record)
        for record in records
        if deaths[position(record)] or any(failure.exception == died for failure in history_of(record.headers))
    }


def next_size(asked: int, got: int, seconds: float) -> int:
    """How many records to ask for next, when `got` of the `asked` took `seconds`, so that a batch takes BATCH_SECONDS.

    At most doubles or halves, as articles differ in length; grows only where all that was asked for came.
    """
    fitting = int(got * BATCH_SECONDS / max(seconds, 0.001))
    if fitting < asked:
        return max(fitting, asked // 2, 1)
    return asked if got < asked else min(fitting, asked * 2, MAX_RECORDS)


def backoff(failures: int, chance: float) -> float:
    """Seconds to wait after the `failures`-th failure in a row; `chance` (0 to 1) spreads those who wait together."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(failures, 20)) * (0.5 + 0.5 * chance)


# --- the work on one batch ---


def code_records(
    coder: ArticleCoder, records: Sequence[Record], min_confidence: float | None, stop: threading.Event
) -> list[Coding | DeadLetter]:
    """What became of each record, in order; of the first ones only where `stop` is set meanwhile."""
    found = [read(record) for record in records]
    coded = _each_coded(coder, [item for item in found if isinstance(item, Article)], min_confidence, stop)
    results: list[Coding | DeadLetter] = []
    for record, item in zip(records, found, strict=True):
        if isinstance(item, DeadLetter):
            results.append(item)
            continue
        outcome = next(coded, None)
        if outcome is None:
            break
        if isinstance(outcome, _Failed):
            results.append(bury(record, "code", outcome.error, outcome.attempts))
        elif error := too_large(item, outcome):
            results.append(bury(record, "publish", error))
        else:
            # An article that gave events was read; of any other the coder says no more than that there are none.
            not_coded = None if outcome else uncodable(item.text, item.title)
            results.append(Coding(position(record), item, tuple(outcome), datetime.now(UTC), not_coded))
    return results


@dataclass(frozen=True, slots=True)
class _Failed:
    """An article that cannot be coded."""

    error: Exception
    attempts: int


def _each_coded(
    coder: ArticleCoder, articles: Sequence[Article], min_confidence: float | None, stop: threading.Event
) -> Iterator[list[Event] | _Failed]:
    """The events of each article, or the error that it alone raises; ends early once `stop` is set."""
    done = 0
    try:
        for events in coder.code_many(articles, min_confidence=min_confidence):
            yield events
            done += 1
            metrics.progress("worker")
            if stop.is_set():
                return
    except ModelError:
        raise  # no article is to blame
    except Exception as error:
        # The coder reads ahead, so any of those left may be the culprit: from here on each article is coded alone.
        log.info("coding one by one", extra={"error": type(error).__name__, "articles": len(articles) - done})
    for article in articles[done:]:
        if stop.is_set():
            return
        yield _code_alone(coder, article, min_confidence, stop)


def _code_alone(
    coder: ArticleCoder, article: Article, min_confidence: float | None, stop: threading.Event
) -> list[Event] | _Failed:
    attempt = 0
    while True:
        attempt += 1
        metrics.progress("worker")
        try:
            return coder.code(article.text, article.title, article.published, min_confidence, article.url)
        except ModelError:
            raise
        except Exception as error:
            told = {"article": article.article_id, "feed": article.feed, "error": repr(error)[:300], "attempt": attempt}
            log.info("coding failed", extra=told)
            if attempt == CODE_ATTEMPTS or isinstance(error, LASTING):
                return _Failed(error, attempt)
        stop.wait(backoff(attempt, chance()))


def store_codings(
    store: Store, records: Sequence[Record], results: Sequence[Coding | DeadLetter]
) -> list[list[EventRecord] | DeadLetter]:
    """What the store decides about each record, in one transaction; where it is refused, in one for each record.

    Letters of articles are decided too. Delivered to two workers, after a death or a long sleep of the first, an article
    may fail with one of them only: what was decided first gets to the topics, whoever publishes it. Raises
    StoreUnavailable.
    """
    asked = [_to_decide(record, result) for record, result in zip(records, results, strict=True)]
    codings = [coding for coding in asked if coding]
    try:
        answers = iter(store.apply(codings))
    except (StoreRejected, ValueError) as error:
        log.info("storing one by one", extra={"error": repr(error)[:300], "articles": len(codings)})
    else:
        return [
            _decided(record, result, next(answers) if coding else None)
            for record, result, coding in zip(records, results, asked, strict=True)
        ]
    alone: list[list[EventRecord] | DeadLetter] = []
    for record, result, coding in zip(records, results, asked, strict=True):
        try:
            alone.append(_decided(record, result, store.apply([coding])[0] if coding else None))
        except (StoreRejected, ValueError) as error:
            alone.append(result if isinstance(result, DeadLetter) else bury(record, "store", error))
    return alone


def _to_decide(record: Record, result: Coding | DeadLetter) -> Coding | None:
    """What the store is asked; None for the letter of what is no article, whoever reads it."""
    if isinstance(result, Coding):
        return result
    article = read(record)
    if isinstance(article, DeadLetter):
        return None
    return Coding(position(record), article, (), datetime.now(UTC), buried=as_reason(result.failure))


def _decided(record: Record, result: Coding | DeadLetter, answer: Answer | None) -> list[EventRecord] | DeadLetter:
    if isinstance(answer, str):
        return buried(record, answer)
    return answer if answer is not None else result  # type: ignore[return-value]  # None is only answered to letters


def publish(
    consumer: Consumer,
    records: Sequence[Record],
    results: Sequence[list[EventRecord] | DeadLetter],
    topics: Topics,
) -> list[list[EventRecord] | DeadLetter]:
    """Publish `results` and mark `records` as read; returns what was published in the end.

    Where something is too large for its topic, the batch is halved until it stands alone, and goes to the dead letters:
    a letter that is too large itself goes without its value. Raises Fenced, BrokerUnavailable, BrokerRejected.
    """
    try:
        consumer.commit(records, outputs(records, results, topics))
    except RecordTooLarge as error:
        if len(records) > 1:
            half = len(records) // 2
            first = publish(consumer, records[:half], results[:half], topics)
            return first + publish(consumer, records[half:], results[half:], topics)
        (result,) = results
        if not isinstance(result, DeadLetter):
            return publish(consumer, records, [bury(records[0], "publish", error)], topics)
        if not result.value:
            raise
        return publish(consumer, records, [without_value(result)], topics)
    return list(results)


def attended(work: Callable[[], _T], consumer: Consumer, stop: threading.Event, limit: float | None = None) -> _T:
    """The result of `work`, done in a thread of its own while this one keeps the consumer in its group.

    Where `work` goes on for LEAVE_SECONDS after `stop` is set, the consumer is closed, and Fenced raised in the end. The
    process ends where it goes on for `limit` seconds.
    """
    began = time.monotonic()
    outcome: Future[_T] = Future()

    def do() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=copy_context().run, args=(do,), name="batch", daemon=True).start()
    stopping: float | None = None
    left = False
    while not wait([outcome], KEEP_SECONDS).done:
        if stop.is_set():
            stopping = stopping or time.monotonic()
            if not left and time.monotonic() - stopping >= LEAVE_SECONDS:
                consumer.close()
                left = True
        if not left:
            consumer.keep()
        if limit is not None and time.monotonic() - began > limit:
            log.critical("the coder hangs", extra={"seconds": limit})
            os._exit(CRASHED)
    if left:
        raise Fenced("left the group, as the batch did not end soon after the request to stop")
    return outcome.result()


def _code(
    coder: ArticleCoder,
    records: Sequence[Record],
    min_confidence: float | None,
    stop: threading.Event,
    notes: CrashNotes | None,
) -> list[Coding | DeadLetter]:
    """`code_records`, with a note of what is being coded."""
    if notes is None:
        return code_records(coder, records, min_confidence, stop)
    notes.write(records)
    if stop.is_set():  # whoever set it may have cleared the note a moment before
        notes.clear()
    try:
        return code_records(coder, records, min_confidence, stop)
    finally:
        notes.clear()


def _work_on(
    records: Sequence[Record],
    consumer: Consumer,
    store: Store,
    coder: ArticleCoder,
    settings: Settings,
    stop: threading.Event,
    notes: CrashNotes | None = None,
    deaths: int = 0,
) -> Batch:
    """Code, store, publish; a record over which workers died too often is buried uncoded.

    Raises Fenced, BrokerUnavailable, BrokerRejected, StoreUnavailable.
    """
    records, spans = tracing.begin(records)
    began = time.perf_counter()
    results: list[Coding | DeadLetter]
    if deaths >= LETHAL:
        error = WorkerDied(f"{deaths} workers died while they coded it")
        results = [bury(record, "code", error, deaths) for record in records]
    else:
        limit = CODING_LIMIT if notes else None
        results = attended(lambda: _code(coder, records, settings.min_confidence, stop, notes), consumer, stop, limit)
    coded = time.perf_counter()
    records = records[: len(results)]

    stored = attended(lambda: store_codings(store, records, results), consumer, stop)
    kept = time.perf_counter()
    if records:
        stored = publish(consumer, records, stored, settings.topics)
    published = time.perf_counter()
    tracing.finish(spans[: len(records)], code=coded - began, store=kept - coded, publish=published - kept)
    done = [
        coding
        for coding, revisions in zip(map(_to_decide, records, results), stored, strict=True)
        if coding and not isinstance(revisions, DeadLetter)
    ]
    return Batch(
        articles=tuple(coding.article for coding in done),
        events=tuple(event for revisions in stored if not isinstance(revisions, DeadLetter) for event in revisions),
        dead=tuple(letter for letter in stored if isinstance(letter, DeadLetter)),
        coding_seconds=coded - began,
        store_seconds=kept - coded,
        publish_seconds=published - kept,
        not_coded=Counter(coding.not_coded for coding in done if coding.not_coded),
    )


# --- the loop ---


@dataclass(slots=True)
class Retry:
    """Waits for servers, longer after each failure in a row: for ever, or up to ONCE_ATTEMPTS with `once`."""

    once: bool
    stop: threading.Event
    role: str = "worker"
    failures: int = 0

    def after(self, error: ServerUnreachable) -> None:
        """Wait, or until `stop` is set. Raises `error` where waiting shall end."""
        self.failures += 1
        metrics.RETRIES.inc()
        metrics.progress(self.role)
        if self.once and self.failures >= ONCE_ATTEMPTS:
            raise error
        delay = backoff(self.failures, chance())
        log.warning("waiting for a server", extra={"error": str(error), "failures": self.failures, "seconds": delay})
        self.stop.wait(delay)


@dataclass(slots=True)
class End:
    """Tells a worker with `once` when all is read. Having no partition proves nothing: they may be on their way to it."""

    left: int = -1
    since: float = 0.0

    def reached(self, left: int, now: float) -> bool:
        """Whether to end, now that the group has `left` records to read; `now` in seconds of a monotonic clock.

        The transaction markers of a foreign producer count as records that nobody reads, hence the patience.
        """
        if left != self.left:
            self.left, self.since = left, now
        return left == 0 or now - self.since >= ONCE_PATIENCE


def run_worker(
    broker: Broker,
    store: Store,
    coder: ArticleCoder,
    settings: Settings,
    *,
    once: bool = False,
    stop: threading.Event | None = None,
    on_batch: Callable[[Batch], None] | None = None,
    notes: CrashNotes | None = None,
) -> WorkerStats:
    """Consume, code, store and publish as a member of `settings.group`, until `stop` is set or, with `once`, all is read.

    After `stop` the batch at hand is committed as far as it is coded. `on_batch` is called after each commit. A server
    that does not answer is waited for; with `once`, ServerUnreachable is raised after ONCE_ATTEMPTS tries in a row.
    `notes` tell which articles killed workers before; without them that is not looked at.
    Raises ModelError where the coder itself is broken, BrokerRejected where a topic or a right is missing. Whatever is
    raised, what was not committed is delivered again.
    """
    stop = stop or threading.Event()
    retry = Retry(once, stop)
    end = End()
    stats = WorkerStats()
    consumer: Consumer | None = None
    rewound, size = True, _FIRST_RECORDS
    try:
        while not stop.is_set():
            try:
                if consumer is None:
                    partitions = settings.topics.partitions
                    names = (settings.topics.articles, settings.topics.events, settings.topics.dead)
                    broker.ensure_topics(dict.fromkeys(names, partitions))
                    consumer = broker.consumer([settings.topics.articles], settings.group)
                if not rewound:
                    consumer.rewind()
                    rewound = True
                records = consumer.poll(size, _POLL_SECONDS)
                metrics.progress("worker")
                metrics.JOINED.set(1)
                if once and not records and consumer.position_at_end():
                    left = sum(part.lag for part in broker.lag(settings.topics.articles, settings.group))
                    if end.reached(left, time.monotonic()):
                        break
                began = time.perf_counter()
                worked = 0
                deaths = notes.deaths(records) if notes else Counter()
                for part in parts(records, alone=suspects(records, deaths)):
                    if stop.is_set() or time.perf_counter() - began > POLL_BUDGET:
                        rewound = False
                        break
                    died = deaths[position(part[0])]
                    batch = _work_on(part, consumer, store, coder, settings, stop, notes, died)
                    if notes and died and batch.records:
                        notes.settle(part)
                    worked += batch.records
                    stats.add(batch)
                    _tell(batch)
                    metrics.batch_done(batch, settings.topics.articles)
                    if on_batch:
                        on_batch(batch)
                if worked:
                    size = next_size(size, worked, time.perf_counter() - began)
                retry.failures = 0
            except Fenced as error:
                log.warning("batch dropped, as its partitions have moved", extra={"error": str(error)})
                stats.fenced += 1
                metrics.FENCED.inc()
                # Perhaps it took so long that this member was taken for dead.
                size = max(1, size // 2)
            except ServerUnreachable as error:
                rewound = False
                stats.retries += 1
                metrics.JOINED.set(0)
                retry.after(error)
    finally:
        metrics.JOINED.set(0)
        if consumer is not None:
            consumer.close()
    return stats


def _tell(batch: Batch) -> None:
    for letter in batch.dead:
        failure = letter.failure
        log.warning(
            "dead letter",
            extra={
                "article": (letter.key or b"").decode(errors="replace"),
                "stage": failure.stage,
                "exception": failure.exception,
                "reason": failure.message,
                "topic": failure.topic,
                "partition": failure.partition,
                "offset": failure.offset,
                "attempts": failure.attempts,
            },
        )
    for article in batch.articles:
        log.debug("coded", extra={"article": article.article_id, "revision": article.revision, "feed": article.feed})
    for reason, number in batch.not_coded.most_common():
        log.info("not coded", extra={"reason": reason, "articles": number})
    log.info(
        "batch",
        extra={
            "articles": len(batch.articles),
            "not_coded": batch.not_coded.total(),
            "events": len(batch.events),
            "dead": len(batch.dead),
            "coding": round(batch.coding_seconds, 4),
            "store": round(batch.store_seconds, 4),
            "publish": round(batch.publish_seconds, 4),
        },
    )
