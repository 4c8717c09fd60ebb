"""The embedded broker: a durable log in one SQLite file, for any number of processes on one machine.

Records lie in one table, clustered by partition and offset; a commit of outputs and offsets is one SQLite transaction, and
what other processes see is what has been committed. The file is in WAL mode with `synchronous=FULL`: after kill -9 and after
a loss of power everything that was acknowledged is there (docs/decisions/0004-embedded-broker.md has what that costs). It
must lie on a local file system, as SQLite's WAL needs shared memory.

Groups work without a coordinator. Each member has a lease, which a thread of its own renews; each holds its partitions under
an epoch. Members give up what is above their fair share, and take what nobody owns, when they poll (`rebalance`). A commit
checks the epochs in its own transaction, so that a member which lost a partition, be it for a moment, is fenced.
"""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import sqlite3
import struct
import threading
import time
import zlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from ingest.broker import Headers, Outgoing, PartitionLag, Record
from ingest.errors import BrokerRejected, BrokerUnavailable, Fenced, RecordTooLarge, TopicMissing

_LOG = logging.getLogger(__name__)

SCHEMA = 1
APPLICATION_ID = 0x43464C57  # "CFLW" in the header of the file, by which it is known

# A record's row id is its partition's number, shifted, plus its offset: one table, clustered, without a second index.
OFFSET_BITS = 44
MAX_PARTITIONS = 1 << (63 - OFFSET_BITS)
# As on Kafka (see kafka.py), so that a record that passes here passes there.
MAX_RECORD_BYTES = 16 * 1024 * 1024
# What one transaction of a producer writes, and one poll reads.
CHUNK_BYTES = 8 * 1024 * 1024
CHUNK_RECORDS = 2_000
POLL_BYTES = 32 * 1024 * 1024
PRUNE_RECORDS = 2_000

BUSY_SECONDS = 10.0
LEASE_SECONDS = 10.0
MAX_POLL_SECONDS = 300.0
# How often an idle reader looks at the file's counter of changes.
TICK_SECONDS = 0.02

