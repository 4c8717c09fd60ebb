"""The JSON records of the topics `articles`, `events` and `incidents`.

Fields are those of docs/records.md and are only ever added: readers ignore fields that they do not know, and refuse a
`schema` above their own.
"""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError

from ingest.errors import RecordError
from models.events import Actor, Codes, Count, EventDate, Location, Mention, ModelInfo, Realis, Span
from models.incidents.record import (
    Casualties,
    Change,
    ChangeKind,
    Disputed,
    Persons,
    Report,
    Supported,
    When,
    Where,
    Who,
)
from models.incidents.record import IncidentRecord as Incident
from models.incidents.record import Status as IncidentStatus

SCHEMA = 1

Status = Literal["new", "updated", "retracted"]


def _to_utc(value: datetime) -> datetime:
    """In UTC, cut to the milliseconds that are written, so that a record equals itself read back."""
    if value.tzinfo is UTC and not value.microsecond % 1000:
        return value
    try:
        utc = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("time is outside the years 1 to 9999") from error
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, the one way in which times are written: `2026-11-24T01:50:11.000Z`."""
    return _to_utc(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[datetime, AfterValidator(_to_utc), PlainSerializer(format_time, return_type=str)]
# PostgreSQL refuses NUL in text; one code point for one keeps every offset.
CleanText = Annotated[str, AfterValidator(lambda text: text.replace("\x00", "\ufffd"))]


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    record_schema: Annotated[int, Field(alias="schema", ge=1, le=SCHEMA)] = SCHEMA

    def to_json(self) -> bytes:
        """The record as one UTF-8 JSON object without line breaks."""
        return self.model_dump_json(by_alias=True).encode()


class Article(_Record):
    """One revision of one article, as published to `articles` under the key `article_id`."""

    article_id: Annotated[str, Field(min_length=1, max_length=64)]
    revision: Annotated[int, Field(ge=1)] = 1
    feed: CleanText
    url: CleanText
    canonical_url: CleanText
    title: CleanText
    text: CleanText
    language: str | None = None
    authors: tuple[CleanText, ...] = ()
    published: Time | None = None
    published_source: Literal["entry", "page", "fetched"] = "fetched"
    fetched: Time
    content_hash: str
    syndication_id: str | None = None
    """The `article_id` of the first article that printed this story, the article's own where that is it; None in records
    from before this was decided. One story is one source, however many print it."""
    syndicated_from: CleanText | None = None
    """The publisher that wrote it, where that can be known: by credit, or by that of another print."""


class ArticleRef(BaseModel):
    """The article that an event was coded from."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    article_id: str
    revision: int
    feed: str
    url: str
    title: str
    published: Time | None = None
    language: str | None = None
    syndication_id: str | None = None
    """That of the article (see `Article`); None in records from before it was told here."""


class EventRecord(_Record):
    """One revision of one event, as published to `events` under the key `article_id`."""

    event_id: str
    revision: Annotated[int, Field(ge=1)]
    status: Status
    article: ArticleRef
    type: str
    quad: str
    modes: tuple[str, ...]
    intensity: float
    realis: Realis
    confidence: float
    trigger: Span
    actors: tuple[Actor, ...] = ()
    recipients: tuple[Actor, ...] = ()
    location: Location | None = None
    date: EventDate | None = None
    dead: Count | None = None
    injured: Count | None = None
    claimed_by: tuple[Span, ...] = ()
    mentions: tuple[Mention, ...] = ()
    sentence: Span
    codes: Codes
    crosswalk: str
    model: ModelInfo
    coded: Time

    # Of an instance, and lost in its copies.
    __slots__ = ("_written",)

    def to_json(self) -> bytes:
        """See `Article`. Written once: the store and the topic get the same bytes."""
        written: bytes | None = getattr(self, "_written", None)
        if written is None:
            written = super().to_json()
            object.__setattr__(self, "_written", written)
        return written

    @property
    def countries(self) -> tuple[str, ...]:
        """Every country the event names, the location's first, each once."""
        named = [self.location.country if self.location else None]
        named += [actor.country for actor in (*self.actors, *self.recipients)]
        return tuple(dict.fromkeys(country for country in named if country))


class IncidentRecord(_Record):
    """One revision of one incident, as published to `incidents` under the key `incident_id`; see docs/incidents.md.

    `kind` is what changed it last. Merged into another one, it ends with the kind `merged_into`.
    """

    incident_id: Annotated[str, Field(min_length=1, max_length=64)]
    revision: Annotated[int, Field(ge=1)]
    kind: ChangeKind
    status: IncidentStatus
    created: Time
    changed: Time
    reports: tuple[Report, ...]
    sources: int
    first_report: Time
    last_report: Time
    countries: tuple[str, ...]
    type: Supported[str]
    modes: tuple[Supported[str], ...] = ()
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

    @classmethod
    def of(cls, change: Change) -> IncidentRecord:
        """The record of what became of an incident."""
        values = {name: getattr(change.record, name) for name in _INCIDENT_FIELDS}
        return cls.model_validate({"kind": change.kind, **values})

    def incident(self) -> Incident:
        """The incident without what is the record's."""
        return Incident(**{name: getattr(self, name) for name in _INCIDENT_FIELDS})

    def to_json(self) -> bytes:
        """See `Article`: times as in the other records, nested ones too."""
        told = self.incident().to_json()
        first = {name: told.pop(name) for name in ("schema", "incident_id", "revision")}
        return json.dumps({**first, "kind": self.kind, **told}, ensure_ascii=False).encode()

    @property
    def parties(self) -> tuple[Who, ...]:
        """Actors, then recipients."""
        return tuple(party.value for party in (*self.actors, *self.recipients))

    @property
    def all_countries(self) -> tuple[str, ...]:
        """Every country it names: its own, then those of its parties, each once."""
        return tuple(dict.fromkeys([*self.countries, *(who.country for who in self.parties if who.country)]))


_INCIDENT_FIELDS = tuple(field.name for field in fields(Incident))

_R = TypeVar("_R", bound=_Record)


def _parse(kind: type[_R], value: bytes) -> _R:
    try:
        return kind.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise RecordError(f"{kind.__name__.lower()} record: {where}: {first['msg']}") from error


def parse_article(value: bytes) -> Article:
    """The article in a record's value. Raises RecordError where it is no article of a schema known here."""
    return _parse(Article, value)


def parse_event(value: bytes) -> EventRecord:
    """The event in a record's value. Raises RecordError where it is no event of a schema known here."""
    return _parse(EventRecord, value)


def parse_incident(value: bytes) -> IncidentRecord:
    """The incident in a record's value. Raises RecordError where it is no incident of a schema known here."""
    return _parse(IncidentRecord, value)


def json_schema(kind: Literal["article", "event", "incident"]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a record."""
    models: dict[str, type[BaseModel]] = {"article": Article, "event": EventRecord, "incident": IncidentRecord}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | models[kind].model_json_schema(
        by_alias=True, mode="serialization"
    )
