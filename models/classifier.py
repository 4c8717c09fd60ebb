"""From logits to triggers, types, modes and realis: pure functions on arrays."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from models.encoder import Floats, Tokens
from models.events import Realis
from models.ontology import MODES, TYPES

REALIS: tuple[Realis, ...] = get_args(Realis)
MODE_LABELS: tuple[tuple[str, str], ...] = tuple((kind, mode) for kind in TYPES for mode in MODES[kind])

# Below this a token is no candidate at all: lower finds nothing more on the development split, and costs a head each.
CANDIDATE = 0.15
# F1 of modes on the development split: 0.84 at 0.35, 0.82 at 0.5; below 0.4 other texts got worse.
MODE_THRESHOLD = 0.4
# What a trigger does not end with: "signed a", "agreed to".
_TAIL = re.compile(r"(?:\s+(?:an?|the|and|or|of|to|his|her|its|their))+$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible trigger: tokens `first` to `last`, inclusive, and the probability that one begins there."""

    first: int
    last: int
    probability: float


@dataclass(frozen=True, slots=True)
class Kind:
    """What the head makes of a candidate."""

    type: str
    modes: tuple[str, ...]
    realis: Realis


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a candidate: the probability of its type, that of a trigger beginning there, and the sentence's event
    logit."""

    type: float
    tag: float
    event: float

    def features(self) -> tuple[float, float, float]:
        """All three as log odds."""
        return log_odds(self.type), log_odds(self.tag), self.event


@dataclass(frozen=True, slots=True)
class Logistic:
    """A calibration: features to a probability, by logistic regression (Platt 1999)."""

    slopes: tuple[float, ...]
    offset: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Logistic:
        """From slopes and, last, the offset. Raises ValueError or TypeError if they are no numbers."""
        *slopes, offset = (float(number) for number in numbers)
        if not all(map(math.isfinite, (*slopes, offset))):
            raise ValueError(f"a calibration of {list(numbers)}")
        return cls(tuple(slopes), offset)

    def __call__(self, features: Sequence[float]) -> float:
        """To four decimals. Raises ValueError where there are not as many features as slopes."""
        at = sum(slope * feature for slope, feature in zip(self.slopes, features, strict=True)) + self.offset
        return round(1 / (1 + math.exp(-min(max(at, -30.0), 30.0))), 4)


def softmax(logits: Floats) -> Floats:
    """Over the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    total: Floats = shifted / shifted.sum(axis=-1, keepdims=True)
    return total


def candidates(tags: Floats, tokens: Tokens) -> list[Candidate]:
    """Non-overlapping candidate triggers of one sentence, in order, from tag logits (T, 3); whole words only."""
    probabilities = softmax(tags[: len(tokens.ids)])
    words = tokens.words
    begins = probabilities[:, 1]
    first_of_word = np.flatnonzero((words >= 0) & (words != np.concatenate(([-1], words[:-1]))))
    found: list[Candidate] = []
    taken = np.zeros(len(words), dtype=bool)
    for start in sorted(first_of_word[begins[first_of_word] >= CANDIDATE], key=lambda at: (-begins[at], at)):
        if taken[start]:
            continue
        last = start
        while last + 1 < len(words) and not taken[last + 1] and words[last + 1] >= 0:
            same_word = words[last + 1] == words[last]
            if not same_word and probabilities[last + 1].argmax() != 2:
                break
            last += 1
        taken[start : last + 1] = True
        found.append(Candidate(int(start), int(last), float(begins[start])))
    return sorted(found, key=lambda candidate: candidate.first)


def trigger_span(candidate: Candidate, tokens: Tokens, text: str) -> tuple[int, int]:
    """Where the trigger stands in the sentence `text`, in code points, without a conjunction or article at its end."""
    start, end = int(tokens.starts[candidate.first]), int(tokens.ends[candidate.last])
    tail = _TAIL.search(text[start:end])
    return start, start + tail.start() if tail else end


def log_odds(probability: float) -> float:
    """Natural logarithm of p / (1 - p), with p kept a little off 0 and 1."""
    clipped = min(max(probability, 1e-4), 1 - 1e-4)
    return math.log(clipped / (1 - clipped))


def kind(types: Floats, modes: Floats, realis: Floats) -> tuple[Kind, float]:
    """The most probable type of one candidate, with its modes and realis, from the head's logits of one row; and the
    probability of that type."""
    probabilities = softmax(types)[1:]
    best = int(probabilities.argmax())
    chosen = TYPES[best]
    likely = {MODE_LABELS[at] for at in np.flatnonzero(modes > math.log(MODE_THRESHOLD / (1 - MODE_THRESHOLD)))}
    what = Kind(
        type=chosen,
        modes=tuple(mode for mode in MODES[chosen] if (chosen, mode) in likely),
        realis=REALIS[int(realis.argmax())],
    )
    return what, float(probabilities[best])
