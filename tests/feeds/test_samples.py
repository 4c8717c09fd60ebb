"""What the sample feeds and their server promise to the tests and the demo that build on them."""

from __future__ import annotations

import difflib
import gzip
import http.client
import re
import signal
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from calendar import timegm
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message
from functools import cache
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import feedparser
import pytest

from tests.feeds.serve import FEEDS, FOLDER, REDIRECTS, SampleServer, accepts_gzip, is_unchanged

PLOVER_TYPES = set(
    "AGREE CONSULT SUPPORT CONCEDE COOPERATE AID RETREAT REQUEST"
    " ACCUSE REJECT THREATEN PROTEST SANCTION MOBILIZE COERCE ASSAULT".split()
)
NEWS_OF_EVENTS = {"Conflict", "Politics", "Diplomacy", "Security", "Aid"}
NEWS_OF_NONE = {"Sport", "Business", "Weather", "Science", "Culture", "Accident", "Obituary"}
NAMES = [feed.name for feed in FEEDS]


@pytest.fixture(scope="module")
def server() -> Iterator[SampleServer]:
    """One server for the tests that do not advance it."""
    with SampleServer() as running:
        yield running


def get(server: SampleServer, path: str, method: str = "GET", **headers: str) -> tuple[int, Message, bytes]:
    """One request, as it is, with no redirect followed and no coding undone."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=10)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def path_of(name: str) -> Path:
    (path,) = (path for path in FOLDER.glob(f"{name}.*") if ".2." not in path.name)
    return path


@dataclass(frozen=True)
class Sample:
    feed: str
    entry: str
    title: str
    category: str
    text: str
    published: datetime


def plain(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def article_html(entry: Any) -> str:
    """The article where it stands in full: in the entry, or on the page behind its link."""
    page = FOLDER / entry.link.removeprefix("{{BASE}}/")
    if entry.link.startswith("{{BASE}}/pages/") and page.exists():
        (body,) = re.findall(
            r'<div class="(?:article-body|story__body)">(.*?)</div>\s*<(?:aside|div)', page.read_text(), re.S
        )
        return str(body)
    return str(entry.content[0].value if "content" in entry else entry.summary)


def samples_in(name: str, data: bytes) -> list[Sample]:
    return [
        Sample(
            feed=name,
            entry=entry.get("id") or entry.link,
            title=entry.title,
            category=entry.tags[0].term,
            text=plain(article_html(entry)),
            published=datetime.fromtimestamp(timegm(entry.get("published_parsed") or entry.updated_parsed), UTC),
        )
        for entry in feedparser.parse(data).entries
    ]


@cache
def samples(name: str) -> list[Sample]:
    return samples_in(name, path_of(name).read_bytes())


def all_samples() -> list[Sample]:
    return [sample for name in NAMES for sample in samples(name)]


def distinct() -> list[Sample]:
    """Every article once: neither entries repeated in their feed nor the syndicated copies counted again."""
    first = {(sample.feed, sample.entry): sample for sample in all_samples()}
    return [sample for sample in first.values() if sample.feed == "harbour-wire" or "Harbour Wire" not in sample.text]


def test_there_are_ten_feeds_and_ninety_distinct_articles() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 10
    assert len(distinct()) >= 90
    assert len({sample.title for sample in distinct()}) == len(distinct())


def test_at_least_half_of_the_articles_report_no_event() -> None:
    categories = Counter(sample.category for sample in distinct())
    assert set(categories) <= NEWS_OF_EVENTS | NEWS_OF_NONE
    assert sum(categories[name] for name in NEWS_OF_NONE) * 2 >= categories.total()
    assert set(categories) >= NEWS_OF_NONE, "each kind of news without events is there"


def test_all_articles_are_dated_in_the_days_before_24_november_2026() -> None:
    assert {(sample.published.year, sample.published.month) for sample in all_samples()} == {(2026, 11)}
    assert all(16 <= sample.published.day <= 23 for sample in all_samples())


def test_expected_events_stand_in_their_articles_and_cover_every_plover_type() -> None:
    expected = tomllib.loads((FOLDER / "expected.toml").read_text(encoding="utf-8"))["event"]
    by_identity = {(sample.feed, sample.entry): sample for sample in all_samples()}
    missing = [
        event
        for event in expected
        if event["trigger"] not in by_identity[event["feed"], event["entry"]].text
        and event["trigger"] not in by_identity[event["feed"], event["entry"]].title
    ]
    assert missing == []
    assert {event["type"] for event in expected} == PLOVER_TYPES
    told = {(event["feed"], event["entry"]) for event in expected}
    assert told == {identity for identity, sample in by_identity.items() if sample.category in NEWS_OF_EVENTS}


@pytest.mark.parametrize("sample", all_samples(), ids=lambda sample: f"{sample.feed}/{sample.entry}")
def test_articles_are_as_long_as_news(sample: Sample) -> None:
    sentences = len(re.findall(r"[.!?][\"”»]?(?=\s|$)", sample.text))
    if sample.entry == "ns-lost-walker":
        assert sentences == 1, "the page is missing, and only the summary is left"
    elif sample.category in NEWS_OF_EVENTS:
        assert 6 <= sentences <= 25
    else:
        assert 5 <= sentences <= 25


@pytest.mark.parametrize(
    ("name", "version"),
    {
        "harbour-wire": "rss20",
        "levant-ledger": "rss10",
        "pacific-sentinel": "atom10",
        "great-lakes-post": "atom10",
    }.items(),
)
def test_formats(name: str, version: str) -> None:
    assert feedparser.parse(path_of(name).read_bytes()).version == version


@pytest.mark.parametrize(
    ("name", "encoding", "words"),
    [
        ("andes-dispatch", "windows-1252", ["María Fernanda Quiñónez", "Íñigo Larraín", "“A voucher doesn’t start"]),
        ("faro-del-istmo", "iso-8859-1", ["Lucía Batz Ajanel", "Ñato Domínguez", "«Veníamos con niños"]),
    ],
)
def test_encoding_is_the_one_declared_and_not_utf_8(name: str, encoding: str, words: list[str]) -> None:
    data = path_of(name).read_bytes()
    assert f'encoding="{encoding}"'.lower().encode() in data.lower().split(b"?>")[0]
    with pytest.raises(UnicodeDecodeError):
        data.decode("utf-8")
    parsed = feedparser.parse(data)
    assert parsed.encoding == encoding
    assert not parsed.bozo
    read = str(parsed.entries)
    assert [word for word in words if word not in read] == []


def test_malformed_feed_still_has_its_entries() -> None:
    data = path_of("baltic-observer").read_bytes()
    with pytest.raises(ET.ParseError):
        ET.fromstring(data)
    parsed = feedparser.parse(data)
    assert parsed.bozo
    assert len(parsed.entries) == 8
    assert all(sample.text.endswith((".", '"')) and len(sample.text) > 500 for sample in samples("baltic-observer"))
    assert any("Rebane & Sons." in sample.text for sample in samples("baltic-observer"))
    for wrong in (b"&nbsp;", b"&ndash;", b"Rebane & Sons"):
        assert wrong in data
    assert data.count(b"<item>") == data.count(b"</item>") + 1


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"baltic-observer"}))
def test_other_feeds_are_well_formed(name: str) -> None:
    assert not feedparser.parse(path_of(name).read_bytes()).bozo


def test_two_entries_are_repeated_in_one_feed() -> None:
    repeated = {
        name: [entry for entry, count in Counter(sample.entry for sample in samples(name)).items() if count > 1]
        for name in NAMES
    }
    assert {name: len(entries) for name, entries in repeated.items() if entries} == {"steppe-times": 2}


def test_one_feed_has_no_guids_and_its_links_do_not_depend_on_the_port() -> None:
    without = {
        name for name in NAMES for entry in feedparser.parse(path_of(name).read_bytes()).entries if not entry.get("id")
    }
    assert without == {"bay-of-bengal-mail"}
    assert [sample.entry for sample in all_samples() if "{{BASE}}" in sample.entry] == []


def test_syndicated_story_stands_in_three_feeds_and_credits_the_agency() -> None:
    copies = [sample for sample in all_samples() if "Walikale" in sample.text]
    assert [copy.feed for copy in copies] == ["harbour-wire", "great-lakes-post", "northern-standard"]
    assert len({copy.title for copy in copies}) == 3
    assert all("Harbour Wire" in copy.text for copy in copies)
    for copy in copies[1:]:
        matched = difflib.SequenceMatcher(None, copies[0].text, copy.text, autojunk=False).get_matching_blocks()
        assert sum(block.size for block in matched) > 0.9 * len(copy.text)


def test_one_feed_is_spanish() -> None:
    parsed = feedparser.parse(path_of("faro-del-istmo").read_bytes())
    assert parsed.feed.language == "es"
    assert len(parsed.entries) >= 5


@pytest.mark.parametrize("name", ["sahel-courier", "northern-standard"])
def test_summary_only_feeds_have_the_full_text_behind_the_link(name: str, server: SampleServer) -> None:
    _, _, body = get(server, f"/{name}.xml")
    entries = feedparser.parse(body).entries
    statuses: Counter[int] = Counter()
    for entry in entries:
        assert "content" not in entry
        assert len(entry.summary) < 250
        status, headers, page = get(server, urlsplit(entry.link).path)
        statuses[status] += 1
        if status == 200:
            assert headers["Content-Type"] == "text/html; charset=utf-8"
            assert page.count(b"<p>") > 4
            for around in (b"cookies" if name == "sahel-courier" else b"gdpr-banner", b"footer", b"fictional"):
                assert around in page
    assert statuses == ({200: 9} if name == "sahel-courier" else {200: 8, 404: 1})


def test_server_puts_its_own_address_into_feeds_and_pages(server: SampleServer) -> None:
    for path in ("/harbour-wire.xml", "/pages/sahel-courier/wrestling.html"):
        _, _, body = get(server, path)
        assert b"{{BASE}}" not in body
        assert server.url.encode() in body


def test_etag_does_not_depend_on_the_port(server: SampleServer) -> None:
    with SampleServer() as other:
        assert other.url != server.url
        for feed in FEEDS:
            path = REDIRECTS[feed.path][1] if feed.path in REDIRECTS else feed.path
            assert get(server, path)[1]["ETag"] == get(other, path)[1]["ETag"]


def test_conditional_get_is_answered_by_304(server: SampleServer) -> None:
    status, headers, body = get(server, "/touchline.xml")
    assert (status, headers["Content-Type"]) == (200, "application/rss+xml")
    assert body
    for condition in ({"If_None_Match": headers["ETag"]}, {"If_Modified_Since": headers["Last-Modified"]}):
        status, again, body = get(server, "/touchline.xml", **condition)
        assert (status, again["ETag"], body) == (304, headers["ETag"], b"")
    assert get(server, "/touchline.xml", If_None_Match='W/"other"')[0] == 200


def test_gzip_is_sent_to_those_who_take_it(server: SampleServer) -> None:
    _, headers, body = get(server, "/harbour-wire.xml")
    assert headers["Content-Encoding"] is None
    _, headers, packed = get(server, "/harbour-wire.xml", Accept_Encoding="br, gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed) == body


@pytest.mark.parametrize(
    ("path", "status", "target"),
    [("/steppe-times", 301, "/steppe-times.xml"), ("/latest/great-lakes-post", 302, "/great-lakes-post.atom")],
)
def test_two_feeds_lie_behind_redirects(path: str, status: int, target: str, server: SampleServer) -> None:
    answered, headers, _ = get(server, path)
    assert (answered, headers["Location"]) == (status, server.url + target)
    assert get(server, target)[0] == 200


@pytest.mark.parametrize(
    "path",
    ["/", "/serve.py", "/../conftest.py", "/pages/../serve.py", "/expected.toml", "/harbour-wire.2.xml", "/%2e%2e/x"],
)
def test_nothing_but_samples_is_served(path: str, server: SampleServer) -> None:
    assert get(server, path)[0] == 404


def test_head_has_the_headers_and_no_body(server: SampleServer) -> None:
    status, headers, body = get(server, "/harbour-wire.xml", method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) == len(get(server, "/harbour-wire.xml")[2])


def test_advance_switches_the_edited_feed_and_no_other() -> None:
    with SampleServer() as server:
        before = {feed.name: get(server, feed.path)[1]["ETag"] for feed in FEEDS if feed.path not in REDIRECTS}
        server.advance()
        answers = {
            feed.name: get(server, feed.path, If_None_Match=before[feed.name])[0]
            for feed in FEEDS
            if feed.name in before
        }
        assert [name for name, status in answers.items() if status == 200] == ["harbour-wire"]
        assert {status for name, status in answers.items() if name != "harbour-wire"} == {304}
        assert server.requests["/harbour-wire.xml"] == 2
        assert server.answers["/touchline.xml", 304] == 1


def test_second_version_edits_two_articles_and_adds_one() -> None:
    first = {sample.entry: sample for sample in samples("harbour-wire")}
    with SampleServer() as server:
        server.advance()
        second = {sample.entry: sample for sample in samples_in("harbour-wire", get(server, "/harbour-wire.xml")[2])}
    assert set(second) - set(first) == {"hw:2026:1123-eln-truce"}
    assert set(first) - set(second) == {"hw:2026:1116-ivory-coast"}, "the oldest article left the window of the feed"
    both = set(first) & set(second)
    assert {
        entry for entry in both if (first[entry].title, first[entry].text) != (second[entry].title, second[entry].text)
    } == {
        "hw:2026:1122-elobeid",
        "hw:2026:1121-armenia-azerbaijan",
    }
    assert "killing at least 14 people" in first["hw:2026:1122-elobeid"].text
    assert "killing at least 23 people" in second["hw:2026:1122-elobeid"].text
    assert "43 kilometres long" in second["hw:2026:1121-armenia-azerbaijan"].text
    cosmetic = (FOLDER / "harbour-wire.2.xml").read_text(encoding="utf-8")
    assert '<p class="story-text">\n  TBILISI, Nov 22' in cosmetic, "the markup of one article changed, not its words"


def test_catalogue_names_every_feed(server: SampleServer, tmp_path: Path) -> None:
    server.write_catalog(tmp_path / "mine.toml")
    assert (tmp_path / "mine.toml").read_bytes() == server.catalog_path.read_bytes()
    tables = tomllib.loads(server.catalog_path.read_text(encoding="utf-8"))["feed"]
    assert [table["name"] for table in tables] == NAMES
    for table in tables:
        assert set(table) == {"name", "url", "country", "language", "publisher"}
        assert get(server, urlsplit(table["url"]).path)[0] in (200, 301, 302)


ETAG, MODIFIED = 'W/"abc"', datetime(2026, 11, 23, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("if_none_match", "if_modified_since", "unchanged"),
    [
        (None, None, False),
        ('W/"abc"', None, True),
        ('"abc"', None, True),
        ('"x", W/"abc"', None, True),
        ("*", None, True),
        ('"x"', None, False),
        ('"x"', "Mon, 23 Nov 2026 22:00:00 GMT", False),
        (None, "Mon, 23 Nov 2026 22:00:00 GMT", True),
        (None, "Tue, 24 Nov 2026 03:00:00 +0500", True),
        (None, "Mon, 23 Nov 2026 21:59:59 GMT", False),
        (None, "last Tuesday", False),
        (None, "", False),
    ],
)
def test_condition_is_decided_as_rfc_9110_says(
    if_none_match: str | None, if_modified_since: str | None, unchanged: bool
) -> None:
    assert is_unchanged(if_none_match, if_modified_since, ETAG, MODIFIED) is unchanged


@pytest.mark.parametrize(
    ("offer", "accepted"),
    [("", False), ("gzip", True), ("br, GZIP;q=0.5", True), ("gzip; q=0", False), ("*", True), ("identity", False)],
)
def test_gzip_is_offered(offer: str, accepted: bool) -> None:
    assert accepts_gzip(offer) is accepted


def test_command_prints_its_url_first_and_serves_until_interrupted(tmp_path: Path) -> None:
    catalog = tmp_path / "feeds.toml"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.feeds.serve", "--port", "0", "--write-catalog", str(catalog)],
        cwd=FOLDER.parent.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        first = tomllib.loads(catalog.read_text(encoding="utf-8"))["feed"][0]["url"]
        assert first == f"{url}/harbour-wire.xml"
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request("GET", "/harbour-wire.xml")
        assert connection.getresponse().status == 200
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()
