"""One event told twice: the headline's and the lead's become one, with the fuller arguments and both places as evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from models import ontology
from models.events import Actor, Count, Event, Location, Mention
from models.resolve import countries_named
from models.spelling import fold

# The lead: later sentences tell other events, or the same one again as background.
LEAD_SENTENCES = 3
# Of different sides two parties are never one; plain people (CVL), workers and notables may stand on any.
_SIDES = {
    **dict.fromkeys(("GOV", "MIL", "COP", "SPY", "JUD", "LEG"), "state"),
    **dict.fromkeys(("REB", "UAF", "CRM"), "armed"),
    **dict.fromkeys(("OPP", "PTY", "EDU", "REL", "MED", "REF", "BUS"), "civil"),
}
_EMPTY_WORDS = frozenset(
    "a about after all an and are as at been by for from had has have her his in into is it its least more new of off on or "
    "other out over than that the their them they this to up was were who with "
    "one two three four five six seven eight nine ten dozen dozens hundreds people person men man women woman".split()
)
_ROUGHLY = re.compile(
    r"\b(?:about|almost|approximately|around|as many as|close to|estimated|nearly|roughly|some|up to)\b", re.I
)


def _words(text: str) -> set[str]:
    """The words that tell something, numbers and the names of countries left out, "Maoists" as "maoist"."""
    words = {fold(word): word for word in re.findall(r"[\w’']+", text)}
    return {
        key.removesuffix("s")
        for key, word in words.items()
        if len(key) > 1 and key.isalpha() and key not in _EMPTY_WORDS and not countries_named(word)
    }


# Each of the following answers True or False where the two texts tell, else None.


def _same_party(one: Actor, other: Actor) -> bool | None:
    if one.country and other.country and one.country != other.country:
        return False
    if _words(one.text) & _words(other.text):
        return True
    sides = [_SIDES[actor.sector] for actor in (one, other) if actor.sector in _SIDES]
    if len(set(sides)) > 1:
        return False
    alike = sides == ["armed", "armed"] or (len(sides) > 1 and one.sector == other.sector)
    return True if alike or (one.country and other.country) else None


def _same_parties(ones: Sequence[Actor], others: Sequence[Actor]) -> bool | None:
    """One party in common is enough: headlines leave parties out."""
    answers = {_same_party(one, other) for one in ones for other in others}
    return True if True in answers else None if None in answers or not answers else False


def _same_place(one: Location | None, other: Location | None) -> bool | None:
    if one is None or other is None:
        return None
    if one.country and other.country and one.country != other.country:
        return False
    if _words(one.text) & _words(other.text):
        return True
    if one.admin1 and other.admin1:
        return one.admin1 == other.admin1
    return True if one.country and other.country else None


def _same_count(one: Count | None, other: Count | None) -> bool | None:
    if one is None or other is None or one.min is None or other.min is None:
        return None
    (_, most), (high, _) = sorted([(one.min, one.max), (other.min, other.max)], key=lambda bounds: bounds[0])
    slack = high * 0.1 if _ROUGHLY.search(f"{one.text} {other.text}") else 0
    return most is None or high <= most + slack


def _countries(event: Event) -> set[str]:
    parts = (*event.actors, *event.recipients, event.location)
    return {part.country for part in parts if part and part.country}


def same(headline: Event, lead: Event) -> bool:
    """Whether an event of the headline and one of the lead can be one: the same type and realis, nothing of who, to whom,
    where and how many that contradicts, and something of it, a country or the trigger that agrees."""
    if headline.type != lead.type or headline.realis != lead.realis:
        return False
    answers = (
        _same_parties(headline.actors, lead.actors),
        _same_parties(headline.recipients, lead.recipients),
        _same_place(headline.location, lead.location),
        _same_count(headline.dead, lead.dead),
        _same_count(headline.injured, lead.injured),
    )
    if False in answers:
        return False
    return (
        True in answers
        or bool(_countries(headline) & _countries(lead))
        or bool(_words(headline.sentence.text) & _words(lead.trigger.text))
    )


def _fullness(event: Event) -> tuple[int, float]:
    single = (event.location, event.date, event.dead, event.injured)
    parts = (event.actors, event.recipients, event.claimed_by)
    return sum(bool(part) for part in (*single, *parts)), event.confidence


def _together(fuller: Event, other: Event) -> Event:
    filled: dict[str, Any] = {
        name: getattr(other, name)
        for name in ("modes", "actors", "recipients", "location", "date", "dead", "injured", "claimed_by")
        if not getattr(fuller, name)
    }
    event = replace(
        fuller,
        **filled,
        confidence=max(fuller.confidence, other.confidence),
        mentions=(*fuller.mentions, Mention(other.trigger, other.sentence)),
    )
    # What follows from the arguments follows from those of both.
    return ontology.recoded(event)


def told_once(events: Sequence[Event], lead: Sequence[tuple[int, int]]) -> list[Event]:
    """The events of one article without those that the headline and the lead both tell.

    `lead` are the first sentences of the text, as offsets. An event is joined with at most one other, the first that fits,
    rather one with a mode in common, and stands where the fuller of the two stood.
    """
    near = [
        number
        for number, event in enumerate(events)
        if event.trigger.field == "text" and any(start <= event.trigger.start < end for start, end in lead)
    ]
    joined: dict[int, Event] = {}
    gone: set[int] = set()
    for number, headline in enumerate(events):
        if headline.trigger.field != "title":
            continue
        free = [at for at in near if at not in joined and at not in gone and same(headline, events[at])]
        if free:
            at = next((which for which in free if {*headline.modes} & {*events[which].modes}), free[0])
            fuller, other = sorted((number, at), key=lambda which: _fullness(events[which]), reverse=True)
            joined[fuller] = _together(events[fuller], events[other])
            gone.add(other)
    return [joined.get(number, event) for number, event in enumerate(events) if number not in gone]
