"""Feeds and pages parsed in processes that can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from subprocess import PIPE
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.errors import ParseError
from ingest.feeds import parse
from ingest.feeds.parse import ParsedEntry, ParsedFeed, ParsedPage, ParserPool
from ingest.feeds.parse_child import MAX_ENTRIES, NotAFeedError, choose, parse_feed
from ingest.settings import Fetch
from tests.processes import all_gone, command, family

_T = TypeVar("_T")

URL = "https://example.org/news/feed.xml"


class Shared:
    """One pool for all that have no limits of their own, as a new one starts a process that imports for half a second."""

    def __init__(self) -> None:
        self._opened: tuple[asyncio.Runner, ParserPool] | None = None

    def run(self, use: Callable[[ParserPool], Awaitable[_T]]) -> _T:
        if self._opened is None:
            runner, opened = asyncio.Runner(), ParserPool(Fetch(parse_timeout=60))
            runner.run(opened.__aenter__())
            self._opened = runner, opened
        runner, pool = self._opened

        async def used() -> _T:
            return await use(pool)

        return runner.run(used())

    def close(self) -> None:
        if self._opened:
            (runner, pool), self._opened = self._opened, None
            runner.run(pool.__aexit__(None, None, None))
            runner.close()


SHARED = Shared()


@pytest.fixture(scope="module", autouse=True)
def closed() -> Iterator[None]:
    yield
    SHARED.close()


def in_pool(use: Callable[[ParserPool], Awaitable[_T]], **limits: float) -> _T:
    """In a pool of its own, and no other has processes meanwhile."""
    SHARED.close()

    async def run() -> _T:
        async with ParserPool(Fetch(**limits)) as pool:  # type: ignore[arg-type]
            return await use(pool)

    return asyncio.run(run())


def parsed(use: Callable[[ParserPool], Awaitable[_T]], limits: Mapping[str, float]) -> _T:
    return in_pool(use, **limits) if limits else SHARED.run(use)


def feed(body: bytes | str, content_type: str = "application/xml", **limits: float) -> ParsedFeed:
    data = body.encode() if isinstance(body, str) else body
    return parsed(lambda pool: pool.feed(data, content_type, URL), limits)


def only_entry(body: bytes | str, content_type: str = "application/xml") -> ParsedEntry:
    (entry,) = feed(body, content_type).entries
    return entry


def failure(body: bytes | str, **limits: float) -> ParseError:
    with pytest.raises(ParseError) as caught:
        feed(body, **limits)
    assert str(caught.value).isprintable()
    return caught.value


def rss(items: str, head: str = "<title>World</title>") -> str:
    return f'<?xml version="1.0"?><rss version="2.0"><channel>{head}{items}</channel></rss>'


FULL_ENTRY = {
    "title": "Rebels shell town",
    "text": "Twelve died.\n\nThe army answered.",
    "authors": ("Jane Doe",),
    "published": datetime(2026, 11, 23, 22, 0, tzinfo=UTC),
    "updated": datetime(2026, 11, 23, 22, 30, tzinfo=UTC),
    "guid": "tag:example.org,2026:1",
    "link": "https://example.org/a",
}

FORMATS = {
    "RSS 2.0": """<?xml version="1.0"?>
        <rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
          xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:atom="http://www.w3.org/2005/Atom">
        <channel><title>World</title><language>en-gb</language><ttl>30</ttl><item>
        <title>Rebels shell town</title><link>https://example.org/a</link>
        <guid isPermaLink="false">tag:example.org,2026:1</guid><dc:creator>Jane Doe</dc:creator>
        <pubDate>Tue, 24 Nov 2026 00:00:00 +0200</pubDate><atom:updated>2026-11-23T22:30:00Z</atom:updated>
        <description>Twelve died.</description>
        <content:encoded><![CDATA[<p>Twelve died.</p><p>The army answered.</p>]]></content:encoded>
        </item></channel></rss>""",
    "Atom": """<?xml version="1.0"?>
        <feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en-GB"><title>World</title><entry>
        <title type="html">Rebels &lt;b&gt;shell&lt;/b&gt; town</title><link rel="self" href="https://example.org/self"/>
        <link href="/a"/><id>tag:example.org,2026:1</id><author><name>Jane Doe</name><email>j@example.org</email></author>
        <published>2026-11-24T00:00:00+02:00</published><updated>2026-11-23T22:30:00Z</updated>
        <summary>Twelve died.</summary><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">
        <p>Twelve died.</p><p>The army answered.</p></div></content></entry></feed>""",
    "RSS 1.0": """<?xml version="1.0"?>
        <rdf:RDF xmlns="http://purl.org/rss/1.0/" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
          xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/"
          xmlns:content="http://purl.org/rss/1.0/modules/content/">
        <channel rdf:about="https://example.org/"><title>World</title><dc:language>en-GB</dc:language></channel>
        <item rdf:about="tag:example.org,2026:1"><title>Rebels shell town</title><link>https://example.org/a</link>
        <dc:creator>Jane Doe</dc:creator><dcterms:issued>2026-11-23T22:00:00Z</dcterms:issued>
        <dc:date>2026-11-23T22:30:00Z</dc:date><description>Twelve died.</description>
        <content:encoded>&lt;p&gt;Twelve died.&lt;/p&gt;
        &lt;p&gt;The army answered.&lt;/p&gt;</content:encoded></item></rdf:RDF>""",
    "JSON Feed": """{"version": "https://jsonfeed.org/version/1.1", "title": "World", "language": "en-GB", "items": [
        {"id": "tag:example.org,2026:1", "url": "/a", "title": "Rebels shell town", "authors": [{"name": "Jane Doe"}],
        "date_published": "2026-11-24T00:00:00+02:00", "date_modified": "2026-11-23T22:30:00Z", "language": "en-GB",
        "summary": "Twelve died.", "content_html": "<p>Twelve died.</p><p>The army answered.</p>"}]}""",
}


@pytest.mark.parametrize("body", FORMATS.values(), ids=FORMATS)
def test_every_format_says_the_same(body: str) -> None:
    parsed = feed(body)
    assert (parsed.title, parsed.language) == ("World", "en-GB")
    (entry,) = parsed.entries
    assert {name: getattr(entry, name) for name in FULL_ENTRY} == FULL_ENTRY


def test_one_content_hash_whatever_the_format() -> None:
    assert len({only_entry(body).content_hash for body in FORMATS.values()}) == 1


def test_old_rss_without_anything_but_titles_is_read() -> None:
    body = '<rss version="0.91"><channel><title>W</title><item><title>A</title></item><item><title>B</title></item>'
    parsed = feed(body + "</channel></rss>")
    assert [(entry.title, entry.text, entry.guid, entry.link) for entry in parsed.entries] == [
        ("A", "", "", ""),
        ("B", "", "", ""),
    ]


@pytest.mark.parametrize(
    ("head", "ttl"),
    [
        ("", None),
        ("<ttl>60</ttl>", 3_600),
        ("<ttl>soon</ttl>", None),
        ("<ttl>-5</ttl>", None),
        (f"<ttl>{'9' * 50}</ttl>", None),
    ],
)
def test_a_feed_says_how_often_to_come(head: str, ttl: float | None) -> None:
    assert parse_feed(rss("<item><title>A</title></item>", head).encode(), "", URL)["ttl"] == ttl


SY = 'xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"'


@pytest.mark.parametrize(
    ("head", "seconds"),
    [
        ("", None),
        ("<ttl>60</ttl>", None),
        (f"<sy:updatePeriod {SY}>hourly</sy:updatePeriod>", 3_600),
        (f"<sy:updatePeriod {SY}> Daily </sy:updatePeriod><sy:updateFrequency {SY}>4</sy:updateFrequency>", 21_600),
        (f"<sy:updatePeriod {SY}>daily</sy:updatePeriod><sy:updateFrequency {SY}>0</sy:updateFrequency>", 86_400),
        (f"<sy:updatePeriod {SY}>daily</sy:updatePeriod><sy:updateFrequency {SY}>-1</sy:updateFrequency>", None),
        (f"<sy:updatePeriod {SY}>fortnightly</sy:updatePeriod>", None),
    ],
)
def test_a_feed_says_how_often_it_changes(head: str, seconds: float | None) -> None:
    parsed = feed(rss("<item><title>A</title></item>", head))
    assert parsed.update_seconds == seconds
    assert parsed.ttl == (3_600 if "ttl" in head else None)


def hours(*numbers: object) -> str:
    return f"<skipHours>{''.join(f'<hour>{number}</hour>' for number in numbers)}</skipHours>"


def days(*names: str) -> str:
    return f"<skipDays>{''.join(f'<day>{name}</day>' for name in names)}</skipDays>"


@pytest.mark.parametrize(
    ("head", "skip_hours", "skip_days"),
    [
        ("", [], []),
        (hours(3, 1, 1, "02"), [1, 2, 3], []),
        (hours(24, 23), [0, 23], []),
        (hours(25, -1, "noon", 99, 7), [7], []),
        (hours(*range(24)), [], []),
        (days("Sunday", " saturday ", "Caturday"), [], [5, 6]),
        (days("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"), [], []),
        (hours(0) + days("Monday"), [0], [0]),
        ("<skipHours><hour>1</hour>", [], []),
    ],
)
def test_a_feed_says_when_not_to_come(head: str, skip_hours: list[int], skip_days: list[int]) -> None:
    inside = f"<item><title>A</title><description><![CDATA[{hours(5)}{days('Friday')}]]></description></item>"
    for body in (rss(inside, head), rss(inside + head, "")):
        parsed = parse_feed(body.encode(), "", URL)
        assert (parsed["skip_hours"], parsed["skip_days"]) == (skip_hours, skip_days)


@pytest.mark.parametrize(
    ("item", "title", "text"),
    [
        ("<title>A &amp; B</title><description>x</description>", "A & B", "x"),
        ("<title>A & B</title><description>x</description>", "A & B", "x"),
        ("<title>A</title><description>AT&T &nbsp; caf&eacute; &mdash; &#233;</description>", "A", "AT&T café — é"),
        ("<title>A</title><description>caf&eacute;&hellip;</description>", "A", "café…"),
        ("<title>A</title><description>bad &#xD800; &#0; &#99999999999; refs</description>", "A", "bad � � � refs"),
        ("<title>A\x0bB</title><description>x\x01y\x1fz</description>", "AB", "xyz"),
        ("<title>A</title><description><p>unescaped <b>markup</p></description>", "A", "unescaped markup"),
        ("<title><![CDATA[A <i>b</i> &amp; c]]></title>", "A b & c", ""),
        ("<title>Tom &amp;amp; Jerry</title>", "Tom & Jerry", ""),
        ("<title>A</title><unknown>u</unknown><x:y>z</x:y><description>x</description>", "A", "x"),
        ("<title>A</title><description>Line one&lt;br&gt;line two</description>", "A", "Line one\nline two"),
        ("<description>&lt;p&gt;No title.&lt;/p&gt;</description>", "", "No title."),
        ("<title>A</title><description>A&lt;br/&gt;Body</description>", "A", "Body"),
    ],
)
def test_broken_but_readable_entries_are_read(item: str, title: str, text: str) -> None:
    entry = only_entry(rss(f"<item>{item}</item>"))
    assert (entry.title, entry.text) == (title, text)


@pytest.mark.parametrize(
    "body",
    [
        rss("<item><title>A</title></item><item><title>B</title></item>")[:-30],
        "\n\n  " + rss("<item><title>A</title></item>"),
        rss("<item><title>A</title></item>") + "<p>trailing advertisement</p>",
        rss("<item><title>A</title></item>").replace("</channel>", ""),
        rss("<item><title>A</title><description>open").replace("</channel></rss>", ""),
        '<!DOCTYPE rss SYSTEM "http://my.netscape.com/publish/formats/rss-0.91.dtd">'
        '<rss version="0.91"><channel><item><title>A</title></item></channel></rss>',
        rss("<item><title>A</title></item>").replace('"1.0"?>', '"1.0" encoding="no-such-encoding"?>'),
        "<br />\n<b>Warning</b>: include() in <b>x.php</b> on line <b>3</b><br />\n"
        + rss("<item><title>A</title></item>"),
        "<!-- served by cache 3 -->\n" + rss("<item><title>A</title></item>"),
        "scrap " + rss("<item><title>A</title></item>"),
        rss("<item><title>A</title><description>x <b>y <i>z</b></description></item>"),
        rss("<item><title>A</title><media:thumbnail url='x'/><undeclared:thing>x</undeclared:thing></item>"),
        rss("<item><title>A</title><link>https://example.org/?a=1&b=2&copy=3</link></item>"),
        rss("<item><title>A</title><category>a<category>b</item><item><title>B</title></item>"),
        rss("<item><title>A</title></item>").replace("</rss>", ""),
        rss("<item><title>A</title></item>").replace("<rss", "<?xml version='1.0'?><rss"),
        rss("<item><title>A</title><description a=b c>x</description></item>"),
        rss("<item><title>A</title></item>").replace("</channel>", "</channle>"),
    ],
    ids=[
        *("cut off", "space first", "junk last", "channel left open", "item left open", "doctype", "unknown encoding"),
        *("a warning first", "a comment first", "words first", "markup crossed", "no namespace", "bare ampersands"),
        *("categories left open", "root left open", "two declarations", "attributes unquoted", "end tag misspelt"),
    ],
)
def test_broken_but_readable_feeds_yield_their_entries(body: str) -> None:
    assert parse_feed(body.encode(), "", URL)["entries"][0]["title"] == "A"


def test_a_feed_that_breaks_off_anywhere_yields_what_came_before() -> None:
    whole = rss(
        "".join(f"<item><title>Title {n}</title><description><![CDATA[Text {n}]]></description></item>" for n in "123")
    )
    second = whole.index("<item>", whole.index("Title 2") - 20)
    for end in range(second, len(whole)):
        titles = [entry["title"] for entry in parse_feed(whole[:end].encode(), "", URL)["entries"]]
        assert titles[0] == "Title 1"
        assert len(titles) <= 3


def test_a_json_feed_that_breaks_off_anywhere_yields_what_came_before() -> None:
    whole = FORMATS["JSON Feed"].removesuffix("]}") + ", {}, {}, {}]}"
    for end in range(whole.index("{}"), len(whole)):
        (entry, *others) = parse_feed(whole[:end].encode(), "", URL)["entries"]
        assert entry["title"] == "Rebels shell town"
        assert len(others) <= 3
    body = whole.replace("Twelve died.", "Twelve\tdied\x01.")
    assert parse_feed(body.encode(), "", URL)["entries"][0]["title"] == "Rebels shell town"


OLD_FORMATS = {
    "RSS 0.90": """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
        xmlns="http://my.netscape.com/rdf/simple/0.9/"><channel><title>World</title></channel>
        <item><title>A</title><link>https://example.org/a</link></item></rdf:RDF>""",
    "RSS 0.91": """<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN"
        "http://my.netscape.com/publish/formats/rss-0.91.dtd"><rss version="0.91"><channel><title>World</title>
        <item><title>A</title><link>https://example.org/a</link><description>x</description></item></channel></rss>""",
    "RSS 0.92": """<rss version="0.92"><channel><title>World</title><item><title>A</title>
        <link>https://example.org/a</link><source url="https://example.org/s">S</source></item></channel></rss>""",
    "Atom 0.3": """<feed version="0.3" xmlns="http://purl.org/atom/ns#"><title>World</title><entry><title>A</title>
        <link rel="alternate" type="text/html" href="https://example.org/a"/><issued>2026-11-24T00:00:00Z</issued>
        <content type="text/html" mode="escaped">&lt;p&gt;x&lt;/p&gt;</content></entry></feed>""",
    "Atom with a prefix": """<a:feed xmlns:a="http://www.w3.org/2005/Atom"><a:title>World</a:title><a:entry>
        <a:title>A</a:title><a:link href="https://example.org/a"/></a:entry></a:feed>""",
    "JSON Feed 1.0": """{"version": "https://jsonfeed.org/version/1", "title": "World", "items": [
        {"id": "1", "title": "A", "url": "https://example.org/a", "author": {"name": "Jane Doe"}}]}""",
}


