"""Who, read within the whole article: what the words of a mention leave open, other mentions tell.

A bare surname, an acronym, "the group", "he" and "the army" stand for somebody whom the article names in full, mostly before.
Whoever is named by no country at all ("gunmen", "police", "three villagers") is of the country where it happens.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, cached_property, lru_cache
from itertools import islice
from typing import NamedTuple

from models.events import Field, Span
from models.resolve.actors import BODIES, ActorCode, resolve_actor
from models.resolve.gazetteer import ADMIN1, countries, find
from models.resolve.lexicon import Kind, Token, lexicon, tokens
from models.resolve.places import Place, resolve_place
from models.resolve.text import read_data
from models.resolve.zones import local_time
from models.spelling import fold
from models.text import dateline

_WORDS = tomllib.loads(read_data("references.toml"))
_PRONOUNS: dict[str, str] = {word: kind for kind, words in _WORDS["pronouns"].items() for word in words}
_STANDS_FOR: dict[str, frozenset[str]] = {noun: frozenset(kinds) for noun, kinds in _WORDS["bodies"].items()}
_POSSESSIVES = {"his": "person", "her": "person", "its": "body", "their": "group", "our": "speaker", "my": "speaker"}
_DEFINITE = frozenset({"the", "this", "that", "these", "those"})
_DETERMINERS = _DEFINITE | {"a", "an"}
_KOREAS = {"North": "PRK", "South": "KOR"}
_KOREAN = frozenset(_KOREAS.values())
_WITHIN_NAMES = frozenset(_WORDS["names"]["within"])
_BOTH, _BOTH_STATES, _BEFORE_BOTH = (frozenset(_WORDS["both"][key]) for key in ("words", "states", "before"))
_ELSEWHERE = frozenset(_WORDS["elsewhere"]["words"])
_TITLES = frozenset(_WORDS["titles"]["words"])
_STATES: dict[str, str] = _WORDS["states"]

_STATE_BODIES = frozenset({"GOV", "MIL", "COP", "SPY", "JUD", "LEG"})
_BODIES = _STATE_BODIES | {"REB", "CRM", "PTY", "OPP", "REL", "LAB", "BUS", "MED"}
# A country has one of each, or the article's are of one side.
_ONE_A_STATE = _STATE_BODIES | {"REB"}
_GROUPS = frozenset({"REB", "CRM", "UAF", "PTY", "OPP"})

# How far each way of filling a gap is to be trusted.
_SAME_PERSON = 0.85
_SAME_BODY = 0.75
_PRONOUN = 0.6
_PLACE_OF_EVENT = 0.7
_SURROUNDINGS = 0.55

# One country is meant where it has so many times the votes of the next.
_FAR_MORE = 3
_MOST_PROVINCES = 8
_MOST_SCENES = 60
_MOST_NAMES = 200
# People of a town that tells of a country by its name alone.
_KNOWN_TO_NEWS = 5_000
# More of an article is not looked at for names: 20,000 code points are 3,000 words.
_MOST_CHARACTERS = 20_000
_ACRONYM = re.compile(
    r"\((?:the |or |known as )?[\"“]?(?P<short>[A-Z][A-Za-z0-9-]{0,10}[A-Z][A-Za-z0-9-]{0,4})[\"”]?\)"
)
# Code points before an acronym in which its full name is looked for.
_FULL_NAME = 120
_APPOSITION = re.compile(r",\s+(?:\d{1,3},\s+)?(?:who (?:heads|leads|commands) )?(?P<what>\w[^,.;:()“”\"—–]{2,90})")
_ARMS = re.compile(r"\s+(?:" + "|".join(_WORDS["arms"]["words"]) + r")\b")
_PLACED = re.compile(
    r"\b(?:in|at|near|outside|around|across|towards?)\s+(?:the\s+)?(?:[a-z]+\s+(?:(?:city|town|village|province|district|state|region|"
    r"capital|camp|hamlet|port)\s+(?:of\s+)?)?)?(?P<place>[A-Z][\w'’-]+(?:[ -][A-Z][\w'’-]+)*)"
)
_NAME = re.compile(r"[A-Z][\w'’-]+(?: [A-Z][\w'’-]+){0,2}")
_PLURAL = re.compile(r"(?:s|men|women|people|police|troops)$")


@dataclass(frozen=True, slots=True)
class Party:
    """An actor as the article tells it.

    `refers_to` are the fuller mentions elsewhere that it was read by, `rule` says in words how, `refused` what else it might
    have been.
    """

    code: ActorCode
    rule: str
    refers_to: tuple[Span, ...] = ()
    refused: tuple[str, ...] = ()


class _Mention(NamedTuple):
    """Somebody whom the article names: where, and what the words say. `at` counts from the start of the title."""

    at: int
    span: Span
    code: ActorCode
    keys: frozenset[str]
    surname: str | None
    named: bool  # by a name, not by nouns alone
    plural: bool

    @property
    def kinds(self) -> set[str]:
        return {kind for kind in (self.code.sector, self.code.country) if kind}

    @property
    def state(self) -> str | None:
        """The country, unless it is a body that stands where one would."""
        return None if self.code.country in BODIES else self.code.country


class Article:
    """One article's names and countries; everything is read when it is first asked for.

    `url` tells the publisher's country by its top-level domain, where it has one.
    """

    def __init__(self, text: str, title: str = "", published: datetime | None = None, url: str | None = None) -> None:
        self.text, self.title, self.published, self.url = text, title, published, url
        self._day = published.date() if published else None
        self._places_named: dict[tuple[Field, int], str | None] = {}

    def party(self, span: Span) -> Party:
        """The actor that the span names, by its own words and by the mentions elsewhere that they point to."""
        own = resolve_actor(span.text, self._day)
        if own.refused and self.countries:
            own = resolve_actor(span.text, self._day, self.countries[:3])
        words = tokens(span.text)[:12]
        while len(words) > 1 and words[0].key in _DETERMINERS:
            words = words[1:]
        keys = [word.key for word in words]
        at = self._at(span.field, span.start)
        kind = _PRONOUNS.get(keys[0]) if len(keys) == 1 and not _shouted(words[0]) else None
        if kind:
            return self._pronoun(kind, at) or Party(own, "pronoun without anyone named before")
        if party := self._same_name(span, own, words, at):
            return party
        if (korea := _KOREAS.get(span.text.removeprefix("the ").removeprefix("The "))) and _KOREAN.intersection(
            self.countries
        ):
            return Party(ActorCode(korea, "GOV", _SAME_BODY), "one of the two Koreas, which the article names")
        if own.country or not words:
            return Party(own, own.rule)
        head = keys[-1]
        kind = _POSSESSIVES.get(keys[0] if len(keys) > 1 else self._word_before(span))
        if kind and not _ELSEWHERE.intersection(keys) and (owner := self._pronoun(kind, at)):
            sector = own.sector or owner.code.sector
            code = replace(owner.code, sector=sector, confidence=min(owner.code.confidence, own.confidence or 1.0))
            return Party(code, f"{own.rule or 'noun'}; its owner named before", owner.refers_to)
        if head in _BOTH and len(keys) > 1 and keys[-2] in _BEFORE_BOTH:
            return self._both(head, at)
        if head in _STANDS_FOR and words[-1].raw.islower() and (party := self._body(_STANDS_FOR[head], head, at)):
            return party
        if any(_a_name(word) for word in words):
            return Party(own, own.rule)
        if own.sector and not _ELSEWHERE.intersection(keys):
            definite = self._word_before(span) in _DEFINITE or tokens(span.text)[0].key in _DEFINITE
            return self._same_sector(own, set(keys), at, definite) or Party(own, own.rule)
        return Party(own, own.rule)

    def at_home(self, party: Party, span: Span, place: str | None, sentence: Span, not_of: Sequence[str] = ()) -> Party:
        """The party with the country that its surroundings give it, where its words and references gave none.

        `place` is the country where the event was; `not_of` are countries that the party cannot be of: a foreign attacker's.
        """
        code = party.code
        words = {word.key for word in tokens(span.text)}
        both = words & _BOTH and words & _BEFORE_BOTH
        if code.country or words & _ELSEWHERE or both or not (code.sector or any(map(str.isupper, span.text))):
            return party
        country = place or self._located(sentence)
        rule, trust, refused = "country of the place", _PLACE_OF_EVENT, party.refused
        if not country:
            votes = self._votes(sentence)
            if not votes:
                return party
            (country, _), *others = votes
            rule, trust = "country that sentence, headline, dateline and article point to", _SURROUNDINGS
            refused = (*refused, *(other for other, _ in others))
        if country in not_of:
            return party
        known = min(code.confidence, trust) if code.confidence else trust
        rules = "; ".join(filter(None, (party.rule, rule)))
        return replace(party, code=replace(code, country=country, confidence=known), rule=rules, refused=refused)

    def _votes(self, sentence: Span) -> list[tuple[str, int]]:
        """The countries that somebody named by none may be of, and how much speaks for each, the likeliest first."""
        start = self._at(sentence.field, sentence.start)
        votes: Counter[str | None] = Counter()
        votes[self._only(start, start + len(sentence.text))] += 2
        if self.dateline:
            # Correspondents write of the neighbours too: a country that is named nowhere else is only where they sit.
            votes[self.dateline.country] += 2 if self.dateline.country in self.countries else 1
        votes[self._only(0, len(self.title))] += 2
        votes[self._most_named] += 1
        for country, _ in Counter(self._scenes.values()).most_common(1):
            votes[country] += 1
        if not self.countries:
            votes[self.publisher] += 1
        return [(country, number) for country, number in votes.most_common() if country and number]

    def _located(self, sentence: Span) -> str | None:
        """The country of the first place that the sentence names behind "in", "near" and the like."""
        key = sentence.field, sentence.start
        if key not in self._places_named:
            found = None
            for match in _PLACED.finditer(sentence.text[:1000]):
                place = self.place([match["place"]], (), sentence)
                # A name that no list knows is only placed where the hints are.
                if place and place.country and fold(place.name) == fold(match["place"]):
                    found = place.country
                    break
            self._places_named[key] = found
        return self._places_named[key]

    def place(self, names: Sequence[str], parties: Sequence[str], sentence: Span) -> Place | None:
        """The place that the names mean, the most specific first, in a sentence whose parties are of those countries."""
        return resolve_place(names, self.hints(parties, sentence, names[0]), self._provinces)

    def hints(self, parties: Sequence[str], sentence: Span, name: str) -> list[str]:
        """The countries that tell which place of that name the sentence speaks of, the nearest first.

        Of one that is named far more than the others no other is told. The name itself does not count: that an article tells
        of Rome in Georgia does not speak for Italy.
        """
        own = {word.key for word in tokens(name)}

        def named(mentions: Iterable[_Mention]) -> Iterator[str | None]:
            return (mention.code.country for mention in mentions if not mention.keys <= own)

        start = self._at(sentence.field, sentence.start)
        votes: Counter[str | None] = Counter(dict.fromkeys(parties, 3))
        votes.update(named(self._between(start, start + len(sentence.text))))
        votes.update(named(self._between(0, len(self.title))))
        votes.update({self.dateline.country: 3} if self.dateline else {})
        votes.update(dict.fromkeys(named(self._mentions), 1))
        votes.update(country for place, country in self._scenes.items() if place != fold(name))
        votes.update([self.publisher])
        ranked = [(country, number) for country, number in votes.most_common() if country and country not in BODIES]
        alone = len(ranked) > 1 and ranked[0][1] >= _FAR_MORE * ranked[1][1]
        return [country for country, _ in ranked[: 1 if alone else None]]

    @cached_property
    def _scenes(self) -> dict[str, str]:
        """The places that stand behind "in", "near" and the like, folded, with their countries where these are clear."""
        found: dict[str, str] = {}
        for match in islice(_PLACED.finditer(f"{self.title}. {self.text[:_MOST_CHARACTERS]}"), _MOST_SCENES):
            name = fold(match["place"])
            if name not in found and (country := _clear_country(name)):
                found[name] = country
        return found

    @cached_property
    def _provinces(self) -> tuple[str, ...]:
        """The names of provinces that title and text mention."""
        names = dict.fromkeys(_NAME.findall(f"{self.title}. {self.text[:_MOST_CHARACTERS]}"))
        found = (
            name
            for name in islice(names, _MOST_NAMES)
            if any(row.kind == ADMIN1 and row.main for row in find(fold(name)))
        )
        return tuple(islice(found, _MOST_PROVINCES))

    @cached_property
    def dateline(self) -> Place | None:
        """The place that the text is dated from."""
        words = dateline(self.text[:200])
        if not words:
            return None
        parts = [part.strip(" .") for part in words.split(",") if part.strip(" .")]
        parts = [_STATES.get(part, part.title() if part.isupper() and len(part) > 3 else part) for part in parts]
        return resolve_place(parts, [self.publisher] if self.publisher else []) if parts else None

    @cached_property
    def written(self) -> datetime | None:
        """The time of publication by the clock of the dateline: "today" is that day."""
        if self.published is None or self.dateline is None:
            return self.published
        return local_time(self.published, self.dateline.country, self.dateline.lon, self.dateline.admin1)

    @cached_property
    def publisher(self) -> str | None:
        """The country of the publisher's top-level domain."""
        host = re.match(r"(?:\w+:)?//(?:[^/@]*@)?[^/:]*\.([a-z]{2})(?=[:/]|$)", self.url.lower()) if self.url else None
        return _domains().get(host[1].upper()) if host else None

    @cached_property
    def countries(self) -> tuple[str, ...]:
        """The countries of those whom the article names, the most often named first."""
        return tuple(country for country, _ in self._counted)

    @cached_property
    def _counted(self) -> list[tuple[str, int]]:
        return Counter(mention.state for mention in self._mentions if mention.state).most_common()

    @property
    def _most_named(self) -> str | None:
        """The country that is named more often than all others together."""
        total = sum(times for _, times in self._counted)
        return next((country for country, times in self._counted[:1] if 2 * times > total), None)

    def _only(self, start: int, end: int) -> str | None:
        """The country of the mentions within those positions, if they have but one."""
        named = {mention.state for mention in self._between(start, end) if mention.state}
        return named.pop() if len(named) == 1 else None

    def _between(self, start: int, end: int) -> Sequence[_Mention]:
        return self._mentions[bisect_left(self._places, start) : bisect_left(self._places, end)]

    def _at(self, field: Field, start: int) -> int:
        return start if field == "title" else len(self.title) + 1 + start

    @cached_property
    def _mentions(self) -> list[_Mention]:
        written = self.text[:_MOST_CHARACTERS]
        dated = len(dateline(written[:200]) or "")
        return [*self._named("title", self.title), *(m for m in self._named("text", written) if m.span.start >= dated)]

    @cached_property
    def _places(self) -> list[int]:
        return [mention.at for mention in self._mentions]

    @cached_property
    def _persons(self) -> dict[str, _Mention]:
        """Each surname with the mention that introduces it."""
        found: dict[str, _Mention] = {}
        for mention in self._mentions:
            if mention.surname:
                known = found.get(mention.surname)
                if known is None or (known.code.sector is None and mention.code.sector):
                    found[mention.surname] = mention
        return found

    @cached_property
    def _acronyms(self) -> dict[str, Span]:
        """Each acronym that the text defines, with its full name."""
        found: dict[str, Span] = {}
        for match in _ACRONYM.finditer(self.text[:_MOST_CHARACTERS]):
            start = max(match.start() - _FULL_NAME, 0)
            before = self.text[start : match.start()]
            if name := _spelt_out(before, match["short"]):
                start += before.rindex(name)
                found.setdefault(match["short"].casefold(), Span(name, start, start + len(name), "text"))
        return found

    def _in_full(self, mention: _Mention) -> Span:
        """The mention's words, of an acronym those that it stands for."""
        return self._acronyms.get(mention.span.text.casefold(), mention.span)

    def _named(self, field: Field, text: str) -> Iterator[_Mention]:
        for run in _runs(text):
            start, end = run[0].start, run[-1].end
            words = text[start:end]
            code = resolve_actor(words, self._day)
            surname = _surname(run)
            if code.country and _ARMS.match(text, end):
                code = replace(code, sector="MIL")  # "Israeli jets": what they belong to
            if surname and code.sector is None and (match := _APPOSITION.match(text, end)):
                told = resolve_actor(match["what"], self._day)
                if told.sector or told.country in BODIES:
                    code = replace(told, country=told.country or code.country)
            if code.country or code.sector:
                yield _Mention(
                    self._at(field, start),
                    Span(words, start, end, field),
                    code,
                    frozenset(word.key for word in run),
                    surname,
                    any(_a_name(word) for word in run),
                    _PLURAL.search(run[-1].key) is not None,
                )

    def _same_name(self, span: Span, own: ActorCode, words: Sequence[Token], at: int) -> Party | None:
        """A bare surname or an acronym, by the mention that introduces it."""
        names = [word for word in words if word.key not in _TITLES]
        if not names or len(names) > 3 or not all(word.raw[0].isupper() for word in names):
            return None
        if len(words) == 1 and (full := self._acronyms.get(words[0].raw.casefold())):
            code = resolve_actor(full.text, self._day)
            if code.country or code.sector:
                return Party(code, f"acronym: {code.rule}", (full,))
        person = self._persons.get(names[-1].key)
        if person is None or self._at(span.field, span.start) == person.at or person.keys == {w.key for w in words}:
            return None
        introduced = person.keys >= {word.key for word in names}
        if introduced and (own.sector is None or (len(names) == 1 and person.code != own)):
            code = replace(person.code, confidence=min(person.code.confidence, _SAME_PERSON))
            return Party(code, "surname of somebody introduced in full", (self._in_full(person),), _told(own))
        return None

    def _pronoun(self, kind: str, at: int) -> Party | None:
        def fits(mention: _Mention) -> bool:
            if kind in ("person", "speaker"):
                return mention.surname is not None or (not mention.plural and not mention.named)
            if kind == "group":
                return mention.surname is None and (mention.plural or bool(mention.kinds & _GROUPS))
            return mention.surname is None and not mention.plural and bool(mention.kinds & (_BODIES | BODIES))

        found = next((m for m in self._backwards(at) if fits(m)), None)
        if found is None:
            return None
        code = replace(found.code, confidence=min(found.code.confidence, _PRONOUN))
        return Party(code, "pronoun for whom the article named before", (self._in_full(found),))

    def _backwards(self, at: int) -> Iterator[_Mention]:
        """The mentions before that position, sentence by sentence back, within each from its start: subjects come first."""
        before = self._between(0, at)
        bounds = self._sentence_starts
        while before:
            start = bounds[bisect_left(bounds, before[-1].at + 1) - 1]
            first = next(number for number, mention in enumerate(before) if mention.at >= start)
            yield from before[first:]
            before = before[:first]

    @cached_property
    def _sentence_starts(self) -> list[int]:
        ends = [
            match.end() for match in re.finditer(r"(?<=[a-z0-9)\"”’][.!?])[\"”’]*\s+|\n+", self.text[:_MOST_CHARACTERS])
        ]
        return [0, *(self._at("text", end) for end in [0, *ends])]

    def _body(self, kinds: frozenset[str], head: str, at: int) -> Party | None:
        """ "The group", "the ministry": the last body named before that can be called so."""
        refused: list[str] = []
        for mention in reversed(self._between(0, at)):
            if mention.surname or not mention.named or not mention.code.country:
                continue
            named_so = head in mention.keys
            state = head in ("ministry", "department") and not named_so
            if (mention.kinds & kinds and not state) or named_so:
                code = replace(mention.code, confidence=min(mention.code.confidence, _SAME_BODY))
                return Party(code, "noun for a body named before", (self._in_full(mention),), tuple(refused[:5]))
            refused.append(f"{mention.span.text} ({'/'.join(sorted(mention.kinds))})")
        return None

    def _word_before(self, span: Span) -> str:
        """The word before the span, folded: "his" before "government"."""
        text = self.title if span.field == "title" else self.text
        before = text[max(span.start - 12, 0) : span.start].split()
        return before[-1].casefold() if before else ""

    def _same_sector(self, own: ActorCode, keys: set[str], at: int, definite: bool) -> Party | None:
        """ "The army", "militants": those of that sector whom the article named with a country; rather by the same noun."""
        before = self._between(0, at)
        fitting = [m for m in reversed(before) if m.code.sector == own.sector and m.code.country not in (None, "IMG")]
        if not fitting:
            return None
        alike = [mention for mention in fitting if mention.keys & keys]
        if definite and alike and own.sector in _BODIES:
            found = alike[0]
        else:
            likely = fitting if own.sector in _ONE_A_STATE else alike
            if len({mention.code.country for mention in likely}) != 1:
                return None
            found = likely[0]
        code = replace(
            own, country=found.code.country, confidence=min(own.confidence, found.code.confidence, _SAME_BODY)
        )
        others = tuple(
            dict.fromkeys(f"{m.span.text} ({m.code.country})" for m in fitting if m.code.country != code.country)
        )
        return Party(code, f"{own.rule}; country of the same body named before", (self._in_full(found),), others[:5])

    def _both(self, head: str, at: int) -> Party:
        """ "The two countries": no one country; the last two named before are told."""
        found: dict[str, _Mention] = {}
        for mention in self._backwards(at):
            if mention.code.country and mention.code.country not in found and mention.code.sector in _BODIES:
                found[mention.code.country] = mention
            if len(found) == 2:
                break
        sectors = {mention.code.sector for mention in found.values()}
        sector = "GOV" if head in _BOTH_STATES else sectors.pop() if len(sectors) == 1 else None
        trust = _SAME_BODY if sector and found else 0.0
        code = ActorCode(None, sector, trust)
        return Party(code, "two parties named before", tuple(self._in_full(mention) for mention in found.values()))


