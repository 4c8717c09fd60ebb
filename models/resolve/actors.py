"""Who an actor is: the state it belongs to and its sector, from the words that name it.

The head noun decides the sector, its modifiers decide the country; what follows a preposition only fills what is missing.
What the words do not say is None.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from models.resolve import gazetteer
from models.resolve.lexicon import Kind, Lexicon, Meaning, Token, lexicon, tokens
from models.resolve.places import resolve_place
from models.resolve.text import read_data
from models.spelling import fold


@dataclass(frozen=True, slots=True)
class ActorCode:
    """Country and sector of an actor, and how sure both are, 0 to 1.

    Country: ISO 3166-1 alpha-3, or IGO, NGO, IMG (bodies between states, private ones, militants without a home state).
    Sector: GOV government, MIL army, COP police, SPY intelligence, JUD courts, LEG parliament, REB rebels, UAF unidentified
    armed men, OPP opposition, PTY parties, ELI former officials and notables, REL clergy, EDU students and schools, BUS
    companies, MED media, LAB workers, CRM criminals, REF refugees, CVL civilians. IGO, NGO and IMG have one only if armed.
    """

    country: str | None
    sector: str | None
    confidence: float
    # In plain words, for `code --explain`: what each of the two was read by, and what else the words can mean.
    rule: str = field(default="", compare=False)
    refused: tuple[str, ...] = field(default=(), compare=False)


# Bodies that stand where a country would.
BODIES = frozenset({"IGO", "NGO", "IMG"})

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

_RULES = {
    _NAMED: "named in the lists", _MODIFIED: "noun and the country beside it", _STATE: "state or seat of its government",
    _ELSEWHERE: "people, or a country behind a preposition", _CITY: "country of a town", _ADJECTIVE: "adjective alone",
    _SHAPE: "noun that looks like people", _NOUN_ONLY: "noun alone", 0.0: "",
}  # fmt: skip

# An actor is a short phrase; more of it would only be paid for.
_MOST_CHARACTERS = 240
_MOST_TOKENS = 40

_HOLDS_OFFICE = frozenset({"GOV", "MIL", "COP", "SPY", "JUD", "LEG"})
_ARMED_BODIES = frozenset({"MIL", "COP", "REB", "UAF", "CRM", "SPY"})
# An armed group's gunmen, soldiers and drones are the group's.
_GROUPS_OWN = frozenset({"UAF", "MIL", "REB"})
_WORDS: dict[str, frozenset[str]] = {
    name: frozenset(words) for name, words in tomllib.loads(read_data("actor_words.toml")).items()
}
_PEOPLE_ENDINGS = tuple(_WORDS["people_endings"])
_QUANTITY = re.compile(
    r"^(?:(?:at least|at most|more than|less than|fewer than|no fewer than|as many as|up to|close to|well over|over|about|"
    r"around|some|nearly|almost|roughly|an estimated|all|both|another|other|further)\s+)+",
    re.IGNORECASE,
)


class _Piece(NamedTuple):
    """One known sequence, or one unknown word, of the phrase."""

    meaning: Meaning | None
    words: tuple[Token, ...]
    others: tuple[Meaning, ...] = ()  # what else the words can mean

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


def resolve_actor(text: str, published: date | None = None, near: tuple[str, ...] = ()) -> ActorCode:
    """Country and sector of an actor as the text names it: "Turkish-backed Syrian rebels" is SYR, REB.

    `published` decides who held office and which state a movement was in ("Taliban"); without it the latest reading counts.
    `near` are the countries that the article names, the nearest first: of two bodies of one name ("Congress") the one there is
    meant. Never raises for any string.
    """
    return _resolve(text[:_MOST_CHARACTERS], published, near)


@lru_cache(maxsize=16384)
def _resolve(text: str, published: date | None, near: tuple[str, ...]) -> ActorCode:
    pieces = _pieces(text, published, near)
    reading = _phrase(pieces)
    if pieces and all(p.meaning is None and (p.key in _WORDS["numbers"] or p.key.isdigit()) for p in pieces):
        reading = _Reading(sector="CVL", sector_trust=_SHAPE)  # "kills 3"
    sector = reading.sector
    if reading.country in BODIES and sector not in _ARMED_BODIES:
        sector = None
    trusts = [reading.country_trust] if reading.country else []
    if sector:
        trusts.append(reading.sector_trust if reading.country else min(reading.sector_trust, _NOUN_ONLY))
    rules = dict.fromkeys(_RULES[trust] for trust in trusts)
    refused = dict.fromkeys(_told(piece, meaning) for piece in pieces for meaning in piece.others)
    return ActorCode(reading.country, sector, round(min(trusts, default=0.0), 2), " and ".join(rules), tuple(refused))


def _told(piece: _Piece, meaning: Meaning) -> str:
    words = " ".join(word.raw for word in piece.words)
    years = "" if meaning.end == date.max else f", until {meaning.end.year}"
    return f"{words} ({meaning.country or '-'}/{meaning.sector or '-'}{years})"


def _pieces(text: str, published: date | None, near: tuple[str, ...]) -> list[_Piece]:
    words = tokens(_QUANTITY.sub("", text))[:_MOST_TOKENS]
    caps = len(words) > 1 and text.isupper()
    known: Lexicon = lexicon()
    pieces: list[_Piece] = []
    at = 0
    while at < len(words):
        meanings, length = _longest(known, words, at, caps)
        meaning = _choose(meanings, published, near)
        if meaning and meaning.kind is Kind.PERSON and length == 1:
            surnamed = pieces and _is_first_name(pieces[-1], words[at])
            if surnamed or _first_name_of(words, at, known):
                meaning = None
        others = tuple(m for m in meanings if meaning and (m.country, m.sector) != (meaning.country, meaning.sector))
        pieces.append(_Piece(meaning, tuple(words[at : at + length]), others))
        at += length
    return pieces


def _longest(known: Lexicon, words: list[Token], at: int, caps: bool) -> tuple[tuple[Meaning, ...], int]:
    """What starts there; a noun ends where a longer name begins: "opposition" before "Movement for Democratic Change"."""
    meanings, length = known.longest(words, at, caps)
    if length > 1 and all(meaning.kind is Kind.NOUN for meaning in meanings):
        for inside in range(at + 1, at + length):
            named, reach = known.longest(words, inside, caps)
            if inside + reach > at + length and any(meaning.kind is Kind.NAME for meaning in named):
                return known.longest(words[:inside], at, caps)
    return meanings, length


def _first_name_of(words: Sequence[Token], at: int, known: Lexicon) -> bool:
    """Whether a leader's surname is here the first name of somebody else: "Ahmed Bashir"."""
    if words[at].possessive or at + 1 == len(words) or words[at + 1].before or not words[at + 1].raw[0].isupper():
        return False
    after, _ = known.longest(list(words), at + 1, False)
    return all(meaning.kind is Kind.PERSON for meaning in after)


