"""The feed of an alert, through the real API process: with a key, with its own token, for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import feedparser
import httpx
import psycopg
import pytest
from pydantic import SecretStr

from ingest.alerts.notify import run_notifier
from ingest.settings import Settings
from ingest.storage import Store
from tests.ingest.alerts.receivers import until
from tests.ingest.alerts.telling import Papers
from tests.ingest.api.conftest import QUICK, wait_ready
from tests.ingest.api.serving import Served
from tests.ingest.command import call, settings_environment
from tests.ingest.storage.conftest import DATABASES
from tests.security.postgres import login
from tests.servers.postgres import PostgresServer


@dataclass
class Desk:
    client: httpx.Client
    settings: Settings
    store: Store
    papers: Papers

    def run(self, *arguments: str) -> str:
        """What a command prints, less the line end."""
        answer = call(*arguments, environment=settings_environment(self.settings))
        assert answer.code == 0, answer.err
        return answer.out.strip()

    def notify(self) -> None:
        run_notifier(self.store, self.settings, once=True)


@pytest.fixture(scope="module", params=DATABASES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """With keys required; on PostgreSQL the API may only read."""
    folder: Path = tmp_path_factory.mktemp("feed")
    settings = Settings(data_dir=folder)
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = server.create_database()
        settings = Settings(data_dir=folder, store=SecretStr(server.url(name)))
    store = Store.open(settings.store_url)
    call("keys", "add", "first", environment=settings_environment(settings))

    def served(of: Settings) -> Iterator[Desk]:
        environment = QUICK | {"CONFLICTWIRE_API__KEYS_REQUIRED": "true"}
        with (
            Served(folder, settings=of, **environment) as server,
            httpx.Client(base_url=server.url, trust_env=False) as client,
        ):
            wait_ready(client)
            yield Desk(client, settings, store, Papers(store))

    if request.param == "postgres":
        with login(server, name, "conflictwire_reader") as reader:
            with psycopg.connect(reader.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute("SELECT FROM alerts, alert_told, alert_deliveries")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("SELECT FROM alert_secrets")
            yield from served(Settings(data_dir=folder, store=SecretStr(reader)))
    else:
        yield from served(settings)
    store.close()


def test_any_feed_reader_can_follow_an_alert(desk: Desk) -> None:
    number = desk.papers.report()
    address = desk.run("alerts", "add", "sudan", "--type", "ASSAULT", "--country", "SDN", "--feed")
    path = address.partition(":8080")[2]
    assert path.startswith("/v1/alerts/sudan.atom?token=cw_")
    desk.notify()  # the feed begins with the last day
    first = desk.client.get(path)
    assert first.status_code == 200 and first.headers["content-type"] == "application/atom+xml"
    parsed = feedparser.parse(first.content)
    assert not parsed.bozo
    (entry,) = parsed.entries
    assert entry.title == "ASSAULT in El Fasher, Sudan: at least 12 dead (1 source)"
    assert "shelled the market in El Fasher" in entry.content[0].value
    assert entry.link == f"https://sahel-courier.example.org/{number}"
    assert "token" not in first.text
    again = desk.client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304 and again.content == b""

    desk.papers.report(paper=1)
    desk.notify()
    changed = desk.client.get(path, headers={"If-None-Match": first.headers["etag"]})
    (later,) = feedparser.parse(changed.content).entries
    assert later.id == entry.id and later.published == entry.published and later.updated > entry.updated
    assert later.title.endswith("(2 sources)")
    desk.papers.correct(number, None)
    desk.papers.correct(number + 1, None)
    desk.notify()
    (gone,) = feedparser.parse(desk.client.get(path).content).entries
    assert gone.id == entry.id and gone.title.startswith("Withdrawn: ASSAULT")


def test_a_feed_is_opened_by_its_token_or_a_key_and_by_nothing_else(desk: Desk) -> None:
    paths = {}
    for name in ("one", "two"):
        paths[name] = desk.run("alerts", "add", name, "--actor", "nobody", "--feed").partition(":8080")[2]
    token = paths["one"].partition("=")[2]
    key = desk.run("keys", "add", "reader")
    client = desk.client
    assert client.get(paths["one"]).status_code == 200
    assert client.get("/v1/alerts/one.atom", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    assert client.get("/v1/alerts/one.atom", auth=("whoever", key)).status_code == 200
    assert client.get("/v1/alerts/one.atom", auth=("whoever", token)).status_code == 200
    assert client.get("/v1/alerts/one.atom").status_code == 401
    assert client.get("/v1/alerts/one.atom").headers["www-authenticate"].startswith("Basic realm=")
    assert client.get("/v1/alerts/one.atom", auth=("whoever", "wrong")).status_code == 401
    assert client.get("/v1/alerts/one.atom", headers={"Authorization": "Basic !"}).status_code == 401
    assert client.get(f"/v1/alerts/two.atom?token={token}").status_code == 404
    assert client.get(f"/v1/alerts/none.atom?token={key}").status_code == 404
    # The token opens nothing else, and a query opens nothing but feeds.
    assert client.get("/v1/incidents", headers={"Authorization": f"Bearer {token}"}).status_code == 403
    assert client.get(f"/v1/incidents?token={key}").status_code == 401
    assert client.get("/v1/alerts/../incidents.atom", params={"token": token}).status_code in (401, 403, 404)
    desk.run("alerts", "remove", "one")
    until(lambda: client.get(paths["one"]).status_code == 401)
    assert client.get(paths["two"]).status_code == 200
