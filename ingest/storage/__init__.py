"""The store: articles, every revision of every event, what is known of feeds. SQLite (WAL) or PostgreSQL 15.

`Store.apply` is what makes "exactly once" hold between the store and the topic `events`: see there.
"""

from __future__ import annotations

from ingest.storage.alerts import Alert, AlertStore, Delivery, Item, Told, Waiting
from ingest.storage.incidents import IncidentRow, KeeperLock, KeeperState, Kept, KeptEvent, Place
from ingest.storage.store import Store
from ingest.storage.values import (
    Answer,
    ApiKey,
    ArticleFilter,
    Coding,
    Counts,
    EventFilter,
    FeedState,
    IncidentFilter,
    Known,
    Position,
    StoreCheck,
)

__all__ = [
    "Alert",
    "AlertStore",
    "Answer",
    "ApiKey",
    "ArticleFilter",
    "Coding",
    "Counts",
    "Delivery",
    "EventFilter",
    "FeedState",
    "IncidentFilter",
    "IncidentRow",
    "Item",
    "KeeperLock",
    "KeeperState",
    "Kept",
    "KeptEvent",
    "Known",
    "Place",
    "Position",
    "Store",
    "StoreCheck",
    "Told",
    "Waiting",
]
