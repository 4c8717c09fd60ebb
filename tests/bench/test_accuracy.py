"""The accuracy page, made without weights: a reader that knows the gold and errs on purpose."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from models.arguments import ROLES, Argument
from models.classifier import Evidence, Kind
from models.coder import Coder
from models.corpus.validate import find
from models.encoder import Floats
from models.reader import Reading, Weights
from tests.bench import accuracy

SENTENCE = "{who} shelled Goma on Monday, killing 12 people, as police arrested four students."
WHO = ("Rebels", "Two gunmen", "Army units", "Militiamen", "Soldiers", "Insurgents")


def event(type: str, trigger: str, **roles: list[str]) -> dict[str, object]:
    return {"type": type, "modes": [], "trigger": trigger, "realis": "actual"} | {
        role: roles.get(role, []) for role in ROLES
    }


def records() -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for number, who in enumerate(WHO * 5):
        two = [
            event("ASSAULT", "shelled", actor=[who], location=["Goma"], dead=["12 people"]),
            event("COERCE", "arrested", actor=["police"], recipient=["four students"]),
        ]
        found += [
            {"text": SENTENCE.format(who=who), "style": "wire", "events": two},
            {
                "text": f"{who} arrested the mayor.",
                "style": "headline",
                "events": [event("COERCE", "arrested", actor=[who])],
            },
            {
                "text": f"The river rose by {number} metres.",
                "style": "article",
                "events": [],
                "article": f"{number % 4}",
            },
        ]
    return found


class FakeReader:
    """Answers with the gold, but takes every other arrest for an ASSAULT, is unsure of it, and never gates a sentence that
    has an event."""

    def __init__(self, gold: Sequence[dict[str, object]], name: str) -> None:
        self._gold = {record["text"]: record["events"] for record in gold}
        self.weights = Weights(None, name, "7", min_confidence=0.3, gate=0.0)

    def event_logits(self, texts: Sequence[str], batch_tokens: int = 0) -> Floats:
        return np.array([1.0 if self._gold[text] or "2" in text else -1.0 for text in texts], dtype=np.float32)

    def read(self, texts: Sequence[str], threshold: float, batch_tokens: int = 0) -> list[list[Reading]]:
        return [
            [
                reading
                for reading in (self._reading(text, gold) for gold in self._gold[text])
                if reading.confidence >= threshold
            ]
            for text in texts
        ]

    def _reading(self, text: str, gold: dict[str, object]) -> Reading:
        wrong = gold["type"] == "COERCE" and len(text) % 2 == 0
        sure = 0.4 if wrong else 0.9
        kind = Kind("ASSAULT" if wrong else gold["type"], (), "actual")
        roles = {role: [Argument(*find(text, span), sure) for span in gold[role]] for role in ROLES}
        return Reading(find(text, gold["trigger"]), kind, Evidence(sure, sure, 1.0), sure, roles)


@pytest.fixture
def measured() -> list[accuracy.Measured]:
    gold = records()
    small, large = FakeReader(gold, "small"), FakeReader(gold, "large")
    gate = small.event_logits([record["text"] for record in gold]) >= 0
    return [
        accuracy.measure("accurate", Coder(large, small), gold, gate),
        accuracy.measure("fast", Coder(small), gold),
    ]


def cells(page: str, label: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    return [row[1:] for row in rows if row[0] == label]


def test_the_page_says_what_was_scored(measured: list[accuracy.Measured], tmp_path: Path) -> None:
    gold = records()
    data = tmp_path / "split.jsonl"
    data.write_text("".join(json.dumps(record) + "\n" for record in gold), encoding="utf-8")
    accuracy.write(measured, gold, [data], tmp_path / "docs")
    page = (tmp_path / "docs" / "accuracy.md").read_text(encoding="utf-8")

    assert cells(page, "accurate") == [["large 7", "0.3"]]
    assert "90 sentences, 4 whole articles" in page
    coerce = measured[0].total.scores["type/COERCE"]
    assert 0 < coerce.true < coerce.asked == 60
    wrong = coerce.asked - coerce.true
    assert cells(page, "COERCE") == [
        ["ASSAULT", str(wrong)],
        [row for _ in range(2) for row in ("1.000", f"{coerce.recall:.3f}", cells(page, "COERCE")[1][2], "60")],
    ]
    low, high = (float(end) for end in cells(page, "COERCE")[1][2].split("(")[1].strip(")").split("–"))
    assert low < coerce.f1 < high
    assert cells(page, "trigger")[0] == ["1.000", "1.000", "1.000 (1.00–1.00)", "90"] * 2
    assert cells(page, "sentences with an event that the gate passes") == [["1.000 (1.00–1.00)", "–"]]
    passed, without = cells(page, "nulls that the gate passes")[0]
    assert passed.startswith("0.4") and without == "–"  # 2, 12 and 20 to 29 of the metres from 0 to 29
    assert cells(page, "2")[0][:2] == ["30", "60"]
    assert cells(page, "headline")[0][:2] == ["30", "30"]
    # A right one has 0.9 and a wrong one 0.4, always; what was fitted without an answer knows as much and pulls to 1 and 0.
    _, _, _, error, fitted, _ = cells(page, "accurate: event, all")[0]
    assert float(error) == pytest.approx((wrong * 0.4 + (90 - wrong) * 0.1) / 90, abs=6e-4)
    assert float(fitted) < float(error)
    for picture in ("confusion.png", "reliability.png"):
        assert f"(accuracy/{picture})" in page
        assert (tmp_path / "docs" / "accuracy" / picture).read_bytes().startswith(b"\x89PNG")


def test_the_page_and_its_pictures_are_the_same_each_time(measured: list[accuracy.Measured], tmp_path: Path) -> None:
    names = ("accuracy.md", "accuracy/confusion.png", "accuracy/reliability.png")
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        accuracy.write(measured, records(), [], folder)
        made.append([(folder / name).read_bytes() for name in names])
    assert made[0] == made[1]


def test_one_network_without_profiles_has_one_column(measured: list[accuracy.Measured]) -> None:
    page = accuracy.page(measured[1:], records(), [])
    assert len(cells(page, "trigger")[0]) == 4
    assert "gate passes" not in page.split("## Types")[0].split("## Headline")[1]


def test_weights_that_are_not_there_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert accuracy.main(["--model", str(tmp_path / "absent"), "--out", str(tmp_path)]) == 1
    assert "absent" in capsys.readouterr().err
