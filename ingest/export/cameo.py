"""The column layout of GDELT 2.0's event table, so that what reads GDELT reads this: CAMEO codes, one row an event."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from ingest.export.codes import codes, countries, happened, middle, number, published, span
from ingest.export.columns import Cell, csv_cell
from ingest.records import EventRecord
from models.events import Actor, Location


def _actor_columns(nth: int, who: str) -> dict[str, str]:
    role = f"Actor{nth}"
    empty = ("KnownGroupCode", "EthnicCode", "Religion1Code", "Religion2Code")
    return {
        f"{role}Code": f"{who}: CAMEO code, country then role, as in `TURMIL`",
        f"{role}Name": "its name in the text, in capitals",
        f"{role}CountryCode": "CAMEO country code",
        **{f"{role}{name}": "empty" for name in empty},
        f"{role}Type1Code": "role, or `IGO`, `NGO`, `IMG`",
        f"{role}Type2Code": "role, after `IGO`, `NGO` or `IMG`",
        f"{role}Type3Code": "empty",
    }


def _geo_columns(of: str, filled: bool) -> dict[str, str]:
    meanings = {
        "Type": "0 none, 1 country, 2 US state, 3 place in the US, 4 place, 5 first-order division",
        "FullName": "place, first-order division, country",
        "CountryCode": "FIPS 10-4 country code",
        "ADM1Code": "the country's code, as nothing finer is known",
        "ADM2Code": "empty",
        "Lat": "WGS 84 degrees",
        "Long": "WGS 84 degrees",
        "FeatureID": "the country's code for a country, else empty: we know GeoNames' ids, not those of GNS",
    }
    return {f"{of}Geo_{name}": meaning if filled else "empty" for name, meaning in meanings.items()} | (
        {} if filled else {f"{of}Geo_Type": "0: where an actor is, we do not know"}
    )


CAMEO_COLUMNS: dict[str, str] = {
    "GLOBALEVENTID": "the event's number (see above)",
    "SQLDATE": "YYYYMMDD: the middle of the days that it can mean, else the day of publication, else that of coding",
    "MonthYear": "YYYYMM",
    "Year": "YYYY",
    "FractionDate": "year and the part of it that is over, with months of 30 days as GDELT has it",
    **_actor_columns(1, "the first actor"),
    **_actor_columns(2, "the first recipient, or the second actor of what is done together"),
    "IsRootEvent": "1 where the headline or the first 250 characters tell it",
    "EventCode": "CAMEO code, three or four digits: text, for its leading zero",
    "EventBaseCode": "its first three digits",
    "EventRootCode": "its first two digits",
    "QuadClass": "1 verbal cooperation, 2 material cooperation, 3 verbal conflict, 4 material conflict, by root code",
    "GoldsteinScale": "Goldstein score of the code; empty where there is none",
    "NumMentions": "how often the article tells it",
    "NumSources": "1",
    "NumArticles": "1",
    "AvgTone": "empty: PLOVER's intensity is no tone",
    **_geo_columns("Actor1", filled=False),
    **_geo_columns("Actor2", filled=False),
    **_geo_columns("Action", filled=True),
    "DATEADDED": "YYYYMMDDHHMMSS of coding, UTC",
    "SOURCEURL": "the article's address",
}

# A meeting, an accord, a joint act and a clash have both sides among their actors where no recipient is named.
_MUTUAL = ("AGREE", "CONSULT", "COOPERATE", "ASSAULT")
_LEAD = 250
# GDELT's lines are neither quoted nor escaped.
_UNWRITABLE = re.compile(r'["\x00-\x20\x7f-\xa0\u2028\u2029]+')


def is_cameo(event: EventRecord) -> bool:
    """Whether the event has a place in GDELT's table: it happened."""
    return happened(event)


def cameo_lines(events: Iterable[EventRecord]) -> Iterator[bytes]:
    """One row an event, UTF-8, cells parted by tabs, without a header."""
    for event in events:
        row = _row(event)
        cells = [_written(row.get(name)) for name in CAMEO_COLUMNS]
        yield "\t".join(cells).encode("utf-8", "replace") + b"\n"


