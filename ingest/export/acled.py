"""The column layout of ACLED's CSV, so that what reads ACLED's download reads this: who was on which side, in their terms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ingest.export.codes import MONTH_DAYS, codes, countries, happened, middle, number, published, span
from ingest.export.columns import Cell, joined
from ingest.export.lines import csv_line
from ingest.records import EventRecord
from models.events import AcledCode, Actor

ACLED_COLUMNS: dict[str, str] = {
    "event_id_cnty": "alpha-3 code of the country and the event's number (see above)",
    "event_date": "YYYY-MM-DD: the middle of the days it can mean, else the day of publication; empty for more than a month",
    "year": "its year",
    "time_precision": "1 one day, 2 up to 9 days or the day of publication, 3 up to a month",
    "disorder_type": "Political violence, Demonstrations, both, or Strategic developments",
    "event_type": "ACLED event type",
    "sub_event_type": "ACLED sub-event",
    "actor1": "the first actor as the text names it, or `Protesters (Country)` and the like, as ACLED does",
    "assoc_actor_1": "the others on that side, joined by `; `; all of them where `actor1` is such a group",
    "inter1": "what kind of actor that is, in the words of the codebook of 2024",
    "actor2": "as `actor1`, for the other side",
    "assoc_actor_2": "as `assoc_actor_1`",
    "inter2": "as `inter1`",
    "interaction": "both kinds, as in `State forces-Rebel group`, or `Rioters only`",
    "civilian_targeting": "`Civilian targeting` or empty",
    "iso": "ISO 3166-1 numeric code of the country",
    "region": "ACLED's region",
    "country": "its name as ACLED writes it",
    "admin1": "first-order division",
    "admin2": "empty",
    "admin3": "empty",
    "location": "name of the place",
    "latitude": "WGS 84 degrees",
    "longitude": "WGS 84 degrees",
    "geo_precision": "1 a place, 2 a first-order division, 3 a country",
    "source": "name of the feed",
    "source_scale": "empty",
    "notes": "the sentence, then the feed and the article's address in brackets",
    "fatalities": "the dead, at least so many; 0 where the text counts none, as ACLED has it",
    "tags": "`event_id=` and the event's id",
    "timestamp": "when it was coded, seconds since 1970 UTC",
}

_CIVILIANS, _PROTESTERS, _RIOTERS = "Civilians", "Protesters", "Rioters"
_STATE, _EXTERNAL = "State forces", "External/Other forces"
# An interaction names the two kinds in this order, whoever acted.
_ORDER = (
    _STATE,
    "Rebel group",
    "Political militia",
    _RIOTERS,
    _PROTESTERS,
    _EXTERNAL,
    _CIVILIANS,
)
_OFFICIALS = ("GOV", "JUD", "LEG")
_PRECISION = {"place": 1, "admin1": 2, "country": 3}
_WEEK_DAYS = 9  # "last week", and a weekend on either side of it


def is_acled(event: EventRecord) -> bool:
    """Whether the event has a place in ACLED's table: it happened, and it has an ACLED code."""
    return happened(event) and event.codes.acled is not None


def acled_lines(events: Iterable[EventRecord]) -> Iterator[bytes]:
    """The header and one row an event, as CSV. Every event must be one that `is_acled` takes."""
    yield csv_line(list(ACLED_COLUMNS))
    for event in events:
        row = _row(event)
        yield csv_line([row.get(name) for name in ACLED_COLUMNS])


