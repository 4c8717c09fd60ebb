"""Where: the place, province or country that the words mean, with its coordinates.

Every name has candidates: countries, the regions and conflict places of data/, GeoNames. What the text says of them (the
mentions that contain them) counts most, then the hints of the article, then how large they are.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from models.resolve import gazetteer
from models.resolve.lexicon import Kind, lexicon, rows, tokens
from models.resolve.text import fold, read_data


@dataclass(frozen=True, slots=True)
class Place:
    """A resolved location; the fields are those of `models.events.Location`. Open seas have no country."""

    name: str
    country: str | None
    admin1: str | None
    lat: float | None
    lon: float | None
    geonames_id: int | None
    precision: Literal["place", "admin1", "country"]


class _Candidate(NamedTuple):
    place: Place
    score: float


class _Context(NamedTuple):
    """What is known around a name: countries and provinces that contain it, and countries that are merely near."""

    countries: frozenset[str] = frozenset()
    provinces: frozenset[str] = frozenset()
    hints: tuple[str, ...] = ()


class _Chunk(NamedTuple):
    """A name within a mention; `kind` is one of the gazetteer's where a word beside the name tells it."""

    words: str
    kind: int | None
    capital: bool
    least: int = 0  # a town must have so many people to be meant


class _Mention(NamedTuple):
    """A mention taken apart: its names, and the countries and provinces that they stand in."""

    chunks: tuple[_Chunk, ...]
    country: str | None  # the mention is this country's name and nothing else
    countries: frozenset[str]
    provinces: frozenset[str]


# Scores. A town has ten times the decimal logarithm of its people: 40 for ten thousand, 70 for ten million.
_COUNTRY = 85.0
_REGION = 80.0
_KNOWN_PLACE = 64.0
_CONTAINED = 40.0  # in a country or province that the text says contains it
_HINTS = (20.0, 10.0, 6.0, 4.0, 2.0)
# American towns are named after the world's cities, and its government acts in all of them: talks of the United States and
# Iran in Geneva are not held in Illinois.
_AMERICAN_HINT = 4.0
_CAPITAL = 8.0
# Another spelling of its name; less likely where a town of comparable size has the very name.
_OTHER_SPELLING, _OTHER_NAME, _FAMOUS = -5.0, -20.0, 10
_PROVINCE, _DISTRICT = -12.0, -20.0
_KIND_ASKED = 35.0

_LARGE = 100_000
_MOST_CHARACTERS = 120
_MOST_MENTIONS = 8

_WORDS: dict[str, frozenset[str]] = {
    name: frozenset(words) for name, words in tomllib.loads(read_data("place_words.toml")).items()
}
_KIND_WORDS = {
    gazetteer.ADMIN1: _WORDS["admin1"],
    gazetteer.DISTRICT: _WORDS["district"],
    gazetteer.PLACE: _WORDS["place"],
}
_EDGES = _WORDS["edges"].union(*_KIND_WORDS.values())
_COMMON = _EDGES | _WORDS["common"]
_CUT = re.compile(
    r"\s+(?:of|in|near|outside|inside|at|on|from|off|above|below|along|around|between|with|across|and|to|towards|over|under|"
    r"where|leading|linking|into|by|through|for)\s+|\s*[,;(/]\s*|(?:['’]s|(?<=s)['’])\s+",
    re.IGNORECASE,
)


def resolve_place(mentions: Sequence[str], hints: Sequence[str] = ()) -> Place | None:
    """The place that the mentions mean, the most specific of them first, then those that contain it.

    `hints` are country codes that the article suggests (its other places, actors, dateline), the best first. A name that no
    list knows, or a mere word ("parliament", "the border"), is placed in the country of the first hint; without hints it is
    None. Precision says whether the answer is a place, a province (admin1) or a country. Never raises for any strings.
    """
    return _resolve(
        tuple(mention[:_MOST_CHARACTERS] for mention in mentions[:_MOST_MENTIONS]), tuple(hints[: len(_HINTS)])
    )


@lru_cache(maxsize=8192)
def _resolve(mentions: tuple[str, ...], hints: tuple[str, ...]) -> Place | None:
    known = tuple(hint for hint in hints if hint in _countries())
    read = [_read(mention) for mention in mentions]
    found = [_first(mention.chunks, _context(read, mention, known)) for mention in read]
    for best in found:
        if best and best.precision != "country":
            return best
    for best in found:
        if best:
            return best
    named = frozenset().union(*(mention.countries for mention in read))
    country = next(iter(named)) if len(named) == 1 else next(iter(known), None)
    unknown = not any(fold(mention).removeprefix("the ") in _WORDS["world"] for mention in mentions)
    return _countries()[country] if country and mentions and unknown else None


def _context(read: Sequence[_Mention], of: _Mention, hints: tuple[str, ...]) -> _Context:
    """What the mention itself and all the others say of where it is."""
    others = [mention for mention in read if mention is not of]
    return _Context(
        of.countries.union(*(mention.countries for mention in others), {m.country for m in others if m.country}),
        of.provinces.union(*(mention.provinces for mention in others)),
        hints,
    )


