"""What is told of an incident, when a message is due, and what an attempt came to. Pure."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from ingest.records import IncidentRecord
from ingest.storage.alerts import Alert, Change, Told

LEVELS = (2, 3, 5, 10, 20, 50)
"""Numbers of independent sources that are news when they are reached."""
MAIL_GAP = 60.0
"""Seconds between two messages of an alert that sends e-mail at once: what comes in between is in the next one."""
GIVE_UP = timedelta(hours=24)
"""The age of a message at which no further attempt is made."""
_FIRST_DELAY, _LONGEST_DELAY = 5.0, 3600.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FINAL = range(400, 500)
_AGAIN = (408, 425, 429)
_GONE = 410

Outcome = Literal["sent", "again", "refused"]


@dataclass(frozen=True, slots=True)
class News:
    """That an incident is to be told, as what, and the fields that have changed or the reason for its withdrawal."""

    change: Change
    why: tuple[str, ...] = ()


def _level(record: IncidentRecord) -> int:
    return bisect_right(LEVELS, record.sources)


def _place(record: IncidentRecord) -> Any:
    return (record.place.value.name, record.place.value.country) if record.place else record.countries


# What a reader cares about; each tells whether it differs between two revisions.
_FIELDS: dict[str, Callable[[IncidentRecord, IncidentRecord], bool]] = {
    "status": lambda before, after: before.status != after.status,
    "sources": lambda before, after: _level(before) < _level(after),
    "type": lambda before, after: before.type.value != after.type.value,
    "place": lambda before, after: _place(before) != _place(after),
    "dead": lambda before, after: (before.dead and before.dead.value) != (after.dead and after.dead.value),
    "injured": lambda before, after: (
        (before.injured and before.injured.value) != (after.injured and after.injured.value)
    ),
}


def changed(before: IncidentRecord, after: IncidentRecord) -> tuple[str, ...]:
    """The fields whose change is news: status, type, place, the dead, the injured, and a level of sources reached."""
    return tuple(name for name, differs in _FIELDS.items() if differs(before, after))


def news(told: Told | None, before: IncidentRecord | None, after: IncidentRecord, passes: bool) -> News | None:
    """What is to be told of an incident that is `after` now and `passes` the filter or not; None for nothing.

    `told` is what was told of it last, in the revision `before`; both are None where nothing was.
    """
    known = told is not None and told.change != "withdrawn"
    if passes:
        if not known or before is None:
            return News("new")
        differing = changed(before, after)
        return News("updated", differing) if differing else None
    if not known:
        return None
    if after.kind == "merged_into":
        return News("withdrawn", ("merged",))
    return News("withdrawn", ("retracted" if after.status == "retracted" else "filter",))


def next_look(alert: Alert, now: datetime, made: bool) -> datetime | None:
    """When an alert is to be looked at after `now`; None for at once. `made` is whether it has just made a message.

    Digests are made at the full period in UTC: each hour at the hour, each day at midnight.
    """
    if alert.every is not None:
        return _EPOCH + timedelta(seconds=((now - _EPOCH).total_seconds() // alert.every + 1) * alert.every)
    return now + timedelta(seconds=MAIL_GAP) if made and alert.channel == "email" else None


def answered(status: int) -> Outcome:
    """What an HTTP status of a webhook means. Redirects are not followed: the answer may change."""
    if 200 <= status < 300:
        return "sent"
    return "refused" if status in _FINAL and status not in _AGAIN else "again"


def is_gone(status: int | None) -> bool:
    """Whether a receiver says that it wants no further messages (Standard Webhooks: 410)."""
    return status == _GONE


def next_attempt(
    created: datetime, now: datetime, attempts: int, chance: float, asked: float | None = None
) -> datetime | None:
    """When to try again after so many `attempts`; None to give up. `chance` (0 to 1) spreads those who wait together.

    `asked` is for how many seconds the receiver wants to be left alone.
    """
    if now - created >= GIVE_UP:
        return None
    delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempts - 1, 20)) * (0.5 + 0.5 * chance)
    # A last attempt at the end, whatever was asked.
    return min(now + timedelta(seconds=min(max(delay, asked or 0.0), GIVE_UP.total_seconds())), created + GIVE_UP)


def payload(
    delivery_id: str, alert: str, created: str, records: list[str], changes: list[dict[str, Any]], more: int
) -> bytes:
    """The body of a webhook: the incidents as on the topic `incidents`, and for each what has changed."""
    told = json.dumps({"id": delivery_id, "alert": alert, "sent": created, "changes": changes, "more": more})
    return f'{told[:-1]}, "incidents": [{", ".join(records)}]}}'.encode()
