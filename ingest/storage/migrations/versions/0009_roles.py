"""Who may do what on PostgreSQL: the roles conflictwire_writer (worker, puller) and conflictwire_reader (everyone else).

Both are groups without a login: whoever connects is granted one of them. Where the user who migrates may not create roles
and an administrator has not, nothing is granted and a warning says what to do (docs/security.md). Roles belong to the
whole server, so that they are there already where another of its databases was migrated, and stay when this one goes back.
"""

import logging

from alembic import op
from sqlalchemy import text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

log = logging.getLogger("ingest.storage.migrations")

WRITER, READER = "conflictwire_writer", "conflictwire_reader"

# Another database of the server may be migrated at the same time, hence the last two.
CREATE = """
DO $$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN NULL;
END $$
"""
# `{schema}` is quoted already. What the same user makes later, such as the months of events, is granted along.
GRANTS = (
    "GRANT USAGE ON SCHEMA {schema} TO conflictwire_writer, conflictwire_reader",
    "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO conflictwire_reader",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO conflictwire_writer",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO conflictwire_writer",
    "REVOKE INSERT, UPDATE, DELETE ON {schema}.alembic_version FROM conflictwire_writer",
    "GRANT EXECUTE ON FUNCTION {schema}.conflictwire_make_partition(date) TO conflictwire_writer",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO conflictwire_reader",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO conflictwire_writer",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO conflictwire_writer",
)
REVOKES = (
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE ALL ON SEQUENCES FROM conflictwire_writer",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} REVOKE ALL ON TABLES FROM conflictwire_writer, conflictwire_reader",
    "REVOKE EXECUTE ON FUNCTION {schema}.conflictwire_make_partition(date) FROM conflictwire_writer",
    "REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM conflictwire_writer",
    "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM conflictwire_writer, conflictwire_reader",
    "REVOKE USAGE ON SCHEMA {schema} FROM conflictwire_writer, conflictwire_reader",
)


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for role in (WRITER, READER):
        if not exists(role):
            op.execute(CREATE.format(role=role))
    if missing := [role for role in (WRITER, READER) if not exists(role)]:
        log.warning(
            "the user who migrates may not create roles, so nothing was granted to any: an administrator can run the SQL "
            "of docs/security.md, 'Roles by hand', at any time",
            extra={"missing": missing},
        )
        return
    run(GRANTS)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql" and exists(WRITER) and exists(READER):
        run(REVOKES)


def exists(role: str) -> bool:
    return op.get_bind().scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role}) is not None


def run(statements: tuple[str, ...]) -> None:
    schema = op.get_bind().scalar(text("SELECT quote_ident(current_schema())"))
    for statement in statements:
        op.execute(statement.format(schema=schema))
