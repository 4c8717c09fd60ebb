"""Who an actor is: the state it belongs to and its sector, from the words that name it.

The head noun decides the sector, its modifiers decide the country; what follows a preposition only fills what is missing.
What the words do not say is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from models.resolve import gazetteer
from models.resolve.lexicon import Kind, Lexicon, Meaning, Token, lexicon, tokens
from models.resolve.text import fold


@dataclass(frozen=True, slots=True)
class ActorCode:
    """Country (ISO 3166-1 alpha-3, or IGO, NGO, IMG), sector (docs of the ontology), and how sure both are, 0 to 1."""

    country: str | None
    sector: str | None
    confidence: float


# How far each rule is to be trusted.
_NAMED = 0.95  # a group, organisation or leader of the lexicon
_MODIFIED = 0.9  # a noun with a country before it
_STATE = 0.85  # a country or capital that stands for its government
_ELSEWHERE = 0.7  # the country stands behind a preposition
_PEOPLE = 0.7  # a people without a state, or nationals
_CITY = 0.55  # the country is that of a town in the gazetteer
_ADJECTIVE = 0.5  # nothing but an adjective: "Iranian"
_SHAPE = 0.35  # an unknown noun that looks like people
_NOUN_ONLY = 0.6  # a sector and no country

# An actor is a short phrase; more of it would only be paid for.
_MOST_CHARACTERS = 240
_MOST_TOKENS = 40

_FORMER = {"former", "ex", "ousted", "deposed", "retired", "toppled", "onetime", "erstwhile", "sacked", "dismissed"}
_HOLDS_OFFICE = {"GOV", "MIL", "COP", "SPY", "JUD", "LEG"}
# "Iran-backed": who backs it is not who it is. With "pro-" and "anti-" the same.
_DROPPED = {
    "backed", "funded", "supported", "sponsored", "aligned", "linked", "allied", "trained", "armed", "occupied", "controlled",
    "held", "made", "built", "brokered", "mediated", "supplied", "friendly", "speaking", "majority", "imposed", "born", "installed",
    "designated", "wanted", "owned",
}  # fmt: skip
_SIDED = {"pro", "anti"}
_LED = {"coalition", "force", "forces", "mission", "alliance", "operation", "campaign"}
_ARMED_BODIES = {"MIL", "COP", "REB", "UAF", "CRM", "SPY"}
_DIPLOMATIC = {
    "ambassador",
    "ambassadors",
    "embassy",
    "consulate",
    "consul",
    "envoy",
    "envoys",
    "diplomat",
    "diplomats",
    "mission",
    "delegation",
}
_INSIDE = {
    "of", "in", "from", "at", "near", "inside", "outside", "across", "around", "along", "on", "for", "within", "under", "based",
    "throughout", "above", "behind", "beyond", "guarding", "holding", "ruling", "governing", "representing", "linked",
}  # fmt: skip
_OUTSIDE = {
    "to", "with", "against", "over", "by", "about", "between", "among", "during", "after", "before", "who", "that", "which",
    "whose", "known", "called", "calling", "wearing", "carrying", "accused", "suspected", "waiting", "seeking", "than", "as",
    "including", "trying", "protesting", "demanding", "fleeing", "hired",
}  # fmt: skip
_LOYAL = {"loyal", "allied", "aligned", "close", "belonging", "affiliated"}
_NUMBERS = {"a", "an", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "dozen", "dozens", "scores",
            "hundreds", "thousands", "several", "some", "many", "few", "another", "other"}  # fmt: skip
_LOOKS_LIKE_PEOPLE = ("men", "man", "woman", "women", "ers", "er", "ists", "ist", "eers", "keepers", "mates", "folk")
_PERSON_TITLES = {"mr", "mrs", "ms", "dr", "sir", "lord", "lady", "dame"}


class _Piece(NamedTuple):
    """One known sequence, or one unknown word, of the phrase."""

    meaning: Meaning | None
    words: tuple[Token, ...]

    @property
    def key(self) -> str:
        return self.words[-1].key

    @property
    def possessive(self) -> bool:
        return self.words[-1].possessive


class _Reading(NamedTuple):
    country: str | None = None
    country_trust: float = 0.0
    sector: str | None = None
    sector_trust: float = 0.0
    weak: bool = True  # a better sector may replace this one


def resolve_actor(text: str, published: date | None = None) -> ActorCode:
    """Country and sector of an actor as the text names it: "Turkish-backed Syrian rebels" is SYR, REB.

    `published` decides who held office and which state a movement was in ("Taliban"); without it the latest reading counts.
    Never raises for any string.
    """
    return _resolve(text[:_MOST_CHARACTERS], published)


@lru_cache(maxsize=16384)
def _resolve(text: str, published: date | None) -> ActorCode:
    reading = _phrase(_pieces(text, published), published)
    sector = reading.sector
    if reading.country in ("IGO", "NGO", "IMG") and sector not in _ARMED_BODIES:
        sector = None
    trusts = [reading.country_trust] if reading.country else []
    if sector:
        trusts.append(reading.sector_trust if reading.country else min(reading.sector_trust, _NOUN_ONLY))
    return ActorCode(reading.country, sector, round(min(trusts, default=0.0), 2))


def _pieces(text: str, published: date | None) -> list[_Piece]:
    words = tokens(text)[:_MOST_TOKENS]
    caps = len(words) > 1 and text.isupper()
    known: Lexicon = lexicon()
    pieces: list[_Piece] = []
    at = 0
    while at < len(words):
        meanings, length = known.longest(words, at, caps)
        pieces.append(_Piece(_choose(meanings, published), tuple(words[at : at + length])))
        at += length
    return pieces


def _choose(meanings: Sequence[Meaning], published: date | None) -> Meaning | None:
    """The reading in force; a leader out of office is one of the notables."""
    for meaning in meanings:
        if meaning.holds(published):
            return meaning
    if not meanings:
        return None
    past = max(meanings, key=lambda meaning: meaning.end)
    if past.kind is Kind.PERSON and past.sector in _HOLDS_OFFICE and (published or past.end == date.max):
        return replace(past, sector="ELI")
    return past


def _phrase(pieces: Sequence[_Piece], published: date | None) -> _Reading:
    """Read the phrase up to its first preposition or comma, then let what follows fill the gaps."""
    for at, piece in enumerate(pieces):
        if at and piece.words[0].before == ",":
            return _joined(_phrase(pieces[:at], published), _phrase(pieces[at:], published))
        if len(piece.words) > 1 or (piece.meaning is not None and piece.meaning.kind is not Kind.NOUN):
            continue
        key = piece.key
        if key == "and" and at:
            return _both(_core(pieces[:at], published), pieces[:at], pieces[at + 1 :], published)
        hyphened = piece.words[0].before == "-" or (at + 1 < len(pieces) and pieces[at + 1].words[0].before == "-")
        if hyphened or not (at or key in _INSIDE):
            continue
        if key in _OUTSIDE:
            return _core(pieces[:at], published)
        if key in _INSIDE or key in _LOYAL:
            head = _core(pieces[:at], published)
            diplomatic = key != "of" and any(piece.key in _DIPLOMATIC for piece in pieces[:at])
            rest = pieces[at + 2 :] if key in _LOYAL else pieces[at + 1 :]
            return head if diplomatic else _complemented(head, key, rest, published)
    return _core(pieces, published)


def _joined(first: _Reading, second: _Reading) -> _Reading:
    """An apposition: the second part says only what the first left open."""
    country = first.country or second.country
    trust = first.country_trust if first.country else second.country_trust
    if first.sector and not (first.weak and second.sector and not second.weak):
        return _Reading(country, trust, first.sector, first.sector_trust, first.weak)
    return _Reading(country, trust, second.sector, second.sector_trust, second.weak)


def _both(first: _Reading, before: Sequence[_Piece], after: Sequence[_Piece], published: date | None) -> _Reading:
    """Two joined by "and": the first speaks for both, but not for a second country."""
    second = _phrase(after, published)
    if second.country and first.country and second.country != first.country:
        return first._replace(country=None, country_trust=0.0)
    if first.sector is None or (first.weak and second.sector):
        return first._replace(
            sector=second.sector, sector_trust=second.sector_trust, weak=second.weak,
            country=first.country or second.country, country_trust=first.country_trust or second.country_trust,
        )  # fmt: skip
    return first._replace(
        country=first.country or second.country, country_trust=first.country_trust or second.country_trust
    )


def _complemented(head: _Reading, preposition: str, rest: Sequence[_Piece], published: date | None) -> _Reading:
    inner = _phrase(rest, published)
    country, trust, sector, sector_trust, weak = head
    if (
        inner.sector
        and not inner.weak
        and (head.sector is None or head.weak)
        and preposition in ("of", "from", "for", "guarding")
    ):
        bare_state = inner.sector == "GOV" and inner.sector_trust == _STATE
        if not (bare_state and (head.sector or preposition == "from")):
            sector, sector_trust, weak = inner.sector, inner.sector_trust, inner.weak
    if country is None and (preposition != "for" or weak or head.weak):
        country, trust = inner.country, min(inner.country_trust, _NAMED if preposition == "of" else _ELSEWHERE)
        if country is None:
            country, trust = _town(rest)
    return _Reading(country, trust, sector, sector_trust, weak)


def _core(pieces: Sequence[_Piece], published: date | None) -> _Reading:
    pieces, led = _without_backers(pieces)
    if not pieces:
        return _Reading()
    former = any(piece.meaning is None and piece.key in _FORMER for piece in pieces)
    sector, trust, weak, owner = _sector(pieces, former)
    if led and any(piece.key in _LED for piece in pieces) and not _country(pieces, owner, published).country:
        # A coalition that a state leads is a body between states, and it bears arms.
        return _Reading("IGO", _ELSEWHERE, "MIL", _ELSEWHERE, False)
    found = _country(pieces, owner, published)
    if sector in ("NGO", "IGO"):
        body, sector = sector, None
        if found.country is None:
            return _Reading(body, _MODIFIED, None, 0.0, weak)
        return found._replace(sector="CVL" if body == "NGO" else None, sector_trust=_PEOPLE, weak=weak)
    if sector is None:
        return _nameless(pieces, found)
    return found._replace(sector=sector, sector_trust=trust, weak=weak)


def _without_backers(pieces: Sequence[_Piece]) -> tuple[list[_Piece], bool]:
    """The phrase without "Iran-backed", "pro-Russian" and the like, and whether something in it is led by a state."""
    kept: list[_Piece] = []
    led = False
    for at, piece in enumerate(pieces):
        hyphen = piece.words[0].before == "-"
        if hyphen and kept and piece.meaning is None and piece.key in _DROPPED | {"led"}:
            led = led or piece.key == "led"
            kept.pop()
        elif hyphen and at and pieces[at - 1].key in _SIDED and pieces[at - 1].meaning is None:
            kept.pop()
        else:
            kept.append(piece)
    return kept, led


def _sector(pieces: Sequence[_Piece], former: bool) -> tuple[str | None, float, bool, int | None]:
    """Sector, trust, whether it is weak, and which piece it is from: from the right, a strong word ends the search."""
    fallback: tuple[str | None, float, bool, int | None] = (None, 0.0, True, None)
    last_noun: int | None = None
    for at in range(len(pieces) - 1, -1, -1):
        meaning = pieces[at].meaning
        if meaning is None:
            continue
        if meaning.kind in (Kind.NAME, Kind.PERSON):
            if pieces[at].possessive and last_noun is not None and fallback[0] and meaning.kind is Kind.PERSON:
                break
            sector = meaning.sector
            if former and meaning.kind is Kind.PERSON and sector in _HOLDS_OFFICE:
                sector = "ELI"
            return sector, _NAMED, False, at
        if meaning.kind is not Kind.NOUN:
            continue
        sector = meaning.sector
        if former and sector in _HOLDS_OFFICE and (meaning.rank != "strong" or sector in ("MIL", "COP", "SPY")):
            sector = "ELI"
        if meaning.rank == "weak":
            if fallback[0] is None:
                fallback = (sector, _NOUN_ONLY, True, at)
            last_noun = at if last_noun is None else last_noun
            continue
        owner = _armed_owner(pieces[:at]) if sector in ("UAF", "MIL", "REB") else None
        if owner is not None:
            return "REB", _NAMED, False, owner
        return sector, _MODIFIED, False, at
    return fallback


def _armed_owner(pieces: Sequence[_Piece]) -> int | None:
    """Which of the pieces is an armed group, whose gunmen, soldiers and drones are the group's."""
    for at in range(len(pieces) - 1, -1, -1):
        meaning = pieces[at].meaning
        if meaning and meaning.kind is Kind.NAME and meaning.sector == "REB":
            return at
    return None


