"""The worker: each article coded, stored and published exactly once, whatever single records or servers do."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer

from ingest.broker import Broker, Consumer, Outgoing, Record, open_broker
from ingest.broker.embedded import EmbeddedBroker
from ingest.dead import DeadLetter, as_letter, bury, replay
from ingest.errors import BrokerUnavailable, Fenced, RecordTooLarge, ServerUnreachable, StoreUnavailable
from ingest.records import Article, EventRecord, parse_article
from ingest.settings import Topics
from ingest.storage import Coding, Store
from ingest.worker import (
    CODE_ATTEMPTS,
    MAX_ARTICLE,
    MAX_RECORDS,
    ONCE_ATTEMPTS,
    ONCE_PATIENCE,
    Batch,
    End,
    backoff,
    code_records,
    next_size,
    outputs,
    parts,
    publish,
    read,
    reasons,
    run_worker,
    store_codings,
    too_large,
)
from models.errors import ModelError
from models.events import Event
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article

# --- decisions ---


def record(value: bytes, key: bytes | None = b"k", offset: int = 0) -> Record:
    return Record("articles", 0, offset, key, value)


def altered(**fields: object) -> bytes:
    return json.dumps(json.loads(article(1).to_json()) | fields).encode()


POISON: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "EOF"),
    "invalid UTF-8": (b'{"schema": 1, "title": "\xff\xfe"}', "invalid"),
    "not JSON": (b"<rss/>", "expected value"),
    "no object": (b"[1, 2]", "object"),
    "schema from the future": (altered(schema=2), "schema: Input should be less than or equal to 1"),
    "wrong type": (altered(title={"a": 1}), "title: Input should be a valid string"),
    "missing field": (b'{"schema": 1}', "article_id: Field required"),
    "no such time": (altered(published="2026-13-45T99:00:00Z"), "published"),
    "deep nesting": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "recursion limit"),
    "lone surrogate": (altered(title="A").replace(b'"A"', b'"\\ud800"'), "hex escape"),
    "ten megabytes": (altered(text="x" * 10_000_000), f"more than {MAX_ARTICLE}"),
    "deep nesting of a field that nobody reads": (
        altered(extra=0).replace(b'"extra": 0', b'"extra": ' + b"[" * 100_000 + b"]" * 100_000),
        "recursion limit",
    ),
    "huge number": (
        altered(revision=7).replace(b'"revision": 7', b'"revision": 1' + b"0" * 5_000),
        "number out of range",
    ),
    "number beyond floats": (altered(revision=7).replace(b'"revision": 7', b'"revision": 1e999'), "revision"),
    "not a number": (altered(published=0).replace(b'"published": 0', b'"published": NaN'), "published"),
    "id too long": (altered(article_id="x" * 65), "article_id"),
    "byte order mark": (b"\xef\xbb\xbf" + altered(), "expected value"),
    "two objects": (altered() + altered(), "trailing characters"),
    "NUL bytes": (b"\x00" * 100, "expected value"),
    "gzip": (b"\x1f\x8b\x08\x00\x00", "expected value"),
}

# Odd, but articles: each is coded.
ODD: dict[str, bytes] = {
    "a field twice": altered(title="", article_id="odd-twice").replace(
        b'"title": ""', b'"title": 1, "title": "Police killed 1"'
    ),
    "NUL": altered(title="Police killed 1\x00", article_id="odd-nul"),
    "controls": altered(title="Police killed 1 \x1b[2J\u202e\ufeff", article_id="odd-controls"),
    "many fields": altered(article_id="odd-fields", **{f"x{n}": n for n in range(20_000)}),
    "beyond unicode": altered(title="Police killed 1 \U0010ffff\ue000\ufffe", article_id="odd-noncharacters"),
}


@pytest.mark.parametrize(("value", "reason"), POISON.values(), ids=POISON)
def test_a_record_that_is_no_article_is_buried_with_the_reason(value: bytes, reason: str) -> None:
    letter = read(record(value, offset=5))
    assert isinstance(letter, DeadLetter)
    assert letter.value == value
    assert (letter.failure.stage, letter.failure.exception, letter.failure.offset) == ("read", "RecordError", 5)
    assert reason in letter.failure.message


@given(st.binary(max_size=200) | st.from_regex(rb'\{"schema": ?.{0,60}', fullmatch=True))
def test_no_bytes_can_make_reading_fail(value: bytes) -> None:
    assert isinstance(read(record(value)), DeadLetter)


def test_fields_of_later_versions_are_ignored() -> None:
    assert read(record(altered(mood="grim"))) == article(1)


@given(st.lists(st.integers(0, 50), max_size=40))
def test_parts_are_all_records_in_order_and_bounded(sizes: list[int]) -> None:
    records = [record(b"x" * size, offset=offset) for offset, size in enumerate(sizes)]
    cut = list(parts(records, limit=60))
    assert [one for part in cut for one in part] == records
    assert all(part for part in cut)
    assert all(len(part) == 1 or sum(len(one.value) for one in part) <= 60 for part in cut)


@pytest.mark.parametrize(
    ("asked", "got", "seconds", "then"),
    [
        (16, 16, 0.001, 32),  # quick: at most twice as many
        (16, 16, 1.0, 32),
        (16, 16, 1.6, 20),
        (16, 16, 2.0, 16),
        (16, 16, 2.5, 12),
        (16, 16, 60.0, 8),  # slow: at least half as many
        (16, 3, 0.001, 16),  # there were no more, which says nothing
        (16, 3, 60.0, 8),
        (1, 1, 60.0, 1),
        (MAX_RECORDS, MAX_RECORDS, 0.0, MAX_RECORDS),
    ],
)
def test_batches_grow_and_shrink_towards_their_time(asked: int, got: int, seconds: float, then: int) -> None:
    assert next_size(asked, got, seconds) == then


def test_waits_grow_and_are_bounded() -> None:
    assert [backoff(failures, 1.0) for failures in (1, 2, 3, 4)] == [0.5, 1.0, 2.0, 4.0]
    assert backoff(10**6, 1.0) == 30.0
    assert backoff(1, 0.0) == 0.25


def test_a_worker_with_once_waits_for_the_others_of_its_group_but_not_for_ever() -> None:
    end = End()
    assert not end.reached(7, 100.0)
    assert not end.reached(7, 100.0 + ONCE_PATIENCE - 1)
    assert not end.reached(6, 100.0 + ONCE_PATIENCE)
    assert not end.reached(6, 100.0 + 2 * ONCE_PATIENCE - 1)
    assert end.reached(6, 100.0 + 2 * ONCE_PATIENCE)
    assert End().reached(0, 100.0)


def events_of(text: str, title: str = "") -> list[Event]:
    return KeywordCoder().events(text, title)


def test_events_that_no_topic_would_take_are_known_before_they_are_stored() -> None:
    usual = article(1)
    assert too_large(usual, events_of(usual.text, usual.title)) is None
    assert too_large(usual, []) is None
    long_sentence = f"Rebels killed 3 {'x' * 200_000}."
    assert isinstance(too_large(article(1, long_sentence), events_of(long_sentence)), RecordTooLarge)
    long_title = article(1, title="x" * 30_000)
    assert too_large(long_title, events_of("Rebels killed 3.")) is None
    assert isinstance(too_large(long_title, events_of("Rebels killed 3. " * 1_000)), RecordTooLarge)


def test_outputs_are_events_by_article_and_letters_in_the_order_read() -> None:
    topics = Topics()
    letter = bury(record(b"x"), "read", ValueError("v"))
    assert outputs([record(b"x")] * 3, [letter, [], letter], topics) == [as_letter(letter, "articles.dead")] * 2


# --- on a real broker and store ---


def expected(articles: Sequence[Article]) -> int:
    return sum(len(events_of(each.text, each.title)) for each in articles)


def test_workers_can_code_store_and_publish(pipeline: Pipeline) -> None:
    articles = [article(number) for number in range(40)]
    pipeline.publish(articles)
    stats = pipeline.work(KeywordCoder())
    assert (stats.articles, stats.events, stats.dead) == (40, expected(articles), 0)
    events = pipeline.agreed().values()
    assert len(events) == expected(articles)
    assert all(event.status == "new" for event in events)
    texts = {each.article_id: each for each in articles}
    for event in events:
        source = texts[event.article.article_id]
        assert getattr(source, event.trigger.field)[event.trigger.start : event.trigger.end] == event.trigger.text
    assert pipeline.left() == 0
    assert pipeline.work(KeywordCoder()).batches == 0


def test_events_lie_under_their_article_s_key(embedded: Pipeline) -> None:
    embedded.publish([article(1), article(2)])
    embedded.work(KeywordCoder())
    assert {(each.key or b"").decode() for each in embedded.published()} == {"article-00001", "article-00002"}


def test_a_new_revision_gives_new_updated_and_retracted_events(pipeline: Pipeline) -> None:
    pipeline.publish([article(1, "Rebels killed 3 in Aba. Police protested.")])
    pipeline.work(KeywordCoder())
    pipeline.publish([article(1, "Rebels killed 4 in Aba. The president met envoys.", revision=2)])
    pipeline.work(KeywordCoder())
    last = {event.type: (event.status, event.revision) for event in pipeline.agreed().values()}
    assert last == {"ASSAULT": ("updated", 2), "PROTEST": ("retracted", 2), "CONSULT": ("new", 1)}


def test_an_article_delivered_twice_gives_its_events_once(embedded: Pipeline) -> None:
    articles = [article(number) for number in range(5)]
    embedded.publish([*articles, *articles])
    stats = embedded.work(KeywordCoder())
    assert (stats.articles, stats.events) == (10, expected(articles))
    embedded.agreed()


def test_poison_ends_among_the_dead_and_harms_no_other(pipeline: Pipeline) -> None:
    good = [article(number) for number in range(30)]
    bad = [Outgoing(pipeline.settings.topics.articles, b"bad", value) for value, _ in POISON.values()]
    coders = [article(101, "BATCHPOISON killed 2."), article(102, "FLAKY killed 3.")]
    lost = [article(100, "POISON killed 1."), article(104, "CURSED killed 1.")]
    huge = article(103, f"Rebels killed {'x' * 900_000}.")
    odd = [Outgoing(pipeline.settings.topics.articles, None, value) for value in ODD.values()]
    pipeline.publish([*good[:10], *bad, *good[10:20], *lost, *coders, huge, *odd, *good[20:]])

    stats = pipeline.work(KeywordCoder())
    assert (stats.articles, stats.dead) == (32 + len(odd), len(bad) + 3)
    coded = [*good, *coders, *map(parse_article, ODD.values())]
    events = pipeline.agreed().values()
    assert {event.article.article_id for event in events} == {each.article_id for each in coded}
    assert len(events) == expected(coded)

    letters = pipeline.dead()
    assert sorted(letter.value for letter in letters if letter.key == b"bad") == sorted(
        value for value, _ in POISON.values()
    )
    found = {letter.key: letter.failure for letter in letters}
    assert {found[b"bad"].stage, found[b"bad"].topic} == {"read", pipeline.settings.topics.articles}
    poison = found[b"article-00100"]
    assert (poison.stage, poison.exception, poison.message) == ("code", "ValueError", "poison\nalone")
    assert (poison.attempts, found[b"article-00104"].attempts) == (1, CODE_ATTEMPTS)
    assert found[b"article-00103"].stage == "publish"
    assert found[b"article-00103"].exception == "RecordTooLarge"
    assert len({(failure.partition, failure.offset) for failure in (letter.failure for letter in letters)}) == len(
        letters
    )
    assert pipeline.left() == 0


class NoText(str):
    """A header's name that no UTF-8 is behind, as a producer in another language may send it."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:  # type: ignore[override]
        return b"\xff\xfe"


