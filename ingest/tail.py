"""Following the topic `events`: committed records only, filtered, until all is read or somebody stops it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ingest.errors import RecordError
from ingest.records import EventRecord, parse_event

if TYPE_CHECKING:
    from ingest.broker import Reader, Record

_BATCH = 500
_POLL_SECONDS = 0.25


def read_events(
    reader: Reader,
    wanted: Callable[[EventRecord], bool],
    *,
    follow: bool,
    stopped: Callable[[], bool] = lambda: False,
    on_unreadable: Callable[[Record, RecordError], None],
) -> Iterator[list[EventRecord]]:
    """The events that are `wanted`, batch by batch as they arrive; a batch may be empty.

    Ends when `stopped()`, asked about four times a second, or, without `follow`, when all that was committed at the
    opening of the reader is read. A record that is no event goes to `on_unreadable` and is passed over.
    Raises BrokerUnavailable.
    """
    while not stopped():
        records = reader.poll(_BATCH, _POLL_SECONDS)
        batch = []
        for record in records:
            try:
                event = parse_event(record.value)
            except RecordError as error:
                on_unreadable(record, error)
                continue
            if wanted(event):
                batch.append(event)
        yield batch
        if not follow and reader.at_end():
            return
