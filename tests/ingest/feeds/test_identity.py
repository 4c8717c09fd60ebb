"""Which article an entry is, and whether it says something new."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feeds.content import content_hash
from ingest.feeds.former import former_content_hash, former_ids
from ingest.feeds.identity import (
    MAX_REVISIONS,
    Naming,
    Verdict,
    article_ids,
    judge,
    keys_of,
    lookups,
    newest,
)
from ingest.feeds.parse import ParsedEntry
from ingest.storage.values import Alias, Known

SCOPE = "publisher one"


def entry(guid: str = "", link: str = "", title: str = "Title", text: str = "Text.", **more: Any) -> ParsedEntry:
    return ParsedEntry(guid, link, title, text, complete=True, content_hash=content_hash(title, text), **more)


class Memory:
    """What the store keeps between pulls, and a pull as the puller does it."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.aliases: dict[str, Alias] = {}
        self.feeds: dict[str, tuple[str, bool]] = {}

    def found(self, wanted: Sequence[str]) -> dict[str, Known]:
        aliases = [self.aliases[key] for key in wanted if key in self.aliases]
        found = {alias.key: replace(self.known[alias.article_id], said=alias.said) for alias in aliases}
        return found | {key: self.known[key] for key in wanted if key in self.known}

    def naming(self, feed: str, scope: str = SCOPE) -> Naming:
        former_scope, trusted = self.feeds.get(feed, (None, True))
        return Naming(feed, scope, former_scope, trusted)

    def pull(self, feed: str, entries: Sequence[ParsedEntry], scope: str = SCOPE) -> Verdict:
        naming = self.naming(feed, scope)
        keys = keys_of(naming, entries)
        found = self.found(lookups(keys))
        verdict = judge(naming, entries, keys, found)
        self.known |= {each.known.article_id: each.known for each in verdict.publications}
        assert not {alias.key for alias in verdict.aliases} & self.known.keys()
        self.aliases |= {alias.key: alias for alias in verdict.aliases}
        assert {alias.article_id for alias in verdict.aliases} <= self.known.keys()
        self.feeds[feed] = (scope, verdict.guids_trusted)
        return verdict

    def told(self, feed: str, *entries: ParsedEntry, scope: str = SCOPE) -> list[tuple[str, int]]:
        """The titles published by a pull, with their revisions."""
        return [(each.entry.title, each.known.revision) for each in self.pull(feed, entries, scope).publications]


def ids_of(feed: str, entries: Sequence[ParsedEntry]) -> list[str]:
    return article_ids(keys_of(Naming(feed, SCOPE), entries), {}, guids_trusted=True)


# Each case: entries (guid, link, title) and the groups that are one article, by index.
CASES = {
    "guid alone": ([("1", "", "A"), ("2", "", "B")], [[0], [1]]),
    "guid before link": ([("1", "http://e.org/a", "A"), ("2", "http://e.org/a", "A")], [[0], [1]]),
    "a repeated entry": ([("1", "http://e.org/a", "A"), ("1", "http://e.org/a", "A")], [[0, 1]]),
    "an edited entry": ([("1", "http://e.org/a", "A"), ("1", "http://e.org/a", "B")], [[0, 1]]),
    "one guid, other links": ([("1", "http://e.org/a", "A"), ("1", "http://e.org/b", "B")], [[0], [1]]),
    "one guid, no links": ([("1", "", "A"), ("1", "", "B"), ("1", "", "B")], [[0], [1, 2]]),
    "guid with tracking": ([("http://e.org/a?utm_source=x", "", "A"), ("http://e.org/a", "", "A")], [[0, 1]]),
    "guid with a counted fragment": ([("http://e.org/a#0", "", "A"), ("http://e.org/a#1", "", "A")], [[0, 1]]),
    "posts on one page, with links": (
        [("http://e.org/live-1#0", "http://e.org/live-1", "A"), ("http://e.org/live-1#1", "http://e.org/live-1", "B")],
        [[0], [1]],
    ),
    "one link of an article, other guids": (
        [("1", "http://e.org/a-12345", "A"), ("2", "http://e.org/a-12345", "B")],
        [[0], [1]],
    ),
    "guids that say nothing": ([("None", "http://e.org/a", "A"), ("none", "http://e.org/b", "B")], [[0], [1]]),
    "the site as guid": (
        [("http://e.org/", "http://e.org/a", "A"), ("http://e.org", "http://e.org/b", "B")],
        [[0], [1]],
    ),
    "the guid of a category": ([("war", "http://e.org/a", "A"), ("war", "http://e.org/b", "B")], [[0], [1]]),
    "posts on one page": ([("http://e.org/a#0", "", "A"), ("http://e.org/a#1", "", "B")], [[0], [1]]),
    "guid with a named fragment": ([("http://e.org/a#x", "", "A"), ("http://e.org/a#y", "", "A")], [[0], [1]]),
    "guid of the other protocol": ([("http://e.org/a", "", "A"), ("https://www.e.org/a", "", "A")], [[0, 1]]),
    "link alone": ([("", "http://e.org/a", "A"), ("", "http://e.org/b", "A")], [[0], [1]]),
    "link with tracking": ([("", "http://e.org/a?utm_source=x", "A"), ("", "https://m.e.org/a#c", "A")], [[0, 1]]),
    "one link, other titles": ([("", "http://e.org/", "A"), ("", "http://e.org/", "B")], [[0], [1]]),
    "title alone": ([("", "", "A"), ("", "", "a!"), ("", "", "B")], [[0, 1], [2]]),
}


