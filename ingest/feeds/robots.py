"""What a site's robots.txt lets us fetch (RFC 9309), remembered for a day.

Its own code, as the file is hostile: Protego takes minutes and gigabytes for 100 kB of many user agents with many rules,
and keeps every group; urllib.robotparser knows no wildcards and takes the first match, not the longest. Here time and
memory grow linearly with the file, and only the rules that concern us are kept.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote
from weakref import WeakValueDictionary

from ingest.errors import FetchError

MAX_BYTES = 512_000
"""Of a robots.txt; what follows is not read (RFC 9309, 2.5: at least 500 kibibytes)."""
FRESH = 86_400.0
"""Seconds until a robots.txt is fetched again (RFC 9309, 2.4)."""
RETRY = 3_600.0
"""Seconds until one that could not be fetched is tried again."""
MAX_DELAY = 10.0
"""Seconds: a longer Crawl-delay (no part of RFC 9309) counts as this."""

_MAX_KEPT = 20_000_000  # characters of the rules of all sites together
_MAX_SITES = 50_000


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one site for us: a line each, `+` (allow) or `-` (disallow) and the pattern. `delay` in seconds."""

    lines: str = ""
    delay: float = 0.0

    def allow(self, path: str) -> bool:
        """Whether `path` (with its query, percent-encoded) may be fetched: as the longest rule that fits says.

        `allow` wins against an equally long `disallow`, and where no rule fits (RFC 9309, 2.2.2).
        """
        if not self.lines or path == "/robots.txt":
            return True
        path = _normal(path).replace("*", "%2A").replace("$", "%24")
        best, allowed = 0, True
        for line in self.lines.split("\n"):
            length, allows = len(line), line[0] == "+"
            if (length > best or (length == best and allows)) and _fits(line[1:], path):
                best, allowed = length, allows
        return allowed


ALLOW_ALL = Rules()
DENY_ALL = Rules("-/")


def parse_robots(text: str, agent: str) -> Rules:
    """The rules in a robots.txt for the product token `agent`: those of its groups, or else of the groups for `*`.

    Lines that are no rules are skipped, whatever they are.
    """
    ours: dict[bool, list[str]] = {True: [], False: []}
    delays = {True: 0.0, False: 0.0}
    named = False
    group: set[bool] = set()  # True: the group names us; False: it is for all
    heading = False
    for line in re.split(r"[\r\n]+", text.removeprefix("\ufeff")):
        key, colon, value = line.partition("#")[0].partition(":")
        key, value = key.strip().lower(), value.strip()
        if not colon:
            continue
        if key == "user-agent":
            if not heading:
                group = set()
            heading = True
            token = re.match(r"[A-Za-z_-]*", value)
            if token and token[0].lower() == agent.lower():
                named = True
                group.add(True)
            elif value.startswith("*"):
                group.add(False)
        elif key in ("allow", "disallow"):
            heading = False
            if value and group:
                rule = ("+" if key == "allow" else "-") + _pattern(value)
                for which in group:
                    ours[which].append(rule)
        elif key == "crawl-delay":
            heading = False
            for which in group:
                delays[which] = max(delays[which], _seconds(value))
    # In their order and each once: sites repeat themselves.
    return Rules("\n".join(dict.fromkeys(ours[named])), delays[named])


def rules_without(error: FetchError) -> Rules:
    """What holds where robots.txt could not be had: all is allowed if there is none, nothing if the site is in trouble.

    RFC 9309, 2.3.1: 4xx answers and endless redirects mean that there is none; 5xx and a site that cannot be reached
    forbid all. So does 429, though a 4xx: it asks for fewer requests.
    """
    none = error.kind == "redirect" or (error.kind == "http" and 400 <= (error.status or 0) < 500)
    return ALLOW_ALL if none and error.status != 429 else DENY_ALL


