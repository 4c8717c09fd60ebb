"""The port of its own: /metrics for Prometheus, /livez and /readyz for whoever starts and stops processes.

One process serves. Of several workers that is their parent: they write what they count into files that it sums up
(the multiprocess mode of prometheus_client), so that nothing counted is lost with the worker that counted it.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from ingest import metrics
from ingest.broker import open_broker
from ingest.doctor import model_version
from ingest.errors import SettingsError
from ingest.feeds.catalog import catalog_in_force
from ingest.settings import Settings
from ingest.storage import Store
from models.errors import ConflictwireError

log = logging.getLogger(__name__)

WATCH_SECONDS = 10.0
"""Between two looks at broker and store."""
STALE_SECONDS = 60.0
"""After which what was seen then says nothing: the look itself hangs."""
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@dataclass(frozen=True, slots=True)
class Health:
    """An answer: whether all is well, and each thing that was looked at with what is to be said about it."""

    ok: bool
    checks: dict[str, str]


# --- decisions ---


def liveness(progress: dict[str, float], now: float, limit: float) -> Health:
    """Whether every role got on within `limit` seconds; who has not begun yet is alive."""
    late = {role: now - at for role, at in progress.items() if now - at > limit}
    checks = {role: f"no progress for {late[role]:.0f} s" if role in late else "ok" for role in progress}
    return Health(not late, checks)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last look at broker and store said, None for nothing wrong; `at` in seconds of a monotonic clock."""

    at: float
    broker: str | None
    store: str | None


def readiness(seen: Seen | None, joined: float | None, now: float, broker: bool = True) -> Health:
    """Whether broker and store answer and a worker has joined its group; `joined` is None where none shall.

    `broker` is whether there is one to answer.
    """
    if seen is None or now - seen.at > STALE_SECONDS:
        since = "not looked at yet" if seen is None else f"no answer for {now - seen.at:.0f} s"
        checks = {"broker": since, "store": since}
    else:
        checks = {"broker": seen.broker or "ok", "store": seen.store or "ok"}
    if not broker:
        del checks["broker"]
    if joined is not None:
        checks["group"] = "ok" if joined else "no worker has joined"
    return Health(all(says == "ok" for says in checks.values()), checks)


# --- what is behind ---


