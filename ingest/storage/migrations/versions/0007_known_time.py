"""When the store learned of each event revision and of the next, and a table for each month of events on PostgreSQL.

All rows of `events` are copied, and on PostgreSQL those of `event_countries`: it needs as much room again meanwhile. For
what was stored before this, the time of coding stands in for the time of storing.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
time = sa.DateTime(timezone=True)

INDEXES = {
    "events_coded": ["coded", "event_id"],
    "events_type": ["type", "coded", "event_id"],
    "events_feed": ["feed", "coded", "event_id"],
    "events_published": ["published"],
    "events_article": ["article_id"],
}
FORMER_INDEXES = {
    "events_coded": ["coded", "event_id", "revision"],
    "events_type": ["type", "coded", "event_id", "revision"],
    "events_feed": ["feed", "coded", "event_id", "revision"],
    "events_published": ["published"],
    "events_article": ["article_id"],
}
COPIED = (
    "event_id, revision, coded, status, article_id, article_revision, feed, published, type, quad, realis, confidence, "
    "intensity, country, lat, lon, earliest, latest, dead_min, injured_min, record"
)

# The keys and the epoch are those of ingest/storage/times.py.
STAMP = """
CREATE FUNCTION conflictwire_stamp() RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    began bigint := floor(extract(epoch FROM clock_timestamp()));
    given timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1937010546, least(began - 1577836800, 2147483647)::int);
    given := greatest(
        clock_timestamp(), to_timestamp(began), (SELECT max(stored) FROM storings) + interval '1 microsecond'
    );
    INSERT INTO storings (stored) VALUES (given);
    RETURN given;
END $$
"""
# CREATE TABLE ... PARTITION OF would lock out readers and writers; ATTACH PARTITION does not. It is run with the rights
# of the tables' owner, so that a role that may only write can make the month that it writes to.
MAKE_PARTITION = """
CREATE FUNCTION conflictwire_make_partition(month date) RETURNS boolean LANGUAGE plpgsql
SECURITY DEFINER SET search_path = {schema}, pg_temp AS $$
DECLARE
    first date := make_date(extract(year FROM month)::int, extract(month FROM month)::int, 1);
    parent text;
    child text;
