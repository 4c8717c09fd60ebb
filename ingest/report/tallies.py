"""What is counted for a report, record by record, so that memory does not grow with their number. Pure.

Records are JSON as parsed; everything in them is untrusted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from math import log2
from typing import Any

from ingest.incidents import publisher_of
from ingest.report.period import Window
from models.ontology import quad

MAIN = 20
"""Incidents that are told in full."""
_CONFLICT = "material conflict"
_GRID = 0.05  # degrees within which places are one
_NAME = 120  # characters of a name that is counted


@dataclass(slots=True)
class Dead:
    """Sums over incidents: of the least, the best-supported and the most figures, and over how many incidents."""

    least: int = 0
    best: int = 0
    most: int = 0
    incidents: int = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Add the figures of an incident."""
        figures, best = record.get("dead_figures"), record.get("dead")
        if figures and best:
            self.least += figures["min"]
            self.best += best["value"]["min"]
            self.most += figures["max"]
            self.incidents += 1


@dataclass(slots=True)
class Week:
    """What one window holds: events and incidents that happened, and what was read."""

    window: Window
    events: Counter[str] = field(default_factory=Counter)
    others: int = 0
    articles: int = 0
    feeds: int = 0
    incidents: Counter[str] = field(default_factory=Counter)
    corroborated: int = 0
    dead: Dead = field(default_factory=Dead)

    def add_events(self, tally: Mapping[tuple[str, str], int]) -> None:
        """Take the numbers of events by type and realis."""
        for (type_, realis), number in tally.items():
            if realis == "actual":
                self.events[type_] += number
            else:
                self.others += number

    def add_incident(self, record: Mapping[str, Any]) -> None:
        """Count an incident that happened."""
        type_ = record["type"]["value"]
        self.incidents[type_] += 1
        self.corroborated += record["status"] == "corroborated"
        if quad_of(type_) == _CONFLICT:
            self.dead.add(record)

    def quads(self) -> Counter[str]:
        """The events by quad class."""
        found: Counter[str] = Counter()
        for type_, number in self.events.items():
            found[quad_of(type_)] += number
        return found


@lru_cache(100)
def quad_of(type_: str) -> str:
    """The quad class; empty for a type that this version does not know."""
    try:
        return quad(type_)
    except ValueError:
        return ""


def happened(record: Mapping[str, Any], not_actual: set[str]) -> bool:
    """Whether an incident happened: by at least half of the reports that do not deny it, which there must be."""
    told = [report["event_id"] not in not_actual for report in record["reports"] if not report["denies"]]
    return bool(told) and 2 * sum(told) >= len(told)


def points(record: Mapping[str, Any]) -> float:
    """How much an incident matters: 2 for each doubling of independent sources, 1 for each doubling of the dead and a half for
    each of the injured (best supported, one added), 1 where it is corroborated."""
    persons = (record[name]["value"]["min"] if record.get(name) else 0 for name in ("dead", "injured"))
    dead, injured = (log2(1 + max(number, 0)) for number in persons)
    corroborated: bool = record["status"] == "corroborated"
    return 2 * log2(max(record["sources"], 1)) + dead + injured / 2 + corroborated


@dataclass(slots=True)
class Spot:
    """A place on the map: how many incidents, of which quad classes, and the dead."""

    lat: float
    lon: float
    names: Counter[str] = field(default_factory=Counter)
    quads: Counter[str] = field(default_factory=Counter)
    dead: int = 0

    @property
    def number(self) -> int:
        """How many incidents."""
        return self.quads.total()