class RobotsCache:
    """The rules of many sites for the product token `agent`, each fetched once a day. Bounded; the longest unused goes.

    `load` fetches the robots.txt at a URL, or raises FetchError. Times are in seconds since 1970.
    """

    def __init__(self, agent: str, clock: Callable[[], float] = time.time) -> None:
        self.agent = agent
        self._clock = clock
        self._sites: OrderedDict[str, tuple[Rules, float]] = OrderedDict()
        self._size = 0
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def delay(self, origin: str) -> float:
        """The Crawl-delay of a site, where it is known, else 0."""
        kept = self._sites.get(origin)
        return kept[0].delay if kept else 0.0

    async def rules(self, origin: str, load: Callable[[str], Awaitable[bytes]]) -> Rules:
        """The rules of the site `origin` (scheme, host and port), fetched if they are unknown or a day old.

        If fetching fails, the old ones go on to hold. Raises FetchError for a site on a private address.
        """
        lock = self._locks.setdefault(origin, asyncio.Lock())
        async with lock:
            old = self._sites.get(origin)
            if old is None or old[1] <= self._clock():
                try:
                    raw = await load(f"{origin}/robots.txt")
                except FetchError as error:
                    if error.kind == "private_address":
                        raise
                    rules = rules_without(error)
                    wait = FRESH if rules is ALLOW_ALL else RETRY
                    if old is not None and rules is DENY_ALL:
                        rules = old[0]
                else:
                    rules, wait = parse_robots(_whole_lines(raw).decode("utf-8", "replace"), self.agent), FRESH
                self._keep(origin, rules, self._clock() + wait)
            self._sites.move_to_end(origin)
            return self._sites[origin][0]

    def _keep(self, origin: str, rules: Rules, until: float) -> None:
        old = self._sites.pop(origin, None)
        self._size += len(rules.lines) - (len(old[0].lines) if old else 0)
        self._sites[origin] = (rules, until)
        while len(self._sites) > 1 and (self._size > _MAX_KEPT or len(self._sites) > _MAX_SITES):
            _, (gone, _) = self._sites.popitem(last=False)
            self._size -= len(gone.lines)

    def write(self, path: Path) -> None:
        """Save what is known, for the next process. Raises OSError."""
        now = self._clock()
        sites = {origin: [r.lines, r.delay, until] for origin, (r, until) in self._sites.items() if until > now}
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(json.dumps({"agent": self.agent, "sites": sites}), encoding="utf-8")
        partial.replace(path)

    def read(self, path: Path) -> None:
        """Take up what `write` saved for the same agent. A file that is missing or damaged is as good as empty."""
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            sites = [
                (str(origin), Rules(str(r), float(d)), float(until)) for origin, (r, d, until) in saved["sites"].items()
            ]
            if saved["agent"] != self.agent:
                return
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return
        for origin, rules, until in sites:
            self._keep(origin, rules, until)


def _whole_lines(raw: bytes) -> bytes:
    # A rule cut short would say more than its author did.
    return raw if len(raw) < MAX_BYTES else raw[:MAX_BYTES].rpartition(b"\n")[0]


def _seconds(text: str) -> float:
    try:
        delay = float(text)
    except ValueError:
        return 0.0
    return min(delay, MAX_DELAY) if math.isfinite(delay) and delay > 0 else 0.0


_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_KEPT = "".join(map(chr, range(0x21, 0x7F)))


def _normal(text: str) -> str:
    """Percent-encoded in one way only (RFC 9309, 2.2.2), so that equal paths are equal strings."""

    def escape(found: re.Match[str]) -> str:
        mark = unquote(found[0], "latin-1")
        return mark if mark in _UNRESERVED else found[0].upper()

    return _ESCAPE.sub(escape, quote(text, safe=_KEPT, errors="replace"))


def _pattern(value: str) -> str:
    value = _normal(value)
    inner, end = (value[:-1], "$") if value.endswith("$") else (value, "")
    return re.sub(r"\*+", "*", inner.replace("$", "%24")) + end


def _fits(pattern: str, path: str) -> bool:
    """Whether `pattern` fits the beginning of `path`: `*` stands for anything, `$` at the end for the end.

    Takes the first place for each part, which fits if any does: no search back and forth, hence linear.
    """
    whole = pattern.endswith("$")
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    if not others:
        return not whole or path == first
    at = len(first)
    for part in others[:-1]:
        found = path.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    last = others[-1]
    return (path.endswith(last) and len(path) - len(last) >= at) if whole else path.find(last, at) >= 0