def _country(pieces: Sequence[_Piece], owner: int | None, published: date | None) -> _Reading:
    """The country that the phrase gives: of the name that is its head, of a possessor, of an adjective, of a town."""
    if owner is not None:
        meaning = pieces[owner].meaning
        if meaning and meaning.country and meaning.kind in (Kind.NAME, Kind.PERSON):
            return _Reading(meaning.country, _NAMED)
    best: tuple[int, str, float] | None = None
    for piece in pieces:
        meaning = piece.meaning
        if meaning is None or meaning.country is None:
            continue
        rank, trust = {
            Kind.COUNTRY: (3, _MODIFIED), Kind.ADJECTIVE: (3, _MODIFIED), Kind.SEAT: (3, _STATE), Kind.PEOPLE: (3, _PEOPLE),
            Kind.NAME: (3, _MODIFIED), Kind.PERSON: (2, _STATE), Kind.REGION: (2, _STATE), Kind.REGION_ADJECTIVE: (1, _PEOPLE),
        }.get(meaning.kind, (0, 0.0))  # fmt: skip
        if piece.possessive:
            rank += 2
        if best is None or rank >= best[0]:
            best = (rank, meaning.country, trust)
    if best:
        return _Reading(best[1], best[2])
    country, trust = (
        _town([piece for piece in pieces if piece.meaning is None], adjunct=True) if owner is not None else (None, 0.0)
    )
    return _Reading(country, trust)


