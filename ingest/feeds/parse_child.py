"""The parser process: reads bodies on stdin, answers JSON on stdout, may be killed at any moment.

`python -m ingest.feeds.parse_child MEMORY` (bytes of address space). A request is one line of JSON
`{"op", "size", "limit", ...}` and `size` bytes of body; an answer is one line `{"status", "size"}` and `size` bytes:
the result as JSON where the status is ok, else a message. Ops: `load` (import what `page` needs), `feed`, `page`.
Out of memory, the process exits with OUT_OF_MEMORY.

feedparser has inputs that take it minutes (a long author field is quadratic), so this process is the unit that is given
up: `limit` is a number of seconds after which it ends itself, should its parent be gone.
"""

from __future__ import annotations

import calendar
import contextlib
import html.entities
import io
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, BinaryIO, cast
from urllib.parse import urljoin, urlsplit

import feedparser

from ingest.feeds import parse_xml
from ingest.feeds.content import content_hash
from ingest.feeds.text import (
    decode_body,
    drop_boilerplate,
    drop_title,
    html_to_text,
    language_tag,
    one_line,
    plain_to_text,
    unescape,
)

OUT_OF_MEMORY = 77  # exit status; the same in parse.py, which must not import feedparser

MAX_ENTRIES = 2_000
MAX_FEED_TEXT = 20_000_000  # code points of all entries together
MAX_ID = 4_096  # code points of a guid or link


parse_xml.install()


class NotAFeedError(Exception):
    """The body is neither RSS, Atom nor JSON Feed."""


def main(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while line := requests.readline():
        request = json.loads(line)
        body = requests.read(request["size"])
        signal.alarm(request["limit"])
        try:
            status, reply = "ok", json.dumps(_answer(request, body), ensure_ascii=False).encode()
        except NotAFeedError as error:
            status, reply = "not_a_feed", str(error).encode()
        except MemoryError:
            raise
        except Exception as error:
            # feedparser and lxml raise all sorts; the parent turns it into that feed's error.
            status, reply = "crash", one_line(f"{type(error).__name__}: {error}", 300).encode()
        signal.alarm(0)
        answers.write(json.dumps({"status": status, "size": len(reply)}).encode() + b"\n" + reply)
        answers.flush()


def _answer(request: dict[str, Any], body: bytes) -> dict[str, Any]:
    if request["op"] == "feed":
        return parse_feed(body, request["content_type"], request["url"])
    from ingest.feeds import fulltext

    return {} if request["op"] == "load" else fulltext.extract_page(body, request["content_type"], request["title"])


def parse_feed(body: bytes, content_type: str, url: str) -> dict[str, Any]:
    """The feed in `body`, fetched from `url`, in the shape of `parse.ParsedFeed`. Raises NotAFeedError."""
    text = decode_body(body, content_type).lstrip()
    if not text:
        raise NotAFeedError("the body is empty")
    if text.startswith("{"):
        return _json_feed(text, url)
    newest, left_out = _newest(_without_junk(text))
    parsed = feedparser.parse(
        # Bytes given bare would be tried as the name of a local file first.
        io.BytesIO(_repaired(_without_unread(newest))),
        response_headers={"content-type": "application/xml; charset=utf-8"},
        resolve_relative_uris=False,
        sanitize_html=False,
    )
    if not parsed.version and not parsed.entries:
        raise NotAFeedError(_what_instead(text))
    feed = parsed.feed
    about = _outside_entries(newest)
    return _feed(
        title=_plain(feed, "title"),
        language=feed.get("language"),
        # As plain dicts, for feedparser's own ask themselves at each access what else the key may be called.
        entries=[partial(_entry, dict(entry), url) for entry in parsed.entries[:MAX_ENTRIES]],
        left_out=left_out + max(len(parsed.entries) - MAX_ENTRIES, 0),
        ttl=_ttl(feed),
        skip_hours=_skip_hours(about),
        skip_days=_skip_days(about),
        update_seconds=_update_seconds(feed),
    )


def _feed(
    title: str, language: Any, entries: Sequence[Callable[[], dict[str, Any]]], left_out: int, **wishes: Any
) -> dict[str, Any]:
    kept, left = [], MAX_FEED_TEXT
    for read in entries:
        entry = read()
        left -= len(entry["text"])
        if left < 0:
            break
        kept.append(entry)
    left_out += len(entries) - len(kept)
    return {"title": title, "language": language_tag(language), "entries": kept, "left_out": left_out, **wishes}


_BEFORE_ROOT = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)*", re.S | re.I)
_ROOT = re.compile(r"<(?:html|rss|channel|(?:\w{1,20}:)?(?:feed|RDF))\b", re.I)
_FEED_STARTS = re.compile(r"<\?xml\b|<!DOCTYPE\s+(?:rss|rdf)|<(?:rss|(?:\w{1,20}:)?(?:feed|RDF))\b", re.I)


