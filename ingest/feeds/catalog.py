"""The catalogue: which feeds there are. TOML for people (`[[feed]]` tables), OPML for exchange with other readers."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from ingest.errors import CatalogError
from ingest.settings import Settings

BUNDLED = Path(__file__).with_name("feeds.toml")
MAX_NAME = 200

_COUNTRY = re.compile(r"[A-Z]{3}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed of the catalogue.

    `name` is its identity: renaming a feed makes its articles new ones, moving it to another `url` does not. `country`
    (of the publisher) is ISO 3166-1 alpha-3, `language` BCP 47. `full_text`: fetch the page behind each entry always
    (true), never (false), or when the feed gives but a summary and the settings allow it (none).
    """

    name: str
    url: str
    country: str | None = None
    language: str | None = None
    publisher: str | None = None
    enabled: bool = True
    full_text: bool | None = None


_FIELDS = {field.name for field in fields(Feed)}


def catalog_path(settings: Settings) -> Path:
    """The user's own catalogue, which may not exist yet: `settings.feeds`, else `feeds.toml` in the data folder."""
    return settings.feeds or settings.data_dir / "feeds.toml"


def catalog_in_force(settings: Settings) -> list[Feed]:
    """The feeds of the user's own catalogue; where there is none, and none was asked for, the bundled ones.

    Raises CatalogError.
    """
    own = catalog_path(settings)
    return load_catalog(own if settings.feeds or own.exists() else BUNDLED)


def load_catalog(path: Path = BUNDLED) -> list[Feed]:
    """The feeds of a TOML catalogue, disabled ones too. Raises CatalogError naming the feed and the field at fault."""
    return _parse_toml(_read(path).decode("utf-8-sig", "replace"), str(path))


def save_catalog(feeds: Sequence[Feed], path: Path) -> None:
    """Write `feeds` as a TOML catalogue, in one step: a reader sees the old file or the new one."""
    _check(feeds, str(path))
    _write(path, "\n".join(map(_table, feeds)))


def add_feed(path: Path, *feeds: Feed) -> None:
    """Add `feeds` to the catalogue at `path`; a missing one starts as a copy of the bundled.

    What is there stays as it is, comments included. Raises CatalogError for a name or URL that is there already.
    """
    text = _own_text(path)
    wanted = [*_parse_toml(text, str(path)), *feeds]
    _check(wanted, str(path))
    tables = "\n".join(map(_table, feeds))
    _write(path, _as_wanted(f"{text.rstrip()}\n\n{tables}".lstrip(), wanted))


def enable_feed(path: Path, name: str, enabled: bool) -> Feed:
    """Set `enabled` of the feed called `name`; a missing catalogue starts as a copy of the bundled.

    The rest of the file stays as it is, comments included. Returns the feed. Raises CatalogError for an unknown name.
    """
    text = _own_text(path)
    feeds = _parse_toml(text, str(path))
    index = next((i for i, feed in enumerate(feeds) if feed.name == name), None)
    if index is None:
        raise CatalogError(f"{path}: there is no feed called {name!r}; `conflictwire feeds list` shows the names")
    feeds[index] = replace(feeds[index], enabled=enabled)
    _write(path, _as_wanted(_edited(text, index, enabled), feeds))
    return feeds[index]


def _own_text(path: Path) -> str:
    return _read(path if path.exists() else BUNDLED).decode("utf-8-sig", "replace")


_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*feed[ \t]*\]\].*$", re.M)
_ENABLED = re.compile(r"^[ \t]*enabled[ \t]*=.*\n?", re.M)


def _edited(text: str, index: int, enabled: bool) -> str:
    """`text` with `enabled` changed in the table of the feed at `index`, where the file is laid out by lines."""
    starts = [header.end() for header in _HEADER.finditer(text)]
    if index >= len(starts):
        return text
    start, end = starts[index], (*starts, len(text))[index + 1]
    line = "" if enabled else "\nenabled = false"
    return text[:start] + line + _ENABLED.sub("", text[start:end]) + text[end:]


def _as_wanted(text: str, wanted: list[Feed]) -> str:
    """`text` if it says what is wanted; else, as its layout was not foreseen, a file of our own layout."""
    try:
        if _parse_toml(text, "") == wanted:
            return text
    except CatalogError:
        pass  # an inline array cannot be added to; a line in a string can look like a table
    return "\n".join(map(_table, wanted))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror or error}") from error


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise CatalogError(f"{path}: cannot be written: {error.strerror or error}") from error


def _parse_toml(text: str, where: str) -> list[Feed]:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CatalogError(f"{where}: not TOML: {error}") from error
    unknown = document.keys() - {"feed"}
    tables = document.get("feed", [])
    if unknown or not isinstance(tables, list):
        what = f"unknown key {min(unknown)!r}" if unknown else "`feed` is no array of tables"
        raise CatalogError(f"{where}: {what}; each feed is a table that begins with [[feed]]")
    feeds = [_feed(table, f"{where}: feed {_label(table, number)}") for number, table in enumerate(tables, 1)]
    _check(feeds, where)
    return feeds


def _label(table: Any, number: int) -> str:
    name = table.get("name") if isinstance(table, dict) else None
    return f"{name!r}" if isinstance(name, str) and name else f"number {number}"


