"""What the layouts of ACLED and GDELT share: countries in their codes, a number for each event, the day it is filed under."""

from __future__ import annotations

import csv
import hashlib
import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from ingest.export.columns import day
from ingest.records import EventRecord

# ACLED files nothing that is vaguer than a month.
MONTH_DAYS = 31


@dataclass(frozen=True, slots=True)
class Country:
    """A country as others write it; an empty text where there is no code or it is not known."""

    iso3: str
    numeric: str
    fips: str
    cameo: str
    name: str
    region: str


@cache
def countries() -> dict[str, Country]:
    """The countries by ISO 3166-1 alpha-3, from countries.tsv."""
    lines = files(__package__).joinpath("countries.tsv").read_text(encoding="utf-8").splitlines()
    rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter="\t")
    return {row["iso3"]: Country(**row | {"cameo": row["cameo"] or row["iso3"]}) for row in rows}


@cache
def codes() -> dict[str, dict[str, Any]]:
    """The tables of codes.toml."""
    return tomllib.loads(files(__package__).joinpath("codes.toml").read_text(encoding="utf-8"))


def number(event: EventRecord) -> int:
    """63 bits that stay the same for the event's id: the first of the id's SHA-256, so that any 64-bit reader takes them."""
    return int.from_bytes(hashlib.sha256(event.event_id.encode()).digest()[:8], "big") >> 1


def happened(event: EventRecord) -> bool:
    """Whether it can stand in a table that has no column to say that it did not: actual and not retracted."""
    return event.realis == "actual" and event.status != "retracted"


def span(event: EventRecord) -> tuple[date, date] | None:
    """The first and the last day that the event's date can mean; None where either is not known."""
    first, last = (day(event.date.earliest), day(event.date.latest)) if event.date else (None, None)
    return None if first is None or last is None or last < first else (first, last)


def published(event: EventRecord) -> date:
    """The day that stands in for an unknown one: what is `actual` happened in the days before it was published."""
    return (event.article.published or event.coded).date()


def middle(first: date, last: date) -> date:
    """The day in the middle, the earlier of two."""
    return first + (last - first) // 2