@pytest.mark.parametrize("body", OLD_FORMATS.values(), ids=OLD_FORMATS)
def test_older_formats_are_read(body: str) -> None:
    parsed = parse_feed(body.encode(), "", URL)
    assert parsed["title"] == "World"
    (entry,) = parsed["entries"]
    assert (entry["title"], entry["link"]) == ("A", "https://example.org/a")


@pytest.mark.parametrize(
    ("inside", "link"),
    [
        ('<entry xml:base="https://other.org/x/"><link href="a"/></entry>', "https://other.org/x/a"),
        ('<entry xml:base="sub/"><link href="a"/></entry>', "https://example.org/deep/sub/a"),
        ('<entry><link href="/a"/></entry>', "https://example.org/a"),
        (
            '<entry><link rel="enclosure" href="/sound.mp3"/><link rel="alternate" href="a"/></entry>',
            "https://example.org/deep/a",
        ),
    ],
)
def test_links_are_relative_to_xml_base(inside: str, link: str) -> None:
    body = f'<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://example.org/deep/feed">{inside}</feed>'
    assert parse_feed(body.encode(), "", URL)["entries"][0]["link"] == link


MEDIA = 'xmlns:media="http://search.yahoo.com/mrss/"'
ITUNES = 'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd"'


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (
            f"<description>News.</description><media:content {MEDIA} url='x.jpg' type='image/jpeg'>"
            "<media:description>A long caption on smoke over another town in 2019</media:description>"
            "<media:title>A photo</media:title><media:credit>AFP</media:credit></media:content>",
            "News.",
        ),
        (f"<media:group {MEDIA}><media:description>All there is.</media:description></media:group>", "All there is."),
        (
            f"<description>News.</description><enclosure url='x.mp3' type='audio/mpeg' length='5'/>"
            f"<itunes:duration {ITUNES}>12:30</itunes:duration><itunes:keywords {ITUNES}>war, news</itunes:keywords>",
            "News.",
        ),
        (
            "<description>News.</description><category><![CDATA[War]]></category><category domain='x'>Town</category>",
            "News.",
        ),
        (
            "<description>News on the <![CDATA[<category>]]> of weapons</description><comments>x</comments>",
            "News on the of weapons",
        ),
    ],
)
def test_pictures_sounds_and_categories_leave_the_text_alone(item: str, text: str) -> None:
    (entry,) = parse_feed(rss(f"<item><title>A</title>{item}</item>").encode(), "", URL)["entries"]
    assert (entry["title"], entry["text"]) == ("A", text)


