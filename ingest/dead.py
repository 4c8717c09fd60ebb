"""Dead letters: article records that could not be read, coded, stored or published, with what went wrong.

A letter lies in the topic `articles.dead` with the key and value of the record unharmed. Headers, each UTF-8, tell of the
failure: topic, partition and offset (where the record lay), stage, exception, message, attempts and history. A replay
publishes the record to its topic again with the headers attempts and history, so that one which fails again comes back
with all of its past. Other headers of the record travel along untouched.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ingest.broker import Broker, Headers, Outgoing, Record
from ingest.errors import RecordError
from ingest.log import mask
from ingest.records import format_time
from ingest.settings import Settings

log = logging.getLogger(__name__)

_OURS = frozenset({"topic", "partition", "offset", "stage", "exception", "message", "attempts", "history"})
# Messages quote the record, and the history grows with each replay: neither may outgrow what a topic takes.
_MESSAGE_LIMIT = 1_000
_HISTORY_LIMIT = 20
_POLL_RECORDS = 200
_POLL_SECONDS = 0.5
_REPLAY_RECORDS = 100


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

    def to_dict(self) -> dict[str, Any]:
        """The letter without its value as plain lists, dicts, strings and numbers, for `json.dumps`."""
        return {
            "id": self.letter_id,
            "died": format_time(self.died) if self.died else None,
            "key": (self.key or b"").decode(errors="replace"),
            "bytes": len(self.value),
            **asdict(self.failure),
            "history": [asdict(failure) for failure in self.history],
        }


@dataclass(frozen=True, slots=True)
class DeadFilter:
    """Which letters are wanted: those that pass every test given. `since` is the time of death, included."""

    stage: str | None = None
    exception: str | None = None
    article_id: str | None = None
    since: datetime | None = None

    def matches(self, letter: DeadLetter) -> bool:
        """Whether `letter` passes."""
        return (
            (self.stage is None or letter.failure.stage == self.stage)
            and (self.exception is None or letter.failure.exception == self.exception)
            and (self.article_id is None or letter.key == self.article_id.encode())
            and (self.since is None or (letter.died is not None and letter.died >= self.since))
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
    return DeadLetter(record.key, record.value, failure, _history(record.headers), _others(record.headers))


def without_value(letter: DeadLetter) -> DeadLetter:
    """The letter for a topic that does not take the record itself; it tells how large it was."""
    failure = letter.failure
    note = f"({len(letter.value)} bytes, too large for a dead letter: the record lies in its own topic only)"
    return replace(letter, value=b"", failure=replace(failure, message=f"{failure.message} {note}"))


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
        history=_history(record.headers),
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


def find_dead(broker: Broker, settings: Settings, letter_id: str) -> DeadLetter:
    """The letter of that id. Raises RecordError where there is none, BrokerUnavailable."""
    for letter in list_dead(broker, settings):
        if letter.letter_id == letter_id:
            return letter
    raise RecordError(f"no dead letter {letter_id!r} in {settings.topics.dead}: see `conflictwire dead list`")


def replay(broker: Broker, letters: Iterable[DeadLetter]) -> int:
    """Publish the records of `letters` to the topics from which they came, and say how many they were.

    The letters stay where they are, and to replay one twice does no harm: the store knows its article's revision by then.
    A letter without a value, or whose headers name no place, is passed over with a warning. Raises BrokerUnavailable and
    BrokerRejected, after which some of the records may have been published.
    """
    count = 0
    rest = iter(letters)
    producer = broker.producer()
    try:
        while chunk := list(islice(rest, _REPLAY_RECORDS)):
            whole = [letter for letter in chunk if letter.value and letter.failure.partition >= 0]
            for letter in set(chunk).difference(whole):
                log.warning(
                    "not replayed: without a value, or a place to return to", extra={"letter": letter.letter_id}
                )
            producer.send([as_replay(letter) for letter in whole])
            count += len(whole)
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


def _history(headers: Headers) -> tuple[Failure, ...]:
    """What the header `history` tells; whoever may write to the topic may have put anything there."""
    try:
        return _PAST.validate_json(dict(headers).get("history", b"[]"))[-_HISTORY_LIMIT:]
    except ValidationError:
        return ()
