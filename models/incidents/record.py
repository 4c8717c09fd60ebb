"""The record of an incident: its reports, its sources, the best-supported value of each field, and what is disputed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar

SCHEMA = 1

ChangeKind = Literal["new", "updated", "merged_into", "split_from"]
Status = Literal["single_source", "corroborated", "contradicted", "retracted"]
Field = Literal["place", "date", "actors", "recipients", "dead", "injured"]
FIELDS: tuple[Field, ...] = ("place", "date", "actors", "recipients", "dead", "injured")
V_co = TypeVar("V_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Report:
    """One event that tells of the incident; `source` numbers the independent sources from 1, `denies` marks a denial."""

    event_id: str
    revision: int
    article_id: str
    article_revision: int
    publisher: str
    published: datetime
    source: int
    denies: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """How many persons one report gives; `max` is None where it has no upper bound."""

    event_id: str
    publisher: str
    published: datetime
    min: int
    max: int | None


@dataclass(frozen=True, slots=True)
class Casualties:
    """The least and the most that any report gives, and every figure in the order of publication."""

    min: int
    max: int
    figures: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Supported(Generic[V_co]):
    """A value, how many independent sources support it, and the ids of the events that do."""

    value: V_co
    sources: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Where:
    """A place; degrees WGS 84."""

    name: str
    country: str
    admin1: str | None
    lat: float | None
    lon: float | None
    geonames_id: int | None
    precision: str


@dataclass(frozen=True, slots=True)
class When:
    """The first and last day on which it may have happened."""

    earliest: date
    latest: date


@dataclass(frozen=True, slots=True)
class Who:
    """A party, in the words of the report that is surest of the event."""

    text: str
    country: str | None
    sector: str | None


@dataclass(frozen=True, slots=True)
class Persons:
    """How many; `max` is None where there is no upper bound."""

    min: int
    max: int | None


Value = Where | When | Who | Persons


@dataclass(frozen=True, slots=True)
class Disputed:
    """A field of which sources say what cannot both be, with the values that speak against the best one."""

    field: Field
    rivals: tuple[Supported[Value], ...]


@dataclass(frozen=True, slots=True)
class IncidentRecord:
    """One revision of one incident.

    `created` and `changed` are when the events that made and last changed it were coded, `first_report` and `last_report` when
    articles told it were published. A retracted or merged incident keeps its last reports. `countries` are those of the
    place, else of the parties.
    """

    incident_id: str
    revision: int
    status: Status
    created: datetime
    changed: datetime
    reports: tuple[Report, ...]
    sources: int
    first_report: datetime
    last_report: datetime
    countries: tuple[str, ...]
    type: Supported[str]
    modes: tuple[Supported[str], ...]
    place: Supported[Where] | None = None
    date: Supported[When] | None = None
    actors: tuple[Supported[Who], ...] = ()
    recipients: tuple[Supported[Who], ...] = ()
    dead: Supported[Persons] | None = None
    injured: Supported[Persons] | None = None
    dead_figures: Casualties | None = None
    injured_figures: Casualties | None = None
    disputed: tuple[Disputed, ...] = ()
    merged_into: str | None = None
    split_from: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The record as plain lists, dicts, strings and numbers; times in RFC 3339, UTC, days in ISO 8601."""
        return {"schema": SCHEMA, **_plain(asdict(self))}


@dataclass(frozen=True, slots=True)
class Change:
    """One revision of an incident. With `merged_into` and `split_from` the record names the other incident."""

    kind: ChangeKind
    record: IncidentRecord


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value
