"""What the API reads: changes in the order in which they became known, records by id, articles, keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from ingest.records import Article
from ingest.storage.queries import among, chunks
from ingest.storage.tables import api_keys, articles, events
from ingest.storage.values import ApiKey, ArticleFilter

_STREAMED_AT_ONCE = 2000  # rows


class Changed(NamedTuple):
    """A revision, when it became known, when the next one did, and its JSON."""

    known: datetime
    superseded: datetime | None
    record: str


def read_event_changes(connection: sa.Connection, after: datetime | None, until: datetime) -> Iterator[Changed]:
    """Event revisions that became known after `after` and by `until`, in that order, then by id and revision."""
    statement = sa.select(events.c.stored, events.c.superseded, events.c.record).where(events.c.stored <= until)
    if after is not None:
        statement = statement.where(events.c.stored > after)
    statement = statement.order_by(events.c.stored, events.c.event_id, events.c.revision)
    for row in connection.execution_options(yield_per=_STREAMED_AT_ONCE).execute(statement):
        yield Changed(*row)


def read_event_records(
    connection: sa.Connection, pairs: Iterable[tuple[str, int]], first: datetime, last: datetime
) -> dict[tuple[str, int], str]:
    """The JSON of event revisions that were coded between the two times, both included."""
    wanted = set(pairs)
    found = {}
    for some in chunks(event_id for event_id, _ in wanted):
        statement = sa.select(events.c.event_id, events.c.revision, events.c.record).where(
            among(connection, events.c.event_id, some), events.c.coded.between(first, last)
        )
        for event_id, revision, record in connection.execute(statement):
            if (event_id, revision) in wanted:
                found[event_id, revision] = record
    return found


def read_event_revisions(connection: sa.Connection, event_id: str) -> list[str]:
    """The JSON of every revision of an event, the first first."""
    statement = sa.select(events.c.record).where(events.c.event_id == event_id).order_by(events.c.revision)
    return list(connection.scalars(statement))


def read_current_events(connection: sa.Connection, event_ids: Iterable[str]) -> dict[str, str]:
    """The JSON of the current revisions of events, retracted ones too."""
    found: dict[str, str] = {}
    for some in chunks(event_ids):
        statement = sa.select(events.c.event_id, events.c.record).where(
            among(connection, events.c.event_id, some), events.c.superseded.is_(None)
        )
        found |= {row.event_id: row.record for row in connection.execute(statement)}
    return found


def read_article_events(connection: sa.Connection, article_ids: Sequence[str], since: datetime | None) -> list[str]:
    """The JSON of the current events of articles that are not retracted, none of which was coded before `since`."""
    rows: list[str] = []
    for some in chunks(article_ids):
        statement = sa.select(events.c.record).where(
            among(connection, events.c.article_id, some),
            events.c.superseded.is_(None),
            events.c.status != "retracted",
        )
        if since is not None:
            statement = statement.where(events.c.coded >= since)
        rows += connection.scalars(statement.order_by(events.c.coded, events.c.event_id))
    return rows


def read_article_page(
    connection: sa.Connection, wanted: ArticleFilter, limit: int
) -> list[tuple[Article, datetime | None]]:
    """The articles that `wanted` matches, the last fetched first, each with the time of its first coding if known."""
    tests: list[sa.ColumnElement[bool]] = []
    if wanted.feeds:
        tests.append(articles.c.feed.in_(wanted.feeds))
    if wanted.languages:
        tests.append(articles.c.language.in_(wanted.languages))
    if wanted.since is not None:
        tests.append(articles.c.fetched >= wanted.since)
    if wanted.until is not None:
        tests.append(articles.c.fetched < wanted.until)
    if wanted.text is not None:
        tests.append(sa.func.lower(articles.c.title).contains(wanted.text.lower(), autoescape=True))
    if wanted.before is not None:
        place = (articles.c.fetched, articles.c.article_id)
        passed = (sa.literal(value, column.type) for value, column in zip(wanted.before, place, strict=True))
        tests.append(sa.tuple_(*place) < sa.tuple_(*passed))
    statement = sa.select(articles).where(*tests)
    rows = connection.execute(
        statement.order_by(articles.c.fetched.desc(), articles.c.article_id.desc()).limit(limit)
    ).mappings()
    return [_article(row) for row in rows]


def read_article(connection: sa.Connection, article_id: str) -> tuple[Article, datetime | None] | None:
    """One article, with the time of its first coding if known."""
    row = connection.execute(sa.select(articles).where(articles.c.article_id == article_id)).mappings().one_or_none()
    return _article(row) if row else None


def _article(row: Any) -> tuple[Article, datetime | None]:
    values = dict(row)
    first_coded = values.pop("first_coded")
    return Article(**values | {"authors": json.loads(values["authors"]), "text": values["text"] or ""}), first_coded


# --- keys


def read_keys(connection: sa.Connection) -> list[ApiKey]:
    """All of them, revoked ones too, the oldest first."""
    rows = connection.execute(sa.select(api_keys).order_by(api_keys.c.created, api_keys.c.key_id)).mappings()
    return [_key(row) for row in rows]


def read_key(connection: sa.Connection, key_id: str) -> ApiKey | None:
    """The key of that id."""
    row = connection.execute(sa.select(api_keys).where(api_keys.c.key_id == key_id)).mappings().one_or_none()
    return _key(row) if row else None


def _key(row: Any) -> ApiKey:
    return ApiKey(**dict(row) | {"scopes": tuple(row["scopes"].split())})


def write_key(connection: sa.Connection, key: ApiKey) -> None:
    """Add a key."""
    row = {name: getattr(key, name) for name in api_keys.c.keys()} | {"scopes": " ".join(key.scopes)}  # noqa: SIM118
    connection.execute(api_keys.insert(), [row])


def revoke_key(connection: sa.Connection, key_id: str, now: datetime) -> bool:
    """Revoke a key; whether there was one that was not revoked yet."""
    statement = api_keys.update().where(api_keys.c.key_id == key_id, api_keys.c.revoked.is_(None)).values(revoked=now)
    return bool(connection.execute(statement).rowcount)


def use_key(connection: sa.Connection, key_id: str, now: datetime) -> None:
    """Remember when a key was used."""
    connection.execute(api_keys.update().where(api_keys.c.key_id == key_id).values(last_used=now))
