"""The checker fails on each way in which a promise can be broken; or the suite could never fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ingest.broker import Record
from ingest.dead import as_letter, bury, read_letter
from ingest.errors import RecordError
from ingest.records import EventRecord, parse_article, parse_event
from ingest.revisions import revise
from tests.faults.check import Outcome, check
from tests.faults.run import code, must_die
from tests.faults.stream import stream
from tests.ingest.pipeline import PUBLISHED, article

SEED, ARTICLES = 10, 100


def kept() -> Outcome:
    """What a run leaves behind that keeps every promise: revisions, poison, and a record that was published twice."""
    records: list[Record] = []
    for sent in stream(SEED, ARTICLES, "articles"):
        records.append(Record("articles", 0, len(records), sent.record.key, sent.record.value))
    records.append(replace(records[3], offset=len(records)))
    events: list[Record] = []
    letters, coded, stored = [], [], []
    current: dict[str, dict[str, EventRecord]] = {}
    latest: dict[str, int] = {}
    for record in records:
        try:
            found = parse_article(record.value)
        except RecordError as error:
            letters.append(bury(record, "read", error))
            continue
        if must_die(found):
            letters.append(bury(record, "code", ValueError("poison")))
            continue
        coded.append(((0, record.offset), found.article_id))
        if found.revision < latest.get(found.article_id, 0):
            continue
        latest[found.article_id] = found.revision
        known = current.setdefault(found.article_id, {})
        made = revise(list(known.values()), found, code(found), PUBLISHED)
        known.update((event.event_id, event) for event in made)
        for event in made:
            events.append(Record("events", 0, len(events), record.key, event.to_json()))
            stored.append(((event.event_id, event.revision), event.to_json().decode()))
    published = [
        read_letter(Record(each.topic, 0, n, each.key, each.value, each.headers))
        for n, each in enumerate(as_letter(letter, "dead") for letter in letters)
    ]
    sent = [(record.key, record.value) for record in records]
    return Outcome(sent, records, events, published, stored, coded, waiting=0)


KEPT = kept()


def problems(outcome: Outcome) -> list[str]:
    return check(outcome, code, must_die).problems


def an_event(status: str) -> int:
    """Where on the topic the first event of that status lies."""
    return next(n for n, record in enumerate(KEPT.events) if parse_event(record.value).status == status)


def without(outcome: Outcome, name: str, at: int) -> Outcome:
    every = list(getattr(outcome, name))
    del every[at]
    return replace(outcome, **{name: every})


def twice(outcome: Outcome, name: str, at: int) -> Outcome:
    every = list(getattr(outcome, name))
    return replace(outcome, **{name: [*every, every[at]]})


def swapped() -> Outcome:
    """An article's update before the event that it updates."""
    events = list(KEPT.events)
    late = an_event("updated")
    early = next(n for n, record in enumerate(events) if record.key == events[late].key)
    events[early], events[late] = events[late], events[early]
    return replace(KEPT, events=events)


def changed(name: str) -> Outcome:
    """One event that says something else than what was coded, on the topic, in the store, or in both."""
    at = an_event("new")
    other = parse_event(KEPT.events[at].value).model_copy(update={"confidence": 0.123}).to_json()
    outcome = KEPT
    if name in ("topic", "both"):
        events = list(outcome.events)
        events[at] = replace(events[at], value=other)
        outcome = replace(outcome, events=events)
    if name in ("store", "both"):
        stored = list(outcome.stored)
        stored[at] = (stored[at][0], other.decode())
        outcome = replace(outcome, stored=stored)
    return outcome


def foreign() -> Outcome:
    """An event of no article that was published, on the topic and in the store."""
    none = article(9_999)
    (event,) = revise([], none, code(none)[:1], PUBLISHED)
    record = Record("events", 0, len(KEPT.events), none.article_id.encode(), event.to_json())
    stored = ((event.event_id, event.revision), event.to_json().decode())
    return replace(KEPT, events=[*KEPT.events, record], stored=[*KEPT.stored, stored])


def unexplained() -> Outcome:
    letter = KEPT.letters[0]
    return replace(
        KEPT, letters=[replace(letter, failure=replace(letter.failure, exception="unknown")), *KEPT.letters[1:]]
    )


def harmed() -> Outcome:
    return replace(KEPT, letters=[replace(KEPT.letters[0], value=b"other"), *KEPT.letters[1:]])


def buried() -> Outcome:
    """An article that can be coded among the dead, with nothing of it in the store or on the topic."""
    place, by = KEPT.coded[-1]
    record = next(each for each in KEPT.articles if (each.partition, each.offset) == place)
    made = [n for n, each in enumerate(KEPT.events) if each.key == by.encode()]
    letter = bury(record, "code", ValueError("no"))
    return replace(
        KEPT,
        letters=[*KEPT.letters, letter],
        coded=[each for each in KEPT.coded if each[1] != by or each[0] != place],
        events=[each for n, each in enumerate(KEPT.events) if n not in made],
        stored=[each for n, each in enumerate(KEPT.stored) if n not in made],
    )


def test_a_run_that_keeps_its_promises_passes_and_has_all_there_is_to_check() -> None:
    assert problems(KEPT) == []
    statuses = {parse_event(record.value).status for record in KEPT.events}
    assert statuses == {"new", "updated", "retracted"}
    assert {letter.failure.stage for letter in KEPT.letters} == {"read", "code"}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda: without(KEPT, "events", an_event("new")), "lost"),
        (lambda: without(KEPT, "events", an_event("updated")), "lost"),
        (lambda: without(KEPT, "events", an_event("retracted")), "lost"),
        (lambda: without(without(KEPT, "events", -1), "stored", -1), "lost"),
        (lambda: without(KEPT, "stored", an_event("new")), "lost"),
        (lambda: without(KEPT, "articles", -2), "lost"),
        (lambda: without(KEPT, "coded", 5), "lost"),
        (lambda: without(KEPT, "letters", 0), "lost"),
        (lambda: replace(KEPT, waiting=1), "not read"),
        (lambda: twice(KEPT, "events", an_event("new")), "doubled"),
        (lambda: twice(KEPT, "events", an_event("retracted")), "doubled"),
        (lambda: twice(KEPT, "stored", 0), "doubled"),
        (lambda: twice(KEPT, "coded", 0), "doubled"),
        (lambda: twice(KEPT, "letters", 0), "doubled"),
        (lambda: replace(KEPT, coded=[*KEPT.coded, ((0, KEPT.letters[0].failure.offset), "both")]), "doubled"),
        (swapped, "out of order"),
        (lambda: changed("topic"), "unequal"),
        (lambda: changed("store"), "unequal"),
        (lambda: changed("both"), "unexpected"),
        (foreign, "unexpected"),
        (buried, "unexpected"),
        (lambda: replace(KEPT, coded=[*KEPT.coded, ((5, 5), "nobody")]), "unexpected"),
        (unexplained, "no reason"),
        (harmed, "harmed"),
    ],
)
def test_a_broken_promise_is_named(broken: Callable[[], Outcome], says: str) -> None:
    found = problems(broken())
    assert any(problem.startswith(f"{says}:") for problem in found), found
