"""What is counted and how main incidents are ranked, by table."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from ingest.report.period import Window, period_of
from ingest.report.tallies import MAIN, Totals, Week, happened, points
from models.errors import ConflictwireError

PERIOD = Window(date(2026, 11, 16), date(2026, 11, 23))
TODAY = date(2026, 11, 28)


def record(number: int = 0, **fields: Any) -> dict[str, Any]:
    """An incident as its JSON is parsed; `dead` is the best, the least and the most."""
    told = {"event_id": f"e{number}", "denies": False}
    made: dict[str, Any] = {
        "incident_id": f"{number:024x}",
        "status": "single_source",
        "type": {"value": "ASSAULT"},
        "sources": 1,
        "reports": [told],
        "first_report": "2026-11-17T10:00:00.000Z",
        "place": None,
        "date": None,
        "actors": [],
        "recipients": [],
        "dead": None,
        "injured": None,
        "dead_figures": None,
    }
    if "dead" in fields:
        best, least, most = fields.pop("dead")
        made |= {"dead": {"value": {"min": best, "max": None}}, "dead_figures": {"min": least, "max": most}}
    if "type" in fields:
        made["type"] = {"value": fields.pop("type")}
    return made | fields


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, 0.0),
        ({"sources": 4}, 4.0),
        ({"sources": 4, "status": "corroborated"}, 5.0),
        ({"dead": (7, 1, 9)}, 3.0),
        ({"dead": (7, 1, 9), "injured": {"value": {"min": 15, "max": 15}}, "status": "contradicted"}, 5.0),
        ({"sources": 2, "dead": (0, 0, 0), "status": "corroborated"}, 3.0),
    ],
)
def test_points_follow_the_stated_rule(fields: dict[str, Any], expected: float) -> None:
    assert points(record(**fields)) == pytest.approx(expected)


def test_main_incidents_come_by_points_then_reports_then_age() -> None:
    some = [
        record(1),
        record(2, sources=2),
        record(3, dead=(100, 90, 100)),
        record(4, first_report="2026-11-16T10:00:00.000Z"),
        record(5, reports=[{"event_id": "a", "denies": False}, {"event_id": "b", "denies": False}]),
    ]
    orders = []
    for order in (some, some[::-1]):
        totals = Totals(Week(PERIOD))
        for each in [*order, *(record(number) for number in range(100, 1000))]:
            totals.add(each, json.dumps(each["incident_id"]))
        totals.trim()
        assert len(totals.main) == MAIN
        orders.append([int(json.loads(text), 16) for _, text in totals.main])
    assert orders[0] == orders[1]
    assert orders[0][:6] == [3, 2, 5, 4, 1, 100]


def test_dead_are_summed_as_a_range_over_material_conflict() -> None:
    totals = Totals(Week(PERIOD))
    for each in (record(1, dead=(12, 10, 15)), record(2, dead=(3, 3, 3), type="PROTEST"), record(3)):
        totals.add(each, "")
    # An accusation repeats the toll of the deed.
    totals.add(record(4, dead=(500, 400, 600), type="ACCUSE"), "")
    dead = totals.week.dead
    assert (dead.least, dead.best, dead.most, dead.incidents) == (13, 15, 18, 2)
    assert totals.week.incidents == {"ASSAULT": 2, "PROTEST": 1, "ACCUSE": 1}
    assert totals.type_dead["ASSAULT"] == 12


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([("a", False)], True),
        ([("x", False)], False),
        ([("a", False), ("x", False)], True),
        ([("a", False), ("x", False), ("y", False)], False),
        ([("a", False), ("x", True), ("y", True)], True),
        ([("x", True)], False),
    ],
)
def test_what_did_not_happen_is_no_incident_of_the_report(reports: list[tuple[str, bool]], expected: bool) -> None:
    told = [{"event_id": name, "denies": denies} for name, denies in reports]
    assert happened(record(reports=told), {"x", "y"}) is expected


@pytest.mark.parametrize(
    ("first", "until", "expected"),
    [
        (None, None, (date(2026, 11, 21), date(2026, 11, 28))),
        (date(2026, 11, 1), None, (date(2026, 11, 1), TODAY)),
        (None, date(2026, 11, 8), (date(2026, 11, 1), date(2026, 11, 8))),
        (TODAY, None, (TODAY, date(2026, 12, 5))),
        (date(2026, 11, 8), date(2026, 11, 8), None),
        (date(2026, 1, 1), date(2027, 11, 8), None),
        (date.max, None, None),
        (date(1, 1, 2), date(1, 1, 5), None),
    ],
)
def test_a_period_has_whole_days(first: date | None, until: date | None, expected: tuple[date, date] | None) -> None:
    if expected is None:
        with pytest.raises(ConflictwireError):
            period_of(first, until, TODAY)
    else:
        assert period_of(first, until, TODAY) == Window(*expected)
