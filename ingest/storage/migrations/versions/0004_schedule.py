"""What the schedule follows: a feed's wishes, its rhythm, where it moved, and whether its validators can be trusted."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

time = sa.DateTime(timezone=True)


def columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("last_body", time),
        sa.Column("validators_wrong", time),
        sa.Column("asked", sa.Double),
        sa.Column("max_age", sa.Double),
        sa.Column("skip_hours", sa.Text),
        sa.Column("skip_days", sa.Text),
        sa.Column("first_success", time),
        sa.Column("per_day", sa.Double),
        sa.Column("url", sa.Text),
        sa.Column("catalog_url", sa.Text),
        sa.Column("moved_to", sa.Text),
        sa.Column("moved_days", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("moved_on", time),
    ]


def upgrade() -> None:
    for column in columns():
        op.add_column("feed_states", column)
    # Else every feed that says 304 would be doubted at once, and asked twice.
    op.execute("UPDATE feed_states SET last_body = last_success")


def downgrade() -> None:
    for column in reversed(columns()):
        op.drop_column("feed_states", column.name)