def test_an_entry_with_nothing_to_read_is_an_entry() -> None:
    items = "<item><link>https://example.org/a</link></item><item><description>&lt;img src='x'&gt;</description></item>"
    parsed = parse_feed(rss(items).encode(), "", URL)
    assert [(entry["link"], entry["title"], entry["text"]) for entry in parsed["entries"]] == [
        ("https://example.org/a", "", ""),
        ("", "", ""),
    ]


@pytest.mark.parametrize(
    ("encoding", "declared"),
    [
        *((encoding, declared) for encoding in ("utf-8", "utf-16") for declared in (None, "in the feed", "wrongly")),
        # Where nothing, or something wrong, is declared, one eight-bit encoding cannot be told from another.
        *((encoding, "in the feed") for encoding in ("windows-1251", "koi8-r", "iso-8859-5")),
        *((encoding, "in the header") for encoding in ("utf-8", "windows-1251", "koi8-r", "iso-8859-5")),
    ],
)
def test_feeds_are_read_in_every_encoding(encoding: str, declared: str | None) -> None:
    names = {None: "", "in the feed": f' encoding="{encoding}"', "wrongly": ' encoding="iso-8859-1"'}
    body = rss("<item><title>Взрыв в Киеве</title></item>").replace('"1.0"?>', f'"1.0"{names.get(declared, "")}?>')
    content_type = f"text/xml; charset={encoding}" if declared == "in the header" else "text/xml"
    assert only_entry(body.encode(encoding), content_type).title == "Взрыв в Киеве"