BEGIN
    IF to_regclass('event_countries' || to_char(first, '_YYYY_MM')) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(1937010547);
    -- Not by to_regclass: waiting for this lock does not renew what it has cached.
    PERFORM FROM pg_class WHERE relname = 'event_countries' || to_char(first, '_YYYY_MM')
        AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'event_countries'::regclass);
    IF FOUND THEN
        RETURN false;
    END IF;
    FOREACH parent IN ARRAY ARRAY['events', 'event_countries'] LOOP
        child := parent || to_char(first, '_YYYY_MM');
        EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING COMPRESSION INCLUDING STORAGE)', child, parent);
        EXECUTE format(
            'ALTER TABLE %I SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05, '
            'autovacuum_analyze_scale_factor = 0.05, autovacuum_freeze_min_age = 0)', child
        );
        EXECUTE format(
            'ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, child,
            to_char(first, 'YYYY-MM-DD') || ' 00:00:00+00',
            to_char(first + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00'
        );
    END LOOP;
    RETURN true;
END $$
"""


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name in FORMER_INDEXES:
        op.drop_index(name, "events")
    op.add_column("articles", sa.Column("first_coded", time))
    op.rename_table("events", "former_events")
    op.create_table("storings", sa.Column("stored", time, nullable=False))
    op.create_index("storings_stored", "storings", ["stored"])
    if postgresql:
        op.execute("ALTER TABLE former_events RENAME CONSTRAINT events_pkey TO former_events_pkey")
        op.execute("ALTER TABLE event_countries RENAME CONSTRAINT event_countries_pkey TO former_countries_pkey")
        op.rename_table("event_countries", "former_countries")
    op.create_table(
        "events",
        sa.Column("event_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("coded", time, primary_key=True),
        sa.Column("stored", time, nullable=False),
        sa.Column("superseded", time),
        *fields(),
        postgresql_partition_by="RANGE (coded)",
    )
    if postgresql:
        create_countries(postgresql_partition_by="RANGE (coded)")
        schema = op.get_bind().scalar(sa.text("SELECT quote_ident(current_schema())"))
        op.execute(STAMP)
        op.execute(MAKE_PARTITION.format(schema=schema))
        # Whoever may make tables in the owner's name must be named (0009).
        op.execute("REVOKE EXECUTE ON FUNCTION conflictwire_make_partition(date) FROM PUBLIC")
        op.execute(
            "SELECT conflictwire_make_partition(month) FROM "
            "(SELECT DISTINCT date_trunc('month', coded AT TIME ZONE 'UTC')::date AS month FROM former_events) months"
        )
        op.execute(
            "INSERT INTO event_countries (country, coded, event_id, revision, type) "
            "SELECT country, coded, event_id, revision, type FROM former_countries"
        )
        op.drop_table("former_countries")
    # A revision is never known before the one that it follows, whatever the clocks of the workers said.
    op.execute(
        f"""
        INSERT INTO events (stored, superseded, {COPIED})
        SELECT stored, lead(stored) OVER (PARTITION BY event_id ORDER BY revision), {COPIED}
        FROM (SELECT max(coded) OVER (PARTITION BY event_id ORDER BY revision) AS stored, {COPIED}
              FROM former_events) AS timed
        """  # noqa: S608 - names of our own
    )
    op.execute("INSERT INTO storings (stored) SELECT max(stored) FROM events HAVING max(stored) IS NOT NULL")
    op.drop_table("former_events")
    for name, columns in INDEXES.items():
        op.create_index(name, "events", columns)


def downgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for name in INDEXES:
        op.drop_index(name, "events")
    op.rename_table("events", "later_events")
    if postgresql:
        op.execute("ALTER TABLE later_events RENAME CONSTRAINT events_pkey TO later_events_pkey")
        op.execute("ALTER TABLE event_countries RENAME CONSTRAINT event_countries_pkey TO later_countries_pkey")
        op.rename_table("event_countries", "later_countries")
        create_countries()
        op.execute(
            "INSERT INTO event_countries (country, coded, event_id, revision, type) "
            "SELECT country, coded, event_id, revision, type FROM later_countries"
        )
        op.drop_table("later_countries")
        op.execute("DROP FUNCTION conflictwire_make_partition(date)")
        op.execute("DROP FUNCTION conflictwire_stamp()")
    op.create_table(
        "events",
        sa.Column("event_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("coded", time, nullable=False),
        *fields(sa.ForeignKey("articles.article_id")),
    )
    op.execute(
        f"INSERT INTO events (current, {COPIED}) SELECT superseded IS NULL, {COPIED} FROM later_events"  # noqa: S608
    )
    op.drop_table("later_events")
    op.drop_table("storings")
    op.drop_column("articles", "first_coded")
    on_postgresql, on_sqlite = sa.text("current"), sa.text("current = 1")
    for name, columns in FORMER_INDEXES.items():
        op.create_index(name, "events", columns, postgresql_where=on_postgresql, sqlite_where=on_sqlite)


def fields(*of_article: sa.ForeignKey) -> list[sa.Column[Any]]:
    return [
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("article_id", key, *of_article, nullable=False),
        sa.Column("article_revision", sa.BigInteger, nullable=False),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("published", time),
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
        sa.Column("dead_min", sa.BigInteger),
        sa.Column("injured_min", sa.BigInteger),
        sa.Column("record", sa.Text, nullable=False),
    ]


def create_countries(**options: Any) -> None:
    op.create_table(
        "event_countries",
        sa.Column("country", key, primary_key=True),
        sa.Column("coded", time, primary_key=True),
        sa.Column("event_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("type", sa.Text, primary_key=True),
        **options,
    )
