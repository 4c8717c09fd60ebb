"""What a feed is and does, found out by reading it once and keeping nothing: for `conflictwire feeds check`."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from ingest.errors import FetchError, ParseError
from ingest.feeds.identity import Naming, judge, keys_of, lookups
from ingest.feeds.language import detect_language
from ingest.feeds.urls import publisher_scope

if TYPE_CHECKING:
    from ingest.feeds.catalog import Feed
    from ingest.feeds.fetch import Fetched, Fetcher, Redirect
    from ingest.feeds.parse import ParsedEntry, ParsedFeed, ParserPool
    from ingest.storage import FeedState, Known

_AHEAD = timedelta(days=1)
_ADVICE: Mapping[str, str] = {
    "dns": "see in a browser whether the site has moved, or whether this machine resolves any names",
    "connect": "the server refuses or is down: try later, and see whether a browser reaches it from this machine",
    "timeout": "the server is slow or down: try later, or raise fetch.timeout",
    "tls": "the site's certificate is not valid: see what a browser says; the feed may have moved to another host",
    "too_large": "raise fetch.max_bytes if so large a feed is wanted",
    "private_address": "set fetch.allow_private to read feeds of your own network; else the address is wrong",
    "redirect": "see in a browser where it leads, and put that address into the catalogue",
    "protocol": "see in a browser what is there; the address may not be that of a feed",
    "encoding": "the server sends a damaged body: try later, then tell the publisher",
    "cancelled": "the program was stopped meanwhile: try again",
    "robots": "the site asks programs not to fetch this",
    "not_a_feed": "`conflictwire feeds add` with the address of the site's page finds its feeds",
    "deadline": "the feed is built so that reading it takes too long: raise fetch.parse_timeout if you trust it",
    "memory": "the feed is built so that reading it takes too much: raise fetch.parse_memory if you trust it",
    "crash": "the feed broke the parser: please report it with the feed",
}
_ADVICE_BY_STATUS: Mapping[int, str] = {
    401: "the feed wants a password, which Conflictwire has none of: look for a public one",
    403: "the site refuses programs, or this machine: set fetch.contact so that they know who asks, or ask them",
    404: "the feed has moved or ended: `conflictwire feeds add` with the address of the site's page finds its feeds",
    410: "the publisher has ended the feed: `conflictwire feeds add` with the address of the site's page finds another",
    429: "the site is asked too often: wait, and see whether others behind this address ask it too",
}


def advice(kind: str, status: int | None) -> str:
    """What to do about a FetchError or ParseError of `kind`, with the HTTP status where there was one."""
    if kind != "http":
        return _ADVICE.get(kind, "see the error")
    if status is None:
        return "see in a browser what is there"
    told = "the server is in trouble: try later" if status >= 500 else "see in a browser what is there"
    return _ADVICE_BY_STATUS.get(status, told)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a feed has something new, by the times of its entries.

    `dated` are the entries that have a time that is not in the future; `gap` is the median of seconds between two in a
    row, none for fewer than two.
    """

    dated: int = 0
    newest: datetime | None = None
    oldest: datetime | None = None
    gap: float | None = None


def rhythm(times: Sequence[datetime | None], now: datetime) -> Rhythm:
    """The rhythm of entries published at `times`."""
    known = sorted(each for each in times if each is not None and each <= now + _AHEAD)
    if not known:
        return Rhythm()
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(known)]
    return Rhythm(len(known), known[-1], known[0], median(gaps) if gaps else None)


_ROOT = re.compile(r"<\s*(?:([\w.-]+):)?(rss|rdf|feed)\b([^>]{0,4000})", re.I)
_COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.S)
_VERSION = re.compile(r"\bversion\s*=\s*[\"']\s*([\w.]{1,10})", re.I)
_JSON_VERSION = re.compile(r"jsonfeed\.org/version/([\d.]{1,5})")


def feed_format(text: str) -> str:
    """The format of the feed that begins with `text`, such as `RSS 2.0`; `unknown` where its root does not say."""
    start = text[:20_000]
    if start.lstrip().startswith("{"):
        version = _JSON_VERSION.search(start)
        return f"JSON Feed {version[1]}" if version else "unknown"
    root = _ROOT.search(_COMMENT.sub("", start))
    if not root:
        return "unknown"
    name, attributes = root[2].lower(), root[3]
    if name == "rss":
        version = _VERSION.search(attributes)
        return f"RSS {version[1]}" if version else "RSS"
    if name == "rdf":
        return "RSS 0.90" if "my.netscape.com/rdf/simple/0.9" in attributes else "RSS 1.0"
    return "Atom 0.3" if "purl.org/atom/ns#" in attributes else "Atom 1.0"


