"""What the API needs: its keys, and event revisions in the order in which they became known.

Whoever only reads may write down when a key was last used, and nothing else.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_index("events_stored", "events", ["stored", "event_id", "revision"])
    op.create_table(
        "api_keys",
        sa.Column("key_id", key, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created", time, nullable=False),
        sa.Column("revoked", time),
        sa.Column("last_used", time),
    )
    bind = op.get_bind()
    if bind.dialect.name == "postgresql" and bind.scalar(
        sa.text("SELECT 1 FROM pg_roles WHERE rolname = 'conflictwire_reader'")
    ):
        op.execute("GRANT UPDATE (last_used) ON api_keys TO conflictwire_reader")


def downgrade() -> None:
    op.drop_table("api_keys")
    op.drop_index("events_stored", "events")
