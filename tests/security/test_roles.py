"""The roles of PostgreSQL: a writer writes rows and nothing else, a reader reads."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ingest.errors import StoreUnavailable
from ingest.storage import EventFilter, FeedState, Store
from ingest.storage.connect import open_engine
from ingest.storage.migrate import downgrade, upgrade
from tests.ingest.command import finish, start
from tests.ingest.pipeline import PUBLISHED, article
from tests.ingest.storage.samples import EVENT, coding
from tests.security.postgres import login
from tests.servers.postgres import PostgresCluster, PostgresServer, require_binaries

pytestmark = pytest.mark.postgres

WRITER, READER = "conflictwire_writer", "conflictwire_reader"
PAGE = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A cluster of this module's: roles belong to a whole cluster, and one test needs one without."""
    made = PostgresCluster(require_binaries())
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    name = server.create_database()
    yield name
    server.drop_database(name)


@pytest.fixture
def stored(server: PostgresServer, database: str) -> str:
    """The database, migrated and with an event in it."""
    store = Store.open(server.url(database))
    store.apply([coding(0, article(0), EVENT)])
    store.close()
    return database


@pytest.fixture
def writer(server: PostgresServer, stored: str) -> Iterator[str]:
    with login(server, stored, WRITER) as url:
        yield url


@pytest.fixture
def reader(server: PostgresServer, stored: str) -> Iterator[str]:
    with login(server, stored, READER) as url:
        yield url


def refused(url: str, *statements: str) -> None:
    """Each of `statements` is refused for lack of a right, and for nothing else."""
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_a_reader_can_query_export_and_be_examined_and_writes_nothing(
    reader: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"CONFLICTWIRE_STORE": reader}
    for arguments in (["events", "--format", "json"], ["articles", "--format", "json"]):
        answer = finish(start(tmp_path, *arguments, environment=environment))
        assert answer.code == 0, answer.err
        assert len(answer.lines) == 1
    answer = finish(start(tmp_path, "export", "--format", "csv", tmp_path / "events.csv", environment=environment))
    assert answer.code == 0, answer.err
    assert len((tmp_path / "events.csv").read_text().splitlines()) == 2
    answer = finish(start(tmp_path, "doctor", environment=environment))
    assert re.search(r"^ok +store .*1 articles, 1 events", answer.out, re.M), answer.out
    store = Store.open(reader)
    with pytest.raises(StoreUnavailable, match="permission denied"):
        store.apply([coding(1, article(1), EVENT)])
    with pytest.raises(StoreUnavailable, match="permission denied"):
        store.save_feed_state(FeedState("feed"))
    store.close()
    refused(
        reader,
        "DELETE FROM events",
        "UPDATE articles SET title = ''",
        "TRUNCATE codings",
        "INSERT INTO storings VALUES (now())",
        "SELECT conflictwire_make_partition('1999-01-01')",
        "CREATE TABLE mine ()",
    )


def test_the_owner_can_take_the_role_of_a_reader_by_the_url_that_the_deployed_api_has(
    server: PostgresServer, stored: str
) -> None:
    url = f"{server.url(stored)}{'&' if '?' in server.url(stored) else '?'}options=-c%20role%3D{READER}"
    store = Store.open(url, read_only=True)
    assert store.counts().events == 1
    store.close()
    writing = Store.open(url)
    writing.use_key("none", PUBLISHED)
    with pytest.raises(StoreUnavailable, match="permission denied"):
        writing.apply([coding(1, article(1), EVENT)])
    writing.close()


