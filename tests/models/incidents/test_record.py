"""What an incident says of its reports."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from models.incidents import IncidentRecord, Told
from models.incidents.facts import facts
from models.incidents.summary import sources, summary
from tests.models.incidents.reports import AFGHANISTAN, HERAT, KUNDUZ, NOON, party, told


def of(*reports: Told) -> IncidentRecord:
    return summary("i", 1, NOON, NOON, [facts(each) for each in reports])


@pytest.mark.parametrize(
    ("reports", "wanted"),
    [
        ([{}, {}], [1, 2]),
        ([{"publisher": "Wire"}, {"publisher": "Wire"}], [1, 1]),
        ([{"story": "s"}, {"story": "s"}], [1, 1]),
        # A copy of the wire's first story and the wire's second one are one source through the wire.
        ([{"story": "s"}, {"publisher": "Wire"}, {"publisher": "Wire", "story": "s"}, {}], [1, 1, 1, 2]),
    ],
)
def test_copies_and_one_publishers_stories_are_one_source(reports: list[dict[str, Any]], wanted: list[int]) -> None:
    assert sources([facts(told(str(at), **each)) for at, each in enumerate(reports)]) == wanted


@pytest.mark.parametrize(
    ("reports", "wanted"),
    [
        ([told("a")], "single_source"),
        ([told("a"), told("b", publisher="publisher a")], "single_source"),
        ([told("a"), told("b", story="story a")], "single_source"),
        ([told("a"), told("b")], "corroborated"),
        ([told("a"), told("b", realis="negated")], "contradicted"),
        ([told("a"), told("b", realis="negated", publisher="publisher a")], "single_source"),
        ([told("a", 0, dead=6), told("b", 2, dead=9)], "corroborated"),  # the toll has risen
        ([told("a", 0, dead=9), told("b", 2, dead=6)], "corroborated"),  # a slow paper
        ([told("a", 0, dead=9), told("b", 12, dead=6)], "contradicted"),
        ([told("a", 0, dead=19), told("b", 2, dead=7)], "contradicted"),
        ([told("a", 0, dead=19), told("b", 12, dead=(7, None))], "corroborated"),  # at least 7
        ([told("a", 0, dead=9), told("b", 12, dead=6, publisher="publisher a")], "single_source"),
    ],
)
def test_status_can_be_told_from_sources_and_figures(reports: list[Told], wanted: str) -> None:
    assert of(*reports).status == wanted


def test_the_toll_is_what_most_sources_say_last() -> None:
    record = of(
        told("a", 0, dead=6),
        told("b", 1, dead=(6, None)),
        told("c", 5, dead=9),
        told("a2", 6, dead=9, publisher="publisher a"),
    )
    assert record.dead is not None
    assert (record.dead.value.min, record.dead.sources, record.dead.evidence) == (9, 2, ("c", "a2"))
    assert record.dead_figures is not None
    assert (record.dead_figures.min, record.dead_figures.max) == (6, 9)
    assert [figure.event_id for figure in record.dead_figures.figures] == ["a", "b", "c", "a2"]


def test_the_best_supported_place_can_be_finer_than_most_say() -> None:
    record = of(told("a", place=AFGHANISTAN), told("b", place=KUNDUZ), told("c", place=AFGHANISTAN))
    assert record.place is not None
    assert (record.place.value.name, record.place.sources) == ("Kunduz", 3)
    assert not record.disputed


def test_a_field_is_disputed_where_another_source_says_what_cannot_be() -> None:
    record = of(told("a"), told("b"), told("c", place=HERAT, day="2026-11-26", actors=(party("troops", "PAK", "MIL"),)))
    assert {one.field: one.rivals[0].evidence for one in record.disputed} == {
        "place": ("c",),
        "date": ("c",),
        "actors": ("c",),
    }
    assert record.place is not None and record.place.value.name == "Kunduz"
    assert record.date is not None and record.date.value.earliest == date(2026, 11, 24)


def test_a_record_is_plain_json_and_says_when() -> None:
    record = of(told("a", dead=6), told("b", 3.5, dead=(8, None), realis="actual")).to_json()
    assert json.loads(json.dumps(record)) == record
    assert record["first_report"] == "2026-11-24T12:00:00.000Z" and record["last_report"] == "2026-11-24T15:30:00.000Z"
    assert record["date"]["value"] == {"earliest": "2026-11-24", "latest": "2026-11-24"}
    assert record["schema"] == 1 and record["dead"]["evidence"] == ["b"]
