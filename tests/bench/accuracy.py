"""How good the coder is, per head and per class, as a page with pictures: `make evaluate`.

Scores the weights on the frozen development split, in both profiles where the folder has them, and writes accuracy.md,
accuracy/confusion.png and accuracy/reliability.png. Nothing in them depends on the machine or the day.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from models.calibration import (
    BINS,
    Bools,
    Doubles,
    calibration_error,
    cross_fitted,
    error_by_chance,
)
from models.classifier import REALIS, Logistic, log_odds
from models.coder import WEIGHTS, Coder
from models.corpus.reading import read
from models.corpus.validate import find
from models.errors import ConflictwireError
from models.evaluate import (
    MISSED,
    SPURIOUS,
    Record,
    Report,
    Score,
    code,
    confusion,
    hits,
    overlap,
    resampled,
    score_each,
)
from models.ontology import MODES, TYPES
from models.training.calibrate import logistic, said
from models.training.data import development_files, digest
from tests.bench.pictures import draw_confusion, draw_reliability
from tests.bench.resolution.score import right_of

DRAWS = 1000
FOLDS = 5
# The confidences that an event record carries, each the answer to a question of its own.
ROLES_WITH_CONFIDENCE = ("actor", "recipient")
# Words of a sentence; the longest have a band of their own.
LENGTHS = ((0, 15), (16, 25), (26, 35))


@dataclass(frozen=True)
class Answers:
    """Answers to one question of confidence: what the coder gives, what a calibration fitted without the answer would
    give, whether it is right, and whether the coder reports it at its own threshold."""

    confidence: Doubles
    cross_fitted: Doubles
    right: Bools
    reported: Bools


@dataclass(frozen=True)
class Measured:
    """One profile on all records."""

    name: str
    model: str
    min_confidence: float
    gated: bool
    each: list[Report]
    total: Report
    draws: list[Report]
    types: Counter[tuple[str, str]]
    realis: Counter[tuple[str, str]]
    answers: dict[str, Answers]


def units(records: Sequence[Record]) -> list[str]:
    """What each record is drawn with: its article, or itself alone."""
    return [str(record.get("article") or f"sentence {number}") for number, record in enumerate(records)]


def fit(features: Doubles, right: Bools) -> Logistic:
    """The calibration as training makes it."""
    return logistic(features, right, [1.0, *[0.0] * (features.shape[1] - 1)])


def answers(records: Sequence[Record], coder: Coder, passed: Bools) -> dict[str, Answers]:
    """Every candidate event, and the actors and recipients of the right ones, as the calibration in training sees them."""
    least = coder.reader.weights.min_confidence
    drawn = units(records)
    # One row an answer: confidence, features, right, reported, unit.
    rows: dict[str, list[tuple[float, Sequence[float], bool, bool, str]]] = {"event": []}
    rows |= {role: [] for role in ROLES_WITH_CONFIDENCE}
    for number, readings in enumerate(coder.read([record["text"] for record in records], 0.0)):
        text, gold = records[number]["text"], records[number]["events"]
        given = [said(reading, reading.confidence) for reading in readings]
        right_ones = hits(given, gold, text)
        for at, reading in enumerate(readings):
            reported = bool(passed[number]) and reading.confidence >= least
            rest = (reported, drawn[number])
            rows["event"].append((reading.confidence, reading.evidence.features(), at in right_ones, *rest))
            for role in ROLES_WITH_CONFIDENCE if at in right_ones else ():
                wanted = [find(text, span) for span in right_ones[at][role]]
                for one in reading.arguments[role]:
                    right = any(overlap((one.start, one.end), span) for span in wanted)
                    # The raw probability is gone, but the shipped calibration is a line in the log odds, so that another
                    # on top of it can be any that training could have made.
                    rows[role].append((one.confidence, [log_odds(one.confidence)], right, *rest))
    return {name: _answers(found) for name, found in rows.items() if found}


def _answers(rows: Sequence[tuple[float, Sequence[float], bool, bool, str]]) -> Answers:
    confidence, features, right, reported, drawn = zip(*rows, strict=True)
    outcomes = np.array(right, dtype=bool)
    again = cross_fitted(np.array(features, dtype=np.float64), outcomes, drawn, fit, FOLDS)
    return Answers(np.array(confidence, dtype=np.float64), again, outcomes, np.array(reported, dtype=bool))


def measure(name: str, coder: Coder, records: Sequence[Record], gate: Bools | None = None) -> Measured:
    """All that the page says of one profile; `gate` is which sentences its gate passes on, None without one."""
    coded = code(records, coder)
    each = score_each(records, coded)
    if gate is not None:
        for report, passed in zip(each, gate.tolist(), strict=True):
            report.scores["gate/nulls" if report.nulls else "gate/events"] = Score(passed, 1, 1)
    return Measured(
        name,
        f"{coder.model.name} {coder.model.version}",
        coder.reader.weights.min_confidence,
        gate is not None,
        each,
        sum(each, Report()),
        resampled(each, units(records), DRAWS),
        *confusion(records, coded),
        answers(records, coder, np.ones(len(records), dtype=bool) if gate is None else gate),
    )


def measure_all(model: Path, records: Sequence[Record]) -> list[Measured]:
    """Both profiles of the weights in `model`, or its one network. Raises ModelError if they cannot be loaded."""
    if (model / "config.json").exists():
        coder = Coder.load(model)
        return [measure(coder.model.name, coder, records)]
    accurate, fast = Coder.load(model, profile="accurate"), Coder.load(model, profile="fast")
    least = accurate.reader.weights.gate
    gate = None if least is None else fast.reader.event_logits([record["text"] for record in records]) >= least
    return [measure("accurate", accurate, records, gate), measure("fast", fast, records)]


# Figures of a report; nan where nothing was asked or answered, so that such a draw does not count.


def _asked(name: str) -> Callable[[Report], Score]:
    return lambda report: report.scores[name]


def _f1(score: Score) -> float:
    return score.f1 if score.answered + score.asked else math.nan


def _precision(score: Score) -> float:
    return score.precision if score.answered else math.nan


def _recall(score: Score) -> float:
    return score.recall if score.asked else math.nan


def figure(value: float) -> str:
    """Three decimals, or a dash."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def with_interval(value: float, draws: Iterable[float]) -> str:
    """A figure with the middle 95 % of its draws: `0.745 (0.71–0.78)`."""
    known = [draw for draw in draws if not math.isnan(draw)]
    if math.isnan(value) or not known:
        return "–"
    low, high = np.percentile(known, (2.5, 97.5))
    return f"{value:.3f} ({low:.2f}–{high:.2f})"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A Markdown table; all columns but the first to the right."""
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"
    yield ""


def scores(measured: Sequence[Measured], rows: Iterable[tuple[str, Callable[[Report], Score]]]) -> Iterator[str]:
    """Precision, recall, F1 with its interval, and gold, of each question for each profile."""
    head = ["", *(f"{one.name}: {what}" for one in measured for what in ("precision", "recall", "F1", "gold"))]
    lines = []
    for label, of in rows:
        line: list[object] = [label]
        for one in measured:
            found = of(one.total)
            f1 = with_interval(_f1(found), (_f1(of(draw)) for draw in one.draws))
            line += [figure(_precision(found)), figure(_recall(found)), f1, found.asked]
        lines.append(line)
    return table(head, lines)


def shares(measured: Sequence[Measured]) -> Iterator[str]:
    """The figures that are no precision and recall."""
    rows: list[tuple[str, Callable[[Report], float], str]] = [
        ("types, macro F1", lambda report: report.type_macro_f1, "types"),
        ("realis right, of the found events", lambda report: report.realis_accuracy, "realis"),
        ("nulls left null", lambda report: report.null_accuracy, "nulls"),
        ("sentences with an event that the gate passes", lambda report: _recall(report.scores["gate/events"]), "gate"),
        ("nulls that the gate passes", lambda report: _recall(report.scores["gate/nulls"]), "gate"),
    ]
    return table(
        ["", *(one.name for one in measured)],
        [
            [label, *(with_interval(of(one.total), map(of, one.draws)) for one in measured)]
            for label, of, what in rows
            if what != "gate" or any(one.gated for one in measured)
        ],
    )


def _band(record: Record) -> str:
    words = len(record["text"].split())
    return next((f"{low}–{high}" for low, high in LENGTHS if words <= high), f"{LENGTHS[-1][1] + 1} and more")


# Ways to part the sentences; the parts are shown in the order of their names.
KINDS: dict[str, Callable[[Record], str]] = {
    "events in the sentence": lambda record: ("0", "1", "2", "3 and more")[min(len(record["events"]), 3)],
    "style": lambda record: str(record.get("style", "none")),
    "words in the sentence": _band,
}


def sliced(measured: Sequence[Measured], records: Sequence[Record]) -> Iterator[str]:
    """How many events are found, by what the sentence is like."""
    drawn = units(records)
    event = _asked("event")
    columns = [f"{one.name}: {what}" for one in measured for what in ("recall", "precision")]
    for name, of in KINDS.items():
        kinds = [of(record) for record in records]
        lines = []
        for kind in sorted(set(kinds)):
            rows = [row for row, other in enumerate(kinds) if other == kind]
            gold = sum(len(records[row]["events"]) for row in rows)
            line: list[object] = [kind, len(rows), gold]
            for one in measured:
                each = [one.each[row] for row in rows]
                found = event(sum(each, Report()))
                draws = [event(draw) for draw in resampled(each, [drawn[row] for row in rows], DRAWS)]
                line += [with_interval(what(found), map(what, draws)) for what in (_recall, _precision)]
            if gold:
                lines.append(line)
        yield from table([name, "sentences", "gold events", *columns], lines)


def calibrations(measured: Sequence[Measured]) -> Iterator[str]:
    """The expected calibration errors."""
    rows: list[list[object]] = []
    for one in measured:
        for name, found in one.answers.items():
            for which, of in (("all", np.ones_like(found.reported)), ("reported", found.reported)):
                confidence, again, right = found.confidence[of], found.cross_fitted[of], found.right[of]
                if not len(right):
                    continue
                errors = calibration_error(confidence, right), calibration_error(again, right), error_by_chance(again)
                figures = (confidence.mean(), right.mean(), *errors)
                rows.append([f"{one.name}: {name}, {which}", len(right), *map(figure, figures)])
    head = ("", "answers", "mean confidence", "right", "error", "cross-fitted error", "by chance alone")
    return table(head, rows)


def confusions(types: Mapping[tuple[str, str], int], most: int = 10) -> Iterator[str]:
    """The most frequent pairs of types taken for each other."""
    wrong = [
        (-count, gold, coded)
        for (gold, coded), count in types.items()
        if gold != coded and gold != SPURIOUS and coded != MISSED
    ]
    return table(("gold", "coded as", "times"), [(gold, coded, -count) for count, gold, coded in sorted(wrong)[:most]])


def page(measured: Sequence[Measured], records: Sequence[Record], files: Sequence[Path]) -> str:
    """accuracy.md."""
    return "\n".join(_lines(measured, records, files)).rstrip() + "\n"


def _lines(measured: Sequence[Measured], records: Sequence[Record], files: Sequence[Path]) -> Iterator[str]:
    first = measured[0]
    events = [event for record in records for event in record["events"]]
    articles = {record["article"] for record in records if record.get("article")}
    table_of = partial(scores, measured)
    yield """<!-- Made by `make evaluate` from the weights; do not edit. -->

