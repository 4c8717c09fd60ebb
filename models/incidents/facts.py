"""What is compared and kept of one event: plain values, worked out once when it arrives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal, Protocol

from models.events import Actor, Count, EventDate, Location, Mention, Realis, Span
from models.resolve import countries_named
from models.spelling import fold

# A date that spans more days than this says nothing ("this year").
_LONGEST_DATE = 4
_MOST_WORDS = 64
_MOST_PARTIES = 8
_TELLING = 6


class Coded(Protocol):
    """The coded fields of an event: `models.Event`, or the event record of `ingest`."""

    @property
    def type(self) -> str: ...
    @property
    def modes(self) -> tuple[str, ...]: ...
    @property
    def realis(self) -> Realis: ...
    @property
    def confidence(self) -> float: ...
    @property
    def sentence(self) -> Span: ...
    @property
    def mentions(self) -> tuple[Mention, ...]: ...
    @property
    def actors(self) -> tuple[Actor, ...]: ...
    @property
    def recipients(self) -> tuple[Actor, ...]: ...
    @property
    def location(self) -> Location | None: ...
    @property
    def date(self) -> EventDate | None: ...
    @property
    def dead(self) -> Count | None: ...
    @property
    def injured(self) -> Count | None: ...


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it arrives: what is coded, and who told it when.

    `publisher` is who wrote the article (its agency where that is known), `story` its syndication id; articles that share
    either are one source. `published` is the article's own time, `coded` when the event was coded, by which incidents grow
    old. Times have a zone.
    """

    event_id: str
    revision: int
    status: Literal["new", "updated", "retracted"]
    article_id: str
    article_revision: int
    publisher: str
    story: str
    published: datetime
    coded: datetime
    event: Coded


@dataclass(frozen=True, slots=True)
class Place:
    """A resolved place; degrees WGS 84."""

    name: str
    country: str
    admin1: str | None
    lat: float | None
    lon: float | None
    geonames_id: int | None
    precision: str


@dataclass(frozen=True, slots=True)
class Party:
    """An actor or recipient; `key` are the words that tell it apart."""

    text: str
    country: str | None
    sector: str | None
    key: frozenset[str]


@dataclass(frozen=True, slots=True)
class Range:
    """Persons; `high` is None where the text has no upper bound."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """One event, ready to be compared.

    `days` are the first and last day it may have happened on, as ordinals of the Gregorian calendar, `dated` whether the text
    says so. `words` are the stems in the sentences that tell it, `weight` how much all of them tell.
    """

    event_id: str
    revision: int
    article_id: str
    article_revision: int
    publisher: str
    story: str
    published: datetime
    type: str
    modes: tuple[str, ...]
    realis: Realis
    confidence: float
    place: Place | None
    days: tuple[int, int]
    dated: bool
    actors: tuple[Party, ...]
    recipients: tuple[Party, ...]
    dead: Range | None
    injured: Range | None
    words: frozenset[str]
    weight: int

    @property
    def countries(self) -> tuple[str, ...]:
        """Those of the place and of the parties, each once."""
        named = [self.place.country] if self.place else []
        named += [party.country for party in (*self.actors, *self.recipients) if party.country]
        return tuple(dict.fromkeys(named))


def facts(told: Told) -> Facts:
    """The facts of an event."""
    event = told.event
    published = min(_utc(told.published), _utc(told.coded))  # a feed may date its articles in the future
    days = _days(event.date)
    printed = published.date().toordinal()
    words = _words(" ".join([event.sentence.text, *(mention.sentence.text for mention in event.mentions)]))
    return Facts(
        told.event_id,
        told.revision,
        told.article_id,
        told.article_revision,
        told.publisher,
        told.story,
        published,
        event.type,
        event.modes,
        event.realis,
        round(event.confidence, 3),
        _place(event.location),
        days or (printed - 1, printed),
        days is not None,
        _parties(event.actors),
        _parties(event.recipients),
        _range(event.dead),
        _range(event.injured),
        words,
        sum(map(weight, words)),
    )


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC)


def _days(said: EventDate | None) -> tuple[int, int] | None:
    if said is None or said.earliest is None or said.latest is None:
        return None
    first, last = (date.fromisoformat(day).toordinal() for day in (said.earliest, said.latest))
    return (first, last) if 0 <= last - first < _LONGEST_DATE else None


def _place(where: Location | None) -> Place | None:
    if where is None or where.name is None or where.country is None:
        return None
    precision = where.precision or "country"
    return Place(where.name, where.country, where.admin1, where.lat, where.lon, where.geonames_id, precision)


def _parties(named: Sequence[Actor]) -> tuple[Party, ...]:
    return tuple(Party(one.text, one.country, one.sector, _key(one.text)) for one in named[:_MOST_PARTIES])


def _range(count: Count | None) -> Range | None:
    return Range(count.min, count.max) if count is not None and count.min is not None else None


# --- words

_LETTERS = re.compile(r"[a-z]+")
# Longest first; a stem keeps four letters.
_ENDINGS = ("ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "s")
_EMPTY = frozenset(
    """a about according after against all also an and are as at because been before being between but by could day
    days during early evening first for friday from had has have he her him his i in into is it its last late least
    men monday month months more morning near new night no not november of off official officials on one or other
    out over people person report reported said saturday say says she so some sunday than that the their them there
    these they this those three thursday to told tuesday two under until up was we wednesday week were what when
    which while who with women would year years yesterday you""".split()
)
_COUNTED = frozenset(
    "four five six seven eight nine ten eleven twelve dozen dozens hundred hundreds thousand thousands".split()
)


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)
    return word


def stems(text: str) -> list[str]:
    """The words of a text that tell something, without their endings, in order; numbers are left out."""
    read = _LETTERS.findall(fold(text))
    return [_stem(word) for word in read if len(word) > 2 and word not in _EMPTY and word not in _COUNTED]


def _words(text: str) -> frozenset[str]:
    found = dict.fromkeys(stems(text))
    return frozenset(sorted(found, key=lambda word: (-weight(word), word))[:_MOST_WORDS])


@lru_cache(maxsize=8192)
def _key(text: str) -> frozenset[str]:
    words = re.findall(r"[\w’']+", text)
    return frozenset(stem for word in words if not countries_named(word) for stem in stems(word))


@cache
def _table() -> tuple[dict[str, int], int]:
    *rows, rest = (line.split("\t") for line in files(__package__).joinpath("words.tsv").read_text().splitlines()[1:])
    return {stem: int(tenths) for stem, tenths in rows}, int(rest[1])


def weight(stem: str) -> int:
    """How much a word tells: ten times the natural logarithm of how rarely it stands in the training corpus' sentences."""
    table, unknown = _table()
    return table.get(stem, unknown)


def telling(words: Iterable[str]) -> list[str]:
    """The words that tell most, by which events are found whose country was not or wrongly told."""
    return sorted(words, key=lambda word: (-weight(word), word))[:_TELLING]
