"""The tables grow with the code, on both databases, with data in them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ingest.errors import StoreTooNew
from ingest.storage import EventFilter, FeedState, Store
from ingest.storage.connect import open_engine
from ingest.storage.migrate import downgrade, schema_version, upgrade
from ingest.storage.tables import HEAD, metadata
from tests.ingest.storage.processes import race
from tests.ingest.storage.samples import BARE, EVENT, article, coding


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    made = open_engine(store_url)
    yield made
    made.dispose()


def tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names()) - {"alembic_version"}


def versions() -> list[str]:
    config = Config()
    config.set_main_option("script_location", "ingest.storage:migrations")
    return [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]


def test_the_code_is_written_for_the_last_migration() -> None:
    assert versions()[0] == HEAD


def test_migrations_make_the_tables_that_the_queries_see(engine: sa.Engine) -> None:
    upgrade(engine, "test")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata) == []
    # Alembic compares no conditions of indexes, no primary keys and no collations.
    migrated = definitions(engine)
    downgrade(engine, "test", "base")
    metadata.create_all(engine)
    assert definitions(engine) == migrated


def definitions(engine: sa.Engine) -> set[tuple[str, ...]]:
    """Every index and, on PostgreSQL, every column's collation, as the database itself writes them down."""
    if engine.dialect.name == "sqlite":
        queries = ["SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%alembic%'"]
    else:
        queries = [
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename <> 'alembic_version' AND schemaname = 'public'",
            "SELECT table_name, column_name, data_type, is_nullable, collation_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name <> 'alembic_version'",
        ]
    with engine.connect() as connection:
        rows = [row for query in queries for row in connection.execute(sa.text(query))]
    return {tuple(" ".join(str(value).split()) for value in row) for row in rows}


def test_opening_again_changes_nothing(store_url: str) -> None:
    for _ in range(2):
        store = Store.open(store_url)
        assert store.check().schema == HEAD
        store.apply([coding(0, article(), EVENT)])
        assert store.counts().events == 1
        store.close()


def test_every_migration_can_be_undone_and_done_again_with_data(store_url: str, engine: sa.Engine) -> None:
    store = Store.open(store_url)
    [made] = store.apply([coding(0, article(), EVENT, BARE)])
    store.save_feed_state(FeedState(name="wire"))
    everything = tables(engine)
    for version in [*versions()[1:], "base"]:
        downgrade(engine, "test", version)
        with engine.connect() as connection:
            assert schema_version(connection) == (None if version == "base" else version)
        upgrade(engine, "test")
        assert tables(engine) == everything
        if version != "base":
            assert list(store.events(EventFilter(), newest_first=False)) == sorted(made, key=lambda each: each.event_id)
    assert store.counts().events == 0
    assert store.feed_states() == {}
    store.close()


def test_what_was_known_of_feeds_before_there_were_rhythms_is_kept(store_url: str, engine: sa.Engine) -> None:
    upgrade(engine, "test")
    downgrade(engine, "test", "0003")
    old = sa.text(
        "INSERT INTO feed_states (name, etag, last_success, failures, disabled, new_entries, pulls) "
        "VALUES ('wire', 'x', '2026-11-24 12:00:00.000000', 2, false, 5, 7)"
    )
    with engine.begin() as connection:
        connection.execute(old)
    store = Store.open(store_url)
    read = datetime(2026, 11, 24, 12, tzinfo=UTC)
    # Its validators are gone: it is to be read once more, for its articles to get their keys.
    known = FeedState("wire", last_success=read, failures=2, new_entries=5, pulls=7, last_body=read)
    assert store.feed_states() == {"wire": known}
    store.close()


def test_undoing_everything_leaves_nothing(engine: sa.Engine) -> None:
    upgrade(engine, "test")
    downgrade(engine, "test", "base")
    assert tables(engine) == set()


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(store_url: str, engine: sa.Engine) -> None:
    Store.open(store_url).close()
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9000'"))
    with pytest.raises(StoreTooNew, match=r"version 9000, newer than .*: upgrade Conflictwire") as caught:
        Store.open(store_url)
    assert caught.value.exit_code == 1
    with engine.connect() as connection:
        assert schema_version(connection) == "9000"


def test_processes_can_open_a_new_database_at_once(store_url: str) -> None:
    assert race("Store.open(url).save_feed_state(FeedState(name=name))", "abc", store_url) == [0, 0, 0]
    store = Store.open(store_url)
    assert set(store.feed_states()) == set("abc")
    store.close()
