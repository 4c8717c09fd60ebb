"""What other mentions of an article, and its surroundings, tell of an actor."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.events import Span
from models.resolve.article import Article, Party

KANO = (
    "KANO, Nigeria, March 5 (Reuters) - Gunmen killed 12 people in a raid on Tuesday, state police spokesman Abdullahi Kiyawa "
    "said. Kiyawa said officers had been sent. The Islamic State West Africa Province (ISWAP) claimed the raid. The group has "
    "hit villages before. President Bola Tinubu condemned it. He vowed to crush the militants. The army arrested three."
)
BEIRUT = (
    "BEIRUT (AP) - An Israeli air strike killed three people in Khiam on Friday, Lebanon's health ministry said. The Shi'ite "
    "group Hezbollah vowed revenge. Its leader, Naim Qassem, blamed Washington. The ministry said medics were hurt. The "
    "military said its jets had hit a depot."
)
MINSK = (
    "Belarus and Lithuania reopened a crossing on Monday. The two countries had closed it in May. Jonas Petraitis, a "
    "spokesman for the Lithuanian border guard, thanked Minsk. Petraitis said trucks were moving."
)


def party(text: str, words: str, nth: int = 0, title: str = "", url: str | None = None) -> Party:
    """The actor named by the nth occurrence of the words, as the article tells it."""
    start = -1
    for _ in range(nth + 1):
        start = text.index(words, start + 1)
    article = Article(text, title, datetime(2024, 11, 8, tzinfo=UTC), url)
    span = Span(words, start, start + len(words), "text")
    left = max(text.rfind(". ", 0, start) + 2, 0) if ". " in text[:start] else 0
    right = text.find(". ", start) + 1 or len(text)
    return article.at_home(article.party(span), span, None, Span(text[left:right], left, right, "text"))


@pytest.mark.parametrize(
    ("text", "words", "nth", "country", "sector", "refers_to"),
    [
        (KANO, "The group", 0, "NGA", "REB", ["Islamic State West Africa Province"]),
        (KANO, "group", 0, "NGA", "REB", ["Islamic State West Africa Province"]),
        (KANO, "He", 0, "NGA", "GOV", ["President Bola Tinubu"]),
        (KANO, "Kiyawa", 1, "NGA", "COP", ["state police spokesman Abdullahi Kiyawa"]),
        (KANO, "the militants", 0, "NGA", "REB", ["Islamic State West Africa Province"]),
        (KANO, "The army", 0, "NGA", "MIL", []),
        (KANO, "Gunmen", 0, "NGA", "UAF", []),
        (BEIRUT, "The ministry", 0, "LBN", "GOV", ["Lebanon's health ministry"]),
        (BEIRUT, "The military", 0, "ISR", "MIL", ["Israeli"]),
        (BEIRUT, "three people", 0, "LBN", "CVL", []),
        (BEIRUT, "medics", 0, "LBN", "CVL", []),
        (MINSK, "The two countries", 0, None, "GOV", ["Belarus", "Lithuania"]),
        (MINSK, "Petraitis", 1, "LTU", "COP", ["Jonas Petraitis"]),
    ],
)
def test_an_actor_can_be_read_by_the_mentions_before_it(
    text: str, words: str, nth: int, country: str | None, sector: str, refers_to: list[str]
) -> None:
    found = party(text, words, nth)
    assert (found.code.country, found.code.sector) == (country, sector)
    for full in refers_to:
        assert any(full in span.text for span in found.refers_to), found
    assert bool(found.refers_to) == bool(refers_to)
    assert all(text[span.start : span.end] == span.text for span in found.refers_to)


def test_an_acronym_stands_for_the_name_that_the_article_spells_out() -> None:
    text = (
        "The National Front for Renewal of Chad (NFRC) attacked Faya. The NFRC, rebels since 2019, fled. NFRC men died."
    )
    found = party(text, "NFRC", 2)
    assert [span.text for span in found.refers_to] == ["National Front for Renewal of Chad"]
    assert found.code.country == "TCD"


@pytest.mark.parametrize(
    ("url", "country"),
    [
        ("https://www.dailynews.co.tz/story", "TZA"),
        ("https://example.co.uk:8443/a", "GBR"),
        ("https://example.com/ke", None),
        ("https://user@site.ng/", "NGA"),
        ("nonsense", None),
        (None, None),
    ],
)
def test_the_publisher_tells_the_country_where_nothing_else_does(url: str | None, country: str | None) -> None:
    assert party("Police arrested a thief.", "Police", url=url).code.country == country


def test_a_country_that_the_article_names_goes_before_the_publishers() -> None:
    assert party("Police in Malawi arrested a thief.", "Police", url="https://a.co.tz/").code.country == "MWI"


def test_the_dateline_of_a_neighbour_does_not_make_its_country_the_scene() -> None:
    text = "NAIROBI, March 12 (AFP) - Ethiopian troops entered Debre Elias. Soldiers killed a priest there. Fano fled."
    assert party(text, "a priest", title="Ethiopian army enters town").code.country == "ETH"


def test_those_who_come_from_elsewhere_are_not_given_the_country_at_hand() -> None:
    text = "Kenyan police freed foreign tourists in Lamu."
    assert party(text, "foreign tourists").code.country is None


def test_the_victims_of_a_foreign_attacker_are_not_his_people() -> None:
    text = "Israeli jets bombed a convoy, killing three people."
    article = Article(text)
    words = Span("three people", text.index("three"), text.index("three") + 12, "text")
    sentence = Span(text, 0, len(text), "text")
    found = article.at_home(article.party(words), words, None, sentence, ["ISR"])
    assert found.code.country is None


def test_north_and_south_are_the_koreas_where_the_article_names_one() -> None:
    text = "Seoul stopped its broadcasts to the North."
    assert party(text, "North").code.country == "PRK"
    assert party("Chad's army left the North.", "North").code.country != "PRK"


def test_a_guess_is_less_trusted_than_a_name() -> None:
    named = party(KANO, "President Bola Tinubu").code
    referred, guessed = party(KANO, "He").code, party(KANO, "Gunmen").code
    assert named.confidence > referred.confidence >= guessed.confidence > 0


anything = st.text(alphabet=st.characters(codec="utf-8"), max_size=200)


@given(title=anything, text=anything, words=st.integers(0, 150), length=st.integers(1, 40), url=anything)
@settings(max_examples=150, deadline=None)
def test_any_span_of_any_article_can_be_read(title: str, text: str, words: int, length: int, url: str) -> None:
    article = Article(text, title, None, url)
    for field, content in (("text", text), ("title", title)):
        cut = content[words : words + length]
        if cut:
            span = Span(cut, words, words + len(cut), "text" if field == "text" else "title")
            found = article.at_home(article.party(span), span, None, Span(content, 0, len(content), span.field))
            assert 0 <= found.code.confidence <= 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "word",
    [
        "He ",
        "A-",
        "A'",
        " " * 500 + "A",
        "toll now ",
        "The group ",
        "Iran (IR) ",
        "A. ",
        "in Goma ",
        "John Smith, a ",
        "(A",
        "The ",
    ],
)
def test_hostile_articles_can_be_read(word: str) -> None:
    text = word * 50_000
    article = Article(text, word * 100, None, None)
    for start in range(0, 2000, 50):
        span = Span(text[start : start + 9], start, start + 9, "text")
        article.at_home(article.party(span), span, None, Span(text[:5000], 0, 5000, "text"))