# Accuracy

The shipped weights on the frozen development split, which is never trained on. The same weights give the same page on any
machine with AVX2 or AVX-512 ([how](decisions/0006-two-encoders.md)).
"""
    yield from table(
        ("profile", "model", "min_confidence"),
        [(one.name, one.model, one.min_confidence) for one in measured],
    )
    yield f"""The split is {" and ".join(f"`{path.name}`" for path in files)} of `models/corpus`:
{len(records)} sentences, {len(articles)} whole articles among them, with {len(events)} events;
{sum(not record["events"] for record in records)} sentences are nulls, which report no event. SHA-256 of the files in that
order: `{digest(files)}`.

**What it cannot tell.** These are sentences in the manner of the news, not news, by the hands that wrote the training data and
coded by one codebook: expect less on real news, and less agreement with other coders. Calibration, threshold and gate were
fitted on this same split, so that the figures of events and confidences flatter a little (the cross-fitted errors below do
not). Score the coder on your own sentences with `conflictwire evaluate FILE`.

**How to read it.** A coded event is right if its trigger overlaps a gold one (*trigger*) and the type is the same (*event*).
Modes are asked of right events; realis and arguments of those whose trigger is found, so that their gold is what was found,
not all that there is. An argument counts if it overlaps a gold one of its role. In brackets is the 95 % interval: the
percentiles of {DRAWS} bootstrap samples, of articles drawn whole and other sentences drawn alone. A dash: nothing asked or
nothing answered.

