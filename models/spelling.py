"""Spelling brought down to what names are compared by."""

from __future__ import annotations

import unicodedata

# Letters that Unicode does not take apart into a letter and a mark; apostrophes stand for sounds that spellings leave out.
_PLAIN = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ə": "a", "ŋ": "n"}
    | dict.fromkeys("'’‘ʼʻʿʾ`´.", "")
    | dict.fromkeys("-‐‑‒–—/_", " ")
)


def fold(name: str) -> str:
    """The name without case, accents, apostrophes and hyphens: `Ḩudaydah` and `Hudaydah` become `hudaydah`."""
    if not name.isascii():
        name = "".join(char for char in unicodedata.normalize("NFKD", name) if not unicodedata.combining(char))
    return " ".join(name.casefold().translate(_PLAIN).split())