@dataclass(slots=True)
class Party:
    """An actor or recipient: in how many incidents as which, and in which words."""

    actor: int = 0
    recipient: int = 0
    words: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Totals:
    """What the tables of a report say of the incidents of its period."""

    week: Week
    main: list[tuple[tuple[float, int, str, str], str]] = field(default_factory=list)
    countries: Counter[str] = field(default_factory=Counter)
    country_dead: Counter[str] = field(default_factory=Counter)
    type_dead: Counter[str] = field(default_factory=Counter)
    type_corroborated: Counter[str] = field(default_factory=Counter)
    parties: dict[tuple[str, str, str], Party] = field(default_factory=dict)
    spots: dict[tuple[int, int], Spot] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    unplaced: int = 0
    undated: int = 0
    earlier: int = 0
    not_happened: int = 0

    def add(self, record: Mapping[str, Any], text: str) -> None:
        """Count an incident that happened; `text` is the JSON it was parsed from."""
        self.week.add_incident(record)
        type_, place = record["type"]["value"], (record.get("place") or {}).get("value")
        conflict = quad_of(type_) == _CONFLICT
        dead = record["dead"]["value"]["min"] if conflict and record.get("dead") else 0
        self.statuses[record["status"]] += 1
        self.type_dead[type_] += dead
        self.type_corroborated[type_] += record["status"] == "corroborated"
        country = place["country"] if place else ""
        self.countries[country] += 1
        self.country_dead[country] += dead
        self._place(place, quad_of(type_), dead)
        day = (record.get("date") or {}).get("value")
        self.undated += day is None
        self.earlier += day is not None and date.fromisoformat(day["latest"]) < self.week.window.first
        for side in ("actors", "recipients"):
            named: dict[tuple[str, str, str], list[str]] = {}
            for each in record.get(side) or ():
                who = each["value"]
                words = " ".join(who["text"].split())[:_NAME]
                country_, sector = who.get("country") or "", who.get("sector") or ""
                # What no code names is known by its words alone.
                key = (country_, sector, "" if country_ or sector else words.casefold())
                named.setdefault(key, []).append(words)
            for key, several in named.items():
                party = self.parties.setdefault(key, Party())
                party.words.update(several)
                if side == "actors":
                    party.actor += 1
                else:
                    party.recipient += 1
        self._rank(record, text)

    def _place(self, place: Mapping[str, Any] | None, quad_: str, dead: int) -> None:
        # The middle of a country is no place where anything happened.
        if not place or place["lat"] is None or place["lon"] is None or place["precision"] == "country":
            self.unplaced += 1
            return
        lat, lon = place["lat"], place["lon"]
        spot = self.spots.setdefault((round(lat / _GRID), round(lon / _GRID)), Spot(lat, lon))
        # The same whatever came first.
        spot.lat, spot.lon = min((spot.lat, spot.lon), (lat, lon))
        spot.names[place["name"][:_NAME]] += 1
        spot.quads[quad_] += 1
        spot.dead += dead

    def _rank(self, record: Mapping[str, Any], text: str) -> None:
        key = (-round(points(record), 6), -len(record["reports"]), record["first_report"], record["incident_id"])
        self.main.append((key, text))
        if len(self.main) > 20 * MAIN:
            self.trim()

    def trim(self) -> None:
        """Leave the main incidents, in their order."""
        self.main = sorted(self.main)[:MAIN]


@dataclass(slots=True)
class Told:
    """What the tables of a report say of the events of its period, and of their articles."""

    publishers: dict[str, set[str]] = field(default_factory=dict)
    publisher_events: Counter[str] = field(default_factory=Counter)
    countries: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    models: Counter[tuple[str, str]] = field(default_factory=Counter)
    crosswalks: Counter[str] = field(default_factory=Counter)
    realis: Counter[str] = field(default_factory=Counter)
    undated: int = 0
    unplaced: int = 0
    events: int = 0

    def add(self, record: Mapping[str, Any]) -> None:
        """Count an event of any realis; days and places of those that happened only."""
        article = record["article"]
        self.events += 1
        self.realis[record["realis"]] += 1
        publisher = _publisher(article["url"], article["feed"])
        self.publishers.setdefault(publisher, set()).add(article["article_id"])
        self.publisher_events[publisher] += 1
        self.languages[article.get("language") or ""] += 1
        self.models[record["model"]["name"], record["model"]["version"]] += 1
        self.crosswalks[record["crosswalk"]] += 1
        if record["realis"] != "actual":
            return
        place, day = record["location"], record["date"]
        self.countries[(place and place["country"]) or ""] += 1
        self.unplaced += not (place and place["lat"] is not None)
        self.undated += not (day and day["earliest"])


@lru_cache(10_000)
def _publisher(url: str, feed: str) -> str:
    return publisher_of(url, feed)[:_NAME]
