"""From the readings of an article's sentences to its events: spans become actors, places, days and numbers, with reasons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from models import ontology
from models.arguments import Argument
from models.events import Actor, Count, Event, EventDate, Location, ModelInfo, Realis, Span, Why
from models.reader import Reading
from models.resolve.actors import BODIES
from models.resolve.article import Article, Party
from models.resolve.casualties import count_reading
from models.resolve.dates import date_reading
from models.resolve.tense import ahead

# These are done from afar to people of another country: "Israeli air strike kills 12".
_FROM_AFAR = frozenset({"aerial", "drone", "heavy-weapons"})
_FOREIGN_ATTACKERS = frozenset({"MIL", "GOV"})

_ORDINAL = re.compile(r"(?:the )?(?:\d+(?:st|nd|rd|th)|first|second|third|(?:four|fif|six|seven|eigh|nin|ten)th)", re.I)
_COUNTED = re.compile(r"\s+(?!(?:of|and|or|to|when|at|in|on|after|before|as|for|but|while|with)\b)[a-z]+")
_TOLL = re.compile(
    r"\btoll\b[^.\n]{0,80}?\b(?:rose|risen|rises|rising|climbed|climbs|increased|jumped|grew|grown|reached|stands|stood|revised|now)\b"
    r"[^.\n]{0,40}?\b(?:to|at)\s+(?P<count>(?:at least |more than |about |around |nearly |over )?"
    r"(?:\d[\d,]*|[a-z]+(?:-[a-z]+)?)(?: hundred| thousand| dozen)?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence of the article, and what the network read in it."""

    sentence: Span
    readings: Sequence[Reading]


@dataclass(slots=True)
class Assembly:
    """The events of one article, in the order of its sentences, and why each argument was resolved as it was."""

    events: list[Event] = field(default_factory=list)
    why: dict[Span, Why] = field(default_factory=dict)

    def reasons(self, event: Event) -> list[tuple[str, Actor | Location | EventDate | Count, Why]]:
        """Each resolved argument of one of the events, with its role and why it was resolved so."""
        sides = [("actor", actor) for actor in event.actors] + [("recipient", actor) for actor in event.recipients]
        single = [("location", event.location), ("date", event.date), ("dead", event.dead), ("injured", event.injured)]
        return [(role, found, self.why[found]) for role, found in (*sides, *single) if found is not None]


def assemble(article: Article, told: Sequence[Told], model: ModelInfo) -> Assembly:
    """Resolve the arguments of all the readings of one article."""
    assembly = Assembly()
    resolver = Resolver(article, model, assembly.why)
    for each in told:
        for reading in each.readings:
            assembly.events.append(resolver.event(each.sentence, reading))
    _raise_tolls(assembly, article.text)
    return assembly


def _raise_tolls(assembly: Assembly, text: str) -> None:
    """ "The death toll rose to 19" is no new killing: the deaths told before are now so many."""
    for match in _TOLL.finditer(text):
        reading = count_reading(match["count"])
        told = [number for number, event in enumerate(assembly.events) if _has_dead_before(event, match.start())]
        if reading.min is None or not told:
            continue
        event = assembly.events[told[-1]]
        if event.dead and event.dead.min is not None and event.dead.min < reading.min:
            dead = Count(match["count"], *match.span("count"), "text", reading.min, reading.max)
            assembly.events[told[-1]] = ontology.recoded(replace(event, dead=dead))
            assembly.why[dead] = Why(f"toll that rose; {reading.rule}", (event.dead,))


def _has_dead_before(event: Event, at: int) -> bool:
    earlier = event.sentence.field == "title" or event.sentence.end <= at
    return earlier and event.realis == "actual" and event.dead is not None