def _without_junk(text: str) -> str:
    """`text` from where the feed starts: a server's warnings or a template's scraps may stand before it."""
    before = _BEFORE_ROOT.match(text)
    end = before.end() if before else 0
    start = None if _ROOT.match(text, end) else _FEED_STARTS.search(text, end)
    return text[start.start() :] if start else text


_ENTRY = re.compile(r"<(?:\w{1,20}:)?(?:item|entry)[\s>]")
_STAMP = re.compile(r"<(?:pubDate|published|updated|modified|issued|dc:date)\b[^<>]{0,200}>([^<]{6,60})<")


def _newest(text: str) -> tuple[str, int]:
    """`text` with its MAX_ENTRIES newest entries, and how many are left out. The newest are first, or last."""
    starts = [found.start() for found in _ENTRY.finditer(text)]
    left_out = len(starts) - MAX_ENTRIES
    if left_out <= 0:
        return text, 0
    first, last = (_STAMP.search(text, at) for at in (starts[0], starts[-1]))
    if first and last and _is_before(first[1], last[1]):
        return text[: starts[0]] + text[starts[left_out] :], left_out
    return text[: starts[MAX_ENTRIES]] + text[_end_of_entries(text) :], left_out


def _is_before(stamp: Any, other: Any) -> bool:
    early, late = _iso(_from_rfc_822(stamp)), _iso(_from_rfc_822(other))
    return early is not None and late is not None and early < late


def _from_rfc_822(stamp: Any) -> str:
    try:
        return parsedate_to_datetime(str(stamp)).isoformat()
    except (TypeError, ValueError, OverflowError):
        return str(stamp).strip()


def _end_of_entries(text: str) -> int:
    last = max(text.rfind("</item>"), text.rfind("</entry>"))
    return text.index(">", last) + 1 if last >= 0 else len(text)


def _outside_entries(text: str) -> str:
    first = _ENTRY.search(text)
    return text[: first.start()] + text[_end_of_entries(text) :] if first else text


_LEAF = r"[^<>]{0,2000}(?:/>|>\s*+(?:<!\[CDATA\[(?:[^\]<]|\](?!\]>)){0,2000}+\]\]>\s*+|[^<]{0,2000}+)</\1\s*>)"
# What no article is made of. feedparser takes long for it, and for many categories quadratically so.
_UNREAD = re.compile(
    r"<(category|enclosure|comments|generator|docs|cloud|dc:subject|dc:rights|dc:format|dc:type"
    r"|media:(?!group\b|title\b|description\b|text\b)\w{1,20}|itunes:(?!summary\b|subtitle\b|author\b)\w{1,20}"
    rf"|(?:slash|wfw|georss|geo|thr|psc|googleplay|prism):\w{{1,40}})\b{_LEAF}"
)
_CAPTION = re.compile(rf"<(media:description)\b{_LEAF}")
_OWN_TEXT = re.compile(r"<(?:description|summary|content:encoded|content)[\s>]")


def _without_unread(text: str) -> str:
    """`text` without categories, enclosures, players and the like.

    media:description is a picture's caption, which feedparser takes for content, unless entries have no other text.
    """
    text = _UNREAD.sub("", text)
    first = _ENTRY.search(text) if "<media:description" in text else None
    return _CAPTION.sub("", text) if first and _OWN_TEXT.search(text, first.start()) else text


_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,500}\?>")
_NOT_XML = bytes({*range(0x20)} - {*b"\t\n\r"})
_NOT_XML_EITHER = ("\ufffe".encode(), "\uffff".encode())
_NUMBER_REFERENCE = re.compile(r"&#(?:[xX]([0-9a-fA-F]+)|([0-9]+));?")
_NAMED_REFERENCE = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_BARE_AMPERSAND = re.compile(r"&(?!#?\w{1,32};)")
_BARE_LESS_THAN = re.compile(r"<(?![A-Za-z_/!?])")
_LONG_ENTITY = re.compile(r"<!ENTITY[^>]{128,}>", re.I)
_XML_NAMES = frozenset(("amp", "lt", "gt", "quot", "apos"))


