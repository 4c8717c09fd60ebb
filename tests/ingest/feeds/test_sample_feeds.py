"""The bundled sample feeds, pulled: every peculiarity named in tests/feeds/README.md comes out as it should."""

from __future__ import annotations

import asyncio
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.broker import open_broker
from ingest.feeds.catalog import load_catalog
from ingest.feeds.pull import PullResult, pull_feeds
from ingest.records import Article, parse_article
from ingest.settings import Fetch, Settings
from ingest.storage import Store
from tests.feeds.serve import FEEDS, FOLDER, SampleServer

NOW = datetime(2026, 11, 24, 1, tzinfo=UTC)
REPEATED = 2


@dataclass(frozen=True)
class Pulled:
    server: SampleServer
    first: dict[str, PullResult]
    unchanged: dict[str, PullResult]
    second: dict[str, PullResult]
    articles: list[Article]

    def of(self, feed: str, revision: int = 1) -> list[Article]:
        return [each for each in self.articles if (each.feed, each.revision) == (feed, revision)]


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulled]:
    """Pulled three times: at first, again with nothing new, and after the edits."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), fetch=Fetch(allow_private=True, host_gap=0))
    broker = open_broker(settings)
    broker.ensure_topics({settings.topics.articles: 3})
    store, producer = Store.open(settings.store_url), broker.producer()
    with SampleServer() as server:
        feeds = load_catalog(server.catalog_path)

        def pull(hours: int) -> dict[str, PullResult]:
            now = NOW + timedelta(hours=hours)
            results = asyncio.run(pull_feeds(feeds, store, producer, settings, now=now, force=True))
            return {result.feed: result for result in results}

        first, unchanged = pull(0), pull(1)
        server.advance()
        second = pull(2)
        reader = broker.reader(settings.topics.articles, "earliest")
        articles: list[Article] = []
        while not reader.at_end():
            articles += [parse_article(record.value) for record in reader.poll(500, 0.5)]
        reader.close()
        yield Pulled(server, first, unchanged, second, articles)
    producer.close()
    store.close()
    broker.close()


def test_every_feed_is_read_and_every_entry_published_once(pulled: Pulled) -> None:
    assert {name: result.status for name, result in pulled.first.items()} == {feed.name: "ok" for feed in FEEDS}
    entries = sum(result.entries for result in pulled.first.values())
    assert entries == 103
    assert sum(result.new for result in pulled.first.values()) == entries - REPEATED
    assert sum(result.updated for result in pulled.first.values()) == 0
    assert len({each.article_id for each in pulled.articles if each.fetched == NOW}) == entries - REPEATED


def test_a_second_pull_finds_nothing_and_takes_no_body(pulled: Pulled) -> None:
    assert {result.status for result in pulled.unchanged.values()} == {"unchanged"}
    assert pulled.server.answers["/sahel-courier.xml", 200] == 1
    assert pulled.server.answers["/sahel-courier.xml", 304] == 2


def test_edits_are_revisions_and_tidying_is_none(pulled: Pulled) -> None:
    others = dict(pulled.second)
    wire = others.pop("harbour-wire")
    assert (wire.status, wire.new, wire.updated) == ("ok", 1, 2)
    assert {result.status for result in others.values()} == {"unchanged"}
    updated = pulled.of("harbour-wire", revision=2)
    assert len(updated) == 2
    first = {each.article_id: each for each in pulled.of("harbour-wire")}
    assert all(each.text != first[each.article_id].text for each in updated)
    assert any("El Obeid" in each.title for each in updated)
    assert not any("protest" in each.title for each in updated)


def test_the_reported_events_stand_in_the_articles(pulled: Pulled) -> None:
    expected = tomllib.loads((FOLDER / "expected.toml").read_text())["event"]
    said: dict[str, str] = defaultdict(str)
    for each in pulled.articles:
        said[each.feed] += f"{each.title}\n{each.text}\n"
    missing = [event for event in expected if event["trigger"] not in said[event["feed"]]]
    assert not missing


LEFTOVERS = (
    "cookie",
    "newsletter",
    "all rights reserved",
    "first appeared on",
    "read more",
    "most read",
    "{{base}}",
    "<",
    "&amp;",
    "&nbsp;",
    "\ufffd",
)


def test_texts_hold_the_article_and_nothing_of_the_page(pulled: Pulled) -> None:
    for each in pulled.articles:
        folded = each.text.casefold()
        assert not [word for word in LEFTOVERS if word in folded], each.text
        assert not each.text.startswith(each.title)
        assert each.title == each.title.strip() != ""
        assert each.url.startswith("http")


def test_summaries_are_replaced_by_their_pages_where_there_is_one(pulled: Pulled) -> None:
    for feed, without in (("sahel-courier", 0), ("northern-standard", 1)):
        short = [each.title for each in pulled.of(feed) if "\n\n" not in each.text]
        assert len(short) == without, short


def test_pages_are_fetched_only_for_feeds_of_summaries(pulled: Pulled) -> None:
    asked = Counter(path.split("/")[1] for path in pulled.server.requests)
    assert asked["news"] == 0
    assert asked["pages"] == len(pulled.of("sahel-courier")) + len(pulled.of("northern-standard"))


@pytest.mark.parametrize(
    ("feed", "marks"), [("andes-dispatch", "ñí“”"), ("faro-del-istmo", "ñáéíó"), ("baltic-observer", "–&")]
)
def test_characters_survive_encodings_and_malformed_xml(pulled: Pulled, feed: str, marks: str) -> None:
    text = "".join(each.title + each.text for each in pulled.of(feed))
    assert not [mark for mark in marks if mark not in text]


def test_dates_authors_and_languages_are_read_in_every_format(pulled: Pulled) -> None:
    for each in pulled.articles:
        assert each.published_source == "entry"
        assert each.published is not None
        assert datetime(2026, 11, 15, tzinfo=UTC) < each.published <= each.fetched
        assert each.authors
        assert "@" not in "".join(each.authors)
        assert each.language is not None
        assert each.language.partition("-")[0] == ("es" if each.feed == "faro-del-istmo" else "en")


def test_a_syndicated_story_is_an_article_of_each_publisher(pulled: Pulled) -> None:
    feeds = {each.feed for each in pulled.articles if "M23" in each.text and "Walikale" in each.text}
    assert {"harbour-wire", "great-lakes-post", "northern-standard"} <= feeds


def test_identities_do_not_depend_on_the_servers_port(pulled: Pulled, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, fetch=Fetch(allow_private=True, full_text=False, host_gap=0))
    broker = open_broker(settings)
    broker.ensure_topics({settings.topics.articles: 1})
    store, producer = Store.open(settings.store_url), broker.producer()
    with SampleServer() as other:
        assert other.url != pulled.server.url
        asyncio.run(pull_feeds(load_catalog(other.catalog_path), store, producer, settings, now=NOW))
    ids = {each.article_id for each in pulled.articles if each.fetched == NOW}
    assert set(store.known(sorted(ids))) == ids
    producer.close()
    store.close()
    broker.close()