@pytest.mark.parametrize(
    ("link", "absolute"),
    [
        ("https://example.org/a?b=1&amp;c=2", "https://example.org/a?b=1&c=2"),
        ("/a", "https://example.org/a"),
        ("a", "https://example.org/news/a"),
        ("//other.org/a", "https://other.org/a"),
        ("https://example.org/a b", "https://example.org/a%20b"),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("mailto:a@example.org", ""),
        ("http://[broken", ""),
        ("https://example.org/" + "a" * 5_000, ""),
    ],
)
def test_links_are_absolute_web_links(link: str, absolute: str) -> None:
    assert only_entry(rss(f"<item><title>A</title><link>{link}</link></item>")).link == absolute


def test_a_guid_that_is_a_url_serves_as_link() -> None:
    entry = only_entry(rss("<item><title>A</title><guid>https://example.org/a</guid></item>"))
    assert entry.link == "https://example.org/a"
    assert only_entry(rss('<item><title>A</title><guid isPermaLink="false">17</guid></item>')).link == ""
    assert only_entry(rss("<item><title>A</title><guid>17</guid></item>")).guid == "17"


@pytest.mark.parametrize(
    ("element", "authors"),
    [
        ("<author>editor@example.org (Jane Doe)</author>", ("Jane Doe",)),
        ("<author>editor@example.org</author>", ()),
        ("<author>Jane &amp;amp; John</author>", ("Jane & John",)),
        ("", ()),
    ],
)
def test_authors_are_names_and_no_addresses(element: str, authors: tuple[str, ...]) -> None:
    assert only_entry(rss(f"<item><title>A</title>{element}</item>")).authors == authors


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("Tue, 24 Nov 2026 00:00:00 GMT", datetime(2026, 11, 24, tzinfo=UTC)),
        ("24 Nov 2026 00:00 EST", datetime(2026, 11, 24, 5, tzinfo=UTC)),
        ("2026-11-24T01:00:00+01:00", datetime(2026, 11, 24, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
        ("yesterday, more or less", None),
        ("", None),
        ("24 Nov", None),
    ],
)
def test_dates_are_moments_or_nothing(stamp: str, moment: datetime | None) -> None:
    entry = only_entry(rss(f"<item><title>A</title><pubDate>{stamp}</pubDate></item>"))
    assert (entry.published, entry.updated) == (moment, moment)