def _feed(table: Any, where: str) -> Feed:
    if not isinstance(table, dict):
        raise CatalogError(f"{where}: is no table; each feed begins with [[feed]]")
    unknown = table.keys() - _FIELDS
    if unknown:
        raise CatalogError(f"{where}: unknown field {min(unknown)!r}; known are {', '.join(sorted(_FIELDS))}")
    for name in ("name", "url"):
        if name not in table:
            raise CatalogError(f"{where}: field {name!r} is missing")
    for name, value in table.items():
        kind = bool if name in ("enabled", "full_text") else str
        if not isinstance(value, kind):
            raise CatalogError(f"{where}: field {name!r} must be a {'boolean' if kind is bool else 'string'}")
    return Feed(**table)


def _check(feeds: Iterable[Feed], where: str) -> None:
    names: set[str] = set()
    urls: dict[str, str] = {}
    for feed in feeds:
        at = f"{where}: feed {feed.name!r}"
        if not feed.name.strip() or len(feed.name) > MAX_NAME or not feed.name.isprintable():
            raise CatalogError(f"{at}: field 'name' must be 1 to {MAX_NAME} printable characters")
        if feed.name in names:
            raise CatalogError(f"{at}: there are two of this name; names tell feeds apart")
        if not _is_web_url(feed.url):
            raise CatalogError(f"{at}: field 'url' must be an http or https URL, not {feed.url[:200]!r}")
        if feed.url in urls:
            raise CatalogError(f"{at}: has the same url as feed {urls[feed.url]!r}")
        if feed.country is not None and not _COUNTRY.fullmatch(feed.country):
            raise CatalogError(f"{at}: field 'country' must be ISO 3166-1 alpha-3, such as UKR, not {feed.country!r}")
        if feed.language is not None and not _LANGUAGE.fullmatch(feed.language):
            raise CatalogError(
                f"{at}: field 'language' must be a BCP 47 tag, such as en or pt-BR, not {feed.language!r}"
            )
        names.add(feed.name)
        urls[feed.url] = feed.name


def _is_web_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        return False


def _table(feed: Feed) -> str:
    lines = ["[[feed]]"]
    for field in fields(Feed):
        value = getattr(feed, field.name)
        if value != field.default:
            lines.append(f"{field.name} = {str(value).lower() if isinstance(value, bool) else _quoted(value)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A TOML basic string differs from a JSON string only in that DEL must be escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# The attributes that OPML has no name for, in a namespace of ours, so that export and import lose nothing.
_OURS = "https://github.com/conflictwire/opml"


def read_opml(data: bytes) -> list[Feed]:
    """The feeds of an OPML document, however deep its outlines are nested. Raises CatalogError.

    A feed's publisher, language and country are taken where the document gives them; the language else the enclosing
    outline's. A second feed of one name gets a number, a second one of a URL is left out. Documents with a DTD are
    refused, as entities have no use in OPML but to harm.
    """
    feeds: list[Feed] = []
    names: set[str] = set()
    urls: set[str] = set()

    def refuse_dtd(*_: object) -> None:
        raise CatalogError("OPML: documents with a DTD are not read")

    def start(tag: str, attributes: dict[str, str]) -> None:
        if not roots:
            roots.append(tag)
        if tag.lower() != "outline":
            return
        values = {name.rpartition("}")[2].lower(): value.strip() for name, value in attributes.items()}
        url = values.get("xmlurl", "")
        if not url or url in urls:
            return
        if not _is_web_url(url):
            where = values.get("text", "")[:100]
            raise CatalogError(f"OPML: outline {where!r}: xmlUrl is no http or https URL: {url[:200]!r}")
        shown = (_printable(each) for each in (values.get("text", ""), values.get("title", "")))
        name = _unused(next(filter(None, shown), urlsplit(url).hostname or url[:MAX_NAME]), names)
        country, language = values.get("country", "").upper(), values.get("language", "").replace("_", "-")
        feeds.append(
            Feed(
                name=name,
                url=url,
                country=country if _COUNTRY.fullmatch(country) else None,
                language=language if _LANGUAGE.fullmatch(language) else None,
                publisher=values.get("publisher") or None,
                enabled=values.get("enabled", "true").lower() != "false",
                full_text={"true": True, "false": False}.get(values.get("fulltext", "").lower()),
            )
        )
        names.add(name)
        urls.add(url)

    roots: list[str] = []
    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartDoctypeDeclHandler = refuse_dtd
    parser.StartElementHandler = start
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise CatalogError(f"OPML: not well-formed XML: {error}") from error
    if roots and roots[0].lower() != "opml":
        raise CatalogError(f"OPML: the document is <{roots[0][:100]}>, not <opml>")
    return feeds


def _printable(text: str) -> str:
    return "".join(mark if mark.isprintable() else " " for mark in text)[: MAX_NAME - len(" (10000)")].strip()


def _unused(name: str, names: set[str]) -> str:
    candidate, number = name, 1
    while candidate in names:
        number += 1
        candidate = f"{name} ({number})"
    return candidate


def write_opml(feeds: Sequence[Feed]) -> str:
    """`feeds` as an OPML 2.0 document, in one outline a country; `read_opml` gives the same feeds back."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<opml version="2.0" xmlns:cw="{_OURS}">',
        "  <head><title>Conflictwire feeds</title></head>",
        "  <body>",
    ]
    for country in dict.fromkeys(feed.country for feed in feeds):
        lines.append(f"    <outline text={quoteattr(country or 'International')}>")
        lines += [f"      {_outline(feed)}" for feed in feeds if feed.country == country]
        lines.append("    </outline>")
    return "\n".join([*lines, "  </body>", "</opml>", ""])


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
