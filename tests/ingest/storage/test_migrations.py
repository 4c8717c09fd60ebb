"""The tables grow with the code, on both databases, with data in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from ingest.errors import StoreTooNew
from ingest.storage import EventFilter, FeedState, Known, Store
from ingest.storage.connect import open_engine
from ingest.storage.migrate import downgrade, schema_version, upgrade
from ingest.storage.tables import HEAD, metadata
from ingest.storage.values import Alias
from tests.ingest.storage.processes import race
from tests.ingest.storage.samples import BARE, EVENT, NOON, article, at, coding, triggered


@pytest.fixture
def postgres_url(empty_postgres_url: str) -> str:
    """For `store_url`: there is something to migrate."""
    return empty_postgres_url


@pytest.fixture
def engine(store_url: str) -> Iterator[sa.Engine]:
    made = open_engine(store_url)
    yield made
    made.dispose()


def tables(engine: sa.Engine) -> set[str]:
    """Without the partitions, which are there for the months that have events."""
    found = set(sa.inspect(engine).get_table_names()) - {"alembic_version"}
    return {name for name in found if not re.search(r"_\d{4}_\d{2}$", name)}


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
    """Up and down through every version, with edited and retracted events of two months, a feed and an alias in them."""
    store = Store.open(store_url)
    store.apply([coding(0, article(), EVENT, BARE), coding(1, article("b", text=""), not_coded="empty")])
    edited = [replace(EVENT, realis="negated"), triggered("shelled")]
    store.apply([coding(2, article(revision=2), *edited, coded=NOON + timedelta(days=20))])
    store.remember([Known("a", 2, "a-2", "wire")], [FeedState("wire")], aliases=[Alias("guid", "a")])

    def content() -> tuple[object, ...]:
        every = EventFilter(include_retracted=True)
        return list(store.events(every)), list(store.articles()), list(store.not_coded()), store.counts()

    before, everything = content(), tables(engine)
    assert (store.counts().events, store.counts().retracted, store.counts().revisions) == (2, 1, 5)
    for version in [*versions()[1:], "base"]:
        downgrade(engine, "test", version)
        with engine.connect() as connection:
            assert schema_version(connection) == (None if version == "base" else version)
        upgrade(engine, "test")
        assert tables(engine) == everything
        if version >= "0006" and version != "base":
            assert store.known(["guid", "a"]).keys() == {"guid", "a"}
        if version >= "0003" and version != "base":  # before, nothing of feeds and of what is not coded could be held
            assert content() == before, version
    assert store.counts().revisions == store.counts().articles == 0
    assert store.feed_states() == {}
    store.close()


def test_what_was_coded_before_there_was_a_known_time_can_be_looked_back_at(store_url: str, engine: sa.Engine) -> None:
    """The time of coding stands in, and of one event it never falls, whatever the workers' clocks said."""
    store = Store.open(store_url)
    for number, (word, minutes) in enumerate([("a", 0), ("b", 9), ("c", 5)]):
        event = replace(EVENT, modes=(word,))
        store.apply([coding(number, article(revision=number + 1), event, coded=at(minutes))])
    downgrade(engine, "test", "0006")
    upgrade(engine, "test")

    def modes(minutes: float) -> list[tuple[str, ...]]:
        return [event.modes for event in store.events(EventFilter(as_of=at(minutes)))]

    assert [modes(minutes) for minutes in (-1, 0, 8.9, 9, 10)] == [[], [("a",)], [("a",)], [("c",)], [("c",)]]
    [made] = store.apply([coding(3, article(revision=4), replace(EVENT, modes=("d",)))])
    assert (made[0].revision, made[0].modes) == (4, ("d",))
    assert modes(10) == [("c",)]
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
