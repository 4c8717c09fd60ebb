"""A real Kafka for the tests: one node, KRaft combined mode, from the jars that kafka-pom.xml names."""

from __future__ import annotations

import ctypes
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.servers.shared import shared
from tests.servers.unavailable import unavailable

ROOT = Path(__file__).parents[2]
LIBS = ROOT / ".cache" / "kafka-libs"
POM = Path(__file__).with_name("kafka-pom.xml")
START_SECONDS = 60.0

LOG4J = """
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = ${sys:server.log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c %m%n
"""


def kafka_libs() -> Path:
    """The folder of Kafka's jars, fetched by Maven where it is missing."""
    if not list(LIBS.glob("kafka_2.13-*.jar")):
        fetch = ["mvn", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={LIBS}"]
        subprocess.run(fetch, check=True, timeout=600)
    return LIBS


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def die_with_parent() -> None:
    """For `preexec_fn`: the kernel kills this child when the test process ends, however it ends (Linux only)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class KafkaServer:
    """One Kafka with a port and a data folder of its own, which it keeps when it is killed and started again.

    `properties` are added to the server's; `listener` names the protocol of the clients' listener; `scram` are users with
    their passwords, for a listener with SASL, kept for `mechanism`.
    """

    def __init__(
        self,
        properties: Mapping[str, str] | None = None,
        listener: str = "PLAINTEXT",
        scram: Mapping[str, str] | None = None,
        mechanism: str = "SCRAM-SHA-256",
    ) -> None:
        self.port, controller = free_ports(2)
        self.folder = Path(tempfile.mkdtemp(prefix="conflictwire-kafka-"))
        self.log = self.folder / "server.log"
        self._listener = listener
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "controller.listener.names": "CONTROLLER",
            # The broker's own name, apart from the clients' listener, so that the latter may require TLS and SASL.
            "inter.broker.listener.name": "CLIENTS" if listener == "PLAINTEXT" else "INTERNAL",
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,CLIENTS:{listener}",
            "listeners": f"CLIENTS://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"CLIENTS://127.0.0.1:{self.port}",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # A dead worker's open transaction is ended as soon as its time is over, not up to 10 s later.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
            # After a kill the controller lets the broker back in only when its former session is over; on a busy machine a
            # living broker may be late by seconds, and would have no leaders.
            "broker.session.timeout.ms": "5000",
            "broker.heartbeat.interval.ms": "200",
            # An orderly stop need not wait for a controller that stops as well.
            "controlled.shutdown.enable": "false",
            "num.network.threads": "2",
            "num.io.threads": "4",
            "log.cleaner.enable": "false",
        }
        if listener != "PLAINTEXT":
            (internal,) = free_ports(1)
            settings["listeners"] += f",INTERNAL://127.0.0.1:{internal}"
            settings["advertised.listeners"] += f",INTERNAL://127.0.0.1:{internal}"
        settings |= properties or {}
        self._config = self.folder / "server.properties"
        self._config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self._log4j = self.folder / "log4j2.properties"
        self._log4j.write_text(LOG4J)
        users = [f"{mechanism}=[name={name},password={password}]" for name, password in (scram or {}).items()]
        subprocess.run(
            self._java(
                "kafka.tools.StorageTool",
                *("format", "-t", uuid.uuid4().hex[:22], "-c", str(self._config)),
                *(part for user in users for part in ("--add-scram", user)),
            ),
            check=True,
            capture_output=True,
            timeout=START_SECONDS,
        )

    def _java(self, main: str, *arguments: str) -> list[str]:
        return [
            *("java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"),
            *(f"-Dlog4j2.configurationFile={self._log4j}", f"-Dserver.log={self.log}"),
            *("-cp", f"{kafka_libs()}/*", main, *arguments),
        ]

    @property
    def bootstrap(self) -> str:
        """The address for clients."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it (again) and wait until it answers; fails with the end of its log where it does not."""
        with (self.folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._config)),
                stdout=console,
                stderr=console,
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                logs = (self.folder / "console.log", self.log)
                tail = "".join(path.read_text(errors="replace")[-2000:] for path in logs if path.exists())
                pytest.fail(f"Kafka did not start:\n{tail}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        if self._listener != "PLAINTEXT":
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0
        try:
            KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=1000).close()
        except KafkaError:
            return False
        return True

    def stop(self) -> None:
        """An orderly end (SIGTERM)."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """An end without warning (SIGKILL)."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Kill it and start it again on the same port and data."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Stop it from answering while connections stay open (SIGSTOP), as a network that stalls does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again (SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill it and remove its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def require_kafka() -> None:
    """Skip the test where Kafka cannot run here; fail it under CI."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if "mvn" in missing and list(LIBS.glob("kafka_2.13-*.jar")):
        missing.remove("mvn")
    if not missing:
        return
    reason = f"NO KAFKA: {' and '.join(missing)} missing, so nothing of this test has been checked"
    unavailable(reason)


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """A Kafka that answers, and its address; it is never killed, so that Kafka's own, slower heartbeats do for it."""
    server = KafkaServer(
        {
            "broker.session.timeout.ms": "9000",
            "broker.heartbeat.interval.ms": "2000",
            "metadata.max.idle.interval.ms": "5000",
        }
    )
    try:
        server.start()
        yield {"bootstrap": server.bootstrap}
    finally:
        server.close()


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the Kafka that all tests share, those of other processes too: name topics and groups anew in each."""
    require_kafka()
    with shared("kafka", request.config, running) as at:
        yield at["bootstrap"]
