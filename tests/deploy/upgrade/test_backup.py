"""The commands of docs/operations.md for backup and restore, run as they stand there, on a real PostgreSQL and Kafka."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest.settings import Settings
from tests.deploy.upgrade.runbook import commands, shell
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


def test_a_backup_brings_store_and_place_in_the_topic_back_together(
    tmp_path: Path, settings: Settings, postgres_server: PostgresServer
) -> None:
    backup = tmp_path / "backup"
    backup.mkdir()
    pipeline = Pipeline(settings)
    try:
        pipeline.publish(map(article, range(40)))
        pipeline.work(KeywordCoder())
        # The backup is made between two batches of a pipeline that goes on.
        pipeline.publish(map(article, range(40, 50)))
        shell(commands("Backup"), backup, settings)
        pipeline.work(KeywordCoder())
        pipeline.publish(map(article, range(50, 70)))
        pipeline.work(KeywordCoder())
        whole = pipeline.agreed()
    finally:
        pipeline.close()

    # The database is lost; an empty one takes its place.
    name = settings.store.get_secret_value().rpartition("/")[2]
    postgres_server.drop_database(name)
    with postgres_server.connect() as connection:
        connection.execute(f"CREATE DATABASE {name}")
    shell(commands("Restore"), backup, settings)

    pipeline = Pipeline(settings)
    try:
        assert pipeline.left() == 30
        restored = {(event.event_id, event.revision) for event in pipeline.stored()}
        assert 0 < len(restored) < len(whole)
        pipeline.work(KeywordCoder())
        again = {event.event_id: event for event in pipeline.stored()}
        assert {name: event.revision for name, event in again.items()} == {
            name: event.revision for name, event in whole.items()
        }
        # What was coded after the backup is on the topic twice, and says the same but for the time of coding.
        told: dict[tuple[str, int], list[dict[str, object]]] = {}
        for event in pipeline.events():
            said = json.loads(event.to_json())
            said.pop("coded")
            told.setdefault((event.event_id, event.revision), []).append(said)
        assert all(said == first for first, *rest in told.values() for said in rest)
        assert {key for key, said in told.items() if len(said) == 2} == set(told) - restored
        assert pipeline.dead() == []
    finally:
        pipeline.close()
