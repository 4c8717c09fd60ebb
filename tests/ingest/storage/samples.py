"""Articles, events and codings for the tests of storage and revisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.records import Article, EventRecord
from ingest.revisions import revise
from ingest.storage import Coding, Position
from models.events import AcledCode, Actor, Codes, Count, Event, EventDate, Location, ModelInfo, Span

NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

EVENT = Event(
    type="ASSAULT",
    quad="material conflict",
    modes=("bombing",),
    intensity=-9.5,
    realis="actual",
    confidence=0.9,
    trigger=Span("bombed", 7, 13, "text"),
    sentence=Span("Rebels bombed a market in Mosul on Monday, killing at least 12.", 0, 63, "text"),
    codes=Codes(plover="ASSAULT", cameo="183", acled=AcledCode("Explosions/Remote violence", "Remote explosive/IED")),
    crosswalk="1",
    model=ModelInfo("test", "1"),
    actors=(Actor("Rebels", 0, 6, "text", country="SYR", sector="REB", confidence=0.8),),
    recipients=(Actor("a market", 14, 22, "text", country=None, sector="CIV", confidence=0.7),),
    location=Location("Mosul", 26, 31, "text", "Mosul", "IRQ", "Nineveh", 36.33, 43.13, 99072, "place"),
    date=EventDate("Monday", 35, 41, "text", earliest="2026-11-23", latest="2026-11-23"),
    dead=Count("at least 12", 51, 62, "text", min=12, max=None),
    injured=None,
    claimed_by=(Span("Rebels", 0, 6, "text"),),
)
BARE = Event(
    type="PROTEST",
    quad="verbal conflict",
    modes=(),
    intensity=-6.5,
    realis="future",
    confidence=0.5,
    trigger=Span("protest", 0, 7, "title"),
    sentence=Span("protest planned", 0, 15, "title"),
    codes=Codes(plover="PROTEST", cameo="14", acled=None),
    crosswalk="1",
    model=ModelInfo("test", "1"),
)


def at(minutes: float) -> datetime:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def article(name: str = "a", revision: int = 1, **fields: Any) -> Article:
    values: dict[str, Any] = {
        "article_id": name,
        "revision": revision,
        "feed": "wire",
        "url": f"https://example.org/{name}",
        "canonical_url": f"https://example.org/{name}",
        "title": "Market bombed",
        "text": "Rebels bombed a market in Mosul on Monday, killing at least 12.",
        "language": "en",
        "authors": ("A. Writer", "B. Writer"),
        "published": at(-60),
        "published_source": "entry",
        "fetched": at(-30),
        "content_hash": f"{name}-{revision}",
    }
    return Article(**values | fields)


def coding(
    offset: int,
    article: Article,
    *events: Event,
    coded: datetime = NOON,
    topic: str = "articles",
    partition: int = 0,
    not_coded: str | None = None,
) -> Coding:
    return Coding(Position(topic, partition, offset), article, events, coded, not_coded)


def record(event: Event = EVENT, of: Article | None = None, coded: datetime = NOON) -> EventRecord:
    """The record that a first coding makes of an event."""
    return revise([], of or article(), [event], coded)[0]


def triggered(by: str, event: Event = EVENT, **fields: Any) -> Event:
    """An event of its own: the trigger's text tells events of one type in one article apart."""
    return replace(event, trigger=replace(event.trigger, text=by, end=event.trigger.start + len(by)), **fields)


def outline(records: list[EventRecord]) -> list[tuple[str, int, str]]:
    """What tests mostly ask of records: trigger, revision and status."""
    return [(each.trigger.text, each.revision, each.status) for each in records]
