"""The query string: what it may say, how it is read, and what records it lets pass. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ingest.cli.values import REALIS, parse_country, parse_realis, parse_type, parse_when
from ingest.storage import EventFilter
from models.ontology import TYPES, quad
from models.spelling import fold

QUADS: tuple[str, ...] = tuple(dict.fromkeys(map(quad, TYPES)))
STATUSES = ("single_source", "corroborated", "contradicted", "retracted")
Of = Literal["events", "incidents"]
Box = tuple[float, float, float, float]
_MOST = 50  # values of one parameter
_LONGEST = 200  # characters of a word that is looked for


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events or incidents are wanted: those that pass `query` and every test given.

    `actor_words` are folded; each must begin a word of an actor or recipient. `text` is looked for in title and sentence,
    whatever the case. `bbox` is west, south, east, north in degrees; west may lie east of east, across the date line.
    """

    query: EventFilter = field(default_factory=EventFilter)
    quads: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    feeds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    actor_words: tuple[str, ...] = ()
    min_sources: int | None = None
    bbox: Box | None = None
    text: str | None = None


def words_of(texts: Sequence[str]) -> tuple[str, ...]:
    """The folded words of names, each once."""
    return tuple(dict.fromkeys(word for text in texts for word in fold(text).split()))


def parse_bbox(text: str) -> Box:
    """`west,south,east,north` in degrees WGS 84. Raises ValueError."""
    try:
        west, south, east, north = (float(part) for part in text[:200].split(","))
    except ValueError:
        raise ValueError(
            f"{text!r} is no box: give west,south,east,north in degrees, such as 21.8,8.6,38.6,22.2"
        ) from None
    if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south <= north <= 90):
        raise ValueError(f"{text!r} is no box: longitudes lie from -180 to 180, latitudes from -90 to 90, south first")
    return west, south, east, north


def parse_quad(text: str) -> str:
    """The quad class meant, in any case, with spaces or underscores. Raises ValueError."""
    name = text.strip().lower().replace("_", " ")
    if name not in QUADS:
        raise ValueError(f"{text!r} is no quad class: give one of {', '.join(QUADS)}")
    return name


def parse_status(text: str) -> str:
    """The status of an incident, in any case. Raises ValueError."""
    name = text.strip().lower()
    if name not in STATUSES:
        raise ValueError(f"{text!r} is no status: give one of {', '.join(STATUSES)}")
    return name


def _when(text: Any) -> datetime:
    return parse_when(str(text), datetime.now(UTC))


def _past(text: Any) -> datetime:
    when = _when(text)
    if when > datetime.now(UTC):
        raise ValueError(f"{text} is to come, and nobody knows what will be known then")
    return when


def _day(text: Any) -> date:
    return _when(text).date()


_AGO = {"type": "string", "pattern": "^[1-9][0-9]{0,2}[smhdw]$", "examples": ["3d"]}
_TIME_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
        _AGO,
        {"type": "string", "enum": ["today", "yesterday"]},
    ]
}
_COUNTRY_SCHEMA = {"type": "string", "pattern": "^[A-Za-z]{3}$"}


def _one_of(names: Sequence[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(names)})


When = Annotated[datetime, BeforeValidator(_when), WithJsonSchema(_TIME_SCHEMA)]
Past = Annotated[datetime, BeforeValidator(_past), WithJsonSchema(_TIME_SCHEMA)]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema(_TIME_SCHEMA)]
Type = Annotated[str, AfterValidator(parse_type), _one_of(TYPES)]
Quad = Annotated[str, AfterValidator(parse_quad), _one_of(QUADS)]
Country = Annotated[str, AfterValidator(parse_country), WithJsonSchema(_COUNTRY_SCHEMA)]
RealisName = Annotated[str, AfterValidator(parse_realis), _one_of(REALIS)]
StatusName = Annotated[str, AfterValidator(parse_status), _one_of(STATUSES)]
Text = Annotated[str, Field(min_length=1, max_length=_LONGEST, pattern="^[^\\x00]+$")]
_LON, _LAT = r"-?(180(\.0+)?|(1[0-7]\d|\d{1,2})(\.\d+)?)", r"-?(90(\.0+)?|[0-8]?\d(\.\d+)?)"
_BOX_SCHEMA = {"type": "string", "pattern": f"^{_LON},{_LAT},{_LON},{_LAT}$", "examples": ["21.8,8.6,38.6,22.2"]}


def _box(text: str) -> str:
    parse_bbox(text)
    return text


# A string, as a query string has no tuples: `Query.wanted` reads it.
Bounds = Annotated[str, AfterValidator(_box), WithJsonSchema(_BOX_SCHEMA)]