_TABLES = """
CREATE TABLE partitions (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    partition INTEGER NOT NULL,
    first INTEGER NOT NULL DEFAULT 0,           -- offset of the oldest record kept
    next INTEGER NOT NULL DEFAULT 0,            -- offset that the next record gets
    latest INTEGER NOT NULL DEFAULT 0,          -- timestamp of the newest record
    UNIQUE (topic, partition)
);
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    timestamp INTEGER NOT NULL,
    key BLOB,
    value BLOB NOT NULL,
    headers BLOB
);
CREATE TABLE offsets (
    "group" TEXT NOT NULL,
    partition INTEGER NOT NULL REFERENCES partitions,
    committed INTEGER NOT NULL,
    PRIMARY KEY ("group", partition)
) WITHOUT ROWID;
CREATE TABLE members (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    "group" TEXT NOT NULL,
    topics TEXT NOT NULL,                       -- a JSON array of names
    process TEXT NOT NULL,
    expires REAL NOT NULL                       -- on the monotonic clock, which all processes since boot share
);
CREATE TABLE owners (
    "group" TEXT NOT NULL,
    partition INTEGER NOT NULL REFERENCES partitions,
    member INTEGER REFERENCES members,
    epoch INTEGER NOT NULL,                     -- one more at each change of the owner
    PRIMARY KEY ("group", partition)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class _Partition:
    id: int
    topic: str
    number: int
    first: int
    next: int

    @property
    def base(self) -> int:
        return self.id << OFFSET_BITS


@dataclass(frozen=True, slots=True)
class Moves:
    """What a member does at a rebalance: partitions it gives up, and partitions it takes."""

    release: frozenset[int]
    take: frozenset[int]


def rebalance(partitions: Sequence[int], members: Sequence[int], owners: Mapping[int, int], me: int) -> Moves:
    """The moves of `me` towards a fair share of one topic's `partitions` among the living `members` subscribed to it.

    `owners` has the owner of each partition that a living member owns. The first members, by their ids, get one partition
    more where the shares are not even. When all members have made their moves, in any order and as often as it takes for
    none to have any, each partition has one owner, and no partition was moved without need.
    """
    ranked = sorted(members)
    share, rest = divmod(len(partitions), len(ranked))
    quota = share + (ranked.index(me) < rest)
    mine = sorted(number for number in partitions if owners.get(number) == me)
    free = sorted(number for number in partitions if number not in owners)
    return Moves(frozenset(mine[quota:]), frozenset(free[: max(quota - len(mine), 0)]))


def pack_headers(headers: Headers) -> bytes | None:
    """Headers as one blob: for each the lengths of name and value (four bytes each, big endian), then both. None for none."""
    packed = bytearray()
    for name, value in headers:
        encoded = name.encode()
        packed += struct.pack(">II", len(encoded), len(value)) + encoded + value
    return bytes(packed) or None


def unpack_headers(packed: bytes | None) -> Headers:
    """The inverse of `pack_headers`."""
    headers = []
    at = 0
    while packed is not None and at < len(packed):
        name_length, value_length = struct.unpack_from(">II", packed, at)
        name_end = at + 8 + name_length
        headers.append((packed[at + 8 : name_end].decode(), packed[name_end : name_end + value_length]))
        at = name_end + value_length
    return tuple(headers)


def _process_mark(pid: int | None = None) -> str:
    """What tells this process, or that of `pid`, from all others, past ones too; empty where the system does not say.

    Linux: the namespace of process ids, the id, and the time of start in ticks since boot.
    """
    try:
        stat = Path(f"/proc/{pid or 'self'}/stat").read_text().rpartition(")")[2].split()
        namespace = Path("/proc/self/ns/pid").readlink()
    except OSError:
        return ""
    # Fields 3 (state) and 22 (start time) of proc(5); a zombie does nothing any more.
    return "" if stat[0] in "ZX" else f"{namespace} {pid or os.getpid()} {stat[19]}"


def _is_gone(mark: str) -> bool:
    """Whether the process of `mark` has certainly ended; false where this cannot be known."""
    mine = _process_mark()
    if not mark or not mine or mark.split()[0] != mine.split()[0]:
        return False
    return _process_mark(int(mark.split()[1])) != mark


def _is_alive(process: str, expires: float, lease: float) -> bool:
    # An end further off than a lease is from before a reboot, which sets the monotonic clock back.
    return 0 < expires - time.monotonic() <= lease and not _is_gone(process)


def partition_of(key: bytes | None, partitions: int) -> int:
    """The partition of a key: the same in each process and release, by chance for None."""
    return random.randrange(partitions) if key is None else zlib.crc32(key) % partitions  # noqa: S311


class _File:
    """A connection to the file. Its methods raise BrokerUnavailable where SQLite cannot read or write, and roll back."""

    def __init__(self, path: Path, busy: float, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> None:
        self.path = path
        self._topics: dict[str, tuple[int, ...]] = {}
        with self._translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=busy, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(busy)
                self._connection.execute(f"PRAGMA synchronous = {synchronous}")
                self._connection.execute("PRAGMA foreign_keys = ON")
                self._connection.execute("PRAGMA journal_size_limit = 67108864")
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self, busy: float) -> None:
        # In one read transaction, or another that makes the file meanwhile would be seen half done.
        self._connection.execute("BEGIN")
        try:
            ours = self._is_ours()
        finally:
            self._connection.execute("ROLLBACK")
        if not ours:
            self._enter_wal(time.monotonic() + busy)
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                if not self._is_ours():
                    for statement in _TABLES.split(";\n"):
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    self._connection.execute(f"PRAGMA user_version = {SCHEMA}")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _is_ours(self) -> bool:
        """Whether the file has this schema; false for a new one. Raises BrokerRejected for all others."""
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if (application, version, tables) == (0, 0, 0):
            return False
        if application != APPLICATION_ID:
            raise BrokerRejected(
                f"{self.path}: is another program's database: set broker to embedded: and another path"
            )
        if version > SCHEMA:
            raise BrokerRejected(
                f"{self.path}: written by a newer Conflictwire (schema {version}, this one knows {SCHEMA}):"
                " upgrade, or set broker to embedded: and another path"
            )
        return True

    def _enter_wal(self, deadline: float) -> None:
        # SQLite does not wait for a lock here, and several processes may open a new file at once.
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(TICK_SECONDS)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise BrokerUnavailable(f"{self.path}: {error}{self._disk()}") from error
        except OSError as error:
            raise BrokerUnavailable(f"{self.path}: {error.strerror}") from error
        except sqlite3.DatabaseError as error:
            raise BrokerRejected(f"{self.path}: {error}: set broker to embedded: and another path") from error

    def _disk(self) -> str:
        try:
            free = shutil.disk_usage(self.path.parent).free
        except OSError:
            return ""
        return f" ({free / 1e6:,.0f} MB free there)"

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the one lock for writing; committed at the end, rolled back on any error."""
        with self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite has rolled back by itself after some errors, such as a full disk.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A transaction in which all reads see the same state."""
        with self._translated():
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._connection.execute("ROLLBACK")

    def version(self) -> int:
        """A number that changes with each commit of another connection; cheap."""
        with self._translated():
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def wait(self, seen: int, deadline: float) -> int:
        """The version, as soon as it is another than `seen`, at `deadline` (monotonic) at the latest."""
        while (version := self.version()) == seen and (remaining := deadline - time.monotonic()) > 0:
            time.sleep(min(TICK_SECONDS, remaining))
        return version

    def topic(self, name: str) -> tuple[int, ...]:
        """The ids of a topic's partitions, in order. Raises BrokerRejected where there is no such topic."""
        if name not in self._topics:
            with self._translated():
                found = self._connection.execute(
                    "SELECT id FROM partitions WHERE topic = ? ORDER BY partition", (name,)
                )
                self._topics[name] = tuple(row[0] for row in found)
        if not self._topics[name]:
            del self._topics[name]
            raise TopicMissing(f"topic {name!r} does not exist: create it, or correct topics.* in the settings")
        return self._topics[name]

    def partitions(self, ids: Iterable[int]) -> list[_Partition]:
        """The state of partitions, in the order given."""
        sql = "SELECT id, topic, partition, first, next FROM partitions WHERE id = ?"
        with self._translated():
            return [_Partition(*self._connection.execute(sql, (number,)).fetchone()) for number in ids]

    def fetch(self, positions: Mapping[_Partition, int], limit: int) -> list[Record]:
        """Up to `limit` records and some bytes, partition after partition, from the positions (offsets) given."""
        sql = "SELECT id, timestamp, key, value, headers FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
        records: list[Record] = []
        size = 0
        with self._translated():
            for partition, position in positions.items():
                if len(records) >= limit or size >= POLL_BYTES:
                    break
                span = (partition.base + position, (partition.id + 1) << OFFSET_BITS, limit - len(records))
                with closing(self._connection.execute(sql, span)) as rows:
                    for row, timestamp, key, value, headers in rows:
                        where = (partition.topic, partition.number, row - partition.base)
                        records.append(Record(*where, key, value, unpack_headers(headers), timestamp))
                        if (size := size + len(value)) >= POLL_BYTES:
                            break
        return records

    def offset_at(self, partition: _Partition, timestamp: int) -> int:
        """The offset of the first record at or after `timestamp`, the end where there is none."""

        def timestamp_of(offset: int) -> int:
            row = self._connection.execute("SELECT timestamp FROM records WHERE id = ?", (partition.base + offset,))
            return int(row.fetchone()[0])

        # Timestamps never fall within a partition, and offsets have no gaps.
        offsets = range(partition.first, partition.next)
        with self._translated():
            return partition.first + bisect_left(offsets, timestamp, key=timestamp_of)

    def close(self) -> None:
        with self._translated():
            self._connection.close()


