"""The catalogue: which feeds there are, as people write it down.

A TOML file of `[[feed]]` tables. `include = ["africa.toml", "regions/*.toml"]` at its head takes in the feeds of other
files, named relative to it, which may include others in turn. See `opml.py` for exchange with other readers.
"""

from __future__ import annotations

import glob
import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ingest.errors import CatalogError
from ingest.settings import Settings

BUNDLED = Path(__file__).with_name("feeds.toml")
MAX_NAME = 200
MAX_URL = 4_096
MAX_FOLDERS = 16
"""Folders in one another."""
MAX_INCLUDES = 32
"""Files that include one another in a row."""

_COUNTRY = re.compile(r"[A-Z]{3}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed of the catalogue.

    `name` is its identity: renaming a feed makes its articles new ones, moving it to another `url` does not. `country`
    (of the publisher) is ISO 3166-1 alpha-3, `language` BCP 47. `full_text`: fetch the page behind each entry always
    (true), never (false), or when the feed gives but a summary and the settings allow it (none). `folder` is where feed
    readers show it, those in one another with slashes between: `Africa/Sahel`.
    """

    name: str
    url: str
    country: str | None = None
    language: str | None = None
    publisher: str | None = None
    enabled: bool = True
    full_text: bool | None = None
    folder: str | None = None


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
    """The feeds of a TOML catalogue and of the files it includes, disabled ones too.

    Raises CatalogError naming file, line, feed and field at fault; of two feeds with one name or URL, both places.
    """
    return [placed.feed for placed in _load(path)]


def save_catalog(feeds: Sequence[Feed], path: Path) -> None:
    """Write `feeds` as a TOML catalogue, in one step: a reader sees the old file or the new one."""
    _check(_Placed(feed, path, number, str(path)) for number, feed in enumerate(feeds))
    _write(path, "\n".join(map(_table, feeds)))


def add_feed(path: Path, *feeds: Feed) -> None:
    """Add `feeds` to the catalogue at `path`; a missing one starts as a copy of the bundled.

    What is there stays as it is, comments included. Raises CatalogError for a name or URL that is there already.
    """
    start = path if path.exists() else BUNDLED
    _check([*_load(start), *(_Placed(feed, path, -1, f"{path}: to be added") for feed in feeds)])
    text = _text(start)
    own = _parse_toml(text, str(start))
    tables = "\n".join(map(_table, feeds))
    _write(path, _as_wanted(f"{text.rstrip()}\n\n{tables}".lstrip(), own._replace(feeds=[*own.feeds, *feeds])))


def enable_feed(path: Path, name: str, enabled: bool) -> Feed:
    """Set `enabled` of the feed called `name`, in the file that has it: the catalogue at `path` or one it includes.

    A missing catalogue starts as a copy of the bundled. The rest of the file stays as it is, comments included. Returns
    the feed. Raises CatalogError for an unknown name.
    """
    start = path if path.exists() else BUNDLED
    found = next((placed for placed in _load(start) if placed.feed.name == name), None)
    if found is None:
        raise CatalogError(f"{path}: there is no feed called {name!r}; `conflictwire feeds list` shows the names")
    changed = replace(found.feed, enabled=enabled)
    text = _text(found.path)
    wanted = _parse_toml(text, str(found.path))
    wanted.feeds[found.number] = changed
    _write(path if found.path == BUNDLED else found.path, _as_wanted(_edited(text, found.number, enabled), wanted))
    return changed


def url_key(url: str) -> str:
    """What two spellings of one feed's URL have in common: all but protocol, the host's case, default port, fragment."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port in (None, 80, 443) else f":{parts.port}"
    except ValueError:
        return url
    return f"{parts.hostname or ''}{port}{parts.path or '/'}?{parts.query}"


class _Placed(NamedTuple):
    """A feed and where it stands: by `number` in the file `path`; `place` says so to people."""

    feed: Feed
    path: Path
    number: int
    place: str


class _File(NamedTuple):
    """What one file says; `places` are those of its feeds."""

    include: list[str]
    feeds: list[Feed]
    places: list[str]


def _load(path: Path) -> list[_Placed]:
    placed = list(_collect(path, (), set()))
    _check(placed)
    return placed


def _collect(path: Path, chain: tuple[Path, ...], seen: set[Path]) -> Iterable[_Placed]:
    """The feeds of the file `path`, which the last of `chain` includes, and of what it includes; each file once."""
    seen.add(path.resolve())
    content = _parse_toml(_text(path), str(path))
    for index, (feed, place) in enumerate(zip(content.feeds, content.places, strict=True)):
        yield _Placed(feed, path, index, place)
    chain = (*chain, path)
    for pattern in content.include:
        for included in _matching(path, pattern):
            if included.resolve() in [each.resolve() for each in chain]:
                names = ", which includes ".join(map(str, (*chain, included)))
                raise CatalogError(f"{path}: `include` goes in a circle: {names}")
            if len(chain) > MAX_INCLUDES:
                raise CatalogError(f"{path}: more than {MAX_INCLUDES} files include one another")
            if included.resolve() not in seen:
                yield from _collect(included, chain, seen)


def _matching(path: Path, pattern: str) -> list[Path]:
    """The files that `pattern` in the `include` of the file `path` means, in the order of their names."""
    wanted = str(Path(pattern).expanduser())
    if not glob.has_magic(wanted):
        found = path.parent / wanted
        if not found.is_file():
            what = "is a folder; name its files, as in FOLDER/*.toml" if found.is_dir() else "is not there"
            raise CatalogError(f"{path}: `include` names {pattern!r}, but {found} {what}")
        return [found]
    # Path.glob takes no absolute pattern.
    names = sorted(glob.glob(wanted, root_dir=path.parent, recursive=True))  # noqa: PTH207
    files = [file for name in names if (file := path.parent / name).is_file() and file.resolve() != path.resolve()]
    if not files:
        raise CatalogError(f"{path}: `include` names {pattern!r}, but no other file in {path.parent} matches it")
    return files


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig", "replace")
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read: {error.strerror or error}") from error


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


def _as_wanted(text: str, wanted: _File) -> str:
    """`text` if it says what is wanted; else, as its layout was not foreseen, a file of our own layout."""
    try:
        if _parse_toml(text, "")[:2] == wanted[:2]:
            return text
    except CatalogError:
        pass  # an inline array cannot be added to; a line in a string can look like a table
    head = [f"include = [{', '.join(map(_quoted, wanted.include))}]\n"] if wanted.include else []
    return "\n".join([*head, *map(_table, wanted.feeds)])


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise CatalogError(f"{path}: cannot be written: {error.strerror or error}") from error


def _parse_toml(text: str, where: str) -> _File:
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CatalogError(f"{where}: not TOML: {error}") from error
    include, tables = document.get("include", []), document.get("feed", [])
    unknown = document.keys() - {"feed", "include"}
    if unknown or not isinstance(tables, list):
        what = f"unknown key {min(unknown)!r}" if unknown else "`feed` is no array of tables"
        raise CatalogError(f"{where}: {what}; each feed is a table that begins with [[feed]]")
    if not isinstance(include, list) or not all(isinstance(each, str) and each.strip() for each in include):
        raise CatalogError(f'{where}: `include` must be an array of files, such as ["africa.toml", "regions/*.toml"]')
    places = _places(text, len(tables), where)
    numbered = enumerate(zip(tables, places, strict=True), 1)
    feeds = [_feed(table, f"{place}: feed {_label(table, number)}") for number, (table, place) in numbered]
    return _File(include, feeds, places)


def _places(text: str, count: int, where: str) -> list[str]:
    """Where each of `count` feeds stands, with its line where the file is laid out by lines."""
    headers = list(_HEADER.finditer(text))
    if len(headers) != count:
        return [where] * count
    places, line, at = [], 1, 0
    for header in headers:
        line += text.count("\n", at, header.start())
        at = header.start()
        places.append(f"{where}:{line}")
    return places


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


def _check(placed: Iterable[_Placed]) -> None:
    names: dict[str, str] = {}
    urls: dict[str, _Placed] = {}
    for each in placed:
        feed, at = each.feed, f"{each.place}: feed {each.feed.name!r}"
        if fault := fault_of(feed):
            raise CatalogError(f"{at}: {fault}")
        if feed.name in names:
            other = names[feed.name]
            raise CatalogError(f"{at}: there are two of this name, the other at {other}; names tell feeds apart")
        if same := urls.get(url_key(feed.url)):
            raise CatalogError(f"{at}: has the same url as feed {same.feed.name!r} at {same.place}")
        names[feed.name] = each.place
        urls[url_key(feed.url)] = each


def fault_of(feed: Feed) -> str | None:
    """What is wrong with a feed, the field named; None where nothing is."""
    if not feed.name.strip() or len(feed.name) > MAX_NAME or not feed.name.isprintable():
        return f"field 'name' must be 1 to {MAX_NAME} printable characters"
    if not is_web_url(feed.url):
        return f"field 'url' must be an http or https URL, not {feed.url[:200]!r}"
    if feed.country is not None and not _COUNTRY.fullmatch(feed.country):
        return f"field 'country' must be ISO 3166-1 alpha-3, such as UKR, not {feed.country!r}"
    if feed.language is not None and not _LANGUAGE.fullmatch(feed.language):
        return f"field 'language' must be a BCP 47 tag, such as en or pt-BR, not {feed.language!r}"
    if feed.folder is not None and not _is_folder(feed.folder):
        return (
            f"field 'folder' must be up to {MAX_FOLDERS} printable names of up to {MAX_NAME} characters with slashes "
            f"between, such as Africa/Sahel, not {feed.folder[:200]!r}"
        )
    return None


def _is_folder(text: str) -> bool:
    names = text.split("/")
    return (
        text.isprintable()
        and len(names) <= MAX_FOLDERS
        and all(name == name.strip() and 0 < len(name) <= MAX_NAME for name in names)
    )


def is_web_url(url: str) -> bool:
    """Whether a catalogue takes `url`: http or https, with a host, without characters that do not print."""
    try:
        parts = urlsplit(url)
        return (
            len(url) <= MAX_URL
            and parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and url.isprintable()
        )
    except ValueError:
        return False


def as_web_url(text: str) -> str:
    """`text` without the `feed:` in front of it by which browsers once called feed readers."""
    found = re.match(r"feed:(//)?(?=(https?://)?)", text.strip(), re.I)
    if not found:
        return text.strip()
    return text.strip()[found.end() :] if found[2] else f"http://{text.strip()[found.end() :]}"


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
