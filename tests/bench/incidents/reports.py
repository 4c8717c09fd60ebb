"""The invented reports, their events, and which event stands for a report."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from models import Coder, Event
from models.incidents import Told

FOLDER = Path(__file__).parent
HALVES = ("dev", "check")
Row = dict[str, Any]


@dataclass(frozen=True)
class Half:
    """The reports of a half, in order of publication, and their events."""

    rows: list[Row]
    events: list[list[Event]]


def rows(half: str) -> list[Row]:
    """The reports of a half as written."""
    return [json.loads(line) for line in (FOLDER / f"{half}.jsonl").read_text(encoding="utf-8").splitlines()]


def coded(profile: str, cache: Path | None) -> dict[str, Half]:
    """Both halves with their events, from `cache` where that holds those of the very same reports."""
    written = {half: rows(half) for half in HALVES}
    if cache and cache.exists():
        held: dict[str, Half] = pickle.loads(cache.read_bytes())
        if {half: each.rows for half, each in held.items()} == written:
            return held
    coder = Coder.load(profile="fast" if profile == "fast" else "accurate")
    found = {half: Half(each, list(coder.code_many(each))) for half, each in written.items()}
    if cache:
        cache.write_bytes(pickle.dumps(found))
    return found


def told(half: Half) -> list[Told]:
    """The events in the order in which they arrive; those of withdrawn reports come a second time, retracted."""
    arriving: list[tuple[datetime, int, Told]] = []
    for row, events in zip(half.rows, half.events, strict=True):
        published = datetime.fromisoformat(row["published"])
        for number, event in enumerate(events):
            name, report = f"{row['report']}#{number}", row["report"]
            first = Told(
                name, 1, "new", report, 1, row["publisher"], row["syndication_id"], published, published, event
            )
            arriving.append((published, len(arriving), first))
            if row.get("withdrawn"):
                when = datetime.fromisoformat(row["withdrawn"])
                again = replace(first, revision=2, status="retracted", coded=when)
                arriving.append((when, len(arriving), again))
    return [each for *_, each in sorted(arriving, key=lambda one: one[:2])]


def main_event(row: Row, events: Sequence[Event]) -> int | None:
    """Which event stands for the report, None where none of its type was found."""

    def fullness(number: int) -> tuple[int, int]:
        event = events[number]
        dated = event.date is not None and event.date.earliest is not None
        placed = event.location is not None and event.location.country is not None
        return sum(map(bool, (placed, dated, event.actors, event.recipients, event.dead))), -number

    fitting = [at for at, event in enumerate(events) if event.type in row["types"]]
    actual = [at for at in fitting if events[at].realis in ("actual", "historical")]
    return max(actual, key=fullness, default=None)
