"""Dead letters: article records that could not be read, coded, stored or published, with what went wrong.

A letter lies in the topic `articles.dead` with the key and value of the record unharmed. Headers, each UTF-8, tell of the
failure: topic, partition and offset (where the record lay), stage, exception, message, attempts and history. A replay
publishes the record to its topic again with the headers attempts and history, so that one which fails again comes back
with all of its past. Other headers of the record travel along untouched.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError

from ingest.broker import Broker, Headers, Outgoing, Record
from ingest.errors import RecordError
from ingest.log import mask
from ingest.records import format_time
from ingest.settings import Settings

log = logging.getLogger(__name__)

Stage = Literal["read", "code", "store", "publish"]
_OURS = frozenset({"topic", "partition", "offset", "stage", "exception", "message", "attempts", "history"})
# Messages quote the record, and the history grows with each replay: neither may outgrow what a topic takes.
_MESSAGE_LIMIT = 1_000
_HISTORY_LIMIT = 20
_POLL_RECORDS = 100
_POLL_SECONDS = 0.5
# Each may be some megabytes large.
_REPLAY_RECORDS = 20
_LEFT_OUT = "too large for a dead letter"


@dataclass(frozen=True, slots=True)
class Failure:
    """How a record failed once. `stage` is read, code, store or publish; `attempts` counts all tries up to then."""

    stage: str
    exception: str
    message: str
    attempts: int
    topic: str
    partition: int
    offset: int


_PAST = TypeAdapter(tuple[Failure, ...])


class _Feed(BaseModel):
    """What is read of a record that is no article: also of one of a later schema, or with one field wrong."""

    feed: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record and its failures, the last one in `failure`, the earlier ones in `history`, oldest first.

    `headers` are those of the record that are not ours. `letter_id` ("partition-offset" in the topic of the dead) and
    `died` are empty until the letter has been published.
    """

    key: bytes | None
    value: bytes
    failure: Failure
    history: tuple[Failure, ...] = ()
    headers: Headers = ()
    letter_id: str = ""
    died: datetime | None = None

    @property
    def feed(self) -> str | None:
        """The feed that the record names; None where that cannot be read."""
        try:
            return _Feed.model_validate_json(self.value).feed
        except ValidationError:
            return None

    def to_dict(self) -> dict[str, Any]:
        """The letter without its value as plain lists, dicts, strings and numbers, for `json.dumps`."""
        return {
            "id": self.letter_id,
            "died": format_time(self.died) if self.died else None,
            "key": (self.key or b"").decode(errors="replace"),
            "feed": self.feed,
            "bytes": len(self.value),
            **asdict(self.failure),
            "history": [asdict(failure) for failure in self.history],
        }


@dataclass(frozen=True, slots=True)
class DeadFilter:
    """Which letters are wanted: those that pass every test given.

    `topic` is the one that the record lay in; `since` (included) and `until` (not included) are times of death.
    """

    stage: str | None = None
    exception: str | None = None
    article_id: str | None = None
    feed: str | None = None
    topic: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    letter_ids: frozenset[str] = frozenset()

    def matches(self, letter: DeadLetter) -> bool:
        """Whether `letter` passes."""
        return (
            (self.stage is None or letter.failure.stage == self.stage)
            and (self.exception is None or letter.failure.exception == self.exception)
            and (self.article_id is None or letter.key == self.article_id.encode(errors="replace"))
            and (self.topic is None or letter.failure.topic == self.topic)
            and (self.since is None or (letter.died is not None and letter.died >= self.since))
            and (self.until is None or (letter.died is not None and letter.died < self.until))
            and (not self.letter_ids or letter.letter_id in self.letter_ids)
            and (self.feed is None or letter.feed == self.feed)
        )


