"""Coding an article again says what has changed, and only that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.records import EventRecord, parse_event
from ingest.revisions import event_id, revise, same
from models.events import AcledCode, Actor, Codes, Count, Event, EventDate, Mention, ModelInfo, Span
from tests.ingest.storage.samples import BARE, EVENT, article, at, outline, record, triggered

UNCHANGED: dict[str, dict[str, Any]] = {
    "a new model": {"model": ModelInfo("better", "2")},
    "confidence in the fourth decimal": {"confidence": 0.90004},
    "an actor's confidence in the fourth decimal": {"actors": (replace(EVENT.actors[0], confidence=0.80004),)},
}
CHANGED: dict[str, dict[str, Any]] = {
    "quad": {"quad": "verbal conflict"},
    "modes": {"modes": ()},
    "intensity": {"intensity": -9.0},
    "realis": {"realis": "negated"},
    "confidence": {"confidence": 0.91},
    "a moved trigger": {"trigger": replace(EVENT.trigger, start=8, end=14)},
    "sentence": {"sentence": replace(EVENT.sentence, text="Rebels bombed a market.")},
    "codes": {"codes": Codes("ASSAULT", "18", AcledCode("Battles", "Armed clash"))},
    "crosswalk": {"crosswalk": "2"},
    "actors": {"actors": ()},
    "an actor's country": {"actors": (replace(EVENT.actors[0], country="IRQ"),)},
    "another recipient": {"recipients": (*EVENT.recipients, Actor("police", 40, 46, "text"))},
    "location": {"location": None},
    "date": {"date": EventDate("Monday", 35, 41, "text", earliest="2026-11-16", latest="2026-11-16")},
    "dead": {"dead": Count("at least 12", 51, 62, "text", min=12, max=12)},
    "injured": {"injured": Count("3", 70, 71, "text", min=3, max=3)},
    "claimed_by": {"claimed_by": ()},
    "another mention": {"mentions": (Mention(EVENT.trigger, EVENT.sentence),)},
}


@pytest.mark.parametrize("change", UNCHANGED.values(), ids=UNCHANGED)
def test_what_is_no_news_makes_no_revision(change: dict[str, Any]) -> None:
    edited = article(revision=2, title="Another title", published=at(5))
    assert revise([record()], edited, [replace(EVENT, **change)], at(1)) == []


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_what_differs_is_an_update(change: dict[str, Any]) -> None:
    event = replace(EVENT, **change)
    [updated] = revise([record()], article(revision=2), [event], at(1))
    assert (updated.event_id, updated.revision, updated.status) == (record().event_id, 2, "updated")
    assert (updated.article.revision, updated.coded) == (2, at(1))
    assert same(updated, event)


def test_every_field_of_an_event_is_in_the_tables_above() -> None:
    named = {field for change in (*CHANGED.values(), *UNCHANGED.values()) for field in change}
    assert named | {"type"} == set(Event.__dataclass_fields__)


def test_a_first_coding_makes_new_events_in_text_order() -> None:
    made = revise([], article(), [EVENT, BARE, triggered("shelled")], at(0))
    assert outline(made) == [("bombed", 1, "new"), ("protest", 1, "new"), ("shelled", 1, "new")]
    assert made[0].article.model_dump() == {
        "article_id": "a",
        "revision": 1,
        "feed": "wire",
        "url": "https://example.org/a",
        "title": "Market bombed",
        "published": "2026-11-24T11:00:00.000Z",
        "language": "en",
        "syndication_id": None,
    }


def test_vanished_events_are_retracted_with_their_last_content_after_the_others() -> None:
    stored = revise([], article(), [EVENT, triggered("shelled")], at(0))
    made = revise(stored, article(revision=2), [BARE], at(1))
    assert outline(made) == [("protest", 1, "new"), ("bombed", 2, "retracted"), ("shelled", 2, "retracted")]
    retracted = made[1].model_dump() | {"revision": 1, "status": "new", "coded": "2026-11-24T12:00:00.000Z"}
    assert retracted == stored[0].model_dump()
    assert made[1].coded == at(1)


def test_a_retracted_event_stays_retracted_and_comes_back_as_new() -> None:
    [first] = revise([], article(), [EVENT], at(0))
    [gone] = revise([first], article(revision=2), [], at(1))
    assert revise([gone], article(revision=3), [], at(2)) == []
    [back] = revise([gone], article(revision=4), [EVENT], at(3))
    assert (back.event_id, back.revision, back.status) == (first.event_id, 3, "new")


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (EVENT, replace(EVENT, confidence=0.1, actors=(), sentence=BARE.sentence), True),
        (EVENT, triggered("BOMBED"), True),
        (EVENT, triggered("shelled"), False),
        (EVENT, replace(EVENT, type="COERCE"), False),
        (EVENT, replace(EVENT, trigger=replace(EVENT.trigger, start=50, end=56)), True),
    ],
)
def test_an_event_is_known_by_its_type_and_trigger(one: Event, other: Event, equal: bool) -> None:
    assert (event_id("a", one, 1) == event_id("a", other, 1)) is equal


def test_event_ids_are_the_same_in_every_version() -> None:
    assert event_id("a", EVENT, 1) == "d7468ca1902bb8a1c85c1e8f"  # sha256 of ["a", "ASSAULT", "bombed", 1]
    assert len({event_id("a", EVENT, 1), event_id("a", EVENT, 2), event_id("b", EVENT, 1)}) == 3


words = st.sampled_from(["bombed", "Bombed", "shelled", "marched", "said\x1f1", "نحن", "💥"])
coded_events = st.lists(
    st.builds(
        lambda word, kind, confidence, realis: triggered(word, type=kind, confidence=confidence, realis=realis),
        words,
        st.sampled_from(["ASSAULT", "PROTEST"]),
        st.sampled_from([0.5, 0.50004, 0.6]),
        st.sampled_from(["actual", "future"]),
    ),
    max_size=6,
).map(tuple)


@given(st.lists(coded_events, min_size=1, max_size=6))
def test_applying_revisions_gives_what_was_coded_last(codings: list[tuple[Event, ...]]) -> None:
    current: dict[str, EventRecord] = {}
    for number, events in enumerate(codings, start=1):
        edited = article(revision=number)
        made = revise(list(current.values()), edited, events, at(number))

        assert len({each.event_id for each in made}) == len(made)
        for each in made:
            former = current.get(each.event_id)
            assert each.revision == (former.revision + 1 if former else 1)
            assert parse_event(each.to_json()) == each
        current |= {each.event_id: each for each in made}
        assert revise(list(current.values()), edited, events, at(number + 0.5)) == []

    held = {each.event_id: each for each in current.values() if each.status != "retracted"}
    seen: dict[tuple[str, str], int] = {}
    for event in codings[-1]:
        likeness = (event.type, event.trigger.text.casefold())
        seen[likeness] = seen.get(likeness, 0) + 1
        assert same(held.pop(event_id("a", event, seen[likeness])), event)
    assert held == {}


def test_spans_count_as_they_are() -> None:
    moved = replace(EVENT, claimed_by=(Span("Rebels", 100, 106, "text"),))
    assert not same(record(), moved)
