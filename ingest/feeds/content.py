"""What a text says, apart from looks: to tell an edit from what sites change by themselves.

Runs in the parser process: input is hostile, so no pattern here takes more than linear time.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from functools import lru_cache

# The mark first, as a search for one of few is fast.
_BETWEEN_DIGITS = re.compile(r"[.,:](?<=\d.)(?=\d)")
_POINT = "\ue000"  # a private character stands for a point while punctuation is dropped


class _WordsOnly(dict[int, str | None]):
    """A table for `str.translate`: letters, digits, marks, signs of currency and mathematics stay."""

    def __missing__(self, code: int) -> str | None:
        mark = chr(code)
        category = unicodedata.category(mark)
        if category[0] in "LNM" or category in ("Sc", "Sm") or mark in f"%°{_POINT}":
            kept: str | None = mark
        else:
            kept = None if category == "Cf" else " "
        self[code] = kept
        return kept


_words_only = _WordsOnly()


@lru_cache(4)  # an entry's title and text are asked for twice
def normalise(text: str) -> str:
    """What `text` says, without case, white space, punctuation and the variants of characters.

    A point, comma or colon between digits stays: 1.5 is not 15.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(_BETWEEN_DIGITS.sub(_POINT, folded).translate(_words_only).split())


_MONTH = (
    "(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_WEEKDAY = "(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\\b"
_CLOCK = r"(?:\d{1,2}[:.h]\d{2}(?::\d{2})?(?:\s?[ap]\.?m\b\.?)?|\d{1,2}\s?[ap]\.?m\b\.?)"
_ZONE = (
    r"(?:gmt|utc|bst|cet|cest|eet|eest|msk|ist|pkt|jst|hkt|sgt|wib|aest|aedt|[ecmp][sd]?t)\b"
    r"(?:\s?[+-]\d{1,2}(?::?\d{2})?)?"
)
_DAY = (
    rf"(?:\d{{4}}-\d{{2}}-\d{{2}}(?:t(?=\d))?|\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{2,4}}"
    rf"|{_MONTH}\s?\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s?\d{{4}}\b)?|\d{{1,2}}(?:st|nd|rd|th)?\s?{_MONTH}(?:,?\s?\d{{4}}\b)?)"
)
_AGO = (
    r"(?:(?:an?|one|\d{1,4})\s?(?:s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|weeks?|months?)\s?ago\b"
    r"|just\snow\b|moments\sago\b)"
)
_LABEL = r"(?:(?:last|first)\s)?(?:updated?|modified|published|posted|edited)\b(?:\s(?:on|at)\b)?:?"
_WHEN = rf"(?:{_AGO}|{_DAY}|{_CLOCK}|{_ZONE}|{_WEEKDAY})"
_COUNT = (
    r"(?:\d[\d.,]*\s?[km]?\s?(?:views?|reads?|shares?|comments?|likes?|reactions?|followers|votes?)\b"
    r"|(?:views?|reads?|shares?|comments?|likes?)\s?[:(]\s?\d[\d.,]*\s?[km]?\b)"
)
_AD = (
    r"\b(?:advertise?ments?|ads?\sby\sgoogle|sponsored(?:\scontent)?|promoted|anzeige|werbung|publicité|publicidad"
    r"|реклама|(?:story|article)\scontinues\s(?:below|after)(?:\s(?:this\s)?(?:ad(?:vertise?ment)?))?"
    r"|scroll\sto\scontinue(?:\swith\scontent)?)\b"
)
_DOING = (
    r"\b(?:share(?:\sthis(?:\sarticle|\sstory|\spage)?)?|print(?:\sthis(?:\sarticle|\spage)?)?|copy\slink|save"
    r"|listen\sto\sthis\s(?:article|story)|\d{1,3}[\s-]?min(?:ute)?s?\s(?:read|listen|watch))\b"
)
_JOINT = r"[\s,|·•–—@/()\[\]-]{0,3}(?:at\s|on\s)?"
# A line of nothing but these is the site's, not the writer's.
_LINE_NOISE = re.compile(rf"\b{_LABEL}|\b{_WHEN}|\b{_COUNT}|{_AD}|{_DOING}|\b(?:at|on)\b|\d{{4}}\b", re.I)
_BYLINE = re.compile(r"^\W{0,3}[Bb][Yy](?:[ ,]+(?:and\b|[A-Z][^\s,|]{0,30})){1,12}")
_LETTER = re.compile(r"\w")
_NOISY_LINE = 160  # code points; longer ones are prose
_NOISE_STARTS = re.compile(rf"\W{{0,9}}\b(?:{_LABEL}|{_WHEN}|{_COUNT}|{_AD}|{_DOING}|by\b)", re.I)
_LABELS = ("updated", "modified", "published", "posted", "edited")
# Within a line only where a time follows, and only where a sentence cannot run on into it.
_UPDATED = re.compile(
    rf"(?:^|[(\[|·•])\s{{0,2}}\b{_LABEL}\s{{0,2}}{_WHEN}(?:{_JOINT}{_WHEN}){{0,5}}\s{{0,2}}(?:$|[)\]|·•.:–—-])",
    re.I | re.M,
)
_TITLE_UPDATED = re.compile(
    r"^\W{0,3}(?:updated?)\s?\d{0,2}\s?(?:[:|]|\s[–—-]\s)|[(\[]\s?updated?\s?\d{0,2}\s?[)\]]", re.I
)
_IMAGE_TAG = re.compile(r"<(?:img|iframe)\b[^<>]*>", re.I)


def _written(text: str) -> str:
    """`text` without what a site puts round it and changes by itself: times, counts, labels of advertisements."""
    if "&" in text:
        # Twice, as feeds escape twice.
        text = _IMAGE_TAG.sub("", html.unescape(html.unescape(text)))
    kept = []
    for line in text.split("\n"):
        if len(line) <= _NOISY_LINE and _NOISE_STARTS.match(line):
            rest = _LINE_NOISE.sub(" ", _BYLINE.sub(" ", line))
            if not _LETTER.search(rest):
                continue
        kept.append(line)
    text = "\n".join(kept)
    lower = text.lower()
    return _UPDATED.sub(" ", text) if any(label in lower for label in _LABELS) else text


def content_hash(title: str, text: str) -> str:
    """32 hex digits that change when title or text change in more than looks.

    Looks are white space, punctuation, case, character references, and what sites put round a text and change by
    themselves: "Updated 5 min ago", the time beside the writer's name, view counts, labels of advertisements.
    """
    return digest(normalise(_TITLE_UPDATED.sub(" ", html.unescape(title))), normalise(_written(text)))


def digest(*parts: str) -> str:
    """32 hex digits of SHA-256 of `parts`, which are not run together."""
    encoded = [part.encode("utf-8", "replace") for part in parts]
    whole = b"".join([len(part).to_bytes(8, "big") + part for part in encoded])
    return hashlib.sha256(whole).hexdigest()[:32]
