"""Score the coder on sentences in the corpus format: precision, recall and F1 of each question it answers.

Matching: a coded event is right if a gold event of the sentence has a trigger that overlaps its trigger, and (for `event`)
the same type; each gold event is matched once, the most confident first. Modes, realis and arguments are scored on matched
events; an argument is found if its span overlaps a gold one of the same role, and exact if the spans are equal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from models.arguments import ROLES
from models.classifier import log_odds
from models.coder import Coder
from models.corpus.validate import find
from models.encoder import Floats
from models.events import Event, Span
from models.ontology import MODES, TYPES

Record = Mapping[str, Any]


@dataclass(slots=True)
class Score:
    """Counts of one question; `f1` is 0 where nothing was asked and nothing answered."""

    true: int = 0
    answered: int = 0
    asked: int = 0

    @property
    def precision(self) -> float:
        """Right among the answered."""
        return self.true / self.answered if self.answered else 0.0

    @property
    def recall(self) -> float:
        """Found among the asked."""
        return self.true / self.asked if self.asked else 0.0

    @property
    def f1(self) -> float:
        """Their harmonic mean."""
        return 2 * self.true / (self.answered + self.asked) if self.answered + self.asked else 0.0

    def to_dict(self) -> dict[str, float]:
        """Precision, recall and F1 to three decimals, with the counts."""
        return {
            "precision": round(self.precision, 3),
            "recall": round(self.recall, 3),
            "f1": round(self.f1, 3),
        } | asdict(self)


@dataclass(slots=True)
class Report:
    """All scores of one run. `scores` by question: trigger, event, type/X, mode/X/m, role/r, role/r exact."""

    sentences: int = 0
    nulls: int = 0
    nulls_left: int = 0
    realis_right: int = 0
    matched: int = 0
    scores: dict[str, Score] = field(default_factory=lambda: defaultdict(Score))

    @property
    def type_macro_f1(self) -> float:
        """The mean F1 of the types that the gold has."""
        asked = [score.f1 for name, score in self.scores.items() if name.startswith("type/") and score.asked]
        return float(np.mean(asked)) if asked else 0.0

    @property
    def mode_micro(self) -> Score:
        """All modes of matched events together."""
        return _sum(score for name, score in self.scores.items() if name.startswith("mode/"))

    @property
    def realis_accuracy(self) -> float:
        """Right realis among matched events."""
        return self.realis_right / self.matched if self.matched else 0.0

    @property
    def null_accuracy(self) -> float:
        """Sentences without an event in which none was coded."""
        return self.nulls_left / self.nulls if self.nulls else 0.0

    def headline(self) -> str:
        """The main figures on one line."""
        return (
            f"trigger {self.scores['trigger'].f1:.3f} event {self.scores['event'].f1:.3f} "
            f"type macro {self.type_macro_f1:.3f} modes {self.mode_micro.f1:.3f} realis {self.realis_accuracy:.3f} "
            f"nulls {self.null_accuracy:.3f} actor {self.scores['role/actor'].f1:.3f} "
            f"recipient {self.scores['role/recipient'].f1:.3f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "sentences": self.sentences,
            "nulls": self.nulls,
            "null_accuracy": round(self.null_accuracy, 3),
            "type_macro_f1": round(self.type_macro_f1, 3),
            "mode_micro": self.mode_micro.to_dict(),
            "realis_accuracy": round(self.realis_accuracy, 3),
            "matched": self.matched,
            "scores": {name: score.to_dict() for name, score in sorted(self.scores.items())},
        }

    def to_text(self) -> str:
        """A table for the terminal."""
        rows = [("trigger", self.scores["trigger"]), ("event (trigger and type)", self.scores["event"])]
        rows += [(f"  {kind}", self.scores[f"type/{kind}"]) for kind in TYPES]
        rows.append(("modes", self.mode_micro))
        names = [f"mode/{kind}/{mode}" for kind in TYPES for mode in MODES[kind]]
        rows += [("  " + name.removeprefix("mode/"), self.scores[name]) for name in names if name in self.scores]
        for role in ROLES:
            rows += [(role, self.scores[f"role/{role}"]), ("  exact", self.scores[f"role/{role} exact"])]
        lines = [f"{'':28} {'P':>6} {'R':>6} {'F1':>6} {'gold':>6}"]
        lines += [
            f"{name:28} {score.precision:6.3f} {score.recall:6.3f} {score.f1:6.3f} {score.asked:6d}"
            for name, score in rows
        ]
        lines.append(f"{'type, macro F1':28} {'':6} {'':6} {self.type_macro_f1:6.3f}")
        lines.append(f"{'realis accuracy':28} {'':6} {'':6} {self.realis_accuracy:6.3f} {self.matched:6d}")
        lines.append(f"{'nulls left null':28} {'':6} {'':6} {self.null_accuracy:6.3f} {self.nulls:6d}")
        return "\n".join(lines)


def _sum(scores: Iterable[Score]) -> Score:
    total = Score()
    for score in scores:
        total = Score(total.true + score.true, total.answered + score.answered, total.asked + score.asked)
    return total


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _spans(event: Event, role: str) -> list[tuple[int, int]]:
    plural: dict[str, Sequence[Span]] = {
        "actor": event.actors,
        "recipient": event.recipients,
        "claimed_by": event.claimed_by,
        "location": [event.location] if event.location else [],
        "date": [event.date] if event.date else [],
        "dead": [event.dead] if event.dead else [],
        "injured": [event.injured] if event.injured else [],
    }
    return [(span.start, span.end) for span in plural[role]]


def _matches(coded: Sequence[Event], gold: Sequence[Record], text: str) -> list[tuple[Event, Record]]:
    """Pairs whose triggers overlap, the same type before another, the more confident first."""
    triggers = [find(text, event["trigger"]) for event in gold]
    pairs = [
        (event.type != gold[number]["type"], -event.confidence, at, number)
        for at, event in enumerate(coded)
        for number, trigger in enumerate(triggers)
        if _overlap((event.trigger.start, event.trigger.end), trigger)
    ]
    used_coded: set[int] = set()
    used_gold: set[int] = set()
    found = []
    for _, _, at, number in sorted(pairs):
        if at not in used_coded and number not in used_gold:
            used_coded.add(at)
            used_gold.add(number)
            found.append((coded[at], gold[number]))
    return found


def _score_roles(report: Report, event: Event, gold: Record, text: str) -> None:
    for role in ROLES:
        wanted = [find(text, span) for span in gold[role]]
        # The record keeps one place, date and count: the first that the text gives.
        if role not in ("actor", "recipient", "claimed_by"):
            wanted = wanted[:1]
        given = _spans(event, role)
        for name, same in ((f"role/{role}", _overlap), (f"role/{role} exact", tuple.__eq__)):
            score = report.scores[name]
            free = list(wanted)
            for span in given:
                hit = next((other for other in free if same(span, other)), None)
                if hit is not None:
                    free.remove(hit)
                    score.true += 1
            score.answered += len(given)
            score.asked += len(wanted)


def score(records: Sequence[Record], coded: Sequence[Sequence[Event]]) -> Report:
    """Compare what was coded with the gold `events` of each record."""
    report = Report()
    for record, events in zip(records, coded, strict=True):
        text, gold = record["text"], record["events"]
        report.sentences += 1
        report.nulls += not gold
        report.nulls_left += not gold and not events
        matches = _matches(events, gold, text)
        right = [(event, wanted) for event, wanted in matches if event.type == wanted["type"]]
        for name, true in (("trigger", len(matches)), ("event", len(right))):
            report.scores[name].true += true
            report.scores[name].answered += len(events)
            report.scores[name].asked += len(gold)
        for event in events:
            report.scores[f"type/{event.type}"].answered += 1
        for wanted in gold:
            report.scores[f"type/{wanted['type']}"].asked += 1
        for event, wanted in right:
            report.scores[f"type/{event.type}"].true += 1
            for mode in MODES[event.type]:
                one = report.scores[f"mode/{event.type}/{mode}"]
                one.asked += mode in wanted["modes"]
                one.answered += mode in event.modes
                one.true += mode in wanted["modes"] and mode in event.modes
        for event, wanted in matches:
            report.matched += 1
            report.realis_right += event.realis == wanted["realis"]
            _score_roles(report, event, wanted, text)
    return report


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    title: None = None
    published: None = None


def _code(records: Sequence[Record], coder: Coder, min_confidence: float | None = None) -> list[list[Event]]:
    return list(coder.code_many((_Sentence(record["text"]) for record in records), min_confidence=min_confidence))


def evaluate(records: Sequence[Record], coder: Coder) -> Report:
    """Code the records' texts at the coder's own threshold and compare with their events."""
    return score(records, _code(records, coder))


def evaluate_files(paths: Iterable[Path], coder: Coder) -> Report:
    """`evaluate` on files in the corpus format. Raises CorpusError where one breaks the codebook."""
    from models.corpus.reading import read

    return evaluate(read(paths), coder)


def _platt(odds: Floats, right: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset by Newton's method with halved steps; a weak pull towards (1, 0) keeps them finite."""
    design = np.stack([odds, np.ones_like(odds)])
    prior, fitted = np.array([1.0, 0.0]), np.array([1.0, 0.0])

    def loss(at: npt.NDArray[np.float64]) -> float:
        signed = np.where(right, 1.0, -1.0) * (at @ design)
        return float(np.logaddexp(0, -signed).sum() + 0.5 * np.sum((at - prior) ** 2))

    for _ in range(30):
        probability = 1 / (1 + np.exp(-np.clip(fitted @ design, -30, 30)))
        gradient = design @ (probability - right) + (fitted - prior)
        hessian = (design * (probability * (1 - probability))) @ design.T + np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-6 and loss(fitted - size * step) > loss(fitted):
            size /= 2
        fitted = fitted - size * step
    return float(fitted[0]), float(fitted[1])


