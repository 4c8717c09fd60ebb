"""What was told, with the records and what their reports say, as the store has them."""

from __future__ import annotations

from collections.abc import Sequence

from ingest.alerts.words import Shown
from ingest.records import parse_event, parse_incident
from ingest.storage import Item, Store


def shown(store: Store, items: Sequence[Item]) -> list[Shown]:
    """The items with their records and what the reports say; without those that are gone from the store."""
    texts = store.incident_records((item.incident_id, item.revision) for item in items)
    records = {name: parse_incident(text.encode()) for name, text in texts.items()}
    told = store.current_events({report.event_id for record in records.values() for report in record.reports})
    events = {name: parse_event(text.encode()) for name, text in told.items()}
    return [
        Shown(records[item.incident_id, item.revision], item.change, item.why, events)
        for item in items
        if (item.incident_id, item.revision) in records
    ]
