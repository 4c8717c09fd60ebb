"""Export: whole files or none, flat columns, nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.export import Exported, export_events
from ingest.export.columns import COLUMNS, csv_cell
from ingest.export.lines import csv_lines, geojson_lines, jsonl_lines
from ingest.records import EventRecord, parse_event
from ingest.storage import Store
from models.events import Actor
from tests.ingest.command import call, record, with_words
from tests.ingest.storage.samples import BARE, EVENT, article, coding


def rows(*events: EventRecord) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(csv_lines(events)).decode(), newline="")))


def test_a_row_holds_the_event_in_flat_columns() -> None:
    second = Actor("militia", 3, 5, "text", country="IRQ", sector=None)
    (row,) = rows(record(replace(EVENT, actors=(*EVENT.actors, second))))
    assert list(row) == [column.name for column in COLUMNS]
    assert row["type"] == "ASSAULT"
    assert row["actors"] == "Rebels; militia"
    assert row["actor_countries"] == "SYR; IRQ"
    assert row["actor_sectors"] == "REB; "
    assert (row["lat"], row["lon"], row["geonames_id"]) == ("36.33", "43.13", "99072")
    assert (row["dead_min"], row["dead_max"], row["injured_min"]) == ("12", "", "")
    assert row["intensity"] == "-9.5"
    assert row["acled_sub_event_type"] == "Remote explosive/IED"
    assert row["published"] == "2026-11-24T11:00:00.000Z"


def test_an_event_without_arguments_has_empty_cells() -> None:
    (row,) = rows(record(BARE, published=None, language=None))
    for name in ("actors", "place", "country", "lat", "dead_min", "acled_event_type", "published", "language"):
        assert row[name] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_text_can_become_a_formula(start: str) -> None:
    formula = f'{start}HYPERLINK("http://evil.example")'
    (row,) = rows(record(with_words(sentence=formula, actor=formula), title=formula, feed=formula))
    for name in ("sentence", "actors", "title", "feed"):
        assert row[name] == "'" + formula


@pytest.mark.parametrize("number", [-9.5, -1, 0, 12])
def test_numbers_stay_numbers(number: float) -> None:
    assert csv_cell(number) is number


@given(st.text())
def test_any_text_survives_the_csv_as_one_cell(text: str) -> None:
    (row,) = rows(record(title=text.replace("\x00", "")))
    assert (
        row["title"].removeprefix("'") == text.replace("\x00", "").removeprefix("'").encode("utf-8", "replace").decode()
    )


def test_pandas_reads_the_csv() -> None:
    table = pandas.read_csv(io.BytesIO(b"".join(csv_lines([record(), record(BARE)]))), dtype={"cameo": str})
    assert list(table["type"]) == ["ASSAULT", "PROTEST"]
    assert list(table["cameo"]) == ["183", "14"]
    assert table["lat"].dtype.kind == "f"


def test_json_lines_keep_everything() -> None:
    events = [record(), record(BARE)]
    assert [parse_event(line) for line in jsonl_lines(events)] == events


def test_geojson_is_a_collection_of_points_with_the_columns_as_properties() -> None:
    whole = json.loads(b"".join(geojson_lines([record(), record(BARE, published=None)])))
    assert list(whole) == ["type", "features"]
    assert whole["type"] == "FeatureCollection"
    market, protest = whole["features"]
    assert {each["type"] for each in whole["features"]} == {"Feature"}
    assert market["id"] == market["properties"]["event_id"]
    assert market["geometry"] == {"type": "Point", "coordinates": [43.13, 36.33]}
    assert list(market["properties"]) == [column.name for column in COLUMNS]
    assert market["properties"]["dead_min"] == 12
    assert market["properties"]["actor_countries"] == "SYR"
    assert protest["geometry"] is None
    assert protest["properties"]["published"] is None


@pytest.mark.parametrize("lat", [None, 0.0])
def test_a_place_on_the_equator_is_a_place_and_half_a_coordinate_is_none(lat: float | None) -> None:
    assert EVENT.location is not None
    event = replace(EVENT, location=replace(EVENT.location, lat=lat))
    (feature,) = json.loads(b"".join(geojson_lines([record(event)])))["features"]
    assert (feature["geometry"] is None) == (lat is None)


def test_no_events_are_an_empty_collection() -> None:
    assert json.loads(b"".join(geojson_lines([]))) == {"type": "FeatureCollection", "features": []}


@given(st.text())
def test_any_text_survives_geojson(text: str) -> None:
    (feature,) = json.loads(b"".join(geojson_lines([record(title=text)])))["features"]
    expected = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    assert feature["properties"]["title"] == expected


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "events.csv"
    target.write_text("what was there before")

    def broken() -> Iterator[EventRecord]:
        yield record()
        raise ConnectionError("the database went away")

    with pytest.raises(ConnectionError):
        export_events(broken(), "csv", str(target))
    assert target.read_text() == "what was there before"
    assert list(tmp_path.iterdir()) == [target]
    assert export_events([record()], "csv", str(target)) == Exported(1, 0)
    assert target.read_text().startswith("event_id,")
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_gets_the_rights_that_any_new_file_gets(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    export_events([], "jsonl", str(tmp_path / "events.jsonl"))
    assert (tmp_path / "events.jsonl").stat().st_mode == other.stat().st_mode


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder whose store holds three events of two articles."""
    store = Store.open(f"sqlite:///{tmp_path / 'conflictwire.db'}")
    store.apply([coding(1, article("a"), EVENT, BARE), coding(2, article("b", feed="other"), EVENT)])
    store.close()
    return tmp_path


def test_the_store_can_be_exported_with_filters(data: Path) -> None:
    file = data / "out.jsonl"
    answer = call("export", "--format", "jsonl", "--type", "assault", "--feed", "other", file, "--data-dir", data)
    assert answer.code == 0, answer.err
    assert answer.out == ""
    (line,) = file.read_text().splitlines()
    assert json.loads(line)["article"]["article_id"] == "b"


def test_several_feeds_let_any_of_them_pass(data: Path) -> None:
    both = call("export", "--format", "csv", "--feed", "other", "--feed", "wire", "-", "--data-dir", data)
    assert len(both.lines) == 4
    assert "3 events written to standard output" in both.err


def test_a_place_that_cannot_be_written_is_wrong_usage(data: Path) -> None:
    answer = call("export", "--format", "csv", data / "missing" / "out.csv", "--data-dir", data)
    assert answer.code == 2
    assert "does not exist" in answer.err
    assert call("export", "--format", "xlsx", data / "out", "--data-dir", data).code == 2


@pytest.mark.parametrize("format", ["csv", "jsonl", "parquet", "geojson", "acled", "cameo"])
def test_every_format_can_be_written_from_the_command_line(data: Path, format: str) -> None:
    answer = call("export", "--format", format, data / "out", "--data-dir", data)
    assert answer.code == 0, answer.err
    assert (data / "out").stat().st_size > 0
    # One of the three is announced only.
    assert ("2 events written" in answer.err) == (format in ("acled", "cameo"))
    assert ("1 left out" in answer.err) == (format in ("acled", "cameo"))