@pytest.mark.kafka
@pytest.mark.postgres
def test_records_of_other_producers_harm_no_other_either(servers: Pipeline) -> None:
    """What our own producers cannot write: no value, a header's name that is no text, headers as large as the topic takes."""
    topic = servers.settings.topics.articles
    address = servers.settings.broker.removeprefix("kafka://")
    producer = KafkaProducer(bootstrap_servers=address, max_request_size=16 * 1024 * 1024)
    for value, headers in [
        (None, []),
        (b"1", [(NoText("x"), b"v")]),
        (b"2", [("x", b"v" * (16 * 1024 * 1024 - 200))]),
        (b"3", [("attempts", b"\xff"), ("history", b"{"), ("history", b"[" * 10_000), ("", b"")]),
        (article(1).to_json(), [(NoText("x"), b"v")]),
    ]:
        producer.send(topic, value, b"k", headers=headers, partition=0).get(60)
    producer.close()
    stats = servers.work(KeywordCoder())
    assert (stats.articles, stats.dead) == (1, 4)
    assert len(servers.agreed()) == expected([article(1)])
    letters = sorted(servers.dead(), key=lambda letter: letter.failure.offset)
    assert [letter.value for letter in letters] == [b"", b"1", b"", b"3"]
    assert "too large for a dead letter" in letters[2].failure.message
    assert letters[3].failure.attempts == 1
    # The tombstone may return, what was too large cannot.
    assert replay(servers.broker, letters) == 3


