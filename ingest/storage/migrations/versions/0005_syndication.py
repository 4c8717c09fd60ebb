"""What reprints are found by, and which story each article prints."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

key = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
time = sa.DateTime(timezone=True)
number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("articles", sa.Column("syndication_id", sa.Text))
    op.add_column("articles", sa.Column("syndicated_from", sa.Text))
    op.create_table(
        "syndicated",
        sa.Column("number", number, primary_key=True, autoincrement=True),
        sa.Column("article_id", key, nullable=False, unique=True),
        sa.Column("syndication_id", key, nullable=False),
        sa.Column("origin", sa.Text),
        sa.Column("publisher", sa.Text, nullable=False),
        sa.Column("seen", time, nullable=False),
        sa.Column("sketch", sa.LargeBinary),
    )
    op.create_table(
        "syndication_keys",
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("syndication_keys")
    op.drop_table("syndicated")
    op.drop_column("articles", "syndicated_from")
    op.drop_column("articles", "syndication_id")
