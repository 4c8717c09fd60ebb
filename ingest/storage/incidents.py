"""Incidents: every revision of each, where each event belongs, and how far their keeper is (`ingest.incidents`).

One keeper writes at a time. That is held twice: by a lock that a second one waits for (`KeeperLock`), and by the number
in `incident_keeper`, which a keeper that lost the lock without noticing finds changed.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from ingest.errors import Fenced, StoreUnavailable
from ingest.records import EventRecord, IncidentRecord, parse_event, parse_incident
from ingest.storage.connect import transaction
from ingest.storage.queries import among, bounded, chunks, insert, within
from ingest.storage.reading import Changed, read_event_records
from ingest.storage.tables import Key, Number, UtcTime, metadata
from ingest.storage.values import IncidentFilter
from models.spelling import fold

_LOCK = 0x6B656570  # of PostgreSQL's advisory locks
_STREAMED_AT_ONCE = 500  # rows
_ADMITTED_AT_ONCE = 500  # incidents

# Every revision of every incident, as `events` has those of events: `record` is the JSON as published, `stored` is when
# the store learned of it, `superseded` when of the next one; null while it is current. `number` is that of the event revision
# that made it, in the order in which they were kept. `parties`, `told_by` (feeds and publishers) and `languages` are for
# searching: each entry between line breaks, parties folded.
incidents = sa.Table(
    "incidents",
    metadata,
    sa.Column("incident_id", Key, primary_key=True),
    sa.Column("revision", Number, primary_key=True),
    sa.Column("stored", UtcTime, nullable=False),
    sa.Column("superseded", UtcTime),
    sa.Column("number", Number, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("country", sa.Text),
    sa.Column("lat", sa.Double),
    sa.Column("lon", sa.Double),
    sa.Column("first_report", UtcTime, nullable=False),
    sa.Column("last_report", UtcTime, nullable=False),
    sa.Column("earliest", sa.Text),
    sa.Column("latest", sa.Text),
    sa.Column("sources", Number, nullable=False),
    sa.Column("reports", Number, nullable=False),
    sa.Column("dead_min", Number),
    sa.Column("dead_max", Number),
    sa.Column("parties", sa.Text, nullable=False),
    sa.Column("told_by", sa.Text, nullable=False),
    sa.Column("languages", sa.Text, nullable=False),
    sa.Column("record", sa.Text, nullable=False),
    sa.Index("incidents_stored", "stored", "incident_id", "revision"),
    sa.Index("incidents_type", "type", "stored", "incident_id"),
    sa.Index("incidents_number", "number"),
)

# The countries of each revision: its own and those of its parties.
incident_countries = sa.Table(
    "incident_countries",
    metadata,
    sa.Column("country", Key, primary_key=True),
    sa.Column("stored", UtcTime, primary_key=True),
    sa.Column("incident_id", Key, primary_key=True),
    sa.Column("revision", Number, primary_key=True),
    sa.Column("type", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
)

# Every event that was kept, its last revision, and the incident that it belongs to; null for a retracted one. Its
# revisions were coded between the two times, which tell in which months to look for them.
incident_events = sa.Table(
    "incident_events",
    metadata,
    sa.Column("event_id", Key, primary_key=True),
    sa.Column("revision", Number, nullable=False),
    sa.Column("incident_id", Key),
    sa.Column("article_id", Key, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("language", sa.Text),
    sa.Column("first_coded", UtcTime, nullable=False),
    sa.Column("last_coded", UtcTime, nullable=False),
)

# One row: how many event revisions were kept, the time of the last (coded), from which number on incidents are open, and
# what the topic may lack (`KeeperState.unpublished`): a JSON list of [number, partition, offset].
incident_keeper = sa.Table(
    "incident_keeper",
    metadata,
    sa.Column("number", Number, primary_key=True, autoincrement=False),
    sa.Column("clock", UtcTime),
    sa.Column("open_from", Number, nullable=False),
    sa.Column("unpublished", sa.Text, nullable=False),
)

_CURRENT = incidents.c.superseded.is_(None)


@dataclass(frozen=True, slots=True)
class Place:
    """The number of an event revision that was kept, and where in the topic of events it was read."""

    number: int
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class KeeperState:
    """How many event revisions were kept, and the time of the last (coded); None before the first.

    `unpublished` are those of the last transaction whose incident records may not be on their topic yet, in order.
    """

    number: int
    clock: datetime | None
    unpublished: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class KeptEvent:
    """The last revision of an event that was kept, and the incident it belongs to; None for none."""

    revision: int
    incident_id: str | None


@dataclass(frozen=True, slots=True)
class Kept:
    """An event revision that was kept, and the incident records that it made, in order."""

    event: EventRecord
    made: tuple[IncidentRecord, ...]


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """An incident, and when the store learned of this revision of it."""

    record: IncidentRecord
    changed: datetime


# --- what the keeper reads and writes


def read_keeper(connection: sa.Connection) -> KeeperState:
    """How far the keeper is."""
    row = connection.execute(sa.select(incident_keeper)).one()
    return KeeperState(row.number, row.clock, tuple(Place(*each) for each in json.loads(row.unpublished)))


def read_kept(connection: sa.Connection, event_ids: Iterable[str]) -> dict[str, KeptEvent]:
    """Those of the events that were kept."""
    found = {}
    for some in chunks(event_ids):
        columns = (incident_events.c.event_id, incident_events.c.revision, incident_events.c.incident_id)
        for name, revision, home in connection.execute(
            sa.select(*columns).where(among(connection, incident_events.c.event_id, some))
        ):
            found[name] = KeptEvent(revision, home)
    return found


def read_made(connection: sa.Connection, first: int, last: int) -> dict[int, list[IncidentRecord]]:
    """The incident records that the event revisions of these numbers made; those that made none are not in it."""
    statement = (
        sa.select(incidents.c.number, incidents.c.record)
        .where(incidents.c.number.between(first, last))
        # Within one number the order does not matter to anybody: they are of different incidents, thus of different keys.
        .order_by(incidents.c.number, incidents.c.incident_id)
    )
    found: dict[int, list[IncidentRecord]] = {}
    for number, record in connection.execute(statement):
        found.setdefault(number, []).append(parse_incident(record.encode()))
    return found


def read_open(connection: sa.Connection) -> Iterator[tuple[IncidentRecord, list[EventRecord]]]:
    """The incidents that were open, the one changed first first, each with the events that its record names."""
    statement = (
        sa.select(incidents.c.record)
        .where(
            _CURRENT,
            incidents.c.number >= sa.select(incident_keeper.c.open_from).scalar_subquery(),
            incidents.c.kind != "merged_into",
            incidents.c.status != "retracted",
        )
        .order_by(incidents.c.number, incidents.c.incident_id)
    )
    texts = connection.scalars(statement).all()
    for start in range(0, len(texts), _ADMITTED_AT_ONCE):
        yield from _with_events(connection, texts[start : start + _ADMITTED_AT_ONCE])


def read_with_events(connection: sa.Connection, incident_id: str) -> tuple[IncidentRecord, list[EventRecord]] | None:
    """The current record of an incident that was neither retracted nor merged, with its events."""
    statement = sa.select(incidents.c.record).where(
        incidents.c.incident_id == incident_id,
        _CURRENT,
        incidents.c.kind != "merged_into",
        incidents.c.status != "retracted",
    )
    return next(_with_events(connection, connection.scalars(statement).all()), None)


def _with_events(connection: sa.Connection, texts: Sequence[str]) -> Iterator[tuple[IncidentRecord, list[EventRecord]]]:
    records = [parse_incident(text.encode()) for text in texts]
    names = [(report.event_id, report.revision) for record in records for report in record.reports]
    times: list[datetime] = []
    for some in chunks(event_id for event_id, _ in names):
        columns = (incident_events.c.first_coded, incident_events.c.last_coded)
        for row in connection.execute(sa.select(*columns).where(among(connection, incident_events.c.event_id, some))):
            times += row
    found = read_event_records(connection, names, min(times), max(times)) if times else {}
    for record in records:
        told = [found.get((report.event_id, report.revision)) for report in record.reports]
        yield record, [parse_event(text.encode()) for text in told if text is not None]


def write_kept(
    connection: sa.Connection,
    kept: Sequence[Kept],
    before: KeeperState,
    after: KeeperState,
    oldest: tuple[str, int] | None,
    stored: datetime,
) -> None:
    """Write what was kept, as known since `stored`, numbered from `before` on.

    `oldest` is the incident of those now open that was left alone for longest, by id and revision. Raises Fenced as
    `move_keeper` does.
    """
    move_keeper(connection, before, after)
    last = {record.incident_id: record for each in kept for record in each.made}
    events = _belonging(connection, kept, last)
    for some in chunks(last):
        superseded = incidents.update().where(_CURRENT, among(connection, incidents.c.incident_id, some))
        connection.execute(superseded.values(superseded=stored))
    rows, countries = [], []
    for number, each in enumerate(kept, before.number + 1):
        for record in each.made:
            until = None if record is last[record.incident_id] else stored
            rows.append(_row(record, number, stored, until, events))
            countries += [
                {
                    "country": country,
                    "stored": stored,
                    "incident_id": record.incident_id,
                    "revision": record.revision,
                    "type": record.type.value,
                }
                for country in record.all_countries
            ]
    insert(connection, incidents, rows)
    insert(connection, incident_countries, countries)
    _write_belonging(connection, events)
    connection.execute(incident_keeper.update().values(open_from=_number(connection, oldest, after.number + 1)))


def move_keeper(connection: sa.Connection, before: KeeperState, after: KeeperState) -> None:
    """Write how far the keeper is. Raises Fenced where it is not where it was `before`: another one is at work."""
    places = [(place.number, place.partition, place.offset) for place in after.unpublished]
    moved = incident_keeper.update().where(incident_keeper.c.number == before.number)
    values = {"number": after.number, "clock": after.clock, "unpublished": json.dumps(places)}
    if not connection.execute(moved.values(values)).rowcount:
        raise Fenced("another keeper has kept events meanwhile")


def _number(connection: sa.Connection, named: tuple[str, int] | None, default: int) -> int:
    if named is None:
        return default
    statement = sa.select(incidents.c.number).where(
        incidents.c.incident_id == named[0], incidents.c.revision == named[1]
    )
    number: int = connection.scalars(statement).one()
    return number


@dataclass(slots=True)
class _Event:
    """The row of an event in `incident_events`, as it was (None: not there) and as it is to be."""

    before: dict[str, Any] | None
    after: dict[str, Any]


def _belonging(
    connection: sa.Connection, kept: Sequence[Kept], last: Mapping[str, IncidentRecord]
) -> dict[str, _Event]:
    """The events that were kept and all that the records name, with the incident that each belongs to from now on."""
    named = {report.event_id for each in kept for record in each.made for report in record.reports}
    named.update(each.event.event_id for each in kept)
    found: dict[str, _Event] = {}
    for some in chunks(named):
        statement = sa.select(incident_events).where(among(connection, incident_events.c.event_id, some))
        for found_row in connection.execute(statement).mappings():
            found[found_row["event_id"]] = _Event(dict(found_row), dict(found_row))
    for each in kept:
        event = each.event
        row = found.setdefault(
            event.event_id, _Event(None, {"first_coded": event.coded, "last_coded": event.coded})
        ).after
        row |= {
            "event_id": event.event_id,
            "revision": event.revision,
            "incident_id": None if event.status == "retracted" else row.get("incident_id"),
            "article_id": event.article.article_id,
            "feed": event.article.feed,
            "language": event.article.language,
            "first_coded": min(row["first_coded"], event.coded),
            "last_coded": max(row["last_coded"], event.coded),
        }
        for record in each.made:
            if record.kind == "merged_into" or record.status == "retracted":
                continue
            for report in record.reports:
                found[report.event_id].after["incident_id"] = record.incident_id
    return found


def _write_belonging(connection: sa.Connection, events: Mapping[str, _Event]) -> None:
    insert(connection, incident_events, [each.after for _, each in sorted(events.items()) if each.before is None])
    changed = [each.after for _, each in sorted(events.items()) if each.before not in (None, each.after)]
    if changed:
        names = [column.name for column in incident_events.columns if column.name != "event_id"]
        statement = incident_events.update().where(incident_events.c.event_id == sa.bindparam("key"))
        values: dict[str, Any] = {name: sa.bindparam(name) for name in names}
        connection.execute(statement.values(**values), [{**row, "key": row["event_id"]} for row in changed])


def _row(
    record: IncidentRecord,
    number: int,
    stored: datetime,
    superseded: datetime | None,
    events: Mapping[str, _Event],
) -> dict[str, Any]:
    """The row of the table `incidents`."""
    place = record.place and record.place.value
    day = record.date and record.date.value
    dead = record.dead_figures
    told = [events[report.event_id].after for report in record.reports]
    publishers = [report.publisher for report in record.reports]
    return {
        "incident_id": record.incident_id,
        "revision": record.revision,
        "stored": stored,
        "superseded": superseded,
        "number": number,
        "kind": record.kind,
        "status": record.status,
        "type": record.type.value,
        "country": next(iter(record.countries), None),
        "lat": place and place.lat,
        "lon": place and place.lon,
        "first_report": record.first_report,
        "last_report": record.last_report,
        "earliest": day and day.earliest.isoformat(),
        "latest": day and day.latest.isoformat(),
        "sources": record.sources,
        "reports": len(record.reports),
        "dead_min": dead and bounded(dead.min),
        "dead_max": dead and bounded(dead.max),
        "parties": _lines(fold(who.text) for who in record.parties),
        "told_by": _lines([*publishers, *(row["feed"] for row in told)]),
        "languages": _lines(row["language"] for row in told if row["language"]),
        "record": record.to_json().decode(),
    }


def _lines(entries: Iterable[str]) -> str:
    every = dict.fromkeys(" ".join(entry.split()) for entry in entries)
    return "\n".join(["", *every, ""]) if every else ""


# --- what others read


def read_incidents(connection: sa.Connection, wanted: IncidentFilter, limit: int | None) -> Iterator[IncidentRow]:
    """The incidents that `wanted` matches, the one changed last first; a stream."""
    statement = select_incidents(wanted, limit)
    rows = connection.execution_options(yield_per=_STREAMED_AT_ONCE).execute(statement)
    # One of several of the countries comes once for each, one after the other.
    unique = (next(same) for _, same in groupby(rows, key=itemgetter(1, 2)))
    for record, changed, _ in islice(unique, limit):
        yield IncidentRow(parse_incident(record.encode()), changed)


def select_incidents(wanted: IncidentFilter, limit: int | None) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """What `read_incidents` reads: JSON, known time and id. Each country is searched by itself, as `select_events` does."""

    def order(columns: Any) -> list[sa.UnaryExpression[Any]]:
        return [columns[name].desc() for name in ("stored", "incident_id")]

    searches = [_select_incidents(wanted, country) for country in dict.fromkeys(wanted.countries) or (None,)]
    first, *others = (search.order_by(*order(search.selected_columns)).limit(limit) for search in searches)
    if not others:
        return first
    merged = sa.union_all(*(sa.select(search.subquery()) for search in (first, *others)))
    return merged.order_by(*order(merged.selected_columns))


def _select_incidents(wanted: IncidentFilter, country: str | None) -> sa.Select[Any]:
    c = incidents.c
    tests: list[sa.ColumnElement[bool]] = [c.kind != "merged_into", *_known(wanted.as_of)]
    if wanted.types:
        tests.append(c.type.in_(wanted.types))
    tests.append(c.status.in_(wanted.statuses) if wanted.statuses else c.status != "retracted")
    if wanted.happened_since is not None:
        tests.append(c.latest >= wanted.happened_since.isoformat())
    if wanted.happened_until is not None:
        tests.append(c.earliest < wanted.happened_until.isoformat())
    tests += within(c.first_report, wanted.reported_since, wanted.reported_until)
    if wanted.min_sources is not None:
        tests.append(c.sources >= wanted.min_sources)
    if wanted.bbox is not None:
        west, south, east, north = wanted.bbox
        tests.append(c.lat.between(south, north))
        tests.append(c.lon.between(west, east) if west <= east else sa.or_(c.lon >= west, c.lon <= east))
    if wanted.actor is not None:
        for word in fold(wanted.actor).split():
            tests.append(sa.or_(*(c.parties.contains(before + word, autoescape=True) for before in "\n ")))
    if wanted.languages:
        tests.append(_listed(c.languages, wanted.languages))
    if wanted.sources:
        tests.append(_listed(c.told_by, wanted.sources))
    if country is None:
        return sa.select(c.record, c.stored, c.incident_id).where(*tests, *_between(incidents, wanted))

    named = incident_countries.c
    joined = [named.country == country, *_between(incident_countries, wanted)]
    if wanted.types:
        joined.append(named.type.in_(wanted.types))
    same = (named.incident_id == c.incident_id, named.revision == c.revision)
    return sa.select(c.record, named.stored, named.incident_id).where(*same, *joined, *tests)


def _between(table: sa.Table, wanted: IncidentFilter) -> list[sa.ColumnElement[bool]]:
    """The bounds of the known time and the page, of the table that lies in their order."""
    place = (table.c.stored, table.c.incident_id)
    bounds: list[sa.ColumnElement[bool]] = []
    if wanted.since is not None:
        bounds.append(table.c.stored >= wanted.since)
    if wanted.until is not None:
        bounds.append(table.c.stored < wanted.until)
    if wanted.as_of is not None:
        bounds.append(table.c.stored <= wanted.as_of)
    if wanted.before is not None:
        passed = (sa.literal(value, column.type) for value, column in zip(wanted.before, place, strict=True))
        bounds.append(sa.tuple_(*place) < sa.tuple_(*passed))
    return bounds


def _listed(column: sa.Column[str], wanted: Iterable[str]) -> sa.ColumnElement[bool]:
    return sa.or_(*(column.contains(f"\n{' '.join(entry.split())}\n", autoescape=True) for entry in wanted))


def _known(as_of: datetime | None) -> list[sa.ColumnElement[bool]]:
    if as_of is None:
        return [_CURRENT]
    then = sa.literal(as_of, incidents.c.stored.type)
    return [incidents.c.stored <= then, sa.or_(_CURRENT, incidents.c.superseded > then)]


def read_incident(connection: sa.Connection, incident_id: str, as_of: datetime | None) -> str | None:
    """The JSON of the revision of an incident that is current, or was; None where there is none."""
    statement = sa.select(incidents.c.record).where(incidents.c.incident_id == incident_id, *_known(as_of))
    record: str | None = connection.scalar(statement)
    return record


def read_incident_revisions(connection: sa.Connection, incident_id: str) -> list[str]:
    """The JSON of every revision of an incident, the first first."""
    statement = sa.select(incidents.c.record).where(incidents.c.incident_id == incident_id)
    return list(connection.scalars(statement.order_by(incidents.c.revision)))


def read_incident_records(connection: sa.Connection, pairs: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The JSON of revisions of incidents, by id and revision."""
    wanted = set(pairs)
    found = {}
    for some in chunks(name for name, _ in wanted):
        columns = (incidents.c.incident_id, incidents.c.revision, incidents.c.record)
        for name, revision, record in connection.execute(
            sa.select(*columns).where(among(connection, incidents.c.incident_id, some))
        ):
            if (name, revision) in wanted:
                found[name, revision] = record
    return found