_CHARSET_HEADER = re.compile(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", re.I)
_CHARSET_XML = re.compile(rb"^[^<]{0,10}<\?xml[^>]{0,200}encoding\s*=\s*[\"']([\w.:-]{1,40})", re.I)


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encodings that HTTP header and XML declaration name, and how many characters could not be read."""

    http: str | None
    xml: str | None
    unreadable: int


def encoding_of(body: bytes, content_type: str, text: str) -> Encoding:
    """How `body` says it is encoded, `text` being what was read of it."""
    header, inside = _CHARSET_HEADER.search(content_type), _CHARSET_XML.search(body[:1_000])
    return Encoding(
        header[1].lower() if header else None,
        inside[1].decode("ascii", "replace").lower() if inside else None,
        text.count("\ufffd") - body.count("\ufffd".encode()),
    )


@dataclass(frozen=True, slots=True)
class Body:
    """What the answer to the request was. `honoured`: whether the server answers 304 when asked with its validators."""

    status: int
    url: str
    redirects: tuple[Redirect, ...]
    content_type: str
    size: int
    etag: str | None
    last_modified: str | None
    encoding: Encoding
    format: str
    honoured: bool | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What is in the feed, and what a pull now would make of it.

    `languages` counts entries by detected language, `complete` those with their whole text. `pages_allowed`: whether
    robots.txt lets the page behind the first entry be fetched.
    """

    title: str
    language: str | None
    ttl: float | None
    entries: int
    complete: int
    rhythm: Rhythm
    languages: Mapping[str, int]
    new: int
    changed: int
    known: int
    pages_allowed: bool | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of reading a feed once. `error` says what is wrong and `advice` what to do; else `content` is there."""

    feed: Feed
    seconds: float
    body: Body | None = None
    content: Content | None = None
    error: str | None = None
    error_kind: str | None = None
    advice: str | None = None


def content_of(
    feed: Feed,
    state: FeedState,
    parsed: ParsedFeed,
    known: Callable[[Sequence[str]], Mapping[str, Known]],
    now: datetime,
    detect: bool,
) -> Content:
    """What is in `parsed`, by what was published before (`known`); languages only with `detect`, as that takes time."""
    scope = publisher_scope(feed.name, feed.url, feed.publisher)
    naming = Naming(feed.name, scope, state.scope, state.guids_trusted)
    keys = keys_of(naming, parsed.readable)
    verdict = judge(naming, parsed.readable, keys, known(lookups(keys)))
    pull = verdict.publications
    new = sum(each.status == "new" for each in pull)
    return Content(
        title=parsed.title,
        language=parsed.language,
        ttl=parsed.ttl,
        entries=len(parsed.entries),
        complete=sum(entry.complete for entry in parsed.entries),
        rhythm=rhythm([entry.published for entry in parsed.entries], now),
        languages=_languages(feed, parsed.entries, parsed.language) if detect else {},
        new=new,
        changed=len(pull) - new,
        known=verdict.articles - len(pull),
    )


def _languages(feed: Feed, entries: Sequence[ParsedEntry], language: str | None) -> dict[str, int]:
    found = (
        detect_language(f"{entry.title}\n{entry.text}", feed.language or entry.language or language)
        for entry in entries[:100]
    )
    return dict(Counter(each or "unknown" for each in found).most_common())


async def check_feed(
    feed: Feed,
    state: FeedState,
    fetcher: Fetcher,
    parsers: ParserPool,
    known: Callable[[Sequence[str]], Mapping[str, Known]],
    *,
    thorough: bool,
) -> Checked:
    """Fetch and read `feed`, of which `state` is known, and keep nothing.

    With `thorough` also whether its validators work (one more request), whether the pages behind it may be fetched (the
    host's robots.txt), and in which languages its entries are.
    """
    from ingest.feeds.text import decode_body

    loop = asyncio.get_running_loop()
    began = loop.time()
    body: Body | None = None
    url = state.url or feed.url
    try:
        fetched = await fetcher.get(url)
        text = decode_body(fetched.body, fetched.content_type)
        honoured = await _honoured(url, fetched, fetcher) if thorough else None
        body = Body(
            status=fetched.status,
            url=fetched.url,
            redirects=fetched.redirects,
            content_type=fetched.content_type,
            size=len(fetched.body),
            etag=fetched.etag,
            last_modified=fetched.last_modified,
            encoding=encoding_of(fetched.body, fetched.content_type, text),
            format=feed_format(text),
            honoured=honoured,
        )
        parsed = await parsers.feed(fetched.body, fetched.content_type, fetched.url)
    except (FetchError, ParseError) as error:
        status = error.status if isinstance(error, FetchError) else None
        return Checked(feed, loop.time() - began, body, None, str(error), error.kind, advice(error.kind, status))
    content = content_of(feed, state, parsed, known, datetime.now(UTC), thorough)
    if thorough:
        content = replace(content, pages_allowed=await _pages_allowed(parsed, fetcher))
    return Checked(feed, loop.time() - began, body, content)


async def _honoured(url: str, fetched: Fetched, fetcher: Fetcher) -> bool | None:
    if not (fetched.etag or fetched.last_modified):
        return None
    try:
        again = await fetcher.get(url, etag=fetched.etag, last_modified=fetched.last_modified)
    except FetchError:
        return None
    return again.status == 304


async def _pages_allowed(parsed: ParsedFeed, fetcher: Fetcher) -> bool | None:
    link = next((entry.link for entry in parsed.entries if entry.link), None)
    try:
        return await fetcher.allowed(link) if link else None
    except FetchError:
        return None


def short_span(seconds: float) -> str:
    """A length of time for people, such as `45 s`, `12 min`, `3.5 h`, `2 d`."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size * (2 if unit == "d" else 1):
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"
