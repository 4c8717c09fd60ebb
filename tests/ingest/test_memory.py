"""Memory is bounded by the settings, not by what feeds and records send; a slow store slows the worker down."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.broker import Outgoing
from ingest.feeds.catalog import Feed, save_catalog
from tests.ingest.command import start
from tests.ingest.feeds.site import Site, answer
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, article
from tests.servers.postgres import PostgresServer

MB = 1_000_000


def peak(process: subprocess.Popen[bytes], timeout: float = 240.0) -> float:
    """The largest resident set of a process until its end, in megabytes, without that of its children."""
    largest, deadline = 0, time.monotonic() + timeout
    while process.poll() is None:
        assert time.monotonic() < deadline
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        largest = max([largest, *(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))])
        time.sleep(0.02)
    _, err = process.communicate()
    assert process.returncode == 0, err.decode()[-2000:]
    return largest * 1024 / MB


def large_feed(number: int) -> bytes:
    """9 MB, nearly all of it a comment, so that it is soon parsed."""
    entry = (
        f"<item><title>Report {number}</title><guid>{number}</guid><description>Rebels shelled it.</description></item>"
    )
    padding = f"<!-- {'x' * 9 * MB} -->"
    return (
        f'<?xml version="1.0"?><rss version="2.0"><channel><title>Feed</title>{entry}{padding}</channel></rss>'.encode()
    )


def test_the_memory_of_the_puller_does_not_grow_with_the_number_of_large_feeds(tmp_path: Path) -> None:
    peaks = []
    with Site() as site:
        for count in (2, 8):
            folder = tmp_path / str(count)
            folder.mkdir()
            for number in range(count):
                site.routes[f"/{number}"] = answer(large_feed(number))
            save_catalog([Feed(f"feed-{n}", f"{site.url}/{n}") for n in range(count)], folder / "feeds.toml")
            environment = {"CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true", "CONFLICTWIRE_FETCH__HOST_GAP": "0"}
            environment |= {"CONFLICTWIRE_FETCH__PER_HOST": "12"}
            peaks.append(peak(start(folder, "pull", "--once", environment=environment)))
    assert peaks[1] < peaks[0] + 60, peaks


def test_the_memory_of_a_worker_does_not_grow_with_what_lies_in_the_topic(pipeline: Pipeline) -> None:
    """100 MB: articles as large as they may be, and records of many megabytes that are none."""
    topic = pipeline.settings.topics.articles
    for number in range(10):
        text = f"\U0001f600 Rebels killed {number}. " + "It rained on the town all day. " * 30_000
        large = [article(100 * number + n, f"{text} {n}") for n in range(2)]
        good = [article(100 * number + n) for n in range(50, 52)]
        pipeline.publish([*large, *good, Outgoing(topic, b"bad", b"x" * (8 * MB))])
    assert peak(start(pipeline.settings, "worker", "--once")) < 450
    assert len({event.article.article_id for event in pipeline.agreed().values()}) == 40
    assert len(pipeline.dead()) == 10


@pytest.fixture
def locked(postgres_server: PostgresServer, servers: Pipeline) -> Iterator[threading.Event]:
    """Nobody else can write articles until the event is set."""
    name = servers.settings.store.get_secret_value().rpartition("/")[2]
    free = threading.Event()
    taken = threading.Event()

    def hold() -> None:
        with postgres_server.connect(name) as connection, connection.transaction():
            connection.execute("LOCK TABLE articles IN EXCLUSIVE MODE")
            taken.set()
            free.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    assert taken.wait(30)
    yield free
    free.set()
    holder.join()


@pytest.mark.kafka
@pytest.mark.postgres
def test_a_slow_database_slows_consumption_and_loses_nothing(servers: Pipeline, locked: threading.Event) -> None:
    """The database answers after more than the longest time between polls, while a second worker waits its turn."""
    kafka = servers.settings.kafka.model_copy(update={"max_poll_interval": 6.0})
    settings = servers.settings.model_copy(update={"kafka": kafka})
    articles = [article(number) for number in range(300)]
    servers.publish(articles)
    first = start(settings, "worker", "--once")
    second = start(settings, "worker", "--once")
    time.sleep(10)
    # Whatever has been read is still in hand: it counts as unread until it is stored.
    assert servers.left() == 300
    locked.set()
    dropped = 0
    for process in (first, second):
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err.decode()[-2000:]
        dropped += err.count(b"batch dropped")
    # The one that starts later may take partitions over from the other; for slowness both would drop theirs.
    assert dropped <= 1
    expected = sum(len(KeywordCoder().events(each.text, each.title)) for each in articles)
    assert len(servers.agreed()) == expected
    assert servers.left() == 0
