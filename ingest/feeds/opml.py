"""OPML, the format in which feed readers exchange their subscriptions (versions 1.0 to 2.0, http://opml.org/spec2.opml).

A document comes from anywhere, so it is read by expat alone: no DTD, hence no entities, nothing fetched, and nothing
that grows with the depth of its outlines.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.entities import html5
from typing import NamedTuple
from urllib.parse import urlsplit
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from ingest.errors import CatalogError
from ingest.feeds.catalog import MAX_FOLDERS, MAX_NAME, Feed, as_web_url, fault_of, url_key

# The attributes that OPML has no name for, in a namespace of ours, so that export and import lose nothing.
_OURS = "https://github.com/conflictwire/opml"


@dataclass(frozen=True, slots=True)
class Refused:
    """An outline that cannot be a feed of the catalogue: the line where it begins, what it calls itself, and why."""

    line: int
    name: str
    reason: str


@dataclass(slots=True)
class Opml:
    """What a document holds. `repeated` counts the outlines whose URL stands further up in the document."""

    feeds: list[Feed] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    repeated: int = 0


class Names:
    """Names given out once each: a second feed of a name gets a number."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        self._last: Counter[str] = Counter()

    def unused(self, name: str) -> str:
        """`name`, or `name (2)` and so on where it was given out before."""
        candidate, number = name, self._last[name] or 1
        while candidate in self._taken:
            number += 1
            suffix = f" ({number})"
            candidate = name[: MAX_NAME - len(suffix)] + suffix
        self._last[name] = number
        self._taken.add(candidate)
        return candidate


def read_opml(data: bytes, on_feeds: Callable[[int], None] = lambda found: None) -> Opml:
    """The feeds of an OPML document, however deep its outlines are nested. Raises CatalogError where it is none.

    The outlines around a feed become its `folder`, or the first path of its `category`. Publisher, language and country
    are taken where the document gives them, the language else from the outlines around. A second feed of one name gets
    a number, a second one of a URL is counted only, one that the catalogue could not take is refused, and the others
    are none the worse for it. Bare ampersands and the like are forgiven; documents with a DTD are refused, as entities
    have no use in OPML but to harm. `on_feeds` is told now and then how many feeds there are so far.
    """
    from ingest.feeds.text import decode_body

    whole = decode_body(data)
    text = whole.lstrip()
    above = whole[: len(whole) - len(text)].count("\n")
    try:
        return _Reader(on_feeds, above).read(text)
    except expat.ExpatError as error:
        try:
            return _Reader(on_feeds, above).read(_repaired(text))
        except expat.ExpatError:
            what = expat.ErrorString(error.code)
            raise CatalogError(f"OPML: line {error.lineno + above}: not well-formed XML: {what}") from error


class _Outline(NamedTuple):
    """What the feeds within an outline take from it."""

    folder: tuple[str, ...] = ()
    language: str = ""


class _Reader:
    """Reads one document, which has `above` lines above it."""

    def __init__(self, on_feeds: Callable[[int], None], above: int) -> None:
        self._above = above
        self._found = Opml()
        self._names = Names()
        self._urls: set[str] = set()
        self._root = ""
        self._around = [_Outline()]
        self._on_feeds = on_feeds
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def read(self, text: str) -> Opml:
        # As a string, the declaration of its encoding no longer counts.
        self._parser.Parse(text.encode("utf-8", "replace").decode(), True)
        if self._root != "opml":
            raise CatalogError(f"OPML: the document is <{self._root[:100]}>, not <opml>")
        return self._found

    def _line(self) -> int:
        return self._parser.CurrentLineNumber + self._above

    def _doctype(self, *_: object) -> None:
        raise CatalogError(f"OPML: line {self._line()}: documents with a DTD are not read")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = _local(tag)
        self._root = self._root or tag
        if tag != "outline":
            return
        values = {_local(name): value.strip() for name, value in attributes.items()}
        around = self._around[-1]
        language = values.get("language", "").replace("_", "-") or around.language
        url = _feed_url(values)
        if url:
            self._feed(url, language, values)
            self._around.append(around)
            return
        name = _folder_name(_title(values))
        folder = (*around.folder, name) if name and len(around.folder) < MAX_FOLDERS else around.folder
        self._around.append(_Outline(folder, language))

    def _end(self, tag: str) -> None:
        if _local(tag) == "outline":
            self._around.pop()

    def _feed(self, url: str, language: str, values: dict[str, str]) -> None:
        if url_key(url) in self._urls:
            self._found.repeated += 1
            return
        country = values.get("country", "").upper()
        folder = self._around[-1].folder or _folders(values.get("category", ""))
        feed = Feed(
            name=_title(values) or _host(url) or _printable(url) or "unnamed",
            url=url,
            publisher=_printable(values.get("publisher", "")) or None,
            enabled=values.get("enabled", "true").lower() != "false",
            full_text={"true": True, "false": False}.get(values.get("fulltext", "").lower()),
            folder="/".join(folder) or None,
        )
        if fault := fault_of(feed):
            self._found.refused.append(Refused(self._line(), feed.name, fault))
            return
        # Other readers put anything here, which is no reason to go without the feed.
        if fault_of(replace(feed, country=country)) is None:
            feed = replace(feed, country=country)
        if fault_of(replace(feed, language=language)) is None:
            feed = replace(feed, language=language)
        self._urls.add(url_key(url))
        self._found.feeds.append(replace(feed, name=self._names.unused(feed.name)))
        if len(self._found.feeds) % _STEP == 0:
            self._on_feeds(len(self._found.feeds))