@lru_cache(maxsize=4096)
def _clear_country(name: str) -> str | None:
    """The country of the places of that name, unless those of another have a tenth of their people."""
    people: Counter[str] = Counter()
    for row in (*find(name), *find(f"al {name}")):
        if row.main and row.population >= _KNOWN_TO_NEWS:
            people[row.country] = max(people[row.country], row.population)
    if not people:
        return None
    (country, most), *others = people.most_common()
    return None if others and 10 * others[0][1] > most else country


def _told(code: ActorCode) -> tuple[str, ...]:
    return (f"{code.country or '-'}/{code.sector or '-'} ({code.rule})",) if code.country or code.sector else ()


@cache
def _domains() -> dict[str, str]:
    return {iso2: iso3 for iso3, iso2 in countries()} | {"UK": "GBR"}


def _a_name(word: Token) -> bool:
    """Whether it has a capital and is no common noun that begins a sentence: "Envoys", but "Envoy Smith"."""
    return word.raw[0].isupper() and not _common(word)


def _shouted(word: Token) -> bool:
    """Whether it is in capitals: "US" is no pronoun."""
    return len(word.raw) > 1 and word.raw.isupper()


def _common(word: Token) -> bool:
    meanings, _ = lexicon().longest([word], 0, False)
    return bool(meanings) and all(meaning.kind is Kind.NOUN for meaning in meanings)


