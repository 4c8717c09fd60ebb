"""Bring a database's tables to the version of this code."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ingest.errors import StoreTooNew
from ingest.storage.connect import transaction
from ingest.storage.tables import HEAD

if TYPE_CHECKING:
    from alembic.config import Config

# Alembic keeps the migration at work in global variables.
_ONE_THREAD = threading.Lock()
_LOCK_KEY = 0x636F6E66  # any number that no other program locks in the same database


def upgrade(engine: sa.Engine, shown: str) -> None:
    """Migrate to HEAD, one process at a time; does nothing at HEAD. `shown` names the database in messages.

    Raises StoreTooNew where a newer version has migrated it, StoreUnavailable.
    """
    with transaction(engine, shown) as connection:
        if schema_version(connection) == HEAD:
            return
    with _ONE_THREAD, _locked(engine, shown) as (connection, config):
        from alembic import command
        from alembic.script import ScriptDirectory

        version = schema_version(connection)
        ours = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if version is not None and version not in ours:
            raise StoreTooNew(
                f"store {shown}: its tables are of version {version}, newer than {HEAD}: upgrade Conflictwire"
            )
        command.upgrade(config, HEAD)


def downgrade(engine: sa.Engine, shown: str, version: str) -> None:
    """Migrate back to `version` ("base": no tables at all). What only later versions can hold is lost."""
    with _ONE_THREAD, _locked(engine, shown) as (_, config):
        from alembic import command

        command.downgrade(config, version)


def schema_version(connection: sa.Connection) -> str | None:
    """The revision (migrations/versions) that the tables are of; None where there are none."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return version


@contextmanager
def _locked(engine: sa.Engine, shown: str) -> Iterator[tuple[sa.Connection, Config]]:
    # Imported late: most starts find nothing to migrate, and Alembic takes longer to import than to ask.
    from alembic.config import Config

    with transaction(engine, shown, write=True) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_KEY)))
            if sa.inspect(connection).has_table("articles"):
                # Workers at work begin with this table: they end first, and none waits with locks that we will want.
                connection.execute(sa.text("LOCK TABLE articles IN ACCESS EXCLUSIVE MODE"))
        config = Config()
        config.set_main_option("script_location", "ingest.storage:migrations")
        config.attributes["connection"] = connection
        yield connection, config
