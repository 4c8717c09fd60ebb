"""The rules that the forms of a date phrase name: from what a form matched, and where it is seen from, to days.

Each answers None where the days cannot be known from there, and raises ValueError or OverflowError for a day that no calendar
has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from models.resolve.calendar_spans import (
    Days,
    at_distance,
    before,
    months_from,
    not_after,
    nth_weekday,
    one,
    part,
    shift_month,
    unit_of,
    whole_month,
    whole_years,
)
from models.resolve.date_words import MONTHS, ORDINALS, SEASONS, WEEKDAYS, count_of, day_of
from models.resolve.feasts import feast


class Frame(NamedTuple):
    """What a phrase is seen from: publication, whether its day lies ahead, and the days of the event told before it."""

    today: date | None
    future: bool
    anchor: Days | None = None


Rule = Callable[[re.Match[str], Frame], Days | None]


def _needs_today(rule: Callable[[re.Match[str], date, bool], Days | None]) -> Rule:
    """A rule that knows nothing without a day of publication."""

    def checked(match: re.Match[str], frame: Frame) -> Days | None:
        return rule(match, frame.today, frame.future) if frame.today else None

    return checked


def _fits(day: date, today: date, future: bool) -> bool:
    return day >= today if future else day <= today


def _steps(many: int, future: bool) -> Iterator[int]:
    """0, 1, 2 ... into the future, or 0, -1, -2 ... into the past."""
    return (step if future else -step for step in range(many))


_LAST = ("last", "previous", "past", "this past")
_STEP = dict.fromkeys(_LAST, -1) | {"this": 0} | dict.fromkeys(("next", "following", "coming"), 1)


def weekday(match: re.Match[str], frame: Frame) -> Days | None:
    """ "Monday", "last Monday", "the following Monday"."""
    today, which = frame.today, match["which"]
    if frame.anchor and which in ("following", "previous", "that"):
        today = frame.anchor.last if which == "following" else frame.anchor.first
    elif which == "following" and not frame.future:
        return None
    if today is None:
        return None
    back = (today.weekday() - WEEKDAYS[match["weekday"]]) % 7
    if which in ("next", "following", "coming", "this coming"):
        return one(today + timedelta(days=7 - back))
    if which in _LAST:
        return one(today - timedelta(days=back or 7))
    return one(today + timedelta(days=-back % 7 if frame.future else -back))


@_needs_today
def weekdays(match: re.Match[str], today: date, future: bool) -> Days:
    """Days told one after the other: the first is seen from the last, or the last from the first if they lie ahead."""
    days = [WEEKDAYS[word] for word in match[0].split()]
    length = timedelta(days=sum((after - before) % 7 or 7 for before, after in pairwise(days)))
    if future:
        first = today + timedelta(days=(days[0] - today.weekday()) % 7)
        return Days(first, first + length)
    last = today - timedelta(days=(today.weekday() - days[-1]) % 7)
    return Days(last - length, last)


@_needs_today
def weekday_of_week(match: re.Match[str], today: date, future: bool) -> Days:
    """ "Monday last week"."""
    monday = unit_of(today, "week", _STEP[match["which"]]).first
    return one(monday + timedelta(days=WEEKDAYS[match["weekday"]]))


@_needs_today
def weekdays_ago(match: re.Match[str], today: date, future: bool) -> Days:
    """ "Two Sundays ago"."""
    back = (today.weekday() - WEEKDAYS[match["weekday"]]) % 7
    return one(today - timedelta(days=back + 7 * (count_of(match["count"]) - 1)))


@_needs_today
def weeks_from_weekday(match: re.Match[str], today: date, future: bool) -> Days:
    """ "A week ago on Monday", "two weeks from Friday"."""
    days = 7 * count_of(match["count"])
    back = (today.weekday() - WEEKDAYS[match["weekday"]]) % 7
    return one(today + timedelta(days=days + -back % 7 if match["way"] == "from" else -days - back))


def weekday_of_month(match: re.Match[str], frame: Frame) -> Days | None:
    """ "The second Sunday in October", "the last Friday of the month"."""
    today, year = frame.today, _year_written(match["year"], frame)
    if match["month"] and year is not None:
        months = [(year, MONTHS[match["month"]])]
    elif today is None:
        return None
    elif match["month"]:
        months = [(today.year + step, MONTHS[match["month"]]) for step in _steps(2, frame.future)]
    else:
        months = [(today.year, today.month)]
    for of_year, month in months:
        found = nth_weekday(of_year, month, WEEKDAYS[match["weekday"]], ORDINALS.get(match["nth"]))
        if found is None:
            return None
        if len(months) == 1 or today is None or _fits(found, today, frame.future):
            return one(found)
    return None


def day_and_month(match: re.Match[str], frame: Frame) -> Days | None:
    """A day of a month, or the first and the last of several."""
    month, day, today = MONTHS[match["month"]], day_of(match["day"]), frame.today
    if match["year"]:
        found: date | None = date(int(match["year"]), month, day)
    elif today is None:
        return None
    else:  # the 29th of February may be eight years away
        firsts = (date(today.year + step, month, 1) for step in _steps(9, frame.future))
        found = _nearest(day, firsts, today, frame.future)
    if found is None:
        return None
    first = match.groupdict().get("first")
    return Days(found.replace(day=day_of(first)), found) if first else one(found)


@_needs_today
def day_of_month(match: re.Match[str], today: date, future: bool) -> Days | None:
    """ "The 30th", "the fifth of this month"."""
    firsts = (shift_month(today.replace(day=1), step) for step in _steps(3, future))
    found = _nearest(day_of(match["day"]), firsts, today, future)
    return one(found) if found else None


def _nearest(day: int, firsts: Iterator[date], today: date, future: bool) -> date | None:
    """The first such day of these months that has come by today, or that is still to come."""
    for first in firsts:
        if 1 <= day <= whole_month(first.year, first.month).last.day:
            found = first.replace(day=day)
            if _fits(found, today, future):
                return found
    return None


def iso(match: re.Match[str], frame: Frame) -> Days:
    """ "2024-01-07"."""
    return one(date(int(match["year"]), int(match["month"]), int(match["day"])))


def numeric(match: re.Match[str], frame: Frame) -> Days | None:
    """A day in figures. Where both of the first two can be the month, only dots tell: they set the day first."""
    a, b, year = int(match["a"]), int(match["b"]), int(match["year"])
    if match["dot"] == "." or a > 12 or a == b:
        return one(date(year, b, a))
    return one(date(year, a, b)) if b > 12 else None


def september_11(match: re.Match[str], frame: Frame) -> Days:
    """ "9/11"."""
    return one(date(2001, 9, 11))


def _year_written(written: str | None, frame: Frame) -> int | None:
    if written is None or written.isdigit():
        return int(written) if written else None
    return frame.today.year + _STEP[written.split()[0]] if frame.today else None


def month_or_part(match: re.Match[str], frame: Frame) -> Days | None:
    """ "March", "mid-March", "last March", "March of this year"."""
    days = _whole_month(match, frame)
    if days is None:
        return None
    days = part(days, match["part"])
    return days if match["year"] or frame.today is None else not_after(days, frame.today, frame.future)


def _whole_month(match: re.Match[str], frame: Frame) -> Days | None:
    month, year, today = MONTHS[match["month"]], _year_written(match["year"], frame), frame.today
    if year is not None:
        return whole_month(year, month)
    if today is None:
        return None
    which = match.groupdict().get("which")
    if which in _LAST:
        return whole_month(today.year - (month >= today.month), month)
    if which == "next":
        return whole_month(today.year + (month <= today.month), month)
    return whole_month(today.year + (month < today.month if frame.future else -(month > today.month)), month)


def week_of_month(match: re.Match[str], frame: Frame) -> Days | None:
    """Weeks of a month start on its first, its last week ends on its last day."""
    month, nth = _whole_month(match, frame), match["nth"]
    if month is None:
        return None
    if nth in ("last", "final", "closing", "late"):
        return Days(month.last - timedelta(days=6), month.last)
    start = month.first + timedelta(days=7 * (ORDINALS.get(nth, 1) - 1))
    return Days(start, min(start + timedelta(days=6), month.last)) if start <= month.last else None


def season(match: re.Match[str], frame: Frame) -> Days | None:
    """ "Last summer", "early autumn 2023", "winter 2023/24"."""
    month, year = SEASONS[match["season"]], _year_written(match["year"], frame)
    today, which = frame.today, match["which"]
    if year is None:
        if today is None:
            return None
        year, started, over = today.year, today.month >= month, shift_month(date(today.year, month, 1), 3) <= today
        if which in _LAST:
            year -= not over  # the last summer is over: in autumn this year's, before that the one of the year before
        elif which == "next" or frame.future:
            year += started and (which == "next" or over)
        else:
            year -= not started
    days = part(months_from(date(year, month, 1), 3), match["part"])
    return not_after(days, today, frame.future) if today else days


def quarter(match: re.Match[str], frame: Frame) -> Days | None:
    """ "Q2", "the first quarter of last year"."""
    number = int(match["q"]) if match["q"] else ORDINALS.get(match["nth"], 4)
    year, today = _year_written(match["year"], frame), frame.today
    if year is None:
        if today is None or match["nth"] in ("last", "final"):
            return None
        year = today.year + (3 * number < today.month if frame.future else -(3 * number - 2 > today.month))
    return months_from(date(year, 3 * number - 2, 1), 3)


def months_of_year(match: re.Match[str], frame: Frame) -> Days | None:
    """ "The first three months of 2024"."""
    year, months = _year_written(match["year"], frame), count_of(match["count"])
    if year is None or not 1 <= months <= 12:
        return None
    return months_from(date(year, 1 if match["nth"] == "first" else 13 - months, 1), months)


def year_or_part(match: re.Match[str], frame: Frame) -> Days:
    """ "2024", "late 2024"."""
    days = part(whole_years(int(match["year"]), int(match["year"])), match["part"])
    return not_after(days, frame.today, frame.future) if frame.today else days


def years(match: re.Match[str], frame: Frame) -> Days:
    """ "2014-2016", "1992-95"."""
    first, last = match["first"], match["last"]
    return whole_years(int(first), int(first[:2] + last if len(last) == 2 else last))


def decade(match: re.Match[str], frame: Frame) -> Days:
    """ "The 1990s", "the late 80s"."""
    first = int(match["decade"])
    if first < 100:
        first += 1900 if first >= 30 else 2000
    start, end = {"early": (0, 3), "mid": (4, 6), "late": (6, 9)}.get(match["part"], (0, 9))
    return whole_years(first + start, first + end)


def same_day(match: re.Match[str], frame: Frame) -> Days | None:
    """ "That day", "hours later"."""
    return frame.anchor


def day_after(match: re.Match[str], frame: Frame) -> Days | None:
    """ "The next day", "the morning after"."""
    return at_distance(frame.anchor, 1, "day") if frame.anchor else None


def day_before(match: re.Match[str], frame: Frame) -> Days | None:
    """ "The previous evening", "the day before"."""
    start = frame.anchor or (frame.today and one(frame.today))
    return at_distance(start, -1, "day") if start else None


# Days from the day of publication, first and last.
DAY_WORDS = {
    "today": (0, 0), "tonight": (0, 0), "this morning": (0, 0), "this afternoon": (0, 0), "this evening": (0, 0),
    "now": (0, 0), "in the day": (0, 0), "all day": (0, 0), "hours ago": (0, 0), "minutes ago": (0, 0), "moments ago": (0, 0),
    "minutes earlier": (0, 0), "hours earlier": (0, 0), "moments earlier": (0, 0), "past hour": (0, 0), "last hour": (0, 0),
    "yesterday": (-1, -1), "tomorrow": (1, 1), "day before yesterday": (-2, -2), "night before last": (-2, -2),
    "day after tomorrow": (2, 2),
    "last night": (-1, -1), "last evening": (-1, -1), "yesterday evening": (-1, -1), "yesterday morning": (-1, -1),
    "yesterday afternoon": (-1, -1), "yesterday night": (-1, -1),
    "overnight": (-1, 0), "night": (-1, 0), "evening": (-1, 0), "during the night": (-1, 0), "through the night": (-1, 0),
    "middle of the night": (-1, 0), "dead of night": (-1, 0), "course of the night": (-1, 0),
    "at night": (-1, 0), "morning": (0, 0), "afternoon": (0, 0), "lunchtime": (0, 0), "tomorrow morning": (1, 1),
    "tomorrow night": (1, 1), "tomorrow evening": (1, 1), "past day": (-1, 0), "early hours": (0, 0), "small hours": (0, 0),
}  # fmt: skip


@_needs_today
def word(match: re.Match[str], today: date, future: bool) -> Days:
    """ "Yesterday", "overnight"."""
    first, last = DAY_WORDS[match["word"]]
    return Days(today + timedelta(days=first), today + timedelta(days=last))


def about(ahead: bool) -> Rule:
    """ "Recent days" and "coming days" are a week, weeks four of them, months three."""

    @_needs_today
    def rule(match: re.Match[str], today: date, future: bool) -> Days:
        days = timedelta(days={"days": 7, "weeks": 28, "months": 92}.get(match["unit"], int(ahead)))
        return Days(today, today + days) if ahead else Days(today - days, today)

    return rule


def lasting(ahead: bool | None = None) -> Rule:
    """A length of time up to today, or from today on; without `ahead`, as the phrase itself is seen."""

    @_needs_today
    def rule(match: re.Match[str], today: date, future: bool) -> Days:
        start = before(today, count_of(match.groupdict().get("count") or "a"), match["unit"].removesuffix("s"))
        return Days(today, today + (today - start)) if (future if ahead is None else ahead) else Days(start, today)

    return rule


@_needs_today
def still(match: re.Match[str], today: date, future: bool) -> Days:
    """ "For a third day"."""
    return one(today)


@_needs_today
def ago_today(match: re.Match[str], today: date, future: bool) -> Days:
    """ "A year ago today", "a year ago this month"."""
    start = before(today, count_of(match["count"]), match["unit"])
    return one(start) if match["rest"] == "today" else unit_of(start, match["rest"].removeprefix("this "), 0)


def counted(match: re.Match[str], frame: Frame) -> Days | None:
    """A count of days, weeks or years back or ahead, from publication or from the event before."""
    unit, way = match["unit"].removesuffix("s"), match["way"]
    if not match["count"] and match["unit"].endswith("s") and unit != "hour":
        return None  # "years ago"
    back = way in ("ago", "earlier", "before", "back", "prior", "previously", "beforehand")
    count = count_of(match["count"] or "a") * (-1 if back else 1)
    if frame.anchor and way not in ("ago", "back", "from now", "hence", ""):
        return at_distance(frame.anchor, count, unit)
    if frame.today is None or not (back or frame.future):
        return None  # "three days later" is counted from another event
    return at_distance(one(frame.today), count, unit)


def period(match: re.Match[str], frame: Frame) -> Days | None:
    """This, last and next week, month, year, quarter and weekend, or their starts and ends."""
    which, unit, edge, today, future = match["which"], match["unit"], match["edge"], frame.today, frame.future
    if frame.anchor and which in ("that", "same", "following", "previous"):
        return _period_of_anchor(frame.anchor, which, unit, edge)
    if today is None or which in ("that", "same"):
        return None
    if which == "following":
        return unit_of(today, unit, 1) if future else None
    step = _STEP.get(which, 0)
    if edge in ("later", "earlier"):
        future, edge = edge == "later", None
    elif unit not in ("weekend", "quarter") and not edge and which in (None, "past"):
        return Days(before(today, 1, unit), today)  # "for a week": the words lose their article
    if unit == "weekend":
        if today.weekday() >= 5:
            return not_after(unit_of(today, unit, step), today, future)
        return not_after(unit_of(today, unit, 0 if step > 0 or future else -1), today, future)
    days = unit_of(today, unit, step)
    if edge == "end" and future:
        return one(days.last)
    if edge == "first" or (edge in ("start", "beginning") and unit == "week"):
        return one(days.first)
    if edge == "first week":
        return Days(days.first, days.first + timedelta(days=6))
    if edge == "last week":
        return Days(days.last - timedelta(days=6), days.last)
    days = part(days, edge)
    return days if step else not_after(days, today, future)


def _period_of_anchor(anchor: Days, which: str, unit: str, edge: str | None) -> Days | None:
    if (anchor.last - anchor.first).days > (366 if unit == "year" else 31):
        return None
    days = unit_of(anchor.first, unit, _STEP.get(which, 0))
    if edge == "later":
        return Days(min(anchor.last, days.last), days.last)
    return Days(days.first, anchor.first) if edge == "earlier" else part(days, edge)


def feast_day(match: re.Match[str], frame: Frame) -> Days | None:
    """ "Easter", "Ramadan 2024"."""
    if match["year"]:
        days = feast(match["feast"], int(match["year"]))
        return Days(*days) if days else None
    if frame.today is None:
        return None
    for step in _steps(3, frame.future):
        days = feast(match["feast"], frame.today.year + step)
        if days and _fits(days[frame.future], frame.today, frame.future):
            return not_after(Days(*days), frame.today, frame.future)
    return None
