"""Articles, codings, events and their countries."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
time = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "articles",
        sa.Column("article_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("canonical_url", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("language", sa.Text),
        sa.Column("authors", sa.Text, nullable=False),
        sa.Column("published", time),
        sa.Column("published_source", sa.Text, nullable=False),
        sa.Column("fetched", time, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
    )
    op.create_index("articles_fetched", "articles", ["fetched", "article_id"])
    op.create_index("articles_feed", "articles", ["feed", "fetched", "article_id"])
    has_text = sa.text("text IS NOT NULL")
    op.create_index("articles_texts", "articles", ["fetched"], postgresql_where=has_text, sqlite_where=has_text)
    op.create_table(
        "codings",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.BigInteger, primary_key=True),
        sa.Column("offset", sa.BigInteger, primary_key=True),
        sa.Column("article_id", key, primary_key=True),
        sa.Column("article_revision", sa.BigInteger, primary_key=True),
        sa.Column("coded", time, nullable=False),
        sa.Column("made", sa.Text, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("event_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("article_id", key, sa.ForeignKey("articles.article_id"), nullable=False),
        sa.Column("article_revision", sa.BigInteger, nullable=False),
        sa.Column("feed", sa.Text, nullable=False),
        sa.Column("published", time),
        sa.Column("coded", time, nullable=False),
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
    )
    indexes = {
        "events_coded": ["coded", "event_id", "revision"],
        "events_type": ["type", "coded", "event_id", "revision"],
        "events_feed": ["feed", "coded", "event_id", "revision"],
        "events_published": ["published"],
        "events_article": ["article_id"],
    }
    on_postgresql, on_sqlite = sa.text("current"), sa.text("current = 1")
    for name, columns in indexes.items():
        op.create_index(name, "events", columns, postgresql_where=on_postgresql, sqlite_where=on_sqlite)
    op.create_table(
        "event_countries",
        sa.Column("country", key, primary_key=True),
        sa.Column("coded", time, primary_key=True),
        sa.Column("event_id", key, primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("type", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for table in ("event_countries", "events", "codings", "articles"):
        op.drop_table(table)