def _is_first_name(piece: _Piece, surname: Token) -> bool:
    """Whether the piece before a leader's surname is the first name of somebody else: "Richard Bennett"."""
    word = piece.words[-1]
    known = (
        piece.meaning is not None
        or word.key in _WORDS["titles"]
        or (word.raw.islower() and word.key.endswith(("ed", "ing")))
    )
    return not known and word.raw[:1].isupper() and not word.possessive and not surname.before and len(word.raw) > 1


def _choose(meanings: Sequence[Meaning], published: date | None, near: Sequence[str]) -> Meaning | None:
    """The reading in force, of several the one nearest; a leader out of office is one of the notables."""
    if not meanings:
        return None
    if holding := [meaning for meaning in meanings if meaning.holds(published)]:
        distance = {country: number for number, country in enumerate(near)}
        return min(holding, key=lambda meaning: distance.get(meaning.country or "", len(distance)))
    over = [meaning for meaning in meanings if published and meaning.end < published]
    past = max(over or meanings, key=lambda meaning: meaning.end)
    if past.kind is Kind.PERSON and past.sector in _HOLDS_OFFICE and (published or past.end == date.max):
        return replace(past, sector="ELI")
    return past


def _phrase(pieces: Sequence[_Piece]) -> _Reading:
    """Read the phrase up to its first preposition or comma, then let what follows fill the gaps."""
    for at, piece in enumerate(pieces):
        if at and piece.words[0].before == ",":
            return _joined(_phrase(pieces[:at]), _phrase(pieces[at:]))
        if len(piece.words) > 1 or (piece.meaning is not None and piece.meaning.kind is not Kind.NOUN):
            continue
        key = piece.key
        if key == "and" and at:
            return _both(_core(pieces[:at]), pieces[at + 1 :])
        hyphened = piece.words[0].before == "-" or (at + 1 < len(pieces) and pieces[at + 1].words[0].before == "-")
        if hyphened or not at:
            continue
        if key in _WORDS["outside"]:
            return _core(pieces[:at])
        if key in _WORDS["inside"] or key in _WORDS["loyal"]:
            head = _core(pieces[:at])
            diplomatic = key not in ("of", "from") and any(piece.key in _WORDS["diplomatic"] for piece in pieces[:at])
            rest = pieces[at + 2 :] if key in _WORDS["loyal"] else pieces[at + 1 :]
            headed = pieces[at - 1].key in _WORDS["heads"]
            return head if diplomatic else _complemented(head, headed, key, rest)
    return _core(pieces)


