"""The catalogue: which feeds there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import CatalogError
from ingest.feeds.catalog import (
    BUNDLED,
    MAX_NAME,
    Feed,
    add_feed,
    catalog_in_force,
    catalog_path,
    enable_feed,
    load_catalog,
    read_opml,
    save_catalog,
    write_opml,
)
from ingest.settings import Settings

CATALOG = """\
# My feeds.
[[feed]]
name = "One"
url = "https://one.example/feed"
country = "UKR"
language = "uk"
publisher = "One News"

# A comment of mine.
[[ feed ]]  # the second
name = "Two"
url = "http://two.example/rss"
enabled = false
full_text = true
"""
ONE = Feed("One", "https://one.example/feed", "UKR", "uk", "One News")
TWO = Feed("Two", "http://two.example/rss", enabled=False, full_text=True)


THREE = Feed('Three \u201cquoted\u201d \\ "x"', "https://three.example/", language="pt-BR")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "feeds.toml"
    path.write_text(CATALOG)
    return path


def test_a_catalogue_is_read(path: Path) -> None:
    assert load_catalog(path) == [ONE, TWO]


@pytest.mark.parametrize("start", ["\ufeff", ""])
def test_an_empty_catalogue_is_one(tmp_path: Path, start: str) -> None:
    (tmp_path / "feeds.toml").write_text(f"{start}# nothing yet\n", encoding="utf-8")
    assert load_catalog(tmp_path / "feeds.toml") == []


GOOD = '[[feed]]\nname = "A"\nurl = "https://a.example/"\n'


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("[[feed]]\nname = One", ["not TOML", "line 2"]),
        ("feeds = 1", ["unknown key 'feeds'"]),
        ("feed = 1", ["array of tables"]),
        ("feed = [1]", ["feed number 1", "table"]),
        ('[[feed]]\nurl = "https://a.example/"', ["feed number 1", "'name' is missing"]),
        ('[[feed]]\nname = "A"', ["feed 'A'", "'url' is missing"]),
        ('[[feed]]\nname = 5\nurl = "https://a.example/"', ["feed number 1", "'name' must be a string"]),
        ('[[feed]]\nname = " "\nurl = "https://a.example/"', ["'name' must be 1 to"]),
        ('[[feed]]\nname = "A\\n"\nurl = "https://a.example/"', ["'name' must be 1 to", "printable"]),
        (f'[[feed]]\nname = "{"A" * (MAX_NAME + 1)}"\nurl = "https://a.example/"', ["'name' must be 1 to"]),
        ('[[feed]]\nname = "A"\nurl = "a.example"', ["feed 'A'", "'url' must be an http or https URL", "a.example"]),
        ('[[feed]]\nname = "A"\nurl = "file:///etc/passwd"', ["feed 'A'", "'url'"]),
        ('[[feed]]\nname = "A"\nurl = "https://"', ["feed 'A'", "'url'"]),
        ('[[feed]]\nname = "A"\nurl = "https://a.example:port/"', ["feed 'A'", "'url'"]),
        (GOOD + 'country = "UK"', ["feed 'A'", "'country'", "alpha-3", "'UK'"]),
        (GOOD + 'language = "English!"', ["feed 'A'", "'language'", "BCP 47"]),
        (GOOD + 'enabled = "yes"', ["feed 'A'", "'enabled' must be a boolean"]),
        (GOOD + "colour = 1", ["feed 'A'", "unknown field 'colour'", "known are"]),
        (GOOD + GOOD, ["feed 'A'", "two of this name"]),
        (GOOD + GOOD.replace('"A"', '"B"'), ["feed 'B'", "same url as feed 'A'"]),
    ],
)
def test_what_is_wrong_is_named_with_its_feed_and_field(tmp_path: Path, text: str, complaints: list[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(CatalogError) as caught:
        load_catalog(path)
    assert "mine.toml" in str(caught.value)
    for complaint in complaints:
        assert complaint in str(caught.value)


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nowhere\.toml: cannot be read"):
        load_catalog(tmp_path / "nowhere.toml")


def test_the_bundled_catalogue_is_in_force_until_there_is_another(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert catalog_in_force(settings) == load_catalog() == load_catalog(BUNDLED)
    (tmp_path / "feeds.toml").write_text(CATALOG)
    assert catalog_path(settings) == tmp_path / "feeds.toml"
    assert catalog_in_force(settings) == [ONE, TWO]


def test_a_catalogue_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(CatalogError):
        catalog_in_force(Settings(data_dir=tmp_path, feeds=tmp_path / "mine.toml"))


def test_feeds_are_added_and_comments_kept(path: Path) -> None:
    add_feed(path, THREE, Feed("Four", "https://four.example/"))
    assert load_catalog(path) == [ONE, TWO, THREE, Feed("Four", "https://four.example/")]
    assert path.read_text().startswith(CATALOG.rstrip())


def test_a_first_own_catalogue_starts_as_a_copy_of_the_bundled(tmp_path: Path) -> None:
    path = tmp_path / "new" / "feeds.toml"
    add_feed(path, ONE)
    assert load_catalog(path) == [*load_catalog(), ONE]


@pytest.mark.parametrize("feed", [Feed("One", "https://new.example/"), Feed("New", ONE.url), Feed("New", "not a URL")])
def test_a_feed_that_cannot_be_added_changes_nothing(path: Path, feed: Feed) -> None:
    with pytest.raises(CatalogError):
        add_feed(path, feed)
    assert path.read_text() == CATALOG


@pytest.mark.parametrize(("name", "enabled"), [("One", False), ("One", True), ("Two", True), ("Two", False)])
def test_feeds_are_disabled_and_enabled_and_comments_kept(path: Path, name: str, enabled: bool) -> None:
    assert enable_feed(path, name, enabled).enabled is enabled
    assert {feed.name: feed.enabled for feed in load_catalog(path)} == {"One": True, "Two": False} | {name: enabled}
    text = path.read_text()
    assert "# My feeds." in text
    assert "# A comment of mine.\n[[ feed ]]  # the second" in text
    enable_feed(path, name, enabled)
    assert path.read_text() == text


@pytest.mark.parametrize(
    "text",
    [
        'feed = [{name = "One", url = "https://one.example/feed"}, {name = "Two", url = "http://two.example/rss"}]',
        '[[feed]]\nname = "One"\nurl = "https://one.example/feed"\npublisher = """\n[[feed]]\nenabled = 1\n"""\n'
        '[[feed]]\nname = "Two"\nurl = "http://two.example/rss"',
    ],
    ids=["inline tables", "a table in a string"],
)
def test_catalogues_are_changed_however_the_file_is_laid_out(path: Path, text: str) -> None:
    path.write_text(text)
    one, two = load_catalog(path)
    enable_feed(path, "Two", False)
    assert load_catalog(path) == [one, replace(two, enabled=False)]
    add_feed(path, THREE)
    assert load_catalog(path) == [one, replace(two, enabled=False), THREE]


def test_an_unknown_feed_cannot_be_disabled(path: Path) -> None:
    with pytest.raises(CatalogError, match="no feed called 'Three'"):
        enable_feed(path, "Three", False)
    assert path.read_text() == CATALOG


PRINTABLE = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
FEEDS = st.lists(
    st.builds(
        Feed,
        PRINTABLE,
        st.text("abcxyz0123456789/?&=%~", max_size=10).map("https://example.org/{}".format),
        st.sampled_from([None, "UKR", "FRA"]),
        st.sampled_from([None, "en", "pt-BR"]),
        st.one_of(st.none(), PRINTABLE),
        st.booleans(),
        st.sampled_from([None, True, False]),
    ),
    max_size=6,
    unique_by=(lambda feed: feed.name, lambda feed: feed.url),
)


@given(FEEDS)
def test_catalogues_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, feeds: list[Feed]) -> None:
    path = tmp_path_factory.mktemp("catalogue") / "feeds.toml"
    save_catalog(feeds, path)
    assert load_catalog(path) == feeds
    assert [each.name for each in path.parent.iterdir()] == ["feeds.toml"]


@given(FEEDS)
def test_opml_is_read_as_it_was_written(feeds: list[Feed]) -> None:
    again = read_opml(write_opml(feeds).encode())
    assert sorted(again, key=lambda feed: feed.name) == sorted(feeds, key=lambda feed: feed.name)


def test_outlines_are_read_however_deep_they_are_nested() -> None:
    document = b"""<?xml version="1.0" encoding="iso-8859-1"?>
    <OPML version="1.1"><head><title>Mine</title></head><body>
      <outline text="Europe"><outline text="West"><outline text="North">
        <outline type="rss" text="Caf\xe9" xmlUrl="https://a.example/feed" htmlUrl="https://a.example/" language="fr_fr"/>
      </outline></outline></outline>
      <outline title="By title" XMLURL="https://b.example/feed"/>
      <outline xmlUrl="https://c.example/feed"/>
      <outline text="By title" xmlUrl="https://d.example/feed"/>
      <outline text="The same again" xmlUrl="https://a.example/feed"/>
      <outline text="A link" type="link" url="https://e.example/"/>
    </body></OPML>"""
    assert read_opml(document) == [
        Feed("Café", "https://a.example/feed", language="fr-fr"),
        Feed("By title", "https://b.example/feed"),
        Feed("c.example", "https://c.example/feed"),
        Feed("By title (2)", "https://d.example/feed"),
    ]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (b"", "not well-formed"),
        (b"<opml><body>", "not well-formed"),
        (b"<rss/>", "<rss>, not <opml>"),
        (b'<opml><body><outline text="X" xmlUrl="file:///etc/passwd"/></body></opml>', "'X'"),
        (b'<!DOCTYPE opml [<!ENTITY a "b">]><opml/>', "DTD"),
        (b'<!DOCTYPE opml SYSTEM "file:///etc/passwd"><opml/>', "DTD"),
        (b"{}", "not well-formed"),
        (b"\xff\xfe\x00", "not well-formed"),
    ],
)
def test_what_is_no_opml_is_told_so(document: bytes, complaint: str) -> None:
    with pytest.raises(CatalogError, match="OPML") as caught:
        read_opml(document)
    assert complaint in str(caught.value)


@given(st.text(max_size=50))
def test_any_outline_gives_a_name_that_the_catalogue_takes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    clean = "".join(mark for mark in text if mark in "\t\n\r" or (mark >= " " and mark not in "\ufffe\uffff"))
    document = f'<opml><body><outline text={quoteattr(clean)} xmlUrl="https://a.example/"/></body></opml>'
    path = tmp_path_factory.mktemp("opml") / "feeds.toml"
    save_catalog(read_opml(document.encode("utf-8", "replace")), path)
    assert len(load_catalog(path)) == 1
