"""The one door to the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TypeVar

import sqlalchemy as sa

from ingest.records import Article, EventRecord
from ingest.settings import describe_url
from ingest.storage import queries
from ingest.storage.connect import Conflict, open_engine, transaction
from ingest.storage.decide import coding_key, decide
from ingest.storage.migrate import schema_version, upgrade
from ingest.storage.syndication import Kept, read_syndicated, write_syndicated
from ingest.storage.tables import feed_states
from ingest.storage.values import Alias, Coding, Counts, EventFilter, FeedState, Known, StoreCheck

_T = TypeVar("_T")

_ATTEMPTS = 3


class Store:
    """The store behind one URL. May be shared by threads; every process opens its own.

    Every method raises StoreUnavailable when the database does not answer or is busy for too long, and may be called
    again; none leaves half of its work behind. StoreRejected means that the database refuses the data it was given.
    """

    def __init__(self, engine: sa.Engine, url: str) -> None:
        self._engine = engine
        self._shown = describe_url(url)

    @classmethod
    def open(cls, url: str) -> Store:
        """Connect to a SQLAlchemy URL (`sqlite:///FILE`, `postgresql://…`) and bring its tables up to date.

        SQLite's file and its folder are made where they are missing. Any number of processes may do this at once.
        Raises SettingsError for a URL of any other kind, StoreTooNew, StoreUnavailable.
        """
        engine = open_engine(url)
        try:
            upgrade(engine, describe_url(url))
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, url)

    def apply(self, codings: Sequence[Coding]) -> list[list[EventRecord]]:
        """Store what was coded, and return for each coding the event revisions it made: what is to be published.

        One transaction for the whole batch. A position is decided once: given again, because a worker died between
        this commit and the broker's, it returns what it returned the first time, whatever the coder says now. So a
        worker publishes what this returns in the broker transaction that commits the offsets, and every event
        revision is once in the store and once on the topic. Of two workers that decide a position at the same time,
        the slower gets the answer of the quicker.

        Codings are decided in order; a revision older than the one stored makes nothing. See `revise` for the rest.
        Raises StoreRejected when the database refuses any one of them: nothing is stored, and applying them one by
        one shows which.
        """

        def attempt() -> list[list[EventRecord]]:
            with self._writing() as connection:
                article_ids = {coding.article.article_id for coding in codings}
                # First the locks, then the rest: what is read after them, nobody else is changing.
                stored = queries.lock_articles(connection, article_ids)
                decided = queries.decisions(connection, codings)
                current = queries.current_events(connection, stored)
                decision = decide(codings, decided, stored, current)
                queries.write(connection, decision)
                return decision.answers

        return _repeated(attempt) if codings else []

    def decided(self, codings: Sequence[Coding]) -> list[bool]:
        """Whether `apply` has decided the record of each coding before, and will answer as it did then."""
        with self._reading() as connection:
            found = queries.decisions(connection, codings)
        return [coding_key(coding) in found for coding in codings]

    def events(self, filter: EventFilter, limit: int | None = None, newest_first: bool = True) -> Iterator[EventRecord]:
        """The current revisions of the events that `filter` matches, in the order of their coding.

        A stream out of one snapshot: it needs little memory however many there are, and a connection until its end.
        """
        with self._reading() as connection:
            yield from queries.read_events(connection, filter, limit, newest_first)

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

    def known(self, keys: Sequence[str]) -> dict[str, Known]:
        """The articles published that the keys lead to, be they ids or aliases; keys that lead nowhere are not in it."""
        with self._reading() as connection:
            return queries.read_known(connection, keys)

    def syndicated(self, article_ids: Iterable[str], keys: Iterable[int]) -> list[Kept]:
        """What is kept of the articles and of those that have one of `keys`, to find prints of one story among."""
        with self._reading() as connection:
            return read_syndicated(connection, article_ids, keys)

    def remember(
        self,
        known: Sequence[Known],
        feed: str,
        state: FeedState | None = None,
        prints: Sequence[Kept] = (),
        aliases: Sequence[Alias] = (),
    ) -> None:
        """Remember what was published, by what else it is known, and the state of its feed, in one transaction.

        To be called when the broker has it: after a crash in between it is published again, and not lost.
        """

        def attempt() -> None:
            with self._writing() as connection:
                now = datetime.now(UTC)
                queries.write_known(connection, known, feed, now)
                write_syndicated(connection, prints, now)
                queries.write_aliases(connection, aliases, now)
                if state is not None:
                    queries.write_feed_states(connection, [state])

        _repeated(attempt)

    def counts(self) -> Counts:
        """How much there is. Reads whole tables."""
        with self._reading() as connection:
            return queries.count(connection)

    def check(self) -> StoreCheck:
        """What the database is. That it answers and that its tables are there is checked on the way."""
        with self._reading() as connection:
            sqlite = self._engine.dialect.name == "sqlite"
            version = connection.scalar(sa.text("SELECT sqlite_version()" if sqlite else "SHOW server_version"))
            return StoreCheck(
                url=self._shown,
                database="SQLite" if sqlite else "PostgreSQL",
                version=str(version),
                schema=schema_version(connection) or "none",
                journal_mode=connection.scalar(sa.text("PRAGMA journal_mode")) if sqlite else None,
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

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, self._shown)

    def _writing(self) -> AbstractContextManager[sa.Connection]:
        return transaction(self._engine, self._shown, write=True)


def _repeated(attempt: Callable[[], _T]) -> _T:
    """Run `attempt` again where another transaction got in its way."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return attempt()
        except Conflict:
            continue
    return attempt()
