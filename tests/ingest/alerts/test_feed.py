"""The feed of an alert, through the real API process: with a key, with its own token, for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import feedparser
import httpx
import pytest

from ingest.alerts.notify import run_notifier
from ingest.alerts.recall import shown
from ingest.errors import StoreUnavailable
from ingest.settings import Settings
from ingest.storage import Alert, IncidentFilter, Item, Store
from tests.ingest.alerts.receivers import until
from tests.ingest.alerts.telling import Papers
from tests.ingest.api.conftest import QUICK, wait_ready
from tests.ingest.api.serving import Served
from tests.ingest.command import call, settings_environment
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


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """With keys required."""
    folder = tmp_path_factory.mktemp("feed")
    settings = Settings(data_dir=folder)
    store = Store.open(settings.store_url)
    call("keys", "add", "first", environment=settings_environment(settings))
    environment = QUICK | {"CONFLICTWIRE_API__KEYS_REQUIRED": "true"}
    with (
        Served(folder, settings=settings, **environment) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        wait_ready(client)
        yield Desk(client, settings, store, Papers(store))
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


@pytest.mark.postgres
def test_who_only_reads_can_serve_feeds_and_sees_no_secret(postgres_server: PostgresServer) -> None:
    name = postgres_server.create_database()
    store = Store.open(postgres_server.url(name))
    now = datetime.now(UTC)
    common = {"filter": IncidentFilter(), "created": now, "position": store.settled(now)}
    alert = Alert("id-a", "a", "feed", "", **common)  # type: ignore[arg-type]
    assert store.alerts.add(alert)
    assert store.alerts.add(Alert("id-b", "b", "webhook", "", **common), "https://x.example", "whsec_x")  # type: ignore[arg-type]
    Papers(store).report()
    run_notifier(store, Settings(), once=True, stop=None)
    with login(postgres_server, name, "conflictwire_reader") as url:
        reading = Store.open(url, read_only=True)
        (told,) = reading.alerts.told_last("id-a", 10)
        assert reading.alerts.get("a") == store.alerts.get("a")
        assert len(shown(reading, [Item(told.incident_id, told.revision, told.change)])) == 1
        with pytest.raises(StoreUnavailable, match="permission denied"):
            reading.alerts.secret("id-b")
        reading.close()
    with login(postgres_server, name, "conflictwire_writer") as url:
        writing = Store.open(url)
        assert writing.alerts.secret("id-b") == ("https://x.example", "whsec_x")
        assert writing.alerts.secret("id-a") is None
        writing.alerts.remove(alert, now)
        writing.close()
    assert [each.name for each in store.alerts.all()] == ["b"]
    store.close()