def test_one_poison_article_is_coded_alone_and_its_predecessors_are_not(embedded: Pipeline) -> None:
    coder = KeywordCoder()
    first = article(1)
    embedded.publish([first, article(1, "POISON", revision=2), article(1, "Rebels killed 9.", revision=3)])
    embedded.work(coder)
    assert coder.alone == ["POISON", "Rebels killed 9."]


def test_a_record_that_the_database_refuses_is_buried_alone(pipeline: Pipeline) -> None:
    refused = article(7, revision=2**70)
    pipeline.publish([article(1), refused, article(2)])
    pipeline.work(KeywordCoder())
    (letter,) = pipeline.dead()
    assert (letter.key, letter.failure.stage, letter.failure.exception) == (b"article-00007", "store", "StoreRejected")
    assert letter.value == refused.to_json()
    assert {event.article.article_id for event in pipeline.agreed().values()} == {"article-00001", "article-00002"}


def test_a_replay_that_fails_again_returns_with_its_history_and_one_that_does_not_is_coded(pipeline: Pipeline) -> None:
    pipeline.publish([article(1, "POISON killed 1.")])
    pipeline.work(KeywordCoder())
    assert replay(pipeline.broker, pipeline.dead()) == 1
    pipeline.work(KeywordCoder())
    first, second = sorted(pipeline.dead(), key=lambda letter: letter.failure.attempts)
    assert second.history == (first.failure,)
    assert (first.failure.attempts, second.failure.attempts) == (1, 2)
    assert second.value == first.value == article(1, "POISON killed 1.").to_json()

    class Cured(KeywordCoder):
        def code_many(self, articles: object, *, min_confidence: float | None = None) -> Iterator[list[Event]]:
            for each in articles:  # type: ignore[attr-defined]
                yield self.events(each.text, each.title, min_confidence)

    assert replay(pipeline.broker, [second]) == 1
    assert pipeline.work(Cured()).events == 1
    assert len(pipeline.agreed()) == 1
    assert len(pipeline.dead()) == 2


