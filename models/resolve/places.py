"""Where: the place, province or country that the words mean, with its coordinates.

Every name has candidates: countries, the regions and conflict places of data/, GeoNames. What the text says of them (the
mentions that contain them) counts most, then the hints of the article, then how well known and how large they are.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from models.resolve import gazetteer
from models.resolve.lexicon import Kind, Meaning, lexicon, rows, tokens
from models.resolve.text import read_data
from models.spelling import fold as _fold

fold = lru_cache(maxsize=8192)(_fold)


@dataclass(frozen=True, slots=True)
class Place:
    """A resolved location; the fields are those of `models.events.Location`. Open seas have no country.

    `admin1_code` is the ISO 3166-2 code of the province ("NG-NI"). `rule` tells which source it came from and why; `refused`
    has up to five others that the name could mean, the likeliest first, each like "Tripoli, LBN (tripoli, 62.1)": name,
    country, what was looked up, score.
    """

    name: str
    country: str | None
    admin1: str | None
    admin1_code: str | None
    lat: float | None
    lon: float | None
    geonames_id: int | None
    precision: Literal["place", "admin1", "country"]
    rule: str = field(compare=False, default="")
    refused: tuple[str, ...] = field(compare=False, default=())


class _Candidate(NamedTuple):
    what: Place | gazetteer.Found
    score: float


class _Context(NamedTuple):
    """What is known around a name: countries and provinces that contain it, and those that are merely near."""

    countries: frozenset[str] = frozenset()
    adjectives: frozenset[str] = frozenset()
    provinces: frozenset[str] = frozenset()
    hints: tuple[str, ...] = ()
    near: frozenset[str] = frozenset()


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
    adjectives: frozenset[str]  # countries of adjectives
    provinces: frozenset[str]
    neighbour: str | None  # the country across the border


# Scores. A town has ten times the decimal logarithm of its people: 40 for ten thousand, 70 for ten million.
_COUNTRY = 85.0
_REGION = 80.0
# A place of conflict; where a city of so many people abroad has its name, the context must speak for the place.
_KNOWN_PLACE, _RIVALLED, _RIVAL = 72.0, 50.0, 200_000
# In a country or province that the text names around it; in the country of an adjective ("Libyan town"), which is less sure:
# the American embassy in Paris is not in Texas.
_CONTAINED, _ADJECTIVE = 60.0, 45.0
_HINTS = (30.0, 18.0, 10.0, 6.0, 4.0)
_NEAR = 25.0  # in a province that the article mentions
# American towns are named after the world's cities, and its government acts in all of them: talks of the United States and
# Iran in Geneva are not held in Illinois. Where no other country is around, the news is more likely American.
_AMERICAN_HINT, _ONLY_AMERICAN = 4.0, 20.0
_CAPITAL, _FAMOUS = 14.0, 20.0
# A town that bears a country's name, and the second of two countries that share one ("Congo").
_NAMESAKE, _SECOND = -25.0, -10.0
# Another spelling of its name; less likely where a town of comparable size has the very name.
_OTHER_SPELLING, _OTHER_NAME, _LARGER = -5.0, -20.0, 10
_PROVINCE, _DISTRICT = -12.0, -20.0
_KIND_ASKED = 35.0

_LARGE = 100_000
_MOST_CHARACTERS = 120
_MOST_MENTIONS = 8
_MOST_REFUSED = 5
_CLOSE = 0.1  # degrees of latitude

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
_SHARED = {name: codes.split() for name, _, codes in (line.partition(": ") for line in sorted(_WORDS["shared"]))}
_PARTICLE = re.compile(r"(?:al|el|an|ar|as|ash|ad|az|at|umm|bin|ibn|d|l|s|de|la|le)\b")
_BORDER_WITH = re.compile(r"\b(?:(?:borders?|frontiers?)\s+with|bordering)\s+", re.IGNORECASE)
_CUT = re.compile(
    r"\s+(?:of|in|near|outside|inside|at|on|from|off|above|below|along|around|between|with|across|and|to|towards|over|under|"
    r"where|leading|linking|into|by|through|for)\s+|\s*[,;(/]\s*|(?:['’]s|(?<=s)['’])\s+",
    re.IGNORECASE,
)


def resolve_place(mentions: Sequence[str], hints: Sequence[str] = (), provinces: Sequence[str] = ()) -> Place | None:
    """The place that the mentions mean, the most specific of them first, then those that contain it.

    `hints` are country codes that the article suggests (its other places, actors, dateline), the best first; `provinces` are
    names of provinces that it mentions elsewhere. A name that no list knows, or a mere word ("parliament", "the border"), is
    placed in the country of the first hint; without hints it is None. Precision says whether the answer is a place, a province
    (admin1) or a country; a part of a country ("northern Mali") is of country precision. Never raises for any strings.
    """
    return _resolve(
        tuple(mention[:_MOST_CHARACTERS] for mention in mentions[:_MOST_MENTIONS]),
        tuple(dict.fromkeys(hints))[: len(_HINTS)],
        tuple(name[:_MOST_CHARACTERS] for name in provinces[:_MOST_MENTIONS]),
    )


@lru_cache(maxsize=8192)
def _resolve(mentions: tuple[str, ...], hints: tuple[str, ...], provinces: tuple[str, ...]) -> Place | None:
    mentions = tuple(each for each in mentions if fold(each).removeprefix("the ") not in _WORDS["world"])
    known = tuple(hint for hint in hints if hint in _countries())
    near = frozenset(filter(None, map(_plain, provinces)))
    read = [_read(mention) for mention in mentions]
    found = [_first(mention.chunks, _context(read, mention, known, near)) for mention in read]
    for best in found:
        if best and best.precision != "country":
            return best
    for best in found:
        if best:
            return best
    named = frozenset().union(*(mention.countries | mention.adjectives for mention in read))
    neighbours = [mention.neighbour for mention in read if mention.neighbour]
    own_side = next((hint for hint in known if hint not in neighbours), None)
    country = next(iter(named)) if len(named) == 1 else own_side or next(iter(neighbours), None)
    return replace(_countries()[country], rule="country of the context") if country and mentions else None


def _context(read: Sequence[_Mention], of: _Mention, hints: tuple[str, ...], near: frozenset[str]) -> _Context:
    """What the mention itself and all the others say of where it is."""
    if len(read) == 1:
        return _Context(of.countries, of.adjectives, of.provinces, hints, near)
    others = [mention for mention in read if mention is not of]
    return _Context(
        of.countries.union(*(mention.countries for mention in others), {m.country for m in others if m.country}),
        of.adjectives.union(*(mention.adjectives for mention in others)),
        of.provinces.union(*(mention.provinces for mention in others)),
        hints,
        near,
    )


@lru_cache(maxsize=8192)
def _read(mention: str) -> _Mention:
    mention, *across = _BORDER_WITH.split(" ".join(mention.split()), maxsplit=1)
    mention = mention.strip()
    country = _country_named(mention)
    pieces = list(dict.fromkeys(piece for piece in (mention, *_CUT.split(mention)) if piece))
    parts = pieces[1:] or [] if country is None else []
    if len(parts) > 1:
        pieces = [mention, *sorted(parts, key=_vagueness)]
    named = [_country_named(part) for part in parts]
    unnamed = [part for part in parts or [mention] if not _country_named(part)]
    return _Mention(
        tuple(dict.fromkeys(chunk for piece in pieces for chunk in _chunks(piece))),
        country,
        frozenset(filter(None, named)),
        frozenset(filter(None, map(_adjective_country, unnamed))),
        frozenset(filter(None, map(_plain, parts or [mention]))) if country is None else frozenset(),
        _country_named(re.split(r"[,;(]", across[0])[0]) if across else None,
    )


def _vagueness(piece: str) -> int:
    """Orders the pieces of a mention: of "Mogadishu's Bakara market" the market, of "Red Sea port of Mocha" not the sea."""
    listed = [place for chunk in _chunks(piece) for place in _known_places().get(fold(chunk.words), ())]
    return 1 if not listed else 0 if any(place.country for place in listed) else 2


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
    return word[0].isupper() or word[0].isdigit() or _PARTICLE.match(word) is not None


@lru_cache(maxsize=8192)
def _meanings(words: str, caps: bool) -> tuple[tuple[Meaning, ...], bool]:
    """What the words begin with in the lexicon, and whether that is all of them."""
    found = tokens(words)
    meanings, length = lexicon().longest(found, 0, caps) if found else ((), 0)
    return meanings, bool(found) and length == len(found)


def _country_named(words: str) -> str | None:
    """The country whose name these words are, and nothing else."""
    meanings, whole = _meanings(words, words.isupper())
    return next((meaning.country for meaning in meanings if meaning.kind is Kind.COUNTRY), None) if whole else None


def _adjective_country(words: str) -> str | None:
    """The country of the adjective that the words begin with: "Libyan town"."""
    kinds = (Kind.ADJECTIVE, Kind.REGION_ADJECTIVE)
    return next((m.country for m in _meanings(words.removeprefix("the "), False)[0] if m.kind in kinds), None)


@lru_cache(maxsize=8192)
def _plain(name: str) -> str:
    """A name without the words that say what kind of place it is, folded."""
    return " ".join(word for word in fold(name).split() if word not in _EDGES)


def _first(chunks: Sequence[_Chunk], context: _Context) -> Place | None:
    """The first name that can be placed; one that only names a country waits for a better."""
    country: Place | None = None
    for chunk in chunks:
        if chunk.capital and (seat := _capital(chunk, context)):
            return seat
        best = _best(chunk, context)
        if best is None:
            continue
        if best.precision != "country" or chunk is chunks[0]:
            return best
        country = country or best
    return country


def _best(chunk: _Chunk, context: _Context) -> Place | None:
    """The likeliest of what the name can mean; it tells which others there were."""
    ranked = sorted(_candidates(chunk, context), key=lambda candidate: -candidate.score)
    if not ranked:
        return None
    best, *others = ranked
    looked_up = fold(chunk.words)
    refused: dict[str, None] = {}
    for other in others:
        if len(refused) == _MOST_REFUSED:
            break
        if other.what != best.what:
            refused[f"{other.what.name}, {other.what.country or '-'} ({looked_up}, {other.score:.1f})"] = None
    place = best.what
    if not isinstance(place, Place):
        return _place(place, tuple(refused))
    code = _province_code(place.country, place.admin1) if place.admin1 else None
    identity = place.geonames_id or next(
        (each.what.geonames_id for each in others if _same_town(place, each.what)), None
    )
    return replace(place, admin1_code=code, geonames_id=identity, refused=tuple(refused))


def _same_town(place: Place, other: Place | gazetteer.Found) -> bool:
    """Whether this row of the gazetteer is the town that a row of data/ means: in the country, kilometres away at most."""
    return (
        not isinstance(other, Place)
        and place.precision == "place"
        and other.kind == gazetteer.PLACE
        and other.country == place.country
        and _close(place, other)
    )


def _close(one: Place, other: gazetteer.Found) -> bool:
    if one.lat is None or one.lon is None:
        return False
    return math.hypot(one.lat - other.lat, (one.lon - other.lon) * math.cos(math.radians(one.lat))) < _CLOSE


@lru_cache(maxsize=4096)
def _province_code(country: str | None, name: str) -> str | None:
    """The ISO 3166-2 code of a province that a list of data/ names."""
    provinces = [
        found for found in gazetteer.find(fold(name)) if found.kind == gazetteer.ADMIN1 and found.country == country
    ]
    return max(provinces, key=lambda found: found.main).admin1_code if provinces else None


def _capital(chunk: _Chunk, context: _Context) -> Place | None:
    """ "The Libyan capital": the seat of the one country around; "the Kashmiri capital" is none of these."""
    first = next(iter(chunk.words.split()), "")
    regional = any(meaning.kind is Kind.REGION_ADJECTIVE for meaning in _meanings(first, False)[0])
    country = _adjective_country(first) or next(iter(sorted(context.countries or context.adjectives)), None)
    country = country or (
        context.hints[0] if context.hints and chunk.words.lower() in ("capital", "the capital") else None
    )
    if country is None or regional:
        return None
    seat = next(iter(_seats().get(country, ())), None)
    inside = _Context(countries=frozenset({country}))
    best = _best(_Chunk(seat, gazetteer.PLACE, False), inside) if seat else None
    return replace(best, rule="capital of the named country") if best else None


def _candidates(chunk: _Chunk, context: _Context) -> Iterator[_Candidate]:
    name = fold(chunk.words)
    if not name or name in _WORDS["world"]:
        return
    if (own := _plain(chunk.words)) in context.provinces:
        context = context._replace(provinces=context.provinces - {own})
    code = _country_named(chunk.words)
    listed = () if chunk.kind == gazetteer.PLACE else _regions().get(name, ())
    part_of = None if code or listed else _part_of_country(chunk.words)
    if (chunk.kind is None and code) or part_of:
        # That a country contains what is named says nothing of whether the country itself is meant.
        outside = context._replace(countries=frozenset(), adjectives=frozenset())
        for rank, each in enumerate(_SHARED.get(fold(_undirected(chunk.words)), [code or part_of or ""])):
            score = _COUNTRY + (_SECOND if rank else 0) + _around(outside, each, None)
            yield _Candidate(_countries()[each], score)
    for place in listed:
        yield _Candidate(place, _REGION + _around(context, place.country, place.name))
    spellings = _spellings(name)
    spelt = [(spelling, found) for spelling in spellings for found in gazetteer.find(spelling)] if not part_of else []
    if spelt and _no_name(chunk.words):
        # "New Mexico" is a province and its adjective; "Malian" is no town.
        province_of = _adjective_country(chunk.words)
        spelt = [
            each
            for each in spelt
            if each[1].kind == gazetteer.ADMIN1 and each[1].country == province_of and each[1].main
        ]
    own_towns = [f for spelling, f in spelt if spelling == name and f.main and f.kind == gazetteer.PLACE]
    named = max((town.population for town in own_towns), default=0)
    for spelling in spellings:
        for place in _known_places().get(spelling, ()):
            rival = any(town.population >= _RIVAL and town.country != place.country for town in own_towns)
            known = _RIVALLED if rival else _KNOWN_PLACE
            yield _Candidate(place, known + _around(context, place.country, place.admin1))
    for spelling, found in spelt:
        own_name = found.main and spelling == name
        if found.population < chunk.least or (chunk.least and not own_name):
            continue
        around = _around(context, found.country, found.admin1)
        score = 10 * math.log10(found.population + 10) + around
        famous = (found.name, found.country) in _famous()
        if famous:
            score += _FAMOUS
        if not own_name:
            foreign = found.kind != gazetteer.PLACE or found.population < _LARGER * named
            score += _OTHER_NAME if foreign and not famous else _OTHER_SPELLING
        if code and around < _ADJECTIVE:
            score += _NAMESAKE
        if found.kind == gazetteer.ADMIN1:
            score += _KIND_ASKED if chunk.kind in (gazetteer.ADMIN1, gazetteer.DISTRICT) else _PROVINCE
        elif found.kind == gazetteer.DISTRICT:
            score += _KIND_ASKED if chunk.kind == gazetteer.DISTRICT else _DISTRICT
        elif name in _folded_seats(found.country):
            score += _CAPITAL
        yield _Candidate(found, score)


@lru_cache(maxsize=4096)
def _part_of_country(words: str) -> str | None:
    """The country of which these words name a part by its direction: "south Lebanon"."""
    rest = _undirected(words)
    return _country_named(rest) if rest != words else None


def _undirected(words: str) -> str:
    """The words without the directions before them: "Lebanon" of "south Lebanon"."""
    rest = words.split()
    while rest and _WORDS["directions"].issuperset(fold(rest[0]).split()):
        del rest[0]
    return " ".join(rest)


def _no_name(words: str) -> bool:
    """Whether these are common words or an adjective: "Congress", "Supreme", "Malian", "streets"."""
    if (
        not any(map(_is_name, words.split()))
        or not any(map(str.isalpha, words))
        or _COMMON.issuperset(fold(words).split())
    ):
        return True
    meanings, whole = _meanings(words, False)
    kinds = (Kind.NOUN, Kind.ADJECTIVE, Kind.REGION_ADJECTIVE)
    return whole and bool(meanings) and all(meaning.kind in kinds for meaning in meanings)


def _spellings(name: str) -> list[str]:
    """The name as it is, with and without the Arabic article, and with "saint" for "st"."""
    first, _, rest = name.partition(" ")
    if first == "st" and rest:
        return [name, f"saint {rest}"]
    if first in ("al", "el", "ad", "an", "ar", "as", "ash", "at", "az") and rest:
        return [name, rest, f"al {rest}"]
    return [name, f"al {name}"]


def _around(context: _Context, country: str | None, admin1: str | None) -> float:
    score = 0.0
    if country in context.countries:
        score += _CONTAINED
    elif country in context.adjectives:
        score += _ADJECTIVE
    if admin1 and (context.provinces or context.near):
        province = _plain(admin1)
        if province in context.provinces:
            score += _CONTAINED
        elif province in context.near:
            score += _NEAR
    if country in context.hints:
        hint = _HINTS[context.hints.index(country)]
        score += min(hint, _ONLY_AMERICAN if len(context.hints) == 1 else _AMERICAN_HINT) if country == "USA" else hint
    return score


_RULES = {gazetteer.PLACE: "GeoNames town", gazetteer.ADMIN1: "province", gazetteer.DISTRICT: "GeoNames district"}


def _place(found: gazetteer.Found, refused: tuple[str, ...]) -> Place:
    precision: Literal["place", "admin1"] = "admin1" if found.kind == gazetteer.ADMIN1 else "place"
    admin1 = found.name if found.kind == gazetteer.ADMIN1 else found.admin1
    return Place(
        found.name, found.country, admin1, found.admin1_code, found.lat, found.lon, found.geonames_id, precision,
        _RULES[found.kind], refused,
    )  # fmt: skip


@cache
def _countries() -> dict[str, Place]:
    return {
        code: Place(
            names.split("|")[0], code, None, None, float(lat) if lat else None, float(lon) if lon else None, int(identity),
            "country", "country name",
        )
        for code, _, identity, lat, lon, names, *_ in rows("countries")
    }  # fmt: skip


@cache
def _famous() -> frozenset[tuple[str, str]]:
    """Cities and provinces that their name means unless the text says otherwise: name in the gazetteer, and country."""
    return frozenset((name, country) for name, _, country in (line.rpartition(" ") for line in _WORDS["famous"]))


@cache
def _folded_seats(country: str) -> frozenset[str]:
    return frozenset(map(fold, _seats().get(country, ())))


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
            province = first if region == "admin1" else None
            place = Place(
                first, country or None, province, None, float(lat), float(lon), None, region, "list of regions"
            )
            regions[fold(name)] = (*regions.get(fold(name), ()), place)
    return regions


@cache
def _known_places() -> dict[str, tuple[Place, ...]]:
    places: dict[str, tuple[Place, ...]] = {}
    for names, country, lat, lon, admin1 in rows("places"):
        for name in names.split("|"):
            place = Place(
                names.split("|")[0], country or None, admin1 or None, None, float(lat), float(lon), None, "place",
                "list of conflict places",
            )  # fmt: skip
            places[fold(name)] = (*places.get(fold(name), ()), place)
    return places
