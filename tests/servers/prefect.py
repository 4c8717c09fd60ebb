"""A real Prefect server for the tests that need one: its own home and SQLite file, no user interface, no analytics.

It takes some ten seconds to start, so one serves the whole session; tests keep apart by the names of their deployments.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.kafka import die_with_parent, free_ports

START_DEADLINE = 90.0

# Nothing of the machine's own Prefect reaches the tests, and nothing of theirs leaves the machine.
QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    # Schedules of a few seconds must become runs within a few seconds.
    "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "1",
    "PREFECT_SERVER_SERVICES_SCHEDULER_RECENT_DEPLOYMENTS_LOOP_SECONDS": "1",
    # Runs that wait for each other try again after a second, not after thirty.
    "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
}

_running: list[subprocess.Popen[bytes]] = []


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Its loops take a fifth of a core, so it stands still while other tests run."""
    needed = "prefect_api" in getattr(item, "fixturenames", ())
    for server in _running:
        server.send_signal(signal.SIGCONT if needed else signal.SIGSTOP)


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API address of a running Prefect server, as PREFECT_API_URL wants it; it ends with the session."""
    home = tmp_path_factory.mktemp("prefect-server")
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= QUIET | {"PREFECT_HOME": str(home), "PREFECT_API_URL": url}
    log = home / "server.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            # Out of reach of Ctrl-C, but never outliving us.
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    try:
        _await_health(url, server, log)
        _running.append(server)
        yield url
    finally:
        _running.clear()
        _end(server)


def _await_health(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    tail = log.read_text(encoding="utf-8", errors="replace")[-3000:]
    pytest.fail(f"the Prefect server did not start (exit status {server.poll()}):\n{tail}")


def _end(server: subprocess.Popen[bytes]) -> None:
    server.send_signal(signal.SIGCONT)
    server.terminate()
    try:
        server.wait(timeout=10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
