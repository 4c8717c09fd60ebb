"""However a command hangs, SIGTERM ends it within ten seconds, with nothing half done and no process left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ingest.feeds.catalog import Feed, save_catalog
from ingest.settings import Settings
from tests.ingest.command import start
from tests.ingest.feeds.site import Site, answer
from tests.ingest.keyword_coder import SECONDS, KeywordCoder
from tests.ingest.pipeline import Pipeline, article, embedded_settings, server_settings
from tests.processes import all_gone, family
from tests.servers.postgres import PostgresServer

# Ten, and what a busy machine takes to let a process end.
END_SECONDS = 10 + 5
START_SECONDS = 60.0
LONG = {SECONDS: "600"}


@dataclass
class Hole:
    """A server that takes connections and never answers."""

    taken: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Hole:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self) -> None:
        try:
            while True:
                self.taken.append(self._socket.accept()[0])
        except OSError:
            return

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        for connection in self.taken:
            connection.close()


@dataclass(eq=False)
class Command:
    """The program as a process, its standard error in a file."""

    folder: Path
    settings: Settings
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.log = self.folder / f"{'-'.join(self.arguments)}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as stream:
            self.process = start(
                self.settings,
                *self.arguments,
                "--log-level",
                "debug",
                environment=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=stream,
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_until(self, ready: Callable[[], object]) -> set[int]:
        """The ids of the process and all it has started, once `ready`."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.05)
        return family(self.process.pid)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    started: list[Command] = []

    def make(settings: Settings, *arguments: str, **environment: str) -> Command:
        started.append(Command(tmp_path, settings, arguments, environment))
        return started[-1]

    yield make
    for each in started:
        each.close()


def test_whatever_a_command_waits_for_sigterm_ends_it(
    tmp_path: Path, embedded: Pipeline, command: Callable[..., Command]
) -> None:
    embedded.publish([article(number) for number in range(20)])
    other = Pipeline(embedded_settings(tmp_path / "other"))
    other.publish([article(1)])
    save_catalog([Feed("none", "http://127.0.0.1:1/none")], other.settings.data_dir / "feeds.toml")
    allowed = {"CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true", "CONFLICTWIRE_FETCH__TIMEOUT": "100"}
    with Hole() as database, Hole() as kafka, Hole() as site:
        no_database = server_settings(tmp_path / "a", "127.0.0.1:1", f"postgresql://u@127.0.0.1:{database.port}/d")
        no_database = no_database.model_copy(update={"broker": embedded.settings.broker})
        no_broker = server_settings(tmp_path / "b", f"127.0.0.1:{kafka.port}", "")
        pulling = embedded_settings(tmp_path / "c")
        pulling.data_dir.mkdir()
        save_catalog([Feed("silent", f"http://127.0.0.1:{site.port}/feed")], pulling.data_dir / "feeds.toml")
        hanging = {
            command(embedded.settings, "worker", "--workers", "2", **LONG): lambda said: "coding" in said,
            command(other.settings, "run", **LONG): lambda said: "coding" in said,
            command(no_database, "worker"): lambda said: database.taken,
            command(no_broker, "worker"): lambda said: kafka.taken,
            command(pulling, "pull", **allowed): lambda said: site.taken,
        }
        families = {
            each: each.wait_until(lambda each=each, ready=ready: ready(each.said())) for each, ready in hanging.items()
        }
        assert len(families[next(iter(families))]) >= 3
        asked = time.monotonic()
        for each in hanging:
            each.process.send_signal(signal.SIGTERM)
        for each in hanging:
            code = each.process.wait(max(0.1, asked + END_SECONDS - time.monotonic()))
            assert code == 0, (each.arguments, each.said())
            assert "Traceback" not in each.said()
        assert all_gone(set().union(*families.values()), 5)
    assert embedded.left() == 20
    assert other.left() == 1
    other.close()


@pytest.mark.kafka
@pytest.mark.postgres
def test_a_worker_that_waits_for_the_store_in_mid_batch_leaves_its_group_when_told_to_stop(
    servers: Pipeline, postgres_server: PostgresServer, command: Callable[..., Command]
) -> None:
    articles = [article(number) for number in range(20)]
    servers.publish(articles)
    name = servers.settings.store.get_secret_value().rpartition("/")[2]
    with postgres_server.connect(name) as holder, holder.transaction():
        holder.execute("LOCK TABLE articles IN EXCLUSIVE MODE")
        # Its table has the same number in every database that was copied.
        waiting = (
            "SELECT count(*) FROM pg_locks WHERE relation = 'articles'::regclass AND NOT granted"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        worker = command(servers.settings, "worker")
        worker.wait_until(lambda: holder.execute(waiting).fetchone()[0])
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(END_SECONDS) == 0, worker.said()
        assert "abandoned" in worker.said()
    # What its session left behind is over as soon as the server notices.
    servers.work(KeywordCoder())
    assert len(servers.agreed()) == sum(len(KeywordCoder().events(each.text, each.title)) for each in articles)


@pytest.mark.parametrize(("first", "second"), [("SIGTERM", "SIGTERM"), ("SIGINT", "SIGINT"), ("SIGTERM", "SIGINT")])
def test_a_second_signal_ends_run_at_once(
    embedded: Pipeline, command: Callable[..., Command], first: str, second: str
) -> None:
    embedded.publish([article(1)])
    save_catalog([Feed("none", "http://127.0.0.1:1/none")], embedded.settings.data_dir / "feeds.toml")
    run = command(embedded.settings, "run", **LONG)
    run.wait_until(lambda: "coding" in run.said())
    run.process.send_signal(signal.Signals[first])
    run.wait_until(lambda: "stopping" in run.said())
    run.process.send_signal(signal.Signals[second])
    assert run.process.wait(5) == 128 + signal.Signals[second]
    assert embedded.left() == 1


def test_what_is_killed_leaves_no_process_behind(
    tmp_path: Path, embedded: Pipeline, command: Callable[..., Command]
) -> None:
    embedded.publish([article(number) for number in range(20)])
    pulling = embedded_settings(tmp_path / "pulling")
    pulling.data_dir.mkdir()
    allowed = {"CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true", "CONFLICTWIRE_FETCH__TIMEOUT": "100"}
    with Site({"/feed": answer("<rss version='2.0'><channel/></rss>")}) as site, Hole() as hole:
        # The pull, and with it the processes that parse, lasts until the last feed has answered.
        feeds = [Feed("feed", f"{site.url}/feed"), Feed("silent", f"http://127.0.0.1:{hole.port}/feed")]
        save_catalog(feeds, pulling.data_dir / "feeds.toml")
        worker = command(embedded.settings, "worker", "--workers", "2", **LONG)
        puller = command(pulling, "pull", **allowed)
        workers = worker.wait_until(lambda: worker.said().count("worker started") == 2)
        parsers = puller.wait_until(lambda: len(family(puller.process.pid)) > 1)
        for each in (worker, puller):
            os.kill(each.process.pid, signal.SIGKILL)
            each.process.wait()
        assert all_gone(workers | parsers, 10)
