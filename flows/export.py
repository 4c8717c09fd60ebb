"""The flow `export`: the events of a day as a file, once a day; a run for a day gone by makes its file again."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_link_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from ingest.cli.common import Session
from ingest.export import Format, export_events
from ingest.storage import EventFilter
from models.errors import ConflictwireError

ARTIFACT = "conflictwire-export"
DAY = timedelta(days=1)
ENDINGS: dict[Format, str] = {
    "csv": "csv",
    "jsonl": "jsonl",
    "parquet": "parquet",
    "geojson": "geojson",
    "acled": "acled.csv",
    "cameo": "cameo.tsv",
}


# Twice more where the database or the disk has a bad minute: the next scheduled run would be for another day.
@flow(name="export", persist_result=False, retries=2, retry_delay_seconds=60, timeout_seconds=4 * 3600)
def export(format: Format = "csv", day: date | None = None, folder: str | None = None) -> State[Any]:
    """Write the events coded on `day` (UTC; yesterday if not given) to `folder` (`exports` in the data folder if not given).

    Each event in its current revision. The file is called by the day and appears when it is whole, so a run may be
    repeated. Ends Failed when the store cannot be reached or the file not be written.
    """
    session = Session()
    wanted = day or (datetime.now(UTC) - DAY).date()
    try:
        target = Path(folder) if folder else session.settings.data_dir / "exports"
        target.mkdir(parents=True, exist_ok=True)
        file = target / file_name(wanted, format)
        with session.store() as store:
            written, left_out = export_events(store.events(of_day(wanted), newest_first=False), format, os.fspath(file))
    except (ConflictwireError, OSError) as error:
        return Failed(message=" ".join(str(error).split()))
    said = f"{written} events of {wanted} written to {file}" + (f"; {left_out} left out" if left_out else "")
    get_run_logger().info(said)
    create_link_artifact(link=file.absolute().as_uri(), key=ARTIFACT, description=said)
    return Completed(message=said)


def file_name(day: date, format: Format) -> str:
    """Such as `events-2026-11-27.csv`."""
    return f"events-{day.isoformat()}.{ENDINGS[format]}"


def of_day(day: date) -> EventFilter:
    """The events coded between midnight and midnight, UTC."""
    begin = datetime.combine(day, time(), UTC)
    return EventFilter(since=begin, until=begin + DAY)
