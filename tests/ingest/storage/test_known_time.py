"""What was known at a time: the same answer for ever, whatever is stored since and in whatever order workers commit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.records import EventRecord
from ingest.storage import EventFilter, Store, connect, queries
from ingest.storage.tables import storings
from models.events import EventDate
from tests.ingest.storage.samples import BARE, EVENT, NOON, article, at, coding, outline, triggered


def known(store: Store, moment: datetime, **wanted: object) -> list[tuple[str, int, str]]:
    return outline(list(store.events(EventFilter(as_of=moment, **wanted), newest_first=False)))  # type: ignore[arg-type]


def stored_at(store: Store) -> datetime:
    """The moment of the last storing."""
    return store.settled(datetime.now(UTC) + timedelta(days=1))


def test_each_revision_is_shown_as_it_was_known(store: Store) -> None:
    moments = [datetime(2000, 1, 1, tzinfo=UTC)]
    for number, events in enumerate([(EVENT, BARE), (replace(EVENT, realis="negated"),), (EVENT, BARE), ()]):
        store.apply([coding(number, article(revision=number + 1), *events, coded=at(number))])
        moments.append(stored_at(store))
    assert moments == sorted(set(moments))
    expected = [
        [],
        [("bombed", 1, "new"), ("protest", 1, "new")],
        [("bombed", 2, "updated")],
        [("bombed", 3, "updated"), ("protest", 3, "new")],
        [],
    ]
    for wanted in ({}, {"countries": ("IRQ", "SYR")}, {"types": ("ASSAULT", "PROTEST")}, {"feed": "wire"}):
        for moment, found in zip(moments, expected, strict=True):
            # BARE names no country.
            mine = [each for each in found if "countries" not in wanted or each[0] == "bombed"]
            assert sorted(known(store, moment, **wanted)) == mine, (wanted, moment)
    before = known(store, moments[2] - timedelta(microseconds=1))
    assert sorted(before) == expected[1], "what is stored at a moment is known from that moment on, not before"
    gone = [("bombed", 4, "retracted"), ("protest", 4, "retracted")]
    assert sorted(known(store, moments[4], include_retracted=True)) == gone


def test_coding_again_adds_revisions_and_leaves_the_past_as_it_was(store: Store) -> None:
    store.apply([coding(number, article(f"a{number}"), EVENT, BARE) for number in range(20)])
    moment = stored_at(store)
    before = list(store.events(EventFilter(as_of=moment)))
    better = replace(EVENT, confidence=0.95)
    again = store.apply([coding(100 + number, article(f"a{number}"), better, coded=at(9)) for number in range(20)])
    assert {made for answer in again for made in outline(answer)} == {
        ("bombed", 2, "updated"),
        ("protest", 2, "retracted"),
    }
    assert store.counts().events == 20
    assert list(store.events(EventFilter(as_of=moment))) == before
    assert len(list(store.events(EventFilter(as_of=stored_at(store))))) == 20


def test_what_happened_when_is_asked_apart_from_what_was_known_when(store: Store) -> None:
    def on(earliest: str, latest: str) -> EventDate:
        return EventDate("then", 0, 4, "text", earliest=earliest, latest=latest)

    for number, day in enumerate([on("2026-10-31", "2026-10-31"), on("2026-10-30", "2026-11-02"), None]):
        store.apply([coding(number, article(f"a{number}"), replace(EVENT, date=day))])

    def found(since: date | None, until: date | None) -> set[str]:
        wanted = EventFilter(happened_since=since, happened_until=until)
        events = list(store.events(wanted))
        assert all(wanted.matches(event) for event in events)
        return {event.article.article_id for event in events}

    assert found(date(2026, 11, 1), None) == {"a1"}
    assert found(None, date(2026, 11, 1)) == {"a0", "a1"}
    assert found(date(2026, 10, 31), date(2026, 11, 1)) == {"a0", "a1"}
    assert found(None, date(2026, 10, 31)) == {"a1"}
    assert found(None, None) == {"a0", "a1", "a2"}


def test_nothing_is_coded_later_than_it_is_stored(store: Store) -> None:
    ahead = datetime.now(UTC) + timedelta(days=3)
    [made] = store.apply([coding(0, article(), EVENT, coded=ahead)])
    assert made[0].coded <= stored_at(store) < ahead
    assert store.apply([coding(0, article(), EVENT, coded=ahead)]) == [made]


def test_no_event_of_an_article_is_coded_before_its_first(store: Store) -> None:
    """By a worker whose clock is slow, months behind: its events would be looked for in later months."""
    store.apply([coding(0, article(), EVENT, BARE, coded=at(5)), coding(1, article("b"), coded=at(-9))])
    slow = replace(EVENT, realis="negated")
    early = NOON - timedelta(days=100)
    [made, other] = store.apply(
        [coding(2, article(revision=2), slow, coded=early), coding(3, article("b", revision=2), EVENT, coded=at(-8))]
    )
    assert outline(made) == [("bombed", 2, "updated"), ("protest", 2, "retracted")]
    assert {each.coded for each in made} == {at(5)}
    assert {each.coded for each in other} == {at(-8)}
    [again] = store.apply([coding(4, article(revision=3), coded=early)])
    assert outline(again) == [("bombed", 3, "retracted")]


def test_the_known_time_rises_though_the_clock_is_set_back(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.apply([coding(0, article(), EVENT)])
    with store._writing() as connection:
        # As if the clock had been two hours ahead when that was stored.
        connection.execute(storings.update().values(stored=datetime.now(UTC) + timedelta(hours=2)))
    ahead = stored_at(store)
    assert ahead > datetime.now(UTC)
    store.apply([coding(1, article("b"), EVENT)])
    assert stored_at(store) == ahead + timedelta(microseconds=1)
    assert {name for name, *_ in known(store, ahead)} == {"bombed"}
    assert len(known(store, ahead)) == 1
    assert len(known(store, stored_at(store))) == 2


def test_times_given_out_are_forgotten_but_for_the_last(store: Store) -> None:
    store.apply([coding(0, article(), EVENT)])
    last = stored_at(store)
    with store._writing() as connection:
        for days in (1, 2):
            connection.execute(storings.insert().values(stored=last - timedelta(days=days)))
    store.tend(datetime.now(UTC))
    with store._reading() as connection:
        assert connection.scalars(sa.text("SELECT count(*) FROM storings")).one() == 1
    assert stored_at(store) == last


@contextmanager
def held_up(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """The next `apply` of another thread stands still before its commit, until the function given is called."""
    there, go = threading.Event(), threading.Event()
    write = queries.write
    monkeypatch.setattr(connect, "_IDLE_TIMEOUT", 60.0)

    def standing(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        if threading.current_thread().name == "slow":
            there.set()
            assert go.wait(60)

    monkeypatch.setattr(queries, "write", standing)
    slow = threading.Thread(target=store.apply, args=([coding(0, article("slow"), EVENT)],), name="slow")
    slow.start()
    assert there.wait(60)

    def finish() -> None:
        go.set()
        slow.join(60)

    try:
        yield finish
    finally:
        finish()


@pytest.mark.postgres
def test_a_moment_is_not_settled_while_a_worker_stores_something_earlier(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(postgres_url)
    store.apply([coding(9, article("first"), BARE)])
    first = stored_at(store)
    with held_up(store, monkeypatch) as finish:
        # A second worker begins later and commits earlier.
        store.apply([coding(1, article("quick"), EVENT)])
        quick = max(each for (each,) in rows(store, "SELECT stored FROM events"))
        moment = store.settled(quick)
        assert moment < quick, "the slow worker's events will be known since before that"
        seen = known(store, moment)
        finish()
    assert store.settled(quick) == quick
    assert known(store, moment) == seen
    assert len(known(store, quick)) == 3
    assert first <= quick
    store.close()


def rows(store: Store, query: str) -> list[sa.Row[tuple[datetime]]]:
    with store._reading() as connection:
        return list(connection.execute(sa.text(query)))


@pytest.mark.postgres
def test_whoever_asks_what_was_known_keeps_no_worker_waiting(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(postgres_url)
    with held_up(store, monkeypatch):
        moment = store.settled(datetime.now(UTC))
        assert known(store, moment) == []
        assert len(store.apply([coding(1, article("quick"), EVENT)])[0]) == 1
    assert len(known(store, stored_at(store))) == 2
    store.close()


def test_workers_that_store_at_once_never_change_what_was_known(store_url: str) -> None:
    """Four workers store and edit; one looks back again and again, and later at the same moments: nothing differs."""
    stores = [Store.open(store_url) for _ in range(4)]
    looking, seen = threading.Event(), []

    def work(number: int, store: Store) -> None:
        for turn in range(8):
            events = [triggered(f"t{turn}"), replace(EVENT, modes=(str(turn),))]
            names = [f"a{(number + turn) % 3}", f"own{number}"]
            store.apply(
                [
                    coding(turn * 10 + place, article(name, revision=turn + 1), *events, topic=f"w{number}")
                    for place, name in enumerate(names)
                ]
            )

    def look() -> None:
        reader = Store.open(store_url)
        while not looking.is_set():
            moment = reader.settled(datetime.now(UTC))
            seen.append((moment, list(reader.events(EventFilter(as_of=moment)))))
        reader.close()

    workers = [threading.Thread(target=work, args=each) for each in enumerate(stores)]
    watcher = threading.Thread(target=look)
    for thread in (watcher, *workers):
        thread.start()
    for thread in workers:
        thread.join(100)
    looking.set()
    watcher.join(100)
    assert seen
    for moment, events in seen:
        assert list(stores[0].events(EventFilter(as_of=moment))) == events
    assert list(stores[0].events(EventFilter(as_of=stored_at(stores[0])))) == list(stores[0].events(EventFilter()))
    for store in stores:
        store.close()


histories = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.lists(st.sampled_from(["x", "y"]), max_size=2, unique=True),
        st.sampled_from(["actual", "negated"]),
    ),
    min_size=1,
    max_size=8,
)


@given(history=histories)
@settings(deadline=None, max_examples=25)
def test_any_history_can_be_looked_back_at_step_by_step(
    module_store: Store, history: list[tuple[str, list[str], str]]
) -> None:
    """After each step, what is current is remembered; at the end each moment shows what was current then."""
    with module_store._writing() as connection:
        for table in ("event_countries", "events", "codings", "not_coded", "articles"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    steps: list[tuple[datetime, list[EventRecord]]] = []
    for number, (name, words, realis) in enumerate(history):
        events = [triggered(word, realis=realis) for word in words]
        module_store.apply([coding(number, article(name, revision=number + 1), *events, coded=at(number))])
        steps.append((stored_at(module_store), list(module_store.events(EventFilter(include_retracted=True)))))
    for moment, current in steps:
        assert list(module_store.events(EventFilter(include_retracted=True, as_of=moment))) == current
