"""The store: articles, every revision of every event, what is known of feeds. SQLite (WAL) or PostgreSQL 15.

`Store.apply` is what makes "exactly once" hold between the store and the topic `events`: see there.
"""

from __future__ import annotations

from ingest.storage.store import Store
from ingest.storage.values import Answer, Coding, Counts, EventFilter, FeedState, Known, Position, StoreCheck

__all__ = ["Answer", "Coding", "Counts", "EventFilter", "FeedState", "Known", "Position", "Store", "StoreCheck"]
