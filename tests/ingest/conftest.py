"""Pipelines for the tests of the worker: on the embedded parts, on real servers, or on each in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
