"""What is kept of published articles to find reprints by; `ingest.feeds.syndication` decides, this remembers.

Bounded by age and by number: every write deletes some of what is too old, so that the tables need no other care.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from struct import unpack_from

import sqlalchemy as sa

from ingest.storage.queries import among, chunks
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
class Kept:
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


def read_syndicated(connection: sa.Connection, article_ids: Iterable[str], keys: Iterable[int]) -> list[Kept]:
    """What is kept of the articles, and of all that have one of `keys`, in the order in which they came.

    Of the latter, `keys` are those of the question, not all of the article's.
    """
    found: dict[int, list[int]] = {}
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _ROWS_AT_ONCE):
        some = wanted[start : start + _ROWS_AT_ONCE]
        statement = sa.select(syndication_keys.c.key, syndication_keys.c.number)
        for key, number in connection.execute(statement.where(among(connection, syndication_keys.c.key, some))):
            found.setdefault(number, []).append(key)
    rows = {}
    numbers = sorted(found)
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        some = numbers[start : start + _ROWS_AT_ONCE]
        for row in connection.execute(sa.select(syndicated).where(among(connection, syndicated.c.number, some))):
            rows[row.number] = row
    for names in chunks(article_ids):
        for row in connection.execute(sa.select(syndicated).where(among(connection, syndicated.c.article_id, names))):
            rows[row.number] = row
    return [
        Kept(
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
    made: Sequence[Kept],
    now: datetime,
    kept_for: timedelta = KEPT_FOR,
    kept_at_most: int = KEPT_AT_MOST,
) -> None:
    """Remember `made`, and forget some of what is older than `kept_for`, or more than `kept_at_most`.

    An article that is remembered already stays as it is: it may have been published with its group's id.
    """
    known: set[str] = set()
    for names in chunks(each.article_id for each in made):
        statement = sa.select(syndicated.c.article_id)
        known.update(connection.scalars(statement.where(among(connection, syndicated.c.article_id, names))))
    new = {each.article_id: each for each in made if each.article_id not in known}
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
    statement = sa.select(syndicated.c.article_id, syndicated.c.number)
    numbers = {
        row.article_id: row.number
        for names in chunks(new)
        for row in connection.execute(statement.where(among(connection, syndicated.c.article_id, names)))
    }
    postings = [{"key": key, "number": numbers[each.article_id]} for each in new.values() for key in set(each.keys)]
    if postings:
        connection.execute(sa.insert(syndication_keys), sorted(postings, key=lambda row: (row["key"], row["number"])))
    _expire(connection, now - kept_for, max(numbers.values()) - kept_at_most, _EXPIRED_AT_ONCE * len(new))


def _expire(connection: sa.Connection, before: datetime, up_to: int, at_once: int) -> None:
    # Numbers rise with time: the oldest are looked at, and the first that is to stay ends the search.
    statement = sa.select(syndicated.c.number, syndicated.c.seen, syndicated.c.sketch)
    oldest = connection.execute(statement.order_by(syndicated.c.number).limit(at_once)).all()
    gone = [row for row in oldest if row.number <= up_to or row.seen < before]
    if not gone:
        return
    postings = [{"k": key, "n": row.number} for row in gone for key in keys_of(row.sketch or b"")]
    if postings:
        pair = sa.and_(
            syndication_keys.c.key == sa.bindparam("k", type_=sa.BigInteger),
            syndication_keys.c.number == sa.bindparam("n", type_=sa.BigInteger),
        )
        connection.execute(sa.delete(syndication_keys).where(pair), postings)
    numbers = [row.number for row in gone]
    for start in range(0, len(numbers), _ROWS_AT_ONCE):
        some = numbers[start : start + _ROWS_AT_ONCE]
        connection.execute(sa.delete(syndicated).where(among(connection, syndicated.c.number, some)))


def keys_of(sketch: bytes) -> list[int]:
    """The keys that an article with this sketch is found by: their number is its first byte, they stand from the fourth."""
    return list(unpack_from(f"<{sketch[0]}I", sketch, 3)) if sketch else []
