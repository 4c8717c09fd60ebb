"""What must hold after a run, and every way in which it does not. Pure.

The truth is the topic of articles: whatever lies there must have been coded or buried, and the events are those that
coding its records in their order gives. A publisher that had no answer sends again, so a record may lie there twice.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ingest.broker import Record
from ingest.dead import DeadLetter
from ingest.errors import RecordError
from ingest.records import Article, EventRecord, parse_article, parse_event
from ingest.revisions import revise
from models.events import Event

Place = tuple[int, int]
Revision = tuple[str, int]
_CODED = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left behind.

    `sent`: what the publisher has an acknowledgement for. `articles`, `events`: the topics as a read_committed reader gets
    them. `stored`: every event revision in the store, with its JSON. `coded`: the places of article records that the store
    has decided, each with the article's id. `waiting`: records that the group has yet to read.
    """

    sent: Sequence[tuple[bytes | None, bytes]]
    articles: Sequence[Record]
    events: Sequence[Record]
    letters: Sequence[DeadLetter]
    stored: Sequence[tuple[Revision, str]]
    coded: Sequence[tuple[Place, str]]
    waiting: int


@dataclass(slots=True)
class Verdict:
    """`problems` name every breach of a promise, `counts` what there was."""

    problems: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


def check(
    outcome: Outcome,
    code: Callable[[Article], Sequence[Event]],
    must_die: Callable[[Article], bool | None],
    excused: Collection[str] = (),
) -> Verdict:
    """`code` gives the events of an article; `must_die` tells whether it belongs among the dead, None where it may be.

    An exception that is `excused` may bury any article.
    """
    verdict = Verdict()
    say = verdict.problems.append
    if outcome.waiting:
        say(f"not read: {outcome.waiting} article records")
    there = Counter((record.key, _digest(record.value)) for record in outcome.articles)
    for key, value in outcome.sent:
        if not there[key, _digest(value)]:
            say(f"lost: article {key!r} was acknowledged and is not on its topic")
    dead = _letters(outcome, say)
    _places(outcome, dead, must_die, excused, say)
    _events(outcome, _expected(outcome.articles, dead, code), say)
    verdict.counts = {
        "article records": len(outcome.articles),
        "event revisions": len(outcome.events),
        "dead letters": len(outcome.letters),
    }
    return verdict


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()


def _read(record: Record) -> Article | None:
    try:
        return parse_article(record.value)
    except RecordError:
        return None


def _letters(outcome: Outcome, say: Callable[[str], None]) -> dict[Place, DeadLetter]:
    """The letters by where their records lie."""
    records = {(record.partition, record.offset): record for record in outcome.articles}
    found: dict[Place, DeadLetter] = {}
    for letter in outcome.letters:
        failure = letter.failure
        place = (failure.partition, failure.offset)
        if place in found:
            say(f"doubled: the dead letter of article record {place}")
        found[place] = letter
        if "unknown" in (failure.stage, failure.exception) or not failure.message or failure.attempts < 1:
            say(f"no reason: dead letter of article record {place}: {failure}")
        record = records.get(place)
        if record is None:
            say(f"unexpected: a dead letter of article record {place}, which is not there")
        elif (record.key, record.value) != (letter.key, letter.value):
            say(f"harmed: the dead letter of article record {place} holds something else")
    return found


