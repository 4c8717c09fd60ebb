"""Scores: perfect answers score 1, each kind of mistake costs what it should."""

from dataclasses import replace
from pathlib import Path

import pytest

from models.corpus.reading import read
from models.corpus.validate import find
from models.errors import CorpusError
from models.evaluate import MISSED, SPURIOUS, Report, Score, confusion, resampled, score, score_each
from models.events import Actor, Codes, Event, ModelInfo, Span

TEXT = "Rebels shelled Goma on Monday as police in Kampala arrested four students."
GOLD = [
    {"type": "ASSAULT", "modes": ["heavy-weapons"], "trigger": "shelled", "actor": ["Rebels"], "recipient": ["Goma"]},
    {"type": "COERCE", "modes": ["arrest"], "trigger": "arrested", "actor": ["police in Kampala"], "recipient": []},
]
RECORD = {
    "text": TEXT,
    "events": [
        {"location": [], "date": [], "dead": [], "injured": [], "claimed_by": [], "realis": "actual"} | event
        for event in GOLD
    ],
}


def coded(gold: dict[str, object]) -> Event:
    def span(words: str) -> tuple[str, int, int, str]:
        start, end = find(TEXT, words)
        return words, start, end, "text"

    return Event(
        type=gold["type"],
        quad="",
        modes=tuple(gold["modes"]),
        intensity=0,
        realis="actual",
        confidence=0.9,
        trigger=Span(*span(gold["trigger"])),
        sentence=Span(TEXT, 0, len(TEXT), "text"),
        codes=Codes(gold["type"], "", None),
        crosswalk="1",
        model=ModelInfo("test", "1"),
        actors=tuple(Actor(*span(words)) for words in gold["actor"]),
        recipients=tuple(Actor(*span(words)) for words in gold["recipient"]),
    )


RIGHT = [coded(event) for event in GOLD]


def test_perfect_answers_score_one() -> None:
    report = score([RECORD, {"text": "Rain.", "events": []}], [RIGHT, []])
    assert report.scores["event"].f1 == report.type_macro_f1 == report.mode_micro.f1 == 1
    assert report.realis_accuracy == report.null_accuracy == 1
    assert report.scores["role/actor exact"].f1 == 1


@pytest.mark.parametrize(
    ("answers", "question", "counts"),
    [
        ([], "event", (0, 0, 2)),
        (RIGHT[:1], "event", (1, 1, 2)),
        ([replace(RIGHT[0], type="COERCE", modes=()), RIGHT[1]], "event", (1, 2, 2)),
        ([replace(RIGHT[0], type="COERCE", modes=()), RIGHT[1]], "trigger", (2, 2, 2)),
        ([RIGHT[0], RIGHT[0], RIGHT[1]], "event", (2, 3, 2)),
        ([replace(RIGHT[0], modes=("aerial",)), RIGHT[1]], "mode/ASSAULT/heavy-weapons", (0, 0, 1)),
        ([replace(RIGHT[0], actors=()), RIGHT[1]], "role/actor", (1, 1, 2)),
        ([RIGHT[0], replace(RIGHT[1], actors=(Actor("police", 33, 39, "text"),))], "role/actor", (2, 2, 2)),
        ([RIGHT[0], replace(RIGHT[1], actors=(Actor("police", 33, 39, "text"),))], "role/actor exact", (1, 2, 2)),
    ],
)
def test_each_mistake_costs_what_it_should(answers: list[Event], question: str, counts: tuple[int, int, int]) -> None:
    found = score([RECORD], [answers]).scores[question]
    assert (found.true, found.answered, found.asked) == counts


def test_realis_and_nulls_are_counted() -> None:
    report = score(
        [RECORD, {"text": "Rain.", "events": []}], [[replace(RIGHT[0], realis="future"), RIGHT[1]], [RIGHT[0]]]
    )
    assert report.realis_accuracy == 0.5
    assert report.null_accuracy == 0


NULL = {"text": "Rain.", "events": []}
ANSWERS = [[], RIGHT, RIGHT[:1], [replace(RIGHT[0], type="COERCE", modes=()), replace(RIGHT[1], realis="future")]]


def test_reports_can_be_added() -> None:
    each = score_each([RECORD] * 4 + [NULL], [*ANSWERS, []])
    assert sum(each, Report()).to_dict() == score([RECORD] * 4 + [NULL], [*ANSWERS, []]).to_dict()
    assert sum(each[1:3], Report()).scores["event"] == Score(3, 3, 4)
    assert (each[0] + each[4]).scores["event"] == Score(0, 0, 2)


def test_realis_is_scored_by_class() -> None:
    scores = score([RECORD], [ANSWERS[3]]).scores
    assert scores["realis/actual"] == Score(1, 1, 2)
    assert scores["realis/future"] == Score(0, 1, 0)


def test_a_draw_holds_whole_units_and_as_many_as_there_are() -> None:
    each = score_each([RECORD, RECORD, NULL, NULL], [RIGHT, RIGHT[:1], [], RIGHT])
    draws = resampled(each, ["article", "article", "one", "two"], draws=200)
    assert len(draws) == 200
    for draw in draws:
        # Each unit was drawn so many times: the article has two sentences and four gold events.
        articles, left = draw.scores["event"].asked // 4, draw.nulls_left
        others = draw.nulls - left
        assert draw.sentences == 2 * articles + left + others
        assert articles + left + others == 3
        assert draw.scores["event"] == Score(3 * articles, 3 * articles + 2 * others, 4 * articles)
        assert draw.matched == 3 * articles


def test_draws_lie_around_the_whole_and_are_the_same_each_time() -> None:
    each = score_each([RECORD] * 100, [RIGHT[: number % 3] for number in range(100)])
    recalls = [draw.scores["event"].recall for draw in resampled(each, range(100))]
    assert sum(recalls) / 1000 == pytest.approx(sum(each, Report()).scores["event"].recall, abs=0.01)
    assert recalls == [draw.scores["event"].recall for draw in resampled(each, range(100))]
    assert recalls != [draw.scores["event"].recall for draw in resampled(each, range(100), seed=2)]


def test_a_confusion_names_what_was_missed_and_what_was_spurious() -> None:
    types, realis = confusion([RECORD] * 4 + [NULL], [*ANSWERS, RIGHT[1:]])
    assert types == {
        ("ASSAULT", "ASSAULT"): 2,
        ("ASSAULT", "COERCE"): 1,
        ("ASSAULT", MISSED): 1,
        ("COERCE", "COERCE"): 2,
        ("COERCE", MISSED): 2,
        (SPURIOUS, "COERCE"): 1,
    }
    assert realis == {("actual", "actual"): 4, ("actual", "future"): 1}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("{", "1:"),
        ('{"text": "A.", "events": [{"type": "WAR"}]}', "WAR"),
        ('{"events": []}', "no text"),
        ('["text"]', ":1:"),
    ],
)
def test_a_wrong_record_is_named_with_its_line(tmp_path: Path, line: str, fault: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(CorpusError, match=fault):
        read([path])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="absent"):
        read([tmp_path / "absent.jsonl"])