LONG = "A sentence of the article. " * 30
SHORT = "A sentence of the article."


@pytest.mark.parametrize(
    ("summary", "content", "text", "complete"),
    [
        (SHORT, LONG, LONG, True),
        (SHORT, SHORT, SHORT, False),
        ("", LONG, LONG, True),
        (LONG, "", LONG, False),
        (LONG * 3, "", LONG * 3, True),
        (f"{LONG}\n\n{SHORT}\n\n{SHORT}", "", f"{LONG}\n\n{SHORT}\n\n{SHORT}", True),
        (SHORT, LONG + "…", LONG + "…", False),
        (SHORT, LONG + "[...]", LONG + "[...]", False),
        (LONG, SHORT, LONG, False),
        ("", "", "", False),
    ],
)
def test_the_fuller_text_is_taken_and_known_to_be_whole_or_not(
    summary: str, content: str, text: str, complete: bool
) -> None:
    assert choose(summary, content) == (text, complete)


def test_no_more_entries_are_taken_than_allowed() -> None:
    parsed = feed(rss("<item><title>A</title></item>" * (MAX_ENTRIES + 10) + "<ttl>5</ttl>"))
    assert (len(parsed.entries), parsed.left_out, parsed.title, parsed.ttl) == (MAX_ENTRIES, 10, "World", 300)
    assert feed(rss("<item><title>A</title></item>" * MAX_ENTRIES)).left_out == 0


def dated(days: range, form: str) -> str:
    moments = [datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in days]
    if form == "JSON":
        items = [{"title": f"T{day}", "date_published": at.isoformat()} for day, at in zip(days, moments, strict=True)]
        return json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items})
    return rss(
        "".join(
            f"<item><title>T{day}</title><pubDate>{format_datetime(at)}</pubDate></item>"
            for day, at in zip(days, moments, strict=True)
        )
    )


