"""The program as it is installed, with a network: whatever comes in, an answer a line, and offsets that cut what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.ingest.command import call, settings_environment
from tests.ingest.pipeline import Pipeline, article

REPORT = "Rebels shelled the town of Goma on Friday, killing at least 12 civilians, officials said."
TEXTS = [
    REPORT,
    "",
    "word " * 20_000 + "Police arrested 40 protesters in Minsk.",
    "\x00\x01\x1b[2J " + REPORT + " \x7f\x9b",
    "\ud800 " + REPORT + " \udfff",
    "قتل المتمردون 12 شخصا في غزة \u202e" + REPORT,
    "Повстанцы убили 12 человек в Донецке.",
    "反政府勢力がゴマを砲撃し、12人が死亡した。",
    "\n\n\t\r\n",
    REPORT,
]


def spans(value: Any) -> Iterator[dict[str, Any]]:
    """Every stretch of the text that an answer names."""
    if isinstance(value, dict):
        if {"text", "start", "end", "field"} <= value.keys():
            yield value
        for inner in value.values():
            yield from spans(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from spans(inner)


def test_every_text_is_answered_and_every_offset_cuts_what_it_says() -> None:
    requests = [
        {"id": number, "title": REPORT if number % 2 else None, "text": text, "published": "2026-11-24"}
        for number, text in enumerate(TEXTS)
    ]
    stdin = "".join(json.dumps(request) + "\n" for request in requests).encode() + b"not json\n"
    answer = call("code", "--jsonl", stdin=stdin)
    assert answer.code == 1
    assert answer.err.startswith("error: line 11: not JSON")
    assert answer.out.isascii()
    answers = [json.loads(line) for line in answer.lines]
    assert [each["id"] for each in answers] == list(range(len(TEXTS)))
    assert answers[0]["events"][0]["type"] == "ASSAULT"
    for request, each in zip(requests, answers, strict=True):
        for span in spans(each["events"]):
            assert str(request[span["field"]])[span["start"] : span["end"]] == span["text"]


def test_several_workers_end_with_1_when_they_cannot_read_their_weights(embedded: Pipeline) -> None:
    embedded.publish([article(1)])
    program = Path(sys.executable).with_name("conflictwire")
    command = [program, "worker", "--workers", "2", "--once", "--model", "no-such-folder"]
    environment = settings_environment(embedded.settings)
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 1
    assert "no-such-folder" in ended.stderr
    assert embedded.left() == 1
