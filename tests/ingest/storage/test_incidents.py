"""What the store answers about incidents, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ingest.incidents import Keeper
from ingest.records import EventRecord, IncidentRecord, parse_incident
from ingest.storage import IncidentFilter, IncidentRow, KeeperState, Store
from ingest.storage.connect import open_engine
from ingest.storage.incidents import select_incidents
from ingest.storage.migrate import downgrade, upgrade
from tests.ingest.keeping import STORY, Report, store_reports
from tests.models.incidents.reports import HERAT, JUBA, NOON, party

REPORTS = (
    *STORY,
    Report("x", 20, {"place": JUBA, "day": "2026-11-20", "type": "PROTEST", "dead": (3, None)}, language="fr"),
    Report("y", 21, {"place": None, "day": None, "actors": (party("50% of_the Marines\n", "USA"),)}),
    Report("z", 22, {"place": replace(HERAT, lon=179.5), "type": "COERCE", "recipients": ()}, language="e"),
)


@dataclass
class Kept:
    """A store, what was told to it, and after each event the settled moment and what was current."""

    store: Store
    events: list[EventRecord]
    moments: list[tuple[datetime, list[IncidentRecord]]]


@pytest.fixture(scope="module")
def kept(module_store: Store) -> Iterator[Kept]:
    events = store_reports(module_store, REPORTS)
    moments = []
    for each in events:
        Keeper(module_store).keep([each])
        moment = module_store.settled(datetime.now(UTC))
        moments.append((moment, found(module_store, IncidentFilter(statuses=EVERY))))
    yield Kept(module_store, events, moments)


EVERY = ("single_source", "corroborated", "contradicted", "retracted")


def found(store: Store, wanted: IncidentFilter, limit: int | None = None) -> list[IncidentRecord]:
    return [row.record for row in store.incidents(wanted, limit)]


def days(record: IncidentRecord) -> tuple[date, date]:
    assert record.date is not None
    return record.date.value.earliest, record.date.value.latest


def language(record: IncidentRecord) -> set[str]:
    spoken = {report.name: report.language for report in REPORTS}
    return {spoken[report.article_id] for report in record.reports}


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda r: True),
    ({"types": ("PROTEST", "COERCE")}, lambda r: r.type.value in ("PROTEST", "COERCE")),
    ({"countries": ("SSD",)}, lambda r: "SSD" in r.all_countries),
    ({"countries": ("SSD", "AFG", "USA")}, lambda r: {"SSD", "AFG", "USA"} & set(r.all_countries)),
    ({"countries": ("SSD",), "types": ("PROTEST",)}, lambda r: "SSD" in r.all_countries and r.type.value == "PROTEST"),
    ({"countries": ("XXX",)}, lambda r: False),
    ({"statuses": ("corroborated", "contradicted")}, lambda r: r.status in ("corroborated", "contradicted")),
    ({"min_sources": 2}, lambda r: r.sources >= 2),
    ({"actor": "POLICEMEN"}, lambda r: any("policemen" in who.text for who in r.parties)),
    ({"actor": "Pölice"}, lambda r: any("policemen" in who.text for who in r.parties)),
    ({"actor": "of 50%"}, lambda r: any("50%" in who.text for who in r.parties)),
    ({"actor": "olicemen"}, lambda r: False),
    ({"actor": "50% of_the"}, lambda r: any("50%" in who.text for who in r.parties)),
    ({"actor": "0_ of"}, lambda r: False),
    ({"languages": ("fr",)}, lambda r: "fr" in language(r)),
    ({"languages": ("e",)}, lambda r: "e" in language(r)),
    ({"languages": ("f", "n")}, lambda r: False),
    ({"sources": ("feed-x", "y-news.org")}, lambda r: {"x", "y"} & {report.article_id for report in r.reports}),
    ({"sources": ("feed",)}, lambda r: False),
    ({"happened_since": date(2026, 11, 24)}, lambda r: r.date and days(r)[1] >= date(2026, 11, 24)),
    ({"happened_until": date(2026, 11, 24)}, lambda r: r.date and days(r)[0] < date(2026, 11, 24)),
    ({"bbox": (30.0, 0.0, 40.0, 10.0)}, lambda r: r.place and r.place.value.country == "SSD"),
    ({"bbox": (170.0, -90.0, -170.0, 90.0)}, lambda r: r.place and r.place.value.lon == 179.5),
]


@pytest.mark.parametrize(("asked", "passes"), FILTERS, ids=lambda each: str(each) if isinstance(each, dict) else "")
def test_a_filter_lets_pass_what_its_record_says(kept: Kept, asked: dict[str, Any], passes: Any) -> None:
    every = found(kept.store, IncidentFilter(statuses=EVERY))
    wanted = IncidentFilter(**asked)
    expected = [each for each in every if passes(each) and (wanted.statuses or each.status != "retracted")]
    assert found(kept.store, wanted) == expected
    assert found(kept.store, wanted, 2) == expected[:2]
    # Page by page, and of a time: the same.
    paged: list[IncidentRow] = []
    while page := list(kept.store.incidents(replace(wanted, before=(paged and _end(paged)) or None), 1)):
        paged += page
    assert [row.record for row in paged] == expected
    assert found(kept.store, replace(wanted, as_of=kept.moments[-1][0])) == expected


def _end(rows: list[IncidentRow]) -> tuple[datetime, str]:
    return rows[-1].changed, rows[-1].record.incident_id


def test_what_was_known_can_be_asked_for_ever_after(kept: Kept) -> None:
    assert len({len(records) for _, records in kept.moments}) > 3
    for moment, records in kept.moments:
        assert found(kept.store, IncidentFilter(statuses=EVERY, as_of=moment)) == records
        at = [parse_incident(each.record.encode()) for each in kept.store.incidents_at(moment)]
        assert [each for each in reversed(at) if each.kind != "merged_into"] == records
        for record in records:
            text = kept.store.incident(record.incident_id, moment)
            assert text is not None and parse_incident(text.encode()) == record
    assert found(kept.store, IncidentFilter(as_of=kept.moments[0][0] - timedelta(seconds=1))) == []
    assert kept.store.incident("none") is None
    assert kept.store.incident_revisions("none") == []


def test_changes_can_be_followed(kept: Kept) -> None:
    start, end = kept.moments[0][0] - timedelta(days=1), kept.moments[-1][0]
    every = list(kept.store.incident_changes(start, end))
    split = [
        each
        for (after, _), (until, _) in zip([(start, []), *kept.moments[:-1]], kept.moments, strict=True)
        for each in kept.store.incident_changes(after, until)
    ]
    assert split == every
    assert [each.known for each in every] == sorted(each.known for each in every)
    records = [parse_incident(each.record.encode()) for each in every]
    assert {record.kind for record in records} == {"new", "updated", "merged_into", "split_from"}
    pairs = [(record.incident_id, record.revision) for record in records]
    assert kept.store.incident_records([*pairs[3:9], ("none", 1), (pairs[0][0], 99)]) == {
        pair: each.record for pair, each in list(zip(pairs, every, strict=True))[3:9]
    }


def test_every_event_belongs_to_the_incident_that_names_it(kept: Kept) -> None:
    homes = {
        report.event_id: record.incident_id
        for record in found(kept.store, IncidentFilter())
        for report in record.reports
    }
    told = kept.store.kept_events({each.event_id for each in kept.events})
    assert {name: each.incident_id for name, each in told.items() if each.incident_id} == homes
    last = {each.event_id: each for each in kept.events}
    assert {name: each.revision for name, each in told.items()} == {name: each.revision for name, each in last.items()}
    assert {name for name, each in told.items() if each.incident_id is None} == {
        name for name, each in last.items() if each.status == "retracted"
    }


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({}, "incidents_stored"),
        ({"types": ("ASSAULT",)}, "incidents_type"),
        ({"countries": ("AFG",), "types": ("ASSAULT",)}, "incident_countries"),
    ],
)
def test_the_newest_are_read_off_an_index(asked: dict[str, Any], index: str, tmp_path_factory: Any) -> None:
    """On SQLite, whose plans do not hang on how much is there; tests/bench/storage.py measures both."""
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('plan') / 'store.db'}")
    with store._reading() as connection:
        statement = select_incidents(IncidentFilter(**asked), 50)
        text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
        plan = " ".join(str(row) for row in connection.execute(sa.text(f"EXPLAIN QUERY PLAN {text}")))
    store.close()
    assert index in plan and "TEMP B-TREE" not in plan, plan


def test_incidents_are_lost_and_made_anew_when_their_migration_is_undone(store_url: str) -> None:
    store, engine = Store.open(store_url), open_engine(store_url)
    events = store_reports(store, [Report("a", 0, {}), Report("b", 1, {})])
    made = Keeper(store).keep(events)
    assert len(found(store, IncidentFilter())) == 1
    downgrade(engine, "test", "0009")
    assert not any(name.startswith("incident") for name in sa.inspect(engine).get_table_names())
    upgrade(engine, "test")
    assert store.keeper() == KeeperState(0, None)
    assert store.counts().events == 2
    assert Keeper(store).keep(events) == made
    engine.dispose()
    store.close()


def test_a_toll_beyond_what_a_database_counts_is_kept_in_the_record(store: Store) -> None:
    events = store_reports(store, [Report("a", 0, {"dead": (10**30, None)})])
    ((made,),) = Keeper(store).keep(events)
    assert made.dead is not None and made.dead.value.min == 10**30
    assert found(store, IncidentFilter()) == [made]
    assert made.changed == NOON
