"""What two events agree in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.events import Actor, Location
from models.incidents.compare import countries, counts, dates, likeness, modes, parties, places, score
from models.incidents.facts import Range, facts
from tests.models.incidents.reports import AFGHANISTAN, HERAT, JUBA, KUNDUZ, party, told

PROVINCE = replace(KUNDUZ, name="Kunduz", precision="admin1", geonames_id=1135689)
SUBURB = replace(KUNDUZ, name="Char Dara", geonames_id=1, lat=36.70, lon=68.80)
TOWN_NEARBY = replace(KUNDUZ, name="Khanabad", geonames_id=2, lat=36.68, lon=69.12, admin1="Kunduz")


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (KUNDUZ, KUNDUZ, "same"),
        (KUNDUZ, SUBURB, "same"),
        (KUNDUZ, TOWN_NEARBY, "around"),
        (KUNDUZ, HERAT, "far"),
        (KUNDUZ, PROVINCE, "within"),
        (HERAT, PROVINCE, "far"),
        (KUNDUZ, AFGHANISTAN, "within"),
        (KUNDUZ, JUBA, "country"),
        (KUNDUZ, None, "unknown"),
        (replace(KUNDUZ, lat=None, geonames_id=None), HERAT, "unknown"),
    ],
)
def test_places_can_be_told_apart(one: Location | None, other: Location | None, wanted: str) -> None:
    places_of = [facts(told("a", place=place)).place for place in (one, other)]
    assert places(*places_of) == places(*places_of[::-1]) == wanted


@pytest.mark.parametrize(
    ("one", "hours", "other", "later", "wanted"),
    [
        ("2026-11-24", 0, "2026-11-24", 5, "same"),
        ("2026-11-24", 0, "2026-11-25", 0, "next"),
        ("2026-11-24", 0, "2026-11-26", 0, "apart"),
        ("2026-11-24", 0, None, 20, "overlap?"),  # printed the day after
        ("2026-11-24", 0, None, 40, "next?"),
        ("2026-11-24", 0, None, 90, "apart?"),
        (None, 0, None, 20, "overlap?"),
    ],
)
def test_days_can_be_compared(one: str | None, hours: int, other: str | None, later: int, wanted: str) -> None:
    assert dates(facts(told("a", hours, day=one)), facts(told("b", later, day=other))) == wanted


@pytest.mark.parametrize(
    ("ones", "others", "wanted"),
    [
        ([party("Boko Haram", "NGA", "REB")], [party("fighters of Boko Haram", "NGA", "REB")], "words"),
        ([party("army", "SDN", "MIL")], [party("Sudanese soldiers", "SDN", "MIL")], "code"),
        ([party("police", "SDN", "COP")], [party("government", "SDN", "GOV")], "country"),
        ([party("riot police", "TUR", "COP")], [party("riot police", "KEN", "COP")], "other"),
        ([party("demonstrators", None)], [party("farmers", "FRA")], "perhaps"),
        ([], [party("farmers", "FRA")], "unknown"),
    ],
)
def test_parties_can_be_compared(ones: list[Actor], others: list[Actor], wanted: str) -> None:
    mine, theirs = (facts(told("a", actors=tuple(each))).actors for each in (ones, others))
    assert parties(mine, theirs) == parties(theirs, mine) == wanted


@pytest.mark.parametrize(
    ("ones", "others", "wanted"),
    [
        (("drone",), ("drone", "targeted"), "same"),
        (("drone",), ("aerial",), "family"),
        (("abduct",), ("explosives",), "other"),
        (("targeted",), ("explosives",), "unknown"),
        ((), ("explosives",), "unknown"),
    ],
)
def test_modes_can_be_compared(ones: tuple[str, ...], others: tuple[str, ...], wanted: str) -> None:
    assert modes(ones, others) == modes(others, ones) == wanted


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [
        (Range(6, 6), Range(6, None), "same"),
        (Range(6, 6), Range(9, 9), "near"),
        (Range(2, 2), Range(19, 19), "other"),
        (None, Range(1, 1), "unknown"),
    ],
)
def test_counts_can_rise(one: Range | None, other: Range, wanted: str) -> None:
    assert counts(one, other) == counts(other, one) == wanted


def test_countries_can_be_those_of_the_parties() -> None:
    placeless = facts(told("a", place=None))
    assert countries(placeless, facts(told("b"))) == "shared"
    assert countries(placeless, facts(told("b", place=JUBA, actors=(), recipients=()))) == "other"
    assert countries(placeless, facts(told("b", place=None, actors=(), recipients=()))) == "unknown"


def test_rare_words_tell_more_than_common_ones() -> None:
    text = "Police arrested Tamar Gelashvili in Batumi"
    name = likeness(facts(told("a", text=text)), facts(told("b", text="Gelashvili was in the dock")))
    common = likeness(facts(told("a", text=text)), facts(told("b", text="Police arrested a man")))
    assert name > common > 0


CODING = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["ASSAULT", "COERCE", "PROTEST", "ACCUSE"]),
        "modes": st.sampled_from([(), ("firearms",), ("explosives",), ("arrest",)]),
        "realis": st.sampled_from(["actual", "future", "negated"]),
        "place": st.sampled_from([KUNDUZ, HERAT, PROVINCE, AFGHANISTAN, JUBA, None]),
        "day": st.sampled_from(["2026-11-23", "2026-11-24", "2026-11-28", None]),
        "actors": st.sampled_from([(), (party("Gunmen"),), (party("Taliban", None),)]),
        "dead": st.sampled_from([None, 2, 6, (6, None)]),
        "text": st.text(max_size=60),
    },
)


@given(CODING, CODING)
def test_the_score_of_a_pair_is_the_same_from_both_sides(one: dict[str, Any], other: dict[str, Any]) -> None:
    a, b = facts(told("a", **one)), facts(told("b", 3, **other))
    assert score(a, b) == score(b, a)
