"""Whether a confidence is what it says: of the answers given with 0.8, are eight in ten right? Pure functions on arrays."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose confidence lies in one range: how many, their mean confidence, the share that is right."""

    count: int
    confidence: float
    right: float


def reliability(confidence: Doubles, right: Bools, bins: int = BINS) -> list[Bin]:
    """The answers in `bins` ranges of equal width, from the least confident; ranges without an answer are left out."""
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return [
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(right[inside].mean()))
        for inside in (place == number for number in range(bins))
        if inside.any()
    ]


def calibration_error(confidence: Doubles, right: Bools, bins: int = BINS) -> float:
    """The expected calibration error: how far share right and mean confidence lie apart, over the bins, by their answers.

    Naeini, Cooper and Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning". 0 without answers.
    """
    found = reliability(confidence, right, bins)
    apart = sum(one.count * abs(one.right - one.confidence) for one in found)
    return apart / len(confidence) if len(confidence) else 0.0


def error_by_chance(confidence: Doubles, bins: int = BINS, draws: int = 1000, seed: int = 1) -> float:
    """The mean calibration error of as many answers were each right just as often as its confidence says.

    It is above 0, since few answers in a bin are seldom right in the very share expected: less cannot be asked for.
    """
    luck = np.random.default_rng(seed)
    errors = [calibration_error(confidence, luck.random(len(confidence)) < confidence, bins) for _ in range(draws)]
    return float(np.mean(errors))


def cross_fitted(
    features: Doubles,
    right: Bools,
    units: Sequence[Hashable],
    fit: Callable[[Doubles, Bools], Callable[[Sequence[float]], float]],
    folds: int = 5,
    seed: int = 1,
) -> Doubles:
    """For each answer the confidence from a calibration that `fit` made without it.

    `features` is (N, F). Answers of one of the `units`, such as a sentence, fall into one fold; each fold's confidences come
    from the others.
    """
    names = list(dict.fromkeys(units))
    drawn = dict(zip(names, np.random.default_rng(seed).permutation(len(names)) % folds, strict=True))
    fold = np.array([drawn[unit] for unit in units], dtype=np.int64)
    confidence = np.zeros(len(features))
    for number in range(folds):
        inside = fold == number
        if inside.any():
            calibration = fit(features[~inside], right[~inside])
            confidence[inside] = [calibration(row) for row in features[inside].tolist()]
    return confidence