def test_confidences_below_the_setting_are_left_out(embedded: Pipeline) -> None:
    embedded.settings = embedded.settings.model_copy(update={"min_confidence": 0.7})
    embedded.publish([article(1, "Rebels killed 3.", title="Police killed 4")])
    embedded.work(KeywordCoder())
    assert [event.trigger.field for event in embedded.agreed().values()] == ["text"]


def test_batches_tell_what_they_brought(embedded: Pipeline) -> None:
    batches: list[Batch] = []
    embedded.publish([*(article(number) for number in range(60)), Outgoing("articles", b"bad", b"no")])
    stats = embedded.work(KeywordCoder(), on_batch=batches.append)
    assert stats.batches == len(batches) > 1
    assert sum(len(batch.articles) for batch in batches) == stats.articles == 60
    assert sum(len(batch.events) for batch in batches) == stats.events
    assert sum(batch.records for batch in batches) == 61
    assert [letter.key for batch in batches for letter in batch.dead] == [b"bad"]
    assert all(min(batch.coding_seconds, batch.store_seconds, batch.publish_seconds) >= 0 for batch in batches)


SPANISH = "Las autoridades dijeron el lunes que al menos doce personas murieron en el atentado contra el mercado."


def test_articles_that_are_not_coded_are_counted_by_reason_logged_and_kept(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="ingest.worker")
    spanish = [article(number, f"{SPANISH} {number}", title="Atentado en el mercado") for number in (1, 2)]
    cyrillic = article(3, "Повстанцы обстреляли рынок в понедельник, погибли двенадцать человек.", title="Рынок")
    silent = article(4, "It rained all day, and the market stayed closed.")
    pipeline.publish([article(0), *spanish, cyrillic, silent])
    stats = pipeline.work(KeywordCoder())
    assert stats.articles == 5
    assert stats.not_coded == {"language:es": 2, "language:ru": 1}
    assert {each.article_id: reason for each, reason in pipeline.store.not_coded()} == {
        spanish[0].article_id: "language:es",
        spanish[1].article_id: "language:es",
        cyrillic.article_id: "language:ru",
    }
    told = [(line.reason, line.articles) for line in caplog.records if line.message == "not coded"]  # type: ignore[attr-defined]
    assert sorted(told) == [("language:es", 2), ("language:ru", 1)]


