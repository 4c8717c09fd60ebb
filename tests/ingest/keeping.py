"""What tests of incidents share: reports told to a pipeline as a worker tells them, and what should become of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

from ingest.broker import Broker, Outgoing
from ingest.incidents import Keeper, told
from ingest.records import Article, EventRecord, IncidentRecord
from ingest.storage import Coding, Position, Store
from models.events import Event
from models.incidents import Incidents
from tests.models.incidents.reports import HERAT, JUBA, NOON, event, party
from tests.models.incidents.test_incidents import AGAIN, ARRESTS, BRIDGE, BUS, HERAT_RAID

_OFFSETS = count()


@dataclass(frozen=True)
class Report:
    """One revision of an article, published and coded so many hours after noon; without `coding` it has no event."""

    name: str
    hours: float = 0
    coding: dict[str, Any] | None = None
    revision: int = 1
    coded: float | None = None
    publisher: str | None = None
    story: str | None = None
    language: str = "en"

    def article(self) -> Article:
        url = f"https://www.{self.publisher or self.name}-news.org/{self.name}"
        return Article(
            article_id=self.name,
            revision=self.revision,
            feed=f"feed-{self.name}",
            url=url,
            canonical_url=url,
            title=f"Headline of {self.name}",
            text=f"text {self.revision}",
            language=self.language,
            published=NOON + timedelta(hours=self.hours),
            fetched=NOON + timedelta(hours=self.hours),
            content_hash=f"{self.name} {self.revision}",
            syndication_id=self.story,
        )

    def events(self) -> tuple[Event, ...]:
        return () if self.coding is None else (event(**self.coding),)

    def to_code(self) -> Coding:
        hours = self.hours if self.coded is None else self.coded
        position = Position("articles", 0, next(_OFFSETS))
        return Coding(position, self.article(), self.events(), NOON + timedelta(hours=hours))


def store_reports(store: Store, reports: Iterable[Report]) -> list[EventRecord]:
    """What a worker stores of them, each by itself; the event revisions that come of it."""
    made: list[EventRecord] = []
    for report in reports:
        (answer,) = store.apply([report.to_code()])
        assert not isinstance(answer, str)
        made += answer
    return made


def tell(broker: Broker, store: Store, topic: str, reports: Iterable[Report]) -> list[EventRecord]:
    """Store and publish reports as a worker does."""
    made = store_reports(store, reports)
    producer = broker.producer()
    producer.send([Outgoing(topic, each.article.article_id.encode(), each.to_json()) for each in made])
    producer.close()
    return made


def keep_all(keeper: Keeper, events: Sequence[EventRecord]) -> list[IncidentRecord]:
    """What a keeper makes of events, in as many transactions as it takes."""
    made: list[IncidentRecord] = []
    at = 0
    while at < len(events):
        answers = keeper.keep(events[at:])
        made += [record for answer in answers for record in answer]
        at += len(answers)
    return made


def expected(events: Sequence[EventRecord]) -> list[IncidentRecord]:
    """What one keeper that never ends makes of the events in that order."""
    incidents, records, clock = Incidents(), [], events[0].coded
    for each in events:
        clock = max(clock, each.coded)
        records += [IncidentRecord.of(change) for change in incidents.observe(told(each, clock))]
    return records


_RAID_IN_HERAT: dict[str, Any] = {
    "text": HERAT_RAID,
    "place": None,
    "actors": (),
    "recipients": (party("two soldiers", "AFG", "MIL"),),
    "dead": 2,
}
_POLICEMEN: dict[str, Any] = {"text": AGAIN, "actors": (), "recipients": (party("six policemen", "AFG", "COP"),)}
_VAGUE: dict[str, Any] = {"text": f"{AGAIN} {HERAT_RAID}", "place": None, "modes": (), "recipients": ()}
_JUBA: dict[str, Any] = {"text": "Armed men shot dead a teacher outside Juba", "place": JUBA, "day": "2026-11-26"}

STORY: Sequence[Report] = (
    # Two incidents, which a third report makes one, until it is withdrawn.
    Report("a", 0, _POLICEMEN),
    Report("b", 1, _RAID_IN_HERAT),
    Report("c", 2, _VAGUE),
    Report("c", 3, None, revision=2),
    # More sources, a copy, tolls that cannot both be, a denial, a correction of the place.
    Report("d", 4, {**_POLICEMEN, "dead": 20}, story="a"),
    Report("e", 5, {**_POLICEMEN, "dead": 6}),
    Report("f", 6, {**_POLICEMEN, "realis": "negated"}),
    Report("g", 7, BUS),
    Report("g", 8, {**BUS, "place": HERAT}, revision=2),
    Report("h", 9, {"text": BRIDGE}),
    Report("i", 10, ARRESTS),
    # Coded out of order.
    Report("j", 12, _POLICEMEN, coded=30),
    Report("k", 13, _JUBA, coded=29),
    # All reports of one withdrawn; then it comes back.
    Report("k", 14, None, revision=2, coded=31),
    Report("k", 15, _JUBA, revision=3, coded=32),
)
"""Merges, splits, corrections and retractions, within less than four days (as no event is coded after it is stored)."""
