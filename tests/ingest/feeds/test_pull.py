"""The pull of due feeds, from real servers into a real broker and a real store."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest.broker import Broker, Outgoing, Producer, open_broker
from ingest.errors import BrokerRejected, BrokerUnavailable, RecordTooLarge, StoreRejected, StoreUnavailable
from ingest.feeds import pull as pull_module
from ingest.feeds.catalog import Feed
from ingest.feeds.identity import Keys, Naming
from ingest.feeds.parse import ParsedEntry
from ingest.feeds.pull import BATCH, PAGE_FAILURES, Puller, PullResult, pull_feeds
from ingest.feeds.schedule import DAY, INTERVAL, JITTER
from ingest.records import Article, parse_article
from ingest.settings import Fetch, Settings
from ingest.storage import FeedState, Known, Store
from tests.ingest.feeds.site import Request, Site, answer

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
WORDS = "Rebels shelled the town on Tuesday and killed at least twelve people, officials said."


@dataclass
class Place:
    """A site with feeds, and the broker and store that they are pulled into."""

    folder: Path
    site: Site
    limits: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fetch = Fetch(**({"allow_private": True, "host_gap": 0} | self.limits))
        self.settings = Settings(data_dir=self.folder, fetch=fetch)
        self.broker: Broker = open_broker(self.settings)
        self.broker.ensure_topics({self.settings.topics.articles: 3})
        self.store = Store.open(self.settings.store_url)

    def close(self) -> None:
        self.store.close()
        self.broker.close()

    def feed(self, name: str = "feed", **options: Any) -> Feed:
        return Feed(name, f"{self.site.url}/{name}", **options)

    def pull(
        self,
        *feeds: Feed,
        producer: Producer | None = None,
        store: Store | None = None,
        now: datetime = NOW,
        **options: Any,
    ) -> list[PullResult]:
        used = producer or self.broker.producer()
        try:
            return asyncio.run(
                pull_feeds(feeds or [self.feed()], store or self.store, used, self.settings, now=now, **options)
            )
        finally:
            used.close()

    def published(self) -> list[Article]:
        """All of the topic, each article's revisions in their order."""
        reader = self.broker.reader(self.settings.topics.articles, "earliest")
        try:
            found: list[Article] = []
            while not reader.at_end():
                for record in reader.poll(500, 0.2):
                    found.append(parse_article(record.value))
                    assert record.key == found[-1].article_id.encode()
            return found
        finally:
            reader.close()

    def known(self) -> dict[str, Known]:
        return self.store.known([article.article_id for article in self.published()])

    def state(self, name: str = "feed") -> FeedState:
        return self.store.feed_states()[name]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with Site() as site:
        place = Place(tmp_path, site)
        yield place
        place.close()


def rss(*items: str, head: str = "") -> bytes:
    body = "".join(f"<item>{item}</item>" for item in items)
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title>{head}{body}</channel></rss>'.encode()


def item(number: int, text: str = "", link: str = "", **more: str) -> str:
    elements = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
    return (
        f'<title>Report {number}</title><guid isPermaLink="false">{number}</guid>'
        f"<link>{link}</link><description>{text or WORDS}</description>{elements}"
    )


def test_new_entries_are_published_once(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1, pubDate="Tue, 24 Nov 2026 10:00:00 GMT"), item(2)))
    assert [replace(result, seconds=0) for result in place.pull()] == [PullResult("feed", "ok", new=2, entries=2)]
    first, second = sorted(place.published(), key=lambda article: article.title)
    assert first == Article(
        article_id=first.article_id,
        revision=1,
        feed="feed",
        url="",
        canonical_url="",
        title="Report 1",
        text=WORDS,
        language="en",
        authors=(),
        published=datetime(2026, 11, 24, 10, tzinfo=UTC),
        published_source="entry",
        fetched=NOW,
        content_hash=first.content_hash,
        syndication_id=first.article_id,
    )
    assert (second.published, second.published_source) == (NOW, "fetched")
    assert set(place.known()) == {first.article_id, second.article_id}
    assert place.pull(force=True)[0].status == "unchanged"
    assert len(place.published()) == 2


def test_a_feed_with_validators_is_asked_with_them(place: Place) -> None:
    def conditional(connection: socket.socket, request: Request) -> None:
        fresh = request.headers.get("if-none-match") == '"1"' and "if-modified-since" in request.headers
        body = answer(rss(item(1)), ETag='"1"', Last_Modified="Tue, 24 Nov 2026 10:00:00 GMT")
        connection.sendall(answer(status="304 Not Modified") if fresh else body)

    place.site.routes["/feed"] = conditional
    assert place.pull()[0].status == "ok"
    for _ in range(2):
        assert place.pull(force=True)[0].status == "unchanged"
    assert place.state().last_status == 304
    assert place.state().pulls == 3


