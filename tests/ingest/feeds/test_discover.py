"""Finding the feeds of a site: what a page says, which of several feeds is meant, and the whole search over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import FetchError, ParseError
from ingest.feeds.discover import (
    MAX_OF_A_KIND,
    MAX_REQUESTS,
    WELL_KNOWN,
    Discovery,
    Found,
    choose,
    discover,
    page_candidates,
)
from ingest.feeds.fetch import Fetcher
from ingest.feeds.parse import ParserPool
from ingest.settings import Fetch
from tests.ingest.feeds.site import Site, answer

PAGE = "https://news.example/world/africa.html"


def link(href: str, title: str = "", kind: str = "application/rss+xml") -> str:
    return f'<link rel="alternate" type="{kind}" title="{title}" href="{href}">'


@pytest.mark.parametrize(
    ("html", "found"),
    [
        (link("/feed", "World"), [("https://news.example/feed", "World", "link")]),
        (link("rss.xml"), [("https://news.example/world/rss.xml", "", "link")]),
        ('<base href="https://cdn.example/x/">' + link("rss.xml"), [("https://cdn.example/x/rss.xml", "", "link")]),
        ("<LINK REL='Alternate feed' TYPE=' Application/Atom+XML; charset=x' HREF=' /a '>", [("/a", "", "link")]),
        ("<link rel=alternate type=application/feed+json href=/f.json />", [("/f.json", "", "link")]),
        (link("/a&amp;b?x=1&amp;y=2#top"), [("/a&b?x=1&y=2", "", "link")]),
        (link("/feed") + link("http://NEWS.example/feed"), [("/feed", "", "link")]),
        (link("/de", kind="text/html") + '<link rel="alternate" hreflang="fr" href="/fr">', []),
        ('<link rel="stylesheet" type="text/xml" href="/x.xml">', []),
        ("<!-- " + link("/old") + "-->" + link("/new"), [("/new", "", "link")]),
        ("<script>var x = '" + link("/script") + "'</script>" + link("/new"), [("/new", "", "link")]),
        (link("javascript:alert(1)") + link("file:///etc/passwd") + link("https://[x"), []),
        (link(PAGE), []),
        ('<a href="/rss">All our <b>RSS</b> feeds</a>', [("/rss", "All our RSS feeds", "anchor")]),
        ('<a href="/world.rss"><img src=x alt="World"></a>', [("/world.rss", "World", "anchor")]),
        ('<a href="/x" type="application/rss+xml">X</a>', [("/x", "X", "anchor")]),
        ('<a href="/subscribe">RSS</a>', [("/subscribe", "RSS", "anchor")]),
        ('<a href="/?format=feed">x</a>', [("/?format=feed", "x", "anchor")]),
        ('<a href="https://feeds.news.example/w">W</a>', [("https://feeds.news.example/w", "W", "anchor")]),
        ('<a href="https://feeds.feedburner.com/w">W</a>', [("https://feeds.feedburner.com/w", "W", "anchor")]),
        ('<a href="https://reader.example/add?feed=x">RSS</a>', []),
        ('<a href="/feedback">Feedback</a><a href="/atomic-energy">Atomic energy</a>', []),
        ('<a href="/a/feed">1<a href="/b/feed">2', [("/a/feed", "1", "anchor")]),
    ],
)
def test_what_may_be_a_feed_is_found_on_a_page(html: str, found: list[tuple[str, str, str]]) -> None:
    candidates = page_candidates(html, PAGE)
    whole = [(url if "://" in url else f"https://news.example{url}", title, source) for url, title, source in found]
    assert [(each.url, each.title, each.source) for each in candidates] == whole


def test_declared_feeds_come_before_links_and_there_are_not_too_many_of_either() -> None:
    html = "".join(f'<a href="/{n}/rss">x</a>{link(f"/{n}.xml")}' for n in range(50))
    sources = [each.source for each in page_candidates(html, PAGE)]
    assert sources == ["link"] * MAX_OF_A_KIND + ["anchor"] * MAX_OF_A_KIND


@pytest.mark.parametrize(
    ("one", "page", "kept"),
    [
        ("https://www.news.co.uk/rss", "https://m.news.co.uk/", True),
        ("https://other.co.uk/rss", "https://news.co.uk/", False),
        ("https://rss.abc.net.au/rss", "https://www.abc.net.au/", True),
        ("https://a.news.org/rss", "https://b.news.org/", True),
    ],
)
def test_links_to_other_sites_are_left_alone(one: str, page: str, kept: bool) -> None:
    assert bool(page_candidates(f'<a href="{one}">RSS</a>', page)) is kept


@given(
    st.text(max_size=300), st.lists(st.sampled_from(["<a ", "href=", '"', ">", "<!--", "<![", "<link rel=alternate"]))
)
def test_any_text_is_a_page(text: str, parts: list[str]) -> None:
    for each in page_candidates(text.join(parts) + text, PAGE):
        assert each.url.startswith(("http://", "https://"))


@pytest.mark.parametrize(
    "part",
    ["<", "<a ", "<!--", "<![", "<!a", "</", "<a href='", "&", "<script>", "<a b=c ", "<a href=/rss>x", "<?", "<link/"],
)
def test_hostile_pages_end_in_time(part: str) -> None:
    began = time.monotonic()
    page_candidates(link("/feed") + part * (4_000_000 // len(part)), PAGE)
    assert time.monotonic() - began < 10.0


def test_feeds_declared_before_hostile_markup_are_still_found() -> None:
    assert page_candidates(link("/feed") + "<a " * 1_000_000, PAGE)[0].url == "https://news.example/feed"


def feed(url: str, title: str = "News", entries: int = 9, source: str = "link", links: str = "") -> Found:
    named = frozenset(links.split()) or frozenset(f"{url}/{n}" for n in range(entries))
    return Found(f"https://news.example{url}", title, source, entries, None, named)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("feeds", "page", "order", "clear"),
    [
        ([], "/", [], False),
        ([feed("/a")], "/", ["/a"], True),
        ([feed("/a"), feed("/b")], "/", ["/a", "/b"], False),
        ([feed("/comments/feed", "Comments on News"), feed("/feed")], "/", ["/feed", "/comments/feed"], True),
        ([feed("/a", "The Podcast"), feed("/b", "Research News")], "/", ["/b", "/a"], True),
        ([feed("/a", entries=0), feed("/b", entries=1)], "/", ["/b", "/a"], True),
        ([feed("/a", source="anchor"), feed("/b", source="link")], "/", ["/b", "/a"], True),
        ([feed("/sport/rss"), feed("/world/rss")], "/world/africa.html", ["/world/rss", "/sport/rss"], True),
        ([feed("/rss", links="x y z"), feed("/atom", links="x y w")], "/", ["/rss"], True),
        ([feed("/rss", links="x y z"), feed("/atom", links="x v w")], "/", ["/rss", "/atom"], False),
        ([feed("/rss", entries=0), feed("/atom", entries=0)], "/", ["/rss", "/atom"], False),
    ],
)
def test_the_best_feed_is_chosen_only_where_it_is_one(
    feeds: list[Found], page: str, order: list[str], clear: bool
) -> None:
    kept, best = choose(feeds, f"https://news.example{page}")
    assert [each.url.removeprefix("https://news.example") for each in kept] == order
    assert best == (kept[0] if clear else None)


def rss(name: str, entries: int = 2) -> bytes:
    items = "".join(
        f"<item><title>{name} {n}</title><link>https://x.example/{name}/{n}</link></item>" for n in range(entries)
    )
    body = f'<rss version="2.0"><channel><title>{name}</title>{items}</channel></rss>'
    return answer(body, Content_Type="application/rss+xml")


def page(html: str) -> bytes:
    return answer(f"<!DOCTYPE html><html><body>{html}</body></html>", Content_Type="text/html")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as opened:
        yield opened


def search(url: str) -> Discovery:
    async def run() -> Discovery:
        limits = Fetch(allow_private=True, timeout=10.0, host_gap=0.0)
        async with Fetcher(limits) as fetcher, ParserPool(limits) as parsers:
            return await discover(url, fetcher, parsers)

    return asyncio.run(run())


def test_the_address_of_a_feed_is_that_feed(site: Site) -> None:
    site.routes["/rss"] = rss("news")
    found = search(f"{site.url}/rss")
    assert (found.best, found.tried) == (found.feeds[0], 0)
    assert (found.feeds[0].source, found.feeds[0].entries, found.feeds[0].title) == ("page", 2, "news")
    assert site.paths() == ["/rss"]


def test_declared_feeds_are_found_and_nothing_else_is_asked_for(site: Site) -> None:
    site.routes |= {"/": page(link("/a.xml") + link("/gone.xml") + '<a href="/rss">RSS</a>'), "/a.xml": rss("a")}
    found = search(f"{site.url}/")
    assert found.best is not None
    assert found.best.url == f"{site.url}/a.xml"
    assert sorted(site.paths()) == ["/", "/a.xml", "/gone.xml"]
    assert found.tried == 2


def test_links_are_followed_where_nothing_is_declared_also_to_a_list_of_feeds(site: Site) -> None:
    site.routes |= {
        "/": page('<a href="/our-rss">RSS feeds</a>'),
        "/our-rss": page('<a href="/world.xml">World RSS</a> <a href="/sport.xml">Sport RSS</a>'),
        "/world.xml": rss("world"),
        "/sport.xml": rss("sport"),
    }
    found = search(f"{site.url}/")
    assert [each.title for each in found.feeds] == ["world", "sport"]
    assert found.best is None
    assert "/feed" not in site.paths()


def test_usual_paths_are_tried_last_one_after_the_other_until_one_is_a_feed(site: Site) -> None:
    site.routes |= {"/world/": page("nothing"), "/rss.xml": rss("news")}
    found = search(f"{site.url}/world/")
    assert found.best is not None
    assert (found.best.url, found.best.source) == (f"{site.url}/rss.xml", "path")
    assert site.paths() == ["/world/", "/world/feed", "/feed", "/rss", "/rss.xml"]


def test_a_feed_of_comments_alone_does_not_end_the_search(site: Site) -> None:
    site.routes |= {"/": page(link("/comments")), "/comments": rss("Comments"), "/feed": rss("news")}
    found = search(f"{site.url}/")
    assert [each.title for each in found.feeds] == ["news", "Comments"]
    assert found.best == found.feeds[0]


def test_a_site_without_feeds_is_asked_only_so_often(site: Site) -> None:
    endless = "".join(f'<a href="/{n}/rss">RSS</a>{link(f"/{n}.xml")}' for n in range(30))

    def everything(connection: object, request: object) -> None:
        connection.sendall(page(endless + str(request)))  # type: ignore[attr-defined]

    site.routes = type("Everywhere", (dict,), {"get": lambda self, path, default: everything})()
    found = search(f"{site.url}/")
    assert (found.feeds, found.best) == ((), None)
    assert len(site.paths()) == found.tried + 1 == MAX_REQUESTS + 1
    assert len(set(site.paths())) == len(site.paths())


def test_a_page_of_a_site_without_feeds_ends_with_none(site: Site) -> None:
    site.routes["/"] = page("nothing")
    found = search(f"{site.url}/")
    assert (found.feeds, found.best, found.tried) == ((), None, len(WELL_KNOWN))


def test_candidates_are_relative_to_where_redirects_lead(site: Site) -> None:
    site.routes |= {
        "/": answer(status="302 Found", Location="/en/home"),
        "/en/home": page(link("feed.xml")),
        "/en/feed.xml": rss("english"),
    }
    found = search(f"{site.url}/")
    assert [each.url for each in found.feeds] == [f"{site.url}/en/feed.xml"]


@pytest.mark.parametrize(
    ("route", "error"),
    [
        (None, FetchError),
        (answer("just text", Content_Type="text/plain"), ParseError),
        (answer('{"a": 1}', Content_Type="application/json"), ParseError),
    ],
)
def test_what_is_neither_feed_nor_page_is_an_error(site: Site, route: bytes | None, error: type[Exception]) -> None:
    if route:
        site.routes["/"] = route
    with pytest.raises(error):
        search(f"{site.url}/")
    assert site.paths() == ["/"]
