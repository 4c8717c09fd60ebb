"""Incidents: every revision of each, the countries that it names, where each event belongs, and how far the keeper is.

On PostgreSQL the roles of 0009 are granted their rights to these tables by its default privileges.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("incident_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("stored", time, nullable=False),
        sa.Column("superseded", time),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("country", sa.Text),
        sa.Column("lat", sa.Double),
        sa.Column("lon", sa.Double),
        sa.Column("first_report", time, nullable=False),
        sa.Column("last_report", time, nullable=False),
        sa.Column("earliest", sa.Text),
        sa.Column("latest", sa.Text),
        sa.Column("sources", sa.BigInteger, nullable=False),
        sa.Column("reports", sa.BigInteger, nullable=False),
        sa.Column("dead_min", sa.BigInteger),
        sa.Column("dead_max", sa.BigInteger),
        sa.Column("parties", sa.Text, nullable=False),
        sa.Column("told_by", sa.Text, nullable=False),
        sa.Column("languages", sa.Text, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
    )
    op.create_index("incidents_stored", "incidents", ["stored", "incident_id", "revision"])
    op.create_index("incidents_type", "incidents", ["type", "stored", "incident_id"])
    op.create_index("incidents_number", "incidents", ["number"])
    op.create_table(
        "incident_countries",
        sa.Column("country", key, primary_key=True),
        sa.Column("stored", time, primary_key=True),
        sa.Column("incident_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("type", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "incident_events",
        sa.Column("event_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("incident_id", key),
        sa.Column("article_id", key, nullable=False),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("language", sa.Text),
        sa.Column("first_coded", time, nullable=False),
        sa.Column("last_coded", time, nullable=False),
    )
    op.create_table(
        "incident_keeper",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("clock", time),
        sa.Column("open_from", sa.BigInteger, nullable=False),
        sa.Column("unpublished", sa.Text, nullable=False),
    )
    op.execute("INSERT INTO incident_keeper (number, open_from, unpublished) VALUES (0, 0, '[]')")


def downgrade() -> None:
    for table in ("incident_keeper", "incident_events", "incident_countries", "incidents"):
        op.drop_table(table)
