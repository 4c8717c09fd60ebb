"""The two brokers, and what their tests share."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ingest.broker import Broker, Consumer, Outgoing, Producer, Reader, Record
from ingest.broker.embedded import EmbeddedBroker
from ingest.broker.kafka import KafkaBroker
from ingest.settings import load_settings

PATIENCE = 80.0


@dataclass
class Place:
    """A broker with topics of its own, whose clients are closed with it."""

    broker: Broker
    url: str
    opened: list[Any] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    prefix: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:10]}")

    def name(self) -> str:
        """A name that no test has used."""
        return f"{self.prefix}-{next(self.numbers)}"

    def topic(self, partitions: int = 3) -> str:
        name = self.name()
        self.broker.ensure_topics({name: partitions})
        return name

    def producer(self) -> Producer:
        self.opened.append(self.broker.producer())
        return self.opened[-1]

    def consumer(self, topics: Sequence[str], group: str) -> Consumer:
        self.opened.append(self.broker.consumer(topics, group))
        return self.opened[-1]

    def reader(self, topic: str, start: Any = "earliest") -> Reader:
        self.opened.append(self.broker.reader(topic, start))
        return self.opened[-1]

    def publish(self, topic: str, count: int, keys: int = 7, start: int = 0) -> list[bytes]:
        """Records with the values `start` and up, in turn under so many keys."""
        values = [str(n).encode() for n in range(start, start + count)]
        self.producer().send([Outgoing(topic, b"key %d" % (int(value) % keys), value) for value in values])
        return values

    def close(self) -> None:
        for each in self.opened:
            each.close()
        self.broker.close()


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def make_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Places of one kind; `max_poll` and `session` (seconds) are limits of the members of a group."""
    places: list[Place] = []

    def make(max_poll: float = 300.0, session: float = 3.0) -> Place:
        if request.param == "embedded":
            path = tmp_path / "broker.db"
            places.append(Place(EmbeddedBroker(path, lease=session, max_poll=max_poll), f"embedded:{path}"))
        else:
            url = f"kafka://{request.getfixturevalue('kafka')}"
            limits = {"max_poll_interval": max_poll, "session_timeout": session, "transaction_timeout": 5.0}
            places.append(Place(KafkaBroker(load_settings(broker=url, kafka=limits)), url))
        return places[-1]

    yield make
    for place in places:
        place.close()


@pytest.fixture
def place(make_place: Callable[..., Place]) -> Place:
    return make_place()


def poll_until(consumer: Consumer | Reader, count: int, max_records: int = 500) -> list[Record]:
    """Poll until at least so many records have come."""
    records: list[Record] = []
    deadline = time.monotonic() + PATIENCE
    while len(records) < count:
        records += consumer.poll(max_records, 0.2)
        assert time.monotonic() < deadline, f"{len(records)} of {count} records came"
    return records


def read_all(place: Place, topic: str) -> list[Record]:
    """All that is committed in a topic now."""
    reader = place.reader(topic)
    records: list[Record] = []
    while not reader.at_end():
        records += reader.poll(1000, 0.2)
    return records


def values(records: Sequence[Record]) -> list[int]:
    return sorted(int(record.value) for record in records)


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)