def test_only_due_feeds_are_pulled_unless_forced(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1)))
    feeds = [place.feed(), place.feed("off", enabled=False)]
    assert [result.status for result in place.pull(*feeds)] == ["ok", "disabled"]
    assert [result.status for result in place.pull(*feeds)] == ["not_due", "disabled"]
    assert [result.status for result in place.pull(*feeds, force=True)] == ["unchanged", "disabled"]
    later = NOW + timedelta(seconds=INTERVAL * (1 + JITTER))
    assert [result.status for result in place.pull(*feeds, now=later)] == ["unchanged", "disabled"]
    assert place.site.paths() == ["/feed"] * 3


def test_an_edited_entry_is_a_revision_and_a_tidied_one_is_not(place: Place) -> None:
    versions = [
        item(1, "Twelve people died."),
        item(1, "<![CDATA[<p>Twelve  people <b>died</b>…</p>]]>"),
        item(1, "Thirteen people died."),
        item(1, "Thirteen people died.", link="http://example.org/a"),
    ]
    results = []
    for version in versions:
        place.site.routes["/feed"] = answer(rss(version))
        results += place.pull(force=True)
    assert [(result.new, result.updated) for result in results] == [(1, 0), (0, 0), (0, 1), (0, 0)]
    one, two = place.published()
    assert (one.article_id, one.revision, one.text) == (two.article_id, 1, "Twelve people died.")
    assert (two.revision, two.text) == (2, "Thirteen people died.")


def test_entries_that_left_the_feed_and_come_back_are_known(place: Place) -> None:
    for body in (rss(item(1), item(2)), rss(item(3)), rss(item(2), item(3), item(1))):
        place.site.routes["/feed"] = answer(body)
        place.pull(force=True)
    assert sorted(article.title for article in place.published()) == ["Report 1", "Report 2", "Report 3"]


def stall(connection: socket.socket, request: Request) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
    connection.recv(1)


def test_a_failing_feed_disturbs_no_other(tmp_path: Path) -> None:
    quadratic = rss(f"<title>A</title><author>{'a' * 100_000}</author>")
    failures: dict[str, tuple[str, Any]] = {
        "missing": ("http", answer("no", "404 Not Found")),
        "broken": ("http", answer("no", "500 Oops")),
        "page": ("not_a_feed", answer("<!doctype html><html><p>Sign in</p></html>", Content_Type="text/html")),
        "image": ("not_a_feed", answer(b"\x89PNG\r\n\x1a\n", Content_Type="image/png")),
        "stalled": ("timeout", stall),
        "quadratic": ("deadline", answer(quadratic)),
        "large": ("too_large", answer(b" " * 300_000)),
        "circle": ("redirect", answer(status="301 Moved", Location="/circle")),
        "garbage": ("protocol", b"garbage\r\n\r\n"),
        "brotli": ("encoding", answer("x", Content_Encoding="br")),
    }
    with Site() as site:
        place = Place(tmp_path, site, {"timeout": 1.5, "parse_timeout": 1.5, "max_bytes": 200_000})
        site.routes.update({f"/{name}": route for name, (_, route) in failures.items()})
        site.routes["/good"] = answer(rss(item(1)))
        seen: list[PullResult] = []
        results = place.pull(
            *(place.feed(name) for name in failures),
            place.feed("good"),
            Feed("nowhere", "http://no-such-host.invalid/"),
            on_result=seen.append,
        )
        assert {result.feed: (result.status, result.error_kind) for result in results} == {
            name: ("failed", kind) for name, (kind, _) in failures.items()
        } | {"good": ("ok", None), "nowhere": ("failed", "dns")}
        assert [result.feed for result in results] == [*failures, "good", "nowhere"]
        assert sorted(result.feed for result in seen) == sorted(result.feed for result in results)
        states = place.store.feed_states()
        for result in results[:-2]:
            assert result.error
            assert "\n" not in result.error
            assert states[result.feed].last_error == result.error
            assert states[result.feed].failures == 1
        assert [article.feed for article in place.published()] == ["good"]
        place.close()


def test_a_feed_served_as_something_else_is_read(place: Place) -> None:
    for name, kind in (("html", "text/html"), ("binary", "application/octet-stream"), ("none", "")):
        place.site.routes[f"/{name}"] = answer(rss(item(1)), Content_Type=kind)
    assert [result.status for result in place.pull(*map(place.feed, ("html", "binary", "none")))] == ["ok"] * 3


def test_a_feed_that_fails_comes_back_as_if_nothing_had_been(place: Place) -> None:
    place.site.routes["/feed"] = answer("no", "503 Later", Retry_After="7200")
    assert place.pull()[0].status == "failed"
    due = place.state().next_due
    assert due is not None
    assert timedelta(hours=2) <= due - NOW <= timedelta(hours=2) * (1 + JITTER)
    place.site.routes["/feed"] = answer(rss(item(1)))
    assert place.pull(now=due - timedelta(seconds=1))[0].status == "not_due"
    assert place.pull(now=due)[0].new == 1
    assert (place.state().failures, place.state().last_error) == (0, None)


