"""The days that a report is about, the weeks before them, and what was asked. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from models.errors import ConflictwireError

WEEK = timedelta(days=7)
MOST_DAYS = 366
MOST_WEEKS = 52


@dataclass(frozen=True, slots=True)
class Window:
    """From the beginning of `first` to that of `until` (UTC), which is not included."""

    first: date
    until: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.until - self.first).days

    @property
    def start(self) -> datetime:
        """Its first moment."""
        return datetime.combine(self.first, time(), UTC)

    @property
    def end(self) -> datetime:
        """The first moment after it."""
        return datetime.combine(self.until, time(), UTC)

    @property
    def last(self) -> date:
        """Its last day."""
        return self.until - timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is asked for. `made` is when, None where the report is to be the same whenever it is made."""

    period: Window
    weeks: int
    as_of: datetime
    countries: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    made: datetime | None = None

    def before(self) -> list[Window]:
        """The weeks before the period, the first first."""
        first = self.period.first
        return [Window(first - WEEK * back, first - WEEK * (back - 1)) for back in range(self.weeks, 0, -1)]

    def within(self) -> list[Window]:
        """The weeks of the period from its first day on; the last may be shorter."""
        return list(_cut(self.period))

    @property
    def start(self) -> datetime:
        """The first moment of the first week."""
        return Window(self.period.first - WEEK * self.weeks, self.period.first).start


def _cut(period: Window) -> Iterator[Window]:
    first = period.first
    while first < period.until:
        yield Window(first, min(first + WEEK, period.until))
        first += WEEK


def period_of(first: date | None, until: date | None, today: date) -> Window:
    """The days from `first` to before `until`; without one seven days, without either the last seven whole days.

    Raises ConflictwireError where that is no period.
    """
    try:
        if until is None:
            until = today if first is None or first < today else first + WEEK
        first = until - WEEK if first is None else first
        earliest = first - WEEK * MOST_WEEKS
    except OverflowError:
        raise ConflictwireError("--from or --to lies at the end of time") from None
    if first >= until or earliest.year < 1900:
        raise ConflictwireError(f"--from {first} must lie before --to {until}, which is not included, and after 1900")
    if (until - first).days > MOST_DAYS:
        raise ConflictwireError(f"from {first} to {until} is more than {MOST_DAYS} days: ask for less")
    return Window(first, until)