def test_a_writer_can_do_all_that_a_worker_does_and_change_no_table(
    writer: str, server: PostgresServer, stored: str
) -> None:
    store = Store.open(writer)
    assert store.apply([coding(1, article(1), EVENT)])[0]
    store.save_feed_state(FeedState("feed"))
    assert store.drop_texts(PUBLISHED.replace(year=PUBLISHED.year + 1)) == 2
    assert store.counts().articles == 2
    store.close()
    # A month that nobody has written to yet: its table is made in the owner's name, and a reader can read it.
    with psycopg.connect(writer.replace("+psycopg", ""), autocommit=True) as connection:
        assert connection.execute("SELECT conflictwire_make_partition('1999-05-01')").fetchone() == (True,)
        connection.execute("SELECT FROM events_1999_05")
    with server.connect(stored) as connection:
        (owner,) = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'events_1999_05'").fetchone()
        assert owner == "conflictwire"
    refused(
        writer,
        "ALTER TABLE events ADD COLUMN mine text",
        "DROP TABLE events",
        "CREATE TABLE mine ()",
        "CREATE INDEX mine ON events (type)",
        "CREATE OR REPLACE FUNCTION conflictwire_stamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
        "TRUNCATE events",
        "UPDATE alembic_version SET version_num = '0001'",
        "CREATE ROLE mine",
        "ALTER TABLE events OWNER TO conflictwire_reader",
    )


def test_what_later_migrations_make_is_granted_too(
    writer: str, reader: str, server: PostgresServer, stored: str
) -> None:
    with server.connect(stored) as owner:
        owner.execute("CREATE TABLE later (value int)")
    with psycopg.connect(writer.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("INSERT INTO later VALUES (1)")
    with psycopg.connect(reader.replace("+psycopg", ""), autocommit=True) as connection:
        assert connection.execute("SELECT value FROM later").fetchone() == (1,)
    refused(reader, "INSERT INTO later VALUES (2)")


@pytest.mark.parametrize("role", [WRITER, READER])
def test_a_role_cannot_migrate_and_is_told_so(server: PostgresServer, database: str, role: str) -> None:
    engine = open_engine(server.url(database))
    upgrade(engine, "test")
    downgrade(engine, "test", "0008")
    engine.dispose()
    with login(server, database, role) as url, pytest.raises(StoreUnavailable, match="may this role"):
        Store.open(url)


def test_going_back_takes_the_rights_away_and_leaves_the_roles(server: PostgresServer, stored: str) -> None:
    engine = open_engine(server.url(stored))
    downgrade(engine, "test", "0008")
    with login(server, stored, WRITER, READER) as url:
        refused(url, "SELECT FROM events", "SELECT FROM alembic_version")
    upgrade(engine, "test")
    engine.dispose()
    with login(server, stored, READER) as url:
        store = Store.open(url)
        assert len(list(store.events(EventFilter()))) == 1
        store.close()


def by_hand() -> str:
    """The SQL that docs/security.md gives an administrator."""
    _, _, after = PAGE.read_text(encoding="utf-8").partition("### Roles by hand")
    (sql,) = re.findall(r"```sql\n(.*?)```", after.partition("\n## ")[0], re.S)
    return sql


def test_a_user_who_may_not_create_roles_can_migrate_and_an_administrator_can_grant_later(
    server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    with server.connect() as admin:
        for role in (WRITER, READER):
            admin.execute(f"DROP ROLE IF EXISTS {role}")
    name = server.create_database()
    try:
        with login(server, name) as owner:
            user = owner.split("//")[1].split(":")[0]
            with server.connect() as admin:
                admin.execute(f"ALTER DATABASE {name} OWNER TO {user}")
            with caplog.at_level(logging.WARNING, "ingest"):
                Store.open(owner).close()
            (warning,) = [record for record in caplog.records if record.name == "ingest.storage.migrations"]
            assert "may not create roles" in warning.getMessage()
            assert "docs/security.md" in warning.getMessage()
            with server.connect(name) as admin:
                for statement in by_hand().replace("OWNER", user).split(";\n"):
                    if statement.strip():
                        admin.execute(statement)
            check_roles(server, name, owner)
    finally:
        server.drop_database(name)


def check_roles(server: PostgresServer, name: str, owner: str) -> None:
    with login(server, name, WRITER) as url:
        store = Store.open(url)
        assert store.apply([coding(0, article(0), EVENT)])[0]
        store.close()
        refused(url, "DROP TABLE events", "UPDATE alembic_version SET version_num = '0001'")
    with login(server, name, READER) as url:
        store = Store.open(url)
        assert len(list(store.events(EventFilter()))) == 1
        store.close()
        with psycopg.connect(owner.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("CREATE TABLE later ()")
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("SELECT FROM later")
        refused(url, "DELETE FROM events")
