"""What the API knows of the store: the columns, filled at the start and kept up with it by one thread.

The store is asked once a second for what has become known since, up to a time that is settled: whatever the number of
clients, and nothing is missed or told twice. Whoever waits for news is woken, and looks into the columns.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import groupby, islice
from typing import Any

from pydantic_core import from_json

from ingest.api.columns import Columns, Row, Rows, microseconds, moment
from ingest.api.filters import Of
from ingest.api.rows import event_row, incident_row, read_event, told_by
from ingest.storage import Store
from ingest.storage.reading import Changed
from models.errors import ConflictwireError

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two looks at the store."""
STALE = 60.0
"""Seconds after which what was seen then says nothing."""
_AT_ONCE = 2000  # rows
_RECENT_BYTES = 16_000_000
# Superseded revisions of incidents are let go of when they are so many, except those of the last hour (microseconds).
# Where they are asked for after that, `Desk.then` reads them from the store.
_COMPACTED_FROM = 20_000
_KEPT = 3_600_000_000
_PATIENCE = 3.0  # seconds to wait for another request that reads a past time


class Unready(ConflictwireError):
    """It cannot answer yet."""


class Recent:
    """The records that became known last, as followers want them at once."""

    def __init__(self, limit: int = _RECENT_BYTES) -> None:
        self._records: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._limit = limit
        self._size = 0
        self._lock = threading.Lock()

    def add(self, name: tuple[str, int], record: str) -> None:
        """Keep a record, and let go of the oldest."""
        with self._lock:
            self._records[name] = record
            self._size += len(record)
            while self._size > self._limit:
                _, gone = self._records.popitem(last=False)
                self._size -= len(gone)

    def get(self, name: tuple[str, int]) -> str | None:
        """The record, if it is still here."""
        with self._lock:
            return self._records.get(name)


