"""OPML: what other feed readers write is read, what is written comes back the same."""

from __future__ import annotations

import time
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lxml import etree

from ingest.errors import CatalogError
from ingest.feeds.catalog import MAX_FOLDERS, MAX_NAME, Feed, load_catalog, save_catalog, url_key
from ingest.feeds.opml import Names, Refused, read_opml, write_opml

NAME = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=12)
FEEDS = st.lists(
    st.builds(
        Feed,
        NAME,
        st.text("abcxyz0123456789/?&=%~'\"<>", max_size=10).map("https://example.org/{}".format),
        st.sampled_from([None, "UKR", "FRA"]),
        st.sampled_from([None, "en", "pt-BR"]),
        st.one_of(st.none(), NAME),
        st.booleans(),
        st.sampled_from([None, True, False]),
        st.one_of(st.none(), st.lists(st.one_of(NAME, st.just("A")), min_size=1, max_size=MAX_FOLDERS).map("/".join)),
    ),
    max_size=6,
    unique_by=(lambda feed: feed.name, lambda feed: url_key(feed.url)),
)


def outline(url: str, **others: str) -> str:
    return f"<outline xmlUrl={quoteattr(url)} {' '.join(f'{k}={quoteattr(v)}' for k, v in others.items())}/>"


def opml(*outlines: str) -> bytes:
    return "\n".join(['<opml version="2.0"><body>', *outlines, "</body></opml>"]).encode()


@given(FEEDS)
def test_opml_is_read_as_it_was_written(feeds: list[Feed]) -> None:
    written = write_opml(feeds)
    again = read_opml(written.encode())
    assert sorted(again.feeds, key=lambda feed: feed.name) == sorted(feeds, key=lambda feed: feed.name)
    assert not again.refused and not again.repeated
    assert write_opml(again.feeds) == written


def test_folders_are_outlines_around_their_feeds() -> None:
    feeds = [
        Feed("a", "https://a.example/", folder="Africa/Sahel"),
        Feed("b", "https://b.example/"),
        Feed("c", "https://c.example/", folder="Africa"),
        Feed("d", "https://d.example/", folder="Africa/Sahel"),
    ]
    body = etree.fromstring(write_opml(feeds).encode()).find("body")
    assert body is not None
    assert [each.get("text") for each in body] == ["b", "Africa"]
    assert [each.get("text") for each in body[1]] == ["c", "Sahel"]
    assert [each.get("text") for each in body[1][1]] == ["a", "d"]


def test_what_other_readers_write_is_read() -> None:
    document = b"""<?xml version="1.0" encoding="iso-8859-1"?>
    <OPML version="1.1"><head><title>Mine</title></head><body>
      <outline text="Europe" language="fr_fr"><outline text="West"><outline title="AC/DC">
        <outline type="rss" text="Caf\xe9" xmlUrl="https://a.example/feed" htmlUrl="https://a.example/">
          <outline text="within" xmlUrl="https://within.example/feed" language="en"/>
        </outline>
      </outline></outline></outline>
      <outline title="By title" XMLURL="https://b.example/feed" category="/Africa/Sahel,/Other"/>
      <outline xmlUrl="https://c.example/feed" language="not a language!" country="nowhere"/>
      <outline text="By title" xmlUrl="https://d.example/feed" country="ukr"/>
      <outline text="The same again" xmlUrl="http://a.example/feed"/>
      <outline text="Of old" type="rss" url="feed://old.example/rss"/>
      <outline text="A link" type="link" url="https://e.example/"/>
    </body></OPML>"""
    found = read_opml(document)
    folder = "Europe/West/AC\N{DIVISION SLASH}DC"
    assert found.feeds == [
        Feed("Café", "https://a.example/feed", language="fr-fr", folder=folder),
        Feed("within", "https://within.example/feed", language="en", folder=folder),
        Feed("By title", "https://b.example/feed", folder="Africa/Sahel"),
        Feed("c.example", "https://c.example/feed"),
        Feed("By title (2)", "https://d.example/feed", country="UKR"),
        Feed("Of old", "http://old.example/rss"),
    ]
    assert (found.repeated, found.refused) == (1, [])


def test_an_outline_that_is_no_feed_is_refused_with_its_line_and_the_others_are_read() -> None:
    found = read_opml(
        opml(
            outline("https://a.example/", text="A"),
            outline("file:///etc/passwd", text="Local"),
            outline("https://[broken", title="Broken"),
            outline("https://" + "a" * 5_000, text="Long"),
            outline("https://b.example/", text="B"),
        )
    )
    assert [feed.name for feed in found.feeds] == ["A", "B"]
    assert [(each.line, each.name) for each in found.refused] == [(3, "Local"), (4, "Broken"), (5, "Long")]
    assert isinstance(found.refused[0], Refused)
    assert "http or https" in found.refused[0].reason


def test_lines_are_those_of_the_file_also_below_empty_ones() -> None:
    found = read_opml(b"\n\n" + opml(outline("ftp://a.example/")))
    assert [each.line for each in found.refused] == [4]
    with pytest.raises(CatalogError, match="line 4: not well-formed XML: mismatched tag"):
        read_opml(b"\n\n<opml><body>\n</opml>")


