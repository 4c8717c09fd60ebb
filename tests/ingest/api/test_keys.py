"""Who may ask: keys and their scopes, rates, addresses, names of the host, the role that only reads."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from ingest.api.keys import SCOPES, id_of, new_key, opens
from ingest.api.rates import Rates, whose
from ingest.api.server import in_force, is_loopback
from ingest.errors import SettingsError
from ingest.settings import Api, Settings
from tests.ingest.api.conftest import QUICK, until
from tests.ingest.api.serving import Served, fill
from tests.ingest.command import call, settings_environment
from tests.security.postgres import login
from tests.servers.postgres import PostgresServer

NOW = datetime(2026, 11, 28, tzinfo=UTC)

# --- decisions


def test_a_key_can_be_told_from_every_other() -> None:
    key, kept = new_key("Ana", ["read"], NOW)
    other, other_kept = new_key("Ana", ["read"], NOW)
    assert id_of(key) == kept.key_id != other_kept.key_id
    assert opens(key, kept)
    assert not opens(other, kept)
    assert not opens(key, None)
    assert not opens(key[:-1] + ("A" if key[-1] != "A" else "B"), kept)
    assert key not in repr(kept)
    assert len(key) == len(f"cw_{kept.key_id}_") + 43


@given(st.text() | st.from_regex(r"cw_[0-9a-f]{10,14}_[A-Za-z0-9_-]{40,45}", fullmatch=True))
def test_any_text_can_be_looked_at_as_a_key(text: str) -> None:
    found = id_of(text)
    assert found is None or re.fullmatch("[0-9a-f]{12}", found)


def test_requests_can_be_counted() -> None:
    rates = Rates(per_minute=60, burst=3)
    assert [rates.take("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert rates.take("b", 0.0) == 0.0
    assert rates.take("a", 0.5) == 0.5
    assert rates.take("a", 1.0) == 0.0
    assert [rates.take("a", 1000.0) for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    assert rates.empty("a", 1000.5)
    assert not rates.empty("a", 1001.0)
    assert not rates.empty("c", 0.0)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 5))))
def test_nobody_can_get_more_than_the_burst_and_the_rate_allow(asked: list[tuple[str, float]]) -> None:
    rates, now, taken = Rates(per_minute=30, burst=2), 0.0, 0
    for who, later in asked:
        now += later
        wait = rates.take(who, now)
        assert 0 <= wait <= 2.0
        taken += who == "a" and not wait
    assert taken <= 2 + now * 0.5 + 1e-6


def test_rates_remember_a_bounded_number() -> None:
    rates = Rates(60, 1)
    for number in range(30_000):
        rates.take(str(number), 0.0)
    assert len(rates._left) <= 20_000


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("unix", "unix")],
)
def test_a_network_of_ipv6_counts_as_one_address(address: str, counts_as: str) -> None:
    assert whose(address) == counts_as


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
    ],
)
def test_addresses_can_be_told_that_others_reach(host: str, loopback: bool) -> None:
    assert is_loopback(host) == loopback


def test_no_public_address_can_be_served_without_a_key() -> None:
    _, kept = new_key("Ana", ["read"], NOW)
    revoked = new_key("Bo", ["read"], NOW)[1].__class__(**{**_fields(kept), "revoked": NOW})
    public, local = Settings(api=Api(host="0.0.0.0")), Settings()
    for keys in ([], [revoked]):
        with pytest.raises(SettingsError, match=r"others can reach 0\.0\.0\.0, and there is no key: make one"):
            in_force(public, keys)
    assert in_force(public, [revoked, kept]).api.keys_required
    assert not in_force(local, [kept]).api.keys_required
    with pytest.raises(SettingsError, match=r"api\.keys_required is set"):
        in_force(Settings(api=Api(keys_required=True)), [])


def _fields(key: object) -> dict[str, object]:
    return {name: getattr(key, name) for name in key.__slots__}  # type: ignore[attr-defined]


# --- commands


def test_keys_can_be_added_listed_and_revoked(tmp_path: Path) -> None:
    environment = settings_environment(tmp_path)
    made = call("keys", "add", "desk, Ana", "--scope", "read", "--scope", "full_text", environment=environment)
    assert made.code == 0, made.err
    key = made.out.strip()
    key_id = id_of(key)
    assert key_id
    assert key_id in made.err
    assert b"_".join([b"cw", key_id.encode()]) not in (tmp_path / "conflictwire.db").read_bytes()
    listed = call("keys", "list", "--format", "json", environment=environment)
    (shown,) = map(json.loads, listed.lines)
    assert shown["name"] == "desk, Ana"
    assert shown["scopes"] == ["read", "full_text"]
    assert shown["last_used"] is shown["revoked"] is None
    assert key not in listed.out
    assert call("keys", "revoke", key_id, environment=environment).code == 0
    again = call("keys", "revoke", key_id, environment=environment)
    assert (again.code, "keys list" in again.err) == (1, True)
    table = call("keys", "list", environment=environment).out
    assert "desk, Ana" in table
    assert "revoked" in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Ana", "--scope", "write"], "is no scope: give one of read, full_text"),
        ([" "], "printable"),
        (["a\x1b"], "printable"),
    ],
)
def test_a_wrong_key_is_not_made(tmp_path: Path, arguments: list[str], says: str) -> None:
    answer = call("keys", "add", *arguments, environment=settings_environment(tmp_path))
    assert (answer.code, says in " ".join(answer.err.split())) == (2, True)


def test_serve_refuses_a_public_address_without_keys_and_a_port_in_use(tmp_path: Path) -> None:
    environment = settings_environment(tmp_path)
    answer = call("serve", "--host", "0.0.0.0", "--port", "0", environment=environment)
    assert (answer.code, "make one with `conflictwire keys add NAME`" in answer.err) == (2, True)
    answer = call("serve", "--host", "192.0.2.200", "--port", "0", environment=environment)
    assert (answer.code, "there is no key" in answer.err) == (2, True)
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = call("serve", "--port", str(taken.getsockname()[1]), environment=environment)
    assert (answer.code, "setting api.port" in answer.err) == (2, True)


# --- over HTTP


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory, client: httpx.Client) -> Iterator[Asking]:
    """A server that wants keys and lets texts out; a key for each set of scopes."""
    folder = tmp_path_factory.mktemp("keyed")
    fill(Settings(data_dir=folder).store_url, 5)
    environment = settings_environment(folder)
    keys = {
        name: call("keys", "add", name, *scopes, environment=environment).out.strip()
        for name, scopes in (
            ("reader", []),
            ("archive", ["-s", "read", "-s", "full_text"]),
            ("odd", ["-s", "full_text"]),
        )
    }
    settings = {
        "CONFLICTWIRE_API__KEYS_REQUIRED": "true",
        "CONFLICTWIRE_API__FULL_TEXT": "true",
        "CONFLICTWIRE_API__CORS_ORIGINS": '["https://desk.example.org"]',
        "CONFLICTWIRE_API__PROXIES": '["127.0.0.1"]',
    }
    with Served(folder, **QUICK, **settings) as served:
        ask = Asking(served, keys, environment, client)
        until(lambda: ask("/readyz").status_code == 200)
        yield ask


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, verify=False) as opened:
        yield opened


class Asking:
    """Asks a server, with a key or without."""

    def __init__(self, served: Served, keys: dict[str, str], environment: dict[str, str], client: httpx.Client) -> None:
        self.served, self.keys, self.environment, self.client = served, keys, environment, client

    def __call__(self, path: str, key: str | None = None, **headers: str) -> httpx.Response:
        given = {"Authorization": f"Bearer {key}"} if key else {}
        return self.client.get(self.served.url + path, headers=given | headers)


def test_without_a_key_nothing_is_let_out(keyed: Asking) -> None:
    ask, keys = keyed, keyed.keys
    for path in ("/v1/events", "/v1/meta", "/v1/events.csv", "/v1/stream", "/v1/nothing"):
        answer = ask(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer KEY" in answer.json()["error"]
    wrong = keys["reader"][:-4] + "AAAA"
    assert ask("/v1/meta", wrong, **{"X-Forwarded-For": "198.51.100.1"}).status_code == 401
    for path in ("/livez", "/readyz", "/openapi.json"):
        assert ask(path).status_code == 200
    assert ask("/v1/meta", keys["reader"]).status_code == 200
    assert ask("/v1/meta", **{"X-API-Key": keys["reader"]}).status_code == 200
    assert ask("/v1/meta", keys["odd"]).status_code == 403


def test_texts_are_let_out_to_keys_of_that_scope_only(keyed: Asking) -> None:
    ask, keys = keyed, keyed.keys
    item = ask("/v1/articles", keys["archive"]).json()["items"][0]
    assert item["snippets"][0]["text"] in item["text"]
    without = ask(f"/v1/articles/{item['article_id']}", keys["reader"])
    assert "text" not in without.json()
    assert ask(f"/v1/articles/{item['article_id']}", keys["archive"]).json() == item
    assert "Authorization" in without.headers["vary"]


def test_a_revoked_key_opens_nothing_soon_and_its_use_is_written_down(keyed: Asking) -> None:
    ask, environment = keyed, keyed.environment
    key = call("keys", "add", "leaving", environment=environment).out.strip()
    assert ask("/v1/meta", key).status_code == 200

    def shown() -> dict[str, object]:
        lines = call("keys", "list", "--format", "json", environment=environment).lines
        return next(each for each in map(json.loads, lines) if each["key_id"] == id_of(key))

    until(lambda: shown()["last_used"])
    call("keys", "revoke", str(id_of(key)), environment=environment)
    until(lambda: ask("/v1/meta", key).status_code == 401)


def test_whoever_tries_many_keys_is_put_off(keyed: Asking) -> None:
    ask, keys = keyed, keyed.keys
    here = {"X-Forwarded-For": "203.0.113.9"}
    codes = [ask("/v1/meta", f"cw_{number:012x}_{'A' * 43}", **here).status_code for number in range(25)]
    assert codes[:20] == [401] * 20
    assert codes[-1] == 429
    assert ask("/v1/meta", keys["reader"], **here).status_code == 429
    assert ask("/v1/meta", keys["reader"]).status_code == 200


def test_pages_of_other_origins_may_read_only_where_it_is_set(keyed: Asking) -> None:
    ask, keys = keyed, keyed.keys
    preflight = {"Origin": "https://desk.example.org", "Access-Control-Request-Method": "GET"}
    preflight["Access-Control-Request-Headers"] = "authorization"
    answer = ask.client.options(f"{ask.served.url}/v1/meta", headers=preflight)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://desk.example.org"
    assert ask("/v1/meta", Origin="https://desk.example.org").headers["access-control-allow-origin"]
    other = ask("/v1/meta", keys["reader"], Origin="https://evil.example.org")
    assert "access-control-allow-origin" not in other.headers


@pytest.fixture(scope="module")
def open_desk(tmp_path_factory: pytest.TempPathFactory, client: httpx.Client) -> Iterator[Asking]:
    """A server on loopback without keys, that answers 6 requests at once."""
    folder = tmp_path_factory.mktemp("open")
    fill(Settings(data_dir=folder).store_url, 3)
    settings = {"CONFLICTWIRE_API__RATE": "2", "CONFLICTWIRE_API__BURST": "6"}
    with Served(folder, "--no-page", CONFLICTWIRE_API__HOSTS='["desk.internal"]', **settings) as served:
        yield Asking(served, {}, {}, client)


def test_requests_above_the_rate_are_refused_until_a_time_that_is_told(open_desk: Asking) -> None:
    codes = [open_desk("/v1/nothing") for _ in range(8)]
    assert [each.status_code for each in codes[:6]] == [404] * 6
    assert codes[-1].status_code == 429
    assert 1 <= int(codes[-1].headers["retry-after"]) <= 30
    assert open_desk("/livez").status_code == 200
    # Behind a reverse proxy each of its clients has a rate of its own.
    assert open_desk("/v1/nothing", **{"X-Forwarded-For": "198.51.100.77"}).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 404),
        ("127.0.0.1", 404),
        ("[::1]:80", 404),
        ("desk.internal:8080", 404),
        ("evil.example.org", 421),
    ],
)
def test_a_foreign_name_of_this_host_opens_nothing_where_no_key_is_needed(
    open_desk: Asking, host: str, status: int
) -> None:
    answer = open_desk("/", Host=host, **{"X-Forwarded-For": f"198.51.100.{len(host)}"})
    assert answer.status_code == status, answer.text


# --- the role that only reads


@pytest.mark.postgres
def test_the_api_can_work_with_a_role_that_only_reads(
    postgres_server: PostgresServer, tmp_path: Path, client: httpx.Client
) -> None:
    """Keys are looked up, and their use is written down: that is all that the role may write."""
    database = postgres_server.create_database()
    owner = postgres_server.url(database)
    fill(owner, 3)
    made = call(
        "keys", "add", "Ana", environment=settings_environment(Settings(data_dir=tmp_path, store=SecretStr(owner)))
    )
    key = made.out.strip()
    with login(postgres_server, database, "conflictwire_reader") as reader:
        settings = Settings(data_dir=tmp_path, store=SecretStr(reader))
        with (
            Served(tmp_path, settings=settings, CONFLICTWIRE_API__KEYS_REQUIRED="true", **QUICK) as served,
            postgres_server.connect(database) as connection,
        ):
            ask = Asking(served, {}, {}, client)
            until(lambda: ask("/readyz").status_code == 200)
            for path in ("/v1/events", "/v1/incidents", "/v1/articles", "/v1/counts?of=events", "/v1/meta"):
                assert ask(path, key).status_code == 200, path
            until(lambda: connection.execute("SELECT 1 FROM api_keys WHERE last_used IS NOT NULL").fetchone())
        with psycopg.connect(reader.replace("+psycopg", ""), autocommit=True) as connection:
            for statement in (
                "UPDATE api_keys SET revoked = NULL",
                "UPDATE api_keys SET hash = ''",
                "INSERT INTO api_keys VALUES ('a', 'a', 'a', 'read', now())",
                "DELETE FROM api_keys",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement)
    postgres_server.drop_database(database)


def test_the_database_itself_refuses_what_the_api_would_write(tmp_path: Path, store_url: str) -> None:
    from ingest.errors import StoreUnavailable
    from ingest.storage import Store

    Store.open(store_url).close()
    store = Store.open(store_url, read_only=True)
    with pytest.raises((StoreUnavailable, sqlite3.Error), match=r"readonly|read-only"):
        store.add_key(new_key("Ana", list(SCOPES), NOW)[1])
    assert store.keys() == []
    store.close()