class Desk:
    """The columns of a store, and the thread that keeps them. `wake` is called in that thread when there is news."""

    def __init__(self, store: Store, wake: Callable[[], object] = lambda: None, interval: float = INTERVAL) -> None:
        self._store = store
        self.wake = wake
        self._interval = interval
        self._columns: dict[Of, Columns] = {}
        self._recent: dict[Of, Recent] = {"events": Recent(), "incidents": Recent()}
        self._then: tuple[int, Columns] | None = None
        self._then_lock = threading.Lock()
        self._seen = 0.0
        self._trouble: str | None = None
        self._loaded = 0
        self._news = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(10)

    # --- for readers

    def not_ready(self) -> str | None:
        """Why it cannot answer; None when it can."""
        if "incidents" not in self._columns:
            return self._trouble or f"reading the store: {self._loaded} records so far"
        return None

    def stale(self) -> str | None:
        """Why what it answers may be old; None while it keeps up."""
        if self._trouble:
            return self._trouble
        since = time.monotonic() - self._seen
        return f"no answer of the store for {since:.0f} s" if since > STALE else None

    def now(self, of: Of) -> Columns:
        """The columns as they are; only when it is ready."""
        return self._columns[of]

    def then(self, of: Of, as_of: int) -> Columns:
        """Columns that can tell what was known at a time. Of incidents before the start it reads all from the store."""
        columns = self._columns[of]
        if columns.floor is None or as_of >= columns.floor:
            return columns
        if not self._then_lock.acquire(timeout=_PATIENCE):
            raise Unready("others ask for another time of which everything must be read from the store; try again")
        try:
            if self._then is None or self._then[0] != as_of:
                self._then = None  # before the next is read, as both might not fit
                self._then = (as_of, self._load_incidents(moment(as_of)))
            return self._then[1]
        finally:
            self._then_lock.release()

    def records(self, of: Of, columns: Columns, rows: Rows) -> list[str]:
        """The JSON of the records of those rows, in that order."""
        if not len(rows):
            return []
        recent = self._recent[of]
        wanted = columns.ids(rows)
        found = {pair: record for pair in wanted.pairs if (record := recent.get(pair)) is not None}
        missing = [pair for pair in wanted.pairs if pair not in found]
        if missing and of == "events":
            found |= self._store.event_records(missing, wanted.first, wanted.last)
        elif missing:
            found |= self._store.incident_records(missing)
        return [found[pair] for pair in wanted.pairs if pair in found]

    def recent(self, of: Of, columns: Columns, rows: Rows) -> list[str] | None:
        """The same, where none must be read from the store; else None."""
        recent = self._recent[of]
        found = [recent.get(pair) for pair in columns.ids(rows).pairs]
        return None if None in found else [record for record in found if record is not None]

    def texts(self, of: Of, records: Sequence[str], text: str) -> list[bool]:
        """For each of the records whether it has the text: in a headline or sentence that tells it, whatever the case."""
        if of == "events":
            return [_has(from_json(record), text) for record in records]
        reports = [[report["event_id"] for report in from_json(record)["reports"]] for record in records]
        told = self._store.current_events({event_id for some in reports for event_id in some})
        having = {event_id for event_id, record in told.items() if _has(from_json(record), text)}
        return [not having.isdisjoint(some) for some in reports]

    # --- the thread

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.step()
                self._trouble = None
                self._seen = time.monotonic()
            except ConflictwireError as error:
                self._trouble = str(error)
                log.warning("store not read", extra={"error": str(error)})
            except Exception as error:
                self._trouble = type(error).__name__
                log.exception("store not read")
            self._stop.wait(self._interval)

    def step(self) -> None:
        """Read what has become known since the last time; all that there is, the first time."""
        until = self._store.settled(datetime.now(UTC))
        if "events" not in self._columns:
            self._columns["events"] = self._load_events(until)
        else:
            self._follow("events", until)
        if "incidents" not in self._columns:
            self._columns["incidents"] = self._load_incidents(until)
            log.info("ready", extra={"events": self.now("events").size, "incidents": self.now("incidents").size})
        else:
            self._follow("incidents", until)
            self._let_go()
        if self._news:
            self._news = False
            self.wake()

    def _load_events(self, until: datetime) -> Columns:
        columns = Columns()
        with closing(self._store.event_changes(None, until)) as changes:
            while (rows := self._rows("events", islice(changes, _AT_ONCE), until)) and not self._stop.is_set():
                columns.append(rows, rows[-1].known, follow=False)
                self._loaded = columns.size
        columns.link()
        columns.append([], microseconds(until))
        return columns

    def _load_incidents(self, as_of: datetime) -> Columns:
        """The incidents as they were known at a time."""
        columns = Columns(microseconds(as_of))
        with closing(self._store.incidents_at(as_of)) as changes:
            while rows := self._rows("incidents", islice(changes, _AT_ONCE), as_of):
                columns.append(rows, rows[-1].known, follow=False)
        columns.append([], microseconds(as_of))
        return columns

    def _follow(self, of: Of, until: datetime) -> None:
        """Add what became known up to `until`: whole known times at once, so that an error loses and doubles nothing."""
        columns = self._columns[of]
        if microseconds(until) <= columns.until:
            return
        read = self._store.event_changes if of == "events" else self._store.incident_changes
        with closing(read(moment(columns.until), until)) as changes:
            for known, together in groupby(changes, key=lambda each: each.known):
                some = list(together)
                rows = self._rows(of, some, until)
                for row, each in zip(rows, some, strict=True):
                    self._recent[of].add((row.id, row.revision), each.record)
                columns.append(rows, microseconds(known))
                self._news = True
        columns.append([], microseconds(until))

    def _let_go(self) -> None:
        """Let go of superseded revisions of incidents: there are several of each, where events have few."""
        columns = self._columns["incidents"]
        floor = columns.until - _KEPT
        many = columns.superseded >= max(_COMPACTED_FROM, columns.size // 4)
        if many and columns.floor is not None and columns.floor < floor:
            self._columns["incidents"] = columns.compacted(floor)

    def _rows(self, of: Of, changes: Iterable[Changed], until: datetime) -> list[Row]:
        if of == "events":
            return [_event_row(each) for each in changes]
        rows, reports = [], []
        for each in changes:
            record = from_json(each.record)
            rows.append(incident_row(record, microseconds(each.known)))
            reports.append([report["event_id"] for report in record["reports"]])
        columns = self._columns["events"]
        found = columns.find(reports, microseconds(until))
        told = iter(columns.told([row for some in found for row in some]))
        return [told_by(row, list(islice(told, len(some)))) for row, some in zip(rows, found, strict=True)]


def _event_row(change: Changed) -> Row:
    superseded = None if change.superseded is None else microseconds(change.superseded)
    return event_row(read_event(change.record), microseconds(change.known), superseded)


def _has(event: Mapping[str, Any], text: str) -> bool:
    return text.casefold() in f"{event['article']['title']}\n{event['sentence']['text']}".casefold()
