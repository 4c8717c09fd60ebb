"""From records to the rows that are kept of them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from ingest.api.columns import Row, Told, microseconds
from ingest.api.filters import words_of

_NEEDED = frozenset(
    "event_id revision status article type realis confidence actors recipients location date coded".split()
)


@lru_cache(10_000)
def _ordinal(day: str | None) -> int | None:
    try:
        return date.fromisoformat(day or "").toordinal()
    except ValueError:
        return None


@lru_cache(1000)  # events of one article have the same
def _time(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))


@lru_cache(10_000)
def _words(text: str) -> tuple[str, ...]:
    return words_of([text])


def _where(place: Mapping[str, Any] | None, date: Mapping[str, Any] | None) -> dict[str, Any]:
    """The columns of a place's coordinates, and of the first and the last day of a date, as far as they are known."""
    found: dict[str, Any] = {}
    if place and place.get("lat") is not None and place.get("lon") is not None:
        found["lat"], found["lon"] = place["lat"], place["lon"]
    if date:
        if (first := _ordinal(date.get("earliest"))) is not None:
            found["first_day"] = first
        if (last := _ordinal(date.get("latest"))) is not None:
            found["last_day"] = last
    return found


def read_event(record: str) -> Mapping[str, Any]:
    """What `event_row` needs of the JSON of an event record: reading less of it takes two thirds of the time."""
    try:
        # Where a key stands in quotes it is one: in a text the quotes would be escaped.
        trigger = record.index(',"trigger":')
        actors = record.index(',"actors":', trigger)
        dead = record.index(',"dead":', actors)
        coded = record.rindex(',"coded":')
        found: Mapping[str, Any] = from_json(record[:trigger] + record[actors:dead] + record[coded:])
        return found if found.keys() >= _NEEDED else from_json(record)
    except ValueError:  # written in another order
        return from_json(record)  # type: ignore[no-any-return]


def event_row(record: Mapping[str, Any], known: int, superseded: int | None = None) -> Row:
    """The row of an event record, as its JSON is read."""
    parties = [*record["actors"], *record["recipients"]]
    location, article = record["location"], record["article"]
    named = [location["country"]] if location else []
    named += [party.get("country") for party in parties]
    language = article.get("language")
    return Row(
        known=known,
        id=record["event_id"],
        revision=record["revision"],
        coded=_time(record["coded"]),
        status=record["status"],
        type=record["type"],
        realis=record["realis"],
        confidence=record["confidence"],
        countries=tuple({country: None for country in named if country}),
        words=tuple({word: None for party in parties for word in _words(party["text"])}),
        feeds=(article["feed"],),
        languages=(language,) if language else (),
        superseded=superseded,
        **_where(location, record["date"]),
    )


def incident_row(record: Mapping[str, Any], known: int) -> Row:
    """The row of an incident record, but for what `told_by` adds."""
    place, day = record.get("place"), record.get("date")
    parties = [supported["value"] for side in ("actors", "recipients") for supported in record.get(side) or ()]
    named = [*record["countries"], *(party.get("country") for party in parties)]
    return Row(
        known=known,
        id=record["incident_id"],
        revision=record["revision"],
        coded=_time(record["changed"]),
        status="merged" if record.get("merged_into") else record["status"],
        type=record["type"]["value"],
        realis="",
        confidence=0.0,
        sources=record["sources"],
        countries=tuple({country: None for country in named if country}),
        words=tuple({word: None for party in parties for word in _words(party["text"])}),
        feeds=tuple({report["publisher"]: None for report in record["reports"]}),
        **_where(place and place["value"], day and day["value"]),
    )


def told_by(incident: Row, told: Sequence[Told]) -> Row:
    """The row with what its events tell: the realis of most, the confidence of the surest, their feeds, as publishers are
    known by both names, and languages."""
    kinds = Counter(each.realis for each in told)
    return incident._replace(
        realis=kinds.most_common(1)[0][0] if kinds else "",
        confidence=max((each.confidence for each in told), default=0.0),
        feeds=_merged([incident.feeds, *(each.feeds for each in told)]),
        languages=_merged(each.languages for each in told),
    )


def _merged(names: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple({name: None for some in names for name in some})
