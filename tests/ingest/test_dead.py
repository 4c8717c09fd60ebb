"""Dead letters keep the record unharmed and the whole history of its failures, whatever stands in the headers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.broker import Broker, Headers, Outgoing, Record, open_broker
from ingest.dead import (
    DeadFilter,
    DeadLetter,
    Failure,
    as_letter,
    as_replay,
    bury,
    find_dead,
    last_letters,
    list_dead,
    read_letter,
    replay,
    without_value,
)
from ingest.errors import RecordError
from ingest.settings import Settings

VALUE = b'{"not": "an article"} \xff\x00'


def record(headers: Headers = (), value: bytes = VALUE, offset: int = 7, key: bytes | None = b"a1") -> Record:
    return Record("articles", 3, offset, key, value, headers, timestamp=1_700_000_000_000)


def delivered(outgoing: Outgoing, offset: int = 0, timestamp: int = 1_700_000_000_000) -> Record:
    return Record(outgoing.topic, 2, offset, outgoing.key, outgoing.value, outgoing.headers, timestamp)


def test_a_letter_carries_the_record_unharmed_and_says_in_headers_what_happened() -> None:
    letter = bury(record((("traceparent", b"\xff1"),)), "code", ValueError("größer"), attempts=3)
    outgoing = as_letter(letter, "articles.dead")
    assert (outgoing.topic, outgoing.key, outgoing.value) == ("articles.dead", b"a1", VALUE)
    assert dict(outgoing.headers) == {
        "topic": b"articles",
        "partition": b"3",
        "offset": b"7",
        "stage": b"code",
        "exception": b"ValueError",
        "message": "größer".encode(),
        "attempts": b"3",
        "traceparent": b"\xff1",
    }


def test_a_replayed_record_that_fails_again_comes_back_with_its_history() -> None:
    first = read_letter(delivered(as_letter(bury(record(), "code", ValueError("one"), 3), "articles.dead")))
    again = as_replay(first)
    assert (again.topic, again.key, again.value) == ("articles", b"a1", VALUE)
    assert dict(again.headers)["attempts"] == b"3"
    second = bury(delivered(again, offset=40), "store", OSError("two"))
    assert second.failure == Failure("store", "OSError", "two", 4, "articles", 2, 40)
    assert second.history == (Failure("code", "ValueError", "one", 3, "articles", 3, 7),)
    third = bury(delivered(as_replay(second), offset=50), "read", RecordError("three"))
    read = read_letter(delivered(as_letter(third, "articles.dead"), offset=9))
    assert [failure.message for failure in (*read.history, read.failure)] == ["one", "two", "three"]
    assert read.failure.attempts == 5
    assert read.letter_id == "2-9"
    assert read.died == datetime.fromtimestamp(1_700_000_000, UTC)
    assert read.value == VALUE


def test_other_headers_travel_with_the_record_through_death_and_replay() -> None:
    letter = bury(
        record((("traceparent", b"t"), ("x", b"1"), ("x", b"2"), ("stage", b"forged"))), "code", ValueError("v")
    )
    back = as_replay(read_letter(delivered(as_letter(letter, "articles.dead"))))
    assert [header for header in back.headers if header[0] not in ("attempts", "history")] == [
        ("traceparent", b"t"),
        ("x", b"1"),
        ("x", b"2"),
    ]


def test_neither_messages_nor_histories_grow_without_bound() -> None:
    read = record()
    for _ in range(50):
        read = delivered(as_replay(bury(read, "read", ValueError("x" * 10_000))))
    letter = bury(read, "read", ValueError("x" * 10_000))
    assert letter.failure.attempts == 51
    assert len(letter.history) == 20
    assert sum(len(value) for _, value in as_letter(letter, "articles.dead").headers) < 30_000


def test_a_letter_without_its_value_says_how_large_it_was() -> None:
    large = bury(record((("x", b"y" * 10_000),), b"x" * 123_456, key=b"k" * 10_000), "read", RecordError("too large"))
    letter = without_value(large)
    assert (letter.value, letter.headers, letter.key) == (b"", (), b"k" * 1_000)
    assert "too large" in letter.failure.message
    assert "123456 bytes" in letter.failure.message


def test_secrets_do_not_get_into_letters() -> None:
    letter = bury(record(), "store", ValueError("postgresql://u:hunter2@db/x refused"))
    assert "hunter2" not in letter.failure.message


def test_exceptions_without_words_are_named() -> None:
    assert bury(record(), "code", MemoryError()).failure.message == "MemoryError"


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["topic", "partition", "offset", "stage", "message", "attempts", "history", "x"]),
        st.one_of(
            st.binary(max_size=30),
            st.sampled_from(
                [b"-1", b"9" * 5000, "²".encode(), b"[]", b"[1]", b'[{"stage": 1}]', b"[" * 5000, b"{}", b"null"]
            ),
        ),
    ),
    max_size=8,
).map(tuple)


@given(HEADERS, st.integers(-(2**63), 2**63 - 1), st.none() | st.binary(max_size=5), st.binary(max_size=20))
def test_whatever_stands_in_headers_can_be_read_shown_and_buried(
    headers: Headers, timestamp: int, key: bytes | None, value: bytes
) -> None:
    letter = read_letter(Record("articles.dead", 0, 1, key, value, headers, timestamp))
    assert letter.value == value
    json.dumps(letter.to_dict())
    buried = bury(Record("articles", 0, 1, key, value, headers, timestamp), "read", ValueError("v"))
    assert read_letter(delivered(as_letter(buried, "articles.dead"))).failure == buried.failure


LETTER = read_letter(
    delivered(
        as_letter(bury(record(value=b'{"feed": "sahel", "schema": 9}'), "code", ValueError("v")), "articles.dead")
    )
)


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        (DeadFilter(), True),
        (DeadFilter(stage="code"), True),
        (DeadFilter(stage="read"), False),
        (DeadFilter(exception="ValueError"), True),
        (DeadFilter(exception="OSError"), False),
        (DeadFilter(article_id="a1"), True),
        (DeadFilter(article_id="a"), False),
        (DeadFilter(since=datetime(2023, 1, 1, tzinfo=UTC)), True),
        (DeadFilter(since=datetime(2026, 1, 1, tzinfo=UTC)), False),
        (DeadFilter(stage="code", exception="OSError"), False),
        (DeadFilter(until=datetime(2026, 1, 1, tzinfo=UTC)), True),
        (DeadFilter(until=datetime.fromtimestamp(1_700_000_000, UTC)), False),
        (DeadFilter(feed="sahel"), True),
        (DeadFilter(feed="sahe"), False),
        (DeadFilter(topic="articles"), True),
        (DeadFilter(topic="events"), False),
        (DeadFilter(letter_ids=frozenset({"2-0"})), True),
        (DeadFilter(letter_ids=frozenset({"2-1"})), False),
        (DeadFilter(article_id="\ud800"), False),
    ],
)
def test_letters_can_be_filtered(wanted: DeadFilter, passes: bool) -> None:
    assert wanted.matches(LETTER) is passes


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path)


@pytest.fixture
def broker(settings: Settings) -> Iterator[Broker]:
    opened = open_broker(settings)
    opened.ensure_topics({"articles": 3, "articles.dead": 3})
    yield opened
    opened.close()


def published(broker: Broker, letters: list[DeadLetter]) -> None:
    producer = broker.producer()
    producer.send([as_letter(letter, "articles.dead") for letter in letters])
    producer.close()


def test_letters_can_be_listed_found_and_replayed(broker: Broker, settings: Settings) -> None:
    buried = [
        bury(
            record(key=f"a{number}".encode(), offset=number), "read" if number % 2 else "code", ValueError(str(number))
        )
        for number in range(250)
    ]
    published(broker, buried)
    listed = list(list_dead(broker, settings))
    assert sorted(int(letter.failure.message) for letter in listed) == list(range(250))
    assert len({letter.letter_id for letter in listed}) == 250
    some = list(list_dead(broker, settings, DeadFilter(stage="read")))
    assert len(some) == 125
    assert find_dead(broker, settings, [some[0].letter_id]) == some[:1]
    assert {letter.letter_id for letter in find_dead(broker, settings, [letter.letter_id for letter in some])} == {
        letter.letter_id for letter in some
    }

    assert replay(broker, some) == 125
    reader = broker.reader("articles", "earliest")
    returned: list[Record] = []
    while not reader.at_end():
        returned += reader.poll(500, 0.1)
    reader.close()
    assert {back.key for back in returned} == {letter.key for letter in some}
    assert all(back.value == VALUE for back in returned)
    assert len(list(list_dead(broker, settings))) == 250


def test_a_letter_that_is_not_there_is_named(broker: Broker, settings: Settings) -> None:
    with pytest.raises(RecordError, match="no dead letter '0-99'"):
        find_dead(broker, settings, ["0-99"])


def test_letters_with_nowhere_to_return_to_are_passed_over(
    broker: Broker, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    producer = broker.producer()
    producer.send([Outgoing("articles.dead", b"k", b"written by hand")])
    producer.close()
    tombstone = bury(record(value=b"", offset=8), "read", ValueError("v"))
    published(broker, [without_value(bury(record(), "read", ValueError("v"))), tombstone])
    sent: list[int] = []
    assert replay(broker, list_dead(broker, settings), sent.append) == 1
    assert sum("not replayed" in message for message in caplog.messages) == 2
    assert sent[-1] == 1


def test_a_record_that_failed_again_is_replayed_from_its_last_letter_only(broker: Broker, settings: Settings) -> None:
    first = bury(record(offset=1), "code", ValueError("one"))
    second = bury(delivered(as_replay(first), offset=5), "code", ValueError("two"))
    third = bury(delivered(as_replay(second), offset=9), "store", ValueError("three"))
    other = bury(record(offset=2), "code", ValueError("other"))
    published(broker, [first, second, third, other])
    last = last_letters(broker, settings, DeadFilter())
    assert sorted(letter.failure.message for letter in last) == ["other", "three"]
    # The one that failed elsewhere in the end is not among those that fail in the coder.
    coding = last_letters(broker, settings, DeadFilter(stage="code"))
    assert [letter.failure.message for letter in coding] == ["other"]


@pytest.mark.parametrize("value", [VALUE, b"", b"[" * 100_000, b'{"feed": 1}', b'{"feed": "\\ud800"}', b"null"])
def test_the_feed_of_a_record_that_tells_none_is_unknown(value: bytes) -> None:
    assert bury(record(value=value), "read", ValueError("v")).feed is None
