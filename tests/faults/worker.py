"""The worker process under test: the product's own `run_workers`, which can be held where it is to be hit.

Nothing in the product knows of this: functions at its seams are wrapped in this process. The driver sends `hold PHASE
NUMBER` and `go NUMBER`; the worker tells where it is held, and how each of its commits ended.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from kafka.producer.transaction_manager import TransactionManager

from ingest import log, processes, worker
from ingest.broker import Record, embedded, kafka
from ingest.errors import BrokerUnavailable, Fenced, StoreUnavailable
from ingest.records import Article
from ingest.settings import Settings
from ingest.storage import Store, connect, queries
from models.events import Event
from tests.faults.schedule import LEASE, Phase
from tests.ingest.keyword_coder import KeywordCoder

CODING_SECONDS = 0.0005
_chance = random.SystemRandom().random


class Seams:
    """Where this worker is, for the driver."""

    def __init__(self, line: Connection) -> None:
        self._line = line
        # The phase to stop at, and the number of that order; orders up to `_released` are over.
        self._armed: tuple[Phase, int] | None = None
        self._released = 0
        self._news = threading.Condition()
        self._telling = threading.Lock()
        # Counts the polls that brought something: what is told of a commit names the records it was of.
        self._batch = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                word, *rest = self._line.recv()
            except (EOFError, OSError):
                os._exit(1)  # the driver is gone
            with self._news:
                if word == "hold":
                    self._armed = (rest[0], rest[1])
                else:
                    self._armed, self._released = None, rest[0]
                    self._news.notify_all()

    def reach(self, phase: Phase) -> None:
        """Tell the driver and wait for it, where it asked for that."""
        with self._news:
            if self._armed is None or self._armed[0] != phase:
                return
            number, self._armed = self._armed[1], None
            self._tell("held", number)
            self._news.wait_for(lambda: self._released >= number)

    def _tell(self, what: str, detail: object = None) -> None:
        # A batch is coded and stored in one thread, and committed in another.
        with self._telling:
            self._line.send((what, self._batch, detail))

    def started(self) -> None:
        self._tell("started")

    def stored(self, apply: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        """Tells where the store does not answer."""

        def wrapped(*arguments: Any) -> list[Any]:
            try:
                answers = apply(*arguments)
            except StoreUnavailable as error:
                self._tell("store unavailable", str(error)[:300])
                raise
            self.reach("stored")
            return answers

        return wrapped

    def after(self, phase: Phase, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, with `phase` reached when it has returned."""

        def wrapped(*arguments: Any, **options: Any) -> Any:
            result = call(*arguments, **options)
            self.reach(phase)
            return result

        return wrapped

    def before(self, phase: Phase, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, with `phase` reached first."""

        def wrapped(*arguments: Any, **options: Any) -> Any:
            self.reach(phase)
            return call(*arguments, **options)

        return wrapped

    def polled(self, poll: Callable[..., list[Record]]) -> Callable[..., list[Record]]:
        def wrapped(*arguments: Any, **options: Any) -> list[Record]:
            records = poll(*arguments, **options)
            self._batch += bool(records)
            return records

        return wrapped

    def committed(self, commit: Callable[..., None]) -> Callable[..., None]:
        """Tells how it ended."""

        def wrapped(member: Any, consumed: Sequence[Record], outputs: Any) -> None:
            try:
                commit(member, consumed, outputs)
            except (Fenced, BrokerUnavailable) as error:
                self._tell("fenced" if isinstance(error, Fenced) else "broker unavailable", str(error)[:300])
                raise
            self._tell("committed", len(consumed))

        return wrapped


class Coder(KeywordCoder):
    """`MOODY` in a text fails in a batch, and alone every second time."""

    def __init__(self, seams: Seams) -> None:
        super().__init__(CODING_SECONDS)
        self._seams = seams

    def code_many(self, articles: Iterable[Article], *, min_confidence: float | None = None) -> Iterator[list[Event]]:
        for article in articles:
            if "MOODY" in article.text:
                raise ValueError("moody in the batch")
            for events in super().code_many([article], min_confidence=min_confidence):
                self._seams.reach("coding")
                yield events

    def code(
        self,
        text: str,
        title: str | None = None,
        published: datetime | None = None,
        min_confidence: float | None = None,
        url: str | None = None,
    ) -> list[Event]:
        self._seams.reach("coding")
        if "MOODY" in text and _chance() < 0.5:
            raise ValueError("in no mood")
        return super().code(text, title, published, min_confidence, url)


def _wrap(seams: Seams) -> None:
    queries.write = seams.after("writing", queries.write)
    Store.apply = seams.stored(Store.apply)  # type: ignore[method-assign]
    kafka._publish = seams.after("sent", kafka._publish)
    embedded._append = seams.after("sent", embedded._append)
    TransactionManager.begin_commit = seams.before("marked", TransactionManager.begin_commit)
    for member in (kafka.KafkaMember, embedded.EmbeddedMember):
        member.poll = seams.polled(member.poll)  # type: ignore[method-assign]
        member.commit = seams.committed(member.commit)  # type: ignore[method-assign]


def _hurry() -> None:
    """Shorter waits than in production, so that a run has many faults. Each stays on the same side of the others."""
    worker._LONGEST_DELAY = 2.0
    connect._IDLE_TIMEOUT, connect._BUSY_TIMEOUT = 2.0, 5.0
    processes.open_broker = lambda settings: (
        embedded.EmbeddedBroker(settings.embedded_path, lease=LEASE, busy=2.0)
        if settings.broker.startswith("embedded:")
        else kafka.KafkaBroker(settings)
    )


def main(line: Connection, settings: Settings, log_file: Path) -> None:
    """To be run in a process of its own; exits with the code of `run_workers`."""
    os.dup2(os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    log.configure("INFO", "json")
    processes._die_with(os.getppid())
    seams = Seams(line)
    _wrap(seams)
    _hurry()

    def load(settings: Settings, workers: int) -> Coder:
        seams.started()
        return Coder(seams)

    sys.exit(processes.run_workers(1, settings, load=load))
