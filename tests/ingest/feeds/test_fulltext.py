"""What is the article on a page, what is about it, and what stands in its place."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.feeds.fulltext import extract_page, what_instead

NEWS = (
    "Rebels shelled the town of Exville on Tuesday and killed at least twelve people, officials said on Wednesday.",
    "The army said that it had answered with air strikes on positions east of the river, where no one is said to live.",
    "Talks are to go on in Geneva next week, a spokeswoman for the mediators said, though neither side has agreed.",
)
COOKIES = (
    "We and our 842 partners store and access information on your device, such as cookies.",
    "You can change your choices at any time in our privacy policy.",
    "Your consent applies to this site alone.",
)


@pytest.mark.parametrize(
    ("paragraphs", "title", "instead"),
    [
        (NEWS, "Rebels shell town", None),
        ((), "Rebels shell town", None),
        (COOKIES, "Rebels shell town", "a cookie wall"),
        (("Mit Ihrer Einwilligung verarbeiten wir personenbezogene Daten.",), "", "a cookie wall"),
        ((*NEWS, COOKIES[2]), "Rebels shell town", None),
        (("Regulators fined the search company over cookies.", *NEWS), "Fine over cookies", None),
        (("Subscribe to continue reading this article.", "Already a subscriber? Log in."), "", "a paywall"),
        (
            (NEWS[0][:60], "This story is available exclusively to our subscribers. Sign up to read it in full."),
            "",
            "a paywall",
        ),
        (("Cet article est réservé aux abonnés.",), "", "a paywall"),
        ((*NEWS, "Subscribe to read more like this."), "", None),
        (("Please enable JavaScript to view this site.",), "", "a check for robots"),
        (("Verify you are human by completing the action below.",), "", "a check for robots"),
        (("Sorry, the page you requested is not here.",), "", "an error page"),
        (("404 - Page not found",), "", "an error page"),
        (("Access to the camp was denied to journalists, who found the page of a diary.", *NEWS), "", None),
        (NEWS, "Sudan war live: rebels shell town", "a live blog"),
        (NEWS, "Live updates: rebels shell town", "a live blog"),
        (NEWS, "Rebels shell town – as it happened", "a live blog"),
        (NEWS, "En direct, Soudan : une ville bombardée", "a live blog"),
        (NEWS, "Where the displaced live - and die", None),
        (NEWS, "Live ammunition fired at protesters", None),
        (NEWS, "Rebels live in fear of drones", None),
        (
            ("14:32", NEWS[0], "14:10 GMT", NEWS[1], "2 hours ago", NEWS[2], "9.55am", NEWS[0]),
            "Rebels shell town",
            "a live blog",
        ),
        (("14:32", *NEWS, "Updated 15:10"), "Rebels shell town", None),
        ([COOKIES[0], *(NEWS * 12)], "How sites track you", None),
    ],
)
def test_walls_and_live_blogs_are_told_from_articles(
    paragraphs: tuple[str, ...], title: str, instead: str | None
) -> None:
    assert what_instead("\n\n".join(paragraphs), title) == instead


@given(st.text(), st.text())
def test_any_text_is_judged(text: str, title: str) -> None:
    what_instead(text, title)


def page(*, head: str = "", body: str | None = None, lang: str = ' lang="en-GB"') -> bytes:
    inside = "".join(f"<p>{part}</p>" for part in NEWS) if body is None else body
    return (
        f"<!doctype html><html{lang}><head><title>Rebels shell town | Example</title>{head}</head><body>"
        f"<nav><a href='/'>Home</a></nav><main><article><h1>Rebels shell town</h1>{inside}</article></main></body></html>"
    ).encode()


def structured(**said: object) -> str:
    return f'<script type="application/ld+json">{json.dumps(said)}</script>'


ARTICLE = {
    "@type": "NewsArticle",
    "headline": "Rebels shell town of Exville",
    "author": [{"@type": "Person", "name": "Jane Doe"}, {"@type": "Person", "name": "Juan Pérez"}],
    "datePublished": "2026-11-24T00:00:00+02:00",
    "inLanguage": "en-IE",
}


@pytest.mark.parametrize(
    "head",
    [
        structured(**ARTICLE),
        structured(**{"@context": "https://schema.org", "@graph": [{"@type": "WebSite", "name": "Example"}, ARTICLE]}),
        structured(**{**ARTICLE, "@type": ["ReportageNewsArticle", "Thing"]}),
        structured(**{"@type": "Organization", "name": "Example"}) + structured(**ARTICLE),
        '<script type="application/ld+json">{broken</script>' + structured(**ARTICLE),
        f'<script type="application/ld+json">{json.dumps([ARTICLE])}</script>',
    ],
)
def test_the_page_says_who_wrote_it_when_and_in_which_language(head: str) -> None:
    found = extract_page(page(head=head, lang=""), "text/html", "")
    assert found["title"] == "Rebels shell town of Exville"
    assert found["authors"] == ["Jane Doe", "Juan Pérez"]
    assert found["published"] == "2026-11-23T22:00:00+00:00"
    assert found["language"] == "en-IE"


@pytest.mark.parametrize(
    ("head", "lang", "language"),
    [
        ("", ' lang="fr"', "fr"),
        ('<meta property="og:locale" content="es_CO">', "", "es-CO"),
        ('<meta http-equiv="content-language" content="de">', "", "de"),
        ('<meta name="language" content="pt-br">', "", "pt-BR"),
        ("", ' lang="{{ lang }}"', None),
        ("", "", None),
    ],
)
def test_the_language_is_what_the_page_declares(head: str, lang: str, language: str | None) -> None:
    assert extract_page(page(head=head, lang=lang), "text/html", "")["language"] == language


@pytest.mark.parametrize(
    ("head", "published"),
    [
        ('<meta property="article:published_time" content="2026-11-24T10:00:00Z">', "2026-11-24T10:00:00+00:00"),
        ('<meta itemprop="datePublished" content="2026-11-24T10:00:00+02:00">', "2026-11-24T08:00:00+00:00"),
        (
            '<script type="application/ld+json">{"a": , "datePublished": "2026-11-24T10:00Z"}</script>',
            "2026-11-24T10:00:00+00:00",
        ),
        ('<meta property="article:published_time" content="yesterday">', None),
    ],
)
def test_the_time_is_what_the_page_declares(head: str, published: str | None) -> None:
    assert extract_page(page(head=head), "text/html", "")["published"] == published


def test_captions_and_offers_are_no_part_of_the_article() -> None:
    inside = (
        f"<p>{NEWS[0]}</p><figure><img src='x.jpg'><figcaption>Smoke over another town in 2019</figcaption></figure>"
        f"<div class='image-caption'>Dead of an older battle</div><p>{NEWS[1]}</p><p>Read more: what we know</p>"
        f"<p>Soldiers in Exville in 2017 [Jane Doe/AFP]</p><p>{NEWS[2]}</p><p>Sign up to our daily newsletter</p>"
    )
    assert extract_page(page(body=inside), "text/html", "Rebels shell town")["text"].split("\n\n") == list(NEWS)


@pytest.mark.parametrize("name", ["newsletter-open", "has-caption", "related-off", "read-more"])
def test_a_class_round_the_whole_article_does_not_hide_it(name: str) -> None:
    inside = "".join(f"<p>{part}</p>" for part in NEWS * 2)
    body = page(body=f"<div class='{name}'>{inside}</div>").replace(b"<body>", f"<body class='{name}'>".encode())
    assert NEWS[0] in extract_page(body, "text/html", "")["text"]


def test_a_text_that_only_search_engines_get_is_read() -> None:
    body = extract_page(
        page(head=structured(**ARTICLE, articleBody="\n\n".join(NEWS)), body="<div id='app'></div>"), "", ""
    )
    assert body["text"].split("\n\n") == list(NEWS)


@pytest.mark.parametrize(
    ("head", "inside", "instead"),
    [
        (structured(**{**ARTICLE, "@type": "LiveBlogPosting"}), None, "a live blog"),
        ("", "".join(f"<p>{part}</p>" for part in COOKIES), "a cookie wall"),
        (
            "",
            "<p>Please enable JavaScript and disable any ad blocker to view this page of Example News.</p>",
            "a check for robots",
        ),
    ],
)
def test_what_stands_in_for_an_article_gives_no_text(head: str, inside: str | None, instead: str) -> None:
    found = extract_page(page(head=head, body=inside), "text/html", "Rebels shell town")
    assert (found["text"], found["instead"]) == ("", instead)


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [[]], {"name": 5}, [None, {"name": ["x"]}], True])
@pytest.mark.parametrize(
    "name", ["@type", "@graph", "headline", "author", "datePublished", "inLanguage", "articleBody"]
)
def test_structured_data_of_any_kind_is_survived(name: str, value: object) -> None:
    found = extract_page(page(head=structured(**{**ARTICLE, name: value})), "text/html", "")
    assert NEWS[0] in found["text"]
