"""What retention searches by, and vacuum settings for the tables that it deletes from."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# Rows come and go, or are written over: vacuumed when a twentieth has changed, not a fifth.
BUSY = ("codings", "known", "aliases", "syndicated", "syndication_keys", "articles", "feed_states")


def upgrade() -> None:
    op.create_index("known_last_seen", "known", ["last_seen", "article_id"])
    op.create_index("aliases_last_seen", "aliases", ["last_seen"])
    if op.get_bind().dialect.name == "postgresql":
        for table in BUSY:
            op.execute(
                f"ALTER TABLE {table} SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)"
            )


def downgrade() -> None:
    op.drop_index("aliases_last_seen", "aliases")
    op.drop_index("known_last_seen", "known")
    if op.get_bind().dialect.name == "postgresql":
        for table in BUSY:
            op.execute(f"ALTER TABLE {table} RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor)")
