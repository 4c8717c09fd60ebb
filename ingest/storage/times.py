"""The known time: when the store learned of something, in an order that a later look back can trust.

Every transaction of `Store.apply` gets one `stored` time for all it writes, by the database's clock, later than any that
was committed before, whatever that clock does. On PostgreSQL several such transactions are under way at once and may
end in another order than their times: each holds, until it has ended, a shared advisory lock whose key is the second of
its time or one before, and a time is settled when no lock of that second or earlier is held. The lock keeps nobody
waiting. SQLite has one writer at a time.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from ingest.storage.tables import UtcTime, storings

LOCK = 0x73746F72  # the first of the two keys of the advisory locks; the second is the second of the time, since:
EPOCH = 1_577_836_800  # 2020-01-01, so that it fits 32 bits until 2088
_MICROSECOND = timedelta(microseconds=1)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # of a store that holds nothing, since its first writer may be at work

# In one statement, so with one snapshot: it is taken first, and then the locks are looked at. A writer that locks later
# sees that `last` and gets a later time.
_SETTLED = sa.text(
    f"""
    SELECT (SELECT max(stored) FROM storings) AS last,
           (SELECT to_timestamp(min(objid::bigint) + {EPOCH}) FROM pg_locks
            WHERE locktype = 'advisory' AND classid = {LOCK} AND objsubid = 2
              AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS under_way,
           pg_is_in_recovery() AS standby
    """  # noqa: S608 - numbers of our own
).columns(last=UtcTime, under_way=UtcTime, standby=sa.Boolean)


def stamp(connection: sa.Connection) -> datetime:
    """The `stored` time of this transaction; to be asked for once, before anything is read."""
    if connection.dialect.name == "postgresql":
        return connection.scalars(sa.select(sa.func.conflictwire_stamp(type_=UtcTime))).one()
    last = connection.scalar(sa.select(sa.func.max(storings.c.stored)))
    now = datetime.now(UTC)
    given = now if last is None else max(now, last + _MICROSECOND)
    connection.execute(storings.delete())
    connection.execute(storings.insert().values(stored=given))
    return given


def settled(connection: sa.Connection, time: datetime) -> datetime | None:
    """The latest moment up to `time` of which nothing more can become known; None on a PostgreSQL standby.

    There the transactions under way on the primary cannot be seen.
    """
    if connection.dialect.name == "sqlite":
        last = connection.scalar(sa.select(sa.func.max(storings.c.stored)))
        return min(time, last or _NEVER)
    last, under_way, standby = connection.execute(_SETTLED).one()
    if standby:
        return None
    bounds: list[datetime] = [time, last or _NEVER]
    if under_way is not None:
        bounds.append(under_way - _MICROSECOND)
    return min(bounds)


def forget(connection: sa.Connection) -> None:
    """Delete all but the last of the times given out, and the hour before it."""
    last = connection.scalar(sa.select(sa.func.max(storings.c.stored)))
    if last is not None:
        connection.execute(storings.delete().where(storings.c.stored < last - timedelta(hours=1)))
