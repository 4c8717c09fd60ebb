"""Events made by hand for tests of incidents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from models.events import Actor, Codes, Count, Event, EventDate, Location, ModelInfo, Realis, Span
from models.incidents import Told

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
KUNDUZ = Location("Kunduz", 0, 6, "text", "Kunduz", "AFG", "Kunduz", 36.729, 68.857, 1135690, "place", "AF-KDZ")
HERAT = Location("Herat", 0, 5, "text", "Herat", "AFG", "Herat", 34.348, 62.199, 1140026, "place", "AF-HER")
AFGHANISTAN = Location("Afghanistan", 0, 11, "text", "Afghanistan", "AFG", None, 33.0, 66.0, 1149361, "country", None)
JUBA = Location("Juba", 0, 4, "text", "Juba", "SSD", "Central Equatoria", 4.85, 31.58, 373303, "place", "SS-EC")
POST = "Gunmen on motorcycles overran a checkpoint in Kunduz and shot dead six policemen, the governor said"


def party(text: str, country: str | None = "AFG", sector: str | None = None) -> Actor:
    return Actor(text, 0, len(text), "text", country, sector, 0.9, 0.9)


def event(
    text: str = POST,
    type: str = "ASSAULT",
    modes: tuple[str, ...] = ("firearms",),
    realis: Realis = "actual",
    place: Location | None = KUNDUZ,
    day: str | None = "2026-11-24",
    actors: tuple[Actor, ...] = (party("Gunmen", "AFG", "UAF"),),
    recipients: tuple[Actor, ...] = (party("policemen", "AFG", "COP"),),
    dead: int | tuple[int, int | None] | None = None,
) -> Event:
    sentence = Span(text, 0, len(text), "text")
    low, high = dead if isinstance(dead, tuple) else (dead, dead)
    return Event(
        type=type,
        quad="material conflict",
        modes=modes,
        intensity=-9.0,
        realis=realis,
        confidence=0.9,
        trigger=sentence,
        sentence=sentence,
        codes=Codes(type, "190", None),
        crosswalk="1",
        model=ModelInfo("test", "1"),
        actors=actors,
        recipients=recipients,
        location=place,
        date=EventDate(day, 0, 1, "text", day, day) if day else None,
        dead=Count("", 0, 1, "text", low, high) if low is not None else None,
    )


def told(
    name: str,
    hours: float = 0,
    *,
    revision: int = 1,
    status: Literal["new", "updated", "retracted"] = "new",
    article: str | None = None,
    publisher: str | None = None,
    story: str | None = None,
    coded: float | None = None,
    **coding: Any,
) -> Told:
    """An event of an article that was published `hours` after NOON by a publisher of its own."""
    return Told(
        event_id=name,
        revision=revision,
        status=status,
        article_id=article or f"article {name}",
        article_revision=revision,
        publisher=publisher or f"publisher {name}",
        story=story or f"story {name}",
        published=NOON + timedelta(hours=hours),
        coded=NOON + timedelta(hours=hours if coded is None else coded),
        event=event(**coding),
    )
