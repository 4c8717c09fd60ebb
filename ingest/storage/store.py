"""The one door to the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ingest.records import Article, EventRecord
from ingest.storage.values import Coding, Counts, EventFilter, FeedState, Known, StoreCheck


class Store:
    """The store behind one URL. May be shared by threads; every process opens its own."""

    @classmethod
    def open(cls, url: str) -> Store:
        """Connect to `url` and bring its tables up to date. Raises StoreUnavailable."""
        raise NotImplementedError

    def feed_states(self) -> dict[str, FeedState]:
        raise NotImplementedError

    def save_feed_state(self, state: FeedState) -> None:
        raise NotImplementedError

    def known(self, article_ids: Sequence[str]) -> dict[str, Known]:
        raise NotImplementedError

    def remember(self, known: Sequence[Known], feed: str, state: FeedState | None = None) -> None:
        raise NotImplementedError

    def apply(self, codings: Sequence[Coding]) -> list[list[EventRecord]]:
        raise NotImplementedError

    def events(
        self, filter: EventFilter, limit: int | None = None, newest_first: bool = True
    ) -> Iterator[EventRecord]:
        raise NotImplementedError

    def articles(self, feed: str | None = None, limit: int | None = None) -> Iterator[Article]:
        raise NotImplementedError

    def counts(self) -> Counts:
        raise NotImplementedError

    def check(self) -> StoreCheck:
        raise NotImplementedError

    def drop_texts(self, before: datetime) -> int:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError
