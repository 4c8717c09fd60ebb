"""No text of a feed, an article, an event, a dead letter or an error steers the terminal of who looks at it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.broker import Outgoing
from ingest.feeds.catalog import Feed, save_catalog
from ingest.storage import FeedState
from tests.ingest.command import on_terminal, record, with_words
from tests.ingest.pipeline import Pipeline, article, embedded_settings

HOSTILE = (
    "\x1b[2J\x1b[31mCSI"  # clear the screen, turn red
    "\x1b]8;;https://evil.example\x07OSC8\x1b]8;;\x07"  # a link to somewhere else
    "\x1b]52;c;cm0gLXJmIH4=\x07OSC52"  # write to the clipboard
    "\x9b31mC1\x9d0;title\x9c"  # the same in one byte each
    "\u202egnp.exe\u2066BIDI\u2069"  # text that reads backwards
    "\r\x08\x00\x7fEND"
)
# As a record may have it: half of a pair, which only JSON's escapes can carry.
SURROGATE = "\ud83d"
WIDE = {"COLUMNS": "1000"}  # so that no table cuts them
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# What the progress line and the status line need, and nothing else.
PROGRESS = re.compile(r"\x1b\[\?25[lh]|\r?\x1b\[2K|\x1b\[1A|\r")
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\ud800-\udfff]")


def steered(shown: str) -> list[str]:
    """What is left that steers a terminal when our own colours and progress are taken out."""
    return STEERS.findall(PROGRESS.sub("", COLOURS.sub("", shown.replace("\r\n", "\n"))))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder in which everything that a stranger may write is hostile."""
    folder = tmp_path_factory.mktemp("hostile")
    pipeline = Pipeline(embedded_settings(folder))
    poison = article(0, f"POISON {HOSTILE} killed 3.", title=HOSTILE).model_copy(update={"feed": HOSTILE})
    told = article(1, f"Rebels{HOSTILE} killed 3 in {HOSTILE}.", title=HOSTILE)
    told = told.model_copy(update={"url": f"https://example.org/{HOSTILE}", "feed": HOSTILE})
    broken = json.dumps({"article_id": SURROGATE + HOSTILE, "feed": HOSTILE}).encode()
    pipeline.publish([poison, told, Outgoing("articles", HOSTILE.encode(), broken)])
    pipeline.publish([Outgoing("articles", b"\x1b[2J\xff", HOSTILE.encode() + b"\xff")])
    from tests.ingest.keyword_coder import KeywordCoder

    pipeline.work(KeywordCoder())
    event = record(with_words(sentence=HOSTILE, actor=HOSTILE, location=HOSTILE), title=HOSTILE, url=HOSTILE)
    producer = pipeline.broker.producer()
    producer.send([Outgoing("events", b"k", event.to_json()), Outgoing("events", HOSTILE.encode(), HOSTILE.encode())])
    producer.close()
    save_catalog([Feed("quiet", "https://example.org/feed")], folder / "feeds.toml")
    pipeline.store.save_feed_state(
        FeedState("quiet", failures=5, last_error=HOSTILE, url="https://example.org/" + HOSTILE)
    )
    pipeline.close()
    yield folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["tail", "--no-follow", "--since", "2020-01-01"],
        ["tail", "--no-follow", "--since", "2020-01-01", "--format", "json"],
        ["events"],
        ["events", "--format", "json"],
        ["articles"],
        ["articles", "--format", "json"],
        ["feeds", "list"],
        ["feeds", "list", "--format", "json"],
        ["dead", "list"],
        ["dead", "list", "--format", "json"],
        ["dead", "show", "ALL"],
        ["dead", "show", "ALL", "--format", "json"],
        ["dead", "show", HOSTILE.replace("\0", "")],
        ["pull", "--once", "--feed", HOSTILE.replace("\0", "")],
        ["doctor"],
    ],
    ids=lambda arguments: " ".join(arguments[:2] + arguments[-1:])[:30].encode("unicode_escape").decode(),
)
def test_nobody_who_looks_at_hostile_texts_is_steered(hostile: Path, arguments: list[str]) -> None:
    ids = [""]
    if "ALL" in arguments:
        _, listed = on_terminal(hostile, "dead", "list", "--format", "json")
        ids = re.findall(r'"id": "(\d+-\d+)"', listed)
        assert len(ids) == 3
    for each in ids:
        code, shown = on_terminal(hostile, *(each if part == "ALL" else part for part in arguments), environment=WIDE)
        assert code in (0, 1), shown
        assert "CSI" in shown or arguments == ["doctor"], shown
        assert steered(shown) == []


def test_the_test_sees_what_steers() -> None:
    for part in HOSTILE.split("END")[0].split("CSI"):
        assert steered(part)
    assert not steered("\x1b[1;31mred\x1b[0m words\r\n")