class Watch:
    """Looks at broker and store now and then, in a thread of its own with connections of its own.

    `articles` and `incidents` are whether the lag of the workers' group, and of the keeper's, is told; without `broker` the
    store alone is asked.
    """

    def __init__(self, settings: Settings, articles: bool, incidents: bool, broker: bool) -> None:
        self.seen: Seen | None = None
        self._settings = settings
        self._articles = articles
        self._incidents = incidents
        self._broker = broker
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; does not wait for a server that does not answer."""
        self._stop.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        while True:
            # The broker first: where there is none, the store shall still be asked.
            broker = _trouble(self._look_at_broker) if self._broker else None
            store = _trouble(self._look_at_store)
            self.seen = Seen(time.monotonic(), broker, store)
            if self._stop.wait(WATCH_SECONDS):
                return

    def _look_at_broker(self) -> None:
        broker = open_broker(self._settings)
        try:
            topics = self._settings.topics
            if self._articles:
                metrics.watch_lag(broker.lag(topics.articles, self._settings.group))
            if self._incidents:
                metrics.watch_keeper_lag(broker.lag(topics.events, self._settings.incidents_group))
        finally:
            broker.close()

    def _look_at_store(self) -> None:
        store = Store.open(self._settings.store_url)
        try:
            states = store.feed_states()
            # Who needs no broker may not have the catalogue either: those who pull and code tell of feeds.
            if self._broker:
                metrics.watch_feeds(catalog_in_force(self._settings), states)
        finally:
            store.close()


def _trouble(look: Callable[[], None]) -> str | None:
    try:
        look()
    except ConflictwireError as error:
        return str(error)
    except Exception as error:
        log.exception("watch failed")
        return type(error).__name__
    return None


class Serving:
    """The server and what it tells; `environment` is for workers whose numbers it sums up."""

    def __init__(
        self,
        settings: Settings,
        folder: str | None,
        workers: bool,
        articles: bool,
        incidents: bool,
        broker: bool,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._workers = workers
        self._articles = articles
        self._incidents = incidents
        self._broker = broker
        self._watch: Watch | None = None
        self._server: ThreadingHTTPServer | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.server_address[1])

    def environment(self, seat: int) -> dict[str, str]:
        """What the worker at this place must find in its environment when it starts; nothing where none is summed up."""
        return {_FOLDER: self._folder, metrics.SEAT: str(seat)} if self._folder else {}

    def ended(self, seat: int) -> None:
        """The worker at this place is no more: what it counted stays, that it is a member does not."""
        if self._folder:
            mark_process_dead(seat, self._folder)  # type: ignore[no-untyped-call]

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, b"".join(generate_latest(each) for each in self._registries())
        if path == "/livez":
            return _as_json(liveness(self._values(metrics.PROGRESS._name), time.time(), self._settings.metrics.stuck))
        if path == "/readyz":
            seen = self._watch.seen if self._watch else None
            joined = sum(self._values(metrics.JOINED._name).values()) if self._workers else None
            return _as_json(readiness(seen, joined, time.monotonic(), self._broker))
        return 404, "text/plain", b"/metrics, /livez or /readyz\n"

    def _registries(self) -> list[CollectorRegistry]:
        return [metrics.WATCHED, _PROCESS, self._worked()]

    def _worked(self) -> CollectorRegistry:
        if not self._folder:
            return metrics.REGISTRY
        registry = CollectorRegistry()
        _Sum(registry, self._folder)  # type: ignore[no-untyped-call]
        return registry

    def _values(self, name: str) -> dict[str, float]:
        """The values of a gauge, by its label (at most one)."""
        return {
            next(iter(sample.labels.values()), ""): sample.value
            for metric in self._worked().collect()
            if metric.name == name
            for sample in metric.samples
        }

    def start(self) -> None:
        """Listen. Raises SettingsError where the port cannot be had."""
        wanted = self._settings.metrics
        try:
            self._server = _server(wanted.host, wanted.port or 0, self.answer)
        except (OSError, OverflowError) as error:
            raise SettingsError(
                f"setting metrics.port: {wanted.host}:{wanted.port} cannot be listened on: {error}; set another one"
            ) from error
        metrics.BUILD.clear()
        metrics.BUILD.labels(_version(), model_version(self._settings.model)).set(1)
        self._watch = Watch(self._settings, self._articles, self._incidents, self._broker)
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        log.info("metrics", extra={"host": wanted.host, "port": self.port})

    def close(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        if self._watch:
            self._watch.close()


class _Sum(MultiProcessCollector):
    """The numbers of all workers. Passes over a file that one has made and not yet written to, which the library fails on."""

    def collect(self) -> Iterable[Metric]:
        written = [str(path) for path in Path(self._path).glob("*.db") if _size(path)]
        found: Iterable[Metric] = self.merge(written)  # type: ignore[no-untyped-call]
        return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # of a worker that is no more
        return 0


_PROCESS = CollectorRegistry()
ProcessCollector(registry=_PROCESS)


def _version() -> str:
    from importlib.metadata import version

    return version("conflictwire")


def _as_json(health: Health) -> tuple[int, str, bytes]:
    body = json.dumps({"status": "ok" if health.ok else "failing", "checks": health.checks}) + "\n"
    return 200 if health.ok else 503, "application/json", body.encode()


def _server(host: str, port: int, answer: Callable[[str], tuple[int, str, bytes]]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0  # seconds for a client to send its request

        def do_GET(self) -> None:
            try:
                status, kind, body = answer(self.path.partition("?")[0])
            except Exception as error:
                log.exception("metrics failed")
                status, kind, body = 500, "text/plain", f"{type(error).__name__}\n".encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A scrape every few seconds is no news."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            log.debug("metrics client failed", exc_info=True)

    return Server((host, port), Handler)


@contextmanager
def serving(
    settings: Settings,
    *,
    several: bool = False,
    workers: bool = True,
    articles: bool = True,
    incidents: bool = False,
    broker: bool = True,
) -> Iterator[Serving | None]:
    """Serve within, where `metrics.port` is set. Raises SettingsError where the port cannot be had.

    `several` sums up worker processes instead of this one; `workers` is whether one must have joined to be ready.
    `articles` and `incidents` are whether the lag of the workers' group, and of the keeper's, is told; `broker` is whether
    there is one, which must answer for the process to be ready.
    """
    if settings.metrics.port is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="conflictwire-metrics-") as folder:
        server = Serving(settings, str(Path(folder)) if several else None, workers, articles, incidents, broker)
        try:
            server.start()
            yield server
        finally:
            server.close()


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    """Within, the environment that processes started inherit has `variables` too."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