## Headline
"""
    roles = ("actor", "recipient", "location", "date", "dead", "injured", "claimed_by")
    yield from table_of(
        [
            ("trigger", _asked("trigger")),
            ("event (trigger and type)", _asked("event")),
            ("modes, micro", lambda report: report.mode_micro),
            *((role, _asked(f"role/{role}")) for role in roles),
        ]
    )
    yield from shares(measured)
    missed, spurious = (
        sum(count for pair, count in first.types.items() if pair[side] == what)
        for side, what in ((1, MISSED), (0, SPURIOUS))
    )
    yield f"""## Types

![Gold types against coded types](accuracy/confusion.png)

Profile {first.name}. {missed} gold events are missed, {spurious} coded events are spurious (no gold trigger overlaps theirs).
The types most often taken for another:
"""
    yield from confusions(first.types)
    yield from table_of([(kind, _asked(f"type/{kind}")) for kind in TYPES])
    yield "## Modes\n"
    names = [f"mode/{kind}/{mode}" for kind in TYPES for mode in MODES[kind]]
    yield from table_of(
        [
            (name.removeprefix("mode/"), _asked(name))
            for name in names
            if any(one.total.scores[name].asked + one.total.scores[name].answered for one in measured)
        ]
    )
    yield "## Realis\n"
    yield from table_of([(realis, _asked(f"realis/{realis}")) for realis in REALIS])
    yield f"Gold realis (rows) against coded realis, profile {first.name}:\n"
    yield from table(("", *REALIS), [[gold, *(first.realis[gold, coded] for coded in REALIS)] for gold in REALIS])
    yield "## Arguments\n\nBy overlap, and by the very same characters:\n"
    yield from table_of([(f"{role}{how}", _asked(f"role/{role}{how}")) for role in roles for how in ("", " exact")])
    yield "## Kinds of sentences\n\nEvents (trigger and type):\n"
    yield from sliced(measured, records)
    yield f"""## Confidence

