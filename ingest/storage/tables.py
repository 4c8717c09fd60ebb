"""The tables as the queries see them; the migrations make them, and a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa

from ingest.storage.values import as_utc

# The revision (migrations/versions) that this code is written for.
HEAD = "0012"


class UtcTime(sa.TypeDecorator[datetime]):
    """Times with their zone, also on SQLite, which keeps none."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """UTC into the database; SQLite would write the digits of whatever zone it is given."""
        return None if value is None else as_utc(value)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """UTC out of it; PostgreSQL answers in the zone of the session."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Numbers(sa.TypeDecorator[tuple[int, ...]]):
    """A few whole numbers, parted by commas."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[int, ...] | None, dialect: sa.Dialect) -> str | None:
        """Text into the database."""
        return None if value is None else ",".join(map(str, value))

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> tuple[int, ...]:
        """Numbers out of it; none for rows that are older than the column."""
        return tuple(map(int, value.split(","))) if value else ()


# Bytewise order on both databases, and cheaper to index than the order of some language.
Key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Number = sa.BigInteger()

metadata = sa.MetaData()

# The latest revision of each article. `text` is null where retention has dropped it. None of its events was coded before
# `first_coded`, which tells in which months to look for them; null for articles from before migration 0007.
articles = sa.Table(
    "articles",
    metadata,
    sa.Column("article_id", Key, primary_key=True),
    sa.Column("revision", Number, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("canonical_url", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("text", sa.Text),
    sa.Column("language", sa.Text),
    sa.Column("authors", sa.Text, nullable=False),
    sa.Column("published", UtcTime),
    sa.Column("published_source", sa.Text, nullable=False),
    sa.Column("fetched", UtcTime, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("syndication_id", sa.Text),
    sa.Column("syndicated_from", sa.Text),
    sa.Column("first_coded", UtcTime),
    sa.Index("articles_fetched", "fetched", "article_id"),
    sa.Index("articles_feed", "feed", "fetched", "article_id"),
)
_has_text = articles.c.text.is_not(None)
sa.Index("articles_texts", articles.c.fetched, postgresql_where=_has_text, sqlite_where=_has_text)

# What was decided about each record of the topic `articles`. `made` names the event revisions that came of it, in
# order: a JSON list of [event_id, revision]; a JSON string where it was buried, and why. The article's revision belongs
# to the key because a topic that is deleted and made again starts its offsets over.
codings = sa.Table(
    "codings",
    metadata,
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", Number, primary_key=True),
    sa.Column("offset", Number, primary_key=True),
    sa.Column("article_id", Key, primary_key=True),
    sa.Column("article_revision", Number, primary_key=True),
    sa.Column("coded", UtcTime, nullable=False),
    sa.Column("made", sa.Text, nullable=False),
)

# Which articles the coder does not read, by their latest revision, and why (`models.text.uncodable`).
not_coded = sa.Table(
    "not_coded",
    metadata,
    sa.Column("article_id", Key, sa.ForeignKey("articles.article_id"), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
)

# Every revision of every event. `record` is the JSON as published, kept as text and not as JSONB so that exports give
# it back byte for byte; the other columns repeat those of its fields that queries select by. `stored` is when the store
# learned of it, and `superseded` when of the next revision: null while it is current (docs/decisions/0007-known-time.md).
# PostgreSQL keeps each month of `coded` in a table of its own and wants that column in every key. That an event has one
# row a revision is held by the lock of its article (`lock_articles`).
events = sa.Table(
    "events",
    metadata,
    sa.Column("event_id", Key, primary_key=True),
    sa.Column("revision", Number, primary_key=True),
    sa.Column("coded", UtcTime, primary_key=True),
    sa.Column("stored", UtcTime, nullable=False),
    sa.Column("superseded", UtcTime),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("article_id", Key, nullable=False),
    sa.Column("article_revision", Number, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("published", UtcTime),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("quad", sa.Text, nullable=False),
    sa.Column("realis", sa.Text, nullable=False),
    sa.Column("confidence", sa.Double, nullable=False),
    sa.Column("intensity", sa.Double, nullable=False),
    sa.Column("country", sa.Text),
    sa.Column("lat", sa.Double),
    sa.Column("lon", sa.Double),
    sa.Column("earliest", sa.Text),
    sa.Column("latest", sa.Text),
    sa.Column("dead_min", Number),
    sa.Column("injured_min", Number),
    sa.Column("record", sa.Text, nullable=False),
    postgresql_partition_by="RANGE (coded)",
)
for _name, _columns in {
    "events_coded": ("coded", "event_id"),
    "events_type": ("type", "coded", "event_id"),
    "events_feed": ("feed", "coded", "event_id"),
    "events_published": ("published",),
    "events_article": ("article_id",),
    "events_stored": ("stored", "event_id", "revision"),
}.items():
    # Of all revisions, for what was known at a time; and not of `superseded`, so that setting it changes no index.
    sa.Index(_name, *(events.c[column] for column in _columns))

# The countries of each event revision: of its location, actors and recipients. The key has all that a search by
# country, time and type looks at, so that it reads this index alone before it fetches the events found.
event_countries = sa.Table(
    "event_countries",
    metadata,
    sa.Column("country", Key, primary_key=True),
    sa.Column("coded", UtcTime, primary_key=True),
    sa.Column("event_id", Key, primary_key=True),
    sa.Column("revision", Number, primary_key=True),
    sa.Column("type", sa.Text, primary_key=True),
    sqlite_with_rowid=False,
    postgresql_partition_by="RANGE (coded)",
)

# The `stored` times given out, one a transaction of `Store.apply`; only the last matters (`ingest.storage.times`).
storings = sa.Table(
    "storings", metadata, sa.Column("stored", UtcTime, nullable=False), sa.Index("storings_stored", "stored")
)

# The puller's memory: what it has published to the broker.
known = sa.Table(
    "known",
    metadata,
    sa.Column("article_id", Key, primary_key=True),
    sa.Column("revision", Number, nullable=False),
    sa.Column("content_hash", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("first_seen", UtcTime, nullable=False),
    sa.Column("last_seen", UtcTime, nullable=False),
    sa.Index("known_last_seen", "last_seen", "article_id"),
)

# What articles are known by besides their id (`ingest.feeds.identity`).
aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("article_id", Key, nullable=False),
    sa.Column("said", sa.Text),
    sa.Column("last_seen", UtcTime, nullable=False),
    sa.Index("aliases_last_seen", "last_seen"),
)

# The fields of FeedState.
feed_states = sa.Table(
    "feed_states",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("etag", sa.Text),
    sa.Column("last_modified", sa.Text),
    sa.Column("body_hash", sa.Text),
    sa.Column("last_pull", UtcTime),
    sa.Column("last_success", UtcTime),
    sa.Column("next_due", UtcTime),
    sa.Column("failures", Number, nullable=False),
    sa.Column("last_error", sa.Text),
    sa.Column("last_status", Number),
    sa.Column("disabled", sa.Boolean, nullable=False),
    sa.Column("interval", sa.Double),
    sa.Column("new_entries", Number, nullable=False),
    sa.Column("pulls", Number, nullable=False),
    sa.Column("last_body", UtcTime),
    sa.Column("validators_wrong", UtcTime),
    sa.Column("asked", sa.Double),
    sa.Column("max_age", sa.Double),
    sa.Column("skip_hours", Numbers),
    sa.Column("skip_days", Numbers),
    sa.Column("first_success", UtcTime),
    sa.Column("per_day", sa.Double),
    sa.Column("url", sa.Text),
    sa.Column("catalog_url", sa.Text),
    sa.Column("moved_to", sa.Text),
    sa.Column("moved_days", Number, nullable=False, server_default="0"),
    sa.Column("moved_on", UtcTime),
    sa.Column("scope", sa.Text),
    sa.Column("guids_trusted", sa.Boolean, nullable=False, server_default=sa.true()),
)

# The keys of the API (`ingest.api.keys`). `hash` is the SHA-256 of the key, `scopes` are words parted by spaces.
api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("key_id", Key, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("created", UtcTime, nullable=False),
    sa.Column("revoked", UtcTime),
    sa.Column("last_used", UtcTime),
)