def _places(
    outcome: Outcome,
    dead: Mapping[Place, DeadLetter],
    must_die: Callable[[Article], bool | None],
    excused: Collection[str],
    say: Callable[[str], None],
) -> None:
    """Each article record is coded or buried, and the right one of the two."""
    coded = dict(outcome.coded)
    if len(coded) != len(outcome.coded):
        say(f"doubled: {len(outcome.coded) - len(coded)} article records are decided twice in the store")
    for record in outcome.articles:
        place = (record.partition, record.offset)
        article = _read(record)
        dies = True if article is None else must_die(article)
        who = f"article record {place} ({(record.key or b'').decode(errors='replace')})"
        by = coded.pop(place, None)
        if place in dead:
            if dies is False and dead[place].failure.exception not in excused:
                say(f"unexpected: {who} is dead: {dead[place].failure.message}")
            if by is not None:
                say(f"doubled: {who} is both coded and dead")
        elif by is None:
            say(f"lost: {who} is neither coded nor dead")
        elif dies:
            say(f"unexpected: {who} is coded, and cannot be")
        elif article is None or by != article.article_id:
            say(f"unexpected: {who} is coded as {by}")
    for place, by in coded.items():
        say(f"unexpected: the store has coded article record {place} ({by}), which is not there")


def _expected(
    records: Iterable[Record], dead: Mapping[Place, DeadLetter], code: Callable[[Article], Sequence[Event]]
) -> dict[bytes, list[list[EventRecord]]]:
    """The event revisions of each article, by its records in their order."""
    made: dict[bytes, list[list[EventRecord]]] = {}
    latest: dict[bytes, int] = {}
    current: dict[bytes, dict[str, EventRecord]] = {}
    for record in records:
        article = _read(record)
        if article is None or (record.partition, record.offset) in dead:
            continue
        key = article.article_id.encode()
        if article.revision < latest.get(key, 0):
            continue
        latest[key] = article.revision
        known = current.setdefault(key, {})
        revisions = revise(list(known.values()), article, code(article), _CODED)
        known.update((event.event_id, event) for event in revisions)
        made.setdefault(key, []).append(revisions)
    return made


def _events(outcome: Outcome, expected: Mapping[bytes, list[list[EventRecord]]], say: Callable[[str], None]) -> None:
    """Topic and store hold what is expected, each revision once, in order, and the same in both."""
    stored: dict[Revision, str] = {}
    for revision, text in outcome.stored:
        if revision in stored:
            say(f"doubled: event {revision} in the store")
        stored[revision] = text
    on_topic: dict[bytes, list[EventRecord]] = {}
    for record in outcome.events:
        event = parse_event(record.value)
        revision = (event.event_id, event.revision)
        on_topic.setdefault(record.key or b"", []).append(event)
        # Popped at the first sight, so that what is on the topic twice is not taken for missing in the store.
        if (text := stored.pop(revision, None)) is None:
            seen = sum((each.event_id, each.revision) == revision for each in on_topic[record.key or b""])
            say(
                f"doubled: event {revision} on the topic" if seen > 1 else f"lost: event {revision} is not in the store"
            )
        elif json.loads(text) != json.loads(record.value):
            say(f"unequal: event {revision} on the topic and in the store")
    for revision in stored:
        say(f"lost: event {revision} is in the store and not on the topic")
    for key in expected.keys() | on_topic.keys():
        _compare(key.decode(errors="replace"), expected.get(key, []), on_topic.get(key, []), say)


def _compare(
    article: str, expected: Sequence[Sequence[EventRecord]], found: Sequence[EventRecord], say: Callable[[str], None]
) -> None:
    wanted = Counter(_revision(event) for made in expected for event in made)
    had = Counter(map(_revision, found))
    for revision in wanted - had:
        say(f"lost: event {revision} of article {article} is not on the topic")
    for revision in had.keys() - wanted.keys():
        say(f"unexpected: event {revision} of article {article} on the topic")
    if wanted != had:
        return
    start = 0
    for made in expected:
        got = {_revision(event): event for event in found[start : start + len(made)]}
        start += len(made)
        # What one revision of an article made may be in any order.
        if got.keys() != {_revision(event) for event in made}:
            say(f"out of order: events of article {article}: {[_revision(event) for event in found]}")
            return
        for event in made:
            if event.model_copy(update={"coded": got[_revision(event)].coded}) != got[_revision(event)]:
                say(f"unexpected: event {_revision(event)} of article {article} says something else than its text")


def _revision(event: EventRecord) -> Revision:
    return event.event_id, event.revision
