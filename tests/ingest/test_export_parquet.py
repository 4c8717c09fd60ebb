"""Parquet: the columns with their types, whole files, and a clear word where pyarrow is missing."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas
import pyarrow
import pytest
from pyarrow import parquet

from ingest.export import Exported, export_events
from ingest.export import parquet as ours
from ingest.export.columns import COLUMNS
from ingest.export.parquet import write_parquet
from ingest.records import EventRecord
from models.errors import ConflictwireError
from models.events import Actor, EventDate
from tests.ingest.command import ROOT, record
from tests.ingest.storage.samples import BARE, EVENT, NOON

PERSON = pyarrow.struct(
    [
        ("text", pyarrow.string()),
        ("country", pyarrow.string()),
        ("sector", pyarrow.string()),
        ("confidence", pyarrow.float64()),
    ]
)


def table(*events: EventRecord) -> pyarrow.Table:
    file = io.BytesIO()
    write_parquet(events, file)
    return parquet.read_table(io.BytesIO(file.getvalue()))


def test_columns_are_those_of_the_csv_with_people_in_lists() -> None:
    names = [column.name for column in COLUMNS]
    spread = {"actor_countries", "actor_sectors", "recipient_countries", "recipient_sectors"}
    assert table(record()).column_names == [name for name in names if name not in spread]


@pytest.mark.parametrize(
    ("name", "type"),
    [
        ("event_id", pyarrow.string()),
        ("revision", pyarrow.int64()),
        ("modes", pyarrow.list_(pyarrow.string())),
        ("intensity", pyarrow.float64()),
        ("actors", pyarrow.list_(PERSON)),
        ("recipients", pyarrow.list_(PERSON)),
        ("lat", pyarrow.float64()),
        ("geonames_id", pyarrow.int64()),
        ("date_earliest", pyarrow.date32()),
        ("dead_max", pyarrow.int64()),
        ("claimed_by", pyarrow.list_(pyarrow.string())),
        ("coded", pyarrow.timestamp("ms", tz="UTC")),
        ("published", pyarrow.timestamp("ms", tz="UTC")),
    ],
)
@pytest.mark.parametrize("events", [[], [record(BARE, published=None)], [record()]])
def test_columns_have_their_types_whatever_is_known(
    name: str, type: pyarrow.DataType, events: list[EventRecord]
) -> None:
    assert table(*events).schema.field(name).type == type


def test_values_come_back() -> None:
    second = Actor("militia", 3, 5, "text", country="IRQ", sector=None, confidence=0.5)
    (row,) = table(record(replace(EVENT, actors=(*EVENT.actors, second)))).to_pylist()
    assert row["actors"] == [
        {"text": "Rebels", "country": "SYR", "sector": "REB", "confidence": 0.8},
        {"text": "militia", "country": "IRQ", "sector": None, "confidence": 0.5},
    ]
    assert row["date_earliest"] == date(2026, 11, 23)
    assert row["coded"] == NOON
    assert (row["dead_min"], row["dead_max"]) == (12, None)
    assert row["modes"] == ["bombing"]


def test_unknown_values_are_null_and_lists_empty() -> None:
    (row,) = table(record(BARE, published=None)).to_pylist()
    assert row["actors"] == row["modes"] == row["claimed_by"] == []
    assert [row[name] for name in ("lat", "country", "date_earliest", "dead_min", "published")] == [None] * 5


def test_a_date_that_is_no_day_is_null() -> None:
    (row,) = table(record(replace(EVENT, date=EventDate("2014", 0, 4, "text", "2014", None)))).to_pylist()
    assert row["date_text"] == "2014"
    assert row["date_earliest"] is None


def test_half_a_surrogate_pair_does_not_cost_the_file() -> None:
    assert table(record(title="a\ud800b")).to_pylist()[0]["title"] == "a?b"


def test_files_are_compressed_and_come_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_GROUP", 2)
    file = io.BytesIO()
    write_parquet([record()] * 5, file)
    written = parquet.ParquetFile(io.BytesIO(file.getvalue()))
    assert [written.metadata.row_group(nth).num_rows for nth in range(written.num_row_groups)] == [2, 2, 1]
    assert written.metadata.row_group(0).column(0).compression == "ZSTD"


def test_pandas_reads_the_file(tmp_path: Path) -> None:
    target = tmp_path / "events.parquet"
    assert export_events([record(), record(BARE)], "parquet", str(target)) == Exported(2, 0)
    frame = pandas.read_parquet(target)
    assert list(frame["cameo"]) == ["183", "14"]
    assert frame["lat"].dtype.kind == "f"
    assert frame["coded"].dt.year.tolist() == [2026, 2026]


def test_a_file_that_breaks_off_does_not_appear(tmp_path: Path) -> None:
    def broken() -> Iterator[EventRecord]:
        yield record()
        raise ConnectionError("the database went away")

    with pytest.raises(ConnectionError):
        export_events(broken(), "parquet", str(tmp_path / "events.parquet"))
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_can_take_it() -> None:
    code = (
        "from ingest.export import export_events\n"
        "from tests.ingest.command import record\n"
        "export_events([record()], 'parquet', '-')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert parquet.read_table(io.BytesIO(done.stdout)).num_rows == 1


def test_without_pyarrow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConflictwireError, match="pip install pyarrow"):
        export_events([record()], "parquet", str(tmp_path / "events.parquet"))
    assert list(tmp_path.iterdir()) == []


def test_pyarrow_is_not_imported_for_the_other_formats() -> None:
    code = "import sys, ingest.export; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
