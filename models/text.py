"""From an article to sentences, with offsets that cut exactly what the sentence says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

# Longer stretches are cut at a clause: the encoder reads at most 256 tokens at once.
MAX_SENTENCE = 900
_MIN_CUT = 300

_ABBREVIATIONS = frozenset(
    """mr mrs ms dr prof st sr jr gen lt col maj capt cpl sgt pvt cmdr adm rear brig gov sen rep reps sens pres hon rev fr
    msgr amb supt insp det jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thur thurs fri sat sun
    no nos vs etc al inc ltd co corp bros dept est approx ave blvd rd mt ft u.s u.k u.n e.g i.e a.m p.m ph.d d.c
    messrs min undersec asst ret vol fig art sec para op cit ca""".split()
)
# These end sentences as often as not; the word after them decides.
_ENDS_EITHER_WAY = frozenset("u.s u.k u.n a.m p.m etc inc ltd co corp jr sr d.c".split())
_STARTERS = frozenset(
    """the a an in on at it he she they we i but and this that these those there his her its their as after before when
    while if for from with by no not one two some many most all both each earlier later meanwhile however police
    officials""".split()
)

_BREAK = re.compile(r"\n[ \t]*\n\s*|\n\s*(?=[-*•–—]\s|\d{1,2}[.)]\s)|\r?\n|[\u2028\u2029]")
_END = re.compile(r"[.!?…。！？؟]+[\"'”’»)\]]*(?=\s|$|[A-Z“\"‘«])|[。！？]")
_WORD_BEFORE = re.compile(r"(?:^|[\s(\[\"“'‘«/—–-])([^\s(\[\"“'‘«]*)$")
_SPACE = re.compile(r"\s")
# "AMMAN, May 14 (AFP) -- ", "WASHINGTON (AP) — ", "Kyiv (AFP) - ": a place in capitals, or one before an agency.
_DATELINE = re.compile(
    r"(?:[A-Z][A-Z'’.]{2,}(?:[ /-][A-Z][A-Z'’.]+){0,3}(?:, [A-Z][\w.'’ ]{1,25}){0,3}(?:\s*\([^()\n]{2,40}\))?"
    r"|[A-Z][\w'’]+(?: [A-Z][\w'’]+){0,2}\s*\([A-Z][^()\n]{1,30}\))\s*(?:--?|[–—])\s+(?=\S)"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_CUT = re.compile(r"[;:,]\s|\s[–—-]{1,2}\s")


def _ends_sentence(block: str, end: re.Match[str]) -> bool:
    """Whether the punctuation at `end` closes a sentence of `block`."""
    # A bounded look to both sides: a megabyte on one line must not cost its square.
    marks, after = end[0], block[end.end() : end.end() + 80]
    following = after.lstrip()
    if not following:
        return True
    bare = following.lstrip("\"'“‘«([")
    starts_upper = bool(bare) and (bare[0].isupper() or bare[0].isdigit() or not bare[0].isascii() or bare[0] in "•-–—")
    if not starts_upper:
        return marks[0] in "。！？"
    if marks[0] != ".":
        return True
    before = _WORD_BEFORE.search(block[max(end.start() - 40, 0) : end.start()])
    word = before[1].casefold() if before else ""
    joined = not after[0].isspace()
    if joined:
        # A missing space: "ended.The" ends a sentence, "U.S.A", "Mr.X" and "example.Com" do not.
        return len(word) > 3 and word.isalpha() and word not in _ABBREVIATIONS and len(bare) > 1 and bare[1].islower()
    if marks == "." and (len(word) == 1 and word.isalpha() and word != "i"):
        return False
    if word in _ENDS_EITHER_WAY or re.fullmatch(r"(?:[a-z]\.)+[a-z]", word):
        first = re.match(r"[\w’']+", bare)
        return first is not None and first[0].casefold() in _STARTERS
    return word not in _ABBREVIATIONS


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The stretch in pieces of at most MAX_SENTENCE, cut after a clause, else at a space, else anywhere."""
    while end - start > MAX_SENTENCE:
        window = text[start + _MIN_CUT : start + MAX_SENTENCE]
        clauses = list(_CUT.finditer(window)) or list(_SPACE.finditer(window))
        at = start + _MIN_CUT + clauses[-1].end() if clauses else start + MAX_SENTENCE
        yield start, at
        start = at
    yield start, end


def sentences(text: str) -> list[tuple[int, int]]:
    """The sentences of `text` as (start, end) offsets in code points, without surrounding white space, in order.

    Every character that is not white space lies in exactly one sentence. Headlines, datelines, list items and lines are
    sentences of their own; a stretch above MAX_SENTENCE code points is cut at a clause.
    """
    spans: list[tuple[int, int]] = []
    block_start = 0
    for brk in [*_BREAK.finditer(text), None]:
        block_end = brk.start() if brk else len(text)
        block = text[block_start:block_end]
        start = 0
        if dateline := _DATELINE.match(block):
            start = dateline.end()
            spans.append((block_start, block_start + start))
        for mark in _END.finditer(block):
            if mark.start() >= start and _ends_sentence(block, mark):
                spans.append((block_start + start, block_start + mark.end()))
                start = mark.end()
        spans.append((block_start + start, block_end))
        block_start = brk.end() if brk else len(text)
    found: list[tuple[int, int]] = []
    for start, end in spans:
        for left, right in _cut(text, start, end):
            piece = text[left:right]
            stripped = piece.strip()
            if stripped:
                left += len(piece) - len(piece.lstrip())
                found.append((left, left + len(stripped)))
    return found


def encodable(text: str) -> str:
    """`text` with lone surrogates replaced, code point for code point, so that any tokeniser takes it."""
    return _SURROGATE.sub("\ufffd", text)


def is_codable(text: str) -> bool:
    """Whether the coder can read `text`: mostly Latin letters, and English as far as that can be told.

    A short text gets the benefit of the doubt, since a headline of names looks like no language at all.
    """
    sample = text[:2000]
    letters = [character for character in sample if character.isalpha()]
    if not letters or sum(character < "\u0250" for character in letters) < 0.7 * len(letters):
        return False
    return len(letters) < 100 or language(sample)[0] == "en"


def language(text: str) -> tuple[str, float]:
    """The language of `text` (BCP 47) and how sure that is (0 to 1), by py3langid's model of 97 languages."""
    code, probability = _identifier().classify(encodable(text))
    return str(code), float(probability)


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
