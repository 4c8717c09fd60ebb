"""URLs in one form, and whose they are."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.feeds.urls import (
    canonical_url,
    is_front_page,
    link_key,
    names_one_article,
    publisher_scope,
    registrable_domain,
)


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
        ("https://example.org/a/", "https://example.org/a"),
        ("https://example.org//news///a//", "https://example.org/news/a"),
        ("https://example.org/news/index.html", "https://example.org/news"),
        ("https://example.org/index.php?id=5", "https://example.org/?id=5"),
        ("https://example.org/default.aspx", "https://example.org/"),
        ("https://example.org/news/index.html/a", "https://example.org/news/index.html/a"),
        ("https://example.org/a;jsessionid=0A1B2C?id=5", "https://example.org/a?id=5"),
        ("https://example.org/(S(lit3py55t21z5v55vlm25s55))/a.aspx", "https://example.org/a.aspx"),
        ("https://example.org/a?PHPSESSID=abc&id=5", "https://example.org/a?id=5"),
        ("https://example.org/a?sid=0123456789abcdef0123&p=1", "https://example.org/a?p=1"),
        ("https://example.org/a?sid=124", "https://example.org/a?sid=124"),
        ("https://example.org/a?p=124&page=2", "https://example.org/a?p=124&page=2"),
        ("https://example.org/a?cid=124&tag=war", "https://example.org/a?cid=124&tag=war"),
        ("https://example.org/amp/news/a", "https://example.org/news/a"),
        ("https://example.org/amp", "https://example.org/"),
        ("https://touch.example.org/a", "https://example.org/a"),
        ("https://example.org/a?b=%2f%2F&c=%41", "https://example.org/a?b=%2F%2F&c=A"),
        ("https://example.org/a%2Fb", "https://example.org/a%2Fb"),
        ("https://example.org/A", "https://example.org/A"),
        (
            "https://www.google.com/url?rct=j&sa=t&url=https://example.org/a%3Fid%3D5&ct=ga&usg=x",
            "https://example.org/a?id=5",
        ),
        (
            "http://www.bing.com/news/apiclick.aspx?ref=FexRss&url=https%3a%2f%2fexample.org%2fa&c=1",
            "https://example.org/a",
        ),
        ("https://l.facebook.com/l.php?u=https%3A%2F%2Fexample.org%2Fa%3Ffbclid%3D1&h=x", "https://example.org/a"),
        (
            "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fexample.org%2Fa&data=x",
            "https://example.org/a",
        ),
        ("https://r.search.yahoo.com/_ylt=x/RU=https%3a%2f%2fexample.org%2fa/RK=2/RS=y", "https://example.org/a"),
        (
            "https://news.google.com/rss/articles/CBMiGmh0dHBzOi8vZXhhbXBsZS5vcmcvbmV3cy9h0gEA?oc=5",
            "https://example.org/news/a",
        ),
        (
            "https://news.google.com/rss/articles/CBMiWkFVX3lxTE5xbWxXb0xqbGQ?oc=5",
            "https://news.google.com/rss/articles/CBMiWkFVX3lxTE5xbWxXb0xqbGQ?oc=5",
        ),
        ("https://www.bing.com/search?url=https://example.org/a", "https://bing.com/search?url=https://example.org/a"),
        ("https://www.google.com/url?url=javascript:alert(1)", "https://google.com/url?url=javascript:alert(1)"),
        ("https://example.org/url?url=https://other.example/a", "https://example.org/url?url=https://other.example/a"),
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
        "google.com/ google.com/url?url= http%3A// https%253A// /index.html ;sid=1 (S(1))/ example.org :80 :443 é ü.".split()
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


ANY_STRING = st.text(st.characters())  # lone surrogates and NUL too


@given(ANY_STRING)
@settings(deadline=None)  # the first call reads the Public Suffix List
def test_no_string_breaks_it(text: str) -> None:
    for url in (text, f"http://{text}", f"https://example.org/{text}", f"https://news.google.com/articles/CBM{text}"):
        canonical = canonical_url(url)
        assert canonical_url(canonical) == canonical
        names_one_article(link_key(url))
        is_front_page(link_key(url))
        assert publisher_scope("feed", url, None)


@given(st.binary(max_size=60))
def test_no_token_of_google_news_breaks_it(message: bytes) -> None:
    token = base64.urlsafe_b64encode(b"\x08\x13\x22" + message).decode().rstrip("=")
    url = canonical_url(f"https://news.google.com/rss/articles/{token}")
    assert canonical_url(url) == url


SEGMENT = st.text("abcdefgh0123456789", min_size=1, max_size=8)


@given(
    st.lists(SEGMENT, min_size=1, max_size=4),
    st.sampled_from(["https://", "http://www.", "HTTPS://WWW.", "https://m.", "http://amp.", "https://mobile."]),
    st.sampled_from(
        ["", "/", "//", "/index.html", "/amp", "/amp/", "?utm_source=x", "?amp=1", "#top", "/#a", "/?fbclid=1"]
    ),
    st.booleans(),
)
def test_dress_makes_no_other_page(path: list[str], prefix: str, suffix: str, spelt_out: bool) -> None:
    plain = "/".join(path)
    dressed = "".join(f"%{ord(mark):02x}" for mark in plain) if spelt_out else plain
    dressed = dressed.replace("%2f", "/")
    assert link_key(f"{prefix}example.org/{dressed}{suffix}") == link_key(f"https://example.org/{plain}")


@given(
    st.tuples(st.lists(SEGMENT, min_size=1, max_size=3), SEGMENT),
    st.tuples(st.lists(SEGMENT, min_size=1, max_size=3), SEGMENT),
)
def test_other_paths_and_ids_stay_other_pages(one: tuple[list[str], str], other: tuple[list[str], str]) -> None:
    keys = {link_key(f"https://example.org/{'/'.join(path)}?id={number}&utm_id=1") for path, number in (one, other)}
    assert len(keys) == (1 if one == other else 2)


@pytest.mark.parametrize(
    ("url", "article", "front"),
    [
        ("https://example.org/", False, True),
        ("https://www.example.org", False, True),
        ("https://example.org/index.html", False, True),
        ("https://example.org/?p=12", True, False),
        ("https://example.org/#!/story", True, False),
        ("https://example.org/world", False, False),
        ("https://example.org/world/middle-east", False, False),
        ("https://example.org/rebels-shell-town-centre", True, False),
        ("https://example.org/2026/11/24/rebels", False, False),
        ("https://example.org/world/123456", True, False),
        ("https://example.org/мятежники", True, False),
    ],
)
def test_links_of_articles_are_told_from_those_of_sites_and_sections(url: str, article: bool, front: bool) -> None:
    assert (names_one_article(link_key(url)), is_front_page(link_key(url))) == (article, front)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("feeds.bbci.co.uk", "bbci.co.uk"),
        ("www.Example.ORG.", "example.org"),
        ("a.b.gov.au", "b.gov.au"),
        ("one.blogspot.com", "one.blogspot.com"),
        ("news.bücher.de", "xn--bcher-kva.de"),
        ("127.0.0.1", "127.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("localhost", "localhost"),
        ("co.uk", "co.uk"),
        ("a.internal.invalid", "a.internal.invalid"),
        ("", ""),
    ],
)
def test_registrable_domains(host: str, domain: str) -> None:
    assert registrable_domain(host) == domain


@pytest.mark.parametrize(
    ("url", "publisher", "scope"),
    [
        ("https://feeds.bbci.co.uk/news/rss.xml", "BBC  News", "publisher bbc news"),
        ("https://feeds.bbci.co.uk/news/rss.xml", None, "domain bbci.co.uk"),
        ("https://feeds.bbci.co.uk/news/rss.xml", "  ", "domain bbci.co.uk"),
        ("https://rss.bbci.co.uk/rss.xml", None, "domain bbci.co.uk"),
        ("https://one.substack.com/feed", None, "domain one.substack.com"),
        ("https://www.one.substack.com/feed", None, "domain one.substack.com"),
        ("https://feeds.feedburner.com/one", None, "feed name"),
        ("https://feeds.feedburner.com/one", "One", "publisher one"),
        ("https://news.google.com/rss/search?q=war", None, "feed name"),
        ("https://www.google.co.uk/alerts/feeds/1/2", None, "feed name"),
        ("http://[broken", None, "feed name"),
        ("", None, "feed name"),
    ],
)
def test_articles_are_one_within_a_publisher(url: str, publisher: str | None, scope: str) -> None:
    assert publisher_scope("name", url, publisher) == scope
