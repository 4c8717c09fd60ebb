"""A filled store on either database and the API on it, as a process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ingest.settings import Settings
from tests.ingest.api.serving import Served, fill
from tests.ingest.storage.conftest import DATABASES
from tests.servers.postgres import MIGRATED, PostgresServer

QUICK = {"CONFLICTWIRE_API__RATE": "1000000", "CONFLICTWIRE_API__BURST": "100000"}


@pytest.fixture(params=DATABASES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@dataclass(frozen=True)
class Desk:
    """The API on a store, and both to ask."""

    served: Served
    client: httpx.Client
    settings: Settings


@pytest.fixture(scope="session", params=DATABASES)
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The API on a store that no test writes to."""
    folder = tmp_path_factory.mktemp("desk")
    settings = Settings(data_dir=folder)
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        settings = Settings(data_dir=folder, store=SecretStr(server.url(server.create_database(MIGRATED))))
    fill(settings.store_url)
    with (
        Served(folder, settings=settings, **QUICK) as served,
        httpx.Client(base_url=served.url, trust_env=False, verify=False) as client,
    ):
        wait_ready(client)
        yield Desk(served, client, settings)


def until(done: Callable[[], Any], seconds: float = 40.0) -> Any:
    """What `done` says, once it says something."""
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)
    return found


def wait_ready(client: httpx.Client) -> None:
    """Until it answers."""
    until(lambda: client.get("/readyz").status_code == 200)
