"""Upgrades while articles stream: of the program, worker by worker, of the tables, of the model; and the way back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.broker import open_broker
from ingest.recode import again
from ingest.settings import Settings
from ingest.storage.connect import open_engine
from ingest.storage.migrate import schema_version
from ingest.storage.tables import HEAD
from tests.deploy.upgrade.conftest import OLD_SCHEMA
from tests.deploy.upgrade.runbook import commands, shell
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, Workers, article, as_environment, as_record

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

SLOW = 0.01  # seconds an article


def expected(count: int) -> int:
    """Events that this version finds in so many articles."""
    return sum(len(KeywordCoder().events(each.text, each.title)) for each in map(article, range(count)))


def schema(settings: Settings) -> str | None:
    engine = open_engine(settings.store_url)
    try:
        with engine.connect() as connection:
            return schema_version(connection)
    finally:
        engine.dispose()


def run(root: Path, settings: Settings, code: str) -> str:
    """Run `code` with the files of `root`, as a Job of that version would."""
    environment = os.environ | as_environment(settings) | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


MIGRATE = (
    "from ingest.settings import load_settings; from ingest.storage import Store; Store.open(load_settings().store_url)"
)


class Stream:
    """Publishes articles as a puller does, ten every fifth of a second, until `stop`."""

    def __init__(self, settings: Settings) -> None:
        self._broker = open_broker(settings)
        self._topic = settings.topics.articles
        topics = settings.topics
        self._broker.ensure_topics(dict.fromkeys((self._topic, topics.events, topics.dead), topics.partitions))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._publish, daemon=True)
        self._thread.start()
        self.count = 0

    def _publish(self) -> None:
        producer = self._broker.producer()
        while not self._stop.wait(0.2):
            several = range(self.count, self.count + 10)
            producer.send([as_record(article(number), self._topic) for number in several])
            self.count += 10
        producer.close()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)
        self._broker.close()


@pytest.fixture
def stream(settings: Settings) -> Iterator[Stream]:
    streaming = Stream(settings)
    yield streaming
    streaming.stop()


def coded(worker: Workers) -> int:
    return sum(int(line.split()[2]) for line in list(worker.lines) if line.startswith("batch "))


def wait_until(reached: Callable[[], bool], *workers: Workers) -> None:
    deadline = time.monotonic() + 90
    while not reached():
        assert time.monotonic() < deadline, [worker.log[-10:] for worker in workers]
        time.sleep(0.1)


def test_the_other_versions_are_others(settings: Settings, old: Path, later: Path) -> None:
    for root, head in ((old, OLD_SCHEMA), (later, "9001")):
        said = run(root, settings, "import ingest, ingest.storage.tables as t; print(ingest.__file__, t.HEAD)")
        assert said.split() == [str(root / "ingest" / "__init__.py"), head]
    assert OLD_SCHEMA < HEAD < "9001"


def test_a_rolling_upgrade_and_a_new_model_while_articles_stream_lose_and_double_nothing(
    settings: Settings, stream: Stream, later: Path, start: Callable[..., Workers]
) -> None:
    pipeline = Pipeline(settings)
    try:
        before = [start(seconds=SLOW) for _ in range(2)]
        wait_until(lambda: all(map(coded, before)), *before)
        # The migrations Job: the workers of this version go on with the tables of the later one.
        run(later, settings, MIGRATE)
        assert schema(settings) == "9001"
        at_migration = sum(map(coded, before))
        wait_until(lambda: sum(map(coded, before)) > at_migration, *before)
        after = []
        for outgoing in before:
            after.append(start(later, seconds=SLOW))
            after[-1].wait_for("worker started")
            outgoing.kill(signal.SIGTERM)
            assert outgoing.wait(30) == 0
        # The new model goes over what the old one has coded, while the news goes on.
        for batch in again(pipeline.store.articles(), None, settings.topics.articles):
            pipeline.publish(batch.records)
        wait_until(lambda: all(map(coded, after)), *after)
        stream.stop()
        wait_until(lambda: pipeline.left() == 0, *after)
        assert sum(map(coded, [*before, *after])) > stream.count
        assert pipeline.dead() == []
        # "spoke", which the new model alone knows, stands in every second article.
        assert len(pipeline.agreed()) == expected(stream.count) + stream.count // 2
    finally:
        pipeline.close()


def test_the_way_back_is_over_the_tables_first(settings: Settings, later: Path, start: Callable[..., Workers]) -> None:
    pipeline = Pipeline(settings)
    try:
        pipeline.publish(map(article, range(20)))
        run(later, settings, MIGRATE)
        # A version does not start on tables that it does not know.
        refused = start(once=True)
        assert refused.wait() == 1
        refused.wait_for("newer than")
        assert pipeline.left() == 20
        shell(commands("Going back"), later, settings, VERSION=HEAD, PYTHONPATH=str(later))
        assert start(once=True).wait() == 0
        assert len(pipeline.agreed()) == expected(20)
    finally:
        pipeline.close()


def test_workers_that_cannot_write_to_the_new_tables_end_with_nothing_lost(
    settings: Settings, stream: Stream, old: Path, start: Callable[..., Workers]
) -> None:
    before = [start(old, seconds=SLOW) for _ in range(2)]
    wait_until(lambda: all(map(coded, before)), *before)
    assert schema(settings) == OLD_SCHEMA
    pipeline = Pipeline(settings)
    try:
        for outgoing in before:
            assert outgoing.wait(60) != 0
        after = start(seconds=SLOW)
        wait_until(lambda: coded(after) > 0, after)
        stream.stop()
        wait_until(lambda: pipeline.left() == 0, after)
        assert pipeline.dead() == []
        assert len(pipeline.agreed()) == expected(stream.count)
    finally:
        pipeline.close()