@pytest.mark.parametrize(("entries", "groups"), CASES.values(), ids=CASES)
def test_entries_are_told_apart(entries: list[tuple[str, str, str]], groups: list[list[int]]) -> None:
    ids = ids_of("feed", [entry(guid, link, title) for guid, link, title in entries])
    assert [[i for i, each in enumerate(ids) if each == one] for one in dict.fromkeys(ids)] == groups
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in ids)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("", "https://e.org/story-1"), ("", "http://www.e.org/story-1/?utm_source=x"), True),
        (("7", "https://e.org/story-1"), ("9", "https://e.org/story-1#c"), True),
        (("https://e.org/?p=1", "https://e.org/story-1"), ("https://e.org/?p=1", "https://e.org/story-1"), True),
        (("https://e.org/?p=1", ""), ("https://e.org/?p=1", ""), True),
        (("tag:e.org,2026:story", ""), ("tag:e.org,2026:story", ""), True),
        (("0c4f9f0e-6b5c-4a3e-9d5e-0e8f8a1b2c3d", ""), ("0c4f9f0e-6b5c-4a3e-9d5e-0e8f8a1b2c3d", ""), True),
        (("1", ""), ("1", ""), False),
        (("1", "https://e.org/news"), ("1", "https://e.org/news"), False),
        (("", ""), ("", ""), False),
    ],
)
def test_an_entry_in_two_feeds_of_a_publisher_is_one_article(
    one: tuple[str, str], other: tuple[str, str], same: bool
) -> None:
    assert (ids_of("one", [entry(*one)]) == ids_of("other", [entry(*other)])) is same


def test_publishers_do_not_share_articles() -> None:
    entries = [entry("tag:e.org,2026:story", "https://e.org/story-1")]
    memory = Memory()
    assert memory.told("one", *entries, scope="domain e.org") == [("Title", 1)]
    # Whoever links to the article of another must not be able to revise it.
    assert memory.told("two", entry(entries[0].guid, entries[0].link, "Lie"), scope="domain f.org") == [("Lie", 1)]
    assert memory.told("one", *entries, scope="domain e.org") == []


GUIDS = st.sampled_from(["", "1", "2", "http://e.org/a", "http://e.org/a#1", "http://e.org/b", "tag:e.org,2026:12345"])
LINKS = st.sampled_from(
    ["", "http://e.org/", "http://e.org/a", "http://e.org/a?utm_id=1", "http://e.org/b", "http://e.org/a-story-to-tell"]
)
ENTRIES = st.builds(entry, GUIDS, LINKS, st.sampled_from(["A", "B", ""]), st.sampled_from(["x", "y"]))
# No guid here is the URL of another entry: nobody could tell which of the two is meant.
TIDY = ENTRIES.filter(lambda each: not each.guid.startswith("http") or each.link in ("", "http://e.org/a"))
PULLS = st.lists(st.tuples(st.sampled_from(["one", "two"]), st.lists(TIDY, max_size=6)), max_size=5)