def _repaired(text: str) -> bytes:
    """The feed as UTF-8 XML without what is common in feeds and keeps the strict parser, or any, from reading it."""
    start = re.search(r"<\w", text)
    head = text[: start.start()] if start else ""
    declared_entities = "<!ENTITY" in head.upper()
    if declared_entities:
        text = _LONG_ENTITY.sub("", head) + text[len(head) :]
    text = _xml_characters(_DECLARATION.sub("", text, count=1))
    text = _NUMBER_REFERENCE.sub(_valid_reference, text)
    parts, at = [], 0
    while (start_of_cdata := text.find("<![CDATA[", at)) >= 0 and (end := text.find("]]>", start_of_cdata)) >= 0:
        parts += [_escaped(text[at:start_of_cdata], declared_entities), text[start_of_cdata : end + 3]]
        at = end + 3
    parts.append(_escaped(text[at:], declared_entities))
    return b"<?xml version='1.0' encoding='utf-8'?>\n" + "".join(parts).encode("utf-8", "replace")


def _xml_characters(text: str) -> str:
    """`text` without what is no character in XML 1.0, surrogates included; as bytes, which takes a tenth of the time."""
    encoded = text.encode("utf-8", "ignore").translate(None, _NOT_XML)
    for code in _NOT_XML_EITHER:
        encoded = encoded.replace(code, b"")
    return encoded.decode()


def _escaped(markup: str, declared_entities: bool) -> str:
    if not declared_entities:
        markup = _NAMED_REFERENCE.sub(_numbered, markup)
    return _BARE_LESS_THAN.sub("&lt;", _BARE_AMPERSAND.sub("&amp;", markup))


def _valid_reference(found: re.Match[str]) -> str:
    digits, base = (found[1], 16) if found[1] else (found[2], 10)
    code = int(digits, base) if len(digits) <= 10 else 0x110000
    allowed = code in (9, 10, 13) or 0x20 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    return found[0] if allowed else "\ufffd"


def _numbered(found: re.Match[str]) -> str:
    if found[1] in _XML_NAMES:
        return found[0]
    meant = html.entities.html5.get(found[1] + ";")
    return "".join(f"&#{ord(mark)};" for mark in meant) if meant else f"&amp;{found[1]};"


def _what_instead(text: str) -> str:
    start = text[:2_000].lower()
    if "<html" in start or "<!doctype html" in start:
        return "this is an HTML page, not a feed"
    return f"this is not RSS, Atom or JSON Feed; it begins {one_line(text[:200], 60)!r}"


_HTML_TYPES = ("text/html", "application/xhtml+xml")


def _text(value: Any, kind: str) -> str:
    return html_to_text(str(value)) if kind in _HTML_TYPES else plain_to_text(unescape(str(value)))


# feedparser takes elements that it does not know for keys, so that a feed can put anything under any name.
def _list(entry: Any, name: str) -> list[Any]:
    found = entry.get(name)
    return [part for part in found[:20] if isinstance(part, dict)] if isinstance(found, list) else []


def _detail(entry: Any, name: str, key: str) -> str:
    detail = entry.get(f"{name}_detail")
    return str(dict.get(detail, key) or "") if isinstance(detail, dict) else ""


def _plain(entry: Any, name: str) -> str:
    return one_line(_text(entry.get(name) or "", _detail(entry, name, "type")))


def _entry(entry: Any, url: str) -> dict[str, Any]:
    parts = [
        (dict.get(part, "value", ""), kind)
        for part in _list(entry, "content")
        if (kind := str(dict.get(part, "type", ""))).startswith("text/") or kind in _HTML_TYPES
    ]
    contents = [_text(value, kind) for value, kind in parts]
    said = entry.get("summary") or ""
    said_as = _detail(entry, "summary", "type") or "text/html"
    published = entry.get("published_parsed") or entry.get("created_parsed")
    updated = entry.get("updated_parsed")
    return _fields(
        guid=entry.get("id"),
        link=entry.get("feedburner_origlink") or entry.get("link"),
        base=url,
        title=_plain(entry, "title"),
        # feedparser repeats the content as summary where that lacks.
        summary=contents[parts.index((said, said_as))] if (said, said_as) in parts else _text(said, said_as),
        content=max(contents, key=len, default=""),
        authors=_authors(entry),
        published=_moment(published or updated),
        updated=_moment(updated or published),
        language=entry.get("language") or _detail(entry, "summary", "language") or _detail(entry, "title", "language"),
    )