def _append(connection: sqlite3.Connection, file: _File, records: Sequence[Outgoing]) -> None:
    """Append `records` to their partitions, within a transaction that writes."""
    placed: dict[int, list[Outgoing]] = {}
    for record in records:
        ids = file.topic(record.topic)
        placed.setdefault(ids[partition_of(record.key, len(ids))], []).append(record)
    for partition, appended in placed.items():
        sql = "SELECT next, latest FROM partitions WHERE id = ?"
        offset, latest = connection.execute(sql, (partition,)).fetchone()
        # The clock may be set back, but timestamps must not fall: see `_File.offset_at`.
        timestamp = max(time.time_ns() // 1_000_000, latest)
        base = (partition << OFFSET_BITS) + offset
        connection.executemany(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?)",
            (
                (base + n, timestamp, record.key, record.value, pack_headers(record.headers))
                for n, record in enumerate(appended)
            ),
        )
        sql = "UPDATE partitions SET next = ?, latest = ? WHERE id = ?"
        connection.execute(sql, (offset + len(appended), timestamp, partition))


def _check_sizes(records: Iterable[Outgoing]) -> None:
    for record in records:
        if len(record.value) > MAX_RECORD_BYTES:
            size = f"{len(record.value):,} bytes (at most {MAX_RECORD_BYTES:,})"
            raise RecordTooLarge(f"record {record.key!r} for topic {record.topic!r} is too large: {size}")