def test_a_feed_that_is_gone_is_not_asked_again(place: Place) -> None:
    place.site.routes["/feed"] = answer("gone", "410 Gone")
    assert place.pull()[0].status == "failed"
    again = place.pull(force=True)[0]
    assert again.status == "disabled"
    assert again.error is not None
    assert "410" in again.error
    assert "conflictwire feeds enable " in again.error
    assert place.site.paths() == ["/feed"]


def test_a_feed_that_is_gone_is_asked_again_at_another_url(place: Place) -> None:
    place.site.routes["/feed"] = answer("gone", "410 Gone")
    place.site.routes["/other"] = answer(rss(item(1)))
    place.pull()
    result = place.pull(replace(place.feed(), url=f"{place.site.url}/other"))[0]
    assert (result.status, result.new) == ("ok", 1)


def test_another_url_in_the_catalogue_is_asked_without_the_validators_of_the_old(place: Place) -> None:
    place.site.routes["/feed"] = place.site.routes["/other"] = answer(rss(item(1)), ETag='"1"')
    place.pull()
    place.pull(replace(place.feed(), url=f"{place.site.url}/other"))
    assert [request.path for request in place.site.requests] == ["/feed", "/other"]
    assert "if-none-match" not in place.site.requests[1].headers


def test_a_feed_that_moved_for_good_is_pulled_from_there_after_three_days(place: Place) -> None:
    place.site.routes["/feed"] = answer(status="301 Moved", Location="/new")
    place.site.routes["/new"] = answer(rss(item(1)), ETag='"1"')
    for day in range(3):
        assert place.state().url is None if day else True
        place.pull(now=NOW + timedelta(days=day), force=True)
    assert place.state().url == f"{place.site.url}/new"
    place.site.requests.clear()
    place.pull(now=NOW + timedelta(days=3), force=True)
    assert place.site.paths() == ["/new"]
    assert place.site.requests[0].headers["if-none-match"] == '"1"'
    place.site.routes["/new"] = answer("gone", "410 Gone")
    place.site.routes["/feed"] = answer(rss(item(1), item(2)))
    assert place.pull(now=NOW + timedelta(days=4), force=True)[0].status == "failed"
    assert place.pull(now=NOW + timedelta(days=5), force=True)[0].new == 1


@pytest.mark.parametrize("status", ["302 Found", "303 See Other", "307 Temporary Redirect"])
def test_a_feed_that_is_elsewhere_for_now_is_always_asked_where_it_was(place: Place, status: str) -> None:
    place.site.routes["/feed"] = answer(status=status, Location="/new")
    place.site.routes["/new"] = answer(rss(item(1)))
    for day in range(9):
        place.pull(now=NOW + timedelta(days=day), force=True)
    assert place.site.paths() == ["/feed", "/new"] * 9


def test_a_move_to_a_page_that_is_no_feed_is_not_followed(place: Place) -> None:
    """Such as the page of whoever bought the domain."""
    place.site.routes["/feed"] = answer(status="301 Moved", Location="/parked")
    place.site.routes["/parked"] = answer("<!doctype html><html><p>For sale</p></html>", Content_Type="text/html")
    for day in range(9):
        assert place.pull(now=NOW + timedelta(days=day), force=True)[0].error_kind == "not_a_feed"
    assert place.state().url is None
    assert place.state().moved_to is None


@dataclass
class Stubborn:
    """A server that has `body`, and answers 304 to whoever comes with a validator, whatever has changed."""

    body: bytes

    def __call__(self, connection: socket.socket, request: Request) -> None:
        conditional = "if-none-match" in request.headers
        connection.sendall(answer(status="304 Not Modified") if conditional else answer(self.body, ETag='"1"'))


def test_a_server_that_wrongly_says_304_is_found_out_within_a_day(place: Place) -> None:
    server = Stubborn(rss(item(1)))
    place.site.routes["/feed"] = server
    place.pull()
    server.body = rss(item(1), item(2))
    found, now = 0, NOW
    while not found:
        now = place.state().next_due or now
        found = place.pull(now=now)[0].new
    assert timedelta(hours=24) <= now - NOW <= timedelta(hours=36)
    server.body = rss(item(1), item(2), item(3))
    place.site.requests.clear()
    assert place.pull(now=place.state().next_due or now)[0].new == 1
    assert ["if-none-match" in request.headers for request in place.site.requests] == [False]


