"""What goes into the store and what comes out; nothing here knows of a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from ingest.records import Article, EventRecord
from models.events import Event, EventDate


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record lay in the broker."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Coding:
    """One article record as read, what the coder found in it, and when; why it does not read it, None if it does.

    The store takes nothing for coded later than it is stored: where the clocks differ, its own counts. `buried` is why
    the record goes to the dead letters instead, in the words of whoever asks.
    """

    position: Position
    article: Article
    events: tuple[Event, ...]
    coded: datetime
    not_coded: str | None = None
    buried: str | None = None


# What is decided about a record: the event revisions that it makes, or `Coding.buried`.
Answer = list[EventRecord] | str


@dataclass(frozen=True, slots=True)
class FeedState:
    """What is known of a feed between two pulls. All times UTC, all durations in seconds.

    `etag`, `last_modified` and `body_hash` are those of the last body that was read, at `last_body`; `validators_wrong`
    is when a server was caught answering 304 for a body that had changed. `failures` counts those in a row; `disabled`
    is for feeds that are gone. `interval` is the feed's own rhythm, `asked` what the feed and `max_age` what the server
    wants to be left alone for at least; `skip_hours` (0 to 23, GMT) and `skip_days` (0 for Monday) are those in which
    the feed wants no visits.

    `new_entries` and `pulls` count since the beginning, `per_day` is the articles a day of about the last week, since
    `first_success`; None until there is a second success.

    `url` is where the feed is pulled from where that is not the catalogue's own URL, which was `catalog_url` then.
    `scope` and `guids_trusted` are what `identity.Naming` is to know of the last pull.
    `moved_to` is where a permanent redirect led on `moved_days` different days, the last being that of `moved_on`.
    """

    name: str
    etag: str | None = None
    last_modified: str | None = None
    body_hash: str | None = None
    last_pull: datetime | None = None
    last_success: datetime | None = None
    next_due: datetime | None = None
    failures: int = 0
    last_error: str | None = None
    last_status: int | None = None
    disabled: bool = False
    interval: float | None = None
    new_entries: int = 0
    pulls: int = 0
    last_body: datetime | None = None
    validators_wrong: datetime | None = None
    asked: float | None = None
    max_age: float | None = None
    skip_hours: tuple[int, ...] = ()
    skip_days: tuple[int, ...] = ()
    first_success: datetime | None = None
    per_day: float | None = None
    url: str | None = None
    catalog_url: str | None = None
    moved_to: str | None = None
    moved_days: int = 0
    moved_on: datetime | None = None
    scope: str | None = None
    guids_trusted: bool = True


@dataclass(frozen=True, slots=True)
class Known:
    """An article that was published to the broker: its latest revision published, and `feed`, the one that had it first.

    `content_hash` is of the text that `feed` gave last. `said` belongs to the key and not to the article: the hash of
    what another feed gave last, where the key is a `identity.Keys.here`.
    """

    article_id: str
    revision: int
    content_hash: str
    feed: str = ""
    said: str | None = None


@dataclass(frozen=True, slots=True)
class Alias:
    """A key to remember as one of `article_id`; see `Known` for `said`."""

    key: str
    article_id: str
    said: str | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are wanted: those that pass every test given; an empty tuple or None tests nothing.

    `countries` may be that of the location, of an actor or of a recipient. `since` and `until` bound the time of coding,
    `published_since` and `published_until` that of publication (an event without one passes neither); the first of each
    pair is included, the second is not. A time without a zone is UTC. `happened_since` and `happened_until` bound the days
    on which it happened by what the text says: one of the days that it can mean must lie between; an event without a date
    passes neither.

    `as_of` asks for what was known at that moment, in place of what is known now: each event in the revision that was
    current then. `Store.settled` says which moments can be asked for with the same answer ever after. That is the store's
    to tell, and no test of an event.
    """

    types: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    realis: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    min_confidence: float | None = None
    published_since: datetime | None = None
    published_until: datetime | None = None
    feed: str | None = None
    article_id: str | None = None
    include_retracted: bool = False
    happened_since: date | None = None
    happened_until: date | None = None
    as_of: datetime | None = None

    def matches(self, event: EventRecord) -> bool:
        """Whether `event` passes; the store's queries decide the same."""
        return (
            (not self.types or event.type in self.types)
            and (not self.countries or not set(self.countries).isdisjoint(event.countries))
            and (not self.realis or event.realis in self.realis)
            and _within(event.coded, self.since, self.until)
            and (self.min_confidence is None or event.confidence >= self.min_confidence)
            and _within(event.article.published, self.published_since, self.published_until)
            and (self.feed is None or event.article.feed == self.feed)
            and (self.article_id is None or event.article.article_id == self.article_id)
            and (self.include_retracted or event.status != "retracted")
            and _happened(event.date, self.happened_since, self.happened_until)
        )


