"""The short ways of `parse_xml` against feedparser's own, on the sample feeds and on what each of them leaves alone."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import feedparser
import pytest

from ingest.feeds import parse_xml

SAMPLES = Path(__file__).resolve().parents[2] / "feeds"
ODD = """<?xml version="1.0"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/" xml:lang="en_US"
 xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:foo="http://foo.example/x"><channel{base}>
<title>T &amp; &lt;b&gt;x&lt;/b&gt;</title><atom:link rel="self" href="/f"/><link>/</link><language>de-de</language>
<image><title>i</title><url>u</url><link>k</link></image><textInput><title>q</title><name>n</name></textInput>
<item rdf:about="a" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><title>One <i>t</i></title>
<dc:creator>Joe (joe@x.example)</dc:creator><foo:bar>z</foo:bar><foo:link>y</foo:link><updated>2026-01-01</updated>
<description>&lt;p&gt;A 1.5&lt;/p&gt;</description><content:encoded><![CDATA[<p>Long</p>]]></content:encoded>
<guid isPermaLink="false">7</guid><x:y xmlns:x="http://backend.userland.com/rss2">u</x:y></item>
<item><guid>http://x.example/1</guid><category>u</category><author>bob@x.example (Bob)</author><source url="s">S</source>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">xh <SVG xmlns="http://www.w3.org/2000/svg">s</SVG></div></content>
<title/><summary>s</summary><description>d</description><pubDate>Fri, 20 Nov 2026 00:20:00 GMT</pubDate><issued>2020</issued>
<summary_detail>x</summary_detail><tags>q</tags><authors>x</authors><date>2021</date><modified/><url>v</url></item>
<item><links a="b">x</links><link>http://x.example/2</link><guid>2</guid></item></channel></rss>"""
FEEDS = {path.name: path.read_bytes() for path in SAMPLES.iterdir() if path.suffix in (".xml", ".rdf", ".atom")}
FEEDS |= {
    "odd": ODD.format(base="").encode(),
    "odd, with a base": ODD.format(base=' xml:base="http://b.example/x/"').encode(),
}


def read(feed: bytes) -> Any:
    try:
        found = feedparser.parse(io.BytesIO(feed), resolve_relative_uris=False, sanitize_html=False)
    except Exception as error:
        return repr(error)
    return found.version, dict(found.namespaces), found.bozo, dict(found.feed), [dict(entry) for entry in found.entries]


@pytest.mark.parametrize("name", FEEDS)
def test_short_ways_give_what_feedparser_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse_xml.install()
    handler: Any = feedparser.api.StrictFeedParser
    ours = read(FEEDS[name])
    assert handler.__module__ == parse_xml.__name__
    monkeypatch.setattr(feedparser.api, "StrictFeedParser", handler.__mro__[1])
    monkeypatch.setattr(feedparser.api, "PREFERRED_XML_PARSERS", [])
    assert ours == read(FEEDS[name])
    assert "odd" not in name or len(ours[4]) == 3