def test_a_304_that_is_right_is_doubted_once_a_day_and_then_believed(place: Place) -> None:
    server = Stubborn(rss(item(1)))
    place.site.routes["/feed"] = server
    for hours in (0, 1, 2, 3, 25, 26, 48, 70, 71):
        assert place.pull(now=NOW + timedelta(hours=hours), force=True)[0].status == ("unchanged" if hours else "ok")
    sent = ["if-none-match" in request.headers for request in place.site.requests]
    assert sent == [False, True, True, True, True, False, True, True, True, False, True]


def test_the_wishes_of_the_feed_are_kept(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1), head="<ttl>120</ttl>"), ETag='"1"')
    place.pull()
    place.site.routes["/feed"] = answer(status="304 Not Modified")
    place.pull(force=True)
    due = place.state().next_due
    assert due is not None
    assert timedelta(hours=2) <= due - NOW <= timedelta(seconds=DAY)


def test_the_wishes_of_the_server_are_kept(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1)), Cache_Control="max-age=10800")
    place.pull()
    due = place.state().next_due
    assert due is not None
    assert timedelta(hours=3) <= due - NOW <= timedelta(hours=3) * (1 + JITTER)


def test_the_hours_and_days_that_a_feed_skips_are_kept(place: Place) -> None:
    """At noon of a Tuesday, 13 and 14 o'clock are skipped, as is the rest of the day."""
    hours = "<skipHours><hour>12</hour><hour>13</hour></skipHours>"
    days = "<skipDays><day>Tuesday</day></skipDays>"
    place.site.routes["/feed"] = answer(rss(item(1), head=hours))
    place.site.routes["/other"] = answer(rss(item(1), head=days))
    place.pull(place.feed(), place.feed("other"))
    due, other = place.state().next_due, place.state("other").next_due
    assert due is not None
    assert other is not None
    assert timedelta(0) <= due - NOW.replace(hour=14) <= timedelta(minutes=6)
    assert timedelta(0) <= other - NOW.replace(day=25, hour=0) <= timedelta(minutes=6)


def test_private_addresses_are_refused_by_default(tmp_path: Path) -> None:
    with Site() as site:
        place = Place(tmp_path, site, {"allow_private": False})
        results = place.pull(place.feed(), Feed("by name", f"http://localhost:{site.port}/"))
        assert [result.error_kind for result in results] == ["private_address"] * 2
        assert not site.requests
        place.close()


PAGE = f"""<html lang="en"><head><title>Report</title>
<meta property="article:published_time" content="2026-11-24T08:00:00Z"></head><body><nav><a href="/">Home</a></nav>
<article><p>{WORDS}</p><p>The army said that it had answered with air strikes on positions east of the river.</p>
<p>Talks are to go on in Geneva next week, a spokeswoman for the mediators said on Wednesday.</p></article>
<footer>All rights reserved</footer></body></html>"""
WALL = f"<html><body><article>{'<p>We value your privacy and that of our partners, who set cookies.</p>' * 20}</body>"


def one_article(place: Place, feed: Feed | None = None) -> Article:
    place.pull(feed or place.feed())
    (article,) = place.published()
    return article


def test_the_page_behind_a_summary_is_the_text(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1, link="/page")))
    place.site.routes["/page"] = answer(status="302 Found", Location="/there")
    place.site.routes["/there"] = answer(PAGE, Content_Type="text/html")
    article = one_article(place)
    assert article.text.startswith(WORDS)
    assert article.text.endswith("said on Wednesday.")
    assert article.text.count("\n\n") == 2
    assert article.url == f"{place.site.url}/page"
    assert (article.published, article.published_source) == (datetime(2026, 11, 24, 8, tzinfo=UTC), "page")


@pytest.mark.parametrize(
    "page",
    [
        answer("no", "404 Not Found"),
        answer("no", "403 Forbidden"),
        answer(b"%PDF-1.7", Content_Type="application/pdf"),
        answer("", Content_Type="text/html"),
        answer("<html><body><p>Short.</p></body></html>", Content_Type="text/html"),
        answer(WALL, Content_Type="text/html"),
        answer(status="302 Found", Location="file:///etc/passwd"),
        b"",
    ],
    ids=["404", "403", "PDF", "empty", "short", "cookie wall", "local file", "hung up"],
)
def test_without_a_readable_page_the_summary_is_the_text(place: Place, page: bytes) -> None:
    place.site.routes["/feed"] = answer(rss(item(1, link="/page")))
    place.site.routes["/page"] = page
    assert one_article(place).text == WORDS
    assert "/page" in place.site.paths()


WHOLE = f"<![CDATA[<p>{WORDS * 10}</p><p>{WORDS * 10}</p>]]>"


@pytest.mark.parametrize(
    ("full_text", "text", "visited"),
    [(None, WORDS, True), (None, WHOLE, False), (False, WORDS, False), (True, WHOLE, True)],
    ids=["a summary", "the whole text", "never", "always"],
)
def test_pages_are_visited_when_they_are_wanted(place: Place, full_text: bool | None, text: str, visited: bool) -> None:
    place.site.routes["/feed"] = answer(rss(item(1, text, link="/page")))
    place.site.routes["/page"] = answer(PAGE, Content_Type="text/html")
    one_article(place, place.feed(full_text=full_text))
    assert ("/page" in place.site.paths()) is visited


