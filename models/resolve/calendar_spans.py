"""Arithmetic of days: weeks, months and years, their parts, and what lies some of them away. No words, no clock."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import NamedTuple


class Days(NamedTuple):
    """From the first day to the last, both included."""

    first: date
    last: date


def one(day: date) -> Days:
    """A single day."""
    return Days(day, day)


def week(day: date) -> Days:
    """The week, Monday to Sunday, that the day is in."""
    monday = day - timedelta(days=day.weekday())
    return Days(monday, monday + timedelta(days=6))


def weekend(day: date) -> Days:
    """Saturday and Sunday of the day's week."""
    sunday = week(day).last
    return Days(sunday - timedelta(days=1), sunday)


def whole_month(year: int, month: int) -> Days:
    """All days of a month."""
    return Days(date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1]))


def months_from(start: date, months: int) -> Days:
    """So many months from the first of a month on."""
    return Days(start, shift_month(start, months) - timedelta(days=1))


def whole_years(first: int, last: int) -> Days:
    """All days of the first year to the last."""
    return Days(date(first, 1, 1), date(last, 12, 31))


def shift_month(day: date, months: int) -> date:
    """The same day some months on, or the last one of a month that is too short for it."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def nth_weekday(year: int, month: int, weekday: int, nth: int | None) -> date | None:
    """The nth such weekday (Monday is 0) of a month, the last one for None; None if the month has fewer."""
    first, days = calendar.monthrange(year, month)
    day = (weekday - first) % 7 + 1
    day += 7 * ((days - day) // 7 if nth is None else nth - 1)
    return date(year, month, day) if day <= days else None


def unit_of(day: date, unit: str, step: int) -> Days:
    """The week, weekend, month, quarter or year of a day, or the one `step` of them away."""
    if unit == "week":
        return week(day + timedelta(days=7 * step))
    if unit == "weekend":
        return weekend(day + timedelta(days=7 * step))
    if unit == "month":
        there = shift_month(day, step)
        return whole_month(there.year, there.month)
    if unit == "quarter":
        return months_from(shift_month(date(day.year, 3 * ((day.month - 1) // 3) + 1, 1), 3 * step), 3)
    return whole_years(day.year + step, day.year + step)


def not_after(days: Days, today: date, future: bool) -> Days:
    """What has happened has not happened after today, what is to come not before."""
    if future:
        return Days(max(days.first, today), days.last) if days.last >= today else days
    return Days(days.first, min(days.last, today)) if days.first <= today else days


_PARTS = {"early": 0, "beginning": 0, "start": 0, "first": 0, "mid": 1, "middle": 1, "second": 1}


def part(days: Days, name: str | None) -> Days:
    """The early, middle or late third of a week, month, season or year (by months, if it has several); half is half."""
    if name is None:
        return days
    number, parts = _PARTS.get(name.split()[0], 2), 2 if "half" in name else 3
    first, last = days
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    if months > 2:
        start = shift_month(first, number * months // parts)
        return Days(start, shift_month(first, (number + 1) * months // parts) - timedelta(days=1))
    length = ((last - first).days + 1) // parts
    start = first + timedelta(days=number * length)
    return Days(start, last if number == parts - 1 else start + timedelta(days=length - 1))


_IN_DAYS = {"hour": 1 / 24, "day": 1, "night": 1, "evening": 1, "morning": 1, "weekend": 7, "week": 7, "fortnight": 14}
_IN_MONTHS = {"month": 1, "year": 12, "decade": 120}
# The longest event, in days, from which a unit can be counted: "a week later" than a year says nothing.
_WIDEST = {"month": 31, "year": 366, "decade": 366}


def before(day: date, count: int, unit: str) -> date:
    """The day that lies so many units back."""
    if unit in _IN_DAYS:
        return day - timedelta(days=round(_IN_DAYS[unit] * count))
    return shift_month(day, -_IN_MONTHS[unit] * count)


def at_distance(start: Days, count: int, unit: str) -> Days | None:
    """What lies so many units after `start`: a day for days and weeks, else the whole month or year. None if too vague."""
    first, last = start
    if unit == "weekend" or (last - first).days > _WIDEST.get(unit, 7):
        return None
    if unit == "hour":
        there = timedelta(days=round(count / 24))
        return Days(min(first, first + there), max(last, last + there)) if first == last else start
    if unit in _IN_DAYS:
        step = timedelta(days=_IN_DAYS[unit] * count)
        return Days(first + step, last + step)
    if unit == "month":
        return Days(unit_of(first, unit, count).first, unit_of(last, unit, count).last)
    years = count * _IN_MONTHS[unit] // 12
    return whole_years(first.year + years, last.year + years)
