"""Events put together as they arrive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.incidents import Change, IncidentRecord, Incidents, Limits, Told
from tests.models.incidents.reports import HERAT, JUBA, KUNDUZ, party, told

AGAIN = "Six policemen died when armed men shot at their checkpoint in Kunduz at night"
HERAT_RAID = "Gunmen attacked an army base in Herat and killed two soldiers"
BUS: dict[str, Any] = {
    "text": "A bomb hit a bus in Kunduz",
    "modes": ("explosives",),
    "actors": (),
    "recipients": (party("bus", "AFG", "CVL"),),
}
ARRESTS: dict[str, Any] = {
    "text": "Seven men were arrested over the raid in Kunduz",
    "type": "COERCE",
    "modes": ("arrest",),
    "actors": (party("intelligence service", "AFG", "SPY"),),
    "recipients": (party("Seven men", "AFG", "CVL"),),
}
# Of both happenings, as a headline of that day may be: one that joins reports that are not alike.
BRIDGE = "Gunmen attacked a checkpoint in Kunduz and an army base in Herat, killed policemen and soldiers"


def observe(incidents: Incidents, *reports: Told) -> list[list[Change]]:
    return [incidents.observe(each) for each in reports]


def kinds(changes: list[list[Change]]) -> list[list[str]]:
    return [[change.kind for change in each] for each in changes]


def groups(incidents: Incidents) -> set[frozenset[str]]:
    return {frozenset(report.event_id for report in record.reports) for record in incidents.records()}


@pytest.mark.parametrize(
    ("other", "joined"),
    [
        ({}, True),
        ({"text": AGAIN, "place": None}, True),
        ({"text": AGAIN, "day": None}, True),
        ({"text": AGAIN, "dead": 9}, True),
        ({"text": HERAT_RAID, "place": HERAT}, False),
        (
            {"text": "Armed men shot dead six policemen outside Juba", "place": JUBA, "actors": (), "recipients": ()},
            False,
        ),
        ({**BUS, "day": "2026-11-25", "hours": 24}, False),
        ({"text": AGAIN, "day": "2026-11-28", "hours": 96}, False),
        (ARRESTS, False),
        ({"text": "The governor condemned the raid", "type": "ACCUSE", "modes": ()}, False),
        ({"realis": "future"}, False),
        ({"realis": "negated"}, True),
    ],
)
def test_reports_of_one_happening_can_be_told_from_near_misses(other: dict[str, Any], joined: bool) -> None:
    incidents = Incidents()
    coding = {**other}
    hours = coding.pop("hours", 2)
    observe(incidents, told("a"), told("b", hours, **coding))
    assert (incidents.home("a") == incidents.home("b")) is joined


def test_an_incident_is_new_once_and_then_updated() -> None:
    incidents = Incidents()
    changes = observe(incidents, told("a"), told("b", 1), told("c", 2, text=AGAIN))
    assert kinds(changes) == [["new"], ["updated"], ["updated"]]
    records = [each[0].record for each in changes]
    assert [record.revision for record in records] == [1, 2, 3] and len({record.incident_id for record in records}) == 1
    assert [record.status for record in records] == ["single_source", "corroborated", "corroborated"]


def test_what_is_known_changes_nothing() -> None:
    incidents = Incidents()
    incidents.observe(told("a", revision=2))
    assert kinds(observe(incidents, told("a", revision=2), told("a", revision=1))) == [[], []]
    incidents.observe(told("a", revision=3, status="retracted"))
    assert kinds(observe(incidents, told("a", revision=2), told("a", revision=3, status="retracted"))) == [[], []]
    assert len(incidents) == 0
    assert kinds(observe(incidents, told("a", revision=4))) == [["new"]]


def test_the_last_retraction_retracts_the_incident() -> None:
    incidents = Incidents()
    observe(incidents, told("a"), told("b"))
    first, last = observe(
        incidents, told("a", revision=2, status="retracted"), told("b", revision=2, status="retracted")
    )
    assert [(change.kind, change.record.status, change.record.sources) for change in (*first, *last)] == [
        ("updated", "single_source", 1),
        ("updated", "retracted", 1),
    ]
    assert [report.event_id for report in last[0].record.reports] == ["b"]
    assert last[0].record.revision == first[0].record.revision + 1


def bridged() -> tuple[Incidents, list[list[Change]]]:
    """Two incidents that a report, updated so that it tells of either, makes one."""
    incidents = Incidents()
    vague: dict[str, Any] = {"text": AGAIN + " " + HERAT_RAID, "place": None, "modes": (), "recipients": ()}
    changes = observe(
        incidents,
        told("a", text=AGAIN, actors=(), recipients=(party("six policemen", "AFG", "COP"),)),
        told("b", 1, text=HERAT_RAID, place=None, actors=(), recipients=(party("two soldiers", "AFG", "MIL"),), dead=2),
        told("c", 2, **vague),
    )
    return incidents, changes


def test_incidents_can_merge_and_split_again() -> None:
    incidents, changes = bridged()
    assert kinds(changes) == [["new"], ["new"], ["updated", "merged_into"]]
    older, younger = changes[2]
    assert younger.record.merged_into == older.record.incident_id == changes[0][0].record.incident_id
    assert younger.record.incident_id == changes[1][0].record.incident_id and younger.record.revision == 2
    split = incidents.observe(told("c", 3, revision=2, status="retracted"))
    assert [change.kind for change in split] == ["updated", "split_from"]
    assert split[1].record.split_from == older.record.incident_id
    assert groups(incidents) == {frozenset("a"), frozenset("b")}
    assert split[1].record.incident_id not in {each.record.incident_id for part in changes for each in part}


def test_an_update_can_move_a_report_to_the_incident_that_it_now_tells_of() -> None:
    incidents = Incidents()
    herat: dict[str, Any] = {"text": HERAT_RAID, "place": HERAT, "recipients": (party("soldiers", "AFG", "MIL"),)}
    observe(incidents, told("a"), told("b"), told("c", **herat))
    changes = incidents.observe(told("b", revision=2, status="updated", **herat))
    assert groups(incidents) == {frozenset("a"), frozenset("bc")}
    assert [change.kind for change in changes] == ["updated", "updated"]
    # One that stood alone joins as a whole.
    changes = incidents.observe(told("a", revision=2, status="updated", **herat))
    assert groups(incidents) == {frozenset("abc")} and {change.kind for change in changes} == {"updated", "merged_into"}


def test_an_incident_closes_when_it_is_left_alone() -> None:
    incidents = Incidents(Limits(window=timedelta(hours=48)))
    observe(incidents, told("a"), told("b", 30), told("c", 60, day=None, place=JUBA))
    assert incidents.home("a") == incidents.home("b") is not None
    incidents.observe(told("d", 79, day=None, place=JUBA))
    assert incidents.home("a") is None and incidents.home("c") is not None


def test_memory_is_bounded() -> None:
    incidents = Incidents(Limits(open=3, reports=4))
    for at in range(9):
        incidents.observe(told(f"same {at}", at))
    (record,) = incidents.records()
    assert [report.event_id for report in record.reports] == ["same 0", "same 6", "same 7", "same 8"]
    for at in range(5):
        incidents.observe(told(f"other {at}", 9, type="PROTEST", day=f"2026-10-{10 + 5 * at}"))
    assert len(incidents) == 3 and incidents.home("same 8") is None and incidents.home("other 4")


def test_a_feed_that_dates_its_articles_in_the_future_closes_nothing() -> None:
    incidents = Incidents()
    observe(incidents, told("a"), told("b", 24 * 365 * 50, coded=1, place=JUBA, day=None))
    assert incidents.home("a")


# --- whatever arrives

TEXTS = [AGAIN, HERAT_RAID, BRIDGE, "Nurses went on strike in Juba over pay", "Gunmen attacked"]
REPORT = st.fixed_dictionaries(
    {
        "hours": st.integers(0, 70),
        "article": st.sampled_from(["one", "two", "three", "four", "five"]),
        "publisher": st.sampled_from(["Wire", "Herald", "Post"]),
        "type": st.sampled_from(["ASSAULT", "ASSAULT", "COERCE", "PROTEST"]),
        "text": st.sampled_from(TEXTS),
        "place": st.sampled_from([KUNDUZ, HERAT, JUBA, None]),
        "day": st.sampled_from(["2026-11-24", "2026-11-25", None]),
        "realis": st.sampled_from(["actual", "actual", "future", "negated"]),
        "dead": st.sampled_from([None, 2, 6, (9, None)]),
    }
)


@st.composite
def arrivals(draw: st.DrawFn) -> list[Told]:
    """Events, their updates and retractions, by revision."""
    arriving: list[Told] = []
    revisions: dict[str, int] = {}
    for at in range(draw(st.integers(1, 14))):
        name = draw(st.sampled_from("abcdefghij"))
        revision = revisions[name] = revisions.get(name, 0) + 1
        status = draw(st.sampled_from(["updated", "updated", "retracted"])) if revision > 1 else "new"
        coding = draw(REPORT)
        arriving.append(
            told(name, coding.pop("hours"), revision=revision, status=status, coded=80 + at, **coding)  # type: ignore[arg-type]
        )
    return arriving


@settings(max_examples=120, deadline=None)
@given(arrivals())
def test_the_changes_tell_the_whole_state(arriving: list[Told]) -> None:
    incidents = Incidents()
    known: dict[str, IncidentRecord] = {}
    alive: dict[str, Told] = {}
    for each in arriving:
        changes = incidents.observe(each)
        assert len({change.record.incident_id for change in changes}) == len(changes)
        for change in changes:
            record, before = change.record, known.get(change.record.incident_id)
            assert record.revision == (before.revision + 1 if before else 1)
            assert (before is None) == (change.kind in ("new", "split_from"))
            known[record.incident_id] = record
        alive[each.event_id] = each
        if each.status == "retracted":
            del alive[each.event_id]
    now = {name: one for name, one in known.items() if not one.merged_into and one.status != "retracted"}
    assert now == {record.incident_id: record for record in incidents.records()}
    told_of = [report.event_id for record in now.values() for report in record.reports]
    assert sorted(told_of) == sorted(alive)
    for record in now.values():
        evidence = {*record.type.evidence} | {
            name for one in record.disputed for rival in one.rivals for name in rival.evidence
        }
        assert evidence <= {report.event_id for report in record.reports}
    # The same order gives the same, and to withdraw everything leaves nothing.
    again = Incidents()
    for each in arriving:
        again.observe(each)
    assert list(again.records()) == list(incidents.records())
    for name, each in alive.items():
        gone = told(name, revision=each.revision + 1, status="retracted", coded=100)
        last = incidents.observe(gone)
    assert len(incidents) == 0 and not incidents._home and not incidents._by_key and not incidents._by_article
    if alive:
        assert last[-1].record.status == "retracted"


@settings(max_examples=60, deadline=None)
@given(arrivals(), st.data())
def test_a_restart_can_go_on_as_if_there_had_been_none(arriving: list[Told], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(arriving)))
    whole, before = Incidents(), Incidents()
    wanted = [whole.observe(each) for each in arriving]
    current = {}
    for each in arriving[:cut]:
        before.observe(each)
        current[each.event_id] = each
    after = Incidents()
    for record in before.records():
        after.admit(record, [current[report.event_id] for report in record.reports])
    assert [after.observe(each) for each in arriving[cut:]] == wanted[cut:]
    assert list(after.records()) == list(whole.records())
