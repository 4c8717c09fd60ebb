"""A store on either database, papers that report into it, and what alerts are sent to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ingest.alerts import notify
from ingest.alerts.notify import NotifierStats, run_notifier
from ingest.settings import Settings
from ingest.storage import Alert, Delivery, IncidentFilter, Store
from tests.ingest.alerts.receivers import Mailbox, Receiver, mail_server
from tests.ingest.alerts.telling import Papers
from tests.servers.postgres import PostgresServer

USER, PASSWORD = "alerts", "hunter2"
SECRET = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"


@dataclass
class Desk:
    """A store that papers report into, and its alerts."""

    settings: Settings
    store: Store
    papers: Papers

    def add(self, url: str = "", emails: tuple[str, ...] = (), name: str = "desk", **fields: Any) -> Alert:
        """An alert from now on: to a webhook, to addresses, or with neither in a feed."""
        now = datetime.now(UTC)
        channel: Any = "webhook" if url else "email" if emails else "feed"
        values: dict[str, Any] = {
            "alert_id": f"id-{name}",
            "name": name,
            "channel": channel,
            "target": " ".join(emails),
            "filter": IncidentFilter(),
            "created": now,
            "position": self.store.settled(now),
        }
        alert = Alert(**values | fields)
        assert self.store.alerts.add(alert, url, SECRET if url else "")
        return alert

    def notify(self) -> NotifierStats:
        """One notifier in this process, until what is due was tried."""
        return run_notifier(self.store, self.settings, once=True)

    def deliveries(self, alert: Alert) -> list[Delivery]:
        """The messages of an alert, the first first."""
        return self.store.alerts.deliveries(alert.alert_id, 1000)[::-1]


def opened(folder: Path, url: str) -> tuple[Settings, Store]:
    """A store, and settings that let webhooks lie on loopback."""
    settings = Settings.model_validate(
        {"data_dir": folder, "store": SecretStr(url), "alerts": {"allow_private": True, "timeout": 5.0}}
    )
    return settings, Store.open(url)


@pytest.fixture(scope="session")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Store]]:
    """With the incidents of all tests before: alerts begin after them."""
    folder = tmp_path_factory.mktemp("alerts")
    settings, store = opened(folder, f"sqlite:///{folder / 'conflictwire.db'}")
    yield settings, store
    store.close()


@pytest.fixture(scope="session")
def on_postgres(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[tuple[Settings, Store]]:
    """The same."""
    settings, store = opened(tmp_path_factory.mktemp("alerts"), postgres_server.url(postgres_server.create_database()))
    yield settings, store
    store.close()


def without_alerts(settings: Settings, store: Store) -> Desk:
    """The store, with papers of its own."""
    for alert in store.alerts.all():
        store.alerts.remove(alert, datetime.now(UTC))
    return Desk(settings, store, Papers(store))


@pytest.fixture(params=["on_sqlite", pytest.param("on_postgres", marks=pytest.mark.postgres)])
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """On each database in turn."""
    monkeypatch.setattr(notify, "POLL", 0.02)
    return without_alerts(*request.getfixturevalue(request.param))


@pytest.fixture
def local(on_sqlite: tuple[Settings, Store], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """On SQLite, for what the database has no part in."""
    monkeypatch.setattr(notify, "POLL", 0.02)
    return without_alerts(*on_sqlite)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt follows at once."""
    monkeypatch.setattr("ingest.alerts.decide._FIRST_DELAY", 0.0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


@pytest.fixture(scope="session")
def mail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    """One mail server for all tests."""
    with mail_server(tmp_path_factory.mktemp("mail"), USER, PASSWORD) as made:
        yield made


@pytest.fixture
def mailbox(mail: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """The server without what other tests sent, its certificate trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(mail.cert))
    for each in (mail.refuse, mail.replies, mail.mails, mail.logins):
        each.clear()
    return mail


def smtp_of(mailbox: Mailbox, **fields: Any) -> dict[str, Any]:
    """The settings of that server."""
    values = {"host": mailbox.host, "port": mailbox.port, "user": USER, "password": PASSWORD}
    return values | {"sender": "desk@example.org", "timeout": 5.0} | fields
