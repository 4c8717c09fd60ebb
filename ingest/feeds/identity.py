"""Which article an entry is, and whether it says something new: pure functions of the entry and what is known.

Identity must outlive what servers change without meaning anything by it: tracking parameters, numbered fragments, the
protocol, the order of entries, guids that are made anew for each answer, the feed of the publisher that an entry is in.

An article is known by keys, each a digest: of its guid, of its link. The first of them is its `article_id`, so that the
same entry gets the same id without any memory; the others are remembered as aliases.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from ingest.feeds.content import digest, normalise
from ingest.feeds.urls import is_front_page, link_key, names_one_article
from ingest.storage.values import Alias, Known

if TYPE_CHECKING:
    from ingest.feeds.parse import ParsedEntry

MAX_REVISIONS = 24
"""An article that changes more often than that is a ticker: later changes are not followed."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How the articles of a feed get their ids.

    `feed` is its name, `scope` that of its publisher (`urls.publisher_scope`). The rest is remembered of its last pull:
    `former_scope` the scope at that time, None before the first; `guids_trusted` whether its guids have proved to mean
    anything.
    """

    feed: str
    scope: str
    former_scope: str | None = None
    guids_trusted: bool = True


@dataclass(frozen=True, slots=True)
class Keys:
    """What an entry's article may be known by: 32 hex digits each, or empty where there is no such thing.

    `guid`; `page`, the link, where within the pull it stands for one article, and `one_article` whether it looks like
    the link of one; `plain`, by all but the guid: link, link and title, or title and content. `former` are those under
    a scope that the feed had before. `here` is no name of the article: it marks what this feed has given already.
    `repeats`: the guid stands on other articles of the pull too (`guid` has the link in it then).
    """

    guid: str
    page: str
    plain: str
    here: str
    one_article: bool
    repeats: bool = False
    former: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Publication:
    """An entry to publish as `known.revision` of `known.article_id`, as of the feed `known.feed`, and to remember so."""

    known: Known
    entry: ParsedEntry
    status: Literal["new", "updated"]

    @property
    def article_id(self) -> str:
        """See `known`."""
        return self.known.article_id

    @property
    def revision(self) -> int:
        """See `known`."""
        return self.known.revision

    @property
    def last(self) -> bool:
        """Whether this is the last revision that is followed: to be said, and as it is published once, said once."""
        return self.known.revision == MAX_REVISIONS


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to publish of a pull, and what to remember once it is: `aliases`, and `guids_trusted` with the feed.

    `articles` is how many different ones the pull has, new and known.
    """

    publications: list[Publication] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    guids_trusted: bool = True
    articles: int = 0


# What programs write where they have no guid.
_NO_GUID = frozenset("0 -1 none null nil undefined false nan n/a #".split())
_UNIQUE_EVERYWHERE = re.compile(r"(?:tag|urn):.{8,}|\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?", re.I)


def _is_url(guid: str) -> bool:
    return guid.strip()[:8].lower().startswith(("http://", "https://"))


def _guid_key(guid: str) -> str:
    """A guid that is a URL is compared as one, but its fragment may tell posts of one page apart.

    A fragment of digits counts updates of the same article (the BBC's "#0", "#1"). The URL of a whole site names no
    article.
    """
    guid = guid.strip()
    if not _is_url(guid):
        return "" if guid.lower() in _NO_GUID else guid
    page, mark, fragment = guid.partition("#")
    key = link_key(page) + ("" if fragment.isdecimal() else mark + fragment)
    return "" if is_front_page(key) else key