def read_incident_changes(connection: sa.Connection, after: datetime, until: datetime) -> Iterator[Changed]:
    """Revisions that became known after `after` and by `until`, in that order, then by id and revision."""
    yield from _changes(connection, incidents.c.stored > after, incidents.c.stored <= until)


def read_incidents_at(connection: sa.Connection, as_of: datetime) -> Iterator[Changed]:
    """The revisions that were current at `as_of`, merged and retracted ones too, in the order in which they became known."""
    yield from _changes(connection, *_known(as_of))


def _changes(connection: sa.Connection, *tests: sa.ColumnElement[bool]) -> Iterator[Changed]:
    c = incidents.c
    statement = sa.select(c.stored, c.superseded, c.record).where(*tests)
    statement = statement.order_by(c.stored, c.incident_id, c.revision)
    for row in connection.execution_options(yield_per=_STREAMED_AT_ONCE).execute(statement):
        yield Changed(*row)


# --- one keeper at a time


class KeeperLock:
    """Held by the keeper at work as long as its process and, on PostgreSQL, its connection live."""

    def __init__(self, engine: sa.Engine, shown: str) -> None:
        self._engine = engine
        self._shown = shown
        self._connection: sa.Connection | None = None
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Take it, or make sure that it is still held; whether it is. Raises StoreUnavailable."""
        return self._take_file() if self._engine.dialect.name == "sqlite" else self._take_advisory()

    def _take_file(self) -> bool:
        if self._file is None:
            path = Path(f"{self._engine.url.database}.keeper")
            try:
                # No one else opens this file, and the system lets go of the lock when the process ends, however it ends.
                self._file = path.open("ab")
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.release()
            except OSError as error:
                self.release()
                raise StoreUnavailable(f"store {self._shown}: {path} cannot be locked: {error}") from error
        return self._file is not None

    def _take_advisory(self) -> bool:
        if self._connection is not None:
            try:
                self._connection.execute(sa.text("SELECT 1"))
                return True
            except sa.exc.DBAPIError:
                self.release()
                return False
        with transaction(self._engine, self._shown):
            pass  # tells by an error of ours that the server is gone
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            held = bool(connection.scalar(sa.text(f"SELECT pg_try_advisory_lock({_LOCK})")))
        except sa.exc.DBAPIError as error:
            connection.close()
            raise StoreUnavailable(f"store {self._shown}: {type(error).__name__}") from error
        if held:
            self._connection = connection
        else:
            connection.close()
        return held

    def release(self) -> None:
        """Let others have it."""
        connection, self._connection = self._connection, None
        file, self._file = self._file, None
        if connection is not None:
            connection.invalidate()  # so that the server ends the session, and the lock with it
            connection.close()
        if file is not None:
            file.close()
