"""Where the points of models/incidents/compare.py come from, and whether the encoder's vectors help: `python -m
tests.bench.incidents.fit [--coded FILE]`.

Fits a logistic regression on the pairs of reports of the development half, once without any likeness of the texts, once with
that of their words, once with the cosine of the small encoder's vectors (the mean of its last states over the tokens of the
event's sentence), and once with both; each five times on four fifths of the stories, and scored on the pairs within the last
fifth.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import models
from models.incidents.compare import likeness, neighbours, traits
from models.incidents.facts import Facts, facts, telling
from models.reader import Reader
from tests.bench.incidents.reports import coded, main_event, told

Array = npt.NDArray[np.float64]
FOLDS = 5
PENALTY = 5.0


def vectors(texts: Sequence[str]) -> dict[str, Array]:
    """The mean of the small encoder's last states over the tokens of each text, of length 1."""
    reader = Reader.load(Path(models.__file__).parent / "weights" / "fast")
    tokens = reader.weights.tokenizer(texts)
    found: dict[str, Array] = {}
    for read in reader._network.encode([text.ids for text in tokens]):
        for row, states, inside in zip(read.rows, read.hidden, read.mask, strict=True):
            mean = states[inside == 1].mean(axis=0).astype(np.float64)
            found[texts[row]] = mean / np.linalg.norm(mean)
    return found


def fitted(features: Array, right: Array) -> Array:
    """Coefficients by Newton's method; the first feature, a constant, is not held down."""
    slopes = np.zeros(features.shape[1])
    held = np.r_[0.0, np.full(features.shape[1] - 1, PENALTY)]
    for _ in range(50):
        likely = 1 / (1 + np.exp(-features @ slopes))
        gradient = features.T @ (right - likely) - held * slopes
        hessian = (features * (likely * (1 - likely))[:, None]).T @ features + np.diag(held + 1e-6)
        slopes += np.linalg.solve(hessian, gradient)
    return slopes


def main() -> None:
    """Print how well each likeness does, and the points with that of words."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=("fast", "accurate"), default="fast")
    parser.add_argument("--coded", type=Path)
    arguments = parser.parse_args()
    half = coded(arguments.profile, arguments.coded)["dev"]
    known = {each.event_id: each for each in told(half) if each.revision == 1}
    ones: list[tuple[dict[str, Any], Facts, str]] = []
    for row, events in zip(half.rows, half.events, strict=True):
        at = main_event(row, events)
        if at is not None:
            each = known[f"{row['report']}#{at}"]
            ones.append((row, facts(each), each.event.sentence.text))
    vector = vectors(sorted({text for *_, text in ones}))
    pairs = []
    for (row, one, text), (other_row, other, other_text) in combinations(ones, 2):
        near = {*one.countries, *telling(one.words)} & {*other.countries, *telling(other.words)}
        found = traits(one, other)
        same = row["incident"] == other_row["incident"]
        copies = row["syndication_id"] == other_row["syndication_id"]
        if (
            copies
            or other.type not in neighbours(one.type)
            or not (same or near)
            or any("apart" in each for each in found)
        ):
            continue
        cosine = float(vector[text] @ vector[other_text])
        pairs.append((same, found, likeness(one, other) / 100, cosine, {row["story"], other_row["story"]}))
    names = sorted({trait for pair in pairs for trait in pair[1] if not trait.endswith("unknown")})
    right = np.array([pair[0] for pair in pairs], dtype=np.float64)
    stories = sorted({story for pair in pairs for story in pair[4]})
    fold = {story: at % FOLDS for at, story in enumerate(stories)}
    print(f"{len(pairs)} pairs of reports, {int(right.sum())} of one incident")
    base = np.array([[1.0, *(name in pair[1] for name in names)] for pair in pairs], dtype=np.float64)
    alike = np.array([(pair[2], pair[3]) for pair in pairs]) * 4
    for name, columns in (("nothing", []), ("words", [0]), ("vectors", [1]), ("words and vectors", [0, 1])):
        features = np.concatenate([base, alike[:, columns]], axis=1)
        likely = np.full(len(pairs), np.nan)
        for number in range(FOLDS):
            kept = np.array([all(fold[story] != number for story in pair[4]) for pair in pairs])
            scored = np.array([all(fold[story] == number for story in pair[4]) for pair in pairs])
            likely[scored] = 1 / (1 + np.exp(-features[scored] @ fitted(features[kept], right[kept])))
        seen = ~np.isnan(likely)
        loss = -np.mean(np.log(np.where(right[seen] == 1, likely[seen], 1 - likely[seen])))
        hit = (likely[seen] >= 0.5) & (right[seen] == 1)
        f1 = 2 * hit.sum() / ((likely[seen] >= 0.5).sum() + right[seen].sum())
        print(f"  {name:18} log loss {loss:.4f}  F1 of pairs {f1:.3f}  ({int(seen.sum())} pairs)")
    slopes = fitted(np.concatenate([base, alike[:, :1]], axis=1), right)
    print(f"base {10 * slopes[0]:.0f}, words {40 * slopes[-1]:.0f}")
    for name, slope in zip(names, slopes[1:], strict=False):
        print(f"  {name:18} {10 * slope:4.0f}")


if __name__ == "__main__":
    main()