class Resolver:
    """Resolves the arguments of one article's events; `why` takes down the reasons."""

    def __init__(self, article: Article, model: ModelInfo, why: dict[Span, Why]) -> None:
        self._article, self._model, self._why = article, model, why
        self._dated: tuple[str, str] | None = None

    def event(self, sentence: Span, reading: Reading) -> Event:
        what = reading.kind
        trigger = _span(sentence, *reading.trigger)
        spans = {role: [_span(sentence, a.start, a.end) for a in found] for role, found in reading.arguments.items()}
        sides = {role: [self._article.party(span) for span in spans[role]] for role in ("actor", "recipient")}
        named = [party.code.country for side in sides.values() for party in side if party.code.country]
        location = self.location(spans["location"], [code for code in named if code not in BODIES], sentence)
        attackers = _foreign_attackers(sides["actor"]) if _FROM_AFAR & {*what.modes} else []
        place = location.country if location else None

        def side(role: str, not_of: Sequence[str] = ()) -> tuple[Actor, ...]:
            found = zip(spans[role], reading.arguments[role], sides[role], strict=True)
            return tuple(
                self._actor(span, argument, self._article.at_home(party, span, place, sentence, not_of))
                for span, argument, party in found
            )

        actors, recipients = side("actor"), side("recipient", attackers)
        dead, injured = self.count(spans["dead"], "dead"), self.count(spans["injured"], "injured")
        return Event(
            type=what.type,
            quad=ontology.quad(what.type),
            modes=what.modes,
            intensity=ontology.intensity(what.type, what.modes),
            realis=what.realis,
            confidence=reading.confidence,
            trigger=trigger,
            sentence=sentence,
            codes=ontology.codes_of(what.type, what.modes, what.realis, actors, recipients, dead, trigger.text),
            crosswalk=ontology.CROSSWALK_VERSION,
            model=self._model,
            actors=actors,
            recipients=recipients,
            location=location,
            date=self.date(spans["date"], what.realis, sentence),
            dead=dead,
            injured=injured,
            claimed_by=tuple(spans["claimed_by"]),
        )

    def _actor(self, span: Span, argument: Argument, party: Party) -> Actor:
        code = party.code
        actor = Actor(
            span.text, span.start, span.end, span.field, code.country, code.sector, argument.confidence,
            code_confidence=code.confidence, refers_to=party.refers_to,
        )  # fmt: skip
        self._why[actor] = Why(party.rule, party.refers_to, party.refused)
        return actor

    def location(self, spans: Sequence[Span], actors: Sequence[str], sentence: Span) -> Location | None:
        """The first mention is the most specific one; the others and what the article names around tell which it is."""
        if not spans:
            return None
        at = spans[0]
        place = self._article.place([span.text for span in spans], actors, sentence)
        if place is None:
            location = Location(at.text, at.start, at.end, at.field)
            self._why[location] = Why("no place of that name")
            return location
        location = Location(
            at.text, at.start, at.end, at.field,
            name=place.name, country=place.country, admin1=place.admin1, admin1_code=place.admin1_code,
            lat=place.lat, lon=place.lon, geonames_id=place.geonames_id, precision=place.precision,
        )  # fmt: skip
        self._why[location] = Why(place.rule, tuple(spans[1:]), place.refused)
        return location

    def date(self, spans: Sequence[Span], realis: Realis, sentence: Span) -> EventDate | None:
        """The first date phrase, seen from the day of publication where the report was written, or from the date before it."""
        if not spans:
            return None
        at = spans[0]
        start = at.start - sentence.start
        if _ORDINAL.fullmatch(at.text) and _COUNTED.match(sentence.text, start + len(at.text)):
            date = EventDate(at.text, at.start, at.end, at.field)
            self._why[date] = Why("an ordinal that counts something else than days")
            return date
        future = ahead(sentence.text, start, start + len(at.text), realis)
        reading = date_reading(at.text, self._article.written, future, self._dated)
        date = EventDate(at.text, at.start, at.end, at.field, reading.earliest, reading.latest)
        if reading.earliest and reading.latest and not future:
            self._dated = (reading.earliest, reading.latest)
        self._why[date] = Why(reading.rule)
        return date

    def count(self, spans: Sequence[Span], role: Literal["dead", "injured"]) -> Count | None:
        """The first phrase that counts persons."""
        if not spans:
            return None
        at = spans[0]
        reading = count_reading(at.text, role)
        count = Count(at.text, at.start, at.end, at.field, reading.min, reading.max)
        self._why[count] = Why(reading.rule)
        return count


def _span(sentence: Span, start: int, end: int) -> Span:
    return Span(sentence.text[start:end], sentence.start + start, sentence.start + end, sentence.field)


def _foreign_attackers(parties: Sequence[Party]) -> list[str]:
    return [p.code.country for p in parties if p.code.country and p.code.sector in _FOREIGN_ATTACKERS]