def test_reasons_are_told_the_most_frequent_first() -> None:
    assert reasons(Counter({"empty": 1, "language:ar": 3, "language:es": 9})) == "es 9, ar 3, empty 1"


# --- faults on the way ---


class FaultyStore(Store):
    """The real store, whose answers get lost: the transaction is committed, and the worker hears of a failure."""

    failures = 0
    applies = 0

    def apply(self, codings: Sequence[Coding]) -> list[list[EventRecord]]:
        answer = super().apply(codings)
        self.applies += 1
        if self.applies <= self.failures:
            raise StoreUnavailable("the connection was cut")
        return answer


def faulty(pipeline: Pipeline, failures: int) -> FaultyStore:
    store = FaultyStore.open(pipeline.settings.store_url)
    assert isinstance(store, FaultyStore)
    store.failures = failures
    return store


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that take no time."""
    monkeypatch.setattr("ingest.worker.backoff", lambda failures, chance: 0.001)


def test_a_store_that_fails_for_a_while_costs_nothing_and_doubles_nothing(pipeline: Pipeline, patient: None) -> None:
    articles = [article(number) for number in range(20)]
    pipeline.publish(articles)
    store = faulty(pipeline, ONCE_ATTEMPTS - 1)
    stats = run_worker(pipeline.broker, store, KeywordCoder(), pipeline.settings, once=True)
    store.close()
    assert stats.retries == ONCE_ATTEMPTS - 1
    assert stats.dead == 0
    assert len(pipeline.agreed()) == expected(articles)
    assert pipeline.left() == 0


def test_once_ends_with_the_error_of_a_server_that_stays_away(embedded: Pipeline, patient: None) -> None:
    embedded.publish([article(1)])
    store = faulty(embedded, 10**6)
    with pytest.raises(StoreUnavailable) as caught:
        run_worker(embedded.broker, store, KeywordCoder(), embedded.settings, once=True)
    assert caught.value.exit_code == 3
    assert store.applies == ONCE_ATTEMPTS
    store.close()
    assert embedded.left() == 1
    embedded.work(KeywordCoder())
    assert len(embedded.agreed()) == expected([article(1)])


def test_without_once_a_server_is_waited_for_until_told_to_stop(embedded: Pipeline, patient: None) -> None:
    embedded.publish([article(1)])
    stop = threading.Event()

    class Counting(FaultyStore):
        def apply(self, codings: Sequence[Coding]) -> list[list[EventRecord]]:
            if self.applies == 3 * ONCE_ATTEMPTS:
                stop.set()
            return super().apply(codings)

    store = Counting.open(embedded.settings.store_url)
    assert isinstance(store, Counting)
    store.failures = 10**6
    stats = run_worker(embedded.broker, store, KeywordCoder(), embedded.settings, stop=stop)
    store.close()
    assert stats.retries > 3 * ONCE_ATTEMPTS
    assert embedded.left() == 1


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.kafka, pytest.mark.postgres])])
def hurried(request: pytest.FixtureRequest) -> tuple[Pipeline, float]:
    """A pipeline whose members must poll every few seconds, and a time of coding that is much longer."""
    found: Pipeline = request.getfixturevalue(request.param)
    if request.param == "embedded":
        found.broker = EmbeddedBroker(found.settings.embedded_path, lease=1.0, max_poll=1.0)
        return found, 5.0
    kafka = found.settings.kafka.model_copy(update={"max_poll_interval": 6.0})
    found.settings = found.settings.model_copy(update={"kafka": kafka})
    found.broker = open_broker(found.settings)
    return found, 15.0


class Remembering(KeywordCoder):
    """Remembers what it read."""

    def __init__(self, slow_seconds: float) -> None:
        super().__init__(slow_seconds=slow_seconds)
        self.read: list[str] = []

    def events(self, text: str, title: str = "", min_confidence: float | None = None) -> list[Event]:
        self.read.append(text)
        return super().events(text, title, min_confidence)


def test_coding_longer_than_the_poll_interval_is_neither_fenced_nor_done_twice(
    hurried: tuple[Pipeline, float], caplog: pytest.LogCaptureFixture
) -> None:
    pipeline, seconds = hurried
    # The other of the group would take the partitions over.
    coders = [Remembering(slow_seconds=seconds) for _ in range(2)]
    stop = threading.Event()
    quick: list[Article] = []

    def publish(*others: Article) -> None:
        quick.append(article(len(quick) + 1))
        pipeline.publish([*others, quick[-1]])

    def drain() -> None:
        deadline = time.monotonic() + 6 * seconds
        while pipeline.left():
            assert time.monotonic() < deadline
            time.sleep(0.2)

    with ThreadPoolExecutor(2) as pool:
        try:
            workers = [pool.submit(pipeline.work, coder, once=False, stop=stop) for coder in coders]
            # Joining moves partitions too.
            while not all(coder.read for coder in coders):
                assert len(quick) < 200
                assert not any(worker.done() for worker in workers)
                publish()
                time.sleep(0.2)
            drain()
            caplog.clear()
            publish(article(0, "SLOW killed 1."))
            drain()
        finally:
            stop.set()
        done = [worker.result() for worker in workers]
    assert "batch dropped, as its partitions have moved" not in caplog.messages
    assert [text for coder in coders for text in coder.read if "SLOW" in text] == ["SLOW killed 1."]
    assert sum(stats.articles for stats in done) == 1 + len(quick)
    assert len(pipeline.agreed()) == 1 + expected(quick)


class FaultyBroker:
    """The real broker, except that a function may raise before each commit."""

    def __init__(self, broker: Broker, before_commit: Callable[[int], None]) -> None:
        self._broker = broker
        self._before_commit = before_commit

    def __getattr__(self, name: str) -> object:
        return getattr(self._broker, name)

    def consumer(self, topics: Sequence[str], group: str) -> Consumer:
        consumer, before, number = self._broker.consumer(topics, group), self._before_commit, iter(range(1, 10**6))

        class Faulty:
            def __getattr__(self, name: str) -> object:
                return getattr(consumer, name)

            def commit(self, consumed: Sequence[Record], outgoing: Sequence[Outgoing]) -> None:
                try:
                    before(next(number))
                except (Fenced, ServerUnreachable):
                    consumer.rewind()  # as the protocol has it: the next poll starts from what was committed
                    raise
                consumer.commit(consumed, outgoing)

        return Faulty()  # type: ignore[return-value]


@pytest.mark.parametrize("error", [Fenced("moved"), BrokerUnavailable("gone")])
def test_a_transaction_that_fails_is_done_again_with_the_same_events(
    pipeline: Pipeline, error: Exception, patient: None
) -> None:
    def fail(number: int) -> None:
        if number in (1, 3):
            raise error

    articles = [article(number) for number in range(60)]
    pipeline.publish(articles)
    broker = FaultyBroker(pipeline.broker, fail)
    stats = run_worker(broker, pipeline.store, KeywordCoder(), pipeline.settings, once=True)  # type: ignore[arg-type]
    assert (stats.fenced, stats.retries) == ((2, 0) if isinstance(error, Fenced) else (0, 2))
    assert len(pipeline.agreed()) == expected(articles)


@pytest.mark.parametrize("death", [RuntimeError("a bug"), KeyboardInterrupt(), MemoryError()])
def test_a_worker_that_dies_between_store_and_broker_loses_and_doubles_nothing(
    embedded: Pipeline, death: BaseException
) -> None:
    def die(number: int) -> None:
        if number == 2:
            raise death

    articles = [article(number) for number in range(60)]
    embedded.publish(articles)
    with pytest.raises(type(death)):
        run_worker(FaultyBroker(embedded.broker, die), embedded.store, KeywordCoder(), embedded.settings, once=True)  # type: ignore[arg-type]
    assert len(embedded.stored()) > len(embedded.events())
    embedded.work(KeywordCoder())
    assert len(embedded.agreed()) == expected(articles)


def test_an_article_that_was_stored_before_a_death_gets_published_though_it_cannot_be_coded_any_more(
    pipeline: Pipeline,
) -> None:
    def die(number: int) -> None:
        raise RuntimeError("a bug")

    class Failing(KeywordCoder):
        def events(self, text: str, title: str = "", min_confidence: float | None = None) -> list[Event]:
            raise MemoryError

    stored, never = article(1), article(2)
    pipeline.publish([stored])
    with pytest.raises(RuntimeError):
        run_worker(FaultyBroker(pipeline.broker, die), pipeline.store, KeywordCoder(), pipeline.settings, once=True)  # type: ignore[arg-type]
    assert len(pipeline.stored()) == expected([stored])
    pipeline.publish([never])
    stats = pipeline.work(Failing())
    assert (stats.articles, stats.events, stats.dead) == (1, expected([stored]), 1)
    assert len(pipeline.agreed()) == expected([stored])
    assert [letter.key for letter in pipeline.dead()] == [b"article-00002"]


class Committed:
    """A consumer that refuses what is above its limit, and keeps the rest: what a topic with small records does."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.kept: list[tuple[list[int], list[Outgoing]]] = []

    def commit(self, consumed: Sequence[Record], outgoing: Sequence[Outgoing]) -> None:
        if any(len(each.value) > self.limit for each in outgoing):
            raise RecordTooLarge("too large for the topic")
        self.kept.append(([each.offset for each in consumed], list(outgoing)))


