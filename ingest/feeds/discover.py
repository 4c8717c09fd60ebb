"""The feeds of a web site, found from the address of one of its pages.

By `<link rel="alternate">` (https://www.rssboard.org/rss-autodiscovery), else by the links on the page that look like
a feed or a list of feeds, else at the paths where sites commonly have one. Each is read before it is believed; a site
is asked for no more than MAX_REQUESTS URLs, and for another kind only where the one before found nothing.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin, urlsplit

from ingest.errors import FetchError, ParseError
from ingest.feeds.catalog import is_web_url, url_key
from ingest.feeds.urls import registrable_domain

if TYPE_CHECKING:
    from ingest.feeds.fetch import Fetcher
    from ingest.feeds.parse import ParserPool

MAX_REQUESTS = 24
"""URLs asked for in one search, the page itself not counted."""
MAX_OF_A_KIND = 10
"""URLs tried of the links of one page."""
WELL_KNOWN = ("/feed", "/rss", "/rss.xml", "/atom.xml", "/index.xml", "/feeds", "/feed.xml")
FEED_MEDIA_TYPES = frozenset(
    "application/rss+xml application/atom+xml application/feed+json application/rdf+xml text/xml application/xml".split()
)

Source = Literal["page", "link", "anchor", "path"]
_SOURCES: tuple[Source, ...] = ("page", "link", "anchor", "path")

_MAX_PAGE = 2_000_000  # characters
_MAX_SECONDS = 3.0
_CHUNK = 16_384  # characters
_MAX_LINKS = 3_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A URL that may be a feed, and what the page calls it. `source` is how it was found (see the module)."""

    url: str
    title: str
    source: Source


@dataclass(frozen=True, slots=True)
class Found:
    """A feed that was read. `links` are those of its entries, by which two spellings of one feed are known."""

    url: str
    title: str
    source: Source
    entries: int
    newest: datetime | None
    links: frozenset[str]


@dataclass(frozen=True, slots=True)
class Discovery:
    """The feeds of a site, the best first; `tried` counts the URLs that were asked for.

    `best` is none where there is no feed, or two of the same rank, so that a person must choose.
    """

    feeds: tuple[Found, ...]
    best: Found | None
    tried: int