def _joined(first: _Reading, second: _Reading) -> _Reading:
    """An apposition: the second part says only what the first left open. A list of states is of no one country."""
    country = first.country or second.country
    trust = first.country_trust if first.country else second.country_trust
    if first.sector_trust == second.sector_trust == _STATE and first.country != second.country:
        country, trust = None, 0.0
    if first.sector and not (first.weak and second.sector and not second.weak):
        return _Reading(country, trust, first.sector, first.sector_trust, first.weak)
    return _Reading(country, trust, second.sector, second.sector_trust, second.weak)


def _both(first: _Reading, after: Sequence[_Piece]) -> _Reading:
    """Two joined by "and": the first speaks for both, but not for a second country."""
    second = _phrase(after)
    country, trust = first.country or second.country, first.country_trust or second.country_trust
    if first.country and second.country and first.country != second.country:
        country, trust = None, 0.0
    merely_named = first.weak or first.sector_trust == _ADJECTIVE
    if first.sector is None or (second.sector and merely_named):
        return _Reading(country, trust, second.sector, second.sector_trust, second.weak)
    return first._replace(country=country, country_trust=trust)


def _complemented(head: _Reading, headed: bool, preposition: str, rest: Sequence[_Piece]) -> _Reading:
    """What follows a preposition names the sector of a head that is no more than a number or a weak word.

    `headed`: the head says that somebody heads something ("chief", "director").
    """
    inner = _phrase(rest)
    country, trust, sector, sector_trust, weak = head
    if sector == "OPP" and weak and inner.sector in _HOLDS_OFFICE:
        sector = "CVL"  # "supporters of the government"
        return _Reading(country or inner.country, trust or inner.country_trust, sector, sector_trust, False)
    if preposition in ("of", "from", "for", "guarding") and inner.sector:
        bare_state = inner.sector == "GOV" and inner.sector_trust == _STATE
        if head.sector is None:
            if inner.sector == "GOV" and inner.sector_trust == _ADJECTIVE:
                sector, sector_trust, weak = "CVL", _PEOPLE, False  # "thousands of Sudanese"
            elif not bare_state:
                sector, sector_trust, weak = inner.sector, inner.sector_trust, inner.weak
        elif (head.weak and not inner.weak and not bare_state and head.sector != "ELI") or (
            head.sector in _GROUPS_OWN and inner.sector in ("REB", "CRM")
        ):
            sector, sector_trust, weak = inner.sector, inner.sector_trust, False
    if country is None and (preposition != "for" or weak or head.weak):
        country, trust = inner.country, min(inner.country_trust, _NAMED if preposition == "of" else _ELSEWHERE)
        if country == "IMG" and preposition in _WORDS["loyal"]:
            country, trust = None, 0.0  # "fighters linked to Islamic State" are at home where they fight
        if country is None:
            country, trust = _town(rest)
    elif (
        preposition in ("of", "for")
        and trust == _NAMED
        and country not in BODIES
        and rest
        and rest[0].words[0].raw[0].isupper()
    ):
        # "Communist Party of Nepal": whose it is stands behind a name that others bear too.
        country = inner.country or country
    if sector is None and country and headed:
        sector, sector_trust = "GOV", _ADJECTIVE  # "the head of Russia's Belgorod region"
    return _Reading(country, trust, sector, sector_trust, weak)


def _core(pieces: Sequence[_Piece]) -> _Reading:
    pieces, led = _without_backers(pieces)
    if not pieces:
        return _Reading()
    former = any(piece.meaning is None and piece.key in _WORDS["former"] for piece in pieces)
    sector, trust, weak, owner = _sector(pieces, former)
    if led and any(piece.key in _WORDS["led"] for piece in pieces) and not _country(pieces, owner).country:
        # A coalition that a state leads is a body between states, and it bears arms.
        return _Reading("IGO", _ELSEWHERE, "MIL", _ELSEWHERE, False)
    found = _country(pieces, owner)
    if sector in ("NGO", "IGO"):
        body, sector = sector, None
        if found.country is None:
            return _Reading(body, _MODIFIED, None, 0.0, weak)
        return found._replace(sector="CVL" if body == "NGO" else "GOV", sector_trust=_PEOPLE, weak=weak)
    if sector is None:
        return _nameless(pieces, found)
    return found._replace(sector=sector, sector_trust=trust, weak=weak)