def test_settings_can_forbid_page_visits(tmp_path: Path) -> None:
    with Site() as site:
        place = Place(tmp_path, site, {"full_text": False})
        site.routes["/feed"] = answer(rss(item(1, link="/page")))
        assert one_article(place).text == WORDS
        assert site.paths() == ["/feed"]
        place.close()


def test_pages_are_visited_for_news_only(place: Place) -> None:
    place.site.routes["/page"] = answer(PAGE, Content_Type="text/html")
    for more in ([], [item(2)]):
        place.site.routes["/feed"] = answer(rss(item(1, link="/page"), *more))
        place.pull(force=True)
    assert place.site.paths().count("/page") == 1
    assert len(place.published()) == 2


def test_a_site_that_refuses_its_pages_is_left_alone(place: Place) -> None:
    entries = 2 * BATCH
    place.site.routes["/feed"] = answer(rss(*(item(number, link=f"/page{number}") for number in range(entries))))
    assert place.pull()[0].new == entries
    # Those that had begun when the last one failed are still answered.
    pages = [path for path in place.site.paths() if path.startswith("/page")]
    assert PAGE_FAILURES <= len(pages) < PAGE_FAILURES + place.settings.fetch.per_host


def test_pages_that_robots_forbids_are_not_visited(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1, link="/page"), item(2, link="/closed/page")))
    place.site.routes["/page"] = place.site.routes["/closed/page"] = answer(PAGE, Content_Type="text/html")
    place.site.routes["/robots.txt"] = answer("User-agent: *\nDisallow: /closed/", Content_Type="text/plain")
    assert place.pull()[0].new == 2
    assert "/page" in place.site.paths()
    assert "/closed/page" not in place.site.paths()
    place.pull(force=True)
    assert place.site.paths().count("/robots.txt") == 1


def test_pages_on_private_addresses_are_not_visited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.feeds.fetch.is_public", lambda address: address == "127.0.0.1")
    with Site() as site, Site(address="127.0.0.2") as inside:
        place = Place(tmp_path, site, {"allow_private": False})
        site.routes["/feed"] = answer(rss(item(1, link=f"{inside.url}/secret"), item(2, link="/hop")))
        site.routes["/hop"] = answer(status="302 Found", Location=f"{inside.url}/secret")
        assert place.pull()[0].new == 2
        assert {article.text for article in place.published()} == {WORDS}
        assert not inside.requests
        place.close()


@pytest.mark.parametrize(
    ("stamp", "published"),
    [
        ("Tue, 24 Nov 2026 11:00:00 GMT", datetime(2026, 11, 24, 11, tzinfo=UTC)),
        ("Wed, 25 Nov 2026 11:00:00 GMT", datetime(2026, 11, 25, 11, tzinfo=UTC)),
        ("Thu, 26 Nov 2026 11:00:00 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("not a date", None),
    ],
)
def test_times_that_cannot_be_are_not_believed(place: Place, stamp: str, published: datetime | None) -> None:
    place.site.routes["/feed"] = answer(rss(item(1, pubDate=stamp)))
    article = one_article(place)
    assert article.published == (published or NOW)
    assert article.published_source == ("entry" if published else "fetched")


def test_the_language_is_that_of_the_text(place: Place) -> None:
    german = "Rebellen haben die Stadt am Dienstag beschossen und mindestens zwölf Menschen getötet, sagte die Behörde."
    place.site.routes["/feed"] = answer(
        rss(item(1), item(2, german), item(3, "12 / 13"), head="<language>en-gb</language>")
    )
    place.pull()
    languages = {article.title: article.language for article in place.published()}
    assert languages == {"Report 1": "en-GB", "Report 2": "de", "Report 3": "en-GB"}


@dataclass
class Relay:
    """A producer in front of the real one that fails or waits where a test says so."""

    inner: Producer
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None

    def send(self, records: Sequence[Outgoing]) -> None:
        self.before()
        self.inner.send(records)
        self.after()

    def close(self) -> None:
        self.inner.close()


def unavailable() -> None:
    raise BrokerUnavailable("the broker does not answer")


def refused() -> None:
    raise BrokerRejected("there is no topic articles")


def too_large() -> None:
    raise RecordTooLarge("a record is too large")


def test_a_broker_that_refuses_everything_is_no_feeds_failure(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1)))
    with pytest.raises(BrokerRejected):
        place.pull(producer=Relay(place.broker.producer(), before=refused))
    assert not place.store.feed_states()


