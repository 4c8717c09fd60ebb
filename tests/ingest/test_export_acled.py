"""The layout of ACLED's CSV: what reads ACLED's download reads ours, and the sides stand where ACLED has them."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pandas
import pytest

from ingest.export.acled import ACLED_COLUMNS, acled_lines, is_acled
from ingest.export.codes import codes, countries, number
from ingest.records import EventRecord
from models.events import AcledCode, Actor, Count, Event, EventDate, Location
from models.ontology import _CROSSWALK
from tests.ingest.command import record
from tests.ingest.storage.samples import BARE, EVENT

# Two invented rows in the layout of the download.
SAMPLE = """\
event_id_cnty,event_date,year,time_precision,disorder_type,event_type,sub_event_type,actor1,assoc_actor_1,inter1,actor2,\
assoc_actor_2,inter2,interaction,civilian_targeting,iso,region,country,admin1,admin2,admin3,location,latitude,longitude,\
geo_precision,source,source_scale,notes,fatalities,tags,timestamp
NIG90001,2024-03-05,2024,1,Political violence,Violence against civilians,Attack,Unidentified Armed Group (Nigeria),,\
Political militia,Civilians (Nigeria),Farmers (Nigeria),Civilians,Political militia-Civilians,Civilian targeting,566,\
Western Africa,Nigeria,Zamfara,Maru,Dansadau,Dansadau,11.1500,6.2000,2,Invented Daily,National,"On 5 March, gunmen shot.",3,,\
1710200000
NIG90002,2024-03-06,2024,1,Demonstrations,Protests,Peaceful protest,Protesters (Nigeria),Teachers (Nigeria),Protesters,,,,\
Protesters only,,566,Western Africa,Nigeria,Lagos,Ikeja,Ikeja,Ikeja,6.6018,3.3515,1,Invented News,National,\
"Teachers, marched",0,crowd size=no report,1710200001
"""
OURS_EMPTY = {"admin2", "admin3", "source_scale"}


def actor(text: str, country: str | None = None, sector: str | None = None) -> Actor:
    return Actor(text, 0, len(text), "text", country=country, sector=sector)


def event(
    kind: str, sub: str, actors: list[Actor], recipients: list[Actor], type: str = "ASSAULT", **fields: Any
) -> Event:
    coded = replace(EVENT.codes, acled=AcledCode(kind, sub))
    where = Location("Kano", 0, 4, "text", "Kano", "NGA", "Kano State", 12.0, 8.52, 1, "place")
    made = replace(EVENT, type=type, codes=coded, actors=tuple(actors), recipients=tuple(recipients), location=where)
    return replace(made, **fields)


def read(*events: EventRecord) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(b"".join(acled_lines(events))), keep_default_na=False, na_values=[""])


def row(of: Event) -> dict[str, Any]:
    """The row of one event, empty cells left away."""
    (found,) = read(record(of)).to_dict("records")
    return {str(name): value for name, value in found.items() if not pandas.isna(value)}


def test_columns_order_and_types_are_those_of_the_download() -> None:
    theirs = pandas.read_csv(io.StringIO(SAMPLE))
    attack = event(
        "Violence against civilians",
        "Attack",
        [actor("gunmen", "NGA", "UAF"), actor("bandits", "NGA", "CRM")],
        [actor("farmers", "NGA", "CVL")],
    )
    march = event("Protests", "Peaceful protest", [actor("teachers", "NGA", "LAB")], [], "PROTEST", dead=None)
    ours = read(record(attack), record(march))
    assert list(ours) == list(theirs) == list(ACLED_COLUMNS)
    filled = [name for name in theirs if name not in OURS_EMPTY]
    assert ours[filled].dtypes.to_dict() == theirs[filled].dtypes.to_dict()
    assert ours[list(OURS_EMPTY)].isna().all(axis=None)
    assert pandas.to_datetime(ours["event_date"]).dt.year.tolist() == ours["year"].tolist()


def test_an_attack_is_written_as_acled_writes_it() -> None:
    of = event(
        "Violence against civilians", "Attack", [actor("gunmen", "NGA", "UAF")], [actor("two farmers", "NGA", "CVL")]
    )
    assert row(of) == {
        "event_id_cnty": f"NGA{number(record(of))}",
        "event_date": "2026-11-23",
        "year": 2026,
        "time_precision": 1,
        "disorder_type": "Political violence",
        "event_type": "Violence against civilians",
        "sub_event_type": "Attack",
        "actor1": "Unidentified Armed Group (Nigeria)",
        "assoc_actor_1": "gunmen",
        "inter1": "Political militia",
        "actor2": "Civilians (Nigeria)",
        "assoc_actor_2": "two farmers",
        "inter2": "Civilians",
        "interaction": "Political militia-Civilians",
        "civilian_targeting": "Civilian targeting",
        "iso": 566,
        "region": "Western Africa",
        "country": "Nigeria",
        "admin1": "Kano State",
        "location": "Kano",
        "latitude": 12.0,
        "longitude": 8.52,
        "geo_precision": 1,
        "source": "wire",
        "notes": "Rebels bombed a market in Mosul on Monday, killing at least 12. (wire: https://example.org/a)",
        "fatalities": 12,
        "tags": f"event_id={record(of).event_id}",
        "timestamp": 1795521600,
    }


STATE, REBEL, MILITIA, OUTSIDE = "State forces", "Rebel group", "Political militia", "External/Other forces"
VIOLENCE, REMOTE = "Violence against civilians", "Explosions/Remote violence"
ARMY, TROOPS = actor("army", "NGA", "MIL"), actor("Chadian troops", "TCD", "MIL")
REBELS, POLICE, CROWD = actor("rebels", "NGA", "REB"), actor("police", "NGA", "COP"), actor("a crowd", "NGA", "CVL")
ABUJA = actor("Abuja", "NGA", "GOV")


@pytest.mark.parametrize(
    ("of", "actor1", "inter1", "actor2", "inter2", "interaction"),
    [
        (event("Battles", "Armed clash", [REBELS], [ARMY]), "rebels", REBEL, "army", STATE, "State forces-Rebel group"),
        # A clash without a recipient has both sides among its actors.
        (
            event("Battles", "Armed clash", [ARMY, REBELS], []),
            "army",
            STATE,
            "rebels",
            REBEL,
            "State forces-Rebel group",
        ),
        (
            event("Battles", "Armed clash", [TROOPS], [REBELS]),
            "Chadian troops",
            OUTSIDE,
            "rebels",
            REBEL,
            "Rebel group-External/Other forces",
        ),
        (
            event(VIOLENCE, "Attack", [actor("peacekeepers", "IGO", "MIL")], [CROWD]),
            "peacekeepers",
            OUTSIDE,
            "Civilians (Nigeria)",
            "Civilians",
            "External/Other forces-Civilians",
        ),
        # An attack on officials is one on civilians, and so is one on nobody named.
        (
            event(VIOLENCE, "Attack", [REBELS], [ABUJA]),
            "rebels",
            REBEL,
            "Civilians (Nigeria)",
            "Civilians",
            "Rebel group-Civilians",
        ),
        (
            event(VIOLENCE, "Attack", [], []),
            None,
            None,
            "Civilians (Nigeria)",
            "Civilians",
            None,
        ),
        (
            event(REMOTE, "Air/drone strike", [ABUJA], [actor("Boko Haram", "NGA", "REB")]),
            "Abuja",
            STATE,
            "Boko Haram",
            REBEL,
            "State forces-Rebel group",
        ),
        (event(REMOTE, "Suicide bomb", [REBELS], []), "rebels", REBEL, None, None, "Rebel group only"),
        # Who was hit is named, but not what that is.
        (event(REMOTE, "Suicide bomb", [REBELS], [actor("a market")]), "rebels", REBEL, "a market", None, None),
        # Protesters come first, also where they are those acted upon.
        (
            event("Protests", "Excessive force against protesters", [POLICE], [CROWD]),
            "Protesters (Nigeria)",
            "Protesters",
            "police",
            STATE,
            "State forces-Protesters",
        ),
        (
            event("Protests", "Peaceful protest", [CROWD], [ABUJA], "PROTEST"),
            "Protesters (Nigeria)",
            "Protesters",
            None,
            None,
            "Protesters only",
        ),
        (
            event("Protests", "Peaceful protest", [], [], "PROTEST"),
            "Protesters (Nigeria)",
            "Protesters",
            None,
            None,
            "Protesters only",
        ),
        (
            event("Riots", "Violent demonstration", [CROWD], [ABUJA], "PROTEST"),
            "Rioters (Nigeria)",
            "Rioters",
            None,
            None,
            "Rioters only",
        ),
        (
            event("Riots", "Mob violence", [CROWD], [actor("a priest", "NGA", "REL")], "PROTEST"),
            "Rioters (Nigeria)",
            "Rioters",
            "Civilians (Nigeria)",
            "Civilians",
            "Rioters-Civilians",
        ),
        (
            event("Strategic developments", "Arrests", [POLICE], [actor("a minister", "NGA", "GOV")], "COERCE"),
            "police",
            STATE,
            "Civilians (Nigeria)",
            "Civilians",
            "State forces-Civilians",
        ),
        (
            event("Strategic developments", "Arrests", [actor("a court", "NGA", "JUD")], [], "COERCE"),
            "a court",
            STATE,
            None,
            None,
            "State forces only",
        ),
        (
            event("Strategic developments", "Agreement", [ABUJA, REBELS], [], "RETREAT"),
            "Abuja",
            STATE,
            "rebels",
            REBEL,
            "State forces-Rebel group",
        ),
    ],
)
def test_sides_stand_where_acled_has_them(
    of: Event, actor1: str | None, inter1: str | None, actor2: str | None, inter2: str | None, interaction: str | None
) -> None:
    found = row(of)
    names = ("actor1", "inter1", "actor2", "inter2", "interaction")
    assert tuple(found.get(name) for name in names) == (actor1, inter1, actor2, inter2, interaction)


@pytest.mark.parametrize(
    ("of", "targeting"),
    [
        (event(VIOLENCE, "Attack", [REBELS], []), True),
        (event("Protests", "Excessive force against protesters", [POLICE], [CROWD]), True),
        (event("Protests", "Protest with intervention", [POLICE], [CROWD]), False),
        (event(REMOTE, "Air/drone strike", [ARMY], [CROWD]), True),
        (event(REMOTE, "Air/drone strike", [ARMY], [REBELS]), False),
        (event("Riots", "Mob violence", [CROWD], [CROWD], "PROTEST"), True),
        (event("Strategic developments", "Arrests", [POLICE], [CROWD], "COERCE"), False),
    ],
)
def test_civilian_targeting_is_marked(of: Event, targeting: bool) -> None:
    assert ("civilian_targeting" in row(of)) == targeting


@pytest.mark.parametrize(
    ("earliest", "latest", "written", "year", "precision"),
    [
        ("2026-11-23", "2026-11-23", "2026-11-23", 2026, 1),
        ("2026-11-16", "2026-11-22", "2026-11-19", 2026, 2),
        ("2026-11-01", "2026-11-30", "2026-11-15", 2026, 3),
        ("2014-01-01", "2014-12-31", None, 2014, None),
        ("2013-07-01", "2014-12-31", None, None, None),
        # Published on that day, and told as news.
        (None, None, "2026-11-24", 2026, 2),
        ("2014", "2014", "2026-11-24", 2026, 2),
    ],
)
def test_dates_are_the_middle_of_what_is_known(
    earliest: str | None, latest: str | None, written: str | None, year: int | None, precision: int | None
) -> None:
    found = row(event(VIOLENCE, "Attack", [], [], date=EventDate("then", 0, 4, "text", earliest, latest)))
    assert (found.get("event_date"), found.get("year"), found.get("time_precision")) == (written, year, precision)


@pytest.mark.parametrize(("precision", "written"), [("place", 1), ("admin1", 2), ("country", 3)])
def test_geo_precision_follows_ours(precision: Any, written: int) -> None:
    place = Location("there", 0, 5, "text", "there", "COD", None, 1.0, 2.0, None, precision)
    found = row(event(VIOLENCE, "Attack", [], [], location=place))
    assert found["geo_precision"] == written
    assert (found["iso"], found["region"], found["country"]) == (180, "Middle Africa", "Democratic Republic of Congo")


def test_what_is_not_known_is_empty_and_no_dead_are_none() -> None:
    found = row(event("Protests", "Peaceful protest", [], [], "PROTEST", location=None, date=None, dead=None))
    assert found["fatalities"] == 0
    assert found["actor1"] == "Protesters"
    assert not {"iso", "country", "region", "location", "latitude", "geo_precision"} & set(found)


def test_fatalities_are_the_lower_bound() -> None:
    assert row(event(VIOLENCE, "Attack", [], [], dead=Count("dozens", 0, 6, "text", 24, None)))["fatalities"] == 24


@pytest.mark.parametrize(
    ("of", "taken"),
    [
        (record(), True),
        (record(status="updated"), True),
        (record(status="retracted"), False),
        (record(replace(EVENT, realis="negated")), False),
        (record(replace(EVENT, realis="historical")), False),
        (record(replace(BARE, realis="actual")), False),
    ],
)
def test_only_what_happened_and_has_a_code_is_taken(of: EventRecord, taken: bool) -> None:
    assert is_acled(of) == taken


def test_no_text_can_become_a_formula() -> None:
    of = event(REMOTE, "Suicide bomb", [actor("=HYPERLINK(1)")], [])
    assert row(of)["actor1"] == "'=HYPERLINK(1)"


def test_every_acled_code_of_the_crosswalk_has_a_disorder_type() -> None:
    disorder = codes()["disorder"]
    for each in _CROSSWALK["acled"]:
        assert each["sub_event_type"] in disorder or each["event_type"] in disorder


def test_countries_have_codes_of_their_own() -> None:
    known = countries().values()
    assert len(known) == 248
    for name in ("numeric", "fips", "cameo", "name"):
        written = [getattr(country, name) for country in known if getattr(country, name)]
        assert len(set(written)) == len(written), name
    assert countries()["ROU"].cameo == "ROM"
    assert countries()["SYR"].cameo == "SYR"
    assert {each.region for each in known if each.iso3 in ("AFG", "SDN", "TUR", "MMR")} == {
        "Caucasus and Central Asia", "Northern Africa", "Middle East", "Southeast Asia",
    }  # fmt: skip
