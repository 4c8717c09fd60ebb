"""Pipelines on the embedded parts, on real servers, or on each in turn; the sample feeds on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.feeds.catalog import Feed, save_catalog
from tests.feeds.serve import SampleServer
from tests.ingest.pipeline import Pipeline, embedded_settings, server_settings


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Pipeline]:
    """On the embedded broker and SQLite."""
    opened = Pipeline(embedded_settings(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def servers(tmp_path: Path, kafka: str, postgres_url: str) -> Iterator[Pipeline]:
    """On real Kafka and PostgreSQL."""
    opened = Pipeline(server_settings(tmp_path / "servers", kafka, postgres_url))
    yield opened
    opened.close()


@pytest.fixture(params=["embedded", pytest.param("servers", marks=[pytest.mark.kafka, pytest.mark.postgres])])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    """Each of the two in turn."""
    found: Pipeline = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def samples() -> Iterator[SampleServer]:
    with SampleServer() as server:
        yield server


@pytest.fixture
def sampled(tmp_path: Path, samples: SampleServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a catalogue of two sample feeds and one that is not there."""
    monkeypatch.setenv("CONFLICTWIRE_FETCH__ALLOW_PRIVATE", "true")
    monkeypatch.setenv("CONFLICTWIRE_FETCH__HOST_GAP", "0")
    paths = {"sahel": "sahel-courier.xml", "touchline": "touchline.xml", "missing": "missing.xml"}
    save_catalog([Feed(name, f"{samples.url}/{path}") for name, path in paths.items()], tmp_path / "feeds.toml")
    return tmp_path
