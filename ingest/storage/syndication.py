"""What is kept of published articles to find reprints by; `ingest.feeds.syndication` decides, this remembers.

Bounded by age and by number: every write deletes some of what is too old, so that the tables need no other care.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from struct import unpack_from
from typing import Any

import sqlalchemy as sa

from ingest.storage.queries import among, listed
from ingest.storage.tables import Key, UtcTime, metadata

KEPT_FOR = timedelta(days=7)
"""A wire story is reprinted within days."""
KEPT_AT_MOST = 1_000_000
"""Articles, some 1.5 kB each on SQLite (measured by tests.bench.syndication)."""
_EXPIRED_AT_ONCE = 4  # times what is written, so that a backlog shrinks
_ROWS_AT_ONCE = 2_000

# SQLite numbers rows by itself only where the key is an INTEGER.
Row = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# In the order in which they came. `sketch` is what they are compared by, and names the keys that they are found by.
syndicated = sa.Table(
    "syndicated",
    metadata,
    sa.Column("number", Row, primary_key=True, autoincrement=True),
    sa.Column("article_id", Key, nullable=False, unique=True),
    sa.Column("syndication_id", Key, nullable=False),
    sa.Column("origin", sa.Text),
    sa.Column("publisher", sa.Text, nullable=False),
    sa.Column("seen", UtcTime, nullable=False),
    sa.Column("sketch", sa.LargeBinary),
)

# Which of them have a passage in common.
syndication_keys = sa.Table(
    "syndication_keys",
    metadata,
    sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Print:
    """What is kept of an article: its group, who wrote it if that is known, and a sketch of its text.

    `keys` (32 bits each) are those it is found by, `sketch` what it is compared by; both are empty where others of its
    group stand for it. `publisher` is whose feed it came from, `seen` when.
    """

    article_id: str
    syndication_id: str
    origin: str | None
    publisher: str
    seen: datetime
    keys: tuple[int, ...] = ()
    sketch: bytes = b""


def read_syndicated(connection: sa.Connection, article_ids: Iterable[str], keys: Iterable[int]) -> list[Print]:
    """What is kept of the articles, and of all that have one of `keys`, in the order in which they came.

    Of the latter, `keys` are those of the question, not all of the article's.
    """
    dialect = connection.dialect.name
    found: dict[int, list[int]] = {}
    rows = {}
    if wanted := sorted(set(keys)):
        for key, number in connection.execute(_select_keys(dialect), {"listed": wanted}):
            found.setdefault(number, []).append(key)
    for column, values in ((syndicated.c.number, found), (syndicated.c.article_id, set(article_ids))):
        if values:
            for row in connection.execute(_select_syndicated(dialect, column), {"listed": sorted(values)}):
                rows[row.number] = row
    return [
        Print(
            row.article_id,
            row.syndication_id,
            row.origin,
            row.publisher,
            row.seen,
            tuple(found.get(number, ())),
            row.sketch or b"",
        )
        for number, row in sorted(rows.items())
    ]


def write_syndicated(
    connection: sa.Connection,
    made: Sequence[Print],
    now: datetime,
    kept_for: timedelta = KEPT_FOR,
    kept_at_most: int = KEPT_AT_MOST,
) -> None:
    """Remember `made`, and forget some of what is older than `kept_for`, or more than `kept_at_most`.

    An article that is remembered already stays as it is: it may have been published with its group's id.
    """
    numbers = _numbers(connection, made)
    new = {each.article_id: each for each in made if each.article_id not in numbers}
    if not new:
        return
    rows = [
        {
            "article_id": each.article_id,
            "syndication_id": each.syndication_id,
            "origin": each.origin,
            "publisher": each.publisher,
            "seen": each.seen,
            "sketch": each.sketch or None,
        }
        for each in new.values()
    ]
    connection.execute(sa.insert(syndicated), rows)
    numbers = _numbers(connection, new.values())
    postings = [(key, numbers[each.article_id]) for each in new.values() for key in set(each.keys)]
    _for_each(connection, "INSERT INTO syndication_keys (key, number) VALUES (?, ?)", sorted(postings))
    _expire(connection, now - kept_for, max(numbers.values()) - kept_at_most, _EXPIRED_AT_ONCE * len(new))


def _numbers(connection: sa.Connection, made: Iterable[Print]) -> dict[str, int]:
    """The numbers of those that are remembered."""
    names = sorted({each.article_id for each in made})
    if not names:
        return {}
    rows = connection.execute(_select_numbers(connection.dialect.name), {"listed": names})
    return {row.article_id: row.number for row in rows}


def _expire(connection: sa.Connection, before: datetime, up_to: int, at_once: int) -> None:
    limits = {"before": before, "up_to": up_to, "at_once": at_once}
    gone = connection.execute(_select_gone(), limits).all()
    if not gone:
        return
    postings = [(key, row.number) for row in gone for key in keys_of(row.sketch or b"")]
    _for_each(connection, "DELETE FROM syndication_keys WHERE key = ? AND number = ?", postings)
    numbers = [row.number for row in gone]
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        some = numbers[start : start + _ROWS_AT_ONCE]
        connection.execute(sa.delete(syndicated).where(among(connection, syndicated.c.number, some)))


def _for_each(connection: sa.Connection, statement: str, rows: Sequence[tuple[int, int]]) -> None:
    """Execute a statement of the drivers' with each of the rows, of which an article has a few dozen."""
    if rows:
        mark = "%s" if connection.dialect.name == "postgresql" else "?"
        connection.exec_driver_sql(statement.replace("?", mark), list(rows))


# Made anew for each feed, such a statement took a millisecond.
@cache
def _select_keys(dialect: str) -> sa.Select[tuple[int, int]]:
    key = syndication_keys.c.key
    return sa.select(key, syndication_keys.c.number).where(listed(dialect, key))


@cache
def _select_syndicated(dialect: str, column: sa.Column[Any]) -> sa.Select[Any]:
    return sa.select(syndicated).where(listed(dialect, column))


@cache
def _select_numbers(dialect: str) -> sa.Select[tuple[str, int]]:
    name = syndicated.c.article_id
    return sa.select(name, syndicated.c.number).where(listed(dialect, name))


@cache
def _select_gone() -> sa.Select[Any]:
    # Numbers rise with time, so that only the oldest are looked at.
    columns = (syndicated.c.number, syndicated.c.seen, syndicated.c.sketch)
    oldest = sa.select(*columns).order_by(syndicated.c.number).limit(sa.bindparam("at_once")).subquery().c
    too_many = oldest.number <= sa.bindparam("up_to")
    too_old = oldest.seen < sa.bindparam("before", type_=UtcTime)
    return sa.select(oldest.number, oldest.sketch).where(sa.or_(too_many, too_old)).order_by(oldest.number)


def keys_of(sketch: bytes) -> list[int]:
    """The keys that an article with this sketch is found by: their number is its first byte, they stand from the fourth."""
    return list(unpack_from(f"<{sketch[0]}I", sketch, 3)) if sketch else []
