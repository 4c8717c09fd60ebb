"""Brokers under processes that are killed or stopped: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.broker import Outgoing
from tests.ingest.broker.places import Place, poll_until, read_all, values, wait_for
from tests.servers.kafka import die_with_parent

ROOT = Path(__file__).parents[3]


class Child:
    """A process of child.py, and the lines that it has printed."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("child.py")), *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )
        self.lines: list[str] = []
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.strip())

    def say(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._listener.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def make(*arguments: str) -> Child:
        children.append(Child(*arguments))
        return children[-1]

    yield make
    for child in children:
        if child.process.returncode is None:
            child.kill()


def test_a_publisher_killed_at_any_time_leaves_each_acknowledged_record_once(
    place: Place, start: Callable[..., Child]
) -> None:
    chance = random.Random(1)
    for _ in range(4):
        topic = place.topic()
        child = start("publish", place.url, topic, "", "")
        wait_for(lambda child=child: child.lines)
        time.sleep(chance.uniform(0, 0.2))
        child.kill()
        acknowledged = int(child.lines[-1])
        found = values(read_all(place, topic))
        # Of the batch that it was sending, any part may be there.
        assert found == sorted(set(found))
        assert set(range(acknowledged)) <= set(found) <= set(range(acknowledged + 10))


def test_workers_killed_at_any_time_lose_nothing_and_double_nothing(place: Place, start: Callable[..., Child]) -> None:
    source, target, group = place.topic(4), place.topic(4), place.name()
    chance = random.Random(2)
    producer = place.producer()
    done = threading.Event()
    published = 0

    def publish() -> None:
        nonlocal published
        while not done.is_set():
            batch = range(published, published + 20)
            producer.send([Outgoing(source, b"%d" % (n % 50), b"%d" % n) for n in batch])
            published += len(batch)
            time.sleep(0.02)

    def new_worker() -> Child:
        return start("copy", place.url, source, target, group)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        workers = [new_worker(), new_worker()]
        for _ in range(4):
            victim = chance.randrange(2)
            wait_for(lambda victim=victim: any(line.startswith("committed") for line in workers[victim].lines))
            time.sleep(chance.uniform(0, 0.1))
            workers[victim].kill()
            workers[victim] = new_worker()
    finally:
        done.set()
        publisher.join()
    wait_for(lambda: sum(row.lag for row in place.broker.lag(source, group)) == 0)
    # On Kafka the transaction of a killed worker hides what follows until the broker ends it.
    wait_for(lambda: len(read_all(place, target)) >= published)
    copied = read_all(place, target)
    assert Counter(values(copied)) == Counter(range(published))
    by_key: dict[bytes | None, list[int]] = {}
    for record in copied:
        by_key.setdefault(record.key, []).append(int(record.value))
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


def test_a_worker_stopped_beyond_its_session_is_fenced_when_it_goes_on(
    place: Place, start: Callable[..., Child]
) -> None:
    source, target, group = place.topic(1), place.topic(1), place.name()
    place.publish(source, 5)
    zombie = start("copy", place.url, source, target, group, "hold")
    wait_for(lambda: "polled 5" in zombie.lines)
    zombie.signal(signal.SIGSTOP)
    consumer = place.consumer([source], group)
    records = poll_until(consumer, 5)
    consumer.commit(records, [Outgoing(target, record.key, record.value) for record in records])
    zombie.signal(signal.SIGCONT)
    zombie.say()
    wait_for(lambda: "fenced" in zombie.lines)
    assert "committed 5" not in zombie.lines
    # It is a member again, and takes over from what the other has committed.
    consumer.close()
    place.publish(source, 2, start=5)

    def copied_all() -> bool:
        if zombie.lines[-1].startswith("polled"):
            zombie.say()
        return sum(row.lag for row in place.broker.lag(source, group)) == 0

    wait_for(copied_all)
    assert Counter(values(read_all(place, target))) == Counter(range(7))


def test_several_processes_publish_at_once(place: Place, start: Callable[..., Child]) -> None:
    topic = place.topic()
    children = [start("publish", place.url, topic, "", "") for _ in range(3)]
    for child in children:
        wait_for(lambda child=child: len(child.lines) >= 5)
    for child in children:
        child.kill()
    counted = Counter(values(read_all(place, topic)))
    for child in children:
        acknowledged = int(child.lines[-1])
        assert all(counted[n] >= 1 for n in range(acknowledged))
    assert max(counted.values()) <= 3