@lru_cache(maxsize=8192)
def _read(mention: str) -> _Mention:
    mention = " ".join(mention.split())
    country = _country_named(mention)
    pieces = list(dict.fromkeys(piece for piece in (mention, *_CUT.split(mention)) if piece))
    parts = pieces[1:] or [] if country is None else []
    containers = [_container(part) for part in parts] or [_adjective_country(mention)]
    return _Mention(
        tuple(dict.fromkeys(chunk for piece in pieces for chunk in _chunks(piece))),
        country,
        frozenset(container for container in containers if container),
        frozenset(filter(None, map(_plain, parts or [mention]))) if country is None else frozenset(),
    )


def _container(part: str) -> str | None:
    return _country_named(part) or _adjective_country(part)


def _chunks(piece: str) -> Iterator[_Chunk]:
    """The names that a piece of a mention may hold: all of it, then without the common words at its end and its start."""
    words = piece.split()
    lower = [word.lower() for word in words]
    kind = next(
        (kind for word in (lower[-1], lower[0]) for kind, listed in _KIND_WORDS.items() if word in listed), None
    )
    capital = "capital" in lower
    yield _Chunk(piece, None, capital)
    start, end = 0, len(words)
    while end > start and (lower[end - 1] in _EDGES or not _is_name(words[end - 1])):
        end -= 1
    yield _Chunk(" ".join(words[start:end]), kind, capital)
    while start < end and not _is_name(words[start]):
        start += 1
    yield _Chunk(" ".join(words[start:end]), kind, capital)
    while start < end and (lower[start] in _EDGES or not _is_name(words[start])):
        start += 1
    yield _Chunk(" ".join(words[start:end]), kind, capital)
    if end - start > 1:
        if _adjective_country(words[start]):
            yield _Chunk(" ".join(words[start + 1 : end]), kind, capital)
        else:
            # "Nairobi Central Police Station" stands in a city that is large enough to name what is in it.
            yield from (_Chunk(" ".join(words[start:stop]), None, False, _LARGE) for stop in range(end - 1, start, -1))


def _is_name(word: str) -> bool:
    return (
        word[0].isupper()
        or word[0].isdigit()
        or re.match(r"(?:al|el|an|ar|as|ash|ad|az|at|umm|bin|ibn|d|l|s|de|la|le)\b", word) is not None
    )


@lru_cache(maxsize=4096)
def _country_named(words: str) -> str | None:
    """The country whose name these words are, and nothing else."""
    found = tokens(words)
    if not found:
        return None
    meanings, length = lexicon().longest(found, 0, words.isupper())
    if length != len(found):
        return None
    return next((meaning.country for meaning in meanings if meaning.kind is Kind.COUNTRY), None)


@lru_cache(maxsize=4096)
def _adjective_country(words: str) -> str | None:
    """The country of the adjective that the words begin with: "Libyan town"."""
    found = tokens(words)
    if not found:
        return None
    kinds = (Kind.ADJECTIVE, Kind.REGION_ADJECTIVE)
    return next((m.country for m in lexicon().longest(found, 0, False)[0] if m.kind in kinds), None)


def _plain(name: str) -> str:
    """A name without the words that say what kind of place it is, folded."""
    return " ".join(word for word in fold(name).split() if word not in _EDGES)


def _first(chunks: Sequence[_Chunk], context: _Context) -> Place | None:
    """The first name that can be placed; one that only names a country waits for a better."""
    country: Place | None = None
    for chunk in chunks:
        if chunk.capital and (seat := _capital(chunk, context)):
            return seat
        best = max(_candidates(chunk, context), key=lambda candidate: candidate.score, default=None)
        if best is None:
            continue
        if best.place.precision != "country" or chunk is chunks[0]:
            return best.place
        country = country or best.place
    return country


def _capital(chunk: _Chunk, context: _Context) -> Place | None:
    """ "The Libyan capital": the seat of the one country around; "the Kashmiri capital" is none of these."""
    first = next(iter(chunk.words.split()), "")
    regional = any(
        m.kind is Kind.REGION_ADJECTIVE for m in lexicon().longest(tokens(first) or tokens("x"), 0, False)[0]
    )
    country = _adjective_country(first) or next(iter(sorted(context.countries)), None)
    country = country or (
        context.hints[0] if context.hints and chunk.words.lower() in ("capital", "the capital") else None
    )
    if country is None or regional:
        return None
    seat = next(iter(_seats().get(country, ())), None)
    inside = _Context(countries=frozenset({country}))
    named = _Chunk(seat, gazetteer.PLACE, False) if seat else None
    best = max(_candidates(named, inside), key=lambda candidate: candidate.score, default=None) if named else None
    return best.place if best else None