@dataclass(frozen=True, slots=True)
class IncidentFilter:
    """Which incidents are wanted: those that pass every test given; an empty tuple or None tests nothing.

    `countries` may be those of the place or of a party. Each word of `actor` must begin a word of a party, without regard to
    case and accents. `since` (included) and `until` (not included) bound the time of the last change, `reported_since` and
    `reported_until` that of the first report, `happened_since` and `happened_until` the days as in `EventFilter`. `bbox` is
    west, south, east, north in degrees, and may cross the date line. `sources` are feeds or publishers, one of which tells it.
    Without `statuses` retracted ones are left out; merged ones always are. `as_of` as in `EventFilter`. `before` is the
    `changed` and the id of the incident that the page before ended with.
    """

    types: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    actor: str | None = None
    languages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    min_sources: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    happened_since: date | None = None
    happened_until: date | None = None
    reported_since: datetime | None = None
    reported_until: datetime | None = None
    bbox: tuple[float, float, float, float] | None = None
    as_of: datetime | None = None
    before: tuple[datetime, str] | None = None


def as_utc(time: datetime) -> datetime:
    """`time` in UTC; one without a zone is taken to be in UTC already."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _within(time: datetime | None, since: datetime | None, until: datetime | None) -> bool:
    if since is None and until is None:
        return True
    if time is None:
        return False
    return (since is None or as_utc(since) <= time) and (until is None or time < as_utc(until))


def _happened(day: EventDate | None, since: date | None, until: date | None) -> bool:
    earliest, latest = (day.earliest, day.latest) if day else (None, None)
    return (since is None or (latest is not None and latest >= since.isoformat())) and (
        until is None or (earliest is not None and earliest < until.isoformat())
    )


@dataclass(frozen=True, slots=True)
class Counts:
    """How much the store holds.

    `events` are the current ones that are not retracted, and `types` and `countries` count these (an event of two
    countries counts for both); `revisions` are all that were ever made, `codings` the article records decided on,
    `feeds` those pulled at least once, `known` the articles published to the broker.
    """

    articles: int
    events: int
    retracted: int
    revisions: int
    codings: int
    feeds: int
    known: int
    types: Mapping[str, int]
    countries: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StoreCheck:
    """What `doctor` tells of the store. `url` bears no password; `journal_mode` is SQLite's, None elsewhere.

    `clock` is the time that a database server has; None for SQLite, whose clock is ours.
    """

    url: str
    database: str
    version: str
    schema: str
    journal_mode: str | None
    clock: datetime | None = None


@dataclass(frozen=True, slots=True)
class ArticleFilter:
    """Which articles are wanted: those that pass every test given; an empty tuple or None tests nothing.

    `since` (included) and `until` (not included) bound the time of fetching. `text` is looked for in the headline, without
    regard to the case of its ASCII letters. `before` is the time of fetching and the id of the article that the page before
    ended with.
    """

    feeds: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    before: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the API as it is kept: the hash of the key, never the key. `revoked` and `last_used` are None until it is."""

    key_id: str
    name: str
    hash: str
    scopes: tuple[str, ...]
    created: datetime
    revoked: datetime | None = None
    last_used: datetime | None = None
