"""The invented reports that the decision is scored on."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

from models.ontology import TYPES
from tests.bench.incidents.reports import HALVES, rows

WRITTEN: dict[str, list[dict[str, Any]]] = {half: rows(half) for half in HALVES}
ALL = [row for written in WRITTEN.values() for row in written]


def test_the_set_has_150_incidents_of_every_type_in_three_to_eight_reports() -> None:
    reports = Counter(row["incident"] for row in ALL)
    assert len(reports) >= 150 and {*reports.values()} <= set(range(3, 9))
    assert {kind for row in ALL for kind in row["types"]} == set(TYPES)
    assert all(len({row["incident"] for row in written}) >= 75 for written in WRITTEN.values())


def test_the_halves_have_no_incident_and_no_story_in_common() -> None:
    for name in ("incident", "story", "report"):
        dev, check = ({row[name] for row in WRITTEN[half]} for half in HALVES)
        assert not dev & check


def test_only_copies_have_a_text_in_common() -> None:
    stories = defaultdict(set)
    for row in ALL:
        stories[row["text"]].add(row["syndication_id"])
    assert all(len(each) == 1 for each in stories.values())
    copies = Counter(row["syndication_id"] for row in ALL)
    assert sum(number > 1 for number in copies.values()) >= 20


def test_reports_come_in_order_and_name_incidents_that_there_are() -> None:
    for written in WRITTEN.values():
        times = [datetime.fromisoformat(row["published"]) for row in written]
        assert times == sorted(times) and all(time.tzinfo for time in times)
        incidents = {row["incident"] for row in written}
        assert all({*row.get("mentions", ())} <= incidents for row in written)
        assert any(row.get("withdrawn") for row in written)
