"""What the puller remembers: articles published, and the state of each feed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "known",
        sa.Column("article_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("first_seen", time, nullable=False),
        sa.Column("last_seen", time, nullable=False),
    )
    op.create_table(
        "feed_states",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("etag", sa.Text),
        sa.Column("last_modified", sa.Text),
        sa.Column("body_hash", sa.Text),
        sa.Column("last_pull", time),
        sa.Column("last_success", time),
        sa.Column("next_due", time),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("last_error", sa.Text),
        sa.Column("last_status", sa.BigInteger),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("interval", sa.Double),
        sa.Column("new_entries", sa.BigInteger, nullable=False),
        sa.Column("pulls", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("feed_states")
    op.drop_table("known")
