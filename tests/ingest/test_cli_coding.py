"""`conflictwire code`: texts and JSON lines in, events out, whatever the input holds."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import models
from ingest.cli.coding import code_lines, parse_request, read_lines
from tests.ingest.cli_driver import StandIn
from tests.ingest.command import call, finish, start

ARTICLE = "Rebels killed 12 in the village. The president met envoys."
SPANISH = "El ejército dijo que los rebeldes huyeron de la ciudad el lunes."
NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keyword coder in place of the model."""
    monkeypatch.setattr(models, "Coder", StandIn, raising=False)


def jsonl(*requests: object) -> bytes:
    return "".join(json.dumps(request) + "\n" for request in requests).encode()


HOSTILE_TEXTS = [
    "",
    " ",
    "A quiet day in the village. " * 40_000 + "Rebels killed 12.",
    "\x00\x01\x1b[2J killed \x7f\x9b",
    "\ud800 Rebels killed 12 \udfff",
    "قتل المتمردون 12 شخصا \u202e killed \u202c",
    "Повстанцы убили 12 человек",
    "反政府勢力が12人を殺害",
    "e\u0301" * 1000,
    "\n\n\t\r\n",
]


def test_each_line_is_answered_in_order_whatever_its_text_holds() -> None:
    requests = [{"id": f"n{number}", "text": text} for number, text in enumerate(HOSTILE_TEXTS)]
    answer = call("code", "--jsonl", stdin=jsonl(*requests))
    assert answer.code == 0, answer.err
    assert answer.out.isascii()
    answers = [json.loads(line) for line in answer.lines]
    assert [each["id"] for each in answers] == [each["id"] for each in requests]
    for request, each in zip(requests, answers, strict=True):
        for event in each["events"]:
            trigger = event["trigger"]
            assert request["text"][trigger["start"] : trigger["end"]] == trigger["text"]


def test_a_text_that_is_not_coded_is_answered_with_the_reason() -> None:
    texts = [
        "Повстанцы убили 12 человек",
        "El ejército dijo que los rebeldes huyeron de la ciudad el lunes.",
        "",
        "Rain fell.",
    ]
    requests = [{"id": number, "text": text} for number, text in enumerate(texts)]
    answers = [json.loads(line) for line in call("code", "--jsonl", stdin=jsonl(*requests)).lines]
    assert [each.get("not_coded") for each in answers] == ["language:ru", "language:es", "empty", None]
    assert all(each["events"] == [] for each in answers)


def test_a_plain_text_that_is_not_coded_is_told_of() -> None:
    answer = call("code", stdin=SPANISH.encode())
    assert (answer.code, answer.out) == (0, "")
    assert "the text was not coded (language:es)" in answer.err


def test_a_thousand_lines_give_a_thousand_answers_in_order() -> None:
    lines = jsonl(*({"id": number, "text": f"Rebels killed {number}.", "title": None} for number in range(1000)))
    answers = [json.loads(line) for line in call("code", "--jsonl", stdin=lines).lines]
    assert [each["id"] for each in answers] == list(range(1000))
    assert [each["events"][0]["dead"]["min"] for each in answers] == list(range(1000))


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"not json", "not JSON"),
        (b'{"id": "1", "text": "a"', "not JSON"),
        (b'["1", "a"]', "not a JSON object"),
        (b"42", "not a JSON object"),
        (b'{"text": "a"}', "no field 'id'"),
        (b'{"id": "1"}', "no field 'text'"),
        (b'{"id": null, "text": "a"}', "field 'id' is no string or whole number"),
        (b'{"id": 1.5, "text": "a"}', "field 'id' is no"),
        (b'{"id": true, "text": "a"}', "field 'id' is no"),
        (b'{"id": "1", "text": 7}', "field 'text' is no string"),
        (b'{"id": "1", "text": "a", "title": []}', "field 'title' is no string"),
        (b'{"id": "1", "text": "a", "published": 20261124}', "field 'published' is no string"),
        (b'{"id": "1", "text": "a", "published": "soon"}', "field 'published': 'soon' is no time"),
        (b'{"id": "1", "text": "\xff\xfe"}', "not UTF-8 at byte 22"),
        (b"[" * 100_000, "nested too deeply"),
        (b"9" * 5_000, "not JSON"),
    ],
)
def test_a_line_that_is_no_request_is_named_and_the_others_are_answered(line: bytes, what: str) -> None:
    good = jsonl({"id": "good", "text": ARTICLE})
    answer = call("code", "--jsonl", stdin=good + b"\n  \n" + line + b"\n" + good)
    assert answer.code == 1
    assert [json.loads(each)["id"] for each in answer.lines] == ["good", "good"]
    (said,) = answer.err.splitlines()
    assert said.startswith("error: line 4: ")
    assert what in said


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_line_is_a_request_or_refused(line: bytes) -> None:
    try:
        request = parse_request(line)
    except ValueError as error:
        assert str(error)
    else:
        assert isinstance(request.text, str)


def test_lines_longer_than_the_limit_are_passed_over_and_never_held() -> None:
    lines = b"short\n" + b"x" * 100 + b"\nafter\n" + b"y" * 100
    assert list(read_lines(io.BytesIO(lines), limit=10)) == [b"short\n", None, b"after\n", None]


def test_texts_are_read_as_they_are_asked_for() -> None:
    read: list[int] = []

    def lines():  # type: ignore[no-untyped-def]
        for number in range(100):
            read.append(number)
            yield f"line {number}", json.dumps({"id": number, "text": ARTICLE}).encode()

    answers = code_lines(lines(), StandIn(), None, None, lambda place, what: None)  # type: ignore[arg-type]
    next(answers)
    assert len(read) < 5