def test_a_record_that_the_broker_refuses_is_that_feeds_failure(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1)))
    result = place.pull(producer=Relay(place.broker.producer(), before=too_large))[0]
    assert (result.status, result.error_kind) == ("failed", "rejected")


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_the_broker_may_not_have_is_published_again(place: Place, moment: str) -> None:
    place.site.routes["/feed"] = answer(rss(item(1), item(2)), ETag='"1"')
    with pytest.raises(BrokerUnavailable):
        place.pull(producer=Relay(place.broker.producer(), **{moment: unavailable}))
    assert not place.store.feed_states()
    assert not place.known()
    assert place.pull()[0].new == 2
    published = place.published()
    assert len(published) == (2 if moment == "before" else 4)
    assert {(article.title, article.revision) for article in published} == {("Report 1", 1), ("Report 2", 1)}


class ForgetfulStore(Store):
    """A store whose server goes away after the broker has the articles."""

    def remember(self, known: Sequence[Known], *rest: Any) -> None:
        raise StoreUnavailable("the database does not answer")


class StrictStore(Store):
    """A store that refuses the articles of one feed."""

    def remember(self, known: Sequence[Known], *rest: Any) -> None:
        if any(each.feed == "bad" for each in known):
            raise StoreRejected("the database refuses this record")
        super().remember(known, *rest)


class SlowStore(Store):
    """A store that counts how often it is written to, and takes its time."""

    writes = 0

    def remember(self, known: Sequence[Known], *rest: Any) -> None:
        time.sleep(0.2)
        self.writes += 1
        super().remember(known, *rest)


class Gathering(Puller):
    """Lets the batches of so many feeds come together before the first is published; `order` is that of the group."""

    def gather(self, feeds: int) -> None:
        self.feeds = feeds
        self.arrived = 0
        self.order: list[str] = []
        self.all_here = asyncio.Event()

    async def _finish(self, batch: Any) -> None:
        if not self.all_here.is_set():
            self.arrived += 1
            if self.arrived == self.feeds:
                self._thread.submit(self.hold_until_all_wait)
                self.all_here.set()
            await self.all_here.wait()
            self.order.append(batch.feed.name)
        await super()._finish(batch)

    def hold_until_all_wait(self) -> None:
        deadline = time.monotonic() + 60
        while len(self._publishing._waiting) < self.feeds and time.monotonic() < deadline:
            time.sleep(0.01)


def pull_together(place: Place, *names: str, **hooks: Callable[..., None]) -> tuple[dict[str, PullResult], list[str]]:
    """Pull feeds so that their articles are published as one group; the results, and the order within the group."""
    feeds = [place.feed(name, publisher=name) for name in names]
    producer = Relay(place.broker.producer(), **hooks)

    async def run() -> tuple[dict[str, PullResult], list[str]]:
        async with Gathering(place.store, producer, place.settings, now=NOW) as puller:
            puller.gather(len(feeds))
            results = await puller.pull_all(feeds, force=True)
            return {result.feed: result for result in results}, puller.order

    try:
        return asyncio.run(run())
    finally:
        producer.close()


def wrong_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store refuses what is of the feed "bad"."""
    remember = Store.remember

    def strict(store: Store, known: Sequence[Known], *rest: Any) -> None:
        if any(each.feed == "bad" for each in known):
            raise StoreRejected("the database refuses this record")
        remember(store, known, *rest)

    monkeypatch.setattr(Store, "remember", strict)


def wrong_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    """We stumble over what is of the feed "bad"."""
    sound = pull_module.prepare

    def defective(article: Article, publisher: str) -> Any:
        if article.feed == "bad":
            raise KeyError("oh no")
        return sound(article, publisher)

    monkeypatch.setattr(pull_module, "prepare", defective)


def wrong_for_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker refuses what is of the feed "bad"."""
    send = Relay.send

    def strict(relay: Relay, records: Sequence[Outgoing]) -> None:
        if any(parse_article(record.value).feed == "bad" for record in records):
            raise RecordTooLarge("a record is too large")
        send(relay, records)

    monkeypatch.setattr(Relay, "send", strict)


@pytest.mark.parametrize(
    ("wrong", "kind", "published"),
    [
        (wrong_for_the_store, "rejected", True),
        (wrong_for_the_broker, "rejected", False),
        (wrong_for_us, "internal", False),
    ],
)
def test_a_feed_that_is_refused_harms_none_that_it_goes_together_with(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Callable[[pytest.MonkeyPatch], None],
    kind: str,
    published: bool,
) -> None:
    names = ["a", "bad", "b", "c"]
    place.site.routes.update({f"/{name}": answer(rss(item(1), item(2))) for name in names})
    wrong(monkeypatch)
    results, _ = pull_together(place, *names)
    assert {name: result.error_kind for name, result in results.items()} == dict.fromkeys(names) | {"bad": kind}
    counted = Counter((article.feed, article.title) for article in place.published())
    done = [name for name in names if name != "bad" or published]
    assert counted == {(name, f"Report {number}"): 1 for name in done for number in (1, 2)}, "each once"
    states = place.store.feed_states()
    assert {name: state.failures for name, state in states.items()} == dict.fromkeys(names, 0) | {"bad": 1}
    assert len(place.known()) == 6


