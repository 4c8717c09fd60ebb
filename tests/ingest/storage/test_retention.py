"""What is forgotten, and that no promise depends on it; the months of events on PostgreSQL."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa

from ingest.settings import Retention
from ingest.storage import EventFilter, Known, Store
from ingest.storage.partitions import month_of, months_from
from ingest.storage.queries import ranges
from ingest.storage.values import Alias
from tests.ingest.storage.samples import BARE, EVENT, NOON, article, at, coding

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("offsets", "found"),
    [
        ([], []),
        ([7], [(7, 7)]),
        ([3, 1, 2], [(1, 3)]),
        ([1, 2, 5, 900, 1900], [(1, 1900)]),
        ([1, 1002, 5000], [(1, 1), (1002, 1002), (5000, 5000)]),
    ],
)
def test_offsets_that_lie_close_together_are_looked_for_at_once(
    offsets: list[int], found: list[tuple[int, int]]
) -> None:
    assert ranges(offsets) == found


# --- decisions ---


def test_decisions_are_forgotten_below_what_the_group_has_read_and_only_old_ones(store: Store) -> None:
    batch = [coding(offset, article(f"a{offset}"), EVENT, coded=at(offset)) for offset in range(6)]
    answers = store.apply([*batch, coding(1, article("other"), EVENT, partition=1)])
    assert store.forget_codings("articles", 0, committed=4, before=at(3)) == 3
    assert store.forget_codings("articles", 0, committed=4, before=LATER) == 1
    # What the group has not read past is delivered again, and answered as before.
    assert store.apply(batch[4:]) == answers[4:6]
    assert store.apply([coding(1, article("other"), partition=1)]) == answers[6:], "as it was decided with an event"
    assert store.forget_codings("none", 0, committed=4, before=LATER) == 0


def test_a_record_whose_decision_is_forgotten_makes_nothing_twice(store: Store) -> None:
    """To another group, or after offsets were set back: decided anew, by comparison with what is stored."""
    store.apply([coding(0, article(), EVENT, BARE), coding(1, article(revision=2), EVENT, coded=at(1))])
    before = list(store.events(EventFilter(include_retracted=True)))
    assert store.forget_codings("articles", 0, committed=2, before=LATER) == 2
    again = [coding(0, article(), EVENT, BARE, coded=at(5)), coding(1, article(revision=2), EVENT, coded=at(5))]
    assert store.apply(again) == [[], []]
    assert list(store.events(EventFilter(include_retracted=True))) == before


def test_many_decisions_can_be_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.storage.queries._FORGOTTEN_AT_ONCE", 10)
    store.apply([coding(offset, article(f"a{offset}")) for offset in range(45)])
    assert store.forget_codings("articles", 0, committed=40, before=LATER) == 40
    assert store.counts().codings == 5


# --- the puller's notes ---


def test_what_the_puller_knew_is_told_by_the_articles_once_it_is_forgotten(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.storage.queries._FORGOTTEN_AT_ONCE", 2)
    coded = [article(f"a{number}", revision=2, content_hash=f"hash {number}") for number in range(5)]
    store.apply([coding(number, each) for number, each in enumerate(coded)])
    same = [Known(each.article_id, 2, each.content_hash, "wire") for each in coded]
    # Published and dead-lettered; coded, but a revision behind; told otherwise by the feed that had it first.
    apart = [Known("dead", 1, "x", "wire"), replace(same[3], revision=3), replace(same[4], content_hash="y")]
    store.remember([*same[:3], *apart], aliases=[Alias("guid", "a0"), Alias("said", "a1", "more")])
    asked = ["a0", "a1", "a2", "a3", "a4", "dead", "guid", "said", "none"]
    before = store.known(asked)
    assert store.forget_known(NOW - timedelta(days=1)) == 0, "too young"
    assert store.forget_known(LATER) == 3
    assert store.counts().known == 3
    assert store.known(asked) == before
    assert before["said"] == replace(same[1], said="more")
    store.remember([replace(same[0], revision=3, content_hash="new")])
    assert store.known(["guid"])["guid"].revision == 3


def test_aliases_in_use_are_kept_and_others_forgotten(store: Store) -> None:
    store.apply([coding(0, article())])
    store.remember([], aliases=[Alias("used", "a"), Alias("unused", "a")])
    later = NOW + timedelta(days=300)
    assert store.known(["used", "unused"], NOW + timedelta(days=1)).keys() == {"used", "unused"}
    assert store.known(["used"], later).keys() == {"used"}
    assert store.forget_aliases(NOW - timedelta(days=1)) == 0
    assert store.forget_aliases(later - timedelta(days=8)) == 1
    assert store.known(["used", "unused"]).keys() == {"used"}


def test_looking_up_aliases_writes_once_a_week(store: Store) -> None:
    store.apply([coding(0, article())])
    store.remember([], aliases=[Alias("k", "a")])

    def last_seen() -> str:
        with store._reading() as connection:
            return str(connection.scalar(sa.text("SELECT last_seen FROM aliases")))

    seen = [last_seen()]
    for days in (1, 6, 8, 9, 16):
        store.known(["k"], datetime.now(UTC) + timedelta(days=days))
        seen.append(last_seen())
    assert [a != b for a, b in pairwise(seen)] == [False, False, True, False, True]


# --- months ---


@pytest.mark.parametrize(
    ("first", "number", "found"),
    [
        (date(2026, 11, 1), 3, [date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1)]),
        (date(2026, 12, 1), 1, [date(2026, 12, 1)]),
        (date(2026, 1, 1), 0, []),
    ],
)
def test_months_follow_each_other(first: date, number: int, found: list[date]) -> None:
    assert months_from(first, number) == found


def test_a_month_is_one_of_utc() -> None:
    assert month_of(datetime.fromisoformat("2026-12-01T01:00+04:30")) == date(2026, 11, 1)


def partitions(store: Store, parent: str = "events") -> set[str]:
    query = sa.text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = cast(:parent AS regclass)")
    with store._reading() as connection:
        return set(connection.scalars(query, {"parent": parent}))


@pytest.mark.postgres
def test_months_are_made_ahead_and_when_they_are_needed(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    assert store.tend(datetime(2026, 11, 30, tzinfo=UTC)) == 4
    ahead = {f"events_{month}" for month in ("2026_11", "2026_12", "2027_01", "2027_02")}
    assert partitions(store) == ahead
    assert store.tend(datetime(2026, 12, 1, tzinfo=UTC)) == 1
    store.apply([coding(0, article(), EVENT, coded=datetime(1970, 1, 1, tzinfo=UTC)), coding(1, article("b"), EVENT)])
    assert partitions(store) == {*ahead, "events_2027_03", "events_1970_01"}
    assert {name.replace("_countries", "s", 1) for name in partitions(store, "event_countries")} == partitions(store)
    assert len(list(store.events(EventFilter(countries=("SYR",))))) == 2
    store.close()


@pytest.mark.postgres
def test_workers_that_need_a_month_at_once_make_it_once(postgres_url: str) -> None:
    stores = [Store.open(postgres_url) for _ in range(4)]

    def work(number: int) -> int:
        made = [
            coding(number * 10 + month, article(f"a{number}-{month}"), EVENT, coded=NOON - timedelta(days=31 * month))
            for month in range(3)
        ]
        return sum(map(len, stores[number].apply(made)))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [3, 3, 3, 3]
    assert stores[0].counts().events == 12
    assert len(partitions(stores[0])) == 3
    for store in stores:
        store.close()


@pytest.mark.postgres
def test_an_edit_finds_the_event_in_the_month_it_was_coded_in(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    for number, days in enumerate((90, 40, 0)):
        edited = replace(EVENT, modes=(str(number),))
        store.apply([coding(number, article(revision=number + 1), edited, coded=NOON - timedelta(days=days))])
    assert [(each.revision, each.modes) for each in store.events(EventFilter())] == [(3, ("2",))]
    assert store.counts().revisions == 3
    store.close()


@pytest.mark.postgres
def test_a_question_about_a_month_reads_that_month_only(postgres_url: str) -> None:
    from ingest.storage.queries import select_events

    store = Store.open(postgres_url)
    store.apply([coding(days, article(f"a{days}"), EVENT, coded=NOON - timedelta(days=days)) for days in (0, 30, 60)])
    wanted = EventFilter(countries=("SYR",), types=("ASSAULT",), since=at(-60), until=at(60))
    with store._reading() as connection:
        compiled = select_events(wanted, None, True, connection.dialect.name).compile(
            connection, compile_kwargs={"literal_binds": True}
        )
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"EXPLAIN {compiled}").all())
    assert "2026_11" in plan
    assert "2026_10" not in plan
    store.close()


# --- settings ---


@pytest.mark.parametrize(("days", "allowed"), [(0, True), (1, False), (29, False), (30, True), (400, True)])
def test_aliases_are_kept_longer_than_their_use_goes_unnoticed(days: int, allowed: bool) -> None:
    if allowed:
        assert Retention(aliases=days).aliases == days
    else:
        with pytest.raises(ValueError, match="0 or at least 30"):
            Retention(aliases=days)