@given(st.lists(ENTRIES, max_size=8), st.randoms(use_true_random=False))
def test_identity_does_not_depend_on_the_order_of_entries(entries: list[ParsedEntry], order: random.Random) -> None:
    shuffled = list(enumerate(entries))
    order.shuffle(shuffled)
    ids = dict(zip((i for i, _ in shuffled), ids_of("feed", [each for _, each in shuffled]), strict=True))
    assert dict(enumerate(ids_of("feed", entries))) == ids


@given(st.lists(ENTRIES, max_size=8))
def test_a_changed_text_leaves_entries_with_a_guid_or_link_the_same_articles(entries: list[ParsedEntry]) -> None:
    kept = [each for each in entries if each.guid or each.link not in ("", "http://e.org/")]
    edited = [entry(each.guid, each.link, each.title, "Quite another text.") for each in kept]
    assert ids_of("feed", kept) == ids_of("feed", edited)


def dressed(each: ParsedEntry, order: random.Random) -> ParsedEntry:
    """The entry as a site may give it the next time without having touched it."""
    link = each.link and order.choice([each.link, each.link.replace("http:", "https:"), f"{each.link}#top"])
    if link.endswith(("a", "b")):
        link = order.choice([link, f"{link}/", f"{link}?utm_source=rss&fbclid=1", f"{link}/index.html", f"{link}/amp"])
    text = order.choice(
        [each.text, f"  {each.text}\n", f"Updated 5 min ago\n\n{each.text}", f"{each.text}\n\n12 comments"]
    )
    return entry(each.guid, link, order.choice([each.title, f" {each.title}!"]), text)


@given(st.lists(ENTRIES, max_size=8), st.randoms(use_true_random=False))
def test_what_is_pulled_again_in_other_dress_and_order_is_nothing_new(
    entries: list[ParsedEntry], order: random.Random
) -> None:
    memory = Memory()
    memory.pull("feed", entries)
    again = [dressed(each, order) for each in entries]
    # Of two entries of one article the first counts, where there are no dates.
    ids = article_ids(keys_of(memory.naming("feed"), entries), {}, memory.naming("feed").guids_trusted)
    if len(set(ids)) == len(ids):
        order.shuffle(again)
    assert memory.pull("feed", again).publications == []


@given(PULLS)
def test_whatever_feeds_do_the_memory_holds_together(pulls: list[tuple[str, list[ParsedEntry]]]) -> None:
    memory = Memory()
    for feed, entries in pulls:
        before = dict(memory.known)
        for each in memory.pull(feed, entries).publications:
            former = before.get(each.known.article_id)
            assert each.known.revision == (former.revision + 1 if former else 1)
            assert each.known.feed == (former.feed if former else feed)
        # The same again, at once, is never news.
        assert memory.pull(feed, entries).publications == []


def story(number: int, guid: str | None = None, title: str = "", text: str = "") -> ParsedEntry:
    return entry(
        f"id-{number}" if guid is None else guid,
        f"https://e.org/news/story-{number}",
        title or f"Story {number}",
        text or f"What happened in story {number}.",
    )


@pytest.mark.parametrize(
    "guid",
    [
        lambda pull, number: f"{number}-20261124{pull:04}",  # times
        lambda pull, number: f"session{pull}:{number}",
        lambda pull, number: f"https://e.org/get?t={pull}&n={number}",
        lambda pull, number: str(pull * 100 + number),  # counters
        lambda pull, number: str(10 + pull - number),  # the place in the feed
    ],
    ids=["time", "session", "URL", "counter", "place"],
)
def test_guids_that_change_at_each_pull_make_no_new_articles(guid: Any) -> None:
    memory = Memory()
    for pull in range(5):
        # Two leave at the end of the feed and two come at its top each time.
        stories = [story(number, guid(pull, number)) for number in reversed(range(2 * pull, 2 * pull + 10))]
        new = 10 if pull == 0 else 2
        assert memory.told("feed", *stories) == [(each.title, 1) for each in stories[:new]]
    assert memory.feeds["feed"] == (SCOPE, False)
    # From then on nothing more is remembered of the guids.
    assert memory.pull("feed", [story(number, f"other-{number}") for number in range(12, 18)]).aliases == []
    assert memory.told("feed", story(17, "new", "Story 17, corrected")) == [("Story 17, corrected", 2)]