def test_a_broker_that_goes_away_is_asked_once_for_a_group(place: Place) -> None:
    names = ["a", "b", "c"]
    place.site.routes.update({f"/{name}": answer(rss(item(1))) for name in names})
    asked: list[None] = []

    def away() -> None:
        asked.append(None)
        unavailable()

    with pytest.raises(BrokerUnavailable):
        pull_together(place, *names, before=away)
    assert len(asked) == 1
    assert not place.store.feed_states()


def test_a_kill_between_broker_and_store_loses_no_article_of_a_group(place: Place) -> None:
    names = ["a", "b", "c"]
    place.site.routes.update({f"/{name}": answer(rss(item(1), item(2))) for name in names})
    program = f"""if True:
        import os, signal, types
        from tests.ingest.feeds.test_pull import *
        place = Place(Path({str(place.folder)!r}), types.SimpleNamespace(url={place.site.url!r}))
        pull_together(place, *{names!r}, after=lambda: os.kill(os.getpid(), signal.SIGKILL))
    """
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", program], cwd=root, timeout=120).returncode == -signal.SIGKILL
    articles = [(name, f"Report {number}", 1) for name in names for number in (1, 2)]

    def told() -> Counter[tuple[str, str, int]]:
        return Counter((article.feed, article.title, article.revision) for article in place.published())

    assert told() == Counter(articles)
    assert not place.known()
    assert not place.store.feed_states()
    results, _ = pull_together(place, *names)
    assert {result.new for result in results.values()} == {2}
    assert told() == Counter(articles * 2), "again, and as the same articles"
    assert len(place.known()) == 6
    assert {name: state.failures for name, state in place.store.feed_states().items()} == dict.fromkeys(names, 0)


def stories(edition: int) -> dict[str, bytes]:
    """Feeds of prints of one story, of stories of their own, and of edits and reprints in the second edition."""
    wire = (
        "Gunmen on motorcycles opened fire on traders at a weekly market in central Nigeria on Saturday, killing at least 17 "
        "people, police and residents said. The attackers came to the village of Gashish from three sides, said a youth "
        "leader who escaped through a maize field."
    )
    feeds = {
        f"/paper{number}": [
            item(number, f"{wire} Paper {number} has more." if number % 2 else f"Paper {number}: {WORDS}"),
            item(
                10 + number, f"A court in town {number} sent {number + 3} men to prison for smuggling cattle on Monday."
            ),
        ]
        for number in range(6)
    }
    if edition:
        feeds["/paper0"][1] = item(10, "A court in town 0 let all of the men go free.")
        feeds["/paper3"].append(item(20, f"{wire} Again."))
        feeds["/paper4"].append(item(21, f"{wire} For the first time here."))
    return {path: rss(*items) for path, items in feeds.items()}


def test_feeds_that_go_together_give_what_they_give_one_by_one(tmp_path: Path) -> None:
    orders: list[list[str]] = []

    def told(folder: str, pull: Callable[[Place, int], None]) -> tuple[Any, ...]:
        place = Place(tmp_path / folder, site)
        for edition in (0, 1):
            site.routes.update({path: answer(body) for path, body in stories(edition).items()})
            pull(place, edition)
        articles = sorted(place.published(), key=lambda article: (article.article_id, article.revision))
        prints = place.store.syndicated([article.article_id for article in articles], ())
        found = articles, place.known(), place.store.feed_states(), prints
        place.close()
        return found

    def together(place: Place, edition: int) -> None:
        changed = [path[1:] for path, body in stories(edition).items() if not edition or body != stories(0)[path]]
        orders.append(pull_together(place, *changed)[1])

    def one_by_one(place: Place, edition: int) -> None:
        for name in orders[edition]:
            place.pull(place.feed(name, publisher=name), force=True)

    with Site() as site:
        found = told("together", together)
        assert found == told("apart", one_by_one)
    assert [len(order) for order in orders] == [6, 3]
    assert {article.revision for article in found[0]} == {1, 2}
    groups = Counter(article.syndication_id for article in found[0])
    assert max(groups.values()) == 5, "three prints of one story and two more a day later"


def test_states_of_feeds_that_end_together_are_saved_together(place: Place) -> None:
    names = [f"feed{number}" for number in range(30)]
    place.site.routes.update({f"/{name}": answer("no", "500 Oops") for name in names})
    store = SlowStore.open(place.settings.store_url)
    place.pull(*map(place.feed, names), store=store)
    store.close()
    assert {name: state.failures for name, state in place.store.feed_states().items()} == dict.fromkeys(names, 1)
    assert store.writes < 10


