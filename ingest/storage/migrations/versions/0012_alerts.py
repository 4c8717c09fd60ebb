"""Alerts: saved filters, what was told of which incident, and the messages that wait to be sent or were.

Where a message goes and what it is signed with are in a table of their own, which conflictwire_reader may not read.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("alert_id", key, primary_key=True),
        sa.Column("name", key, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("filter", sa.Text, nullable=False),
        sa.Column("every", sa.Double),
        sa.Column("created", time, nullable=False),
        sa.Column("paused", sa.Text),
        sa.Column("position", time, nullable=False),
        sa.Column("due", time),
        sa.Column("key_id", key),
    )
    op.create_index("alerts_name", "alerts", ["name"], unique=True)
    op.create_table(
        "alert_secrets",
        sa.Column("alert_id", key, primary_key=True),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
    )
    op.create_table(
        "alert_told",
        sa.Column("alert_id", key, primary_key=True),
        sa.Column("incident_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("first", time, nullable=False),
        sa.Column("changed", time, nullable=False),
    )
    op.create_index("alert_told_changed", "alert_told", ["alert_id", "changed", "incident_id"])
    op.create_table(
        "alert_deliveries",
        sa.Column("delivery_id", key, primary_key=True),
        sa.Column("alert_id", key, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("recipient", key, nullable=False),
        sa.Column("created", time, nullable=False),
        sa.Column("items", sa.Text, nullable=False),
        sa.Column("more", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("due", time),
        sa.Column("done", time),
        sa.Column("result", sa.Text),
        sa.Column("error", sa.Text),
    )
    op.create_index("alert_deliveries_alert", "alert_deliveries", ["alert_id", "number"])
    waiting = sa.text("done IS NULL")
    op.create_index(
        "alert_deliveries_waiting",
        "alert_deliveries",
        ["alert_id", "recipient", "number"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )
    bind = op.get_bind()
    if bind.dialect.name == "postgresql" and bind.scalar(
        sa.text("SELECT 1 FROM pg_roles WHERE rolname = 'conflictwire_reader'")
    ):
        op.execute("REVOKE ALL ON alert_secrets FROM conflictwire_reader")


def downgrade() -> None:
    for table in ("alert_deliveries", "alert_told", "alert_secrets", "alerts"):
        op.drop_table(table)
