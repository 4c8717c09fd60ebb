"""The English words that dates are written with, and the pieces of patterns made of them."""

from __future__ import annotations

import calendar
from collections.abc import Iterable

WEEKDAYS = {name.lower(): number for number, name in enumerate(calendar.day_name)}
WEEKDAYS |= {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}
MONTHS |= {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name} | {"sept": 9}
# The first month of each season of three, on the northern half of the earth.
SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
NUMBERS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split()
    )
} | {"a": 1, "an": 1, "couple of": 2, "a couple of": 2, "few": 3, "a few": 3, "several": 3, "thirty": 30, "forty": 40,
     "fifty": 50}  # fmt: skip
ORDINALS = {
    word: number
    for number, word in enumerate(
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
        "sixteenth seventeenth eighteenth nineteenth twentieth".split(),
        1,
    )
}


def any_of(words: Iterable[str]) -> str:
    """A pattern for any of the words, the longest first."""
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"


WEEKDAY, MONTH, SEASON, ORDINAL = any_of(WEEKDAYS), any_of(MONTHS), any_of(SEASONS), any_of(ORDINALS)
YEAR = r"(?:1[6-9]\d\d|20\d\d)"
DAY = r"(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?"
COUNT = rf"(?:\d{{1,3}}|{any_of(NUMBERS)})"


def count_of(written: str) -> int:
    """The number that COUNT matched."""
    return int(written) if written.isdigit() else NUMBERS[written]


def day_of(written: str) -> int:
    """The number that DAY or ORDINAL matched."""
    return ORDINALS.get(written) or int(written.rstrip("stndrh"))
