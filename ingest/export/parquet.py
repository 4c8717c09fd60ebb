"""Parquet: the columns of the CSV with their types, and actors and recipients each as one list of structures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, BinaryIO

from ingest.export.columns import COLUMNS, Column, Value, day
from ingest.records import EventRecord
from models.errors import ConflictwireError
from models.events import Actor

# One group of rows is held in memory at a time; so many make some megabytes.
_GROUP = 10_000

PEOPLE = ("actors", "recipients")
_SPREAD = tuple(f"{role[:-1]}_{what}" for role in PEOPLE for what in ("countries", "sectors"))
PARQUET_COLUMNS: tuple[Column, ...] = tuple(column for column in COLUMNS if column.name not in _SPREAD)


def write_parquet(events: Iterable[EventRecord], file: BinaryIO) -> None:
    """Write `events` to `file`, compressed with zstd. Raises ConflictwireError where pyarrow is not installed."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ConflictwireError("Parquet needs the package pyarrow: install it with `pip install pyarrow`") from error
    person = pa.struct(
        [("text", pa.string()), ("country", pa.string()), ("sector", pa.string()), ("confidence", pa.float64())]
    )
    kinds = {
        "text": pa.string(),
        "texts": pa.list_(pa.string()),
        "integer": pa.int64(),
        "number": pa.float64(),
        "day": pa.date32(),
        "time": pa.timestamp("ms", tz="UTC"),
    }
    types = [pa.list_(person) if column.name in PEOPLE else kinds[column.kind] for column in PARQUET_COLUMNS]
    schema = pa.schema(list(zip([column.name for column in PARQUET_COLUMNS], types, strict=True)))
    rest = iter(events)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(rest, _GROUP)):
            writer.write_batch(pa.RecordBatch.from_pylist([_row(event) for event in group], schema=schema))


def _row(event: EventRecord) -> dict[str, Any]:
    row = {column.name: _typed(column, column.value(event)) for column in PARQUET_COLUMNS}
    return row | {"actors": _people(event.actors), "recipients": _people(event.recipients)}


def _people(actors: Sequence[Actor]) -> list[dict[str, Any]]:
    return [
        {"text": _clean(a.text), "country": a.country, "sector": a.sector, "confidence": a.confidence} for a in actors
    ]


def _typed(column: Column, value: Value) -> Any:
    if isinstance(value, str):
        return day(value) if column.kind == "day" else _clean(value)
    if column.kind == "texts" and isinstance(value, Sequence):
        return [_clean(each or "") for each in value]
    return value


def _clean(text: str) -> str:
    # Half of a surrogate pair has no UTF-8, and Arrow would refuse the whole file for it.
    return text.encode("utf-8", "replace").decode()