def _fields(
    *, guid: Any, link: Any, base: str, title: str, summary: str, content: str, **others: Any
) -> dict[str, Any]:
    text, complete = choose(drop_boilerplate(summary), drop_boilerplate(content))
    text = drop_title(text, title)
    others["language"] = language_tag(others["language"])
    return {
        "guid": one_line(str(guid or ""), MAX_ID),
        "link": _web_link(str(link or ""), base) or _web_link(str(guid or ""), ""),
        "title": title,
        "text": text,
        "complete": complete,
        "content_hash": content_hash(title, text),
        **others,
    }


_CUT_OFF = re.compile(r"(?:\.\.\.|…|\[\s*(?:…|\.\.\.|&hellip;)\s*\]|\(\s*more\s*\))\W*$", re.I)


def choose(summary: str, content: str) -> tuple[str, bool]:
    """The better text of an entry, and whether it is likely the whole article and not its first lines only.

    Content that says more than the summary is whole unless it is tiny. A summary is, only when it is long or has
    paragraphs, as feeds without a content element give all in the description.
    """
    if len(content) >= len(summary):
        text, whole = content, 250 if len(content) > 1.2 * len(summary) else 500
    else:
        text, whole = summary, 500 if summary.count("\n\n") >= 2 else 1_500
    return text, len(text) >= whole and not _CUT_OFF.search(text[-40:])


def _web_link(link: str, base: str) -> str:
    link = one_line(link, MAX_ID + 1).replace(" ", "%20")
    try:
        whole = link if link.startswith(("http://", "https://")) or not link else urljoin(base, link)
        parts = urlsplit(whole)
        return whole if parts.scheme in ("http", "https") and parts.hostname and len(whole) <= MAX_ID else ""
    except ValueError:
        return ""


_EMAIL = re.compile(r"\S+@\S+")


def _authors(entry: Any) -> list[str]:
    return _names([author.get("name") or "" for author in _list(entry, "authors")] or [entry.get("author") or ""])


def _names(names: list[Any]) -> list[str]:
    shown = (one_line(_EMAIL.sub("", html_to_text(str(name))), 200).strip("() ,") for name in names)
    return list(dict.fromkeys(name for name in shown if name))


def _moment(parsed: Any) -> str | None:
    if not isinstance(parsed, time.struct_time):
        return None
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return None


_HOURS = re.compile(r"<skipHours\b[^<>]{0,200}>(.{0,2000}?)</skipHours\s*>", re.S | re.I)
_DAYS = re.compile(r"<skipDays\b[^<>]{0,200}>(.{0,2000}?)</skipDays\s*>", re.S | re.I)
_HOUR = re.compile(r"<hour\b[^<>]{0,200}>\s*(\d{1,2})\s*<", re.I)
_DAY = re.compile(r"<day\b[^<>]{0,200}>\s*(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\s*<", re.I)
_WEEK = ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")


def _skip_hours(about: str) -> list[int]:
    """Hours of the day (GMT) at which the feed asks not to be read; midnight is 0, or 24 in RSS 0.91."""
    found = _HOURS.search(about)
    hours = {int(hour) % 24 for hour in _HOUR.findall(found[1]) if int(hour) <= 24} if found else set()
    # Who asks never to be read has not meant it.
    return sorted(hours) if len(hours) < 24 else []


def _skip_days(about: str) -> list[int]:
    """Days of the week, 0 for Monday, at which the feed asks not to be read."""
    found = _DAYS.search(about)
    days = {_WEEK.index(day.lower()) for day in _DAY.findall(found[1])} if found else set()
    return sorted(days) if len(days) < 7 else []


_PERIODS = {"hourly": 3_600, "daily": 86_400, "weekly": 604_800, "monthly": 2_592_000, "yearly": 31_536_000}


def _ttl(feed: Any) -> float | None:
    """Seconds for which the feed may be kept: RSS `ttl`, there in minutes."""
    ttl = str(feed.get("ttl") or "").strip()
    return int(ttl) * 60.0 if ttl.isdecimal() and len(ttl) < 8 else None


