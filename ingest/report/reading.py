"""From the store to what a report counts. Everything is read as known at one time, so it belongs together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pydantic_core import from_json

from ingest.records import EventRecord, IncidentRecord, parse_event, parse_incident
from ingest.report.period import Asked, Window
from ingest.report.tallies import MAIN, Told, Totals, Week, happened
from ingest.storage import EventFilter, IncidentFilter, Store

_EARLY = timedelta(days=2)  # before its first report, in which no event of an incident can have been coded


@dataclass(frozen=True, slots=True)
class Found:
    """What the store has of what was asked: the weeks before, the weeks of the period, the period, and its main incidents
    with the events that they name."""

    asked: Asked
    before: list[Week]
    within: list[Week]
    totals: Totals
    told: Told
    main: list[tuple[IncidentRecord, dict[str, EventRecord]]] = field(default_factory=list)

    @property
    def period(self) -> Week:
        """The period as a whole."""
        return self.totals.week


def read(store: Store, asked: Asked, say: Callable[[str], object] = lambda _: None) -> Found:
    """What the report tells. Raises StoreUnavailable."""
    events = EventFilter(types=asked.types, countries=asked.countries, as_of=asked.as_of)
    say(f"counting the events of {asked.weeks} weeks and the period")
    before = [_week(store, events, window) for window in asked.before()]
    within = [_week(store, events, window) for window in asked.within()]
    found = Found(asked, before, within, Totals(_week(store, events, asked.period)), Told())
    say("reading the events of the period")
    for text in store.event_texts(_of(events, asked.period)):
        found.told.add(from_json(text))
    say("reading incidents")
    _incidents(store, found)
    found.totals.trim()
    found.main.extend(_main(store, found))
    return found


def _of(events: EventFilter, window: Window) -> EventFilter:
    return replace(events, published_since=window.start, published_until=window.end)


def _week(store: Store, events: EventFilter, window: Window) -> Week:
    week = Week(window)
    week.add_events(store.tally_events(_of(events, window)))
    # All that was read, whatever the filter: how much the feeds brought.
    everything = store.coverage(_of(EventFilter(as_of=events.as_of), window))
    week.articles, week.feeds = everything
    return week


def _incidents(store: Store, found: Found) -> None:
    asked = found.asked
    not_actual = store.not_actual(asked.start, asked.as_of)
    wanted = IncidentFilter(
        types=asked.types,
        countries=asked.countries,
        as_of=asked.as_of,
        since=asked.start,  # nothing is told before it is published
        reported_since=asked.start,
        reported_until=asked.period.end,
    )
    weeks = [*found.before, *found.within]
    days = {week.window.first + timedelta(days=day): week for week in weeks for day in range(week.window.days)}
    for text in store.incident_texts(wanted):
        record = from_json(text)
        day = datetime.fromisoformat(record["first_report"]).date()
        inside = day >= asked.period.first
        if not happened(record, not_actual):
            found.totals.not_happened += inside
            continue
        days[day].add_incident(record)
        if inside:
            found.totals.add(record, text)


def _main(store: Store, found: Found) -> list[tuple[IncidentRecord, dict[str, EventRecord]]]:
    records = [parse_incident(text.encode()) for _, text in found.totals.main[:MAIN]]
    if not records:
        return []
    pairs = [(report.event_id, report.revision) for record in records for report in record.reports]
    first = min(record.first_report for record in records) - _EARLY
    texts = store.event_records(pairs, first, found.asked.as_of)
    return [
        (
            record,
            {
                report.event_id: parse_event(texts[report.event_id, report.revision].encode())
                for report in record.reports
                if (report.event_id, report.revision) in texts
            },
        )
        for record in records
    ]