def _spelt_out(before: str, short: str) -> str | None:
    """The end of what stands before, if its capitals spell the acronym: "Democratic Forces for the Liberation of Rwanda"."""
    words = list(re.finditer(r"[\w'’]+", before))
    wanted = [char for char in short.casefold() if char.isalpha()]
    initials: list[str] = []
    for word in reversed(words):
        if not word[0][0].isupper():
            if word[0] not in _WITHIN_NAMES:
                return None
            continue
        initials.insert(0, word[0][0].casefold())
        if len(initials) > len(wanted) + 2:
            return None
        if initials[0] == wanted[0] and len(initials) >= 2 and _within(wanted, initials):
            return before[word.start() :].rstrip()
    return None


def _within(wanted: Sequence[str], initials: Sequence[str]) -> bool:
    """Whether the acronym is the initials, give or take one."""
    if abs(len(wanted) - len(initials)) > 1:
        return False
    return len(set(wanted) & set(initials)) >= min(len(set(wanted)), len(set(initials))) - (len(wanted) > 3)


def _runs(text: str) -> Iterator[list[Token]]:
    """Stretches of known words and of words with capitals that nothing stands between."""
    words = tokens(text)
    known = lexicon()
    run: list[Token] = []
    at = 0
    while at < len(words):
        meanings, length = known.longest(words, at, False)
        word = words[at]
        taken = bool(meanings) or (word.raw[0].isupper() and len(word.raw) > 1)
        joined = bool(run) and _joined(text, run[-1], word)
        if run and not (taken and joined):
            yield run
            run = []
        if taken:
            run += words[at : at + length]
        at += length
    if run:
        yield run


def _joined(text: str, last: Token, word: Token) -> bool:
    between = text[last.end : word.start]
    if between.startswith("."):
        return len(between) < 4 and (last.key in _TITLES or len(last.raw) == 1)
    return between in (" ", "-", "") or (len(between) < 4 and not between.strip())


def _surname(run: Sequence[Token]) -> str | None:
    """The surname, if the run ends with a person's name: a leader of the lexicon or two words of no other meaning."""
    known = lexicon()
    at, names, person = 0, 0, False
    while at < len(run):
        meanings, length = known.longest(list(run), at, False)
        if meanings:
            person = any(meaning.kind is Kind.PERSON for meaning in meanings)
            names = length if person else 0
        else:
            unknown = run[at].raw[0].isupper() and run[at].key not in _TITLES
            names = names + 1 if unknown else 0
            person = person and unknown
        at += length
    titled = names == 1 and len(run) > 1 and run[-2].key in _TITLES
    if not names or (names == 1 and run[-1].possessive):
        return None
    return run[-1].key if person or names >= 2 or titled else None
