"""From the head's role logits to argument spans: pure functions on arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.classifier import Logistic, log_odds, softmax
from models.encoder import Floats, Tokens

ROLES = ("actor", "recipient", "location", "date", "dead", "injured", "claimed_by")

# How likely the likeliest token of a span must be. At one half all had a lower F1 by overlap on the development split but the
# recipients, of whom so many more are found at the same F1.
LEAST = {
    "actor": 0.6,
    "recipient": 0.4,
    "location": 0.65,
    "date": 0.75,
    "dead": 0.5,
    "injured": 0.5,
    "claimed_by": 0.65,
}
# The words beside it belong to its span from here on: exact spans are 3 to 5 points of F1 more than at one half.
_WITHIN = 0.2
# Two spans of these roles with no more than this between them are pieces of one.
_PLURAL = ("actor", "recipient", "claimed_by")
_ONE_PHRASE = re.compile(r"\s*(?:of )?")

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

    `text` is the sentence; `calibration`, by role, turns the probability of a span's likeliest token into its confidence.
    Spans cut no word, and have no article or punctuation at their ends.
    """
    probabilities = softmax(roles[: len(tokens.ids)])
    inside = 1 - probabilities[..., 0]
    words = tokens.words
    # A word is what its first token says, so that a span never cuts a word.
    starts = np.flatnonzero((words >= 0) & (words != np.concatenate(([-1], words[:-1]))))
    ends = np.append(starts[1:] - 1, np.flatnonzero(words >= 0)[-1:])
    within = inside[starts] >= _WITHIN
    found: dict[str, list[Argument]] = {role: [] for role in ROLES}
    for number, role in enumerate(ROLES):
        runs: list[list[int]] = []
        for word in np.flatnonzero(within[:, number]):
            first, last = int(starts[word]), int(ends[word])
            begins = probabilities[first, number, 1] >= probabilities[first, number, 2]
            if runs and not begins and runs[-1][1] == first - 1:
                runs[-1][1] = last
            else:
                runs.append([first, last])
        spans: list[tuple[int, int, float]] = []
        for first, last in runs:
            likely = float(inside[first : last + 1, number].max())
            if likely < LEAST[role]:
                continue
            if span := trim(text, int(tokens.starts[first]), int(tokens.ends[last]), role):
                if spans and role in _PLURAL and _ONE_PHRASE.fullmatch(text, spans[-1][1], span[0]):
                    start, _, before = spans.pop()
                    span, likely = (start, span[1]), max(before, likely)
                spans.append((*span, likely))
        for start, end, likely in spans:
            calibrated = calibration[role]((log_odds(likely),)) if calibration and role in calibration else likely
            found[role].append(Argument(start, end, round(calibrated, 4)))
    return found
