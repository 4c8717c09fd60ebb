"""Connections to either database, their transactions, and what their errors mean to the pipeline."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from ingest.errors import SettingsError, StoreRejected, StoreUnavailable
from ingest.settings import describe_url

_BUSY_TIMEOUT = 30.0  # seconds to wait for SQLite's one writer, and for a lock of PostgreSQL
# A worker that stands still in mid transaction (stopped, or cut off) holds its locks no longer than this; it is
# shorter than the time that others wait for them.
_IDLE_TIMEOUT = 15.0
_MESSAGE_LENGTH = 300

_POSTGRES_DEFAULTS = {
    "application_name": "conflictwire",
    "connect_timeout": "10",
    # A server that vanished without a word is noticed within half a minute.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
# https://www.postgresql.org/docs/15/errcodes-appendix.html
_CONFLICT_STATES = {"23505", "40001", "40P01"}  # unique violation, serialization failure, deadlock
_LOST_TABLES_STATES = {"42501", "42P01", "3F000"}  # insufficient privilege, undefined table, invalid schema name
_LIMIT_EXCEEDED_CLASS = "54"
_REJECTIONS = (sqlite3.DataError, sqlite3.IntegrityError, psycopg.DataError, psycopg.IntegrityError)
_BUGS = (sqlite3.ProgrammingError, psycopg.ProgrammingError)


class Conflict(StoreUnavailable):
    """Another transaction changed the same rows at the same time; this one did nothing and can be run again."""


def open_engine(url: str, read_only: bool = False) -> sa.Engine:
    """An engine for `url`, connected for a trial; with `read_only` the database itself refuses to write.

    Raises SettingsError where it is no URL of a database that the store can use, StoreUnavailable.
    """
    shown = describe_url(url)
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # The URL is not shown, nor the cause that quotes it: where no parser can tell, any part may be the password.
        message = "setting store: not a database URL: write sqlite:///FILE or postgresql://USER@HOST/DATABASE"
        raise SettingsError(message) from None
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            engine = _open_sqlite(parsed, shown, read_only)
        case "postgresql" | "postgres" | "postgresql+psycopg":
            engine = _open_postgres(parsed, read_only)
        case other:
            raise SettingsError(f"setting store: {shown}: {other} is not supported: use sqlite:// or postgresql://")
    with _translated(shown), engine.connect():
        return engine


@contextmanager
def transaction(engine: sa.Engine, shown: str, write: bool = False) -> Iterator[sa.Connection]:
    """A transaction, committed at the end of the block. `shown` names the database in messages.

    Raises StoreUnavailable, StoreRejected and Conflict in place of the drivers' errors.
    """
    with _translated(shown), engine.connect().execution_options(write=write) as connection, connection.begin():
        if write and engine.dialect.name == "postgresql":
            connection.exec_driver_sql(
                f"SET LOCAL lock_timeout = '{_BUSY_TIMEOUT}s'; "
                f"SET LOCAL idle_in_transaction_session_timeout = '{_IDLE_TIMEOUT}s'"
            )
        yield connection


def _open_sqlite(url: sa.URL, shown: str, read_only: bool) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise SettingsError(f"setting store: {shown}: must name a file, since several processes share the store")
    try:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"store {shown}: {error}") from error
    engine = sa.create_engine(url, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        # Transactions begin where this module begins them, not where the driver guesses.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1000:.0f}")
        connection.execute("PRAGMA foreign_keys = ON")
        # Of a new file. An event takes some 2 kB, of which 4096 hold one: that wasted three tenths of the file.
        connection.execute("PRAGMA page_size = 8192")
        # NORMAL may lose the last transactions in a power cut, and the broker would have events that the store lacks.
        connection.execute("PRAGMA synchronous = FULL")
        _use_wal(connection)
        if read_only:
            connection.execute("PRAGMA query_only = ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A deferred transaction that turns to writing fails at once when another has written since: take the lock first.
        write = connection.get_execution_options().get("write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _use_wal(connection: Any) -> None:
    # SQLite does not wait for its busy timeout here. The mode stays with the file, so this happens once in its life.
    deadline = time.monotonic() + _BUSY_TIMEOUT
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except connection.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _open_postgres(url: sa.URL, read_only: bool) -> sa.Engine:
    defaults = {name: value for name, value in _POSTGRES_DEFAULTS.items() if name not in url.query}
    url = url.set(drivername="postgresql+psycopg")
    engine = sa.create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=defaults)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: psycopg.Connection[Any], _: object) -> None:
        # In another zone the last hours of the year 9999 are more than a datetime can hold.
        connection.execute("SET TIME ZONE 'UTC'")
        if read_only:
            connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
        connection.commit()

    return engine


@contextmanager
def _translated(shown: str) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _meaning(error, error.orig or error, shown) from error
    except psycopg.Error as error:
        raise _meaning(error, error, shown) from error
    except sa.exc.TimeoutError as error:
        raise StoreUnavailable(f"store {shown}: no connection is free") from error
    except (OverflowError, UnicodeEncodeError) as error:
        raise StoreRejected(f"store {shown}: {_short(error)}") from error


def _meaning(error: Exception, driver_error: BaseException, shown: str) -> Exception:
    """The error of ours that says what the driver's error says; `error` itself where it can only be a bug of ours."""
    sqlstate = getattr(driver_error, "sqlstate", None) or ""
    message = f"store {shown}: {_short(driver_error)}"
    if sqlstate in _CONFLICT_STATES:
        return Conflict(message)
    if sqlstate in _LOST_TABLES_STATES:
        return StoreUnavailable(f"{message}: may this role use the tables of Conflictwire?")
    if sqlstate.startswith(_LIMIT_EXCEEDED_CLASS) or isinstance(driver_error, _REJECTIONS):
        return StoreRejected(message)
    if isinstance(driver_error, _BUGS) or getattr(driver_error, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return error
    return StoreUnavailable(message)


def _short(error: BaseException) -> str:
    # The first line only: what follows quotes the record, which may be long and hostile.
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0][:_MESSAGE_LENGTH]