def _without_backers(pieces: Sequence[_Piece]) -> tuple[list[_Piece], bool]:
    """The phrase without "Iran-backed", "pro-Russian" and the like, and whether something in it is led by a state."""
    kept: list[_Piece] = []
    led = False
    for at, piece in enumerate(pieces):
        hyphen = piece.words[0].before == "-"
        if hyphen and kept and piece.meaning is None and piece.key in _WORDS["dropped"]:
            led = led or piece.key == "led"
            kept.pop()
        elif hyphen and at and pieces[at - 1].key in _WORDS["sided"] and pieces[at - 1].meaning is None:
            kept.pop()
        else:
            kept.append(piece)
    return kept, led


def _sector(pieces: Sequence[_Piece], former: bool) -> tuple[str | None, float, bool, int | None]:
    """Sector, trust, whether it is weak, and which piece it is from: from the right, a strong word ends the search."""
    weak: tuple[str | None, int] | None = None  # the rightmost weak noun
    for at in range(len(pieces) - 1, -1, -1):
        meaning = pieces[at].meaning
        if meaning is None or meaning.kind not in (Kind.NAME, Kind.PERSON, Kind.NOUN):
            continue
        sector = meaning.sector
        if meaning.kind is Kind.NOUN:
            if former and sector in _HOLDS_OFFICE and (meaning.rank != "strong" or sector in ("MIL", "COP", "SPY")):
                sector = "ELI"
            if meaning.rank == "weak":
                if weak is None or weak[0] is None:
                    weak = (sector, at)
                continue
            owner = _armed_owner(pieces[:at]) if sector in _GROUPS_OWN else None
            if owner is not None:
                return "REB", _NAMED, False, owner
        elif meaning.kind is Kind.PERSON:
            if weak and weak[0] and pieces[at].possessive:
                break
            sector = _of_person(pieces[:at], sector, former)
        if weak and weak[0] == "OPP" and meaning.kind is not Kind.NOUN:
            return (
                "CVL" if sector in _HOLDS_OFFICE else "OPP",
                _NAMED,
                True,
                at,
            )  # "Trump supporters", "Fatah supporters"
        if weak and weak[0] and (sector is None or (weak[0] in _ARMED_BODIES and sector not in _ARMED_BODIES)):
            return weak[0], _NAMED, True, at  # "U.N. forces", "the junta's 21st division"
        if former and weak and meaning.kind is Kind.NAME and sector in _HOLDS_OFFICE:
            sector = "ELI"  # "a former Stasi officer"
        return sector, _MODIFIED if meaning.kind is Kind.NOUN else _NAMED, False, at
    return (weak[0], _NOUN_ONLY, True, weak[1]) if weak else (None, 0.0, True, None)


def _of_person(before: Sequence[_Piece], sector: str | None, former: bool) -> str | None:
    """A leader's sector: one whom the text gives an office, a rank or a side has it, whatever the list of terms says."""
    said = [piece.meaning.sector for piece in before if piece.meaning and piece.meaning.kind is Kind.NOUN]
    office = bool(said) and said[-1] in _HOLDS_OFFICE
    if former and (sector in _HOLDS_OFFICE or office or "ELI" in said):
        return "ELI"
    for side in ("OPP", "REB"):
        if side in said:
            return side
    if said and (said[-1] in ("MIL", "COP") or (office and (sector == "ELI" or _rules(before)))):
        return said[-1]
    return sector


def _rules(before: Sequence[_Piece]) -> bool:
    """Whether the words before a name make him head of a state: "Afghan President", not "Congress party president"."""
    title = before[-1].words[-1].key in ("president", "minister", "premier", "chancellor", "king")
    return title and all(piece.meaning and piece.meaning.kind in _OF_A_STATE for piece in before[:-1])


def _armed_owner(pieces: Sequence[_Piece]) -> int | None:
    """Which of the pieces names an armed group."""
    for at in range(len(pieces) - 1, -1, -1):
        meaning = pieces[at].meaning
        if meaning and meaning.kind is Kind.NAME and meaning.sector == "REB":
            return at
    return None


# How near each kind of word is to the actor's own country, and how far it is to be trusted. A possessor is nearer.
_NEARNESS = {
    Kind.COUNTRY: (3, _MODIFIED), Kind.ADJECTIVE: (3, _MODIFIED), Kind.SEAT: (3, _STATE), Kind.PEOPLE: (3, _PEOPLE),
    Kind.NAME: (3, _MODIFIED), Kind.PERSON: (2, _STATE), Kind.REGION: (2, _STATE), Kind.REGION_ADJECTIVE: (1, _PEOPLE),
}  # fmt: skip