def test_what_a_topic_does_not_take_is_found_and_buried_and_the_rest_is_published(embedded: Pipeline) -> None:
    embedded.publish([article(1)])
    embedded.work(KeywordCoder())
    events = embedded.events()
    long = events[0].model_copy(update={"crosswalk": "x" * 5_000})
    records = [record(b"v" * size, offset=offset) for offset, size in enumerate((10, 10, 3_000, 10, 10))]
    letter = bury(records[2], "read", ValueError("v"))
    consumer = Committed(2_500)
    done = publish(consumer, records, [events, [long], letter, [], events], Topics())  # type: ignore[arg-type]
    assert [offset for offsets, _ in consumer.kept for offset in offsets] == [0, 1, 2, 3, 4]
    assert done[0] == done[4] == events
    assert isinstance(done[1], DeadLetter)
    assert (done[1].failure.stage, done[1].failure.exception, done[1].value) == ("publish", "RecordTooLarge", b"v" * 10)
    assert isinstance(done[2], DeadLetter)
    assert (done[2].value, done[2].failure.stage) == (b"", "read")
    assert "3000 bytes" in done[2].failure.message
    with pytest.raises(RecordTooLarge):
        publish(Committed(-1), records, [events, [long], letter, [], events], Topics())  # type: ignore[arg-type]


