"""How tests of the flows look at what happened: on the Prefect server, in the broker, in a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID
from xml.sax.saxutils import escape

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.client.schemas.objects import TaskRun

from ingest.records import Article, parse_article
from tests.ingest.pipeline import Pipeline

T = TypeVar("T")


def eventually(look: Callable[[], T | None], what: str, seconds: float = 180.0) -> T:
    """What `look` finds in the end; fails when it has found nothing (None, empty) for so long."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.1)
    return found


@contextmanager
def process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with children of its own, which end with it."""
    with log.open("wb") as out:
        started = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield started
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def task_runs(client: SyncPrefectClient, flow_run: UUID, names: set[str]) -> dict[str, TaskRun]:
    """The task runs of a flow run by their names, once all of `names` have ended: the server learns of them by events."""

    def ended() -> dict[str, TaskRun] | None:
        runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])), limit=200)
        found = {run.name: run for run in runs if run.state and run.state.is_final()}
        return found if found.keys() >= names else None

    return eventually(ended, f"task runs {sorted(names)}")


def artifact(client: SyncPrefectClient, flow_run: UUID, key: str) -> tuple[list[dict[str, Any]], str]:
    """Rows and description of the artifact that a flow run wrote under `key`."""
    written = client.read_artifacts(
        artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[flow_run]))
    )
    (found,) = [each for each in written if each.key == key]
    assert isinstance(found.data, str)
    return json.loads(found.data), found.description or ""


def articles(pipeline: Pipeline) -> list[Article]:
    """All article records in the broker, repeated ones too."""
    reader = pipeline.broker.reader(pipeline.settings.topics.articles, "earliest")
    try:
        found: list[Article] = []
        while not reader.at_end():
            found += [parse_article(record.value) for record in reader.poll(500, 0.5)]
        return found
    finally:
        reader.close()


def rss(*titles: str) -> str:
    """A feed with an entry of ten sentences for each title; complete, so that no page is asked for."""
    items = "".join(
        f"<item><title>{escape(title)}</title><guid>{escape(title)}</guid><link>https://example.org/{quote(title)}</link>"
        f"<content:encoded>{escape(f'<p>{title}: rebels killed 12 in the north. The army shelled a road.</p>' * 5)}"
        "</content:encoded></item>"
        for title in titles
    )
    return (
        '<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/">'
        f"<channel><title>Test</title>{items}</channel></rss>"
    )


def write_catalog(path: Path, feeds: Mapping[str, str]) -> Path:
    """A catalogue of `feeds`: name and URL."""
    path.write_text(
        "\n".join(f"[[feed]]\nname = {json.dumps(name)}\nurl = {json.dumps(url)}" for name, url in feeds.items())
    )
    return path
