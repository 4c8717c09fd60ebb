"""Events as files for R, pandas and spreadsheets: JSON lines, which keep everything, and CSV, one flat row an event."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from ingest.records import EventRecord, format_time
from models.events import Actor, Span

Format = Literal["csv", "jsonl"]
Cell = str | int | float | None

# A spreadsheet takes a cell that starts so for a formula, and attackers may write the headlines that we export.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the CSV: its name, what it holds, and how it is taken from an event."""

    name: str
    meaning: str
    value: Callable[[EventRecord], Cell]


def _joined(values: Iterable[str | None]) -> str:
    return "; ".join(value or "" for value in values)


def _actor_columns(role: str, who: str, actors: Callable[[EventRecord], Sequence[Actor]]) -> list[Column]:
    return [
        Column(
            f"{role}s", f"{who}, as the text names them, joined by `; `", lambda e: _joined(a.text for a in actors(e))
        ),
        Column(
            f"{role}_countries", "their countries, in the same order", lambda e: _joined(a.country for a in actors(e))
        ),
        Column(f"{role}_sectors", "their sectors, in the same order", lambda e: _joined(a.sector for a in actors(e))),
    ]


def _text(span: Span | None) -> str | None:
    return span.text if span else None


COLUMNS: tuple[Column, ...] = (
    Column("event_id", "the event's id", lambda e: e.event_id),
    Column("revision", "its revision, from 1", lambda e: e.revision),
    Column("status", "`new`, `updated` or `retracted`", lambda e: e.status),
    Column("type", "PLOVER type", lambda e: e.type),
    Column("quad", "quad class", lambda e: e.quad),
    Column("modes", "PLOVER modes, joined by `; `", lambda e: _joined(e.modes)),
    Column("intensity", "PLOVER score, -10 to 10", lambda e: e.intensity),
    Column("realis", "actual, historical, future, hypothetical or negated", lambda e: e.realis),
    Column("confidence", "calibrated, 0 to 1", lambda e: e.confidence),
    *_actor_columns("actor", "who acted", lambda e: e.actors),
    *_actor_columns("recipient", "to whom", lambda e: e.recipients),
    Column("place_text", "the place, as the text names it", lambda e: _text(e.location)),
    Column("place", "its name in the gazetteer", lambda e: e.location.name if e.location else None),
    Column("country", "its country, ISO 3166-1 alpha-3", lambda e: e.location.country if e.location else None),
    Column("admin1", "its first-order division", lambda e: e.location.admin1 if e.location else None),
    Column("lat", "WGS 84 degrees", lambda e: e.location.lat if e.location else None),
    Column("lon", "WGS 84 degrees", lambda e: e.location.lon if e.location else None),
    Column("geonames_id", "GeoNames' id", lambda e: e.location.geonames_id if e.location else None),
    Column("precision", "place, admin1 or country", lambda e: e.location.precision if e.location else None),
    Column("date_text", "the date, as the text names it", lambda e: _text(e.date)),
    Column("date_earliest", "the first day it can mean", lambda e: e.date.earliest if e.date else None),
    Column("date_latest", "the last day it can mean", lambda e: e.date.latest if e.date else None),
    Column("dead_text", "the dead, as the text counts them", lambda e: _text(e.dead)),
    Column("dead_min", "at least so many", lambda e: e.dead.min if e.dead else None),
    Column("dead_max", "at most so many; empty where the text sets no bound", lambda e: e.dead.max if e.dead else None),
    Column("injured_text", "the injured, as the text counts them", lambda e: _text(e.injured)),
    Column("injured_min", "at least so many", lambda e: e.injured.min if e.injured else None),
    Column("injured_max", "at most so many", lambda e: e.injured.max if e.injured else None),
    Column("claimed_by", "whose word it is, joined by `; `", lambda e: _joined(s.text for s in e.claimed_by)),
    Column("trigger", "the words that name the event", lambda e: e.trigger.text),
    Column("trigger_field", "`title` or `text`", lambda e: e.trigger.field),
    Column("trigger_start", "offset of its first code point in that field", lambda e: e.trigger.start),
    Column("trigger_end", "offset after its last code point", lambda e: e.trigger.end),
    Column("sentence", "the sentence", lambda e: e.sentence.text),
    Column("plover", "PLOVER code", lambda e: e.codes.plover),
    Column("cameo", "CAMEO code: text, for its leading zero", lambda e: e.codes.cameo),
    Column("acled_event_type", "ACLED event type", lambda e: e.codes.acled.event_type if e.codes.acled else None),
    Column(
        "acled_sub_event_type", "ACLED sub-event", lambda e: e.codes.acled.sub_event_type if e.codes.acled else None
    ),
    Column("crosswalk", "version of the crosswalk", lambda e: e.crosswalk),
    Column("model", "name of the model", lambda e: e.model.name),
    Column("model_version", "its version", lambda e: e.model.version),
    Column("coded", "when it was coded, RFC 3339 UTC", lambda e: format_time(e.coded)),
    Column("article_id", "the article's id", lambda e: e.article.article_id),
    Column("article_revision", "its revision", lambda e: e.article.revision),
    Column("feed", "name of the feed", lambda e: e.article.feed),
    Column("url", "the article's address", lambda e: e.article.url),
    Column("title", "its headline", lambda e: e.article.title),
    Column(
        "published",
        "when it was published",
        lambda e: format_time(e.article.published) if e.article.published else None,
    ),
    Column("language", "its language, BCP 47", lambda e: e.article.language),
)


def csv_cell(value: Cell) -> Cell:
    """`value` fit for a spreadsheet: text that would be taken for a formula gets a leading `'`; numbers stay numbers."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def csv_lines(events: Iterable[EventRecord]) -> Iterator[bytes]:
    """The header and one row an event, UTF-8, ended by LF."""
    yield _csv_line([column.name for column in COLUMNS])
    for event in events:
        yield _csv_line([csv_cell(column.value(event)) for column in COLUMNS])


def _csv_line(row: Sequence[Cell]) -> bytes:
    line = io.StringIO()
    # The writer quotes what holds a character of its line terminator, and readers take a bare CR for one.
    csv.writer(line, lineterminator="\r\n").writerow(row)
    return line.getvalue().removesuffix("\r\n").encode("utf-8", "replace") + b"\n"


def jsonl_lines(events: Iterable[EventRecord]) -> Iterator[bytes]:
    """One event record a line, UTF-8."""
    return (event.to_json() + b"\n" for event in events)


def export_events(events: Iterable[EventRecord], format: Format, target: str) -> int:
    """Write `events` to the file `target` (`-`: standard output) and return how many they were.

    A file appears under its name only when it is whole; until then what was there before stays.
    Raises OSError when it cannot be written.
    """
    count = 0

    def counted() -> Iterator[EventRecord]:
        nonlocal count
        for event in events:
            count += 1
            yield event

    lines = csv_lines(counted()) if format == "csv" else jsonl_lines(counted())
    with _opened(target) as file:
        file.writelines(lines)
    return count


@contextmanager
def _opened(target: str) -> Iterator[BinaryIO]:
    path = Path(target)
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
        with path.open("wb") as file:
            yield file
    else:
        half = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with half.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            half.replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                half.unlink()
            raise