def _update_seconds(feed: Any) -> float | None:
    """Seconds between changes, by the syndication module (http://purl.org/rss/1.0/modules/syndication/)."""
    period = _PERIODS.get(str(feed.get("sy_updateperiod") or "").strip().lower())
    times = str(feed.get("sy_updatefrequency") or "1").strip()
    return period / max(int(times), 1) if period and times.isdecimal() and len(times) < 8 else None


def _json_feed(text: str, url: str) -> dict[str, Any]:
    """JSON Feed 1.0 and 1.1 (https://www.jsonfeed.org/version/1.1/)."""
    try:
        feed = json.loads(text, strict=False)
    except RecursionError as error:
        raise NotAFeedError(f"this is not a feed: it is JSON, too deep to read; {error}") from error
    except ValueError as error:
        feed = _json_cut_off(text)
        if not feed["items"]:
            raise NotAFeedError(f"this is not a feed: it begins like JSON, but {str(error)[:200]}") from error
    if not isinstance(feed.get("items"), list) or "jsonfeed.org" not in str(feed.get("version", "")):
        raise NotAFeedError("this is JSON, but not a JSON Feed: it has no version of jsonfeed.org, or no items")
    items = [item for item in feed["items"] if isinstance(item, dict)]
    left_out = max(len(items) - MAX_ENTRIES, 0)
    if left_out and _is_before(items[0].get("date_published"), items[-1].get("date_published")):
        items = items[left_out:]
    return _feed(
        title=one_line(str(feed.get("title") or "")),
        language=feed.get("language"),
        entries=[partial(_json_entry, item, url) for item in items[:MAX_ENTRIES]],
        left_out=left_out,
        ttl=None,
        skip_hours=[],
        skip_days=[],
        update_seconds=None,
    )


_JSON_ITEMS = re.compile(r'"items"\s*:\s*\[')
_JSON_HEAD = re.compile(r'"(version|title|language)"\s*:\s*("(?:[^"\\]|\\.){0,500}")')
_JSON_BETWEEN = re.compile(r"[\s,]*")


def _json_cut_off(text: str) -> dict[str, Any]:
    """What can be read of a JSON Feed that breaks off: its items up to there."""
    decoder = json.JSONDecoder(strict=False)
    start = _JSON_ITEMS.search(text)
    feed: dict[str, Any] = {"items": []}
    if start is None:
        return feed
    with contextlib.suppress(ValueError, RecursionError):
        for name, value in _JSON_HEAD.findall(text[: start.start()]):
            feed[name] = json.loads(value, strict=False)
        at = start.end()
        while between := _JSON_BETWEEN.match(text, at):
            item, at = decoder.raw_decode(text, between.end())
            feed["items"].append(item)
    return feed


def _json_entry(item: dict[str, Any], url: str) -> dict[str, Any]:
    content = item.get("content_html")
    authors = _list(item, "authors") or [item.get("author")]
    published = _iso(item.get("date_published"))
    updated = _iso(item.get("date_modified"))
    return _fields(
        guid=item.get("id"),
        link=item.get("url") or item.get("external_url"),
        base=url,
        title=one_line(str(item.get("title") or "")),
        summary=plain_to_text(str(item.get("summary") or "")),
        content=html_to_text(content)
        if isinstance(content, str)
        else plain_to_text(str(item.get("content_text") or "")),
        authors=_names([author.get("name") or "" for author in authors if isinstance(author, dict)]),
        published=published or updated,
        updated=updated or published,
        language=item.get("language"),
    )


def _iso(stamp: Any) -> str | None:
    try:
        moment = datetime.fromisoformat(str(stamp))
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)).isoformat()
    except (ValueError, OverflowError):
        return None


def _limit(memory: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # No parser has cause to write a file.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """stdin and stdout for our own use, so that nothing that a library prints can get between the answers."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    return cast(BinaryIO, requests), cast(BinaryIO, answers)


if __name__ == "__main__":
    pipes = _take_pipes()
    _limit(int(sys.argv[1]))
    pipes[1].write(b"ready\n")
    pipes[1].flush()
    try:
        main(*pipes)
    except MemoryError:
        # At once: there is no memory to clean up with.
        os._exit(OUT_OF_MEMORY)