_STEP = 100


def _local(name: str) -> str:
    """The name of an element or attribute, in whatever namespace and case."""
    return name.rpartition("}")[2].lower()


def _feed_url(values: dict[str, str]) -> str:
    """The feed that an outline names, if any; programs of old wrote `url` for `xmlUrl`."""
    url = values.get("xmlurl", "")
    if not url and values.get("type", "").lower() in ("rss", "atom", "rdf"):
        url = values.get("url", "")
    return as_web_url(url)


def _title(values: dict[str, str]) -> str:
    return next(filter(None, (_printable(values.get(name, "")) for name in ("text", "title"))), "")


def _host(url: str) -> str:
    try:
        return _printable(urlsplit(url).hostname or "")
    except ValueError:
        return ""


def _printable(text: str) -> str:
    shown = "".join(mark if mark.isprintable() else " " for mark in text[: 2 * MAX_NAME])
    return shown[:MAX_NAME].strip()


def _folder_name(text: str) -> str:
    """`text` as the name of one folder: a slash, which parts folders, becomes the sign of division."""
    return _printable(text).replace("/", "\N{DIVISION SLASH}")


def _folders(category: str) -> tuple[str, ...]:
    """The folders of the first path in a `category` attribute, such as `/Africa/Sahel,/Conflict`."""
    names = (_printable(name) for name in category.partition(",")[0].split("/"))
    return tuple(filter(None, names))[:MAX_FOLDERS]


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE = re.compile(r"&(?:(amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});|([A-Za-z][A-Za-z0-9]{1,31});)?")
_LESS_THAN = re.compile(r"<(?![A-Za-z_/!?])")


def _repaired(text: str) -> str:
    """`text` without what programs that write XML by hand get wrong; every line stays where it was."""

    def reference(found: re.Match[str]) -> str:
        if found[1]:
            return found[0]
        return html5.get(f"{found[2]};", f"&amp;{found[2]};") if found[2] else "&amp;"

    return _LESS_THAN.sub("&lt;", _REFERENCE.sub(reference, _CONTROL.sub("", text)))


class _Folder:
    """What a folder holds, in the order of the catalogue."""

    def __init__(self) -> None:
        self.feeds: list[Feed] = []
        self.folders: dict[str, _Folder] = {}


def write_opml(feeds: Sequence[Feed]) -> str:
    """`feeds` as an OPML 2.0 document, in outlines by their folders; `read_opml` gives the same feeds back."""
    top = _Folder()
    for feed in feeds:
        folder = top
        for name in feed.folder.split("/") if feed.folder else ():
            folder = folder.folders.setdefault(name, _Folder())
        folder.feeds.append(feed)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<opml version="2.0" xmlns:cw="{_OURS}">',
        "  <head><title>Conflictwire feeds</title></head>",
        "  <body>",
        *_lines(top, "    "),
        "  </body>",
        "</opml>",
        "",
    ]
    return "\n".join(lines)


def _lines(folder: _Folder, indent: str) -> Iterator[str]:
    for feed in folder.feeds:
        yield f"{indent}{_outline(feed)}"
    for name, within in folder.folders.items():
        yield f"{indent}<outline text={quoteattr(name)} title={quoteattr(name)}>"
        yield from _lines(within, f"{indent}  ")
        yield f"{indent}</outline>"


def _outline(feed: Feed) -> str:
    attributes = {
        "type": "rss",
        "text": feed.name,
        "title": feed.name,
        "xmlUrl": feed.url,
        "language": feed.language,
        "cw:country": feed.country,
        "cw:publisher": feed.publisher,
        "cw:enabled": None if feed.enabled else "false",
        "cw:fullText": None if feed.full_text is None else str(feed.full_text).lower(),
    }
    shown = " ".join(f"{name}={quoteattr(value)}" for name, value in attributes.items() if value is not None)
    return f"<outline {shown}/>"