def _row(event: EventRecord) -> dict[str, Cell]:
    code = event.codes.acled
    assert code is not None
    place = event.location
    iso3 = (place.country if place else None) or ""
    country = countries().get(iso3)
    first, second = _sides(event, code)
    actor1, inter1 = _named(first, _kind(first, code, iso3, target=False), iso3)
    actor2, inter2 = _named(second, _kind(second, code, iso3, target=True), iso3)
    disorder = codes()["disorder"]
    row: dict[str, Cell] = {
        "event_id_cnty": f"{iso3}{number(event)}",
        "disorder_type": disorder.get(code.sub_event_type, disorder.get(code.event_type)),
        "event_type": code.event_type,
        "sub_event_type": code.sub_event_type,
        "actor1": actor1[0],
        "assoc_actor_1": actor1[1],
        "inter1": inter1,
        "actor2": actor2[0],
        "assoc_actor_2": actor2[1],
        "inter2": inter2,
        "interaction": _interaction(inter1, inter2, alone=not actor2[0]),
        "civilian_targeting": "Civilian targeting" if _on_civilians(code, inter2) else None,
        "source": event.article.feed,
        "notes": f"{event.sentence.text} ({event.article.feed}: {event.article.url})",
        "fatalities": (event.dead.min if event.dead else None) or 0,
        "tags": f"event_id={event.event_id}",
        "timestamp": int(event.coded.timestamp()),
    }
    if country:
        row |= {"iso": country.numeric, "region": country.region, "country": country.name}
    if place:
        row |= {"admin1": place.admin1, "location": place.name, "latitude": place.lat, "longitude": place.lon}
        row["geo_precision"] = _PRECISION[place.precision] if place.precision else None
    return row | _time(event)


def _time(event: EventRecord) -> dict[str, Cell]:
    known = span(event)
    first, last = known or (published(event), published(event))
    days = (last - first).days + 1
    if days > MONTH_DAYS:
        return {"year": first.year} if first.year == last.year else {}
    return {
        "event_date": middle(first, last).isoformat(),
        "year": middle(first, last).year,
        "time_precision": 1 if known and days == 1 else 2 if days <= _WEEK_DAYS else 3,
    }


def _sides(event: EventRecord, code: AcledCode) -> tuple[Sequence[Actor], Sequence[Actor]]:
    """Who stands under actor 1 and who under actor 2."""
    actors, recipients = event.actors, event.recipients
    if code.event_type == "Protests":
        # Protesters come first, also where they are those acted upon; whom they protest against is no actor.
        return (recipients, actors) if event.type == "ASSAULT" else (actors, ())
    if code.sub_event_type == "Violent demonstration":
        return actors, ()
    if not recipients and (code.event_type == "Battles" or code.sub_event_type == "Agreement"):
        return actors[:1], actors[1:]  # the two sides of a clash or an accord are all actors
    return actors, recipients


def _kind(side: Sequence[Actor], code: AcledCode, iso3: str, *, target: bool) -> str | None:
    """ACLED's kind of actor: by the event type where that says it, else by the sector of the first on that side."""
    if not target and code.event_type in ("Protests", "Riots"):
        return _PROTESTERS if code.event_type == "Protests" else _RIOTERS
    attacked = target and code.event_type == "Violence against civilians"
    if not side:
        return _CIVILIANS if attacked else None
    first = side[0]
    kind: str | None = codes()["inter"].get(first.sector or "")
    # A government, court or parliament that is attacked among civilians, or arrested, is persons.
    officials = first.sector in _OFFICIALS and target and (attacked or code.sub_event_type == "Arrests")
    if officials or (attacked and kind is None):
        return _CIVILIANS
    abroad = first.country in ("IGO", "NGO", "IMG") or (iso3 and first.country not in (None, iso3))
    if (kind is None and first.country == "IGO") or (kind == _STATE and abroad):
        return _EXTERNAL
    return kind


def _named(side: Sequence[Actor], kind: str | None, iso3: str) -> tuple[tuple[str | None, str | None], str | None]:
    """The side's actor and its associates, and its kind."""
    texts = [actor.text for actor in side]
    anonymous = kind in (_PROTESTERS, _RIOTERS, _CIVILIANS) or (side and side[0].sector == "UAF")
    if not (kind and anonymous):
        return (texts[0] if texts else None, joined(texts[1:]) or None), kind
    home = countries().get((side[0].country if side else None) or iso3) or countries().get(iso3)
    group = codes()["generic"][kind]
    return (f"{group} ({home.name})" if home else group, joined(texts) or None), kind


def _interaction(inter1: str | None, inter2: str | None, *, alone: bool) -> str | None:
    if inter1 and inter2:
        return "-".join(sorted((inter1, inter2), key=_ORDER.index))
    return f"{inter1} only" if inter1 and alone else None


def _on_civilians(code: AcledCode, inter2: str | None) -> bool:
    if code.event_type == "Violence against civilians" or code.sub_event_type == "Excessive force against protesters":
        return True
    return inter2 == _CIVILIANS and code.event_type in ("Explosions/Remote violence", "Riots")