class _Links(HTMLParser):
    """Gathers the links of a page. Never closed, so that no unfinished construct is gone through again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.alternates: list[tuple[str, str]] = []
        self.anchors: list[tuple[str, str, str]] = []
        self._anchor: tuple[str, str] | None = None
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: (value or "").strip() for name, value in reversed(attrs)}  # the first of a name counts
        href = values.get("href", "")
        if tag == "base" and not self.base:
            self.base = href
        elif (
            tag == "link"
            and href
            and len(self.alternates) < _MAX_LINKS
            and "alternate" in values.get("rel", "").lower().split()
        ):
            if values.get("type", "").partition(";")[0].strip().lower() in FEED_MEDIA_TYPES:
                self.alternates.append((href, values.get("title", "")))
        elif tag == "a":
            self.handle_endtag("a")
            self._anchor = (href, values.get("type", "")) if href else None
            self._words = [values.get("title", "")]
        elif tag == "img" and self._anchor:
            self._words.append(values.get("alt", ""))

    def handle_data(self, data: str) -> None:
        if self._anchor and len(self._words) < 20:
            self._words.append(data[:200])

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._anchor:
            if len(self.anchors) < _MAX_LINKS:
                self.anchors.append((*self._anchor, " ".join(" ".join(self._words).split())))
            self._anchor = None


def page_candidates(html: str, url: str) -> list[Candidate]:
    """The URLs on the page at `url` that may be feeds: first those it declares, then links that look like feeds.

    Each once, of either kind at most MAX_OF_A_KIND, in the order of the page. Anything may be in `html`: at most its
    first 2 million characters are looked at, for at most 3 seconds.
    """
    links = _Links()
    until = time.monotonic() + _MAX_SECONDS
    for start in range(0, min(len(html), _MAX_PAGE), _CHUNK):
        try:
            links.feed(html[start : start + _CHUNK])
        except (AssertionError, ValueError):  # html.parser gives up on some malformed declarations
            break
        if time.monotonic() > until:
            break
    base = _joined(url, links.base) or url
    declared = (Candidate(_joined(base, href), title, "link") for href, title in links.alternates)
    hinted = (
        Candidate(_joined(base, href), words, "anchor")
        for href, kind, words in links.anchors
        if kind.lower() in FEED_MEDIA_TYPES or _looks_like_a_feed(href, words)
    )
    near = (each for each in hinted if _same_site(each.url, url))
    seen = {url_key(url)}
    return [*_first(declared, seen), *_first(near, seen)]


def _first(candidates: Iterable[Candidate], seen: set[str]) -> Iterator[Candidate]:
    count = 0
    for each in candidates:
        if count < MAX_OF_A_KIND and is_web_url(each.url) and url_key(each.url) not in seen:
            seen.add(url_key(each.url))
            count += 1
            yield each


def _joined(base: str, href: str) -> str:
    try:
        return urlsplit(urljoin(base, href))._replace(fragment="").geturl()
    except ValueError:
        return ""


_FEED_PATH = re.compile(r"(?:^|[/._?=&-])(?:rss\d?|feeds?|atom|rdf)(?:$|[/._?=&-])|\.(?:rss|atom|rdf)$", re.I)
_FEED_WORDS = re.compile(r"\b(?:rss|atom|xml|web|news)?[ -]?(?:rss|atom|feeds?)\b", re.I)


def _looks_like_a_feed(href: str, words: str) -> bool:
    try:
        parts = urlsplit(href)
    except ValueError:
        return False
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    host = (parts.hostname or "").split(".")[0]
    return bool(host in ("feeds", "rss") or _FEED_PATH.search(path) or (len(words) <= 40 and _FEED_WORDS.search(words)))


def _same_site(one: str, other: str) -> bool:
    """Whether two URLs are likely of one publisher: under one registered name, or the first on a host for feeds."""
    try:
        host, home = urlsplit(one).hostname or "", urlsplit(other).hostname or ""
    except ValueError:
        return False
    return registrable_domain(host) == registrable_domain(home) or host.split(".")[0] in ("feeds", "feeds2", "rss")


_ASIDE = re.compile(r"\b(?:comments?|replies|kommentare?|podcasts?|audio|videos?|search|jobs?|classifieds?)\b", re.I)


def rank(feed: Found, page: str) -> tuple[int, ...]:
    """What feeds are put in order by, the lowest first, where `page` was asked for.

    Feeds of comments, podcasts and the like come last, then those without entries; those of the section that the page
    belongs to come before those of the whole site.
    """
    aside = bool(_ASIDE.search(f"{feed.title} {urlsplit(feed.url).path}"))
    return (aside, feed.entries == 0, _SOURCES.index(feed.source), -_common_folders(feed.url, page))


def _common_folders(one: str, other: str) -> int:
    count = 0
    for mine, theirs in zip(_folders(one), _folders(other), strict=False):
        if mine != theirs:
            break
        count += 1
    return count


def _folders(url: str) -> list[str]:
    return [part.lower() for part in urlsplit(url).path.split("/") if part]


def choose(feeds: Sequence[Found], page: str) -> tuple[tuple[Found, ...], Found | None]:
    """`feeds` without those that say the same as another, the best first; and the best, where it is one alone."""
    kept: list[Found] = []
    for feed in sorted(feeds, key=lambda each: rank(each, page)):
        if not any(_same_entries(feed, other) for other in kept):
            kept.append(feed)
    if not kept or (len(kept) > 1 and rank(kept[0], page) == rank(kept[1], page)):
        return tuple(kept), None
    return tuple(kept), kept[0]


def _same_entries(one: Found, other: Found) -> bool:
    if not one.links or not other.links:
        return False
    return 2 * len(one.links & other.links) > min(len(one.links), len(other.links))


def looks_like_html(body: bytes, content_type: str) -> bool:
    """Whether a body is a web page, by what it says it is or by how it begins."""
    start = body[:2_000].lower()
    return "html" in content_type.lower() or b"<html" in start or b"<!doctype html" in start


async def discover(url: str, fetcher: Fetcher, parsers: ParserPool) -> Discovery:
    """The feed at `url`, or the feeds of the site of the page that is there.

    Raises FetchError or ParseError where there is neither a feed nor a page.
    """
    search = _Search(fetcher, parsers)
    answer = await search.read(Candidate(url, "", "page"))
    if isinstance(answer, Found):
        return Discovery((answer,), answer, 0)
    if isinstance(answer, (FetchError, ParseError)):
        raise answer
    candidates = page_candidates(answer.html, answer.url)
    feeds = await search.all(each for each in candidates if each.source == "link")
    if not _worthy(feeds, answer.url):
        feeds += await search.all(each for each in candidates if each.source == "anchor")
    if not _worthy(feeds, answer.url):
        feeds += await search.all(search.listed())
    for path in (f"{urlsplit(answer.url).path.rstrip('/')}/feed", *WELL_KNOWN):
        if _worthy(feeds, answer.url):
            break
        feeds += await search.all([Candidate(urljoin(answer.url, path), "", "path")])
    if not _worthy(feeds, answer.url):
        feeds += await search.all(search.listed())
    kept, best = choose(feeds, answer.url)
    return Discovery(kept, best, search.asked)


def _worthy(feeds: Sequence[Found], page: str) -> bool:
    """Whether one of `feeds` is what somebody looks for."""
    return any(rank(feed, page)[:2] == (0, 0) for feed in feeds)


@dataclass(frozen=True, slots=True)
class _Page:
    url: str
    html: str


class _Search:
    """Reads candidates, each URL once, no more than there may be."""

    def __init__(self, fetcher: Fetcher, parsers: ParserPool) -> None:
        self._fetcher = fetcher
        self._parsers = parsers
        self._seen: set[str] = set()
        self._pages: list[_Page] = []
        self.asked = -1  # the page itself does not count

    async def all(self, candidates: Iterable[Candidate]) -> list[Found]:
        """Those of `candidates` that are feeds; pages among the others are kept for `listed`."""
        fresh = {url_key(each.url): each for each in candidates if url_key(each.url) not in self._seen}
        room = MAX_REQUESTS - self.asked
        answers = await asyncio.gather(*(self.read(each) for each in list(fresh.values())[:room]))
        self._pages += [each for each in answers if isinstance(each, _Page)]
        return [each for each in answers if isinstance(each, Found)]

    def listed(self) -> list[Candidate]:
        """What may be a feed by the pages that came up: many sites have one that lists their feeds."""
        pages, self._pages = self._pages, []
        return [each for page in pages for each in page_candidates(page.html, page.url)]

    async def read(self, candidate: Candidate) -> Found | _Page | FetchError | ParseError:
        """What is at a URL; an error is given back."""
        from ingest.feeds.text import decode_body

        self._seen.add(url_key(candidate.url))
        self.asked += 1
        try:
            fetched = await self._fetcher.get(candidate.url)
        except FetchError as error:
            return error
        try:
            parsed = await self._parsers.feed(fetched.body, fetched.content_type, fetched.url)
        except ParseError as error:
            if error.kind == "not_a_feed" and looks_like_html(fetched.body, fetched.content_type):
                return _Page(fetched.url, decode_body(fetched.body, fetched.content_type))
            return error
        return Found(
            url=candidate.url,
            title=parsed.title or candidate.title,
            source=candidate.source,
            entries=len(parsed.entries),
            newest=max((entry.published for entry in parsed.entries if entry.published), default=None),
            links=frozenset(entry.link or entry.guid for entry in parsed.entries if entry.link or entry.guid),
        )
