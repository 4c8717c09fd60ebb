"""The flat columns of an event: those of the CSV, of GeoJSON's properties and, typed, of Parquet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from ingest.records import EventRecord, format_time
from models.events import Actor, Span

Cell = str | int | float | None
Kind = Literal["text", "texts", "integer", "number", "day", "time"]
Value = Cell | datetime | Sequence[str | None]

# A spreadsheet takes a cell that starts so for a formula, and attackers may write the headlines that we export.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, what it holds, how it is taken from an event, and what kind of value that is."""

    name: str
    meaning: str
    value: Callable[[EventRecord], Value]
    kind: Kind = "text"

    def cell(self, event: EventRecord) -> Cell:
        """The value as one text or number: lists joined by `; `, times as RFC 3339."""
        value = self.value(event)
        if isinstance(value, datetime):
            return format_time(value)
        return value if value is None or isinstance(value, str | int | float) else joined(value)


def joined(values: Iterable[str | None]) -> str:
    """`values` in one cell."""
    return "; ".join(value or "" for value in values)


def csv_cell(value: Cell) -> Cell:
    """`value` fit for a spreadsheet: text that would be taken for a formula gets a leading `'`; numbers stay numbers.

    So does text that would be taken for such once one `'` is cut off, so that cutting one off gives the text back.
    """
    if isinstance(value, str) and value.lstrip("'").startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def day(written: str | None) -> date | None:
    """The day that an ISO 8601 date names, None where it names none."""
    try:
        return date.fromisoformat(written or "")
    except ValueError:
        return None


def _actor_columns(role: str, who: str, actors: Callable[[EventRecord], Sequence[Actor]]) -> list[Column]:
    names = f"{who}, as the text names them, joined by `; `"
    order = "in the same order"
    return [
        Column(f"{role}s", names, lambda e: [a.text for a in actors(e)], "texts"),
        Column(f"{role}_countries", f"their countries, {order}", lambda e: [a.country for a in actors(e)], "texts"),
        Column(f"{role}_sectors", f"their sectors, {order}", lambda e: [a.sector for a in actors(e)], "texts"),
    ]


def _text(span: Span | None) -> str | None:
    return span.text if span else None


COLUMNS: tuple[Column, ...] = (
    Column("event_id", "the event's id", lambda e: e.event_id),
    Column("revision", "its revision, from 1", lambda e: e.revision, "integer"),
    Column("status", "`new`, `updated` or `retracted`", lambda e: e.status),
    Column("type", "PLOVER type", lambda e: e.type),
    Column("quad", "quad class", lambda e: e.quad),
    Column("modes", "PLOVER modes, joined by `; `", lambda e: e.modes, "texts"),
    Column("intensity", "PLOVER score, -10 to 10", lambda e: e.intensity, "number"),
    Column("realis", "actual, historical, future, hypothetical or negated", lambda e: e.realis),
    Column("confidence", "calibrated, 0 to 1", lambda e: e.confidence, "number"),
    *_actor_columns("actor", "who acted", lambda e: e.actors),
    *_actor_columns("recipient", "to whom", lambda e: e.recipients),
    Column("place_text", "the place, as the text names it", lambda e: _text(e.location)),
    Column("place", "its name in the gazetteer", lambda e: e.location.name if e.location else None),
    Column("country", "its country, ISO 3166-1 alpha-3", lambda e: e.location.country if e.location else None),
    Column("admin1", "its first-order division", lambda e: e.location.admin1 if e.location else None),
    Column("lat", "WGS 84 degrees", lambda e: e.location.lat if e.location else None, "number"),
    Column("lon", "WGS 84 degrees", lambda e: e.location.lon if e.location else None, "number"),
    Column("geonames_id", "GeoNames' id", lambda e: e.location.geonames_id if e.location else None, "integer"),
    Column("precision", "place, admin1 or country", lambda e: e.location.precision if e.location else None),
    Column("date_text", "the date, as the text names it", lambda e: _text(e.date)),
    Column("date_earliest", "the first day it can mean", lambda e: e.date.earliest if e.date else None, "day"),
    Column("date_latest", "the last day it can mean", lambda e: e.date.latest if e.date else None, "day"),
    Column("dead_text", "the dead, as the text counts them", lambda e: _text(e.dead)),
    Column("dead_min", "at least so many", lambda e: e.dead.min if e.dead else None, "integer"),
    Column(
        "dead_max",
        "at most so many; empty where the text sets no bound",
        lambda e: e.dead.max if e.dead else None,
        "integer",
    ),
    Column("injured_text", "the injured, as the text counts them", lambda e: _text(e.injured)),
    Column("injured_min", "at least so many", lambda e: e.injured.min if e.injured else None, "integer"),
    Column("injured_max", "at most so many", lambda e: e.injured.max if e.injured else None, "integer"),
    Column("claimed_by", "whose word it is, joined by `; `", lambda e: [s.text for s in e.claimed_by], "texts"),
    Column("trigger", "the words that name the event", lambda e: e.trigger.text),
    Column("trigger_field", "`title` or `text`", lambda e: e.trigger.field),
    Column("trigger_start", "offset of its first code point in that field", lambda e: e.trigger.start, "integer"),
    Column("trigger_end", "offset after its last code point", lambda e: e.trigger.end, "integer"),
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
    Column("coded", "when it was coded, RFC 3339 UTC", lambda e: e.coded, "time"),
    Column("article_id", "the article's id", lambda e: e.article.article_id),
    Column("article_revision", "its revision", lambda e: e.article.revision, "integer"),
    Column("feed", "name of the feed", lambda e: e.article.feed),
    Column("url", "the article's address", lambda e: e.article.url),
    Column("title", "its headline", lambda e: e.article.title),
    Column("published", "when it was published", lambda e: e.article.published, "time"),
    Column("language", "its language, BCP 47", lambda e: e.article.language),
)