@pytest.mark.parametrize("form", ["RSS", "JSON"])
@pytest.mark.parametrize("newest_first", [True, False])
def test_the_entries_left_out_are_the_oldest(form: str, newest_first: bool) -> None:
    days = range(MAX_ENTRIES + 50)
    body = dated(days[::-1] if newest_first else days, form)
    parsed = parse_feed(body.encode(), "", URL)
    assert parsed["left_out"] == 50
    assert {entry["title"] for entry in parsed["entries"]} == {f"T{day}" for day in days[50:]}


def test_a_huge_feed_is_read_in_part_and_in_time() -> None:
    started = time.monotonic()
    parsed = feed(rss("<item><title>A</title></item>" * 200_000), parse_timeout=60)
    assert (len(parsed.entries), parsed.left_out) == (MAX_ENTRIES, 200_000 - MAX_ENTRIES)
    assert time.monotonic() - started < 45  # two on a machine at rest, minutes if all were read


def test_a_feed_without_entries_is_a_feed() -> None:
    assert feed(rss("")).entries == ()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "empty"),
        ("   \n", "empty"),
        ("<!DOCTYPE html><html><body><p>Not found</p></body></html>", "HTML page"),
        ("just words", "not RSS"),
        ("/etc/passwd", "not RSS"),
        ("file:///etc/passwd", "not RSS"),
        ("http://127.0.0.1/", "not RSS"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "not RSS"),
        ("<svg xmlns='http://www.w3.org/2000/svg'/>", "not RSS"),
        ("{}", "JSON"),
        ('{"items": []}', "JSON"),
        ("{broken", "JSON"),
        ('{"a":' * 100_000, "JSON"),
    ],
)
def test_what_is_no_feed_is_told_so(body: bytes | str, message: str) -> None:
    error = failure(body)
    assert error.kind == "not_a_feed"
    assert message in str(error)


def test_nothing_outside_the_body_is_read() -> None:
    secret = '<!DOCTYPE rss [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
    body = rss("<item><title>A</title><description>[&secret;]</description></item>").replace("<rss", f"{secret}<rss")
    assert "root" not in only_entry(body).text


def test_entities_that_a_feed_defines_are_expanded_but_not_exploded() -> None:
    doctype = '<!DOCTYPE rss [\n<!ENTITY who "the army">\n]>'
    body = rss("<item><title>A</title><description>By &who;.</description></item>").replace("<rss", f"{doctype}<rss")
    assert only_entry(body).text == "By the army."
    lots = "".join(f'\n<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE rss [\n<!ENTITY e0 "boom">{lots}\n]>'
    body = rss("<item><title>A</title><description>&e11;</description></item>").replace("<rss", f"{bomb}<rss")
    assert len(only_entry(body).text) < 1_000


HOSTILE = {
    "an author of 32 kB": f"<author>{'a' * 32_000}</author>",
    "16,000 attributes": "<description " + " ".join(f'a{n}="x"' for n in range(16_000)) + ">x</description>",
    "16,000 categories": "".join(f"<category>c{n}</category>" for n in range(16_000)),
    "16,000 creators": "".join(f"<dc:creator>c{n}</dc:creator>" for n in range(16_000)),
    "100,000 elements deep": "<a>" * 100_000,
    "100,000 elements of HTML deep": f"<description>{'&lt;div>' * 100_000}x</description>",
    "10 MB of one text": f"<description>{'word ' * 1_900_000}</description>",
    "9 MB of less-than signs": f"<description>{'<' * 9_000_000}</description>",
    "a title of entities": f"<title>{'&amp;amp;' * 500_000}</title>",
    "sections left open": f"<description>{'<![CDATA[' * 500_000}</description>",
    "categories with sections left open": "<category><![CDATA[" * 200_000,
}


def test_hostile_feeds_end_at_the_deadline_and_harm_no_other() -> None:
    async def use(pool: ParserPool) -> None:
        for name, inside in HOSTILE.items():
            body = rss(f"<item><title>A</title>{inside}</item>").encode()
            started = time.monotonic()
            bad, good = await asyncio.gather(pool.feed(body), pool.feed(GOOD), return_exceptions=True)
            assert time.monotonic() - started < 25, name  # a child's start included, on a busy machine
            assert isinstance(good, ParsedFeed), name
            assert good.entries[0].title == "Good"
            if isinstance(bad, ParsedFeed):
                assert bad.entries[0].title.startswith("A"), name
            else:
                assert isinstance(bad, ParseError), name
                assert bad.kind in ("deadline", "memory"), name
        assert len(children()) <= 2

    in_pool(use, parse_timeout=2)


QUADRATIC = rss(f"<item><title>A</title><author>{'a' * 100_000}</author></item>").encode()
GOOD = rss("<item><title>Good</title></item>").encode()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_feed_that_takes_too_long_disturbs_no_other(processes: int) -> None:
    async def use(pool: ParserPool) -> None:
        bad, *good = await asyncio.gather(
            pool.feed(QUADRATIC), *(pool.feed(GOOD) for _ in range(5)), return_exceptions=True
        )
        assert isinstance(bad, ParseError)
        assert bad.kind == "deadline"
        assert [each.entries[0].title for each in good if isinstance(each, ParsedFeed)] == ["Good"] * 5

    in_pool(use, parse_timeout=3.0, parse_processes=processes)


def test_a_feed_that_takes_too_much_memory_disturbs_no_other() -> None:
    async def use(pool: ParserPool) -> None:
        with pytest.raises(ParseError) as caught:
            await pool.feed(
                rss(f"<item><title>A</title><description>{'word ' * 2_000_000}</description></item>").encode()
            )
        assert caught.value.kind == "memory"
        assert (await pool.feed(GOOD)).entries[0].title == "Good"

    in_pool(use, parse_memory=60_000_000, parse_timeout=60)


def children() -> set[int]:
    """The parser processes of this one."""
    return {pid for pid in family() if "parse_child" in command(pid)}


def test_a_parser_that_was_killed_is_replaced() -> None:
    async def use(pool: ParserPool) -> None:
        await pool.feed(GOOD)
        (pid,) = children()
        slow = asyncio.create_task(pool.feed(QUADRATIC))
        await asyncio.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ParseError) as caught:
            await slow
        assert caught.value.kind == "crash"
        assert "SIGKILL" in str(caught.value)
        assert (await pool.feed(GOOD)).entries[0].title == "Good"
        assert pid not in children()

    in_pool(use, parse_processes=1)