def test_a_broken_model_buries_no_article(embedded: Pipeline) -> None:
    class Broken(KeywordCoder):
        def code_many(self, articles: object, *, min_confidence: float | None = None) -> Iterator[list[Event]]:
            raise ModelError("weights are damaged")

    embedded.publish([article(1)])
    with pytest.raises(ModelError):
        embedded.work(Broken())
    assert embedded.dead() == []
    assert embedded.left() == 1


def test_memory_that_runs_out_over_a_batch_is_no_fault_of_its_articles(embedded: Pipeline) -> None:
    class Hungry(KeywordCoder):
        def code_many(self, articles: object, *, min_confidence: float | None = None) -> Iterator[list[Event]]:
            raise MemoryError

    embedded.publish([article(1), article(2)])
    stats = embedded.work(Hungry())
    assert (stats.articles, stats.dead) == (2, 0)
    embedded.agreed()


# --- stopping ---


@pytest.mark.parametrize("alone", [False, True])
def test_a_stop_in_mid_batch_commits_what_is_coded_and_leaves_the_rest(embedded: Pipeline, alone: bool) -> None:
    stop = threading.Event()

    class Stopping(KeywordCoder):
        coded = 0

        def events(self, text: str, title: str = "", min_confidence: float | None = None) -> list[Event]:
            self.coded += 1
            if self.coded == 5:
                stop.set()
            return super().events(text, title, min_confidence)

    articles = [article(1, f"Rebels killed {number}.", revision=number) for number in range(1, 13)]
    if alone:
        articles[1] = article(1, "BATCHPOISON killed 2.", revision=2)
    embedded.publish(articles)
    stats = embedded.work(Stopping(), stop=stop, once=False)
    assert stats.articles == 5
    assert embedded.left() == 7
    embedded.work(KeywordCoder())
    assert [event.revision for event in embedded.agreed().values()] == [12]