def _candidates(chunk: _Chunk, context: _Context) -> Iterator[_Candidate]:
    name = fold(chunk.words)
    if not name or name in _WORDS["world"]:
        return
    own = _plain(chunk.words)
    if chunk.kind is None and (code := _country_named(chunk.words)):
        yield _Candidate(_countries()[code], _COUNTRY + _around(context, own, code, None))
    if chunk.kind != gazetteer.PLACE:
        for place in _regions().get(name, ()):
            yield _Candidate(place, _REGION + _around(context, own, place.country, place.name))
    for place in _known_places().get(name, ()):
        yield _Candidate(place, _KNOWN_PLACE + _around(context, own, place.country, place.admin1))
    if _no_name(chunk.words):
        return
    spelt = [(spelling, found) for spelling in _spellings(name) for found in gazetteer.find(spelling)]
    named = max(
        (f.population for spelling, f in spelt if spelling == name and f.main and f.kind == gazetteer.PLACE), default=0
    )
    for spelling, found in spelt:
        own_name = found.main and spelling == name
        if found.population < chunk.least or (chunk.least and not own_name):
            continue
        town = found.kind == gazetteer.PLACE
        score = 10 * math.log10(found.population + 10) + _around(context, own, found.country, found.admin1, town)
        if not own_name:
            foreign = found.kind != gazetteer.PLACE or found.population < _FAMOUS * named
            score += _OTHER_NAME if foreign else _OTHER_SPELLING
        if found.kind == gazetteer.ADMIN1:
            score += _KIND_ASKED if chunk.kind in (gazetteer.ADMIN1, gazetteer.DISTRICT) else _PROVINCE
        elif found.kind == gazetteer.DISTRICT:
            score += _KIND_ASKED if chunk.kind == gazetteer.DISTRICT else _DISTRICT
        elif name in map(fold, _seats().get(found.country, ())):
            score += _CAPITAL
        yield _Candidate(_place(found), score)


@lru_cache(maxsize=8192)
def _no_name(words: str) -> bool:
    """Whether these are common words or an adjective: "Congress", "Supreme", "Malian", "streets"."""
    if (
        not any(_is_name(word) for word in words.split())
        or not any(map(str.isalpha, words))
        or all(word in _COMMON for word in fold(words).split())
    ):
        return True
    found = tokens(words)
    meanings, length = lexicon().longest(found, 0, False) if found else ((), 0)
    return (
        bool(meanings)
        and length == len(found)
        and all(m.kind in (Kind.NOUN, Kind.ADJECTIVE, Kind.REGION_ADJECTIVE) for m in meanings)
    )


def _spellings(name: str) -> list[str]:
    """The name as it is, and with and without the Arabic article."""
    article, _, rest = name.partition(" ")
    if article in ("al", "el", "ad", "an", "ar", "as", "ash", "at", "az") and rest:
        return [name, rest, f"al {rest}"]
    return [name, f"al {name}"]


def _around(context: _Context, own: str, country: str | None, admin1: str | None, town: bool = False) -> float:
    score = 0.0
    if country in context.countries:
        score += _CONTAINED
    if admin1 and context.provinces and _plain(admin1) in context.provinces - {own}:
        score += _CONTAINED
    if country in context.hints:
        hint = _HINTS[context.hints.index(country)]
        score += min(hint, _AMERICAN_HINT) if town and country == "USA" else hint
    return score


def _place(found: gazetteer.Found) -> Place:
    precision: Literal["place", "admin1"] = "admin1" if found.kind == gazetteer.ADMIN1 else "place"
    admin1 = found.name if found.kind == gazetteer.ADMIN1 else found.admin1
    return Place(found.name, found.country, admin1, found.lat, found.lon, found.geonames_id, precision)


@cache
def _countries() -> dict[str, Place]:
    return {
        code: Place(
            names.split("|")[0],
            code,
            None,
            float(lat) if lat else None,
            float(lon) if lon else None,
            int(identity),
            "country",
        )
        for code, _, identity, lat, lon, names, *_ in rows("countries")
    }


@cache
def _seats() -> dict[str, tuple[str, ...]]:
    """Each country's capital and other seats of power, the capital first."""
    return {row[0]: tuple(seat for seat in row[8].split("|") if seat) for row in rows("countries")}


@cache
def _regions() -> dict[str, tuple[Place, ...]]:
    regions: dict[str, tuple[Place, ...]] = {}
    for names, country, lat, lon, precision, _, _ in rows("regions"):
        for name in filter(None, names.split("|")):
            first = names.split("|")[0]
            region: Literal["place", "admin1"] = "admin1" if precision == "admin1" else "place"
            place = Place(first, country, first if region == "admin1" else None, float(lat), float(lon), None, region)
            regions[fold(name)] = (*regions.get(fold(name), ()), place)
    return regions


@cache
def _known_places() -> dict[str, tuple[Place, ...]]:
    places: dict[str, tuple[Place, ...]] = {}
    for names, country, lat, lon, admin1 in rows("places"):
        for name in names.split("|"):
            place = Place(names.split("|")[0], country or None, admin1 or None, float(lat), float(lon), None, "place")
            places[fold(name)] = (*places.get(fold(name), ()), place)
    return places
