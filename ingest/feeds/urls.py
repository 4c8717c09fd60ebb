"""URLs in one form, to compare with and not to fetch, and whose they are. Pure functions of the string; none raises.

Two spellings of one page should give one form, and two articles of a site must never: only what is known to say nothing
is dropped (`urls.toml`). References: RFC 3986 section 6, the AMP cache URL format, the Public Suffix List.
"""

from __future__ import annotations

import base64
import binascii
import re
import tomllib
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

_DATA = tomllib.loads(Path(__file__).with_name("urls.toml").read_text("utf-8"))
_PARAMETERS = _DATA["parameters"]
_TRACKING_PREFIXES = tuple(_PARAMETERS["tracking_prefixes"])
_TRACKING = frozenset(_PARAMETERS["tracking"])
_SUSPECT = frozenset(_PARAMETERS["suspect"])
_SUSPECT_VALUES = frozenset(_PARAMETERS["suspect_values"])
_SUSPECT_SESSIONS = frozenset(_PARAMETERS["suspect_sessions"])
_PUBLISHERS_BELOW = frozenset(_DATA["hosts"]["publishers_below"])
_CARRIERS = frozenset(_DATA["hosts"]["carriers"])
_WRAPPERS = {host: wrapper for wrapper in _DATA["wrapper"] for host in wrapper["hosts"]}

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_VARIANTS = "|".join(map(re.escape, _DATA["hosts"]["variants"]))
_HOST_VARIANT = re.compile(rf"^(?:{_VARIANTS})\.(?=[^.]+\.)")
_MOBILE_INSIDE = re.compile(r"^([a-z]{2,3})\.m\.(?=[^.]+\.)")  # en.m.wikipedia.org
_GOOGLE = re.compile(r"(?:^|\.)google\.[a-z.]{2,7}$")
_AMP_CACHE = re.compile(r"^/(?:[a-z]/)?(?:amp/)?(s/)?([^/]+\.[^/]+)(/.*)?$")
_AMP_PART = re.compile(r"(?:/amp/?|\.amp)$|\.amp(?=\.html?$)|(?<=/)amp/(?=[^/]+/?$)|(?<=^/)amp/(?=.)")
_YAHOO_TARGET = re.compile(r"/RU=([^/]+)/")
_NEWS_TOKEN = re.compile(r"/(?:articles|read)/(CBM[\w-]{20,})$")
_INDEX = re.compile(r"/(?:index|default)\.(?:[sx]?html?|php\d?|aspx?|jspx?|cfm|cgi|do)$", re.I)
_SESSION_IN_PATH = re.compile(r";(?:jsessionid|phpsessid|sid|sessionid)=[^/;]*|/\([SAFX]\([^/()]*\)\)(?=/)", re.I)
_SLASHES = re.compile("//+")
_DRAWN_BY_LOT = re.compile(r"(?=.*\d)(?=.*[a-z])[a-z0-9]{20,}", re.I)

_KEPT_IN_PATH = "/:@!$&'()*+,;="
_KEPT_IN_QUERY = "/:@!$'()*+,;=?"


def canonical_url(url: str) -> str:
    """The one form of all the URLs under which a page is known.

    Lower case scheme and host; no default port, user, fragment, `www.`, mobile or AMP variant, index file, trailing,
    double slash or session; percent-encoding and dot segments normalised; tracking parameters dropped, the others
    sorted. Redirects whose target stands in the URL are followed (AMP caches, search engines, Google News). The scheme
    stays, and so does a fragment that begins with "!". Idempotent. A string that is no http(s) URL comes back stripped.
    """
    # What a URL wraps is shorter than the URL, so this ends; and what is cut away can make another wrapper of the rest.
    while True:
        canonical = _canonical(url)
        if canonical == url:
            return canonical
        url = canonical


def _canonical(url: str) -> str:
    url = url.strip()
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        return url
    plain = (host or "").rstrip(".").lower()
    if scheme not in _DEFAULT_PORTS or not plain:
        return url
    path = without_dots(escaped(parts.path, _KEPT_IN_PATH)) or "/"
    path = path if path.startswith("/") else f"/{path}"
    target = _target(plain, path, parts.query)
    if target is not None and len(target) < len(url):
        return target
    host = f"[{plain}]" if ":" in plain else _host(plain)
    if port is not None and str(port) != _DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    path = _path(path)
    query = ""
    if parts.query:
        pairs = [escaped(pair, _KEPT_IN_QUERY) for pair in parts.query.split("&")]
        query = "&".join(sorted(pair for pair in pairs if not _is_tracking(pair)))
    # "#!" names a page of its own on sites that draw themselves by script.
    fragment = escaped(parts.fragment, _KEPT_IN_QUERY + "&") if parts.fragment.startswith("!") else ""
    return urlunsplit((scheme, host, path, query, fragment))


def escaped(part: str, safe: str) -> str:
    """`part` with percent-encoding in its one normal form (RFC 3986, 6.2.2)."""

    def normal(found: re.Match[str]) -> str:
        code = int(found[1], 16)
        return chr(code) if code in _UNRESERVED else found[0].upper()

    if "%" in part:
        part = _ESCAPE.sub(normal, _STRAY_PERCENT.sub("%25", part))
    return quote(part, safe="%" + safe, errors="replace")


def without_dots(path: str) -> str:
    """`path` without "." and ".." segments (RFC 3986, 5.2.4)."""
    if "/." not in path and not path.startswith("."):
        return path
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def _path(path: str) -> str:
    """`path` without what only dresses it up; again and again, as one cut can lay bare the next."""
    while True:
        shorter = _SLASHES.sub("/", _SESSION_IN_PATH.sub("", path) if "(" in path or ";" in path else path)
        shorter = _INDEX.sub("/", _AMP_PART.sub("", shorter))
        if len(shorter) > 1 and shorter.endswith("/"):
            shorter = shorter[:-1]
        if shorter == path:
            return path
        path = shorter or "/"


