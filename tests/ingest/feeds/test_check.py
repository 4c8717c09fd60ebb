"""What `feeds check` finds out: rhythm, format, encoding, what a pull would bring, and what to do about errors."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest.errors import FetchError, ParseError
from ingest.feeds.catalog import Feed
from ingest.feeds.check import (
    Checked,
    Encoding,
    Rhythm,
    advice,
    check_feed,
    content_of,
    encoding_of,
    feed_format,
    rhythm,
    short_span,
)
from ingest.feeds.fetch import Fetcher
from ingest.feeds.identity import Naming, keys_of
from ingest.feeds.parse import ParsedEntry, ParsedFeed, ParserPool
from ingest.feeds.urls import publisher_scope
from ingest.settings import Fetch
from ingest.storage import FeedState, Known
from tests.ingest.feeds.site import Site, answer

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
FEED = Feed("news", "https://news.example/rss")
KINDS = (FetchError.__doc__ or "").partition("Kinds: ")[2].partition(".")[0].split(", ")
PARSE_KINDS = (ParseError.__doc__ or "").partition("`kind`: ")[2].rstrip(".").split(", ")


def ago(**length: float) -> datetime:
    return NOON - timedelta(**length)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([], Rhythm()),
        ([None, None], Rhythm()),
        ([ago(hours=1), None], Rhythm(1, ago(hours=1), ago(hours=1), None)),
        ([ago(hours=1), ago(hours=4), ago(hours=2)], Rhythm(3, ago(hours=1), ago(hours=4), 5_400.0)),
        ([ago(hours=1), ago(hours=1)], Rhythm(2, ago(hours=1), ago(hours=1), 0.0)),
        ([ago(days=-2), ago(hours=1)], Rhythm(1, ago(hours=1), ago(hours=1), None)),
        ([ago(hours=-2), ago(hours=1)], Rhythm(2, ago(hours=-2), ago(hours=1), 10_800.0)),
    ],
)
def test_the_rhythm_is_the_median_gap_of_what_is_not_in_the_future(
    times: list[datetime | None], expected: Rhythm
) -> None:
    assert rhythm(times, NOON) == expected


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('<?xml version="1.0"?>\n<!-- <feed> --><rss version="2.0"><channel/></rss>', "RSS 2.0"),
        ("<RSS VERSION='0.91'>", "RSS 0.91"),
        ("<rss>", "RSS"),
        ('<rdf:RDF xmlns:rdf="x" xmlns="http://purl.org/rss/1.0/">', "RSS 1.0"),
        ('<rdf:RDF xmlns="http://my.netscape.com/rdf/simple/0.9/">', "RSS 0.90"),
        ('<feed xmlns="http://www.w3.org/2005/Atom">', "Atom 1.0"),
        ('<atom:feed xmlns:atom="http://www.w3.org/2005/Atom">', "Atom 1.0"),
        ('<feed version="0.3" xmlns="http://purl.org/atom/ns#">', "Atom 0.3"),
        ('\n{"version": "https://jsonfeed.org/version/1.1"}', "JSON Feed 1.1"),
        ('{"a": 1}', "unknown"),
        ("<html>", "unknown"),
        ("<rssx>", "unknown"),
        ("", "unknown"),
    ],
)
def test_formats_are_told_apart(text: str, name: str) -> None:
    assert feed_format(text) == name


@pytest.mark.parametrize(
    ("body", "content_type", "text", "expected"),
    [
        (b"<rss/>", "", "<rss/>", Encoding(None, None, 0)),
        (b"<rss/>", 'text/xml; charset="UTF-8"', "<rss/>", Encoding("utf-8", None, 0)),
        (b"<?xml version='1.0' encoding='ISO-8859-1'?>", "text/xml", "", Encoding(None, "iso-8859-1", 0)),
        (b"\xef\xbb\xbf<?xml version='1.0' encoding=\"utf-8\"?>", "", "", Encoding(None, "utf-8", 0)),
        (b"a\xffb", "", "a\ufffdb", Encoding(None, None, 1)),
        ("a\ufffdb".encode(), "", "a\ufffdb", Encoding(None, None, 0)),
    ],
)
def test_declared_encodings_and_what_could_not_be_read_are_told(
    body: bytes, content_type: str, text: str, expected: Encoding
) -> None:
    assert encoding_of(body, content_type, text) == expected


@pytest.mark.parametrize("kind", [*KINDS, *PARSE_KINDS])
def test_every_kind_of_error_has_its_advice(kind: str) -> None:
    assert len(advice(kind, None)) > 15
    assert advice(kind, None) != advice("no such kind", None)


def test_every_kind_that_the_errors_name_is_asked_about() -> None:
    assert {"dns", "http", "cancelled"} <= set(KINDS)
    assert {"not_a_feed", "crash"} <= set(PARSE_KINDS)


@pytest.mark.parametrize(
    ("status", "word"),
    [(401, "password"), (403, "fetch.contact"), (404, "feeds add"), (410, "ended"), (429, "too often"), (503, "later")],
)
def test_the_advice_on_http_errors_is_by_status(status: int, word: str) -> None:
    assert word in advice("http", status)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0, "0 s"),
        (59.6, "60 s"),
        (60.0, "1 min"),
        (5_400.0, "1.5 h"),
        (86_400.0, "24 h"),
        (172_800.0, "2 d"),
        (200_000.0, "2.3 d"),
    ],
)
def test_lengths_of_time_are_short(seconds: float, shown: str) -> None:
    assert short_span(seconds) == shown


def entry(number: int, words: str = "x", **others: object) -> ParsedEntry:
    link = f"https://news.example/{number}"
    return ParsedEntry(link, link, f"Title {number}", words, True, f"hash {number} {words}", **others)  # type: ignore[arg-type]


def test_what_a_pull_would_bring_is_counted_by_what_was_published_before() -> None:
    asked: list[str] = []

    def known(ids: Sequence[str]) -> dict[str, Known]:
        asked.extend(ids)
        return {first: Known(first, 1, "hash 0 x", FEED.name), second: Known(second, 1, "hash of before", FEED.name)}

    english = "Rebels shelled the town on Friday and killed twelve people, officials said."
    french = "Des rebelles ont bombardé la ville vendredi et tué douze personnes, selon des responsables."
    entries = (entry(0), entry(1), entry(2, english, published=NOON), entry(3, french), entry(3, french))
    naming = Naming(FEED.name, publisher_scope(FEED.name, FEED.url, FEED.publisher))
    first, second, *_ = (keys.page or keys.guid for keys in keys_of(naming, entries))
    content = content_of(FEED, FeedState(FEED.name), ParsedFeed("T", "en", 60.0, entries), known, NOON, True)
    assert {first, second} <= set(asked)
    assert (content.new, content.changed, content.known) == (2, 1, 1)
    assert (content.entries, content.complete, content.rhythm.dated) == (5, 5, 1)
    assert content.languages["fr"] == 2
    assert (
        content_of(FEED, FeedState(FEED.name), ParsedFeed("T", "en", None, entries), known, NOON, False).languages == {}
    )


def check(site: Site, path: str = "/", thorough: bool = True) -> Checked:
    async def run() -> Checked:
        limits = Fetch(allow_private=True, timeout=10.0, host_gap=0.0)
        async with Fetcher(limits) as fetcher, ParserPool(limits) as parsers:
            feed = Feed("news", f"{site.url}{path}")
            return await check_feed(feed, FeedState("news"), fetcher, parsers, lambda ids: {}, thorough=thorough)

    return asyncio.run(run())


RSS = '<rss version="2.0"><channel><title>T</title><item><title>x</title></item></channel></rss>'


@pytest.mark.parametrize(
    ("headers", "second", "honoured"),
    [
        ({"ETag": '"1"'}, b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n", True),
        ({"Last_Modified": "Tue, 24 Nov 2026 00:00:00 GMT"}, answer(RSS), False),
        ({"ETag": '"1"'}, answer(status="500 Oh"), None),
        ({}, answer(RSS), None),
    ],
)
def test_validators_are_tried(headers: dict[str, str], second: bytes, honoured: bool | None) -> None:
    with Site() as site:
        answers = [answer(RSS, **headers), second]
        site.routes["/"] = lambda connection, request: connection.sendall(answers.pop(0))
        checked = check(site)
    assert checked.body is not None
    assert checked.body.honoured is honoured
    assert checked.content is not None
    assert len(site.requests) == (2 if headers else 1)


def test_only_a_thorough_check_asks_more_than_once() -> None:
    with Site({"/": answer(RSS, ETag='"1"')}) as site:
        assert check(site, thorough=False).error is None
    assert len(site.requests) == 1


@pytest.mark.parametrize(("rules", "allowed"), [("Disallow: /news/", False), ("Disallow: /other/", True)])
def test_it_is_told_whether_pages_may_be_fetched(rules: str, allowed: bool) -> None:
    with Site({"/robots.txt": answer(f"User-agent: *\n{rules}\n", Content_Type="text/plain")}) as site:
        item = f"<item><title>x</title><link>{site.url}/news/1</link></item>"
        site.routes["/"] = answer(f'<rss version="2.0"><channel>{item}</channel></rss>')
        checked = check(site)
        assert checked.content is not None
        assert checked.content.pages_allowed is allowed
        assert site.paths() == ["/", "/robots.txt"]
        assert check(site, thorough=False).content is not None
        assert site.paths() == ["/", "/robots.txt", "/"]


def test_a_page_is_told_for_what_it_is_with_the_facts_that_there_are() -> None:
    with Site({"/": answer("<html></html>", Content_Type="text/html")}) as site:
        checked = check(site)
    assert (checked.error_kind, checked.content) == ("not_a_feed", None)
    assert checked.body is not None
    assert (checked.body.status, checked.body.content_type, checked.body.format) == (200, "text/html", "unknown")


REAL = sorted((Path(__file__).parents[4] / "shared" / "feeds-real").glob("*.xml"))


@pytest.mark.skipif(not REAL, reason="no real feeds on this machine")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_real_feeds_are_explained(path: Path) -> None:
    with Site({"/": answer(path.read_bytes())}) as site:
        checked = check(site)
    assert checked.error is None
    assert checked.body is not None and checked.content is not None
    assert checked.body.format == "RSS 2.0"
    assert checked.content.rhythm.dated == checked.content.entries > 5
    assert max(checked.content.languages, key=checked.content.languages.__getitem__).startswith("en")
