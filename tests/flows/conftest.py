"""What tests of the flows share: a Prefect API to report to, pipelines to pull into, a site for small feeds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import temporary_settings

from ingest.settings import Settings
from tests.ingest.feeds.site import Site
from tests.ingest.pipeline import Pipeline, as_environment, embedded_settings, server_settings
from tests.servers.prefect import QUIET


@pytest.fixture
def prefect_client(prefect_api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncPrefectClient]:
    """A client of the shared server; flows run in this process and in its children report there as well."""
    home = tmp_path / "prefect"
    environment = QUIET | {
        "PREFECT_API_URL": prefect_api,
        "PREFECT_HOME": str(home),
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with (
        # Logs are sent in batches by a thread that would outlive the server.
        temporary_settings({"api.url": prefect_api, "home": home, "logging.to_api.enabled": False}),
        get_client(sync_client=True) as client,
    ):
        yield client


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """Embedded broker and SQLite, which flows find by the environment."""
    yield from _found_by_flows(embedded_settings(tmp_path / "data"), monkeypatch)


@pytest.fixture
def on_kafka(kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    """Kafka and SQLite, which flows find by the environment."""
    yield from _found_by_flows(server_settings(tmp_path / "data", kafka, ""), monkeypatch)


def _found_by_flows(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    for name, value in (
        as_environment(settings) | {"CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true", "CONFLICTWIRE_FETCH__HOST_GAP": "0"}
    ).items():
        monkeypatch.setenv(name, value)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    pipeline = Pipeline(settings)
    yield pipeline
    pipeline.close()


@pytest.fixture
def site() -> Iterator[Site]:
    """A loopback site without pages."""
    with Site() as opened:
        yield opened
