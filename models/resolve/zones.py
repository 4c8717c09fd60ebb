"""What the clock says where a report is written: the time zone of a country, or of a place in one that has several.

The zones are those of the IANA database (data/zones.tsv). Countries with several are cut by longitude, and by province where
one goes its own way; near such an edge the answer may be an hour off.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from models.resolve.lexicon import rows
from models.spelling import fold


def local_time(
    published: datetime, country: str | None, lon: float | None = None, admin1: str | None = None
) -> datetime:
    """The moment of publication on the clock of the dateline, so that its date is the day that "today" means there.

    `country` is ISO 3166-1 alpha-3; `lon` (degrees) and `admin1` (a name as in GeoNames) of the dateline tell zones of one
    country apart, without them its main zone holds. A naive time is taken as UTC. Unchanged for an unknown country, and for
    midnight UTC to the second: that is how feeds write a day without a time. Never raises.
    """
    moment = published if published.tzinfo else published.replace(tzinfo=UTC)
    zone = _zone(country, lon, admin1) if country else None
    if zone is None or (moment.utcoffset() is not None and not moment.utcoffset() and moment.time() == time()):
        return published
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (OverflowError, ValueError, ZoneInfoNotFoundError):
        return published


def _zone(country: str, lon: float | None, admin1: str | None) -> str | None:
    zones = _zones().get(country)
    if not zones:
        return None
    if admin1:
        for _, division, zone in zones:
            if division and division == fold(admin1):
                return zone
    if lon is not None:
        west = [(edge, zone) for edge, _, zone in zones if edge is not None and edge <= lon]
        if west:
            return max(west)[1]
    return zones[0][2]


@cache
def _zones() -> dict[str, list[tuple[float | None, str, str]]]:
    """By country: western edge, folded province and zone."""
    found: dict[str, list[tuple[float | None, str, str]]] = {}
    for country, west, admin1, zone in rows("zones"):
        found.setdefault(country, []).append((float(west) if west else None, fold(admin1), zone))
    return found