def calibrate(records: Sequence[Record], coder: Coder) -> dict[str, float]:
    """`slope`, `offset` and `min_confidence` for the weights of an uncalibrated `coder`.

    Slope and offset map the log odds of a candidate to those of its being right, with the least log loss (Platt 1999,
    "Probabilistic outputs for support vector machines"); the threshold has the best event F1. All are chosen on
    `records`, which must not be training data.
    """
    coded = _code(records, coder, 0.0)
    right, confidence = _outcomes(records, coded)
    slope, offset = _platt(log_odds(confidence), right)
    scores = []
    for threshold in np.arange(0.2, 0.81, 0.05):
        raw = (log_odds(np.array([threshold]))[0] - offset) / slope
        kept = [[event for event in events if log_odds(np.array([event.confidence]))[0] >= raw] for events in coded]
        scores.append((score(records, kept).scores["event"].f1, -abs(float(threshold) - 0.5), float(threshold)))
    return {"slope": round(slope, 4), "offset": round(offset, 4), "min_confidence": round(max(scores)[2], 2)}


def _outcomes(records: Sequence[Record], coded: Sequence[Sequence[Event]]) -> tuple[np.ndarray, np.ndarray]:
    """For every coded event whether it is right (type and trigger), and its confidence."""
    right, confidence = [], []
    for record, events in zip(records, coded, strict=True):
        hits = {
            id(event)
            for event, wanted in _matches(events, record["events"], record["text"])
            if event.type == wanted["type"]
        }
        right += [id(event) in hits for event in events]
        confidence += [event.confidence for event in events]
    return np.array(right, dtype=bool), np.array(confidence)
