"""Fixtures that more than one folder of tests uses, and the order of the files; the servers lie in tests/servers/."""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["tests.servers.kafka", "tests.servers.postgres", "tests.servers.prefect"]

# Those of half a minute and more, the longest first: begun last, they would run on alone. From `pytest --durations=150`.
LONG = [
    "models/test_training.py",
    "ingest/test_processes.py",
    "deploy/test_stack.py",
    "flows/test_deployments.py",
    "flows/test_pull.py",
    "flows/test_export.py",
    "flows/test_alert.py",
    "flows/test_maintain.py",
    "flows/test_recode.py",
    "deploy/helm/test_work_pool.py",
    "faults/test_faults.py",
    "security/test_secured.py",
    "models/test_same_events.py",
    "ingest/test_run.py",
    "ingest/test_crashes.py",
    "deploy/upgrade/test_upgrade.py",
    "ingest/test_whole_way.py",
    "ingest/broker/test_kafka.py",
    "ingest/test_memory.py",
    "ingest/test_cli_pipeline.py",
    "ingest/test_tail.py",
    "ingest/test_health.py",
    "ingest/broker/test_processes.py",
    "security/test_terminal.py",
    "ingest/test_shutdown.py",
    "models/test_coder.py",
    "ingest/test_worker.py",
    "deploy/monitoring/test_monitoring.py",
    "ingest/test_cli_feeds.py",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {Path(__file__).parent / name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


class Files(LoadFileScheduling):  # type: ignore[misc]
    """File by file, those with a Prefect server as one: it takes as long to start as most of them together."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "prefect" if "/flows/" in file or file.endswith("test_work_pool.py") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Files:
    return Files(config, log)