def bury(record: Record, stage: str, error: Exception, attempts: int = 1) -> DeadLetter:
    """The letter for a record that failed in `stage` after `attempts` tries, with the history of its earlier lives."""
    failure = Failure(
        stage=stage,
        exception=type(error).__name__,
        message=mask(str(error) or type(error).__name__)[:_MESSAGE_LIMIT],
        attempts=_number(dict(record.headers), "attempts", 0) + attempts,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
    return _letter(record, failure)


def _letter(record: Record, failure: Failure) -> DeadLetter:
    return DeadLetter(record.key, record.value, failure, history_of(record.headers), _others(record.headers))


def as_reason(failure: Failure) -> str:
    """The failure as JSON, for the store to decide upon; `buried` makes a letter of it again."""
    return json.dumps(asdict(failure))


def buried(record: Record, reason: str) -> DeadLetter:
    """The letter for a record of which it was decided, at this delivery or one before, that it is buried."""
    return _letter(record, Failure(**json.loads(reason)))


def without_value(letter: DeadLetter) -> DeadLetter:
    """The letter for a topic that does not take the record itself; it tells how large it was, and has no other headers."""
    failure = letter.failure
    note = f"({len(letter.value)} bytes, {_LEFT_OUT}: the record lies in its own topic only)"
    key = letter.key and letter.key[:_MESSAGE_LIMIT]
    failure = replace(failure, message=f"{failure.message} {note}")
    return replace(letter, key=key, value=b"", headers=(), failure=failure)


def as_letter(letter: DeadLetter, topic: str) -> Outgoing:
    """The record to publish to `topic`, the topic of the dead."""
    own = tuple((name, str(value).encode(errors="replace")) for name, value in asdict(letter.failure).items())
    history = (("history", _PAST.dump_json(letter.history)),) if letter.history else ()
    return Outgoing(topic, letter.key, letter.value, (*own, *history, *letter.headers))


def as_replay(letter: DeadLetter) -> Outgoing:
    """The record to publish to the topic from which the letter came."""
    past = (*letter.history, letter.failure)[-_HISTORY_LIMIT:]
    own = (("attempts", str(letter.failure.attempts).encode()), ("history", _PAST.dump_json(past)))
    return Outgoing(letter.failure.topic, letter.key, letter.value, (*own, *letter.headers))


def read_letter(record: Record) -> DeadLetter:
    """The letter in a record of the topic of the dead. Never raises: a missing or broken header reads as unknown."""
    given = dict(record.headers)
    failure = Failure(
        stage=_text(given, "stage"),
        exception=_text(given, "exception"),
        message=_text(given, "message"),
        attempts=_number(given, "attempts", 1),
        topic=_text(given, "topic"),
        partition=_number(given, "partition", -1),
        offset=_number(given, "offset", -1),
    )
    return DeadLetter(
        key=record.key,
        value=record.value,
        failure=failure,
        history=history_of(record.headers),
        headers=_others(record.headers),
        letter_id=f"{record.partition}-{record.offset}",
        died=_time(record.timestamp),
    )


def list_dead(broker: Broker, settings: Settings, wanted: DeadFilter | None = None) -> Iterator[DeadLetter]:
    """The letters that match, those of one partition in the order of their deaths. Raises BrokerUnavailable."""
    wanted = wanted or DeadFilter()
    reader = broker.reader(settings.topics.dead, "earliest")
    try:
        while True:
            letters = map(read_letter, reader.poll(_POLL_RECORDS, _POLL_SECONDS))
            yield from filter(wanted.matches, letters)
            if reader.at_end():
                return
    finally:
        reader.close()


def find_dead(broker: Broker, settings: Settings, letter_ids: Iterable[str]) -> list[DeadLetter]:
    """The letters of those ids. Raises RecordError where there is none of one, BrokerUnavailable."""
    wanted = frozenset(letter_ids)
    found = list(list_dead(broker, settings, DeadFilter(letter_ids=wanted))) if wanted else []
    if missing := wanted.difference(letter.letter_id for letter in found):
        raise RecordError(f"no dead letter {min(missing)!r} in {settings.topics.dead}: see `conflictwire dead list`")
    return found


def last_letters(broker: Broker, settings: Settings, wanted: DeadFilter) -> Iterator[DeadLetter]:
    """The letters that match, without those of records that were replayed and have failed again, with a letter since.

    Raises BrokerUnavailable.
    """
    again = {_place(failure) for letter in list_dead(broker, settings) for failure in letter.history}
    return (letter for letter in list_dead(broker, settings, wanted) if _place(letter.failure) not in again)


def _place(failure: Failure) -> tuple[str, int, int]:
    return failure.topic, failure.partition, failure.offset


def cannot_return(letter: DeadLetter) -> str | None:
    """Why a letter cannot be replayed; None if it can."""
    if letter.failure.partition < 0:
        return "its headers name no place to return to"
    # An empty value that is all there was, a tombstone, may return; one that was left out may not.
    if not letter.value and _LEFT_OUT in letter.failure.message:
        return "it was too large to be kept: publish it again from its own topic"
    return None


def replay(broker: Broker, letters: Iterable[DeadLetter], on_sent: Callable[[int], None] | None = None) -> int:
    """Publish the records of `letters` to the topics from which they came, and say how many they were.

    The letters stay where they are, and to replay one twice does no harm: the store knows its article's revision by then.
    One that `cannot_return` is passed over with a warning. `on_sent` hears of each chunk how many there are so far.
    Raises BrokerUnavailable and BrokerRejected, after which some of the records may have been published.
    """
    count = 0
    rest = iter(letters)
    producer = broker.producer()
    try:
        while chunk := list(islice(rest, _REPLAY_RECORDS)):
            reasons = [cannot_return(letter) for letter in chunk]
            for letter, reason in zip(chunk, reasons, strict=True):
                if reason:
                    log.warning("not replayed", extra={"letter": letter.letter_id, "reason": reason})
            whole = [letter for letter, reason in zip(chunk, reasons, strict=True) if not reason]
            producer.send([as_replay(letter) for letter in whole])
            count += len(whole)
            if on_sent:
                on_sent(count)
    finally:
        producer.close()
    return count


def _others(headers: Headers) -> Headers:
    return tuple((name, value) for name, value in headers if name not in _OURS)


def _text(headers: dict[str, bytes], name: str) -> str:
    return headers.get(name, b"unknown").decode(errors="replace")


def _number(headers: dict[str, bytes], name: str, default: int) -> int:
    text = headers.get(name, b"").decode(errors="replace")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else default


def _time(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):  # whoever wrote the record chose the number
        return None


def history_of(headers: Headers) -> tuple[Failure, ...]:
    """The earlier failures that the header `history` tells of; whoever may write to the topic may have put anything there."""
    try:
        return _PAST.validate_json(dict(headers).get("history", b"[]"))[-_HISTORY_LIMIT:]
    except ValidationError:
        return ()