def test_a_store_that_goes_away_loses_nothing(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1)))
    store = ForgetfulStore.open(place.settings.store_url)
    with pytest.raises(StoreUnavailable):
        place.pull(store=store)
    store.close()
    assert place.pull()[0].new == 1
    assert {(article.title, article.revision) for article in place.published()} == {("Report 1", 1)}


def test_a_record_that_the_store_refuses_is_that_feeds_failure(place: Place) -> None:
    place.site.routes["/good"] = place.site.routes["/bad"] = answer(rss(item(1)))
    store = StrictStore.open(place.settings.store_url)
    bad, good = place.pull(place.feed("bad"), place.feed("good"), store=store)
    store.close()
    assert (bad.status, bad.error_kind, good.status) == ("failed", "rejected", "ok")


def test_a_defect_of_ours_is_logged_and_that_feeds_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sound = pull_module.keys_of

    def defective(naming: Naming, entries: Sequence[ParsedEntry]) -> list[Keys]:
        if naming.feed == "bad":
            raise KeyError("oh\nno \ud800")
        return sound(naming, entries)

    monkeypatch.setattr(pull_module, "keys_of", defective)
    place.site.routes["/good"] = place.site.routes["/bad"] = answer(rss(item(1)))
    bad, good = place.pull(place.feed("bad"), place.feed("good"))
    assert (bad.status, bad.error_kind, good.status) == ("failed", "internal", "ok")
    assert bad.error is not None
    assert bad.error.isprintable()
    assert "KeyError" in caplog.text


def test_a_cancelled_pull_leaves_each_feed_recorded_or_untouched(place: Place) -> None:
    names = [f"feed{number}" for number in range(10)]
    for name in names:
        place.site.routes[f"/{name}"] = answer(rss(item(1), item(2)), ETag='"1"')
    sent, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        sent.set()
        go_on.wait(30)

    producer = Relay(place.broker.producer(), after=wait)

    async def cancel_in_mid_write() -> None:
        pulling = asyncio.create_task(
            pull_feeds([place.feed(name) for name in names], place.store, producer, place.settings, now=NOW)
        )
        await asyncio.to_thread(sent.wait)
        pulling.cancel()
        await asyncio.sleep(0.05)
        assert not pulling.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await pulling

    asyncio.run(cancel_in_mid_write())
    producer.close()
    recorded = {name for name, state in place.store.feed_states().items() if state.last_success}
    assert recorded
    assert {article.feed for article in place.published()} == recorded
    assert len(place.known()) == 2 * len(recorded)
    place.pull(*map(place.feed, names))
    assert len(place.published()) == 2 * len(names)


def test_an_error_in_the_callers_callback_is_the_callers(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(item(1)))

    def complain(result: PullResult) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        place.pull(on_result=complain)
    assert place.state().last_success == NOW


def test_one_slow_host_does_not_hold_up_the_others(tmp_path: Path) -> None:
    release = threading.Event()

    def slow(connection: socket.socket, request: Request) -> None:
        release.wait(30)
        connection.sendall(answer(rss(item(1))))

    with Site() as slow_site, Site(address="127.0.0.2") as site:
        place = Place(tmp_path, site, {"concurrency": 4, "per_host": 2, "timeout": 60})
        slow_site.routes.update({f"/{number}": slow for number in range(6)})
        site.routes.update({f"/quick{number}": answer(rss(item(1))) for number in range(20)})
        slow_feeds = [Feed(f"slow{number}", f"{slow_site.url}/{number}") for number in range(6)]
        quick = [place.feed(f"quick{number}") for number in range(20)]
        done: list[str] = []

        def note(result: PullResult) -> None:
            done.append(result.feed)
            if sum(name.startswith("quick") for name in done) >= 2:
                release.set()

        results = place.pull(*slow_feeds, *quick, on_result=note)
        assert {result.status for result in results} == {"ok"}
        assert all(name.startswith("quick") for name in done[:2])
        place.close()


def test_a_long_feed_is_published_in_batches(place: Place) -> None:
    place.site.routes["/feed"] = answer(rss(*(item(number) for number in range(2 * BATCH + 5))))
    sizes: list[int] = []

    @dataclass
    class Counting(Relay):
        def send(self, records: Sequence[Outgoing]) -> None:
            sizes.append(len(records))
            super().send(records)

    assert place.pull(producer=Counting(place.broker.producer()))[0].new == 2 * BATCH + 5
    assert sizes == [BATCH, BATCH, 5]
    assert place.state().new_entries == 2 * BATCH + 5


def test_waiting_is_counted_in_the_seconds_of_a_feed(place: Place) -> None:
    def slow(connection: socket.socket, request: Request) -> None:
        time.sleep(0.2)
        connection.sendall(answer(rss(item(1))))

    place.site.routes["/feed"] = slow
    assert place.pull()[0].seconds >= 0.2
