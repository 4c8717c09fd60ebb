"""The export flow, run against a real Prefect server."""

from __future__ import annotations

import csv
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient

from flows import export as exporting
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article


@pytest.mark.parametrize(
    ("format", "name"),
    [
        ("csv", "events-2026-03-01.csv"),
        ("acled", "events-2026-03-01.acled.csv"),
        ("cameo", "events-2026-03-01.cameo.tsv"),
    ],
)
def test_a_file_is_called_by_its_day(format: exporting.Format, name: str) -> None:
    assert exporting.file_name(date(2026, 3, 1), format) == name


def test_a_day_ends_where_the_next_begins() -> None:
    first, second = exporting.of_day(date(2026, 2, 28)), exporting.of_day(date(2026, 3, 1))
    assert first.since == datetime(2026, 2, 28, tzinfo=UTC)
    assert first.until == second.since == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.prefect
def test_a_day_is_exported_again_in_place_and_a_day_without_events_is_a_header(
    prefect_client: SyncPrefectClient, embedded: Pipeline, tmp_path: Path
) -> None:
    embedded.publish([article(1), article(2)])
    embedded.work(KeywordCoder())
    events = embedded.stored()
    today = events[0].coded.date()
    for _ in range(2):
        state = exporting.export(day=today, return_state=True)
        assert state.is_completed(), state.message
    file = embedded.settings.data_dir / "exports" / f"events-{today}.csv"
    with file.open(newline="") as opened:
        assert {row["event_id"] for row in csv.DictReader(opened)} == {event.event_id for event in events}
    assert state.state_details.flow_run_id
    assert [path.name for path in file.parent.iterdir()] == [file.name], "no half file is left"

    other = tmp_path / "elsewhere"
    state = exporting.export(day=today - timedelta(days=3), folder=str(other), format="jsonl", return_state=True)
    assert state.is_completed()
    assert (other / f"events-{today - timedelta(days=3)}.jsonl").read_text() == ""


@pytest.mark.prefect
def test_a_folder_that_cannot_be_made_fails_the_run_with_the_reason(
    prefect_client: SyncPrefectClient, embedded: Pipeline, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    once = exporting.export.with_options(retries=0)
    state = once(folder=str(tmp_path / "file" / "below"), return_state=True)
    assert state.is_failed()
    assert "below" in (state.message or "")
