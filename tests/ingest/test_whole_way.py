"""The whole way of the news: sample feeds over HTTP, pulled, published, coded by the real coder, stored, on the topic."""

from __future__ import annotations

import asyncio
import tomllib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from ingest.feeds.catalog import Feed, load_catalog
from ingest.feeds.pull import PullResult, pull_feeds
from ingest.records import EventRecord
from ingest.worker import ArticleCoder
from models import Coder
from tests.feeds.serve import FEEDS, FOLDER, SampleServer
from tests.ingest.pipeline import Pipeline

FIRST_PULL = datetime(2026, 11, 24, 1, tzinfo=UTC)
SECOND_PULL = FIRST_PULL + timedelta(hours=1)
# Two of the twelve sample feeds; the first changes between the pulls.
BOTH_WAYS = ("harbour-wire", "sahel-courier")


@pytest.fixture(scope="module")
def coder() -> Coder:
    # The small network alone: where events go does not depend on who reads, and without VNNI the large one takes minutes.
    return Coder.load(profile="fast")


def pull(pipeline: Pipeline, feeds: Sequence[Feed], now: datetime) -> Counter[str]:
    """Pull all feeds; how many articles are new and updated, and how many feeds failed."""
    fetch = pipeline.settings.fetch.model_copy(update={"allow_private": True, "host_gap": 0})
    settings = pipeline.settings.model_copy(update={"fetch": fetch})
    producer = pipeline.broker.producer()
    try:
        results: list[PullResult] = asyncio.run(
            pull_feeds(feeds, pipeline.store, producer, settings, now=now, force=True)
        )
    finally:
        producer.close()
    counts = Counter(new=sum(each.new for each in results), updated=sum(each.updated for each in results))
    counts.update(each.status for each in results)
    return counts


def go_all_the_way(pipeline: Pipeline, feeds: Sequence[Feed], coder: ArticleCoder, now: datetime) -> Counter[str]:
    """Pull what there is now and work until all of it is coded."""
    counts = pull(pipeline, feeds, now)
    stats = pipeline.work(coder)
    assert stats.dead == 0
    assert stats.articles == counts["new"] + counts["updated"]
    return counts


def is_that(reported: dict[str, str], event: EventRecord) -> bool:
    """Whether `event` is the one that the sample articles report, by feed, type and trigger."""
    said, meant = event.trigger.text.casefold(), reported["trigger"].casefold()
    return (event.article.feed, event.type) == (reported["feed"], reported["type"]) and (said in meant or meant in said)


def comparable(events: Sequence[EventRecord]) -> list[dict[str, object]]:
    """What must not depend on broker, store, batch or clock, by event and revision."""
    found = []
    for event in sorted(events, key=lambda each: (each.event_id, each.revision)):
        said = event.model_dump(exclude={"coded"})
        said["confidence"] = round(event.confidence, 3)
        for role in ("actors", "recipients"):
            said[role] = [each | {"confidence": round(each["confidence"], 3)} for each in said[role]]
        found.append(said)
    return found


def test_feeds_become_events_in_the_store_and_on_the_topic(embedded: Pipeline, coder: Coder) -> None:
    with SampleServer() as server:
        feeds = load_catalog(server.catalog_path)
        counts = go_all_the_way(embedded, feeds, coder, FIRST_PULL)
        assert counts["failed"] == 0
        assert counts["ok"] == len(FEEDS)
        assert counts["new"] >= 80
        events = list(embedded.agreed().values())

        articles = {each.article_id: each for each in embedded.store.articles()}
        assert len(articles) == counts["new"]
        for event in events:
            source = articles[event.article.article_id]
            for span in (event.trigger, event.sentence, *event.actors, *event.recipients, *event.claimed_by):
                assert getattr(source, span.field)[span.start : span.end] == span.text

        # How well it codes is for `evaluate` to say; that it codes these articles and no others is said here.
        reported = tomllib.loads((FOLDER / "expected.toml").read_text(encoding="utf-8"))["event"]
        found = [each for each in reported if any(is_that(each, event) for event in events)]
        assert len(found) * 3 > len(reported)

        again = go_all_the_way(embedded, feeds, coder, FIRST_PULL)
        assert (again["new"], again["updated"]) == (0, 0)
        assert list(embedded.agreed().values()) == events


@pytest.mark.kafka
@pytest.mark.postgres
def test_both_ways_give_the_same_events(embedded: Pipeline, servers: Pipeline, coder: Coder) -> None:
    with SampleServer() as server:
        # The same server for both: its port is part of the articles' addresses.
        feeds = [feed for feed in load_catalog(server.catalog_path) if feed.name in BOTH_WAYS]
        for now in (FIRST_PULL, SECOND_PULL):
            small, large = (go_all_the_way(each, feeds, coder, now) for each in (embedded, servers))
            assert small == large
            server.advance()
        assert small["updated"] > 0
    embedded.agreed()
    servers.agreed()
    assert embedded.events()
    assert comparable(embedded.events()) == comparable(servers.events())
    assert comparable(embedded.stored()) == comparable(servers.stored())