def test_counters_of_the_place_are_known_also_when_the_whole_feed_has_turned_over() -> None:
    memory = Memory()
    assert len(memory.told("feed", *(story(number, str(number % 5)) for number in range(5)))) == 5
    assert len(memory.told("feed", *(story(number, str(number % 5)) for number in range(5, 10)))) == 5


def test_stable_guids_stay_trusted() -> None:
    memory = Memory()
    for pull in range(4):
        memory.pull("feed", [story(number) for number in range(pull, pull + 10)])
    # A new headline often gives a new link; one of ten with a new guid is an edit; then a move to another domain.
    moved = replace(story(8), link="https://e.org/news/another-headline-8")
    edited = story(9, "id-9.2", text="What happened, corrected.")
    assert memory.told("feed", *map(story, range(4, 8)), moved, edited) == [("Story 9", 2)]
    elsewhere = [replace(story(n), link=f"https://new.example/{n}") for n in range(4, 8)]
    assert memory.told("feed", *elsewhere) == []
    assert memory.feeds["feed"] == (SCOPE, True)


def test_entries_that_share_the_link_of_a_section_are_told_apart_by_guid_over_pulls() -> None:
    memory = Memory()
    for number in range(5):
        alert = entry(f"alert-{number}", "https://e.org/alerts", f"Alert {number}")
        assert memory.told("feed", alert) == [(f"Alert {number}", 1)]


def test_guids_of_categories_are_no_guids() -> None:
    memory = Memory()
    memory.pull("feed", [story(1, "war"), story(2, "war"), story(3, "peace"), story(4, "peace")])
    assert memory.told("feed", story(5, "war")) == [("Story 5", 1)]
    assert memory.told("feed", story(5, "war"), story(6, "war")) == [("Story 6", 1)]


def test_an_entry_that_moves_between_feeds_stays_the_article_of_the_first() -> None:
    memory = Memory()
    assert memory.told("front", story(1)) == [("Story 1", 1)]
    assert memory.told("world", story(1, "w-1"), story(2, "w-2")) == [("Story 2", 1)]
    (update,) = memory.pull("world", [story(1, "w-1", text="What happened, corrected.")]).publications
    assert (update.known.feed, update.known.revision, update.entry.guid) == ("front", 2, "w-1")
    # The first feed says the same some minutes later.
    assert memory.told("front", story(1, text="What happened, corrected.")) == []


def test_two_feeds_that_word_one_article_differently_do_not_revise_it_in_turns() -> None:
    memory = Memory()
    full, cut = story(1, text="What happened in story 1. And more."), story(1, "w-1", text="What happened…")
    assert memory.told("front", full) == [("Story 1", 1)]
    for _ in range(3):
        assert memory.told("world", cut) == []
        assert memory.told("front", full) == []
    corrected = story(1, "w-1", text="What really happened…")
    assert memory.told("world", corrected) == [("Story 1", 2)]
    for _ in range(3):
        assert memory.told("front", full) == []
        assert memory.told("world", corrected) == []


def test_another_feed_with_guids_of_its_own_is_not_taken_for_one_whose_guids_change() -> None:
    memory = Memory()
    memory.pull("front", [story(number) for number in range(5)])
    assert memory.pull("world", [story(number, f"w-{number}") for number in range(5)]).publications == []
    assert memory.feeds["world"] == (SCOPE, True)


def test_an_old_entry_with_a_new_date_is_no_new_article() -> None:
    memory = Memory()
    memory.pull("feed", [replace(story(1), published=day(1)), story(2)])
    memory.pull("feed", [story(3)])
    assert memory.told("feed", replace(story(1), published=day(20), updated=day(21)), story(3)) == []


