"""Score the coder on sentences in the corpus format: precision, recall and F1 of each question it answers.

Matching: a coded event is right if a gold event of the sentence has a trigger that overlaps its trigger, and (for `event`)
the same type; each gold event is matched once, the most confident first. Modes, realis and arguments are scored on matched
events; an argument is found if its span overlaps a gold one of the same role, and exact if the spans are equal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from models.arguments import ROLES
from models.coder import Coder
from models.corpus.validate import find
from models.errors import CorpusError
from models.events import Event, Span
from models.ontology import MODES, TYPES

Record = Mapping[str, Any]
# Of a confusion: what a gold event that was not found was coded as, and what a coded event that no gold one matches was.
MISSED, SPURIOUS = "missed", "spurious"


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
    """All scores of one run. `scores` by question: trigger, event, type/X, mode/X/m, realis/r, role/r, role/r exact."""

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

    def __add__(self, other: Report) -> Report:
        """The report of both runs together."""
        total = Report(*(getattr(self, name) + getattr(other, name) for name in _TOTALS))
        for name in self.scores | other.scores:
            total.scores[name] = _sum(report.scores[name] for report in (self, other) if name in report.scores)
        return total

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


_TOTALS = ("sentences", "nulls", "nulls_left", "realis_right", "matched")


def _sum(scores: Iterable[Score]) -> Score:
    total = Score()
    for score in scores:
        total = Score(total.true + score.true, total.answered + score.answered, total.asked + score.asked)
    return total


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of a sentence, as far as matching asks: offsets of the trigger count from the sentence's start."""

    type: str
    trigger: tuple[int, int]
    confidence: float


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two spans share a character."""
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


def matches(said: Sequence[Said], gold: Sequence[Record], text: str) -> list[tuple[int, Record]]:
    """Which of the `said` (by place) are which gold events: triggers overlap, the same type before another, the more confident
    first."""
    triggers = [find(text, event["trigger"]) for event in gold]
    pairs = [
        (one.type != gold[number]["type"], -one.confidence, at, number)
        for at, one in enumerate(said)
        for number, trigger in enumerate(triggers)
        if overlap(one.trigger, trigger)
    ]
    used_said: set[int] = set()
    used_gold: set[int] = set()
    found = []
    for _, _, at, number in sorted(pairs):
        if at not in used_said and number not in used_gold:
            used_said.add(at)
            used_gold.add(number)
            found.append((at, gold[number]))
    return found


def hits(said: Sequence[Said], gold: Sequence[Record], text: str) -> dict[int, Record]:
    """The gold events of those of the `said`, by place, that have trigger and type right."""
    return {at: event for at, event in matches(said, gold, text) if event["type"] == said[at].type}


def _matched(coded: Sequence[Event], gold: Sequence[Record], text: str) -> list[tuple[Event, Record]]:
    said = [Said(event.type, (event.trigger.start, event.trigger.end), event.confidence) for event in coded]
    return [(coded[at], event) for at, event in matches(said, gold, text)]


def score_events(records: Sequence[Record], said: Sequence[Sequence[Said]]) -> Score:
    """Trigger and type alone."""
    total = Score()
    for record, row in zip(records, said, strict=True):
        total.true += len(hits(row, record["events"], record["text"]))
        total.answered += len(row)
        total.asked += len(record["events"])
    return total


def _score_roles(report: Report, event: Event, gold: Record, text: str) -> None:
    for role in ROLES:
        wanted = [find(text, span) for span in gold[role]]
        # The record keeps one place, date and count: the first that the text gives.
        if role not in ("actor", "recipient", "claimed_by"):
            wanted = wanted[:1]
        given = _spans(event, role)
        for name, same in ((f"role/{role}", overlap), (f"role/{role} exact", tuple.__eq__)):
            score = report.scores[name]
            free = list(wanted)
            for span in given:
                hit = next((other for other in free if same(span, other)), None)
                if hit is not None:
                    free.remove(hit)
                    score.true += 1
            score.answered += len(given)
            score.asked += len(wanted)


def score_sentence(record: Record, events: Sequence[Event]) -> Report:
    """Compare what was coded of one record with its gold `events`."""
    report = Report()
    text, gold = record["text"], record["events"]
    report.sentences += 1
    report.nulls += not gold
    report.nulls_left += not gold and not events
    matched = _matched(events, gold, text)
    right = [(event, wanted) for event, wanted in matched if event.type == wanted["type"]]
    for name, true in (("trigger", len(matched)), ("event", len(right))):
        report.scores[name] = Score(true, len(events), len(gold))
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
    for event, wanted in matched:
        report.matched += 1
        report.realis_right += event.realis == wanted["realis"]
        report.scores[f"realis/{event.realis}"].answered += 1
        report.scores[f"realis/{event.realis}"].true += event.realis == wanted["realis"]
        report.scores[f"realis/{wanted['realis']}"].asked += 1
        _score_roles(report, event, wanted, text)
    return report


def score_each(records: Sequence[Record], coded: Sequence[Sequence[Event]]) -> list[Report]:
    """`score_sentence` of each."""
    return [score_sentence(record, events) for record, events in zip(records, coded, strict=True)]


def score(records: Sequence[Record], coded: Sequence[Sequence[Event]]) -> Report:
    """Compare what was coded with the gold `events` of each record."""
    return sum(score_each(records, coded), Report())


def resampled(reports: Sequence[Report], units: Sequence[Hashable], draws: int = 1000, seed: int = 1) -> list[Report]:
    """What the scores might have been on other sentences: `draws` totals of units drawn with replacement.

    `reports` has one report a sentence, `units` what each is drawn with: sentences of one unit, such as an article, come
    together, since they are alike. The percentiles of a figure over the draws are its interval (the bootstrap; Efron and
    Tibshirani 1993, "An introduction to the bootstrap", chapter 13).
    """
    names = sorted({name for report in reports for name in report.scores})
    place = {unit: at for at, unit in enumerate(dict.fromkeys(units))}
    counts = np.zeros((len(place), len(_TOTALS) + 3 * len(names)), dtype=np.int64)
    for report, unit in zip(reports, units, strict=True):
        row = [getattr(report, name) for name in _TOTALS]
        for name in names:
            one = report.scores.get(name, Score())
            row += [one.true, one.answered, one.asked]
        counts[place[unit]] += row
    times = np.random.default_rng(seed).multinomial(len(place), np.full(len(place), 1 / len(place)), size=draws)
    totals = []
    for row in (times @ counts).tolist():
        scores = row[len(_TOTALS) :]
        total = Report(*row[: len(_TOTALS)])
        total.scores.update({name: Score(*scores[3 * at : 3 * at + 3]) for at, name in enumerate(names)})
        totals.append(total)
    return totals


def confusion(
    records: Sequence[Record], coded: Sequence[Sequence[Event]]
) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]:
    """How often each gold type was coded as which type, MISSED and SPURIOUS among them, and each gold realis as which."""
    types: Counter[tuple[str, str]] = Counter()
    realis: Counter[tuple[str, str]] = Counter()
    for record, events in zip(records, coded, strict=True):
        matched = _matched(events, record["events"], record["text"])
        pairs = [(wanted["type"], event.type) for event, wanted in matched]
        types.update(pairs)
        realis.update((wanted["realis"], event.realis) for event, wanted in matched)
        gold = Counter(wanted["type"] for wanted in record["events"]) - Counter(gold for gold, _ in pairs)
        said = Counter(event.type for event in events) - Counter(said for _, said in pairs)
        types.update((kind, MISSED) for kind in gold.elements())
        types.update((SPURIOUS, kind) for kind in said.elements())
    return types, realis


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    title: None = None
    published: None = None


def code(records: Sequence[Record], coder: Coder, min_confidence: float | None = None) -> list[list[Event]]:
    """The events of each record's sentence, at the coder's own threshold if `min_confidence` is None."""
    return list(coder.code_many((_Sentence(record["text"]) for record in records), min_confidence=min_confidence))


def evaluate(records: Sequence[Record], coder: Coder) -> Report:
    """Code the records' texts at the coder's own threshold and compare with their events."""
    return score(records, code(records, coder))


def evaluate_files(paths: Sequence[Path], coder: Coder) -> Report:
    """`evaluate` on files in the corpus format. Raises CorpusError where one breaks the codebook, or none has a sentence."""
    from models.corpus.reading import read

    records = read(paths)
    if not records:
        raise CorpusError(f"{', '.join(map(str, paths))}: no sentences to score the coder on")
    return evaluate(records, coder)
