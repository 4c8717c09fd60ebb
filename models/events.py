"""What the coder says of a text: events and their arguments, each with the words that bear it out.

All offsets count Unicode code points of the field named (`title` or `text`), end exclusive, so that
`article[field][start:end] == text` always holds. Country codes are ISO 3166-1 alpha-3 (actors: also IGO, NGO, IMG);
types, modes and quad classes are those of PLOVER 2.0.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Field = Literal["title", "text"]
Realis = Literal["actual", "historical", "future", "hypothetical", "negated"]
Precision = Literal["place", "admin1", "country"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the article."""

    text: str
    start: int
    end: int
    field: Field


@dataclass(frozen=True, slots=True)
class Actor(Span):
    """Who acted, or to whom. `country` and `sector` are null where they cannot be known.

    `confidence` is the probability (0 to 1) that these words are the actor, `code_confidence` says how far country and sector
    are to be trusted; `refers_to` are the fuller mentions by which "he", "the group" or a surname were read.
    """

    country: str | None = None
    sector: str | None = None
    confidence: float = 0.0
    code_confidence: float = 0.0
    refers_to: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Why:
    """Why an argument was resolved as it was: the rule in plain words, the other mentions used, the candidates refused.

    `rule` is empty where the words tell nothing.
    """

    rule: str
    refers_to: tuple[Span, ...] = ()
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Location(Span):
    """Where it happened. `lat` and `lon` are WGS 84 degrees; `geonames_id` is GeoNames' own; `admin1_code` is ISO 3166-2."""

    name: str | None = None
    country: str | None = None
    admin1: str | None = None
    lat: float | None = None
    lon: float | None = None
    geonames_id: int | None = None
    precision: Precision | None = None
    admin1_code: str | None = None


@dataclass(frozen=True, slots=True)
class EventDate(Span):
    """When it happened, as ISO 8601 days; `earliest` equals `latest` where one day is meant, null where it is unknown."""

    earliest: str | None = None
    latest: str | None = None


@dataclass(frozen=True, slots=True)
class Count(Span):
    """How many: persons. `max` is null where the text gives no upper bound ("at least 12")."""

    min: int | None = None
    max: int | None = None


@dataclass(frozen=True, slots=True)
class AcledCode:
    """ACLED's event type and sub-event type, as its codebook spells them."""

    event_type: str
    sub_event_type: str


@dataclass(frozen=True, slots=True)
class Codes:
    """The event in three codebooks: PLOVER type, CAMEO code (two to four digits), ACLED or null."""

    plover: str
    cameo: str
    acled: AcledCode | None


@dataclass(frozen=True, slots=True)
class Mention:
    """Another place where the article tells the event."""

    trigger: Span
    sentence: Span


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which weights coded the event."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Event:
    """One coded event; the fields are those of the event record in the blueprint that the coder fills."""

    type: str
    quad: str
    modes: tuple[str, ...]
    intensity: float
    realis: Realis
    confidence: float
    trigger: Span
    sentence: Span
    codes: Codes
    crosswalk: str
    model: ModelInfo
    actors: tuple[Actor, ...] = ()
    recipients: tuple[Actor, ...] = ()
    location: Location | None = None
    date: EventDate | None = None
    dead: Count | None = None
    injured: Count | None = None
    claimed_by: tuple[Span, ...] = ()
    mentions: tuple[Mention, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The event as plain lists, dicts, strings and numbers, ready for `json.dumps`."""
        return asdict(self)
