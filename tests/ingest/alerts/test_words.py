"""Incidents in words and in feeds: whatever others wrote, it is text."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import feedparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.alerts.atom import Entry, feed
from ingest.alerts.words import Shown, as_html, as_text, because, cut, headline, web_url
from ingest.feeds.parse_child import parse_feed
from ingest.records import EventRecord
from models.incidents.record import Report, Supported, Where, Who
from tests.ingest.alerts.test_decide import NOW, alert, incident, toll
from tests.ingest.command import record, with_words

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "ASSAULT in El Fasher, Sudan: 12 dead (1 source)"),
        ({"sources": 3}, "ASSAULT in El Fasher, Sudan: 12 dead (3 sources)"),
        (
            {"dead": toll(12, None), "injured": toll(3, 5)},
            "ASSAULT in El Fasher, Sudan: at least 12 dead, 3 to 5 injured (1 source)",
        ),
        ({"dead": None, "place": None}, "ASSAULT in Sudan (1 source)"),
        ({"dead": None, "place": None, "countries": ()}, "ASSAULT (1 source)"),
        ({"dead": None, "place": None, "countries": ("XKX", "QQQ")}, "ASSAULT in Kosovo, QQQ (1 source)"),
        (
            {"dead": None, "place": Supported(Where("Sudan", "SDN", None, 15.0, 30.0, 1, "country"), 1, ("e1",))},
            "ASSAULT in Sudan (1 source)",
        ),
        ({"status": "contradicted", "sources": 2}, "ASSAULT in El Fasher, Sudan: 12 dead (2 sources, contradicted)"),
        ({"status": "retracted"}, "Withdrawn: ASSAULT in El Fasher, Sudan: 12 dead (1 source)"),
    ],
)
def test_an_incident_has_a_headline(fields: dict[str, Any], says: str) -> None:
    assert headline(incident(**fields)) == says


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ("https://a.example/x?y=1&z=%20", True),
        ("http://пример.example/путь", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//a.example", False),
        ("https://a.example/\u202ex", False),
        ("https://a.example/ x", False),
        ('https://a.example/"onclick=', False),
        ("https://[a", False),
        ("", False),
    ],
)
def test_only_addresses_of_the_web_become_links(text: str, usable: bool) -> None:
    assert web_url(text) == (text if usable else "")


def test_a_long_text_is_cut() -> None:
    assert cut("a" * 10, 5) == "aaaa…"
    assert cut(" a\n\tb\x00\ufffe\ud800 ", 50) == "a b\ufffd\ufffd\ufffd"
    assert because("withdrawn", ("retracted",)) == "withdrawn, as no report of it is left"
    assert because("new", ()) == ""


def shown(words: str = "", url: str = "https://a.example/1", change: str = "new", **fields: Any) -> Shown:
    """An incident of two reports, of which `words` are in every text that comes from outside."""
    reports = tuple(
        Report(f"e{number}", 1, f"a{number}", 1, f"paper {words}", NOW, number, number == 2) for number in (1, 2)
    )
    place = Supported(Where(f"Place {words}", "SDN", None, 1.0, 2.0, 3, "place"), 1, ("e1",))
    who = (Supported(Who(f"actor {words}", None, None), 1, ("e1",)),)
    base = record(with_words(sentence=f"Sentence {words}"))
    article = base.article.model_copy(update={"title": f"Title {words}", "url": url})
    events: dict[str, EventRecord] = {
        name: base.model_copy(update={"event_id": name, "article": article}) for name in ("e1", "e2")
    }
    told = incident(reports=reports, place=place, actors=who, sources=2, status="corroborated", **fields)
    return Shown(told, change, (), events)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


NASTY = st.text(
    st.sampled_from("<>&\"'/=]!-;:\x00\x0b\x1b\r\n\u202e\ud800\ufffe\uffff aZé") | st.characters(), max_size=40
) | st.sampled_from(["]]>", "<!--", "</content><entry>", "&lt;script&gt;", "<script>", "\x1b[2J", '" onload="x'])


@settings(max_examples=30, deadline=None)
@given(NASTY, st.sampled_from(["https://a.example/1", "javascript:x"]) | NASTY)
def test_no_text_from_outside_is_markup(words: str, url: str) -> None:
    one = shown(words, url)
    html = as_html(one)
    tags = Tags()
    tags.feed(html)
    assert tags.seen <= {"p", "strong", "ul", "li", "a", "blockquote", "small"}
    assert tags.attributes <= {"href", "rel"}
    assert as_text(one).isprintable() or "\n" in as_text(one)
    assert not {"\x1b", "\u202e", "\r", "\x00"} & {*as_text(one), *html}
    document = feed(alert(channel="feed"), [Entry(one, NOW, NOW)], "https://desk.example/v1/alerts/a.atom")
    root = ElementTree.fromstring(document)
    (entry,) = root.findall(f"{ATOM}entry")
    assert {child.tag.removeprefix(ATOM) for child in entry} <= {
        "id", "title", "published", "updated", "link", "category", "content"
    }  # fmt: skip
    assert entry.findtext(f"{ATOM}content") == html
    for link in entry.findall(f"{ATOM}link"):
        assert link.attrib["href"].startswith(("http://", "https://"))


def entries() -> list[Entry]:
    later = NOW + timedelta(minutes=5)
    gone = shown(url="https://b.example/2?a=1&b=2", change="withdrawn", incident_id="b" * 24)
    return [Entry(shown(), NOW, later), Entry(gone, NOW, NOW)]


def test_a_feed_is_what_rfc_4287_wants_and_stays_the_same() -> None:
    document = feed(alert(name="sudan", channel="feed"), entries(), "https://desk.example/v1/alerts/sudan.atom")
    assert document == feed(alert(name="sudan", channel="feed"), entries(), "https://desk.example/v1/alerts/sudan.atom")
    root = ElementTree.fromstring(document)
    for name in ("id", "title", "updated", "author"):
        assert len(root.findall(f"{ATOM}{name}")) == 1
    assert root.findtext(f"{ATOM}updated") == "2026-11-28T15:25:30.000Z"
    ids = [each.text or "" for each in root.iter(f"{ATOM}id")]
    assert len(set(ids)) == 3 and all(each.startswith("urn:uuid:") for each in ids)
    empty = ElementTree.fromstring(feed(alert(channel="feed", created=NOW), [], "https://desk.example/"))
    assert empty.findtext(f"{ATOM}updated") == "2026-11-28T15:20:30.000Z"


def test_feed_readers_can_read_a_feed() -> None:
    document = feed(alert(name="sudan", channel="feed"), entries(), "https://desk.example/v1/alerts/sudan.atom")
    parsed = feedparser.parse(document)
    assert not parsed.bozo and parsed.version == "atom10"
    assert [each.title for each in parsed.entries] == [
        "ASSAULT in Place, Sudan: 12 dead (2 sources)",
        "Withdrawn: ASSAULT in Place, Sudan: 12 dead (2 sources)",
    ]
    assert parsed.entries[1].link == "https://b.example/2?a=1&b=2"
    assert "Sentence" in parsed.entries[0].content[0].value

    found = parse_feed(document, "application/atom+xml", "https://desk.example/v1/alerts/sudan.atom")
    assert [(each["title"], each["link"]) for each in found["entries"]] == [
        (parsed.entries[0].title, "https://a.example/1"),
        (parsed.entries[1].title, "https://b.example/2?a=1&b=2"),
    ]
    assert "Sentence" in found["entries"][0]["text"]
