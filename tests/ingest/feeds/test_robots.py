"""What a site's robots.txt lets us fetch."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import FetchError
from ingest.feeds import robots
from ingest.feeds.fetch import HTML_TYPES, Fetched, Fetcher, product_token
from ingest.feeds.robots import ALLOW_ALL, DENY_ALL, RobotsCache, Rules, parse_robots, rules_without
from ingest.settings import Fetch
from tests.ingest.feeds.site import Site, answer

AGENT = "Conflictwire"
OPEN = Fetch(allow_private=True, host_gap=0)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.mark.parametrize(
    ("rule", "fits", "does_not"),
    [
        # The table of Google's specification.
        ("/", ["/", "/any"], []),
        ("/*", ["/", "/any"], []),
        (
            "/fish",
            ["/fish", "/fish.html", "/fish/salmon.html", "/fishheads", "/fish.php?id=1"],
            ["/Fish.asp", "/cat?fish"],
        ),
        ("/fish*", ["/fish", "/fish.html", "/fishheads/yummy.html", "/fish.php?id=1"], ["/Fish.asp", "/catfish"]),
        ("/fish/", ["/fish/", "/fish/?id=anything", "/fish/salmon.htm"], ["/fish", "/fish.html", "/animals/fish/"]),
        (
            "/*.php",
            ["/index.php", "/filename.php", "/folder/filename.php?a", "/a.php.html", "/x.php/"],
            ["/", "/windows.PHP"],
        ),
        ("/*.php$", ["/filename.php", "/folder/filename.php"], ["/filename.php?a", "/filename.php/", "/filename.php5"]),
        ("/fish*.php", ["/fish.php", "/fishheads/catfish.php?a"], ["/Fish.PHP"]),
        # RFC 9309, 2.2.2 and 2.2.3.
        ("/foo/bar?baz=quz", ["/foo/bar?baz=quz"], ["/foo/bar"]),
        ("/foo/bar/\u30c4", ["/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84"], ["/foo/bar/"]),
        ("/foo/bar/%E3%83%84", ["/foo/bar/%E3%83%84"], []),
        ("/foo/bar/%62%61%7A", ["/foo/bar/baz", "/foo/bar/%62az"], []),
        ("/a%2fb", ["/a%2Fb"], ["/a/b"]),
        ("/path/file-with-a-%2A.html", ["/path/file-with-a-*.html"], ["/path/file-with-a-x.html"]),
        ("/path/foo-%24", ["/path/foo-$", "/path/foo-$x"], ["/path/foo-"]),
        ("/a$b", ["/a$b"], ["/a"]),
        ("/a*b*c$", ["/abc", "/a-b-b-c-c"], ["/abcd", "/acb"]),
        ("/a**b", ["/ab", "/axb"], ["/a"]),
        ("*/private", ["/private", "/x/private/y"], ["/public"]),
        ("/ab*ab$", ["/abab", "/abxab"], ["/ab", "/aab"]),
        ("$", [], ["/", "/x"]),
    ],
)
def test_a_pattern_fits_what_the_specifications_say(rule: str, fits: list[str], does_not: list[str]) -> None:
    rules = parse_robots(f"User-agent: *\nDisallow: {rule}\n", AGENT)
    assert [path for path in fits if rules.allow(path)] == []
    assert [path for path in does_not if not rules.allow(path)] == []


@pytest.mark.parametrize(
    ("lines", "path", "allowed"),
    [
        # The longest fits, and allow wins a tie (Google's table).
        (["Allow: /p", "Disallow: /"], "/page", True),
        (["Disallow: /", "Allow: /p"], "/page", True),
        (["Allow: /folder", "Disallow: /folder"], "/folder/page", True),
        (["Allow: /page", "Disallow: /*.htm"], "/page.htm", False),
        (["Allow: /page", "Disallow: /*.ph"], "/page.php5", True),
        (["Allow: /$", "Disallow: /"], "/", True),
        (["Allow: /$", "Disallow: /"], "/page.htm", False),
        (["Disallow: /"], "/robots.txt", True),
        (["Disallow:"], "/page", True),
        (["Allow:", "Disallow: /"], "/page", False),
        (["disallow:/page # not this"], "/page", False),
        (["  DisAllow  :   /page  "], "/page", False),
        (["Disallow /page"], "/page", True),
        (["Sitemap: https://example.org/s.xml", "Disallow: /page"], "/page", False),
        (["<html><body>not found</body></html>"], "/page", True),
    ],
)
def test_the_longest_rule_that_fits_decides(lines: list[str], path: str, allowed: bool) -> None:
    assert parse_robots("\n".join(["User-agent: *", *lines]), AGENT).allow(path) is allowed


@pytest.mark.parametrize(
    ("text", "forbidden"),
    [
        ("User-agent: *\nDisallow: /all\n\nUser-agent: conflictwire\nDisallow: /us", ["/us"]),
        ("User-agent: CONFLICTWIRE/1.0 (news)\nDisallow: /us\nUser-agent: *\nDisallow: /all", ["/us"]),
        ("User-agent: other\nUser-agent: Conflictwire\nUser-agent: *\nDisallow: /all", ["/all"]),
        (
            "User-agent: Conflictwire\nDisallow: /us\nUser-agent: x\nDisallow: /x\nUser-agent: Conflictwire\nDisallow: /all",
            ["/us", "/all"],
        ),
        ("User-agent: Conflictwire\nDisallow:\n\nUser-agent: *\nDisallow: /all", []),
        ("User-agent: Conflictwire\n\nUser-agent: *\nDisallow: /all", ["/all"]),
        ("User-agent: Conflict\nDisallow: /us\nUser-agent: Conflictwires\nDisallow: /all", []),
        ("User-agent: other\nDisallow: /all", []),
        ("Disallow: /all", []),
        ("\ufeffUser-agent: *\r\n\r\nDisallow: /all\r\n", ["/all"]),
        ("User-agent: *\rDisallow: /all", ["/all"]),
        ("User-agent: *\n# a comment\nSitemap: x\nDisallow: /all", ["/all"]),
        ("", []),
    ],
)
def test_the_groups_that_name_us_hold_or_else_those_for_all(text: str, forbidden: list[str]) -> None:
    rules = parse_robots(text, AGENT)
    assert [path for path in ("/us", "/all", "/x") if not rules.allow(path)] == forbidden


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2", 2), ("0.5", 0.5), ("3600", robots.MAX_DELAY), ("-1", 0), ("nan", 0), ("inf", 0), ("soon", 0), ("", 0)],
)
def test_a_crawl_delay_holds_up_to_a_bound(value: str, seconds: float) -> None:
    text = f"User-agent: x\nCrawl-delay: 9\nUser-agent: *\nCrawl-delay: {value}\nDisallow: /x"
    assert parse_robots(text, AGENT) == Rules("-/x", seconds)


@pytest.mark.parametrize(
    ("error", "rules"),
    [
        (FetchError("http", "", 404), ALLOW_ALL),
        (FetchError("http", "", 401), ALLOW_ALL),
        (FetchError("http", "", 403), ALLOW_ALL),
        (FetchError("http", "", 410), ALLOW_ALL),
        (FetchError("redirect", "", 302), ALLOW_ALL),
        (FetchError("http", "", 429), DENY_ALL),
        (FetchError("http", "", 500), DENY_ALL),
        (FetchError("http", "", 503), DENY_ALL),
        (FetchError("dns", ""), DENY_ALL),
        (FetchError("connect", ""), DENY_ALL),
        (FetchError("timeout", ""), DENY_ALL),
        (FetchError("tls", ""), DENY_ALL),
        (FetchError("protocol", ""), DENY_ALL),
    ],
)
def test_a_missing_robots_txt_allows_all_and_a_site_in_trouble_nothing(error: FetchError, rules: Rules) -> None:
    assert rules_without(error) is rules


@given(st.text(alphabet="ab*$/", max_size=12), st.text(alphabet="ab/", max_size=12))
def test_patterns_fit_as_the_regular_expression_that_they_stand_for(pattern: str, path: str) -> None:
    path = f"/{path}"
    inner, end = (pattern[:-1], r"\Z") if pattern.endswith("$") else (pattern, "")
    regex = "".join(".*" if mark == "*" else re.escape(mark) for mark in inner) + end
    fits = bool(pattern) and re.match(regex, path) is not None
    assert parse_robots(f"User-agent: *\nDisallow: {pattern}", AGENT).allow(path) is not fits


LINES = st.sampled_from(["User-agent", "Disallow", "Allow", "Crawl-delay", "Sitemap", ""])


@given(st.lists(st.tuples(LINES, st.text(max_size=20))), st.text(max_size=30))
def test_any_text_is_read_and_any_path_judged(lines: list[tuple[str, str]], path: str) -> None:
    text = "\n".join(f"{key}: {value}" for key, value in lines)
    rules = parse_robots(text, AGENT)
    assert isinstance(rules.allow(path), bool)
    assert len(rules.lines) <= 12 * len(text) + 12
    assert parse_robots("User-agent: x\nDisallow: /\n" + text, "no-such-agent").allow(path) in (True, False)


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"User-agent: a{number}\n" for number in range(16_000)) + "Allow:/\n" * 30_000,
        "".join(f"User-agent: a{number}\nAllow: /\n" for number in range(20_000)),
        "User-agent: *\n" + "".join(f"Disallow: /{number}*a*b*c\n" for number in range(22_000)),
        "User-agent: *\nDisallow: /" + "*a" * 250_000,
        "User-agent: *\nDisallow: /" + "*" * 500_000,
        "User-agent: *\n" + "Disallow: /*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b$\n" * 12_000,
        ":" * 500_000,
        "\n\r" * 250_000,
        "#" * 500_000,
        "User-agent: *\nDisallow: /" + "%" * 500_000,
    ],
    ids=[
        "agents by rules",
        "groups",
        "wildcard rules",
        "wildcards",
        "stars",
        "search",
        "colons",
        "ends",
        "hashes",
        "escapes",
    ],
)
def test_the_worst_file_takes_no_time_worth_mentioning(text: str) -> None:
    started = time.process_time()
    parse_robots(text, AGENT).allow("/" + "a" * 2_000)
    assert time.process_time() - started < 1.5


def allowed(*urls: str, cache: RobotsCache | None = None) -> list[bool]:
    async def ask() -> list[bool]:
        async with Fetcher(OPEN, robots=cache) as fetcher:
            return list(await asyncio.gather(*map(fetcher.allowed, urls)))

    return asyncio.run(ask())


def test_a_site_is_asked_once_for_its_robots_txt(site: Site) -> None:
    site.routes["/robots.txt"] = answer("User-agent: *\nDisallow: /private", Content_Type="text/plain")
    urls = [f"{site.url}/page", f"{site.url}/private/x", f"{site.url}/PRIVATE", f"{site.url}/%70rivate?x#y"]
    assert allowed(*urls) == [True, False, True, False]
    assert site.paths() == ["/robots.txt"]
    assert site.requests[0].headers["user-agent"].startswith("Conflictwire/")


def test_robots_txt_is_fetched_again_after_a_day_and_after_an_hour_if_it_failed(site: Site) -> None:
    now = 1_000_000.0
    cache = RobotsCache(AGENT, clock=lambda: now)
    page = f"{site.url}/page"
    site.routes["/robots.txt"] = answer("oops", "500 Oops")
    assert allowed(page, cache=cache) == [False]
    site.routes["/robots.txt"] = answer("User-agent: *\nDisallow: /private")
    now += robots.RETRY - 1
    assert allowed(page, cache=cache) == [False]
    now += 1
    assert allowed(page, cache=cache) == [True]
    site.routes["/robots.txt"] = answer("User-agent: *\nDisallow: /")
    now += robots.FRESH - 1
    assert allowed(page, cache=cache) == [True]
    now += 1
    assert allowed(page, cache=cache) == [False]
    assert len(site.requests) == 3


def test_the_old_rules_hold_while_robots_txt_cannot_be_had(site: Site) -> None:
    now = 1_000_000.0
    cache = RobotsCache(AGENT, clock=lambda: now)
    site.routes["/robots.txt"] = answer("User-agent: *\nDisallow: /private")
    urls = (f"{site.url}/page", f"{site.url}/private")
    assert allowed(*urls, cache=cache) == [True, False]
    site.routes["/robots.txt"] = answer("oops", "503 Oops")
    now += robots.FRESH
    assert allowed(*urls, cache=cache) == [True, False]
    assert len(site.requests) == 2


def test_a_robots_txt_behind_redirects_and_encodings_is_read(site: Site) -> None:
    site.routes["/robots.txt"] = answer(status="301 Moved Permanently", Location="/robots")
    site.routes["/robots"] = answer("\ufeffUser-agent: *\r\nDisallow: /x\r\n".encode() + b"Disallow: /\xff\xfe\r\n")
    assert allowed(f"{site.url}/x", f"{site.url}/y") == [False, True]


def test_an_endless_robots_txt_is_read_to_the_limit(site: Site) -> None:
    head = "User-agent: *\nDisallow: /private\n" + "# and so on\n" * 50_000
    site.routes["/robots.txt"] = answer(head + "Disallow: /beyond\n")
    assert allowed(f"{site.url}/private", f"{site.url}/beyond") == [False, True]
    # A rule that the limit cuts through does not say less than it did.
    size = robots.MAX_BYTES - len("User-agent: *\n#\nDisallow: /")
    site.routes["/robots.txt"] = answer("User-agent: *\n#" + "x" * size + "\nDisallow: /beyond\n")
    assert allowed(f"{site.url}/page") == [True]


def page(url: str, chosen: Fetch = OPEN) -> Fetched:
    async def fetch() -> Fetched:
        async with Fetcher(chosen) as fetcher:
            return await fetcher.get(url, only_types=HTML_TYPES, robots=True)

    return asyncio.run(fetch())


def test_a_page_that_robots_txt_forbids_is_not_asked_for_also_behind_a_redirect(site: Site) -> None:
    with Site(address="127.0.0.2") as other:
        other.routes["/robots.txt"] = answer("User-agent: *\nDisallow: /private")
        other.routes["/private"] = other.routes["/public"] = answer("<p>", Content_Type="text/html")
        site.routes["/a"] = answer(status="302 Found", Location=f"{other.url}/private")
        site.routes["/b"] = answer(status="302 Found", Location=f"{other.url}/public")
        for url in (f"{other.url}/private", f"{site.url}/a"):
            with pytest.raises(FetchError) as caught:
                page(url)
            assert caught.value.kind == "robots"
            assert "robots.txt" in str(caught.value)
        assert "/private" not in other.paths()
        assert page(f"{site.url}/b").body == b"<p>"


def test_a_feed_is_fetched_whatever_robots_txt_says(site: Site) -> None:
    site.routes["/robots.txt"] = answer("User-agent: *\nDisallow: /")
    site.routes["/feed"] = answer("<rss/>")

    async def fetch() -> Fetched:
        async with Fetcher(OPEN) as fetcher:
            return await fetcher.get(f"{site.url}/feed")

    assert asyncio.run(fetch()).body == b"<rss/>"
    assert site.paths() == ["/feed"]


def test_the_crawl_delay_is_the_gap_between_requests_to_the_site(site: Site) -> None:
    site.routes["/robots.txt"] = answer("User-agent: *\nCrawl-delay: 0.3")
    site.routes["/page"] = answer("<p>", Content_Type="text/html")

    async def fetch() -> None:
        async with Fetcher(OPEN) as fetcher:
            for _ in range(3):
                await fetcher.get(f"{site.url}/page", robots=True)

    asyncio.run(fetch())
    assert site.paths() == ["/robots.txt", "/page", "/page", "/page"]
    assert site.moments[3] - site.moments[1] > 0.5


def test_robots_txt_is_never_fetched_from_a_private_address(site: Site) -> None:
    with pytest.raises(FetchError) as caught:
        page(f"{site.url}/page", Fetch())
    assert caught.value.kind == "private_address"
    assert not site.requests


def test_what_is_known_outlives_the_process(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "robots.json"
    site.routes["/robots.txt"] = answer("User-agent: *\nDisallow: /private\nCrawl-delay: 2")
    first, second, stranger = RobotsCache(AGENT), RobotsCache(AGENT), RobotsCache("Other")
    urls = (f"{site.url}/page", f"{site.url}/private")
    assert allowed(*urls, cache=first) == [True, False]
    first.write(path)
    second.read(path)
    assert allowed(*urls, cache=second) == [True, False]
    assert second.delay(site.url) == 2
    assert len(site.requests) == 1
    stranger.read(path)
    assert stranger.delay(site.url) == 0


@pytest.mark.parametrize("text", [None, "", "{", "[]", "1", '{"agent": "Conflictwire", "sites": {"x": 1}}', "\x00"])
def test_a_damaged_file_of_robots_is_as_good_as_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "robots.json").write_text(text)
    RobotsCache(AGENT).read(tmp_path / "robots.json")


def test_memory_of_sites_is_bounded_and_the_longest_unused_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(robots, "_MAX_KEPT", 1_000_000)
    cache = RobotsCache(AGENT)
    loads: list[str] = []

    async def load(url: str) -> bytes:
        loads.append(url)
        return b"User-agent: *\nCrawl-delay: 1\nDisallow: /" + b"x" * 100_000

    async def visit() -> Any:
        for number in range(30):
            await cache.rules(f"http://host-{number}", load)
            await cache.rules("http://host-0", load)

    asyncio.run(visit())
    assert len(loads) == 30
    known = [number for number in range(30) if cache.delay(f"http://host-{number}")]
    assert known == [0, *range(22, 30)]


@pytest.mark.parametrize(
    ("user_agent", "token"),
    [
        ("Conflictwire/{version} (+{contact})", "Conflictwire"),
        ("News-Desk_bot 2", "News-Desk_bot"),
        ("42", "Conflictwire"),
    ],
)
def test_the_beginning_of_the_user_agent_is_our_name(user_agent: str, token: str) -> None:
    assert product_token(user_agent) == token
