"""The formats that are lines of text: CSV, JSON lines and GeoJSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence

from ingest.export.columns import COLUMNS, Cell, csv_cell
from ingest.records import EventRecord


def csv_lines(events: Iterable[EventRecord]) -> Iterator[bytes]:
    """The header and one row an event, UTF-8, ended by LF."""
    yield csv_line([column.name for column in COLUMNS])
    for event in events:
        yield csv_line([column.cell(event) for column in COLUMNS])


def csv_line(row: Sequence[Cell]) -> bytes:
    """One row, its texts made safe for spreadsheets."""
    line = io.StringIO()
    # The writer quotes what holds a character of its line terminator, and readers take a bare CR for one.
    # Text is always quoted: a spreadsheet that also splits at `;` would find a formula in the midst of it.
    mixed = any(isinstance(value, str) and ";" in value for value in row)
    writer = csv.writer(line, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC if mixed else csv.QUOTE_MINIMAL)
    writer.writerow([csv_cell(value) for value in row])
    return line.getvalue().removesuffix("\r\n").encode("utf-8", "replace") + b"\n"


def jsonl_lines(events: Iterable[EventRecord]) -> Iterator[bytes]:
    """One event record a line, UTF-8."""
    return (event.to_json() + b"\n" for event in events)


def geojson_lines(events: Iterable[EventRecord]) -> Iterator[bytes]:
    """A FeatureCollection as in RFC 7946, one feature a line: a point, or no geometry where there are no coordinates."""
    yield b'{"type": "FeatureCollection", "features": ['
    before = b"\n"
    for event in events:
        place = event.location
        known = place is not None and place.lat is not None and place.lon is not None
        feature = {
            "type": "Feature",
            "id": event.event_id,
            "geometry": {"type": "Point", "coordinates": [place.lon, place.lat]} if place and known else None,
            "properties": {column.name: column.cell(event) for column in COLUMNS},
        }
        yield before + json.dumps(feature, ensure_ascii=False).encode("utf-8", "replace")
        before = b",\n"
    yield b"\n]}\n"