class Query(BaseModel):
    """What every query string may say; what is unknown is refused, so that no filter is misspelt unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: list[Type] = Field([], max_length=_MOST, description="PLOVER type; may be repeated.")
    quad: list[Quad] = Field([], max_length=_MOST, description="Quad class of PLOVER; may be repeated.")
    country: list[Country] = Field(
        [],
        max_length=_MOST,
        description="ISO 3166-1 alpha-3 code of the place, of an actor or of a recipient; may be repeated.",
    )
    actor: Text | None = Field(
        None, description="Words that must begin words of the actors or recipients, whatever case and accents."
    )
    realis: list[RealisName] = Field([], max_length=_MOST, description="May be repeated.")
    min_confidence: float | None = Field(None, ge=0, le=1, description="Of an incident, that of its surest report.")
    language: list[Text] = Field([], max_length=_MOST, description="Language of the article; may be repeated.")
    source: list[Text] = Field([], max_length=_MOST, description="Name of the feed; may be repeated.")
    since: When | None = Field(None, description="What was coded (incidents: last changed) since: 2026-11-01, 3d, ...")
    until: When | None = Field(None, description="What was coded (incidents: last changed) before.")
    happened_since: Day | None = Field(None, description="What happened since, by the dates of the texts: a day.")
    happened_until: Day | None = Field(None, description="What happened before that day.")
    bbox: Bounds | None = Field(None, description="west,south,east,north in degrees.")
    as_of: Past | None = Field(
        None, description="What was known then: the same answer ever after, whatever is coded since."
    )

    def wanted(self) -> Wanted:
        """What passes."""
        of = getattr(self, "of", None)
        query = EventFilter(
            types=tuple(self.type),
            countries=tuple(self.country),
            realis=tuple(self.realis),
            since=self.since,
            until=self.until,
            min_confidence=self.min_confidence,
            happened_since=self.happened_since,
            happened_until=self.happened_until,
            as_of=self.as_of,
            include_retracted=of != "incidents" and getattr(self, "retracted", False),
        )
        return Wanted(
            query,
            quads=tuple(self.quad),
            statuses=() if of == "events" else tuple(getattr(self, "status", ())),
            feeds=tuple(self.source),
            languages=tuple(self.language),
            actor_words=words_of([self.actor] if self.actor else []),
            min_sources=None if of == "events" else getattr(self, "min_sources", None),
            bbox=parse_bbox(self.bbox) if self.bbox is not None else None,
            text=getattr(self, "text", None),
        )


class EventQuery(Query):
    """Of events."""

    retracted: bool = Field(False, description="With events that were retracted later.")
    text: Text | None = Field(None, description="Words in the headline or in the sentence, as they stand there.")


class IncidentQuery(Query):
    """Of incidents."""

    status: list[StatusName] = Field(
        [], max_length=_MOST, description="May be repeated; without it, all but those that were retracted."
    )
    min_sources: int | None = Field(None, ge=1, le=1000, description="Independent sources, at least.")
    text: Text | None = Field(None, description="Words in a headline or sentence of a report, as they stand there.")


class MixedQuery(Query):
    """Of events or incidents, as `of` says."""

    of: Of = "incidents"
    status: list[StatusName] = Field([], max_length=_MOST, description="Of incidents; says nothing of events.")
    min_sources: int | None = Field(None, ge=1, le=1000, description="Of incidents; says nothing of events.")
    retracted: bool = Field(False, description="With events that were retracted later; says nothing of incidents.")


class Paged(BaseModel):
    """Which page."""

    limit: int = Field(50, ge=1, le=500, description="At most so many items.")
    cursor: str | None = Field(None, max_length=200, description="`next` of the page before.")


class EventPageQuery(EventQuery, Paged):
    """A page of events."""


class IncidentPageQuery(IncidentQuery, Paged):
    """A page of incidents."""


class ArticlePageQuery(Paged):
    """A page of articles."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: list[Text] = Field([], max_length=_MOST, description="May be repeated.")
    source: list[Text] = Field([], max_length=_MOST, description="Name of the feed; may be repeated.")
    since: When | None = Field(None, description="Fetched since.")
    until: When | None = Field(None, description="Fetched before.")
    text: Text | None = Field(None, description="Words in the headline, as they stand there.")


Unit = Literal["day", "week", "month", "type", "quad", "country", "source"]
TIMES: tuple[Unit, ...] = ("day", "week", "month")


class CountQuery(MixedQuery):
    """What to count by."""

    by: list[Unit] = Field(["day"], min_length=1, max_length=2, description="One or two.")


class MapQuery(MixedQuery):
    """What to show on a map."""

    zoom: int = Field(2, ge=0, le=12, description="The finer, the higher; 2 shows the world.")


class StreamQuery(MixedQuery):
    """What to follow."""

    text: Text | None = Field(None, description="Words in the headline or in the sentence, as they stand there.")


def parse_cursor(text: str) -> tuple[int, int, str, int]:
    """`as_of`, known time (both in microseconds), id and revision out of a cursor. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,18})-(\d{1,18})-([0-9a-f]{24})-(\d{1,10})", text)
    if not found:
        raise ValueError("is not one that was given out: begin again without it")
    return int(found[1]), int(found[2]), found[3], int(found[4])


def parse_article_cursor(text: str) -> tuple[int, str]:
    """When it was fetched (microseconds) and id out of a cursor of articles. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,18})-([\x21-\x7e]{1,64})", text)
    if not found:
        raise ValueError("is not one that was given out: begin again without it")
    return int(found[1]), found[2]


def parse_event_id(text: str) -> tuple[int, str, int] | None:
    """Known time, id and revision out of `Last-Event-ID`; None where it was none of ours."""
    found = re.fullmatch(r"(\d{1,18})-([0-9a-f]{24})-(\d{1,10})", text)
    return (int(found[1]), found[2], int(found[3])) if found else None
