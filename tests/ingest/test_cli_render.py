"""What reaches a terminal: readable, and unable to steer it."""

from __future__ import annotations

import io
import json
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ingest.records import EventRecord
from ingest.render import event_lines, event_table, print_event, safe, safe_json, sentence_text
from models.events import Count, Span
from tests.ingest.command import record, with_words
from tests.ingest.storage.samples import BARE, EVENT

HOSTILE = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe \u2066 \x00\r\n[bold red]markup[/] \U000e0041"
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def steers(mark: str) -> bool:
    """Whether a character could steer a terminal or turn text round."""
    return unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(mark) in DIRECTIONS


@given(st.text(alphabet=st.characters(), max_size=200))
def test_no_character_that_steers_a_terminal_is_left_and_offsets_hold(text: str) -> None:
    shown = safe(text)
    assert len(shown) == len(text)
    assert not any(map(steers, shown))
    assert all(
        after == before or steers(before) or not before.isprintable() for before, after in zip(text, shown, strict=True)
    )


@pytest.mark.parametrize("text", ["Київ", "‏".strip("\u200f") + "غزة", "می‌خواهم", "👩‍🚀", "Côte d'Ivoire", "北京"])
def test_text_of_any_language_stays_as_it_is(text: str) -> None:
    assert safe(text) == text


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_made_safe_says_the_same(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    made_safe = safe_json(text)
    assert json.loads(made_safe) == value
    assert not any(map(steers, made_safe))


def printed(event: EventRecord, terminal: bool) -> str:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=100 if terminal else 10_000, no_color=not terminal)
    print_event(console, event)
    console.print(event_table([event]))
    return file.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_hostile_articles_cannot_steer_the_terminal(terminal: bool) -> None:
    event = with_words(sentence=HOSTILE, actor=HOSTILE, location=HOSTILE)
    said = printed(record(event, title=HOSTILE, url=f"https://example.org/{HOSTILE}", feed=HOSTILE), terminal)
    assert "[bold red]markup[/]" in said
    # What is left of escape sequences are colours of our own.
    coloured = said.split("\x1b")
    assert all(part.startswith("[") and part[1 : part.index("m")].replace(";", "").isdigit() for part in coloured[1:])
    assert not any(steers(mark) for mark in said.replace("\x1b", "").replace("\n", ""))


def test_an_event_shows_what_happened_where_to_whom_and_its_source() -> None:
    (line, *_) = printed(record(), terminal=False).splitlines()
    for word in (
        "2026-11-24T12:00:00Z",
        "ASSAULT/bombing",
        "IRQ,SYR",
        "Rebels → a market",
        "Mosul",
        "Monday",
        "12+ dead",
    ):
        assert word in line
    assert "according to Rebels" in line
    assert line.endswith("killing at least 12.  wire  https://example.org/a")


def test_an_event_that_is_not_actual_or_not_new_says_so() -> None:
    head = event_lines(record(BARE, revision=2, status="updated"))[0].plain
    assert "updated" in head
    assert "future" in head
    assert "negated" in event_lines(replace(EVENT, realis="negated"))[0].plain


def test_a_retracted_event_is_struck_through() -> None:
    head, sentence, _ = event_lines(record(revision=2, status="retracted"))
    assert "retracted" in head.plain
    assert any(span.style == "strike" for span in sentence.spans)


def test_the_trigger_is_marked_in_its_sentence() -> None:
    sentence = sentence_text(EVENT)
    (mark,) = sentence.spans
    assert sentence.plain[mark.start : mark.end] == "bombed"
    assert "underline" in str(mark.style)


@pytest.mark.parametrize("at", [0, 5_000, 9_994])
def test_a_long_sentence_is_cut_to_a_window_round_its_trigger(at: int) -> None:
    text = "x" * at + "bombed" + "x" * (9_994 - at)
    event = replace(EVENT, sentence=Span(text, 100, 10_100, "text"), trigger=Span("bombed", 100 + at, 106 + at, "text"))
    shown = sentence_text(event)
    (mark,) = [span for span in shown.spans if "underline" in str(span.style)]
    assert shown.plain[mark.start : mark.end] == "bombed"
    assert len(shown.plain) <= 402


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        ((12, None), "12+ dead"),
        ((3, 3), "3 dead"),
        ((3, 5), "3–5 dead"),
        ((None, 9), "up to 9 dead"),
        ((None, None), "many dead"),
    ],
)
def test_the_dead_are_shown_as_far_as_they_are_known(count: tuple[int | None, int | None], shown: str) -> None:
    event = replace(EVENT, dead=Count("many", 0, 4, "text", *count))
    assert shown in event_lines(event)[0].plain