def keys_of(naming: Naming, entries: Sequence[ParsedEntry]) -> list[Keys]:
    """The keys of each entry of one pull, in the order of `entries`.

    A guid is the feed's own unless it is a URL, `tag:`, `urn:` or UUID; where it stands on entries with different links,
    it counts together with the link. A link counts together with the title where it stands under different titles, and
    not at all where different guids share it, or where it is that of a whole site.
    """
    links = [link_key(entry.link) if entry.link else "" for entry in entries]
    links = ["" if is_front_page(link) else link for link in links]
    guids = [_guid_key(entry.guid) if entry.guid else "" for entry in entries]
    titles = [normalise(entry.title) for entry in entries]
    spellings, titles_of_guid = grouped(guids, (entry.guid for entry in entries)), grouped(guids, titles)
    # Then the fragments count posts of the page, and not updates of an article.
    posts = {guid for guid in guids if len(spellings[guid]) > 1 and len(titles_of_guid[guid]) > 1}
    guids = [entry.guid.strip() if guid in posts else guid for guid, entry in zip(guids, entries, strict=True)]
    links_of_guid, titles_of_guid = grouped(guids, links), grouped(guids, titles)
    titles_of_link = grouped(links, titles)
    guids_of_link = grouped(links, guids)

    def keys(scope: str, guid: str, link: str, title: str, entry: ParsedEntry) -> Keys:
        several = len(titles_of_guid[guid]) > 1
        repeats = bool(guid) and several and (len(links_of_guid[guid]) > 1 or not link)
        is_url = _is_url(entry.guid)
        within = scope if is_url or _UNIQUE_EVERYWHERE.fullmatch(guid) else f"feed {naming.feed}"
        if not guid:
            by_guid = ""
        elif len(links_of_guid[guid]) > 1 or (several and not link):
            by_guid = digest(within, "guid", guid, link or title)
        else:
            # As good as a link, so that other feeds' links find it; but not where here the link is another entry's.
            is_link = is_url and not _is_url(guid) and guids_of_link.get(guid, {guid}) == {guid}
            by_guid = digest(within, "page" if is_link else "guid", guid)
        one_title = len(titles_of_link[link]) == 1
        by_link = digest(scope, "page", link) if link else ""
        if link:
            plain = by_link if one_title else digest(scope, "page", link, title)
        else:
            plain = digest(f"feed {naming.feed}", "content", title, entry.content_hash)
        shared = len(guids_of_link[link]) > 1
        by_page = by_link if not shared and (one_title or guid) else ""
        return Keys(
            guid=by_guid,
            page=by_page,
            plain=plain,
            here=digest(f"feed {naming.feed}", "here", by_page or by_guid or plain),
            one_article=bool(by_page) and names_one_article(link),
            repeats=repeats,
        )

    rows = list(zip(guids, links, titles, entries, strict=True))
    found = [keys(naming.scope, *row) for row in rows]
    if naming.former_scope is None:
        # Read here, as the parser processes have no use for it.
        from ingest.feeds.former import former_ids

        ids = former_ids(naming.feed, entries)
        return [replace(each, former=(former,)) for each, former in zip(found, ids, strict=True)]
    if naming.former_scope != naming.scope:
        before = (keys(naming.former_scope, *row) for row in rows)
        return [replace(each, former=_named(old, True)) for each, old in zip(found, before, strict=True)]
    return found


def grouped(keys: Iterable[str], values: Iterable[str]) -> dict[str, set[str]]:
    """The different values that stand beside each key."""
    groups: dict[str, set[str]] = defaultdict(set)
    for key, value in zip(keys, values, strict=True):
        groups[key].add(value)
    return groups


def lookups(keys: Iterable[Keys]) -> list[str]:
    """The keys to ask the store for, each once."""
    asked = {key for each in keys for key in (each.guid, each.page, each.plain, each.here, *each.former)}
    return sorted(asked - {""})


def guids_prove_themselves(
    naming: Naming, entries: Sequence[ParsedEntry], keys: Sequence[Keys], found: Mapping[str, Known]
) -> bool:
    """Whether the guids of a feed mean anything, judged by one pull and what is known. Once they do not, for good.

    They do not where more entries than not, and at least two, have a new guid on a link that this feed has had (guids
    with times, sessions or random numbers), or a guid that was another link's or another text's (counters of the place
    in the feed), or share their guid with others of the pull (the guid of a category).
    """
    if not naming.guids_trusted:
        return False
    repeated = 0
    kept: dict[str, bool] = {}
    for entry, each in zip(entries, keys, strict=True):
        repeated += each.repeats
        if not each.guid or not each.page or each.guid == each.page or each.repeats:
            continue
        by_guid, by_page = found.get(each.guid), found.get(each.page)
        if by_page and by_page.feed != naming.feed and each.here not in found:
            by_page = None  # known of another feed alone, whose guids may be others
        if by_guid and by_page:
            same = by_guid.article_id == by_page.article_id
        elif by_guid:
            same = by_guid.content_hash == entry.content_hash
        elif by_page:
            same = False
        else:
            continue
        # Of several entries with one guid, one that has it as it was is enough.
        kept[each.guid] = kept.get(each.guid, False) or same
    changed = len(kept) - sum(kept.values())
    return not (changed >= 2 and changed * 2 > len(kept)) and not (repeated >= 2 and repeated * 2 > len(keys))


