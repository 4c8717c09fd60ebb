"""From the head's role logits to argument spans: pure functions on arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.classifier import softmax
from models.encoder import Floats, Tokens

ROLES = ("actor", "recipient", "location", "date", "dead", "injured", "claimed_by")


@dataclass(frozen=True, slots=True)
class Argument:
    """A span of the sentence, in code points, and the mean probability of its tokens."""

    start: int
    end: int
    confidence: float


def arguments(roles: Floats, tokens: Tokens) -> dict[str, list[Argument]]:
    """The spans of each role, in text order, from one trigger's role logits (T, roles, 3); whole words only."""
    probabilities = softmax(roles[: len(tokens.ids)])
    tags = probabilities.argmax(axis=-1)
    words = tokens.words
    found: dict[str, list[Argument]] = {role: [] for role in ROLES}
    for number, role in enumerate(ROLES):
        # A word is what its first token says, so that a span never cuts a word.
        at = 0
        while at < len(words):
            if words[at] < 0 or tags[at, number] == 0 or (at and words[at] == words[at - 1]):
                at += 1
                continue
            first, last = at, at
            while last + 1 < len(words) and words[last + 1] >= 0:
                same_word = words[last + 1] == words[last]
                if not same_word and tags[last + 1, number] != 2:
                    break
                last += 1
            inside = 1 - probabilities[first : last + 1, number, 0]
            start, end = int(tokens.starts[first]), int(tokens.ends[last])
            if end > start:
                found[role].append(Argument(start, end, round(float(np.mean(inside)), 4)))
            at = last + 1
    return found