![Confidence against the share that is right](accuracy/reliability.png)

The expected calibration error, over {BINS} bins of equal width: how far confidence and share right lie apart. *all* is every
candidate (`min_confidence=0`), *reported* what is left at the model's own threshold and past its gate. Actors and recipients
are those of right events, and right if they overlap a gold one. The cross-fitted error is that of confidences from a
calibration fitted on four fifths of the sentences (articles kept whole) and used on the last fifth; *by chance alone* is what
as many answers with such confidences would show on average if each were right just as often as it says.
"""
    yield from calibrations(measured)
    yield from resolved()
    yield """## Incidents

Which events report one happening is scored on a test set of its own, by `python -m tests.bench.incidents`: how often that is
right, and what each error looks like, is told in [incidents](incidents.md#how-good-it-is).
"""


def resolved() -> Iterator[str]:
    """What the resolvers make of given spans."""
    yield """## Resolved arguments

How many spans, given as an event coder would mark them, are given the right country, sector, place, day and number: short
invented articles in `tests/bench/resolution`, written without sight of the resolvers. Errors of the first half were looked at
while rules and lists were made; only the *check* half says what to expect. A place is right within 25 km or by its province or
country, a date if both its days are, a number if both its bounds are. No event is at hand there: with the event's own place
the coder does a little better by unnamed actors.
"""
    shares = right_of()
    yield from table(
        ("what", "check", "of", "looked at", "of"),
        [
            (
                what,
                *(
                    cell
                    for half in (False, True)
                    for cell in (figure(shares[what, half].share), shares[what, half].asked)
                ),
            )
            for what in dict.fromkeys(what for what, _ in shares)
        ],
    )


def write(measured: Sequence[Measured], records: Sequence[Record], files: Sequence[Path], out: Path) -> None:
    """The page and its pictures into `out`."""
    pictures = out / "accuracy"
    pictures.mkdir(parents=True, exist_ok=True)
    draw_confusion(measured[0].types, pictures / "confusion.png")
    questions = {
        name: {
            one.name: (one.answers[name].confidence, one.answers[name].right) for one in measured if name in one.answers
        }
        for name in measured[0].answers
    }
    draw_reliability(questions, pictures / "reliability.png")
    (out / "accuracy.md").write_text(page(measured, records, files), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m tests.bench.accuracy --model my-weights --out my-weights/docs",
    )
    parser.add_argument("--model", type=Path, default=WEIGHTS, help="folder of weights; the shipped ones if left out")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="folder for accuracy.md and accuracy/")
    options = parser.parse_args(arguments)
    files = development_files()
    try:
        records = read(files)
        measured = measure_all(options.model, records)
    except ConflictwireError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        return error.exit_code
    write(measured, records, files, options.out)
    for one in measured:
        print(f"{one.name}: {one.total.headline()}")
    print(f"wrote {options.out / 'accuracy.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