def test_a_feed_may_move_to_another_domain_or_get_a_publisher() -> None:
    memory = Memory()
    stories = [story(1), entry("", "https://e.org/b", "B"), entry("https://e.org/?p=1", "", "C")]
    assert len(memory.told("feed", *stories, scope="domain e.org")) == 3
    assert memory.told("feed", *stories, scope="publisher e") == []
    assert memory.told("other", *stories, scope="publisher e") == []
    assert memory.told("feed", story(1, text="Corrected."), *stories[1:], scope="publisher e") == [("Story 1", 2)]


@given(st.lists(ENTRIES, max_size=8))
def test_stores_of_before_go_on(entries: list[ParsedEntry]) -> None:
    memory = Memory()
    former = former_ids("feed", entries)
    for article_id, place in newest(former, entries).items():
        each = entries[place]
        memory.known[article_id] = Known(article_id, 3, former_content_hash(each.title, each.text), "feed")
    # Entries that are one article now and were several: one of them is met, and it may say something else.
    if len(set(former)) == len(entries) == len(set(ids_of("feed", entries))):
        assert memory.pull("feed", entries).publications == []
        assert memory.feeds["feed"][0] == SCOPE
        assert memory.pull("feed", entries).publications == []
    else:
        assert all(each.status == "updated" for each in memory.pull("feed", entries).publications)


def test_articles_of_before_keep_their_ids() -> None:
    memory = Memory()
    # The form of this link is another today.
    old = entry("", "https://e.org/news/story/index.html", "Story")
    (article_id,) = former_ids("feed", [old])
    memory.known[article_id] = Known(article_id, 1, former_content_hash(old.title, old.text), "feed")
    assert memory.told("feed", old) == []
    (update,) = memory.pull("feed", [entry(old.guid, old.link, "Story", "Corrected.")]).publications
    assert (update.known.article_id, update.known.revision) == (article_id, 2)
    assert memory.told("other", old) == []


def day(number: int) -> datetime:
    return datetime(2026, 11, number, tzinfo=UTC)


@pytest.mark.parametrize(
    ("dates", "chosen"),
    [
        ([{"updated": day(1)}, {"updated": day(2)}], 1),
        ([{"updated": day(2)}, {"updated": day(1)}], 0),
        ([{"published": day(1)}, {"published": day(1), "updated": day(2)}], 1),
        ([{}, {}], 0),
        ([{}, {"published": day(1)}], 1),
    ],
)
def test_of_entries_of_one_article_the_latest_counts(dates: list[dict[str, datetime]], chosen: int) -> None:
    entries = [entry("1", text=f"Version {number}", **each) for number, each in enumerate(dates)]
    assert newest(["id", "id"], entries) == {"id": chosen}


A, B = entry("1", text="A"), entry("1", text="B")


@pytest.mark.parametrize(
    ("revision", "content", "decision"),
    [
        (0, "", (1, "new", False)),
        (1, A.content_hash, None),
        (7, A.content_hash, None),
        (7, former_content_hash(A.title, A.text), None),
        (1, B.content_hash, (2, "updated", False)),
        (MAX_REVISIONS - 2, B.content_hash, (MAX_REVISIONS - 1, "updated", False)),
        (MAX_REVISIONS - 1, B.content_hash, (MAX_REVISIONS, "updated", True)),
        (MAX_REVISIONS, B.content_hash, None),
    ],
)
def test_only_what_is_new_is_published(revision: int, content: str, decision: tuple[int, str, bool] | None) -> None:
    memory = Memory()
    (article_id,) = ids_of("feed", [A])
    if revision:
        memory.known[article_id] = Known(article_id, revision, content, "feed")
    publications = memory.pull("feed", [A]).publications
    assert [(each.revision, each.status, each.last) for each in publications] == ([decision] if decision else [])
    assert all(each.article_id == article_id and each.entry is A for each in publications)


def test_the_last_revision_is_said_once() -> None:
    memory = Memory()
    published = [memory.pull("feed", [story(1, text=f"Version {number}")]).publications for number in range(40)]
    assert [len(each) for each in published] == [1] * MAX_REVISIONS + [0] * (40 - MAX_REVISIONS)
    assert [each.last for (each,) in published[:MAX_REVISIONS]] == [False] * (MAX_REVISIONS - 1) + [True]
