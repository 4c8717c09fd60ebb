"""Databases that are not there, go away, or are no databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingest.errors import SettingsError, StoreRejected, StoreUnavailable
from ingest.storage import EventFilter, Store, connect
from tests.ingest.storage.samples import BARE, EVENT, article, at, coding, triggered
from tests.servers.postgres import PostgresCluster, PostgresServer, require_binaries

SECRET = "hunter2"


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresCluster]:
    server = PostgresCluster(require_binaries())
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        f"mysql://user:{SECRET}@localhost/x",
        f"postgresql+asyncpg://user:{SECRET}@localhost/x",
        f"postgresql://user:{SECRET}@localhost:port/x",
        f"postgresql//user:{SECRET}@localhost",
    ],
)
def test_a_url_that_names_no_store_is_a_wrong_setting(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Store.open(url)
    assert "setting store" in str(caught.value)
    assert_no_secret(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@127.0.0.1:1/x",
        f"postgresql+psycopg://user:{SECRET}/@#@127.0.0.1:1/x",
        f"postgres://127.0.0.1:1/x?user=u&password={SECRET}",
    ],
)
def test_a_server_that_is_not_there_is_unavailable(url: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1") as caught:
        Store.open(url)
    assert caught.value.exit_code == 3
    assert_no_secret(caught.value)


def assert_no_secret(error: BaseException | None) -> None:
    while error:
        assert SECRET not in str(error)
        assert SECRET not in repr(error)
        error = error.__cause__


@pytest.mark.postgres
def test_a_wrong_password_or_database_is_unavailable_and_not_shown(postgres_server: PostgresServer) -> None:
    right = postgres_server.url("postgres")
    for url in (
        right.replace(postgres_server.password, SECRET),
        postgres_server.url("nowhere").replace("nowhere", "no"),
    ):
        with pytest.raises(StoreUnavailable) as caught:
            Store.open(url)
        assert_no_secret(caught.value)
        assert postgres_server.password not in str(caught.value)


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_unavailable_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable):
        Store.open(f"sqlite:///{path}")
    assert path.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable):
        Store.open(f"sqlite:///{tmp_path}/file/store.db")


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    check = store.check()
    assert (check.database, check.journal_mode) == ("SQLite", "wal")
    with store._reading() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "foreign_keys", "busy_timeout")
        }
    assert settings == {"synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}
    store.close()


def test_sqlite_that_is_locked_for_too_long_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_BUSY_TIMEOUT", 0.1)
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        store.apply([coding(0, article(), EVENT)])
    assert list(store.events(EventFilter())) == []  # reading goes on
    other.execute("COMMIT")
    assert len(store.apply([coding(0, article(), EVENT)])[0]) == 1
    store.close()
    other.close()


def test_a_bug_is_not_taken_for_a_server_that_is_away(store: Store) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="nonsense"), store._reading() as connection:
        connection.exec_driver_sql("SELECT nonsense")
    assert store.counts().events == 0


@pytest.mark.postgres
def test_a_check_names_the_server_without_its_password(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    check = store.check()
    assert check.database == "PostgreSQL"
    assert check.journal_mode is None
    assert check.version[0].isdigit()
    assert ":***@127.0.0.1" in check.url
    store.close()


@pytest.mark.postgres
def test_a_store_works_again_when_its_server_is_back(own_server: PostgresCluster) -> None:
    store = Store.open(own_server.url(own_server.create_database()))
    first = store.apply([coding(0, article(), EVENT)])
    own_server.kill()
    for act in (lambda: store.apply([coding(1, article("b"), BARE)]), store.feed_states, store.counts, store.check):
        with pytest.raises(StoreUnavailable):
            act()
    own_server.start()
    assert store.apply([coding(0, article(), EVENT)]) == first
    assert [len(each) for each in store.apply([coding(1, article("b"), BARE)])] == [1]
    own_server.restart()  # the connections of the pool are dead, and nobody notices
    assert store.counts().events == 2
    store.close()


@pytest.mark.postgres
def test_a_server_killed_in_a_stream_or_transaction_leaves_no_half(own_server: PostgresCluster) -> None:
    url = own_server.url(own_server.create_database())
    store = Store.open(url)
    store.apply([coding(0, article(), *(triggered(f"t{number}") for number in range(5000)))])
    stream = store.events(EventFilter())
    next(stream)
    engine = connect.open_engine(url)
    with pytest.raises(StoreUnavailable), connect.transaction(engine, "half", write=True) as connection:
        connection.exec_driver_sql("UPDATE articles SET revision = 7")
        own_server.kill()
        connection.exec_driver_sql("UPDATE articles SET revision = 8")
    with pytest.raises(StoreUnavailable):
        list(stream)
    own_server.start()
    assert [each.revision for each in store.articles()] == [1]
    assert store.counts().events == 5000
    engine.dispose()
    store.close()


@pytest.mark.postgres
def test_a_connection_cut_in_mid_batch_can_be_followed_by_another_try(postgres_server: PostgresServer) -> None:
    name = postgres_server.create_database()
    store = Store.open(postgres_server.url(name))
    store.apply([coding(0, article(), EVENT)])
    with postgres_server.connect() as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
    assert len(store.apply([coding(1, article(revision=2), BARE, coded=at(1))])[0]) == 2
    store.close()


@pytest.mark.postgres
def test_a_role_without_rights_is_told_apart_from_bad_data(postgres_server: PostgresServer) -> None:
    name = postgres_server.create_database()
    url = postgres_server.url(name)
    Store.open(url).close()
    with postgres_server.connect(name) as admin:
        admin.execute(f"CREATE ROLE reader_{name} LOGIN PASSWORD '{SECRET}'")
        admin.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader_{name}")
    reader = Store.open(f"postgresql://reader_{name}:{SECRET}@127.0.0.1:{postgres_server.port}/{name}")
    assert reader.counts().events == 0
    with pytest.raises(StoreUnavailable, match=r"permission denied.*may this role") as caught:
        reader.apply([coding(0, article(), EVENT)])
    assert_no_secret(caught.value)
    reader.close()


@pytest.mark.postgres
def test_what_only_postgres_refuses_is_rejected_without_quoting_it(postgres_url: str) -> None:
    store = Store.open(postgres_url)
    for bad in (article("nul\x00"), article(feed="".join(chr(0x4E00 + number) for number in range(9000)))):
        with pytest.raises(StoreRejected) as caught:
            store.apply([coding(0, bad, EVENT)])
        assert len(str(caught.value)) < 500
    assert store.counts().articles == 0
    store.close()
