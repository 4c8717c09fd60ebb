"""Which article an entry is, and whether it says something new."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.feeds.identity import (
    MAX_REVISIONS,
    canonical_url,
    content_hash,
    decide,
    identify,
    newest_of_each,
    normalise,
)
from ingest.feeds.parse import ParsedEntry
from ingest.storage import Known


def entry(guid: str = "", link: str = "", title: str = "Title", text: str = "Text.", **more: Any) -> ParsedEntry:
    return ParsedEntry(guid, link, title, text, complete=True, content_hash=content_hash(title, text), **more)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.org", "https://example.org/"),
        (" HTTPS://Example.ORG:443/News ", "https://example.org/News"),
        ("http://example.org:80/a", "http://example.org/a"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("https://user:secret@example.org/a", "https://example.org/a"),
        ("https://www.example.org/a", "https://example.org/a"),
        ("https://m.example.org/a", "https://example.org/a"),
        ("https://mobile.example.org/a", "https://example.org/a"),
        ("https://amp.example.org/a", "https://example.org/a"),
        ("https://en.m.wikipedia.org/wiki/A", "https://en.wikipedia.org/wiki/A"),
        ("https://m.com/a", "https://m.com/a"),
        ("https://example.org./a", "https://example.org/a"),
        ("https://example.org/a#part", "https://example.org/a"),
        ("https://example.org/#!/a", "https://example.org/#!/a"),
        ("https://example.org/a/../b/./c", "https://example.org/b/c"),
        ("https://example.org/a/..", "https://example.org/"),
        ("https://example.org/%7euser/%c3%a9", "https://example.org/~user/%C3%A9"),
        ("https://example.org/é à", "https://example.org/%C3%A9%20%C3%A0"),
        ("https://example.org/100%", "https://example.org/100%25"),
        ("https://bücher.example/a", "https://xn--bcher-kva.example/a"),
        ("https://example.org/a?b=2&a=1", "https://example.org/a?a=1&b=2"),
        ("https://example.org/a?", "https://example.org/a"),
        ("https://example.org/a?utm_source=rss&utm_medium=feed&id=5", "https://example.org/a?id=5"),
        ("https://example.org/a?at_medium=RSS&at_campaign=X", "https://example.org/a"),
        ("https://example.org/a?fbclid=1&gclid=2&id=3&mc_cid=4", "https://example.org/a?id=3"),
        ("https://example.org/a?%75tm_source=x", "https://example.org/a"),
        ("https://example.org/a?ref=rss&ref=5", "https://example.org/a?ref=5"),
        ("https://example.org/a?source=twitter&from=page2", "https://example.org/a?from=page2"),
        ("https://www.dw.com/en/x/a-1?maca=en-rss-en-world-4025-rdf", "https://dw.com/en/x/a-1"),
        ("https://example.org/news/a/amp", "https://example.org/news/a"),
        ("https://example.org/news/a/amp/", "https://example.org/news/a"),
        ("https://example.org/news/amp/a", "https://example.org/news/a"),
        ("https://example.org/a.amp", "https://example.org/a"),
        ("https://example.org/a.amp.html", "https://example.org/a.html"),
        ("https://example.org/a?amp=1", "https://example.org/a"),
        ("https://example.org/a?amp", "https://example.org/a"),
        ("https://example.org/a?outputType=amp", "https://example.org/a"),
        ("https://example-org.cdn.ampproject.org/c/s/www.example.org/a/amp", "https://example.org/a"),
        ("https://example-org.cdn.ampproject.org/c/example.org/a?id=5", "http://example.org/a?id=5"),
        ("https://www.google.com/amp/s/example.org/a", "https://example.org/a"),
        ("https://example.org/camp", "https://example.org/camp"),
        ("https://[2001:db8::1]:8080/a", "https://[2001:db8::1]:8080/a"),
        ("tag:example.org,2026:1", "tag:example.org,2026:1"),
        ("http://[broken", "http://[broken"),
        ("https://example.org:port/", "https://example.org:port/"),
        ("", ""),
    ],
)
def test_urls_of_one_page_have_one_form(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical


PIECES = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        "/ // . .. ? & = # ! % %2 %25 %41 %zz : @ [ ] www. m. amp. /amp .amp utm_source=x cdn.ampproject.org/c/s/ amp/s/ "
        "google.com/ example.org :80 :443 é ü.".split()
    ),
)


@given(st.sampled_from(["http://", "https://", "HTTP://", ""]), st.lists(PIECES, max_size=12))
@example("http://", ["example.org/", "%%34%31"])
@example("http://", [".", "//", "0"])
@example("https://", ["www.", "m.", "www.", "example.org"])
@example("http://", ["a.cdn.ampproject.org/c/b.cdn.ampproject.org/c/c.cdn.ampproject.org/c/d.example/amp"])
def test_the_canonical_form_of_a_canonical_form_is_itself(scheme: str, pieces: list[str]) -> None:
    canonical = canonical_url(scheme + "".join(pieces))
    assert canonical_url(canonical) == canonical


@given(
    st.lists(st.tuples(st.sampled_from("abcid"), st.text("xyz0123", max_size=3)), max_size=4),
    st.lists(
        st.tuples(st.sampled_from(["utm_source", "fbclid", "at_x", "gclid"]), st.text("xyz", max_size=3)), max_size=3
    ),
    st.randoms(use_true_random=False),
)
def test_order_tracking_and_fragments_make_no_other_page(
    parameters: list[tuple[str, str]], tracking: list[tuple[str, str]], order: random.Random
) -> None:
    plain = "&".join(f"{name}={value}" for name, value in parameters)
    pairs = [*parameters, *tracking]
    order.shuffle(pairs)
    noisy = "&".join(f"{name}={value}" for name, value in pairs)
    assert canonical_url(f"http://www.example.org/a?{noisy}#f") == canonical_url(f"http://example.org:80/a?{plain}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Rebels  shell\n town.", "rebels shell town"),
        ("“Never,” he said – it’s over…", '"Never", he said - it\'s over...'),
        ("U.N.-backed", "U.N. backed"),
        ("co\u00adoperate", "cooperate"),
        ("ＦＵＬＬ width", "full width"),
        ("straße", "STRASSE"),
        ("café", "cafe\u0301"),
    ],
)
def test_looks_do_not_change_the_content(one: str, other: str) -> None:
    assert content_hash("T", one) == content_hash("t!", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12 killed", "13 killed"),
        ("1.5 million", "15 million"),
        ("5% of voters", "5 of voters"),
        ("$5 million", "5 million"),
        ("at 10:30", "at 1030"),
        ("कि", "की"),
        ("therapist", "the rapist"),
        ("", "text"),
    ],
)
def test_words_and_numbers_do(one: str, other: str) -> None:
    assert content_hash("T", one) != content_hash("T", other)


def test_title_and_text_are_not_run_together() -> None:
    assert content_hash("a b", "c") != content_hash("a", "b c")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_a_text_says_does_not_depend_on_its_layout(text: str) -> None:
    words = text.split()
    assert normalise(" ".join(words)) == normalise("\n\n".join(words)) == normalise(f" {text} ")


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
    ids = identify("feed", [entry(guid, link, title) for guid, link, title in entries])
    assert [[i for i, each in enumerate(ids) if each == one] for one in dict.fromkeys(ids)] == groups
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in ids)


def test_feeds_do_not_share_articles() -> None:
    assert identify("one", [entry("1")]) != identify("other", [entry("1")])


ENTRIES = st.builds(
    entry,
    st.sampled_from(["", "1", "2", "http://e.org/a", "http://e.org/a#1", "http://e.org/b"]),
    st.sampled_from(["", "http://e.org/a", "http://e.org/a?utm_id=1", "http://e.org/b"]),
    st.sampled_from(["A", "B", ""]),
    st.sampled_from(["x", "y"]),
)


@given(st.lists(ENTRIES, max_size=8), st.randoms(use_true_random=False))
def test_identity_does_not_depend_on_the_order_of_entries(entries: list[ParsedEntry], order: random.Random) -> None:
    numbered = list(enumerate(identify("feed", entries)))
    shuffled = list(enumerate(entries))
    order.shuffle(shuffled)
    assert dict(numbered) == dict(
        zip((i for i, _ in shuffled), identify("feed", [each for _, each in shuffled]), strict=True)
    )


@given(st.lists(ENTRIES, max_size=8))
def test_a_changed_text_leaves_entries_with_a_guid_or_link_the_same_articles(entries: list[ParsedEntry]) -> None:
    kept = [each for each in entries if each.guid or each.link]
    edited = [entry(each.guid, each.link, each.title, "Quite another text.") for each in kept]
    assert identify("feed", kept) == identify("feed", edited)


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
    assert newest_of_each(["id", "id"], entries) == {"id": entries[chosen]}


A, B = entry("1", text="A"), entry("1", text="B")


@pytest.mark.parametrize(
    ("known", "decision"),
    [
        (None, (1, "new")),
        (Known("id", 1, A.content_hash), None),
        (Known("id", 7, A.content_hash), None),
        (Known("id", 1, B.content_hash), (2, "updated")),
        (Known("id", MAX_REVISIONS - 1, B.content_hash), (MAX_REVISIONS, "updated")),
        (Known("id", MAX_REVISIONS, B.content_hash), None),
    ],
)
def test_only_what_is_new_is_published(known: Known | None, decision: tuple[int, str] | None) -> None:
    publications = decide({"id": A}, {"id": known} if known else {})
    assert [(each.revision, each.status) for each in publications] == ([decision] if decision else [])
    assert all(each.article_id == "id" and each.entry is A for each in publications)
