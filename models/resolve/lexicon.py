"""The names and nouns that actors are made of, as one dictionary of token sequences.

All of it is data: countries, regions, groups, organisations, leaders and nouns in data/*.tsv. Here they become a mapping from
folded tokens ("syrian democratic forces") to what those words can mean, searched by the longest sequence at each token.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cache, lru_cache
from typing import NamedTuple

from models.resolve.text import read_data
from models.spelling import fold


class Kind(Enum):
    """What a sequence of words is."""

    COUNTRY = "country"
    SEAT = "seat"  # a capital or palace that stands for a government
    ADJECTIVE = "adjective"
    PEOPLE = "people"  # people named by their country: "Afghans"
    REGION = "region"
    REGION_ADJECTIVE = "region adjective"
    NAME = "name"  # a group, party or organisation
    PERSON = "person"
    NOUN = "noun"


@dataclass(frozen=True, slots=True)
class Meaning:
    """One reading of a sequence, in force from `start` to `end`; outside, a leader is ELI and a name has another reading."""

    kind: Kind
    country: str | None = None
    sector: str | None = None
    rank: str = ""  # of nouns: strong, weak or office; of regions: gov
    start: date = date.min
    end: date = date.max
    case: str = "any"  # any, title (the first letter is a capital) or upper (all are)

    def holds(self, day: date | None) -> bool:
        """Whether the reading is in force on that day; without a day, whether it is in force still."""
        return self.end == date.max if day is None else self.start <= day <= self.end


class Token(NamedTuple):
    """A word: as written, folded, whether `'s` follows it, the punctuation before it ("-", "," or "("), and where it stands.

    `end` lies behind the `'s`.
    """

    raw: str
    key: str
    possessive: bool
    before: str
    start: int = 0
    end: int = 0


_TOKEN = re.compile(
    r"(?P<word>(?:[A-Za-z]\.){2,}|[^\W_]+(?:['’ʼʻ‘`´](?!s\b)[^\W_]+)*)(?P<possessive>['’]s?(?![^\W_]))?"
    r"|(?P<mark>[-‐‑–—,;:(/&])"
)
_MARKS = {"-": "-", "‐": "-", "‑": "-", "/": "-", "&": "and"}


def tokens(text: str) -> list[Token]:
    """The words of a text."""
    found: list[Token] = []
    before = ""
    for match in _TOKEN.finditer(text):
        word = match["word"]
        if word is None:
            mark = match["mark"]
            before = _MARKS.get(mark, ",")
            if before == "and":
                found.append(Token(mark, "and", False, "", match.start(), match.end()))
                before = ""
            continue
        key = word.lower() if word.isascii() and word.isalnum() else fold(word)
        found.append(Token(word, key, match["possessive"] is not None, before, match.start(), match.end()))
        before = ""
    return found


class Lexicon:
    """`longest(tokens, at, caps)` finds what starts there."""

    def __init__(self) -> None:
        self._meanings: dict[str, tuple[Meaning, ...]] = {}
        # By their first two words the number of words of the longest name.
        self._longest: dict[tuple[str, str], int] = {}
        for meaning, name in _all_names():
            words = tokens(name)
            key = " ".join(token.key for token in words)
            self._meanings[key] = (*self._meanings.get(key, ()), meaning)
            if len(words) > 1:
                begin = (words[0].key, words[1].key)
                self._longest[begin] = max(self._longest.get(begin, 0), len(words))

    def longest(self, words: list[Token], at: int, caps: bool) -> tuple[tuple[Meaning, ...], int]:
        """The meanings of the longest known sequence from `at` and its number of words; none and 1 where there is none.

        `caps`: the text is in capitals throughout, so that they say nothing.
        """
        first = words[at].key
        left = len(words) - at
        most = min(self._longest.get((first, words[at + 1].key), 1), left) if left > 1 else 1
        for length in range(most, 0, -1):
            key = first if length == 1 else " ".join([token.key for token in words[at : at + length]])
            meanings = self._meanings.get(key)
            if meanings:
                fitting = tuple(
                    [m for m in meanings if m.case == "any" or caps or _fits(m.case, words[at : at + length])]
                )
                if fitting:
                    return fitting, length
        return (), 1


def _fits(case: str, words: list[Token]) -> bool:
    if case == "title":
        return words[0].raw[0].isupper()
    return all(word.raw.isupper() or word.raw.isdigit() for word in words)


def _case(name: str) -> str:
    letters = [char for char in name if char.isalpha()]
    if len(letters) <= 6 and all(char.isupper() for char in letters):
        return "upper"
    return "title" if name[0].isupper() else "any"


def rows(name: str) -> Iterator[list[str]]:
    """The rows of data/<name>.tsv without comments and header, each with all its columns."""
    lines = read_data(f"{name}.tsv").splitlines()
    header, *body = (line.split("\t") for line in lines if not line.startswith("#"))
    for row in body:
        yield row + [""] * (len(header) - len(row))


def _day(written: str, *, last: bool) -> date:
    """A day, month or year in ISO 8601; `last` takes the last day of a month or year."""
    parts = [int(part) for part in written.split("-")]
    if len(parts) == 3:
        return date(parts[0], parts[1], parts[2])
    if not last:
        return date(parts[0], parts[1] if len(parts) == 2 else 1, 1)
    year, month = (parts[0], parts[1]) if len(parts) == 2 else (parts[0], 12)
    return date(year + month // 12, month % 12 + 1, 1).fromordinal(
        date(year + month // 12, month % 12 + 1, 1).toordinal() - 1
    )


def _period(start: str, end: str) -> tuple[date, date]:
    return _day(start, last=False) if start else date.min, _day(end, last=True) if end else date.max


def _all_names() -> Iterator[tuple[Meaning, str]]:
    # Of two readings of the same words the earlier one is asked first.
    yield from _names()
    yield from _countries()
    yield from _regions()
    yield from _nouns()


def _names() -> Iterator[tuple[Meaning, str]]:
    for country, sector, names, terms in rows("leaders"):
        for term in terms.split(";"):
            start, end = _period(*term.split(".."))
            for name in names.split("|"):
                yield Meaning(Kind.PERSON, country, sector or None, "", start, end, _case(name)), name
    for file in ("organisations", "groups"):
        for country, sector, names, first, last in rows(file):
            start, end = _period(first, last)
            for name in names.split("|"):
                yield Meaning(Kind.NAME, country, sector or None, "", start, end, _case(name)), name


def _countries() -> Iterator[tuple[Meaning, str]]:
    for code, _, _, _, _, names, adjectives, people, seats in rows("countries"):
        named = {Kind.COUNTRY: names, Kind.SEAT: seats, Kind.ADJECTIVE: adjectives, Kind.PEOPLE: people}
        for kind, listed in named.items():
            for name in filter(None, listed.split("|")):
                yield Meaning(kind, code, case=_case(name)), name
        for name in filter(None, adjectives.split("|")):
            if name.endswith(("n", "i", "t", "o", "q", "b", "k", "r", "l")):
                yield Meaning(Kind.PEOPLE, code, case="title"), name + "s"


def _regions() -> Iterator[tuple[Meaning, str]]:
    for names, country, _, _, _, adjectives, rule in rows("regions"):
        for name in filter(None, names.split("|")):
            yield Meaning(Kind.REGION, country or None, rank=rule, case=_case(name)), name
        for name in filter(None, adjectives.split("|")):
            yield Meaning(Kind.REGION_ADJECTIVE, country or None, case=_case(name)), name
            yield Meaning(Kind.PEOPLE, country or None, case=_case(name)), name + "s"


def _nouns() -> Iterator[tuple[Meaning, str]]:
    seen: set[str] = set()
    nouns = [(sector, rank, noun) for sector, rank, listed in rows("nouns") for noun in listed.split("|")]
    seen.update(noun for _, _, noun in nouns)
    for sector, rank, noun in nouns:
        meaning = Meaning(
            Kind.NOUN, None, None if sector == "-" else sector, rank, case="upper" if noun.isupper() else "any"
        )
        yield meaning, noun
        if (plural := _plural(noun)) not in seen:
            seen.add(plural)
            yield meaning, plural


def _plural(noun: str) -> str:
    if noun.endswith(("man", "woman")):
        return noun[:-2] + "en"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    for head in (
        "minister",
        "member",
        "secretary",
        "chief",
        "speaker",
        "head",
        "chargé",
        "charge",
        "clerk",
        "man",
        "president",
    ):
        if noun.startswith(head + " ") and " of " in noun:
            return _plural(head) + noun[len(head) :]
    return noun + "s"


@cache
def lexicon() -> Lexicon:
    """The one lexicon, built at first use."""
    return Lexicon()


_NAMES_A_COUNTRY = frozenset({Kind.COUNTRY, Kind.SEAT, Kind.ADJECTIVE, Kind.PEOPLE})


@lru_cache(maxsize=1024)
def countries_named(text: str) -> tuple[str, ...]:
    """The countries (ISO 3166-1 alpha-3) that `text` names itself or by adjective, people or seat of power, in order, once.

    Reads the first 2,000 code points only: it is meant for sentences and headlines.
    """
    words = tokens(text[:2000])
    found: dict[str, None] = {}
    at = 0
    while at < len(words):
        meanings, length = lexicon().longest(words, at, False)
        for meaning in meanings:
            if meaning.kind in _NAMES_A_COUNTRY and meaning.country and words[at].raw[0].isupper():
                found[meaning.country] = None
        at += length
    return tuple(found)
