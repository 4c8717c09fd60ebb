"""What a report counts: events by type, what the feeds brought, and records as text, in the order of nothing in particular."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import sqlalchemy as sa

from ingest.storage.incidents import select_incidents
from ingest.storage.queries import SAME_REVISION, known_at, within
from ingest.storage.tables import event_countries, events
from ingest.storage.values import EventFilter, IncidentFilter

_STREAMED_AT_ONCE = 2000  # rows


class Coverage(NamedTuple):
    """How many articles told events, and how many feeds they came from."""

    articles: int
    feeds: int


def tally_events(connection: sa.Connection, wanted: EventFilter) -> dict[tuple[str, str], int]:
    """How many events there are of each type and realis."""
    columns = (events.c.type, events.c.realis)
    rows = connection.execute(sa.select(*columns, sa.func.count()).where(*_tests(wanted)).group_by(*columns))
    return {(type_, realis): number for type_, realis, number in rows}


def coverage(connection: sa.Connection, wanted: EventFilter) -> Coverage:
    """What the events came from."""
    counts = (sa.func.count(column.distinct()) for column in (events.c.article_id, events.c.feed))
    return Coverage(*connection.execute(sa.select(*counts).where(*_tests(wanted))).one())


def read_event_texts(connection: sa.Connection, wanted: EventFilter) -> Iterator[str]:
    """The JSON of the events; a stream."""
    statement = sa.select(events.c.record).where(*_tests(wanted))
    yield from connection.execution_options(yield_per=_STREAMED_AT_ONCE).execute(statement).scalars()


def read_not_actual(connection: sa.Connection, since: datetime, as_of: datetime) -> set[str]:
    """The ids of the events that did not happen, or long ago: of articles published since then, or at no known time."""
    kinds = (events.c.realis != "actual", *known_at(as_of))
    found: set[str] = set()
    for published in (events.c.published >= since, events.c.published.is_(None)):
        statement = sa.select(events.c.event_id).where(published, *kinds)
        found.update(connection.execution_options(yield_per=_STREAMED_AT_ONCE).execute(statement).scalars())
    return found


def read_incident_texts(connection: sa.Connection, wanted: IncidentFilter) -> Iterator[str]:
    """The JSON of the incidents; a stream."""
    rows = connection.execution_options(yield_per=_STREAMED_AT_ONCE).execute(select_incidents(wanted, None))
    # One of several of the countries comes once for each, one after the other.
    for _, same in groupby(rows, key=itemgetter(1, 2)):
        yield next(same)[0]


def _tests(wanted: EventFilter) -> list[sa.ColumnElement[bool]]:
    """Those filters of `wanted` that a report has: published, types, countries, as_of; retracted ones never pass."""
    tests = [
        events.c.status != "retracted",
        *within(events.c.published, wanted.published_since, wanted.published_until),
    ]
    tests += [events.c.superseded.is_(None)] if wanted.as_of is None else known_at(wanted.as_of)
    if wanted.types:
        tests.append(events.c.type.in_(wanted.types))
    if wanted.countries:
        named = sa.select(event_countries.c.event_id).where(
            event_countries.c.country.in_(wanted.countries), SAME_REVISION
        )
        tests.append(named.correlate(events).exists())
    return tests
