"""What the page's modules decide, each by table, in the browser that runs them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.page.conftest import Look


@pytest.fixture
def blank(look: Look) -> Page:
    """A page of the desk's origin with nothing on it."""
    page = look.context.new_page()
    look.watch.over(page)
    page.goto(f"{look.desk.url}/static/icon.svg")
    return page


def call(page: Page, module: str, name: str, *arguments: Any) -> Any:
    """What a function of a module answers."""
    script = "async ([module, name, given]) => (await import(`/static/${module}.js`))[name](...given)"
    return page.evaluate(script, [module, name, list(arguments)])


def test_marks_count_code_points(blank: Page) -> None:
    def pieces(text: str, *spans: tuple[str, int, int], offset: int = 0) -> list[tuple[str, str]]:
        given = [{"role": role, "start": start, "end": end} for role, start, end in spans]
        found = call(blank, "marks", "pieces", text, given, offset)
        assert "".join(piece["text"] for piece in found) == text
        return [(piece["text"], "+".join(piece["roles"])) for piece in found]

    assert pieces("") == []
    assert pieces("abc") == [("abc", "")]
    assert pieces("a😀bc", ("actor", 1, 2)) == [("a", ""), ("😀", "actor"), ("bc", "")]
    assert pieces("🇸🇩 Gao", ("place", 3, 6)) == [("🇸🇩 ", ""), ("Gao", "place")]
    assert pieces("x\U0001d50ate", ("actor", 101, 104), offset=100) == [("x", ""), ("\U0001d50ate", "actor")]
    # One within the other, and two that overlap.
    assert pieces("army of Mali", ("actor", 0, 12), ("place", 8, 12)) == [
        ("army of ", "actor"),
        ("Mali", "actor+place"),
    ]
    assert pieces("abcd", ("actor", 0, 3), ("date", 2, 4)) == [("ab", "actor"), ("c", "actor+date"), ("d", "date")]
    # What is out of the text, turned round or empty marks nothing more.
    assert pieces("abc", ("actor", -5, 1), ("date", 2, 99), ("dead", 2, 1), ("place", 1, 1)) == [
        ("a", "actor"),
        ("b", ""),
        ("c", "date"),
    ]


def test_only_web_addresses_become_links(blank: Page) -> None:
    good = {"http://a.example/x": "http://a.example/x", "https://a.example": "https://a.example/"}
    bad = (
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:x",
        "data:text/html,x",
        "//a.example",
        "/v1",
        "",
        "ftp://a",
        "vbscript:x",
    )
    for text, address in good.items():
        assert call(blank, "dom", "webAddress", text) == address
    for text in bad:
        assert call(blank, "dom", "webAddress", text) is None, text


def test_words_cannot_disguise_what_follows(blank: Page) -> None:
    assert call(blank, "dom", "plain", "a\u202eb\u0007c\nd\U000e0041e") == "a\ufffdb\ufffdc d\ufffde"
    assert call(blank, "dom", "plain", "שלום \u200f😀 e\u0301") == "שלום \u200f😀 e\u0301"
    refused = blank.evaluate(
        """async () => {
            const { h } = await import("/static/dom.js");
            return ["style", "onclick", "srcdoc", "href", "src", "innerHTML"].filter((name) => {
                try { h("a", { [name]: "x" }); return false; } catch { return true; }
            });
        }"""
    )
    assert refused == ["style", "onclick", "srcdoc", "href", "src", "innerHTML"]


def test_the_stream_can_come_in_any_pieces(blank: Page) -> None:
    text = ': hello\n\nid: 7\nevent: incident\ndata: {"a":\ndata: 1}\n\r\nid:8\r\ndata:x\r\n\r\n'
    text += ": still here\n\nevent: none\n\n\ndata\n\n"
    script = """async ([text, size]) => {
        const { parser } = await import("/static/sse.js");
        const found = [];
        const feed = parser((event) => found.push(event));
        for (let at = 0; at < text.length; at += size) feed(text.slice(at, at + size));
        return found;
    }"""
    expected = [
        {"id": "7", "event": "incident", "data": '{"a":\n1}'},
        {"id": "8", "event": "message", "data": "x"},
        {"id": "8", "event": "message", "data": ""},
    ]
    for size in (1, 2, 3, 7, 1000):
        assert blank.evaluate(script, [text, size]) == expected, size


