"""Article ids as they were given before articles were one within a publisher: the code of that time, not to be changed.

Stores of that time know articles by these ids alone. The first pull of a feed whose state tells of no other (see
`identity.Naming`) looks for them and gives its articles their present keys besides; what is no longer in the feed then
is not met again, but for feeds that repeat months-old entries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from ingest.feeds.content import digest, normalise
from ingest.feeds.identity import grouped
from ingest.feeds.urls import escaped, without_dots

if TYPE_CHECKING:
    from ingest.feeds.parse import ParsedEntry

_TRACKING_PREFIXES = ("utm_", "at_", "hsa_", "mtm_", "pk_", "wt.", "guce_", "oly_", "vero_", "ns_", "__twitter")
_TRACKING = frozenset(
    "_ga _gl _hsenc _hsmi amp cmp cmpid dclid dicbo emci emdi fbclid fb_action_ids fb_action_types fb_source ftag gclid "
    "gclsrc gbraid guccounter icid igsh igshid int_campaign int_medium int_source ito maca mc_cid mc_eid mkt_tok "
    "mod msclkid ncid ocid ref_src ref_url referringsource rss s_cid sh_kit smid smtyp soc_src soc_trk spm sref srnd "
    "taid traffic_source trk twclid wbraid xtor yclid ysclid".split()
)
# Harmless names that carry tracking when they say so.
_TRACKING_VALUES = re.compile(r"(?:rss|feed|feeds|rssfeed|atom|twitter|facebook|newsletter|amp|\d?rss\d?)", re.I)
_TRACKING_IF_VALUE = frozenset("ref source src from partner emc via feed outputtype output feedtype origin".split())

_DEFAULT_PORTS = {"http": "80", "https": "443"}
_HOST_ALIAS = re.compile(r"^(?:www\d?|m|mobile|amp)\.(?=[^.]+\.)")
_MOBILE_INSIDE = re.compile(r"^([a-z]{2,3})\.m\.(?=[^.]+\.)")  # en.m.wikipedia.org
_GOOGLE = re.compile(r"(?:^|\.)google\.[a-z.]{2,7}$")
_AMP_CACHE = re.compile(r"^/(?:[a-z]/)?(?:amp/)?(s/)?([^/]+\.[^/]+)(/.*)?$")
_AMP_END = re.compile(r"(?:/amp/?|\.amp)$|\.amp(?=\.html?$)|(?<=/)amp/(?=[^/]+$)")


def _is_tracking(pair: str) -> bool:
    name, _, value = pair.partition("=")
    name = name.lower()
    return (
        not pair
        or name in _TRACKING
        or name.startswith(_TRACKING_PREFIXES)
        or (name in _TRACKING_IF_VALUE and _TRACKING_VALUES.fullmatch(value) is not None)
    )


def _host(name: str) -> str:
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            name = quote(name, safe="").lower()
    while True:
        shorter = _MOBILE_INSIDE.sub(r"\1.", _HOST_ALIAS.sub("", name))
        if shorter == name:
            return name
        name = shorter


def _canonical_url(url: str) -> str:
    wrapped = True
    while wrapped:  # an AMP cache may wrap another; what it wraps is shorter
        url, wrapped = _canonical(url)
    return url


def _canonical(url: str) -> tuple[str, bool]:
    url = url.strip()
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        return url, False
    plain = (host or "").rstrip(".").lower()
    if scheme not in _DEFAULT_PORTS or not plain:
        return url, False
    path = without_dots(escaped(parts.path, "/:@!$&'()*+,;=")) or "/"
    path = path if path.startswith("/") else f"/{path}"
    if plain.endswith(".ampproject.org") or (_GOOGLE.search(plain) and path.startswith("/amp/")):
        inner = _AMP_CACHE.match(path)
        if inner:
            query = f"?{parts.query}" if parts.query else ""
            return f"{'https' if inner[1] else 'http'}://{inner[2]}{inner[3] or '/'}{query}", True
    host = f"[{plain}]" if ":" in plain else _host(plain)
    if port is not None and str(port) != _DEFAULT_PORTS[scheme]:
        host = f"{host}:{port}"
    while (shorter := _AMP_END.sub("", path)) != path:
        path = shorter or "/"
    pairs = [escaped(pair, "/:@!$'()*+,;=?") for pair in parts.query.split("&")]
    query = "&".join(sorted(pair for pair in pairs if not _is_tracking(pair)))
    # "#!" names a page of its own on sites that draw themselves by script.
    fragment = escaped(parts.fragment, "/:@!$&'()*+,;=?") if parts.fragment.startswith("!") else ""
    return urlunsplit((scheme, host, path, query, fragment)), False


def _guid_key(guid: str) -> str:
    """A guid that is a URL is compared as one, but its fragment may tell posts of one page apart.

    A fragment of digits counts updates of the same article (the BBC's "#0", "#1").
    """
    page, mark, fragment = guid.strip().partition("#")
    if not page.lower().startswith(("http://", "https://")):
        return guid.strip()
    return _link_key(page) + ("" if fragment.isdecimal() else mark + fragment)


def _link_key(link: str) -> str:
    canonical = _canonical_url(link)
    return canonical.split("://", 1)[1] if "://" in canonical else canonical


def former_ids(feed: str, entries: Sequence[ParsedEntry]) -> list[str]:
    """The `article_id` that each entry of one pull of `feed` (its name) had, in the order of `entries`."""
    links = [_link_key(entry.link) if entry.link else "" for entry in entries]
    guids = [_guid_key(entry.guid) if entry.guid else "" for entry in entries]
    titles = [normalise(entry.title) for entry in entries]
    spellings_of_guid = grouped(guids, (entry.guid for entry in entries))
    links_of_guid = grouped(guids, links)
    titles_of_guid = grouped(guids, titles)
    titles_of_link = grouped((link if not guid else "" for link, guid in zip(links, guids, strict=True)), titles)

    def key(guid: str, link: str, title: str, entry: ParsedEntry) -> tuple[str, ...]:
        if guid:
            if len(spellings_of_guid[guid]) > 1 and len(titles_of_guid[guid]) > 1:
                return "guid", entry.guid
            if len(links_of_guid[guid]) > 1:
                return "guid+link", guid, link or title
            if links_of_guid[guid] == {""} and len(titles_of_guid[guid]) > 1:
                return "guid+title", guid, title
            return "guid", guid
        if link:
            return ("link", link) if len(titles_of_link[link]) == 1 else ("link+title", link, title)
        return "content", title, entry.content_hash

    return [
        digest(feed, *key(guid, link, title, entry))
        for guid, link, title, entry in zip(guids, links, titles, entries, strict=True)
    ]


def former_content_hash(title: str, text: str) -> str:
    """The content hash of that time."""
    return digest(normalise(title), normalise(text))
