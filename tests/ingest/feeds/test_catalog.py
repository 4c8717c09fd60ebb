"""The catalogue: which feeds there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import CatalogError
from ingest.feeds.catalog import (
    BUNDLED,
    MAX_FOLDERS,
    MAX_INCLUDES,
    MAX_NAME,
    Feed,
    add_feed,
    as_web_url,
    catalog_in_force,
    catalog_path,
    enable_feed,
    load_catalog,
    save_catalog,
    url_key,
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
        (GOOD + 'folder = "/Africa"', ["feed 'A'", "'folder'", "Africa/Sahel"]),
        (GOOD + f'folder = "{"a/" * MAX_FOLDERS}a"', ["'folder'", f"up to {MAX_FOLDERS}"]),
        (GOOD + GOOD, ["mine.toml:4: feed 'A'", "two of this name", "the other at ", "mine.toml:1"]),
        (GOOD + GOOD.replace('"A"', '"B"'), ["mine.toml:4: feed 'B'", "same url as feed 'A' at ", "mine.toml:1"]),
        (GOOD + GOOD.replace('"A"', '"B"').replace("https://a", "http://A"), ["same url as feed 'A'"]),
        ('include = "a.toml"', ["`include` must be an array"]),
        ("include = [1]", ["`include` must be an array"]),
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


def written(folder: Path, **files: str) -> Path:
    """Catalogues in `folder`, `__` in their names standing for a slash; the first of them."""
    paths = [folder / f"{name.replace('__', '/')}.toml" for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return paths[0]


def table(name: str) -> str:
    return f'[[feed]]\nname = "{name}"\nurl = "https://{name}.example/"\n'


def test_included_files_are_read_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    main = written(
        tmp_path,
        main='include = ["one.toml", "sub/two.toml"]\n' + table("a"),
        one=table("b"),
        sub__two='include = ["three.toml"]\n' + table("c"),
        sub__three=table("d"),
    )
    assert [feed.name for feed in load_catalog(main)] == ["a", "b", "c", "d"]


def test_a_pattern_includes_what_matches_in_order_but_not_the_file_itself(tmp_path: Path) -> None:
    main = written(tmp_path, main='include = ["*.toml", "**/deep.toml"]\n' + table("m"), z=table("z"), b=table("b"))
    written(tmp_path, x__y__deep=table("deep"))
    assert [feed.name for feed in load_catalog(main)] == ["m", "b", "z", "deep"]


def test_absolute_names_and_patterns_can_be_included(tmp_path: Path) -> None:
    other = written(tmp_path / "elsewhere", one=table("one"), two=table("two"))
    main = written(tmp_path, main=f'include = ["{other}", "{other.parent}/t*.toml"]')
    assert [feed.name for feed in load_catalog(main)] == ["one", "two"]


def test_a_file_that_two_files_include_counts_once(tmp_path: Path) -> None:
    main = written(
        tmp_path,
        main='include = ["l.toml", "r.toml"]',
        l='include = ["shared.toml"]',
        r='include = ["./shared.toml"]',
        shared=table("s"),
    )
    assert [feed.name for feed in load_catalog(main)] == ["s"]


@pytest.mark.parametrize(
    ("files", "complaints"),
    [
        ({"main": 'include = ["gone.toml"]'}, ["main.toml", "'gone.toml'", "is not there"]),
        ({"main": 'include = ["sub"]', "sub__x": ""}, ["'sub'", "is a folder", "*.toml"]),
        ({"main": 'include = ["no/*.toml"]'}, ["main.toml", "'no/*.toml'", "no other file"]),
        ({"main": 'include = ["main.toml"]'}, ["main.toml: `include` goes in a circle"]),
        (
            {"main": 'include = ["a.toml"]', "a": 'include = ["sub/*.toml"]', "sub__b": 'include = ["../main.toml"]'},
            ["b.toml: `include` goes in a circle", "main.toml, which includes ", "a.toml, which includes ", "b.toml"],
        ),
        ({"main": 'include = ["a.toml"]', "a": "[[feed]]\n"}, ["a.toml:1: feed number 1", "'name' is missing"]),
        (
            {"main": 'include = ["a.toml"]\n\n' + table("x"), "a": table("y") + "\n" + table("x")},
            ["a.toml:5: feed 'x'", "two of this name", "main.toml:3"],
        ),
        (
            {"main": 'include = ["a.toml"]\n' + table("x"), "a": table("x").replace('"x"', '"y"')},
            ["a.toml:1: feed 'y'", "same url as feed 'x' at ", "main.toml:2"],
        ),
        (
            {"main": 'include = ["f0.toml"]'}
            | {f"f{n}": f'include = ["f{n + 1}.toml"]' for n in range(MAX_INCLUDES)}
            | {f"f{MAX_INCLUDES}": ""},
            [f"more than {MAX_INCLUDES} files"],
        ),
    ],
    ids=["missing", "folder", "nothing matches", "itself", "circle", "bad feed", "name", "url", "chain"],
)
def test_what_is_wrong_with_includes_is_named(tmp_path: Path, files: dict[str, str], complaints: list[str]) -> None:
    main = written(tmp_path, **files)
    with pytest.raises(CatalogError) as caught:
        load_catalog(main)
    for complaint in complaints:
        assert complaint in str(caught.value)


def test_a_feed_is_disabled_in_the_file_that_has_it(tmp_path: Path) -> None:
    main = written(tmp_path, main='include = ["a.toml"]\n' + table("m"), a="# Mine.\n" + table("x") + table("y"))
    before = main.read_text()
    assert enable_feed(main, "y", False) == Feed("y", "https://y.example/", enabled=False)
    assert main.read_text() == before
    assert [feed.enabled for feed in load_catalog(main)] == [True, True, False]
    assert (tmp_path / "a.toml").read_text().startswith("# Mine.\n")


def test_a_feed_of_an_included_file_cannot_be_added_again(tmp_path: Path) -> None:
    main = written(tmp_path, main='include = ["a.toml"]\n', a=table("x"))
    with pytest.raises(CatalogError, match=r"to be added: feed 'x'.*two of this name, the other at .*a\.toml:1"):
        add_feed(main, Feed("x", "https://new.example/"))
    add_feed(main, Feed("new", "https://new.example/"))
    assert [feed.name for feed in load_catalog(main)] == ["new", "x"]


def test_includes_stay_when_a_file_must_be_laid_out_anew(tmp_path: Path) -> None:
    main = written(
        tmp_path, main='include = ["a.toml"]\nfeed = [{name = "m", url = "https://m.example/"}]\n', a=table("x")
    )
    add_feed(main, THREE)
    assert [feed.name for feed in load_catalog(main)] == ["m", THREE.name, "x"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://a.example", "https://A.example:443/#top", True),
        ("https://a.example/feed?x=1", "https://a.example/feed?x=2", False),
        ("https://a.example/feed", "https://a.example/Feed", False),
        ("https://a.example:8080/", "https://a.example/", False),
        ("https://[broken", "https://[broken", True),
    ],
)
def test_two_spellings_of_a_url_are_known_for_one(one: str, other: str, same: bool) -> None:
    assert (url_key(one) == url_key(other)) is same


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("feed://a.example/rss", "http://a.example/rss"),
        ("feed:https://a.example/rss", "https://a.example/rss"),
        ("feed://https://a.example/rss", "https://a.example/rss"),
        (" https://a.example/feed:1 ", "https://a.example/feed:1"),
        ("", ""),
    ],
)
def test_links_that_call_a_feed_reader_are_urls(text: str, url: str) -> None:
    assert as_web_url(text) == url


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
        st.one_of(st.none(), PRINTABLE.map(lambda name: name.replace("/", "-")), st.just("Africa/Sahel")),
    ),
    max_size=6,
    unique_by=(lambda feed: feed.name, lambda feed: url_key(feed.url)),
)


@given(FEEDS)
def test_catalogues_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, feeds: list[Feed]) -> None:
    path = tmp_path_factory.mktemp("catalogue") / "feeds.toml"
    save_catalog(feeds, path)
    assert load_catalog(path) == feeds
    assert [each.name for each in path.parent.iterdir()] == ["feeds.toml"]
