"""The cases of decisions.tsv, which are also the tables of docs/ingestion.md, as values of the program.

A cell is words and `name=value`, parted by spaces. Durations are as in `1h30m`, a state's times are how long ago, and
A is the URL in the catalogue. Where the state says nothing, the feed is healthy, was read an hour ago, and has an
interval of an hour; the time is noon of Tuesday, 24 November 2026.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.feeds.fetch import Redirect
from ingest.feeds.schedule import Asked, Failure, Success, moved_to
from ingest.storage import FeedState

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
BODY = "h"
UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


@dataclass(frozen=True)
class Case:
    name: str
    now: datetime
    state: FeedState
    outcome: Success | Failure
    then: dict[str, str]


def cases() -> list[Case]:
    with Path(__file__).with_name("decisions.tsv").open(encoding="utf-8", newline="") as file:
        return [case(row) for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def case(row: dict[str, str]) -> Case:
    state, answer, then = (words(row[column]) for column in ("state", "answer", "then"))
    now = moment(state.pop("at")) if "at" in state else NOON
    name = f"{row['group']}: {row['case']} [{row['state']} | {row['answer']}]"
    made = Case(name, now, state_of(state, now), outcome(answer), then)
    assert not state and not answer, f"{name}: not understood: {state | answer}"
    return made


def words(cell: str) -> dict[str, str]:
    return {name: value for name, _, value in (word.partition("=") for word in cell.split())}


def seconds(text: str) -> float:
    assert re.fullmatch(r"(\d+[dhms])+", text), text
    return float(sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)([dhms])", text)))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(","))) if text else ()


def state_of(given: dict[str, str], now: datetime) -> FeedState:
    """The state, with what it is made of taken out of `given`."""
    if "new" in given:
        del given["new"]
        return FeedState("feed", catalog_url="A")

    def ago(name: str, default: str) -> datetime:
        return now - timedelta(seconds=seconds(given.pop(name, default)))

    def duration(name: str) -> float | None:
        return seconds(given.pop(name)) if name in given else None

    read = ago("read", "1h")
    pulled = ago("pulled", "") if "pulled" in given else read
    waited = duration("waited")
    return FeedState(
        "feed",
        etag='"1"',
        body_hash=BODY,
        catalog_url="A",
        last_success=read,
        first_success=read - timedelta(days=9),
        last_pull=pulled,
        next_due=None if waited is None else pulled + timedelta(seconds=waited),
        last_body=ago("body", "1h"),
        interval=duration("interval") or 3_600.0,
        asked=duration("asked"),
        max_age=duration("max_age"),
        failures=int(given.pop("failures", 0)),
        skip_hours=numbers(given.pop("skip_hours", "")),
        skip_days=numbers(given.pop("skip_days", "")),
        validators_wrong=ago("wrong", "") if "wrong" in given else None,
        url=given.pop("url", None),
        moved_to=given.pop("moved_to", None),
        moved_days=int(given.pop("moved_days", 0)),
        moved_on=ago("moved_on", "") if "moved_on" in given else None,
    )


def outcome(given: dict[str, str]) -> Success | Failure:
    """What the pull met with, taken out of `given`; its first word is the status or the kind of error."""
    first = next(iter(given))
    del given[first]
    if first not in ("200", "304"):
        kind, status = ("http", int(first)) if first.isdecimal() else (first, None)
        wait = seconds(given.pop("retry_after")) if "retry_after" in given else None
        return Failure(kind, "what went wrong", status, wait)
    unread = first == "304" or "same" in given
    given.pop("same", None)
    asked = seconds(given.pop("asked")) if "asked" in given else None
    hours, days = numbers(given.pop("skip_hours", "")), numbers(given.pop("skip_days", ""))
    hops = [hop.rpartition(":") for hop in given.pop("to", "").split(",") if hop]
    doubted = "doubted" in given
    given.pop("doubted", None)
    return Success(
        status=int(first),
        etag=None if first == "304" else '"2"',
        last_modified=None,
        body_hash=None if first == "304" else BODY if unread else "other",
        max_age=seconds(given.pop("max_age")) if "max_age" in given else None,
        asked=None if unread else Asked(asked, hours, days),
        entries=int(given.pop("entries", 0)),
        new=int(given.pop("new", 0)),
        moved_to=moved_to([Redirect(int(status), url) for url, _, status in hops]),
        doubted=doubted,
    )
