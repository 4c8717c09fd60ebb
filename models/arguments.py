"""From the head's role logits to argument spans: pure functions on arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.classifier import Logistic, log_odds, softmax
from models.encoder import Floats, Tokens

ROLES = ("actor", "recipient", "location", "date", "dead", "injured", "claimed_by")


# What a span never begins or ends with. The codebook's spans have no leading article, but "a teenager" counts one.
_MARKS = r"\s|['’]s\b|[,;:.!?)\]”’\"'–—-]"
_BEFORE = re.compile(
    rf"(?:{_MARKS}|(?:the|a|an|of|and|or|by|to|in|at(?!\s+(?:least|most)\b)|on|that|with|from)\b)+", re.I
)
_BEFORE_COUNT = re.compile(rf"(?:{_MARKS}|(?:the|of|and|or|by)\b)+", re.I)
_AFTER = re.compile(
    r"(?:\s|[,;:!?(\[“‘’'\"–—-]|['’]s(?=$)|\b(?:the|a|an|of|and|or|by|to|in|at|with|from)(?=$))+$", re.I
)
# The tokeniser parts words at hyphens and stops; "year-old" without its number and "U" of "U.S." are no spans.
_COMPOUND = re.compile(r"[\w'’]+(?:-[\w'’]+)*-$")
_ABBREVIATION = re.compile(r"(?:(?<=\.[A-Z])|(?=\.[A-Z]))(?:\.[A-Z])*\.?(?![a-z])")
_INSIDE_ABBREVIATION = re.compile(r"(?<![A-Za-z])[A-Z]\.[A-Z]\.|(?<=\.)[A-Z]\.[A-Z]\.")


@dataclass(frozen=True, slots=True)
class Argument:
    """A span of the sentence, in code points; `confidence` is the probability that it is right."""

    start: int
    end: int
    confidence: float


def trim(text: str, start: int, end: int, role: str) -> tuple[int, int] | None:
    """The span with the whole of the words at its ends, and without what no span of the role begins or ends with.

    None if nothing is left of it.
    """
    if text[start : start + 1].islower() and (compound := _COMPOUND.search(text[max(start - 40, 0) : start])):
        start -= len(compound[0])
    if text[start:end][-1:].isupper() and (rest := _ABBREVIATION.match(text, end)):
        end = rest.end()
    while start > 1 and _INSIDE_ABBREVIATION.match(text, start - 2):
        start -= 2
    pattern = _BEFORE_COUNT if role in ("dead", "injured") else _BEFORE
    if before := pattern.match(text, start, end):
        start = before.end()
    if after := _AFTER.search(text[start:end]):
        end = start + after.start()
    if text.count("(", start, end) > text.count(")", start, end):  # "the Movement (MX"
        opened = text.rindex("(", start, end)
        if opened == start:
            start += 1
        else:
            end = end + 1 if text[end : end + 1] == ")" else opened - (text[opened - 1] == " ")
    return (start, end) if end > start else None


def arguments(
    roles: Floats, tokens: Tokens, text: str, calibration: Mapping[str, Logistic] | None = None
) -> dict[str, list[Argument]]:
    """The spans of each role, in text order, from one trigger's role logits (T, roles, 3).

    `text` is the sentence; `calibration`, by role, turns the mean probability of a span's tokens into its confidence.
    Spans cut no word, and have no article or punctuation at their ends.
    """
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
            if span := trim(text, int(tokens.starts[first]), int(tokens.ends[last]), role):
                likely = float(np.mean(inside))
                calibrated = calibration[role]((log_odds(likely),)) if calibration and role in calibration else likely
                found[role].append(Argument(*span, round(calibrated, 4)))
            at = last + 1
    return found