def test_the_address_says_the_view(blank: Page) -> None:
    def round_trip(search: str) -> str:
        view = call(blank, "view", "readView", search)
        written: str = call(blank, "view", "writeView", view)
        assert call(blank, "view", "writeView", call(blank, "view", "readView", written)) == written
        return written

    assert round_trip("") == ""
    same = (
        "?type=ASSAULT&type=COERCE&country=SDN&source=a%26b&text=%3Cb%3E+%F0%9F%98%80&min_sources=2&since=2026-11-01"
        "&bbox=21.8%2C8.6%2C38.6%2C22.2&as_of=2026-11-20T10%3A00%3A00Z&span=1y&map=10.000%2C20.500%2C3.25"
        "&incident=0123456789abcdef01234567"
    )
    assert round_trip(same) == same
    # What cannot be is left out: the page works, and the API is not asked for nonsense.
    wrong = (
        "?min_confidence=2&min_sources=x&since=soon&bbox=1,2,3&bbox=&map=9,9&span=5y&incident=../../keys&type=&nothing=1"
        "&happened_until=2026-13-99x&as_of=1"
    )
    assert round_trip(wrong) == ""
    assert len(round_trip("?text=" + "a" * 5000)) == len("?text=") + 200
    assert round_trip("?" + "&".join(f"type=T{number}" for number in range(99))).count("type=") == 50


def test_bars_have_no_gaps(blank: Page) -> None:
    def day(text: str) -> int:
        milliseconds: int = blank.evaluate("(text) => Date.parse(text)", text)
        return milliseconds

    rows = [
        {"day": "2026-10-30", "quad": "material conflict", "count": 2},
        {"day": "2026-10-30", "quad": "verbal conflict", "count": 1},
        {"day": "2026-11-02", "quad": "verbal cooperation", "count": 4},
    ]
    found = call(blank, "timeline", "bars", rows, "day", day("2026-10-29"), day("2026-11-03"))
    assert [bar["total"] for bar in found] == [0, 3, 0, 0, 4]
    assert found[1]["parts"] == {"mc": 2, "vc": 1}
    # A week begins on Monday; a month has its own length.
    assert call(blank, "timeline", "unitStart", day("2026-11-01T12:00Z"), "week") == day("2026-10-26")
    assert call(blank, "timeline", "unitStart", day("2026-11-02"), "week") == day("2026-11-02")
    assert call(blank, "timeline", "unitEnd", day("2028-02-01"), "month") == day("2028-03-01")
    weeks = call(
        blank, "timeline", "bars", [{"week": "2026-10-26", "quad": "x", "count": 1}], "week", None, day("2026-11-10")
    )
    assert [bar["total"] for bar in weeks] == [0, 0, 0, 1, 0, 0]
    assert weeks[0]["start"] == day("2026-10-05")
    assert all(one["end"] == other["start"] for one, other in pairwise(weeks))


def test_figures_can_be_said_in_words(blank: Page) -> None:
    assert call(blank, "words", "range", {"min": 12, "max": None}) == "at least 12"
    assert call(blank, "words", "range", {"min": 12, "max": 12}) == "12"
    assert call(blank, "words", "range", {"min": 1200, "max": 1500}) == "1,200–1,500"
    now = blank.evaluate("() => Date.parse('2026-11-28T12:00:00Z')")
    told = {"2026-11-28T11:59:30Z": "now", "2026-11-28T11:46:00Z": "14 min", "2026-11-28T08:00:00Z": "4 h"}
    told |= {
        "2026-11-26T11:00:00Z": "2 d",
        "2026-10-03T11:00:00Z": "3 Oct",
        "2025-12-03T11:00:00Z": "3 Dec 2025",
        "2026-11-28T12:05:00Z": "now",
    }
    for text, words in told.items():
        assert call(blank, "words", "ago", text, now) == words
    assert (
        call(blank, "words", "days", {"earliest": "2026-11-03", "latest": "2026-11-05"})
        .replace("\u2009", "")
        .replace(" – ", "–")
        == "3–5 Nov 2026"
    )
    assert call(blank, "words", "days", {"earliest": "2026-11-03", "latest": None}) == "3 Nov 2026"
    assert call(blank, "words", "names", ["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
