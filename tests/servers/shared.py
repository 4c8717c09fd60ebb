"""One Kafka and one PostgreSQL for all processes of pytest-xdist.

The process that controls them starts both while they collect, and tells them the addresses by files in a folder. It is the
servers' parent, so that the kernel ends them with it, whatever becomes of the others.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 300.0  # seconds; both start within twenty where nothing else runs
_FOLDER = "conflictwire_servers"  # in `workerinput`


class _Servers(threading.Thread):
    """Starts the servers, and ends them when told; a thread that ended before would take its children along."""

    def __init__(self, folder: Path) -> None:
        super().__init__(name="servers of the tests")
        self.folder = folder
        self.enough = threading.Event()

    def run(self) -> None:
        from tests.servers import kafka, postgres

        with ExitStack() as opened:
            for name, running in (("postgres", postgres.running), ("kafka", kafka.running)):
                try:
                    answer: dict[str, Any] = {"at": opened.enter_context(running())}
                except BaseException as error:  # that of pytest.fail as well; told where a test needs the server
                    answer = {"error": str(error)}
                unfinished = self.folder / f"{name}.new"
                unfinished.write_text(json.dumps(answer), encoding="utf-8")
                unfinished.rename(self.folder / name)
            self.enough.wait()


_servers = pytest.StashKey[_Servers]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    config.stash[_servers] = _Servers(Path(tempfile.mkdtemp(prefix="conflictwire-servers-")))
    config.stash[_servers].start()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput[_FOLDER] = str(node.config.stash[_servers].folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    if servers := config.stash.get(_servers, None):
        servers.enough.set()
        servers.join()
        shutil.rmtree(servers.folder)


@contextmanager
def shared(
    name: str, config: pytest.Config, running: Callable[[], AbstractContextManager[dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """Where the server `name` of all processes is; where this is the only process, that of one that `running` starts."""
    folder = getattr(config, "workerinput", {}).get(_FOLDER)
    if folder is None:
        with running() as at:
            yield at
        return
    told = Path(folder) / name
    deadline = time.monotonic() + PATIENCE
    while not told.exists():
        if time.monotonic() > deadline:
            pytest.fail(f"the shared {name} did not start within {PATIENCE:.0f} s")
        time.sleep(0.1)
    answer = json.loads(told.read_text(encoding="utf-8"))
    if "error" in answer:
        pytest.fail(f"the shared {name} did not start: {answer['error']}")
    yield answer["at"]
