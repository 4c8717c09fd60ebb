"""What articles are known by besides their id, and how each feed's are named."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "aliases",
        sa.Column("key", key, primary_key=True),
        sa.Column("article_id", key, nullable=False),
        sa.Column("said", sa.Text),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
    )
    op.add_column("feed_states", sa.Column("scope", sa.Text))
    op.add_column("feed_states", sa.Column("guids_trusted", sa.Boolean, nullable=False, server_default=sa.true()))
    # A feed that did not change would not be read again, so that its articles would keep their former keys alone.
    op.execute("UPDATE feed_states SET etag = NULL, last_modified = NULL, body_hash = NULL")


def downgrade() -> None:
    op.drop_column("feed_states", "guids_trusted")
    op.drop_column("feed_states", "scope")
    op.drop_table("aliases")
