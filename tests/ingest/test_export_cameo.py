"""The layout of GDELT 2.0's event table: what reads GDELT reads ours."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pandas
import pytest

from ingest.export.cameo import CAMEO_COLUMNS, cameo_lines, is_cameo
from ingest.export.codes import codes, number
from ingest.records import EventRecord
from models.events import Actor, Codes, Event, EventDate, Location, Mention, Span
from models.ontology import _CROSSWALK
from tests.ingest.command import record
from tests.ingest.storage.samples import BARE, EVENT

ACTOR = "Code Name CountryCode KnownGroupCode EthnicCode Religion1Code Religion2Code Type1Code Type2Code Type3Code"
GEO = "Geo_Type Geo_FullName Geo_CountryCode Geo_ADM1Code Geo_ADM2Code Geo_Lat Geo_Long Geo_FeatureID"
# As the codebook of GDELT 2.0 lists them.
NAMES = [
    *"GLOBALEVENTID SQLDATE MonthYear Year FractionDate".split(),
    *(f"Actor1{name}" for name in ACTOR.split()),
    *(f"Actor2{name}" for name in ACTOR.split()),
    *"IsRootEvent EventCode EventBaseCode EventRootCode QuadClass GoldsteinScale".split(),
    *"NumMentions NumSources NumArticles AvgTone".split(),
    *(f"{of}{name}" for of in ("Actor1", "Actor2", "Action") for name in GEO.split()),
    *"DATEADDED SOURCEURL".split(),
]
TEXT = dict.fromkeys(["EventCode", "EventBaseCode", "EventRootCode"], str)

# One invented row in the layout of the table.
SAMPLE = "\t".join([
    "1000000001", "20240305", "202403", "2024", "2024.1781",
    "TURMIL", "TURKISH TROOPS", "TUR", "", "", "", "", "MIL", "", "",
    "SYRREB", "REBELS", "SYR", "", "", "", "", "REB", "", "",
    "1", "193", "193", "19", "4", "-10.0", "3", "1", "3", "-4.5",
    "0", "", "", "", "", "", "", "",
    "0", "", "", "", "", "", "", "",
    "4", "Idlib, Idlib, Syria", "SY", "SY", "", "35.93", "36.63", "",
    "20240305121500", "https://example.org/invented",
]) + "\n"  # fmt: skip
OURS_EMPTY = {"AvgTone"}


def actor(text: str, country: str | None = None, sector: str | None = None) -> Actor:
    return Actor(text, 0, len(text), "text", country=country, sector=sector)


def read(table: bytes) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(table), sep="\t", header=None, names=NAMES, dtype=TEXT)


def row(of: Event = EVENT, **fields: Any) -> dict[str, Any]:
    """The row of one event, empty cells left away."""
    (found,) = read(b"".join(cameo_lines([record(of, **fields)]))).to_dict("records")
    return {str(name): value for name, value in found.items() if not pandas.isna(value)}


def coded(cameo: str, **fields: Any) -> Event:
    return replace(EVENT, codes=Codes(EVENT.type, cameo, None), **fields)


def test_there_are_61_columns_in_gdelts_order() -> None:
    assert len(NAMES) == 61
    assert list(CAMEO_COLUMNS) == NAMES
    (line,) = cameo_lines([record()])
    assert line.count(b"\t") == 60
    assert line.endswith(b"https://example.org/a\n")


def test_types_are_those_of_the_table() -> None:
    theirs = read(SAMPLE.encode())
    clash = coded("193", actors=(actor("troops", "TUR", "MIL"),), recipients=(actor("rebels", "SYR", "REB"),))
    ours = read(b"".join(cameo_lines([record(clash)])))
    filled = [name for name in NAMES if name not in OURS_EMPTY]
    assert ours[filled].dtypes.to_dict() == theirs[filled].dtypes.to_dict()
    assert ours["GLOBALEVENTID"].dtype == "int64"


def test_an_event_is_written_as_gdelt_writes_it() -> None:
    of = coded("183", recipients=(actor("two priests", "IRQ", "REL"),))
    assert row(of) == {
        "GLOBALEVENTID": number(record(of)),
        "SQLDATE": 20261123,
        "MonthYear": 202611,
        "Year": 2026,
        "FractionDate": 2026.8849,
        "Actor1Code": "SYRREB",
        "Actor1Name": "REBELS",
        "Actor1CountryCode": "SYR",
        "Actor1Type1Code": "REB",
        "Actor2Code": "IRQ",
        "Actor2Name": "TWO PRIESTS",
        "Actor2CountryCode": "IRQ",
        "IsRootEvent": 1,
        "EventCode": "183",
        "EventBaseCode": "183",
        "EventRootCode": "18",
        "QuadClass": 4,
        "GoldsteinScale": -10.0,
        "NumMentions": 1,
        "NumSources": 1,
        "NumArticles": 1,
        "Actor1Geo_Type": 0,
        "Actor2Geo_Type": 0,
        "ActionGeo_Type": 4,
        "ActionGeo_FullName": "Mosul, Nineveh, Iraq",
        "ActionGeo_CountryCode": "IZ",
        "ActionGeo_ADM1Code": "IZ",
        "ActionGeo_Lat": 36.33,
        "ActionGeo_Long": 43.13,
        "DATEADDED": 20261124120000,
        "SOURCEURL": "https://example.org/a",
    }


@pytest.mark.parametrize(
    ("cameo", "code", "base", "root", "quad", "goldstein"),
    [
        ("04", "040", "040", "04", 1, 1.0),
        ("042", "042", "042", "04", 1, 1.9),
        ("0871", "0871", "087", "08", 2, 9.0),
        ("09", "090", "090", "09", 3, -2.0),
        ("13", "130", "130", "13", 3, -4.4),
        ("16", "160", "160", "16", 4, -4.0),
        ("20", "200", "200", "20", 4, -10.0),
        ("176", "176", "176", "17", 4, None),
    ],
)
def test_codes_are_filled_to_three_digits_and_scored(
    cameo: str, code: str, base: str, root: str, quad: int, goldstein: float | None
) -> None:
    found = row(coded(cameo))
    names = ("EventCode", "EventBaseCode", "EventRootCode", "QuadClass", "GoldsteinScale")
    assert tuple(found.get(name) for name in names) == (code, base, root, quad, goldstein)


def test_every_code_of_the_crosswalk_is_scored_but_the_one_that_is_younger_than_the_scale() -> None:
    written = {each["code"] for each in _CROSSWALK["cameo"]} | set(_CROSSWALK["cameo_root"].values())
    assert {code.ljust(3, "0") for code in written} - set(codes()["goldstein"]) == {"176"}


@pytest.mark.parametrize(
    ("who", "code", "country", "types"),
    [
        (actor("troops", "TUR", "MIL"), "TURMIL", "TUR", ["MIL"]),
        (actor("Bucharest", "ROU", "GOV"), "ROMGOV", "ROM", ["GOV"]),
        (actor("U.N. peacekeepers", "IGO", "MIL"), "IGOMIL", None, ["IGO", "MIL"]),
        (actor("Amnesty", "NGO", None), "NGO", None, ["NGO"]),
        (actor("gunmen", None, "UAF"), "UAF", None, ["UAF"]),
        (actor("villagers", "MLI", "UNK"), "MLI", "MLI", []),
        (actor("someone"), None, None, []),
    ],
)
def test_actors_have_cameo_codes(who: Actor, code: str | None, country: str | None, types: list[str]) -> None:
    found = row(coded("190", actors=(who,)))
    assert (found.get("Actor1Code"), found.get("Actor1CountryCode")) == (code, country)
    assert [found[f"Actor1Type{nth}Code"] for nth in (1, 2, 3) if f"Actor1Type{nth}Code" in found] == types
    assert found["Actor1Name"] == who.text.upper()


@pytest.mark.parametrize(("type", "second"), [("CONSULT", "PARIS"), ("ASSAULT", "PARIS"), ("PROTEST", None)])
def test_what_is_done_together_has_its_second_side_among_the_actors(type: str, second: str | None) -> None:
    both = (actor("Berlin", "DEU", "GOV"), actor("Paris", "FRA", "GOV"))
    found = row(coded("04", type=type, actors=both, recipients=()))
    assert (found["Actor1Name"], found.get("Actor2Name")) == ("BERLIN", second)


def place(name: str, country: str | None, admin1: str | None, precision: Any) -> Location:
    return Location(name, 0, len(name), "text", name, country, admin1, 1.5, 2.5, None, precision)


@pytest.mark.parametrize(
    ("where", "kind", "name", "fips", "feature"),
    [
        (place("Kano", "NGA", "Kano State", "place"), 4, "Kano, Kano State, Nigeria", "NI", None),
        (place("Kano State", "NGA", "Kano State", "admin1"), 5, "Kano State, Nigeria", "NI", None),
        (place("Nigeria", "NGA", None, "country"), 1, "Nigeria", "NI", "NI"),
        (place("Memphis", "USA", "Tennessee", "place"), 3, "Memphis, Tennessee, United States", "US", None),
        (place("Tennessee", "USA", "Tennessee", "admin1"), 2, "Tennessee, United States", "US", None),
        (place("Rafah", "PSE", "Gaza Strip", "place"), 4, "Rafah, Gaza Strip, Palestine", "GZ", None),
        (place("Jenin", "PSE", "West Bank", "place"), 4, "Jenin, West Bank, Palestine", "WE", None),
        (place("somewhere", None, None, None), 0, None, None, None),
        (None, 0, None, None, None),
    ],
)
def test_places_have_gdelts_kinds_and_fips_codes(
    where: Location | None, kind: int, name: str | None, fips: str | None, feature: str | None
) -> None:
    found = row(coded("190", location=where))
    names = ("ActionGeo_Type", "ActionGeo_FullName", "ActionGeo_CountryCode", "ActionGeo_FeatureID")
    assert tuple(found.get(each) for each in names) == (kind, name, fips, feature)
    assert found.get("ActionGeo_ADM1Code") == fips


@pytest.mark.parametrize(
    ("earliest", "latest", "written", "fraction"),
    [
        ("2026-02-18", "2026-02-18", 20260218, 2026.1315),
        ("2026-12-31", "2026-12-31", 20261231, 2026.9890),
        ("2014-01-01", "2014-12-31", 20140702, 2014.4986),
        (None, None, 20261124, 2026.8877),  # the day of publication
    ],
)
def test_there_is_always_a_day(earliest: str | None, latest: str | None, written: int, fraction: float) -> None:
    found = row(coded("190", date=EventDate("then", 0, 4, "text", earliest, latest)))
    assert (found["SQLDATE"], found["FractionDate"]) == (written, fraction)


def test_without_a_date_of_publication_the_day_is_that_of_coding() -> None:
    assert row(replace(BARE, realis="actual"), published=None)["SQLDATE"] == 20261124


@pytest.mark.parametrize(
    ("sentence", "mentions", "root", "told"),
    [
        (Span("It happened.", 0, 12, "title"), (), 1, 1),
        (Span("It happened.", 900, 912, "text"), (), 0, 1),
        (Span("It happened.", 900, 912, "text"), (Span("It did.", 0, 7, "title"),), 1, 2),
    ],
)
def test_the_lead_tells_root_events(sentence: Span, mentions: tuple[Span, ...], root: int, told: int) -> None:
    also = tuple(Mention(trigger=each, sentence=each) for each in mentions)
    found = row(coded("190", sentence=sentence, mentions=also))
    assert (found["IsRootEvent"], found["NumMentions"]) == (root, told)


@pytest.mark.parametrize("text", ['the "Tigers"', '"quoted', "a\tb", "a\r\nb", "a\u2028b", '"=1+1', "\x00"])
def test_no_text_can_break_a_line_or_become_a_formula(text: str) -> None:
    (line,) = cameo_lines([record(coded("190", actors=(actor(text, "LKA", "REB"),)))])
    assert line.count(b"\t") == 60
    assert line.count(b"\n") == 1
    name = line.decode().split("\t")[NAMES.index("Actor1Name")]
    assert not set('"\t\r\u2028\x00') & set(name)
    assert not name.startswith("=")


@pytest.mark.parametrize(
    ("of", "taken"),
    [
        (record(), True),
        (record(status="retracted"), False),
        (record(replace(EVENT, realis="negated")), False),
        (record(BARE), False),
        (record(replace(BARE, realis="actual")), True),
    ],
)
def test_only_what_happened_is_taken(of: EventRecord, taken: bool) -> None:
    assert is_cameo(of) == taken


def test_numbers_are_stable_and_fit_63_bits() -> None:
    assert number(record()) == number(record(revision=2)) < 2**63
    assert number(record()) != number(record(BARE))