def test_documents_in_a_namespace_are_read() -> None:
    inside = opml(outline("https://a.example/", text="A")).decode()
    assert len(read_opml(inside.replace("<opml", '<opml xmlns="http://opml.org/spec2"').encode()).feeds) == 1


@pytest.mark.parametrize(
    ("inside", "name", "url"),
    [
        ('<outline text="A & B" xmlUrl="https://a.example/?x=1&y=2"/>', "A & B", "https://a.example/?x=1&y=2"),
        ('<outline text="1 < 2" xmlUrl="https://a.example/"/>', "1 < 2", "https://a.example/"),
        ('<outline text="Caf&eacute;&nbsp;&nosuch;" xmlUrl="https://a.example/"/>', "Café &nosuch;", None),
        ('<outline text="A\x01\x0bB &amp; &#65;" xmlUrl="https://a.example/"/>', "AB & A", None),
    ],
)
def test_what_is_written_by_hand_is_forgiven(inside: str, name: str, url: str | None) -> None:
    (feed,) = read_opml(f"<opml><body>{inside}</body></opml>".encode()).feeds
    assert (feed.name, feed.url) == (name, url or "https://a.example/")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "windows-1252"])
@pytest.mark.parametrize("declared", ["", '<?xml version="1.0" encoding="ascii"?>\n', '<?xml version="1.0"?>'])
def test_encodings_are_found_whatever_is_declared(encoding: str, declared: str) -> None:
    text = declared + opml(outline("https://a.example/", text="Café – 1")).decode()
    assert read_opml(text.encode(encoding)).feeds[0].name == "Café – 1"


ENTITIES = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(25))
BOMB = f'<!DOCTYPE opml [<!ENTITY a "aaaaaaaaaa">{ENTITIES}]><opml><body><outline text="&z;"/></body></opml>'


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        (b"", "not well-formed"),
        (b"<opml><body>", "not well-formed"),
        (b"<opml>\n<body>\n<outline>\n</body></opml>", "line 4"),
        (b"<rss/>", "<rss>, not <opml>"),
        (b"<html><body></body></html>", "<html>, not <opml>"),
        (b'<!DOCTYPE opml [<!ENTITY a "b">]><opml/>', "DTD"),
        (b'\n<!DOCTYPE opml SYSTEM "file:///etc/passwd"><opml/>', "DTD"),
        (BOMB.encode(), "DTD"),
        (BOMB.encode("utf-16"), "DTD"),
        (b"{}", "not well-formed"),
        (b"\xff\xfe\x00", "not well-formed"),
    ],
)
def test_what_is_no_opml_is_told_so(document: bytes, complaint: str) -> None:
    with pytest.raises(CatalogError, match="OPML") as caught:
        read_opml(document)
    assert complaint in str(caught.value)


@given(st.text(max_size=50), st.text(max_size=50))
@example("/", " / ")
def test_any_outline_gives_what_the_catalogue_takes(
    tmp_path_factory: pytest.TempPathFactory, text: str, around: str
) -> None:
    texts = ["".join(mark for mark in each if mark in "\t\n\r" or mark >= " ") for each in (text, around)]
    name, folder = (quoteattr("".join(mark for mark in each if mark not in "\ufffe\uffff")) for each in texts)
    document = (
        f'<opml><body><outline text={folder}><outline text={name} category={folder} xmlUrl="https://a.example/"/>'
        "</outline></body></opml>"
    )
    path = tmp_path_factory.mktemp("opml") / "feeds.toml"
    found = read_opml(document.encode("utf-8", "replace"))
    save_catalog(found.feeds, path)
    assert load_catalog(path) == found.feeds
    assert len(found.feeds) == 1


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_any_bytes_are_opml_or_a_clear_error(data: bytes) -> None:
    try:
        read_opml(data)
    except CatalogError as error:
        assert str(error).startswith("OPML: ")


@pytest.mark.parametrize(
    "document",
    [
        opml("<outline text='x'>" * 100_000, outline("https://a.example/", text="A"), "</outline>" * 100_000),
        opml(*(outline(f"https://a.example/{n}", text="News") for n in range(20_000))),
        opml("<outline " + " ".join(f"a{n}=''" for n in range(100_000)) + "/>", outline("https://a.example/")),
        opml(outline("https://a.example/", text="x" * 5_000_000)),
        opml("&" * 1_000_000, "<" * 1_000_000, outline("https://a.example/")),
    ],
    ids=["depth", "one name", "attributes", "long text", "unescaped"],
)
def test_hostile_documents_take_no_longer_than_their_size(document: bytes) -> None:
    began = time.process_time()
    found = read_opml(document)
    assert time.process_time() - began < 10.0
    assert found.feeds
    assert all(len(feed.name) <= MAX_NAME for feed in found.feeds)
    assert len({feed.name for feed in found.feeds}) == len(found.feeds)


def test_it_is_told_how_many_feeds_there_are_so_far() -> None:
    told: list[int] = []
    read_opml(opml(*(outline(f"https://a.example/{n}") for n in range(350))), told.append)
    assert told == [100, 200, 300]


def test_names_given_out_are_unique_and_never_too_long() -> None:
    names = Names(["a", "a (3)"])
    assert [names.unused("a") for _ in range(3)] == ["a (2)", "a (4)", "a (5)"]
    longest = "x" * MAX_NAME
    assert [len(names.unused(longest)) for _ in range(11)] == [MAX_NAME] * 11
