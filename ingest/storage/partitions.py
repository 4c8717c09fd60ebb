"""The months of events that PostgreSQL keeps as tables of their own; SQLite keeps all in one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime

import sqlalchemy as sa

AHEAD = 3
"""Months that `Store.tend` makes before they come; `Store.apply` makes what is missing."""


def month_of(time: datetime) -> date:
    """The first day of the month that `time` lies in, in UTC."""
    return time.astimezone(UTC).date().replace(day=1)


def months_from(first: date, number: int) -> list[date]:
    """`number` months, `first` included."""
    return [
        date(first.year + (first.month - 1 + plus) // 12, (first.month - 1 + plus) % 12 + 1, 1)
        for plus in range(number)
    ]


def make_partitions(connection: sa.Connection, months: Iterable[date]) -> int:
    """Make the partitions of these months that are missing; how many months that were.

    Readers and writers go on meanwhile. Two who make the same month wait for each other, so this comes before any lock
    of rows.
    """
    if connection.dialect.name == "sqlite":
        return 0
    make = sa.text("SELECT conflictwire_make_partition(:month)")
    return sum(bool(connection.scalar(make, {"month": month})) for month in sorted(months))