def test_a_parser_that_died_while_idle_costs_one_feed_at_most() -> None:
    async def use(pool: ParserPool) -> None:
        await pool.feed(GOOD)
        os.kill(children().pop(), signal.SIGSEGV)
        with pytest.raises(ParseError):
            await pool.feed(GOOD)
        assert (await pool.feed(GOOD)).entries[0].title == "Good"

    in_pool(use, parse_processes=1)


def test_no_parser_outlives_its_pool_or_a_cancelled_call() -> None:
    before = children()

    async def use(pool: ParserPool) -> None:
        slow = asyncio.create_task(pool.feed(QUADRATIC))
        await asyncio.sleep(0.3)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert children() == before
        await pool.feed(GOOD)

    in_pool(use)
    assert children() == before


CANCELLED_TWICE = """
import asyncio, contextlib, gc, sys, time
from ingest.feeds.parse import ParserPool
from ingest.settings import Fetch

async def main():
    async with ParserPool(Fetch()) as pool:
        slow = asyncio.create_task(pool.feed(sys.stdin.buffer.read()))
        await asyncio.sleep(float(sys.argv[1]))
        for _ in range(2):
            slow.cancel()
            await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await slow

asyncio.run(main())
time.sleep(0.5)
gc.collect()
"""


@pytest.mark.parametrize("seconds", ["0", "0.1", "1"], ids=["not begun", "starting", "at work"])
def test_a_parser_whose_end_is_cancelled_too_leaves_no_message(seconds: str) -> None:
    command = [sys.executable, "-c", CANCELLED_TWICE, seconds]
    ended = subprocess.run(command, input=QUADRATIC, capture_output=True, check=True)
    assert (ended.stdout, ended.stderr) == (b"", b"")


