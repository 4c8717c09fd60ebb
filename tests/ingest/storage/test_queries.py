"""What the store gives back: events by filter, articles, counts."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta, timezone
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.records import EventRecord
from ingest.storage import EventFilter, Store, queries
from models.events import Event
from tests.ingest.storage.samples import BARE, EVENT, NOON, article, at, coding, outline, record, triggered

ACTOR, LOCATION = EVENT.actors[0], EVENT.location
assert LOCATION is not None
VARIETY: list[tuple[dict[str, Any], Event]] = [
    ({"feed": "wire", "published": at(-60)}, EVENT),
    ({"feed": "wire", "published": None}, BARE),
    ({"feed": "gazette", "published": at(-30)}, replace(EVENT, type="COERCE", realis="negated", confidence=0.3)),
    ({"feed": "gazette", "published": at(-60)}, replace(EVENT, location=None, confidence=0.30000000000000004)),
    ({"feed": "", "published": at(0)}, replace(EVENT, actors=(ACTOR, replace(ACTOR, country="IRQ")), confidence=1.0)),
    (
        {"feed": "wire", "published": at(-1)},
        replace(EVENT, recipients=(replace(ACTOR, country="FRA"),), realis="future"),
    ),
    ({"feed": "WIRE", "published": at(-60)}, replace(EVENT, location=replace(LOCATION, country=None), confidence=0.0)),
    ({"feed": "wire", "published": at(-45)}, replace(BARE, type="ASSAULT", actors=(replace(ACTOR, country="IGO"),))),
]


def fill(store: Store) -> list[EventRecord]:
    """A variety of events, some edited and some retracted since; what is current of them."""
    for number, (fields, event) in enumerate(VARIETY):
        store.apply([coding(number, article(f"a{number}", **fields), event, coded=at(number))])
    store.apply([coding(90, article("a0", revision=2, feed="wire"), replace(EVENT, realis="negated"), coded=at(9))])
    store.apply([coding(91, article("a1", revision=2, feed="wire"), coded=at(9))])
    return list(store.events(EventFilter(include_retracted=True)))


@pytest.fixture(scope="module")
def filled(module_store: Store) -> tuple[Store, list[EventRecord]]:
    return module_store, fill(module_store)


times = st.none() | st.sampled_from(
    [NOON + timedelta(minutes=minutes, microseconds=off) for minutes in (-60, -30, 0, 3, 9) for off in (0, 500)]
    + [at(3).replace(tzinfo=None), at(3).astimezone(timezone(timedelta(hours=-9)))]
)


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2).map(tuple)


filters = st.builds(
    EventFilter,
    types=some("ASSAULT", "COERCE", "PROTEST", "assault"),
    countries=some("IRQ", "SYR", "FRA", "IGO", "irq"),
    realis=some("actual", "negated", "future", ""),
    since=times,
    until=times,
    min_confidence=st.none() | st.sampled_from([0.0, 0.3, 0.30000000000000004, 0.5, 1.0]),
    published_since=times,
    published_until=times,
    feed=st.none() | st.sampled_from(["wire", "WIRE", "gazette", "", "none' OR 1=1 --"]),
    article_id=st.none() | st.sampled_from(["a0", "a3", "A0"]),
    include_retracted=st.booleans(),
    happened_since=st.none() | st.sampled_from([date(2026, 11, 23), date(2026, 11, 24)]),
    happened_until=st.none() | st.sampled_from([date(2026, 11, 23), date(2026, 11, 24)]),
)


@given(wanted=filters)
@settings(deadline=None, max_examples=150)
def test_queries_and_matches_decide_the_same(filled: tuple[Store, list[EventRecord]], wanted: EventFilter) -> None:
    store, population = filled
    assert list(store.events(wanted)) == [event for event in population if wanted.matches(event)]


def test_each_test_of_a_filter_can_be_passed_and_failed(filled: tuple[Store, list[EventRecord]]) -> None:
    store, _ = filled
    cases: list[tuple[EventFilter, set[str]]] = [
        (EventFilter(), {"a0", "a2", "a3", "a4", "a5", "a6", "a7"}),
        (EventFilter(include_retracted=True), {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7"}),
        (EventFilter(types=("COERCE",)), {"a2"}),
        (EventFilter(types=("COERCE", "PROTEST"), include_retracted=True), {"a1", "a2"}),
        (EventFilter(countries=("FRA", "IGO")), {"a5", "a7"}),
        (EventFilter(countries=("IRQ",)), {"a0", "a2", "a4", "a5"}),
        (EventFilter(countries=("SYR",), types=("COERCE",)), {"a2"}),
        (EventFilter(realis=("negated",)), {"a0", "a2"}),
        (EventFilter(since=at(4), until=at(6)), {"a4", "a5"}),
        (EventFilter(countries=("SYR",), since=at(4), until=at(6)), {"a4", "a5"}),
        (EventFilter(min_confidence=0.9), {"a0", "a4", "a5"}),
        (EventFilter(published_since=at(-30), published_until=at(0)), {"a2", "a5"}),
        (EventFilter(feed="gazette"), {"a2", "a3"}),
        (EventFilter(article_id="a6"), {"a6"}),
    ]
    for wanted, expected in cases:
        assert {event.article.article_id for event in store.events(wanted)} == expected, wanted


@pytest.mark.parametrize(
    "select",
    [
        *(
            partial(queries.select_events, wanted, 100, newest_first)
            for newest_first in (True, False)
            for wanted in (
                EventFilter(),
                EventFilter(types=("ASSAULT",)),
                EventFilter(types=("ASSAULT", "PROTEST"), realis=("actual",), include_retracted=True),
                EventFilter(countries=("SYR",)),
                EventFilter(countries=("SYR", "IRQ"), types=("ASSAULT",), since=at(0), until=at(1)),
                EventFilter(published_since=at(0), published_until=at(1)),
                EventFilter(feed="wire", min_confidence=0.5),
                EventFilter(article_id="a"),
                EventFilter(as_of=at(5)),
                EventFilter(countries=("SYR",), types=("ASSAULT",), since=at(0), until=at(9), as_of=at(5)),
                EventFilter(types=("ASSAULT",), happened_since=date(2026, 11, 1), as_of=at(5)),
            )
        ),
        *(
            lambda _, select=select, feed=feed: select(feed, 100)
            for select in (queries.select_articles, queries.select_not_coded)
            for feed in (None, "wire")
        ),
    ],
)
def test_queries_read_no_whole_table(
    filled: tuple[Store, list[EventRecord]], select: Callable[[str], sa.GenerativeSelect]
) -> None:
    store, _ = filled
    with store._reading() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if not sqlite:
            # So small a table is read whole for good reason; what is asked is whether an index could be used.
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        compiled = select(connection.dialect.name).compile(connection, compile_kwargs={"literal_binds": True})
        plan = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN' if sqlite else ''} {compiled}").all()
    text = "\n".join(str(row) for row in plan)
    assert not re.search(r"Seq Scan|SCAN (events|event_countries|articles)(?! USING)", text), text
    assert re.search("index", text, re.I), "a plan without rows to look for proves nothing"


def test_retracted_events_of_an_unwanted_kind_do_not_match() -> None:
    assert not EventFilter(types=("PROTEST",)).matches(record())
    assert EventFilter(countries=("SYR",)).matches(record())


def test_events_come_by_time_of_coding_in_either_direction_up_to_a_limit(store: Store) -> None:
    population = fill(store)
    newest = list(store.events(EventFilter(include_retracted=True)))
    assert [event.coded for event in newest] == sorted((event.coded for event in newest), reverse=True)
    assert newest == population
    assert list(store.events(EventFilter(include_retracted=True), newest_first=False)) == newest[::-1]
    assert list(store.events(EventFilter(include_retracted=True), limit=3)) == newest[:3]
    assert list(store.events(EventFilter(), limit=0)) == []
    both = EventFilter(countries=("IRQ", "SYR", "IRQ"))
    assert list(store.events(both, limit=3)) == [event for event in newest if both.matches(event)][:3]


def test_events_are_a_stream_that_others_can_write_beside(store: Store) -> None:
    store.apply([coding(0, article(), *(triggered(f"t{number}") for number in range(2000)))])
    stream = store.events(EventFilter())
    first = next(stream)
    store.apply([coding(1, article(revision=2), coded=at(1))])
    # What was begun is finished from the same snapshot.
    rest = list(stream)
    assert len({first.event_id, *(event.event_id for event in rest)}) == 2000
    assert {event.status for event in rest} == {"new"}
    assert list(store.events(EventFilter())) == []


def test_a_stream_can_be_left_half_read(store: Store) -> None:
    store.apply([coding(0, article(), *(triggered(f"t{number}") for number in range(1000)))])
    for _ in range(20):
        stream = store.events(EventFilter())
        next(stream)
        stream.close()  # type: ignore[attr-defined]
    assert len(list(store.events(EventFilter()))) == 1000


def test_articles_come_newest_first_by_feed_up_to_a_limit(store: Store) -> None:
    some_articles = [
        article(f"a{number}", feed="wire" if number % 2 else "gazette", fetched=at(-number)) for number in range(5)
    ]
    store.apply([coding(number, each) for number, each in enumerate(some_articles)])
    assert list(store.articles()) == some_articles
    assert list(store.articles(feed="wire")) == [some_articles[1], some_articles[3]]
    assert list(store.articles(limit=2)) == some_articles[:2]
    assert list(store.articles(feed="other")) == []


def test_counts_are_of_what_is_current_and_of_all_that_was(store: Store) -> None:
    fill(store)
    counts = store.counts()
    assert (counts.articles, counts.events, counts.retracted, counts.revisions) == (8, 7, 1, 10)
    assert (counts.codings, counts.feeds, counts.known) == (10, 0, 0)
    assert counts.types == {"ASSAULT": 6, "COERCE": 1}
    assert counts.countries == {"IRQ": 4, "SYR": 6, "FRA": 1, "IGO": 1}


def test_texts_can_be_dropped_and_all_else_stays(store: Store) -> None:
    old, new = article("old", fetched=at(-1)), article("new", fetched=at(0))
    [made, _] = store.apply([coding(0, old, EVENT), coding(1, new, EVENT)])
    assert store.drop_texts(at(0)) == 1
    assert store.drop_texts(at(0)) == 0
    assert list(store.articles()) == [new, old.model_copy(update={"text": ""})]
    assert list(store.events(EventFilter(article_id="old"))) == made


def test_an_article_without_its_text_cannot_retract_its_events(store: Store) -> None:
    store.apply([coding(0, article(), EVENT)])
    store.drop_texts(at(0))
    [dropped] = store.articles()
    assert store.apply([coding(1, dropped, coded=at(1))]) == [[]]
    assert outline(list(store.events(EventFilter()))) == [("bombed", 1, "new")]
    # The next revision comes with a text of its own.
    edited = article(revision=2)
    assert outline(store.apply([coding(2, edited, BARE, coded=at(2))])[0]) == [
        ("protest", 1, "new"),
        ("bombed", 2, "retracted"),
    ]
    assert list(store.articles()) == [edited]


def test_many_texts_can_be_dropped(store: Store) -> None:
    store.apply([coding(number, article(f"a{number}")) for number in range(2100)])
    assert store.drop_texts(at(0)) == 2100
    assert {each.text for each in store.articles()} == {""}