def _nameless(pieces: Sequence[_Piece], found: _Reading) -> _Reading:
    """No noun and no name says what it is: a state, its people, or an unknown word beside its adjective."""
    last = pieces[-1]
    meaning = last.meaning
    if meaning is None or meaning.kind is Kind.NOUN:
        if (
            meaning is None
            and last.words[0].raw.islower()
            and last.key.endswith(_LOOKS_LIKE_PEOPLE)
            and len(last.key) > 4
        ):
            return found._replace(sector="CVL", sector_trust=_SHAPE)
        return found
    if meaning.kind is Kind.COUNTRY:
        return found._replace(sector="GOV", sector_trust=_STATE, weak=False)
    if meaning.kind is Kind.SEAT:
        return found._replace(sector="GOV", sector_trust=_STATE, weak=False)
    if meaning.kind is Kind.REGION:
        return found._replace(sector="GOV", sector_trust=_PEOPLE, weak=False) if meaning.rank == "gov" else found
    if meaning.kind is Kind.PEOPLE:
        return found._replace(sector="CVL", sector_trust=_PEOPLE, weak=False)
    if any(piece.key in _NUMBERS or piece.key.isdigit() for piece in pieces[:-1]) or meaning.country == "PSE":
        return found._replace(sector="CVL", sector_trust=_ADJECTIVE)
    if meaning.kind is Kind.ADJECTIVE:
        return found._replace(sector="GOV", sector_trust=_ADJECTIVE)
    return found


def _town(pieces: Sequence[_Piece], adjunct: bool = False) -> tuple[str | None, float]:
    """The country of the first town or province that the pieces name by unknown words with capitals."""
    run: list[str] = []
    for piece in [*pieces, None]:
        if piece is not None and piece.meaning is None and piece.words[0].raw[0].isupper():
            run.append(piece.words[0].raw)
            continue
        if run and run[0].lower() not in _PERSON_TITLES:
            country = _country_of_town(fold(" ".join(run)), 20_000 if adjunct else 0)
            if country:
                return country, _CITY
        run = []
    return None, 0.0


@lru_cache(maxsize=4096)
def _country_of_town(name: str, least: int) -> str | None:
    places = [place for place in gazetteer.find(name) if place.main and place.population >= least]
    return max(places, key=lambda place: place.population).country if places else None