def _chunks(records: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    start = size = 0
    for end, record in enumerate(records):
        if end > start and (end - start >= CHUNK_RECORDS or size + len(record.value) > CHUNK_BYTES):
            yield records[start:end]
            start, size = end, 0
        size += len(record.value)
    yield records[start:]


class EmbeddedBroker:
    """The broker in the file at `path`; see `ingest.broker.Broker`. The file is made at the first use.

    `lease` is how long a member that no longer runs keeps its partitions where the system does not tell that its process has
    ended; `max_poll` how long a member may go without polling; `busy` how long to wait for another process's transaction
    (all in seconds).
    """

    def __init__(
        self, path: Path, lease: float = LEASE_SECONDS, max_poll: float = MAX_POLL_SECONDS, busy: float = BUSY_SECONDS
    ) -> None:
        self.path = path
        self.lease = lease
        self.max_poll = max_poll
        self.busy = busy

    def open(self, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> _File:
        """A new connection to the file."""
        return _File(self.path, self.busy, synchronous)

    def ensure_topics(self, topics: Mapping[str, int]) -> None:
        """See `ingest.broker.Broker`."""
        with closing(self.open()) as file, file.writing() as connection:
            for topic, count in topics.items():
                if connection.execute("SELECT 1 FROM partitions WHERE topic = ?", (topic,)).fetchone():
                    continue
                rows = [(topic, number) for number in range(count)]
                connection.executemany("INSERT INTO partitions (topic, partition) VALUES (?, ?)", rows)
            (highest,) = connection.execute("SELECT max(id) FROM partitions").fetchone()
            if (highest or 0) >= MAX_PARTITIONS:
                raise BrokerRejected(
                    f"{self.path}: no more than {MAX_PARTITIONS} partitions in all: lower topics.partitions"
                )

    def producer(self) -> EmbeddedProducer:
        """See `ingest.broker.Broker`."""
        return EmbeddedProducer(self.open())

    def consumer(self, topics: Sequence[str], group: str) -> EmbeddedMember:
        """See `ingest.broker.Broker`."""
        return EmbeddedMember(self, topics, group)

    def reader(self, topic: str, start: Literal["earliest", "latest"] | int = "latest") -> EmbeddedReader:
        """See `ingest.broker.Broker`."""
        return EmbeddedReader(self.open(), topic, start)

    def lag(self, topic: str, group: str) -> list[PartitionLag]:
        """See `ingest.broker.Broker`."""
        with closing(self.open()) as file:
            ids = file.topic(topic)
            with file.reading() as connection:
                committed = _committed(connection, group, ids)
                partitions = file.partitions(ids)
        return [
            PartitionLag(topic, each.number, max(committed.get(each.id, 0), each.first), each.next)
            for each in partitions
        ]

    def prune(self, before: datetime) -> int:
        """Delete the records published before that time, save those that a group has yet to read; how many they were.

        A group counts once it has joined. The file does not shrink: its space is used again.
        """
        removed = 0
        with closing(self.open()) as file:
            with file.reading() as connection:
                ids = [row[0] for row in connection.execute("SELECT id FROM partitions ORDER BY id")]
            for partition in file.partitions(ids):
                end = file.offset_at(partition, round(before.timestamp() * 1000))
                removed += _prune(file, partition, end)
        return removed

    def close(self) -> None:
        """See `ingest.broker.Broker`: nothing is kept open here."""


def _committed(connection: sqlite3.Connection, group: str, ids: Iterable[int]) -> dict[int, int]:
    sql = 'SELECT committed FROM offsets WHERE "group" = ? AND partition = ?'
    rows = {number: connection.execute(sql, (group, number)).fetchone() for number in ids}
    return {number: row[0] for number, row in rows.items() if row is not None}


def _prune(file: _File, partition: _Partition, end: int) -> int:
    """Delete a partition's records below offset `end`, a few in each transaction so that writers get their turns."""
    first = partition.first
    while first < end:
        with file.writing() as connection:
            sql = "SELECT min(committed) FROM offsets WHERE partition = ?"
            (read,) = connection.execute(sql, (partition.id,)).fetchone()
            upto = min(end if read is None else min(end, read), first + PRUNE_RECORDS)
            if upto <= first:
                break
            span = (partition.base + first, partition.base + upto)
            connection.execute("DELETE FROM records WHERE id >= ? AND id < ?", span)
            connection.execute("UPDATE partitions SET first = ? WHERE id = ?", (upto, partition.id))
        first = upto
    return first - partition.first


class EmbeddedProducer:
    """See `ingest.broker.Producer`. A `send` of some thousand records is one transaction, larger ones are several."""

    def __init__(self, file: _File) -> None:
        self._file = file
        self._lock = threading.Lock()

    def send(self, records: Sequence[Outgoing]) -> None:
        """See `ingest.broker.Producer`."""
        _check_sizes(records)
        with self._lock:
            for chunk in _chunks(records):
                with self._file.writing() as connection:
                    _append(connection, self._file, chunk)

    def close(self) -> None:
        """See `ingest.broker.Producer`."""
        with self._lock:
            self._file.close()


class EmbeddedReader:
    """See `ingest.broker.Reader`."""

    def __init__(self, file: _File, topic: str, start: Literal["earliest", "latest"] | int) -> None:
        self._file = file
        try:
            self._seen = file.version()
            self._ids = list(file.topic(topic))
            with file.reading():
                partitions = file.partitions(self._ids)
                self._ends = {each.id: each.next for each in partitions}
                if start == "earliest":
                    self._positions = {each: each.first for each in partitions}
                elif start == "latest":
                    self._positions = {each: each.next for each in partitions}
                else:
                    self._positions = {each: file.offset_at(each, start) for each in partitions}
        except BaseException:
            file.close()
            raise

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        """See `ingest.broker.Reader`."""
        deadline = time.monotonic() + timeout
        while True:
            records = self._file.fetch(self._positions, max_records)
            if records:
                self._positions = _advanced(self._positions, records)
                return records
            if time.monotonic() >= deadline:
                return []
            self._seen = self._file.wait(self._seen, deadline)

    def at_end(self) -> bool:
        """See `ingest.broker.Reader`."""
        return all(position >= self._ends[partition.id] for partition, position in self._positions.items())

    def close(self) -> None:
        """See `ingest.broker.Reader`."""
        self._file.close()


def _advanced(positions: Mapping[_Partition, int], records: Iterable[Record]) -> dict[_Partition, int]:
    """The positions after `records`, the partitions that gave none first: they are the next ones to be read."""
    ends = {(record.topic, record.partition): record.offset + 1 for record in records}
    moved = {each: ends.get((each.topic, each.number), position) for each, position in positions.items()}
    return dict(sorted(moved.items(), key=lambda item: (item[0].topic, item[0].number) in ends))


@dataclass(slots=True)
class _Held:
    """A partition that a member owns: the epoch of that, the next offset to read, the one after what was polled."""

    partition: _Partition
    epoch: int
    position: int
    polled: int = -1


class EmbeddedMember:
    """A member of a consumer group; see `ingest.broker.Consumer`."""

    def __init__(self, broker: EmbeddedBroker, topics: Sequence[str], group: str) -> None:
        self._broker = broker
        self._group = group
        self._file = broker.open()
        try:
            self._topics = {topic: self._file.topic(topic) for topic in topics}
            self._seen = self._file.version()
        except BaseException:
            self._file.close()
            raise
        self._id: int | None = None
        self._held: dict[int, _Held] = {}
        self._must_rewind = False
        self._last_poll = time.monotonic()
        self._closed = threading.Event()
        self._beats = threading.Thread(target=self._renew_lease, name=f"lease in group {group}", daemon=True)
        self._beats.start()

    def _renew_lease(self) -> None:
        """Until closed: renew the lease, unless the thread that polls is stuck."""
        file: _File | None = None
        while not self._closed.wait(self._broker.lease / 5):
            if self._id is None or time.monotonic() - self._last_poll > self._broker.max_poll:
                continue
            try:
                # A lease need not outlast a loss of power, and so costs no fsync.
                file = file or self._broker.open(synchronous="NORMAL")
                with file.writing() as connection:
                    connection.execute("UPDATE members SET expires = ? WHERE id = ?", (self._new_end(), self._id))
            except BrokerUnavailable as error:
                _LOG.warning("the lease of a member of group %s could not be renewed: %s", self._group, error)
        if file is not None:
            file.close()

    def _new_end(self) -> float:
        return time.monotonic() + self._broker.lease

    def poll(self, max_records: int, timeout: float) -> list[Record]:
        """See `ingest.broker.Consumer`."""
        deadline = time.monotonic() + timeout
        while True:
            self._last_poll = time.monotonic()
            self._settle()
            records = self._fetch(max_records)
            if records or time.monotonic() >= deadline:
                return records
            # A lease that ends changes nothing in the file, so that has to be looked for now and then.
            self._seen = self._file.wait(self._seen, min(deadline, time.monotonic() + self._broker.lease / 5))

    def _fetch(self, max_records: int) -> list[Record]:
        positions = {held.partition: held.position for held in self._held.values()}
        records = self._file.fetch(positions, max_records)
        moved = _advanced(positions, records)
        for record in records:
            held = self._held[self._topics[record.topic][record.partition]]
            held.position = held.polled = record.offset + 1
        self._held = {partition.id: self._held[partition.id] for partition in moved}
        return records

    def _settle(self) -> None:
        """Be a member, and move towards the fair share of the partitions; writes only where something has to change."""
        with self._file.reading() as connection:
            members, dead = self._members(connection)
            if settled := self._id in members and not dead and not any(self._moves(connection, members)):
                self._adopt(connection)
        if not settled:
            before = self._id
            try:
                with self._file.writing() as connection:
                    self._join(connection)
                    self._move(connection)
                    self._adopt(connection)
            except BaseException:
                # A number that was not kept is given to whoever joins next.
                self._id = before
                raise

    def _members(self, connection: sqlite3.Connection) -> tuple[dict[int, list[str]], list[int]]:
        """The topics of each living member of the group, and the dead members."""
        living: dict[int, list[str]] = {}
        dead: list[int] = []
        sql = 'SELECT id, topics, process, expires FROM members WHERE "group" = ?'
        for number, topics, process, expires in connection.execute(sql, (self._group,)):
            if number == self._id or _is_alive(process, expires, self._broker.lease):
                living[number] = json.loads(topics)
            else:
                dead.append(number)
        return living, dead

    def _join(self, connection: sqlite3.Connection) -> None:
        members, dead = self._members(connection)
        for number in dead:
            self._remove(connection, number)
        if self._id not in members:
            sql = 'INSERT INTO members ("group", topics, process, expires) VALUES (?, ?, ?, ?)'
            row = (self._group, json.dumps(list(self._topics)), _process_mark(), self._new_end())
            self._id = connection.execute(sql, row).lastrowid

    def _remove(self, connection: sqlite3.Connection, member: int) -> None:
        connection.execute("UPDATE owners SET member = NULL WHERE member = ?", (member,))
        connection.execute("DELETE FROM members WHERE id = ?", (member,))

    def _owners(self, connection: sqlite3.Connection) -> dict[int, tuple[int, int]]:
        """The member and epoch of each partition that is owned."""
        sql = 'SELECT partition, member, epoch FROM owners WHERE "group" = ? AND member IS NOT NULL'
        return {partition: (member, epoch) for partition, member, epoch in connection.execute(sql, (self._group,))}

    def _moves(self, connection: sqlite3.Connection, members: Mapping[int, Sequence[str]]) -> tuple[set[int], set[int]]:
        """The partitions to release, and those to take, in all topics."""
        assert self._id is not None
        owners = {partition: member for partition, (member, _) in self._owners(connection).items()}
        release: set[int] = set()
        take: set[int] = set()
        for topic, partitions in self._topics.items():
            subscribed = [member for member, topics in members.items() if topic in topics]
            moves = rebalance(partitions, subscribed, owners, self._id)
            release |= moves.release
            take |= moves.take
        return release, take

    def _move(self, connection: sqlite3.Connection) -> None:
        release, take = self._moves(connection, self._members(connection)[0])
        for partition in release:
            sql = 'UPDATE owners SET member = NULL WHERE "group" = ? AND partition = ?'
            connection.execute(sql, (self._group, partition))
        for partition in take:
            connection.execute(
                'INSERT INTO owners ("group", partition, member, epoch) VALUES (?, ?, ?, 1)'
                " ON CONFLICT DO UPDATE SET member = excluded.member, epoch = epoch + 1",
                (self._group, partition, self._id),
            )
            # From now on `prune` keeps what this group has to read.
            connection.execute(
                'INSERT OR IGNORE INTO offsets ("group", partition, committed)'
                " SELECT ?, id, first FROM partitions WHERE id = ?",
                (self._group, partition),
            )

    def _adopt(self, connection: sqlite3.Connection) -> None:
        """Hold what the file says this member owns; from the committed offsets on, where it is held anew or to be rewound."""
        mine = {number: epoch for number, (member, epoch) in self._owners(connection).items() if member == self._id}
        kept = {
            number: held
            for number, held in self._held.items()
            if held.epoch == mine.get(number) and not self._must_rewind
        }
        committed = _committed(connection, self._group, mine.keys() - kept.keys())
        fresh = {
            partition.id: _Held(partition, mine[partition.id], committed[partition.id])
            for partition in self._file.partitions(committed)
        }
        self._held = kept | fresh
        self._must_rewind = False

    def commit(self, consumed: Sequence[Record], outputs: Sequence[Outgoing]) -> None:
        """See `ingest.broker.Consumer`."""
        _check_sizes(outputs)
        offsets: dict[int, int] = {}
        for record in consumed:
            partition = self._topics[record.topic][record.partition]
            offsets[partition] = max(offsets.get(partition, 0), record.offset + 1)
        try:
            with self._file.writing() as connection:
                owners = self._owners(connection)
                for partition, offset in offsets.items():
                    held = self._held.get(partition)
                    if held is None or offset > held.polled or owners.get(partition) != (self._id, held.epoch):
                        where = f"{self._file.path}, partition {partition}"
                        raise Fenced(f"{where}: lost, or forgotten, since offset {offset - 1} was polled")
                _append(connection, self._file, outputs)
                connection.executemany(
                    'UPDATE offsets SET committed = ? WHERE "group" = ? AND partition = ?',
                    [(offset, self._group, partition) for partition, offset in offsets.items()],
                )
        except (Fenced, BrokerUnavailable):
            self.rewind()
            raise

    def keep(self) -> None:
        """See `ingest.broker.Consumer`."""
        self._last_poll = time.monotonic()

    def rewind(self) -> None:
        """See `ingest.broker.Consumer`."""
        self._must_rewind = True
        for held in self._held.values():
            held.polled = -1

    def reclaim(self, records: Sequence[Record]) -> list[Record] | None:
        """See `ingest.broker.Consumer`."""
        ids = [self._topics[record.topic][record.partition] for record in records]
        with self._file.reading() as connection:
            owners = self._owners(connection)
            committed = _committed(connection, self._group, set(ids))
        if self._must_rewind or any(
            number not in self._held or owners.get(number) != (self._id, self._held[number].epoch) for number in ids
        ):
            return None
        left = []
        for record, number in zip(records, ids, strict=True):
            if record.offset >= committed[number]:
                left.append(record)
                self._held[number].polled = max(self._held[number].polled, record.offset + 1)
        return left

    def position_at_end(self) -> bool:
        """See `ingest.broker.Consumer`."""
        if self._id is None or self._must_rewind:
            return False
        return all(self._held[each.id].position >= each.next for each in self._file.partitions(self._held))

    def close(self) -> None:
        """See `ingest.broker.Consumer`."""
        if self._closed.is_set():
            return
        self._closed.set()
        self._beats.join(self._broker.busy)
        try:
            with self._file.writing() as connection:
                if self._id is not None:
                    self._remove(connection, self._id)
        except BrokerUnavailable as error:
            _LOG.warning("group %s takes over only when the lease of its member ends: %s", self._group, error)
        finally:
            self._file.close()
