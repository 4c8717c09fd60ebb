"""The one door to the database."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

import sqlalchemy as sa

from ingest.errors import StoreUnavailable
from ingest.records import Article, EventRecord, IncidentRecord
from ingest.settings import describe_url
from ingest.storage import incidents, queries, reading, reporting, times
from ingest.storage.alerts import AlertStore
from ingest.storage.connect import Conflict, open_engine, transaction
from ingest.storage.decide import decide
from ingest.storage.incidents import IncidentRow, KeeperLock, KeeperState, Kept, KeptEvent
from ingest.storage.migrate import schema_version, upgrade
from ingest.storage.partitions import AHEAD, make_partitions, month_of, months_from
from ingest.storage.syndication import Print, read_syndicated, write_syndicated
from ingest.storage.tables import feed_states
from ingest.storage.values import (
    Alias,
    Answer,
    ApiKey,
    ArticleFilter,
    Coding,
    Counts,
    EventFilter,
    FeedState,
    IncidentFilter,
    Known,
    StoreCheck,
    as_utc,
)

_T = TypeVar("_T")

_ATTEMPTS = 3
SEEN_AGAIN = timedelta(days=7)
"""How long ago an alias must have been seen for its being seen again to be written down."""


class Store:
    """The store behind one URL. May be shared by threads; every process opens its own.

    Every method raises StoreUnavailable when the database does not answer or is busy for too long, and may be called
    again; none leaves half of its work behind. StoreRejected means that the database refuses the data it was given.
    """

    def __init__(self, engine: sa.Engine, url: str) -> None:
        self._engine = engine
        self._shown = describe_url(url)
        self._months: set[date] = set()  # whose partitions are there

    @classmethod
    def open(cls, url: str, read_only: bool = False) -> Store:
        """Connect to a SQLAlchemy URL (`sqlite:///FILE`, `postgresql://…`) and bring its tables up to date.

        With `read_only` the database refuses to write, and tables that are not up to date are an error.

        SQLite's file and its folder are made where they are missing. Any number of processes may do this at once.
        Raises SettingsError for a URL of any other kind, StoreTooNew, StoreUnavailable.
        """
        engine = open_engine(url, read_only)
        try:
            upgrade(engine, describe_url(url))
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, url)

    def apply(self, codings: Sequence[Coding]) -> list[Answer]:
        """Store what was coded, and return for each coding the event revisions it made, or why it was buried: what is to
        be published.

        One transaction for the whole batch. A position is decided once: given again, because a worker died between
        this commit and the broker's, it returns what it returned the first time, whatever the coder says now. So a
        worker publishes what this returns in the broker transaction that commits the offsets, and every event
        revision is once in the store and once on the topic. Of two workers that decide a position at the same time,
        the slower gets the answer of the quicker.

        Codings are decided in order; a revision older than the one stored makes nothing. See `revise` for the rest.
        Raises StoreRejected when the database refuses any one of them: nothing is stored, and applying them one by
        one shows which.
        """

        def attempt() -> list[Answer]:
            with self._writing() as connection:
                time = times.stamp(connection)
                timely = [_not_after(coding, time) for coding in codings]
                # Hardly ever: where the database's clock is in another month than ours.
                make_partitions(connection, {month_of(coding.coded) for coding in timely} - self._months)
                # First the locks, then the rest: what is read after them, nobody else is changing.
                stored = queries.lock_articles(connection, {coding.article.article_id for coding in timely})
                decided = queries.decisions(connection, timely)
                current = queries.current_events(connection, stored)
                decision = decide(timely, decided, stored, current)
                queries.write(connection, decision, time)
                return decision.answers

        if not codings:
            return []
        now = datetime.now(UTC)
        self._make_months({month_of(min(as_utc(coding.coded), now)) for coding in codings})
        return _repeated(attempt)

    def _make_months(self, months: set[date]) -> None:
        """Make sure of the partitions, in a transaction of its own: others who need them would wait for its end."""
        missing = months - self._months
        if missing and not self._sqlite:
            with self._writing() as connection:
                make_partitions(connection, missing)
        self._months |= missing

    def events(self, filter: EventFilter, limit: int | None = None, newest_first: bool = True) -> Iterator[EventRecord]:
        """The events that `filter` matches, in the order of their coding: their current revisions, or those of `as_of`.

        A stream out of one snapshot: it needs little memory however many there are, and a connection until its end.
        """
        with self._reading() as connection:
            yield from queries.read_events(connection, filter, limit, newest_first)

    def settled(self, time: datetime) -> datetime:
        """The latest moment up to `time` at which nothing more can become known: an `as_of` that answers alike for ever.

        Earlier than `time` where a worker is storing something now, and where nothing has been stored since.
        Raises StoreUnavailable where the database is a standby, which does not know what its primary is at.
        """
        with self._reading() as connection:
            moment = times.settled(connection, as_utc(time))
        if moment is None:
            raise StoreUnavailable(f"store {self._shown}: a standby cannot tell what was known when: ask its primary")
        return moment

    def articles(self, feed: str | None = None, limit: int | None = None) -> Iterator[Article]:
        """The latest revisions of the articles, the last fetched first; streamed as `events` does.

        The text is empty where retention has dropped it.
        """
        with self._reading() as connection:
            yield from queries.read_articles(connection, feed, limit)

    def not_coded(self, feed: str | None = None, limit: int | None = None) -> Iterator[tuple[Article, str]]:
        """Those of `articles` that the coder does not read, each with the reason (`models.text.uncodable`)."""
        with self._reading() as connection:
            yield from queries.read_not_coded(connection, feed, limit)

    def feed_states(self) -> dict[str, FeedState]:
        """What is known of each feed that was ever pulled, by name."""
        with self._reading() as connection:
            rows = connection.execute(sa.select(feed_states)).mappings()
            return {row["name"]: FeedState(**row) for row in rows}

    def save_feed_state(self, *states: FeedState) -> None:
        """Replace what is known of a feed, or of many in one transaction, which takes little longer than one."""

        def attempt() -> None:
            with self._writing() as connection:
                queries.write_feed_states(connection, states)

        _repeated(attempt)

    def known(self, keys: Sequence[str], seen: datetime | None = None) -> dict[str, Known]:
        """The articles published that the keys lead to, be they ids or aliases; keys that lead nowhere are not in it.

        With `seen`, the time of the pull that has them, aliases are remembered to be in use (`forget_aliases`).
        """
        with self._reading() as connection:
            found, stale = queries.read_known(connection, keys, seen and seen - SEEN_AGAIN)
        if seen and stale:
            self._touch(stale, seen)
        return found

    def _touch(self, aliases: Sequence[str], seen: datetime) -> None:
        def attempt() -> None:
            with self._writing() as connection:
                queries.touch_aliases(connection, aliases, seen)

        _repeated(attempt)

    def syndicated(self, article_ids: Iterable[str], keys: Iterable[int]) -> list[Print]:
        """What is kept of the articles and of those that have one of `keys`, to find prints of one story among."""
        with self._reading() as connection:
            return read_syndicated(connection, article_ids, keys)

    def remember(
        self,
        known: Sequence[Known],
        states: Sequence[FeedState] = (),
        prints: Sequence[Print] = (),
        aliases: Sequence[Alias] = (),
    ) -> None:
        """Remember what was published, by what else it is known, and the states of its feeds, in one transaction.

        To be called when the broker has it: after a crash in between it is published again, and not lost. `known` names
        the articles of all `prints`: of two pullers that have the same, one waits for the other there.
        """

        def attempt() -> None:
            with self._writing() as connection:
                now = datetime.now(UTC)
                queries.write_known(connection, known, now)
                write_syndicated(connection, prints, now)
                queries.write_aliases(connection, aliases, now)
                queries.write_feed_states(connection, states)

        _repeated(attempt)

    def counts(self) -> Counts:
        """How much there is. Reads whole tables."""
        with self._reading() as connection:
            return queries.count(connection)

    def check(self) -> StoreCheck:
        """What the database is. That it answers and that its tables are there is checked on the way."""
        with self._reading() as connection:
            sqlite = self._sqlite
            version = connection.scalar(sa.text("SELECT sqlite_version()" if sqlite else "SHOW server_version"))
            return StoreCheck(
                url=self._shown,
                database="SQLite" if sqlite else "PostgreSQL",
                version=str(version),
                schema=schema_version(connection) or "none",
                journal_mode=connection.scalar(sa.text("PRAGMA journal_mode")) if sqlite else None,
                clock=None if sqlite else connection.scalar(sa.text("SELECT clock_timestamp()")),
            )

    def drop_texts(self, before: datetime) -> int:
        """Empty the texts of the articles that were fetched before `before`; how many. Their events stay.

        The time of fetching counts, not that of publication, which the feed may set to anything.
        """
        total = 0
        while True:
            with self._writing() as connection:
                dropped = queries.drop_texts(connection, before)
            if not dropped:
                return total
            total += dropped

    def forget_codings(self, topic: str, partition: int, committed: int, before: datetime) -> int:
        """Delete what was decided before `before` about records below the offset `committed`; how many.

        `committed` is where the group reads on, so that none of these is delivered again. Were it, after all (to another
        group, or because offsets were set back), it is decided anew, by comparison with the events stored.
        """
        total, after = 0, 0
        while True:
            with self._writing() as connection:
                gone, following = queries.forget_codings(connection, topic, partition, committed, before, after)
            total += gone
            if following is None:
                return total
            after = following

    def forget_known(self, before: datetime) -> int:
        """Delete the puller's notes of articles published before `before`, where `articles` tells the same; how many.

        Nothing is lost: `known` answers from there. What was published and never stored stays.
        """
        total, after = 0, None
        while True:
            with self._writing() as connection:
                gone, after = queries.forget_known(connection, before, after)
            total += gone
            if after is None:
                return total

    def forget_aliases(self, before: datetime) -> int:
        """Delete the aliases that no feed has shown since `before`; how many.

        An entry that comes back after that under one of them alone counts as a new article.
        """
        total = 0
        while True:
            with self._writing() as connection:
                gone = queries.forget_aliases(connection, before)
            if not gone:
                return total
            total += gone

    def tend(self, now: datetime) -> int:
        """Make the partitions of this month and the next ones, and refresh what the planner knows; how many were made.

        To be done once a day. On SQLite there is nothing to make.
        """
        with self._writing() as connection:
            made = make_partitions(connection, months_from(month_of(now), AHEAD + 1))
            times.forget(connection)
        if not self._sqlite:
            with self._writing() as connection:
                # Of partitioned tables as wholes PostgreSQL gathers no statistics by itself.
                connection.exec_driver_sql("ANALYZE events, event_countries")
        return made

    # --- incidents

    def incidents(self, filter: IncidentFilter, limit: int | None = None) -> Iterator[IncidentRow]:
        """The incidents that `filter` matches, the one changed last first; streamed as `events` does."""
        with self._reading() as connection:
            yield from incidents.read_incidents(connection, filter, limit)

    def incident(self, incident_id: str, as_of: datetime | None = None) -> str | None:
        """The JSON of an incident as it is, or was at `as_of`, be it merged or retracted; None where there is none."""
        with self._reading() as connection:
            return incidents.read_incident(connection, incident_id, as_of and as_utc(as_of))

    def incident_revisions(self, incident_id: str) -> list[str]:
        """The JSON of every revision of an incident, the first first; none where there is no such incident."""
        with self._reading() as connection:
            return incidents.read_incident_revisions(connection, incident_id)

    def keeper_lock(self) -> KeeperLock:
        """The lock of the keeper at work, not taken yet."""
        return KeeperLock(self._engine, self._shown)

    def keeper(self) -> KeeperState:
        """How far the keeper of incidents is."""
        with self._reading() as connection:
            return incidents.read_keeper(connection)

    def kept_events(self, event_ids: Iterable[str]) -> dict[str, KeptEvent]:
        """Those of the events that were kept: which revision last, and in which incident."""
        with self._reading() as connection:
            return incidents.read_kept(connection, event_ids)

    def made_of(self, first: int, last: int) -> dict[int, list[IncidentRecord]]:
        """The incident records that the event revisions kept under these numbers made; those that made none are not in it."""
        with self._reading() as connection:
            return incidents.read_made(connection, first, last)

    def open_incidents(self) -> Iterator[tuple[IncidentRecord, list[EventRecord]]]:
        """The incidents that were open, as `Incidents.admit` wants them after a restart; streamed."""
        with self._reading() as connection:
            yield from incidents.read_open(connection)

    def incident_with_events(self, incident_id: str) -> tuple[IncidentRecord, list[EventRecord]] | None:
        """An incident as it is, with the events that it names; None for one that is merged, retracted or not there."""
        with self._reading() as connection:
            return incidents.read_with_events(connection, incident_id)

    def keep(
        self,
        kept: Sequence[Kept],
        before: KeeperState,
        after: KeeperState,
        oldest: tuple[str, int] | None,
    ) -> None:
        """Store what a keeper that was at `before` made of event revisions, in one transaction: all or nothing.

        `oldest` is the open incident, by id and revision, that was left alone for longest. Raises Fenced where the keeper
        is not at `before`, as another one is at work, and StoreRejected as `apply` does.
        """

        def attempt() -> None:
            with self._writing() as connection:
                time = times.stamp(connection)
                incidents.write_kept(connection, kept, before, after, oldest, time)

        _repeated(attempt)

    def move_keeper(self, before: KeeperState, after: KeeperState) -> None:
        """Store how far a keeper is that was at `before`, where it made nothing. Raises Fenced as `keep` does."""
        with self._writing() as connection:
            incidents.move_keeper(connection, before, after)

    # --- what a report reads: of a known time, so that what is read one after the other belongs together

    def tally_events(self, filter: EventFilter) -> dict[tuple[str, str], int]:
        """How many events there are of each type and realis; of the filter only published, types, countries and as_of."""
        with self._reading() as connection:
            return reporting.tally_events(connection, filter)

    def coverage(self, filter: EventFilter) -> reporting.Coverage:
        """How many articles and feeds told these events; the filter as in `tally_events`."""
        with self._reading() as connection:
            return reporting.coverage(connection, filter)

    def event_texts(self, filter: EventFilter) -> Iterator[str]:
        """The JSON of the events, in no order; the filter as in `tally_events`; streamed as `events` does."""
        with self._reading() as connection:
            yield from reporting.read_event_texts(connection, filter)

    def not_actual(self, since: datetime, as_of: datetime) -> set[str]:
        """The ids of events of articles published since then that did not happen, or long ago, as known at `as_of`."""
        with self._reading() as connection:
            return reporting.read_not_actual(connection, as_utc(since), as_utc(as_of))

    def incident_texts(self, filter: IncidentFilter) -> Iterator[str]:
        """The JSON of the incidents, the one changed last first; streamed as `events` does."""
        with self._reading() as connection:
            yield from reporting.read_incident_texts(connection, filter)

    # --- what the API reads

    def event_changes(self, after: datetime | None, until: datetime) -> Generator[reading.Changed, None, None]:
        """Event revisions that became known after `after` and by `until`, which must be settled, in the order of the known
        time, then of id and revision; streamed as `events` does."""
        with self._reading() as connection:
            yield from reading.read_event_changes(connection, after, as_utc(until))

    def event_records(
        self, pairs: Iterable[tuple[str, int]], first: datetime, last: datetime
    ) -> dict[tuple[str, int], str]:
        """The JSON of revisions, by id and revision, that were coded from `first` to `last`."""
        with self._reading() as connection:
            return reading.read_event_records(connection, pairs, first, last)

    def event_revisions(self, event_id: str) -> list[str]:
        """The JSON of every revision of an event, the first first; none where there is no such event."""
        with self._reading() as connection:
            return reading.read_event_revisions(connection, event_id)

    def current_events(self, event_ids: Iterable[str]) -> dict[str, str]:
        """The JSON of the current revisions of events by id, retracted ones too."""
        with self._reading() as connection:
            return reading.read_current_events(connection, event_ids)

    def incident_changes(self, after: datetime, until: datetime) -> Generator[reading.Changed, None, None]:
        """The same of incidents."""
        with self._reading() as connection:
            yield from incidents.read_incident_changes(connection, after, as_utc(until))

    def incidents_at(self, as_of: datetime) -> Generator[reading.Changed, None, None]:
        """The revisions of incidents that were current then, merged and retracted ones too, in the order in which they became
        known; streamed."""
        with self._reading() as connection:
            yield from incidents.read_incidents_at(connection, as_utc(as_of))

    def incident_records(self, pairs: Iterable[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """The JSON of revisions of incidents, by id and revision."""
        with self._reading() as connection:
            return incidents.read_incident_records(connection, pairs)

    def article(self, article_id: str) -> tuple[Article, list[str]] | None:
        """An article and the JSON of its current events that are not retracted; None where there is no such article."""
        with self._reading() as connection:
            found = reading.read_article(connection, article_id)
            return found and (found[0], reading.read_article_events(connection, [article_id], found[1]))

    def article_page(self, wanted: ArticleFilter, limit: int) -> tuple[list[Article], list[str]]:
        """Articles, the last fetched first, and the JSON of their current events that are not retracted."""
        with self._reading() as connection:
            page = reading.read_article_page(connection, wanted, limit)
            coded = [first_coded for _, first_coded in page]
            since = min(filter(None, coded), default=None) if None not in coded else None
            ids = [article.article_id for article, _ in page]
            return [article for article, _ in page], reading.read_article_events(connection, ids, since)

    def keys(self) -> list[ApiKey]:
        """The keys of the API, revoked ones too, the oldest first."""
        with self._reading() as connection:
            return reading.read_keys(connection)

    def key(self, key_id: str) -> ApiKey | None:
        """A key of the API."""
        with self._reading() as connection:
            return reading.read_key(connection, key_id)

    def add_key(self, key: ApiKey) -> None:
        """Keep a key of the API."""
        with self._writing() as connection:
            reading.write_key(connection, key)

    def revoke_key(self, key_id: str, now: datetime) -> bool:
        """Revoke a key of the API; whether there was one to revoke."""
        with self._writing() as connection:
            return reading.revoke_key(connection, key_id, now)

    def use_key(self, key_id: str, now: datetime) -> None:
        """Write down that a key was used: all that the role conflictwire_reader may write."""
        with self._writing() as connection:
            reading.use_key(connection, key_id, now)

    @property
    def alerts(self) -> AlertStore:
        """The tables of alerts."""
        return AlertStore(self._engine, self._shown)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @property
    def _sqlite(self) -> bool:
        return self._engine.dialect.name == "sqlite"

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, self._shown)

    def _writing(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, self._shown, write=True)


def _not_after(coding: Coding, time: datetime) -> Coding:
    """`coding`, coded by `time` at the latest and in the digits that a record has."""
    coded = min(as_utc(coding.coded), time)
    return replace(coding, coded=coded.replace(microsecond=coded.microsecond // 1000 * 1000))


def _repeated(attempt: Callable[[], _T]) -> _T:
    """Run `attempt` again where another transaction got in its way."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except Conflict:
            continue
    return attempt()