def _named(keys: Keys, guids_trusted: bool) -> tuple[str, ...]:
    """What an entry's article is looked for by, the surest first."""
    if not guids_trusted or not keys.guid:
        return (keys.plain,)
    return (keys.guid, keys.page) if keys.one_article else (keys.guid,)


def article_ids(keys: Sequence[Keys], found: Mapping[str, Known], guids_trusted: bool) -> list[str]:
    """The `article_id` of each entry of a pull: that of the article known, else one made of its link, or its guid."""
    ids = []
    for each in keys:
        names = _named(each, guids_trusted)
        known = next((found[name] for name in (*names, *each.former) if name in found), None)
        # The link, where it says enough, is what the publisher's other feeds have too.
        ids.append(known.article_id if known else names[-1])
    return ids


def judge(naming: Naming, entries: Sequence[ParsedEntry], keys: Sequence[Keys], found: Mapping[str, Known]) -> Verdict:
    """What of one pull to publish and what to remember, given what the store has for its `lookups`.

    New articles as revision 1, changed ones as the next revision up to MAX_REVISIONS, nothing that only looks different.
    What another feed of the publisher had first stays that feed's: what this one gives for it counts when it changes,
    and not because the two word it differently.
    """
    trusted = guids_prove_themselves(naming, entries, keys, found)
    ids = article_ids(keys, found, trusted)
    given = set(ids)
    verdict = Verdict(guids_trusted=trusted, articles=len(given))
    known_by_id = {known.article_id: known for known in found.values()}
    aliases: dict[str, Alias] = {}
    for article_id, each in zip(ids, keys, strict=True):
        # The link is remembered also where it does not decide: to see later whether guids change.
        for key in (*_named(each, trusted), each.page if trusted else ""):
            if key and key not in found and key not in given:
                aliases.setdefault(key, Alias(key, article_id))
    for article_id, place in newest(ids, entries).items():
        entry, here = entries[place], keys[place].here
        known = known_by_id.get(article_id)
        if known is None:
            fresh = Known(article_id, 1, entry.content_hash, naming.feed)
            verdict.publications.append(Publication(fresh, entry, "new"))
            continue
        own = known.feed == naming.feed
        marked = found.get(here)
        said = known.content_hash if own else marked.said if marked and marked.article_id == article_id else None
        if said is not None and says_the_same(said, entry):
            continue
        if not own:
            aliases[here] = Alias(here, article_id, entry.content_hash)
        if said is None or known.content_hash == entry.content_hash or known.revision >= MAX_REVISIONS:
            continue
        # Where this feed gave the same text as the first, it is taken to be ahead of it with the new one.
        taken = entry.content_hash if own or said == known.content_hash else known.content_hash
        update = replace(known, revision=known.revision + 1, content_hash=taken, said=None)
        verdict.publications.append(Publication(update, entry, "updated"))
    verdict.aliases.extend(aliases.values())
    return verdict


def says_the_same(content_hash: str, entry: ParsedEntry) -> bool:
    """Whether `entry` says what the text with this hash said, whichever version of the hash that is."""
    if content_hash == entry.content_hash:
        return True
    from ingest.feeds.former import former_content_hash

    return content_hash == former_content_hash(entry.title, entry.text)


def newest(ids: Sequence[str], entries: Sequence[ParsedEntry]) -> dict[str, int]:
    """The place of one entry an article: of several the latest by its dates, the first where these are equal."""
    chosen: dict[str, int] = {}
    for place, article_id in enumerate(ids):
        rival = chosen.setdefault(article_id, place)
        if _age(entries[place]) > _age(entries[rival]):
            chosen[article_id] = place
    return chosen


def _age(entry: ParsedEntry) -> datetime:
    return entry.updated or entry.published or datetime.min.replace(tzinfo=UTC)
