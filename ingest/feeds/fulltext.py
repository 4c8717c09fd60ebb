"""The article on a page, by trafilatura. Runs in the parser process: pages are hostile, and slow to read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import trafilatura
from lxml import etree
from lxml import html as lxml_html

from ingest.feeds.text import MAX_TEXT, decode_body, drop_boilerplate, drop_title, language_tag, one_line, plain_to_text

_PUBLISHED = (
    "//meta[@property='article:published_time' or @property='og:article:published_time' or @itemprop='datePublished'"
    " or @name='article:published_time' or @name='pubdate' or @name='publishdate' or @name='parsely-pub-date'"
    " or @name='dc.date' or @name='DC.date.issued']/@content",
    "//time[@itemprop='datePublished' or @pubdate]/@datetime",
    "//article//time/@datetime",
)
_JSON_PUBLISHED = re.compile(r'"datePublished"\s*:\s*"([^"]{8,40})"')


def extract_page(body: bytes, content_type: str, title: str) -> dict[str, Any]:
    """Text, title, authors, language and time of the article on an HTML page, as a JSON-ready dict.

    `title` is the article's as far as it is known: the text does not repeat it. `text` is empty where the page holds no
    article that trafilatura can tell from its navigation. `published` is RFC 3339 or null.
    """
    tree = _tree(decode_body(body, content_type))
    if tree is None:
        return {"title": "", "text": "", "authors": [], "language": None, "published": None}
    language = next(iter(tree.xpath("//html/@lang")), None) or next(
        iter(tree.xpath("//meta[@http-equiv='content-language' or @property='og:locale']/@content")), None
    )
    published = _published(tree)
    found = trafilatura.bare_extraction(
        tree,
        include_comments=False,
        include_tables=False,
        with_metadata=True,
        date_extraction_params={"extensive_search": False, "original_date": True, "outputformat": "%Y-%m-%d"},
    )
    page_title = one_line((found.title if found else "") or "")
    text = ((found.text if found else "") or "")[: 2 * MAX_TEXT]
    if published is None and found and found.date:
        published = _time(found.date)
    # trafilatura sets paragraphs one line end apart, and a dash before list items.
    text = drop_boilerplate(plain_to_text(re.sub(r"\n+(?:- )?", "\n\n", text)))
    authors = re.split(r"\s*;\s*", found.author) if found and found.author else []
    return {
        "title": page_title,
        "text": drop_title(drop_title(text, page_title), title),
        "authors": [one_line(author, 200) for author in authors[:20]],
        "language": language_tag(language),
        "published": published.isoformat() if published else None,
    }


def _tree(markup: str) -> Any:
    try:
        # Surrogates cannot be in it: it was decoded from bytes. Nul ends a document for libxml2.
        parser = lxml_html.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
        return lxml_html.document_fromstring(markup.replace("\x00", "").encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return None


def _published(tree: Any) -> datetime | None:
    stamps = [stamp for path in _PUBLISHED for stamp in tree.xpath(path)[:3]]
    for script in tree.xpath("//script[@type='application/ld+json']/text()")[:10]:
        stamps[:0] = _JSON_PUBLISHED.findall(script)[:1]
    return next((time for time in map(_time, stamps) if time), None)


def _time(stamp: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(stamp.strip())
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