def _is_tracking(pair: str) -> bool:
    name, _, value = pair.partition("=")
    name = name.lower()
    return (
        not pair
        or name in _TRACKING
        or name.startswith(_TRACKING_PREFIXES)
        or (name in _SUSPECT and value.lower() in _SUSPECT_VALUES)
        or (name in _SUSPECT_SESSIONS and _DRAWN_BY_LOT.fullmatch(value) is not None)
    )


@lru_cache(4096)
def _host(name: str) -> str:
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            name = quote(name, safe="", errors="replace").lower()
    while True:
        shorter = _MOBILE_INSIDE.sub(r"\1.", _HOST_VARIANT.sub("", name))
        if shorter == name:
            return name
        name = shorter


def _target(host: str, path: str, query: str) -> str | None:
    """The URL that stands in one of a page that only leads there; None where it is no such page."""
    google = host.endswith("google.com") or _GOOGLE.search(host) is not None
    if host.endswith(".ampproject.org") or (google and path.startswith("/amp/")) or host.endswith("bing-amp.com"):
        inner = _AMP_CACHE.match(path)
        if inner:
            return f"{'https' if inner[1] else 'http'}://{inner[2]}{inner[3] or '/'}{f'?{query}' if query else ''}"
    if google and path == "/url":
        return _from_query(query, ("url", "q"))
    if host == "news.google.com" and (token := _NEWS_TOKEN.search(path)):
        return _from_token(token[1])
    if host.endswith("search.yahoo.com") and (target := _YAHOO_TARGET.search(path)):
        return _web(unquote(target[1]))
    wrapper = _WRAPPERS.get(_host(host))
    if wrapper is None:
        below = _WRAPPERS.get(host.partition(".")[2])
        wrapper = below if below and below.get("below") else None
    if wrapper and ("paths" not in wrapper or path in wrapper["paths"]):
        return _from_query(query, wrapper["parameters"])
    return None


def _from_query(query: str, names: list[str] | tuple[str, ...]) -> str | None:
    values: dict[str, str] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        values.setdefault(name.lower(), value)
    return next((found for name in names if (found := _web(unquote(values.get(name, ""))))), None)


def _from_token(token: str) -> str | None:
    """The URL in the older tokens of Google News: Base64 of a message whose fourth field is the URL."""
    try:
        message = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (ValueError, binascii.Error):
        return None
    if message[:3] != b"\x08\x13\x22" or len(message) < 6:
        return None
    size, start = message[3], 4
    if size & 0x80:
        size, start = size & 0x7F | message[4] << 7, 5
    target = message[start : start + size]
    return _web(target.decode("ascii")) if target.isascii() else None


def _web(target: str) -> str | None:
    return target if target.lower().startswith(("http://", "https://")) else None


def link_key(url: str) -> str:
    """The canonical form without scheme and port: what two links to one page have in common. Empty for an empty string.

    A port is where a server happens to listen, as intranets and tests move theirs.
    """
    canonical = canonical_url(url)
    rest = canonical.split("://", 1)[1] if "://" in canonical else canonical
    return _PORT.sub(r"\g<host>", rest, count=1)


_PORT = re.compile(r"^(?P<host>[^/?#@:\[\]]*|\[[^\]/?#]*\]):\d+(?=[/?#]|$)")


_WORD = re.compile(r"[^-_.+%]+")


def names_one_article(key: str) -> bool:
    """Whether `key` (see `link_key`) looks like the link of one article and not of a front page or section.

    Its last segment has a digit, or is long, or has four words and more, or it has parameters: an id, a date, a headline.
    """
    path, _, query = key.partition("?")
    last = path.partition("/")[2].rpartition("/")[2]
    return bool(query) or "#!" in key or len(last) >= 24 or any(map(str.isdigit, last)) or len(_WORD.findall(last)) >= 4


def is_front_page(key: str) -> bool:
    """Whether `key` (see `link_key`) names a whole site, which is no article."""
    return key.endswith("/") and key.count("/") == 1


@lru_cache(16_384)
def registrable_domain(host: str) -> str:
    """The part of `host` that somebody registered (`bbc.co.uk`), by the Public Suffix List's bundled snapshot.

    An address, a name without a suffix known to the list and a suffix itself come back as they are, in lower case.
    """
    # The list takes a tenth of a second, and the parser processes never ask.
    from tld import get_fld

    plain = host.strip().rstrip(".").lower()
    name = plain if ":" in plain else _ascii(plain)
    try:
        found = get_fld(f"http://{name}/", fail_silently=True, search_private=True)
    except ValueError:
        found = None
    return str(found) if found else name


def _ascii(host: str) -> str:
    try:
        return host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        return host


def publisher_scope(feed: str, url: str, publisher: str | None) -> str:
    """Within what an article is one and the same, by a feed's name, URL and publisher in the catalogue.

    All feeds of a publisher where the catalogue names it, else all feeds of the registrable domain; a feed by itself
    where many publishers share the domain. Never by where entries link to: any feed may link to anything, and whoever
    does so must not be able to revise the articles of others.
    """
    if publisher and (words := " ".join(publisher.split()).casefold()):
        return f"publisher {words}"
    try:
        host = (urlsplit(url.strip()).hostname or "").rstrip(".").lower()
    except ValueError:
        host = ""
    domain = registrable_domain(host)
    if not domain or domain in _CARRIERS or _GOOGLE.search(domain):
        return f"feed {feed}"
    return f"domain {_host(host) if domain in _PUBLISHERS_BELOW else domain}"
