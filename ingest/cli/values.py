"""How the values of options are read: times, countries, event types. Pure functions, each raising ValueError."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import get_args

from models.events import Realis
from models.incidents.record import Status

REALIS: tuple[str, ...] = get_args(Realis)
INCIDENT_STATUSES: tuple[str, ...] = get_args(Status)

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(?:\d{1,6}[smhdw])+")


def parse_when(text: str, now: datetime) -> datetime:
    """The moment that `text` means at `now`, in UTC.

    RFC 3339 (`2026-11-24T01:50:11Z`; without a zone it is UTC), a day (its first moment in UTC), `today`, `yesterday`,
    or how long ago (`90s`, `30m`, `2h`, `3d`, `1w`, `1d12h`).
    """
    word = text.strip()
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if word.lower() == "today":
        return midnight
    try:
        if word.lower() == "yesterday":
            return midnight - timedelta(days=1)
        if _AGO.fullmatch(word.lower()):
            return now.astimezone(UTC) - parse_span(word)
        moment = datetime.fromisoformat(word)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time: give 2026-11-24, 2026-11-24T01:50:11Z, today, yesterday, or how long ago as 2h or 3d"
        ) from None


def parse_span(text: str) -> timedelta:
    """The span meant: `90s`, `30m`, `2h`, `1d12h`, `1w`."""
    word = text.strip().lower()
    if not _AGO.fullmatch(word):
        raise ValueError(f"{text!r} is no span: give one such as 30m, 1h or 1d")
    spans = re.findall(r"(\d+)([smhdw])", word)
    try:
        return sum((timedelta(**{_UNITS[u]: int(n)}) for n, u in spans), timedelta())
    except OverflowError:
        raise ValueError(f"{text!r} is too long a span") from None


def format_span(seconds: float) -> str:
    """The reverse of `parse_span`, of whole seconds."""
    shown, left = "", int(seconds)
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, left = divmod(left, size)
        shown += f"{number}{unit}" if number else ""
    return shown or "0s"


def parse_country(text: str) -> str:
    """The country or actor code meant: three letters, ISO 3166-1 alpha-3 or IGO, NGO, IMG, in any case."""
    code = text.strip().upper()
    if not re.fullmatch(r"[A-Z]{3}", code):
        raise ValueError(f"{text!r} is no country code: give three letters, ISO 3166-1 alpha-3, such as UKR")
    return code


def parse_type(text: str) -> str:
    """The PLOVER type meant, in any case."""
    from models.ontology import TYPES

    name = text.strip().upper()
    if name not in TYPES:
        raise ValueError(f"{text!r} is no PLOVER type: give one of {', '.join(TYPES)}")
    return name


def parse_status(text: str) -> str:
    """The status of an incident meant, in any case."""
    name = text.strip().lower()
    if name not in INCIDENT_STATUSES:
        raise ValueError(f"{text!r} is no status: give one of {', '.join(INCIDENT_STATUSES)}")
    return name


def parse_box(text: str) -> tuple[float, float, float, float]:
    """West, south, east and north in degrees, parted by commas; a box whose west is the larger crosses the date line."""
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            f"{text!r} is no box: give west,south,east,north in degrees, such as 21.8,8.6,38.6,22.2"
        ) from None
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise ValueError(f"{text!r}: longitudes lie from -180 to 180, latitudes from -90 to 90, and south below north")
    return west, south, east, north


def parse_realis(text: str) -> str:
    """The realis meant, in any case."""
    name = text.strip().lower()
    if name not in REALIS:
        raise ValueError(f"{text!r} is no realis: give one of {', '.join(REALIS)}")
    return name