def test_a_worker_that_is_told_to_stop_before_it_starts_does_nothing(embedded: Pipeline) -> None:
    embedded.publish([article(1)])
    stop = threading.Event()
    stop.set()
    assert embedded.work(KeywordCoder(), stop=stop).batches == 0
    assert embedded.left() == 1


def test_the_time_of_coding_is_the_worker_s(embedded: Pipeline) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    embedded.publish([article(1)])
    embedded.work(KeywordCoder())
    assert all(before <= event.coded <= datetime.now(UTC) for event in embedded.agreed().values())


def test_what_was_buried_first_stays_buried_though_a_zombie_can_code_it(pipeline: Pipeline) -> None:
    pipeline.publish([article(1)])
    consumer = pipeline.broker.consumer([pipeline.settings.topics.articles], pipeline.settings.group)
    while not (records := consumer.poll(1, 1.0)):
        pass
    # Coded by one that falls asleep before it stores; buried and published by the next; then the sleeper wakes.
    late = code_records(KeywordCoder(), records, None, threading.Event())
    letters = store_codings(pipeline.store, records, [bury(records[0], "code", MemoryError("once"))])
    consumer.commit(records, outputs(records, letters, pipeline.settings.topics))
    assert store_codings(pipeline.store, records, late) == letters
    consumer.close()
    assert pipeline.agreed() == {}
    assert [letter.failure.exception for letter in pipeline.dead()] == ["MemoryError"]