BUSY_PARENT = """
import asyncio, psutil, sys
from ingest.feeds.parse import ParserPool
from ingest.settings import Fetch
from tests.processes import all_gone, command, family

async def main():
    async with ParserPool(Fetch(parse_timeout=1)) as pool:
        slow = asyncio.create_task(pool.feed(sys.stdin.buffer.read()))
        while not (children := psutil.Process().children()):
            await asyncio.sleep(0.3)
        print(children[0].pid, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_no_parser_outlives_a_parent_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY_PARENT], stdin=PIPE, stdout=PIPE) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(QUADRATIC)
        parent.stdin.close()
        child = int(parent.stdout.readline())
        parent.kill()
    assert all_gone([child], 60), "the parser is still there"


def test_no_more_parsers_run_than_allowed() -> None:
    async def use(pool: ParserPool) -> None:
        await asyncio.gather(*(pool.feed(GOOD) for _ in range(20)))
        assert len(children()) == 3

    in_pool(use, parse_processes=3)


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def test_parsers_know_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFLICTWIRE_STORE", "postgresql://user:secret@host/db")

    async def use(pool: ParserPool) -> None:
        await pool.feed(GOOD)
        assert b"secret" not in environment(children().pop())

    in_pool(use)


def test_a_parser_that_cannot_start_is_an_error_of_the_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "_ROOT", "/nonexistent")
    monkeypatch.setattr("sys.executable", "/bin/false")
    assert failure(GOOD).kind == "crash"


def test_an_answer_that_is_no_feed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(pool: ParserPool) -> None:
        monkeypatch.setattr(pool, "_ask", lambda body, **request: answer())
        with pytest.raises(ParseError):
            await pool.feed(GOOD)

    async def answer() -> bytes:
        return b'{"title": 1, "entries": "many"}'

    in_pool(use)


SNIPPETS = st.sampled_from(
    "<item> </item> <title> </title> <![CDATA[ ]]> & &amp; &#xD800; &bogus; < > <description> </description> <link> </link> "
    "</channel> </rss> <guid> </guid> <entry> <!-- --> <?pi ?> <!DOCTYPE \x00 \xff é <content:encoded> <p> </p>".split(
        " "
    )
)


@pytest.mark.parametrize("content", ["text", "<b>markup</b>", "&amp;#xD800;"])
@pytest.mark.parametrize("attributes", ["", ' a="b"', ' type="html" href="x"'])
@pytest.mark.parametrize(
    "name",
    "title title_detail summary summary_detail content content_detail id guid link links author authors author_detail "
    "published published_parsed updated_parsed created_parsed language tags feedburner_origlink source".split(),
)
def test_elements_of_any_name_do_not_confuse_the_parser(name: str, attributes: str, content: str) -> None:
    element = f"<{name}{attributes}>{content}</{name}>"
    body = rss(f"<item>{element}<guid>1</guid><title>A</title></item><item><title>B</title></item>", head=element)
    assert parse_feed(body.encode(), "", URL)["entries"][-1]["title"] == "B"


@pytest.mark.parametrize("value", ["1", "null", '"x"', "[1, null]", '{"name": 5}', "[[]]", "true", "1e999"])
@pytest.mark.parametrize(
    "name",
    "id url title summary content_html content_text authors author date_published date_modified language".split(),
)
def test_json_feeds_with_values_of_any_kind_are_read(name: str, value: str) -> None:
    version = '"version": "https://jsonfeed.org/version/1.1"'
    body = f'{{{version}, "items": [{{"title": "A", "{name}": {value}}}, 5, {{"title": "B", "id": "b"}}]}}'
    assert parse_feed(body.encode(), "", URL)["entries"][-1]["title"] == "B"


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.one_of(SNIPPETS, st.text(max_size=5)), max_size=25).map("".join))
def test_any_body_is_parsed_or_no_feed(inside: str) -> None:
    body = rss(f"<item><title>First</title></item>{inside}").encode("utf-8", "surrogatepass")
    parsed = parse_feed(body, "", URL)
    assert parsed["entries"][0]["title"].startswith("First")


@given(st.binary(max_size=100))
def test_any_bytes_are_parsed_or_no_feed(body: bytes) -> None:
    with contextlib.suppress(NotAFeedError):
        parse_feed(body, "", URL)


PAGE = """<!doctype html><html lang="en-GB"><head><title>Rebels shell town | Example News</title>
<meta property="og:title" content="Rebels shell town"><meta name="author" content="Jane Doe">
<meta property="article:published_time" content="2026-11-24T00:00:00+02:00"></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/world">World</a></li><li><a href="/sport">Sport</a></li></ul></nav>
<main><article><h1>Rebels shell town</h1>
<p>Rebels shelled the town of Exville on Tuesday and killed at least twelve people, officials said on Wednesday.</p>
<figure><img src="x.jpg"><figcaption>Smoke over another town in 2019</figcaption></figure>
<p>The army said that it had answered with air strikes on positions east of the river, where no one is said to live.</p>
<p>Talks are to go on in Geneva next week, a spokeswoman for the mediators said, though neither side has agreed.</p>
</article></main><aside><h2>Most read</h2><ul><li><a href="/cats">Cats of the year</a></li></ul></aside>
<footer>Cookie settings. All rights reserved.</footer><script>var tracking = "yes";</script></body></html>"""


def page(body: bytes | str, content_type: str = "text/html", title: str = "", **limits: float) -> ParsedPage:
    data = body.encode() if isinstance(body, str) else body
    return parsed(lambda pool: pool.page(data, content_type, title), limits)


def test_the_article_is_told_from_the_page_round_it() -> None:
    found = page(PAGE, title="Rebels shell town")
    first, second, third = found.text.split("\n\n")
    assert first.startswith("Rebels shelled the town")
    assert second.startswith("The army said")
    assert third.endswith("neither side has agreed.")
    assert (found.title, found.language, found.authors) == ("Rebels shell town", "en-GB", ("Jane Doe",))
    assert found.published == datetime(2026, 11, 23, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    ["", " ", "<", "<html>", "<!-- -->", "no markup", "\x00\x01", b"\xff\xfe\x00", "<p>" * 20_000, '{"a": 1}'],
)
def test_any_page_gives_text_or_none(body: bytes | str) -> None:
    page(body)


def test_a_page_in_another_encoding_is_read() -> None:
    body = PAGE.replace("Exville", "Éxville").replace("<head>", '<head><meta charset="iso-8859-1">')
    assert "Éxville" in page(body.encode("latin-1")).text