def _country(pieces: Sequence[_Piece], owner: int | None) -> _Reading:
    """The country that the phrase gives: of the name that is its head, of a possessor, of an adjective, of a town."""
    if owner is not None and (named := pieces[owner].meaning) and named.country and named.kind is not Kind.NOUN:
        # "Bangladeshi blue helmets" are Bangladesh's, as they are the United Nations'.
        # So is any body that others have by the same name, "Norway's Labour Party", but not an armed group.
        nation = next((p.meaning.country for p in pieces if p.meaning and _owns(p)), None)
        return _Reading(nation if nation and named.sector != "REB" else named.country, _NAMED)
    if pieces[-1].key in _WORDS["others_of"] and any(piece.possessive for piece in pieces):
        return _Reading()
    best: tuple[int, str, float] | None = None
    for piece in pieces:
        meaning = piece.meaning
        if meaning is None or meaning.country is None or meaning.kind is Kind.NOUN:
            continue
        near, trust = _NEARNESS[meaning.kind]
        if piece.possessive:
            near += 2
        if best is None or near >= best[0]:
            best = (near, meaning.country, trust)
    if best:
        return _Reading(best[1], best[2])
    if owner is None:
        return _Reading()
    unknown = [piece for piece in pieces if piece.meaning is None]
    return _Reading(*_town(unknown, 50_000, others=any(piece.possessive for piece in unknown)))


_OF_A_STATE = (Kind.ADJECTIVE, Kind.COUNTRY)


def _owns(piece: _Piece) -> bool:
    kind = piece.meaning.kind if piece.meaning else None
    return kind is Kind.ADJECTIVE or (kind is Kind.COUNTRY and piece.possessive)


def _nameless(pieces: Sequence[_Piece], found: _Reading) -> _Reading:
    """No noun and no name says what it is: a state, its people, or an unknown word beside its adjective."""
    last = pieces[-1]
    meaning = last.meaning
    if meaning is None:
        if found.country is None and all(piece.meaning is None for piece in pieces):
            found = _Reading(*_town(pieces, 100_000))
        if last.words[0].raw.islower() and last.key.endswith(_PEOPLE_ENDINGS) and len(last.key) > 4:
            return found._replace(sector="CVL", sector_trust=_SHAPE)
        return found
    if meaning.kind is Kind.NOUN:
        head = last.key in _WORDS["heads"] and found.country is not None
        return found._replace(sector="GOV", sector_trust=_ADJECTIVE) if head else found
    if meaning.kind in (Kind.COUNTRY, Kind.SEAT):
        return found._replace(sector="GOV", sector_trust=_STATE, weak=False)
    if meaning.kind is Kind.REGION:
        return found._replace(sector="GOV", sector_trust=_PEOPLE, weak=False) if meaning.rank == "gov" else found
    if meaning.kind is Kind.PEOPLE:
        return found._replace(sector="CVL", sector_trust=_PEOPLE, weak=False)
    counted = any(piece.key in _WORDS["numbers"] or piece.key.isdigit() for piece in pieces[:-1])
    if counted or meaning.country == "PSE" or meaning.kind is Kind.REGION_ADJECTIVE:
        return found._replace(sector="CVL", sector_trust=_ADJECTIVE)
    return found._replace(sector="GOV", sector_trust=_ADJECTIVE)


def _town(pieces: Sequence[_Piece], least: int = 0, *, others: bool = False) -> tuple[str | None, float]:
    """The country of the first town or province that the pieces name by unknown words with capitals.

    `least`: so many people at the least; `others`: other spellings of its name count as well.
    """
    run: list[str] = []
    for piece in [*pieces, None]:
        name = piece is not None and piece.meaning is None and piece.words[0].raw[0].isupper()
        if run and (piece is None or not name or piece.words[0].before == ","):
            titled = run[0].lower() in _WORDS["titles"]
            country = None if titled else _country_of_town(" ".join(run), least, others)
            if country:
                return country, _CITY
            run = []
        if piece is not None and name:
            run.append(piece.words[0].raw)
    return None, 0.0


@lru_cache(maxsize=4096)
def _country_of_town(name: str, least: int, others: bool) -> str | None:
    if not least:
        place = resolve_place([name])
        return place.country if place else None
    folded = fold(name)
    if folded in _WORDS["no_towns"]:
        return None
    found = (row for row in gazetteer.find(folded) if row.kind != gazetteer.DISTRICT)
    towns = [town for town in found if (town.main or others) and town.population >= least]
    return max(towns, key=lambda town: town.population).country if towns else None