def test_the_time_of_publication_of_the_call_stands_in_where_a_line_has_none() -> None:
    seen: list[datetime | None] = []

    class Watching(StandIn):
        def code_many(self, articles, *, min_confidence=None):  # type: ignore[no-untyped-def]
            for article in articles:
                seen.append(article.published)
                yield []

    lines = [("line 1", b'{"id": 1, "text": ""}'), ("line 2", b'{"id": 2, "text": "", "published": "2020-01-01"}')]
    list(code_lines(lines, Watching(), None, NOW, lambda place, what: None))  # type: ignore[arg-type]
    assert seen == [NOW, datetime(2020, 1, 1, tzinfo=UTC)]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    answer = call("code", "--jsonl", stdin=b"\xef\xbb\xbf" + jsonl({"id": "1", "text": ARTICLE}))
    assert answer.code == 0, answer.err


def test_files_are_coded_one_after_the_other_under_their_names(tmp_path: Path) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text(ARTICLE)
    second.write_text("Nothing of note.")
    answer = call("code", first, second)
    assert answer.code == 0
    assert answer.lines[0] == f"{first}:"
    assert "ASSAULT" in answer.lines[1]
    assert "CONSULT" in answer.lines[2]
    assert answer.lines[3] == f"{second}:"
    assert "no events" in answer.err


def test_events_of_files_can_be_had_as_json(tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text(ARTICLE)
    events = [json.loads(line) for line in call("code", "--format", "json", file).lines]
    assert [event["type"] for event in events] == ["ASSAULT", "CONSULT"]
    assert {event["file"] for event in events} == {str(file)}


def test_the_reasons_can_be_read_below_each_event(tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text(ARTICLE)
    answer = call("code", "--explain", file)
    assert answer.code == 0, answer.err
    reasons = [line.strip() for line in answer.lines if "keyword" in line and "ASSAULT" not in line]
    assert reasons[0] == "actor “Rebels” → XYZ/REB 0.00  keyword; refused: keystone"
    assert reasons[1] == "dead “12” → 12  keyword; refused: keystone"


def test_the_reasons_can_be_had_as_json() -> None:
    (line,) = call("code", "--explain", "--jsonl", stdin=jsonl({"id": 1, "text": ARTICLE})).lines
    first = json.loads(line)["events"][0]
    assert [(why["role"], why["text"], why["rule"]) for why in first["why"]] == [
        ("actor", "Rebels", "keyword"),
        ("dead", "12", "keyword"),
    ]
    assert ARTICLE[first["why"][1]["start"] : first["why"][1]["end"]] == "12"


def test_a_file_that_is_not_utf8_is_named_and_the_others_are_coded(tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.txt", tmp_path / "good.txt"
    bad.write_bytes(b"caf\xe9 killed")
    good.write_text(ARTICLE)
    answer = call("code", bad, good, "--format", "json")
    assert answer.code == 1
    assert len(answer.lines) == 2
    assert f"error: {bad}: not UTF-8 at byte 4" in answer.err


def test_events_below_the_confidence_asked_for_are_left_out() -> None:
    request = jsonl({"id": 1, "text": ARTICLE, "title": "Army shelled the road"})
    (all_of_them,) = call("code", "--jsonl", stdin=request).lines
    (sure,) = call("code", "--jsonl", "--min-confidence", "0.8", stdin=request).lines
    assert len(json.loads(all_of_them)["events"]) == 3
    assert len(json.loads(sure)["events"]) == 2


def test_text_and_jsonl_cannot_be_asked_for_together() -> None:
    assert call("code", "--jsonl", "--format", "text").code == 2


def test_the_reader_of_a_pipe_may_go_away(tmp_path: Path) -> None:
    lines = tmp_path / "many.jsonl"
    lines.write_bytes(jsonl(*({"id": number, "text": ARTICLE} for number in range(20_000))))
    process = start(tmp_path, "code", "--jsonl", lines)
    assert process.stdout
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == b""
    assert process.wait(60) == 0


def test_a_program_that_feeds_lines_one_by_one_gets_answers_when_it_ends_its_input(tmp_path: Path) -> None:
    process = start(tmp_path, "code", "--jsonl", stdin=-1)
    assert process.stdin
    process.stdin.write(jsonl({"id": 1, "text": ARTICLE}))
    process.stdin.flush()
    assert process.stdout
    first = process.stdout.readline()
    assert json.loads(first)["id"] == 1
    process.stdin.close()
    process.stdin = None
    assert finish(process).code == 0


CORPUS = [
    {
        "text": "Rebels killed 12 in the village.",
        "style": "wire",
        "events": [
            {
                "type": "ASSAULT",
                "modes": [],
                "trigger": "killed",
                "actor": ["Rebels"],
                "recipient": [],
                "location": [],
                "date": [],
                "dead": ["12"],
                "injured": [],
                "realis": "actual",
                "claimed_by": [],
            }
        ],
    },
    {"text": "Nothing happened.", "style": "wire", "events": []},
]


def test_the_coder_can_be_scored_on_sentences_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_bytes(jsonl(*CORPUS))
    report = json.loads(call("evaluate", file, "--format", "json").out)
    assert report["scores"]["event"]["f1"] == 1.0
    assert "ASSAULT" in call("evaluate", file).out


def test_a_corpus_file_without_sentences_is_no_score(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_bytes(b"\n")
    answer = call("evaluate", file)
    assert (answer.code, answer.out) == (1, "")
    assert f"{file}: no sentences" in answer.err


def test_a_corpus_file_that_breaks_the_codebook_is_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_bytes(jsonl({"text": "a", "events": [{"type": "WAR"}]}))
    answer = call("evaluate", file)
    assert (answer.code, answer.out) == (1, "")
    assert "mine.jsonl" in answer.err