def _written(cell: Cell) -> str:
    if isinstance(cell, str):
        return str(csv_cell(_UNWRITABLE.sub(" ", cell).strip()))
    return "" if cell is None else str(cell)


def _row(event: EventRecord) -> dict[str, Cell]:
    when = _day(event)
    digits = when.isoformat().replace("-", "")
    first, second = _sides(event)
    code = event.codes.cameo.ljust(3, "0")
    return {
        "GLOBALEVENTID": number(event),
        "SQLDATE": digits,
        "MonthYear": digits[:6],
        "Year": when.year,
        "FractionDate": f"{when.year + ((when.month - 1) * 30 + when.day) / 365:.4f}",
        **_actor("Actor1", first),
        **_actor("Actor2", second),
        "IsRootEvent": int(_leads(event)),
        "EventCode": code,
        "EventBaseCode": code[:3],
        "EventRootCode": code[:2],
        "QuadClass": _quad(int(code[:2])),
        "GoldsteinScale": codes()["goldstein"].get(code),
        "NumMentions": 1 + len(event.mentions),
        "NumSources": 1,
        "NumArticles": 1,
        "Actor1Geo_Type": 0,
        "Actor2Geo_Type": 0,
        **_place(event.location),
        "DATEADDED": f"{event.coded:%Y%m%d%H%M%S}",
        "SOURCEURL": event.article.url,
    }


def _day(event: EventRecord) -> date:
    when = span(event)
    return middle(*when) if when else published(event)


def _leads(event: EventRecord) -> bool:
    told = [event.sentence, *(mention.sentence for mention in event.mentions)]
    return any(sentence.field == "title" or sentence.start < _LEAD for sentence in told)


def _quad(root: int) -> int:
    """GDELT's quad class of a root code; PLOVER's differs for what CAMEO files elsewhere."""
    return 1 if root <= 5 else 2 if root <= 8 else 3 if root <= 13 else 4


def _sides(event: EventRecord) -> tuple[Actor | None, Actor | None]:
    others: Sequence[Actor] = event.recipients or (event.actors[1:] if event.type in _MUTUAL else ())
    return next(iter(event.actors), None), next(iter(others), None)


def _actor(role: str, actor: Actor | None) -> dict[str, Cell]:
    if actor is None:
        return {}
    known = countries().get(actor.country or "")
    country = known.cameo if known else None
    stands_for = [] if known or not actor.country else [actor.country]  # IGO, NGO, IMG
    sector = codes()["role"].get(actor.sector or "")
    types = [*stands_for, sector] if sector else stands_for
    row: dict[str, Cell] = {f"{role}Type{nth}Code": type for nth, type in enumerate(types, 1)}
    return row | {
        f"{role}Code": "".join([country or "", *types]),
        f"{role}Name": actor.text.upper(),
        f"{role}CountryCode": country,
    }


def _place(place: Location | None) -> dict[str, Cell]:
    known = countries().get(place.country or "") if place else None
    if place is None or (place.precision is None and known is None):
        return {"ActionGeo_Type": 0}
    fips = known.fips if known else ""
    if place.country == "PSE" and "Gaza" in f"{place.admin1} {place.name}":
        fips = "GZ"  # FIPS 10-4 and GDELT have Gaza and the West Bank apart
    american = place.country == "USA"
    kinds = {"place": 3 if american else 4, "admin1": 2 if american else 5}
    kind = kinds.get(place.precision or "", 1)
    names = [place.name, place.admin1, known.name if known else None]
    return {
        "ActionGeo_Type": kind,
        "ActionGeo_FullName": ", ".join(dict.fromkeys(name for name in names if name)),
        "ActionGeo_CountryCode": fips,
        "ActionGeo_ADM1Code": fips,
        "ActionGeo_Lat": place.lat,
        "ActionGeo_Long": place.lon,
        "ActionGeo_FeatureID": fips if kind == 1 else None,
    }
