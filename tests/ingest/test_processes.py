"""Worker processes: told to stop, killed in mid batch, restarted, left without a parent. Nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingest.settings import Settings
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline, Workers, article
from tests.processes import all_gone

SLOW = 0.04  # seconds an article, so that a batch takes long enough to be hit


@pytest.fixture
def start() -> Iterator[Callable[..., Workers]]:
    started: list[Workers] = []

    def workers(settings: Settings, **options: float) -> Workers:
        started.append(Workers(settings, **options))  # type: ignore[arg-type]
        return started[-1]

    yield workers
    for each in started:
        each.close()


def publish(pipeline: Pipeline, count: int) -> int:
    """`count` articles; how many events they have."""
    articles = [article(number) for number in range(count)]
    pipeline.publish(articles)
    return sum(len(KeywordCoder().events(each.text, each.title)) for each in articles)


def pids(workers: Workers) -> set[int]:
    """Those of the worker processes that have committed a batch."""
    return {int(line.split()[1]) for line in list(workers.lines)}


def wait_for_workers(workers: Workers, count: int) -> set[int]:
    deadline = time.monotonic() + 60
    while len(pids(workers)) < count:
        assert time.monotonic() < deadline, workers.log[-20:]
        time.sleep(0.05)
    return pids(workers)


def deep_in_an_article(workers: Workers, count: int) -> set[int]:
    """The worker processes, once all have started and one is busy with an article."""
    workers.wait_for('"coding"')
    return {json.loads(line)["pid"] for line in workers.wait_for("worker started", count)}


def wait_until_read(pipeline: Pipeline, workers: Workers) -> None:
    deadline = time.monotonic() + 90
    while pipeline.left():
        assert time.monotonic() < deadline, workers.log[-20:]
        time.sleep(0.2)


def test_two_workers_share_500_articles_and_each_event_is_there_once(
    pipeline: Pipeline, start: Callable[..., Workers]
) -> None:
    both = start(pipeline.settings, count=2, seconds=0.01)
    both.wait_for("worker started", 2)
    events = publish(pipeline, 500)
    wait_until_read(pipeline, both)
    both.kill(signal.SIGTERM)
    assert both.wait(20) == 0
    shares: dict[str, int] = {}
    for line in both.lines:
        _, pid, articles, _ = line.split()
        shares[pid] = shares.get(pid, 0) + int(articles)
    assert sorted(shares.values())[0] > 0
    assert len(shares) == 2
    assert sum(shares.values()) == 500
    assert len(pipeline.agreed()) == events


def test_a_worker_killed_in_mid_batch_loses_nothing_and_doubles_nothing(
    pipeline: Pipeline, start: Callable[..., Workers]
) -> None:
    events = publish(pipeline, 150)
    killed = start(pipeline.settings, seconds=SLOW)
    killed.wait_for("batch ", 2)
    time.sleep(SLOW * 4)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    assert 0 < pipeline.left() < 150
    assert start(pipeline.settings, once=True).wait() == 0
    assert len(pipeline.agreed()) == events
    assert pipeline.left() == 0


def test_a_worker_killed_between_the_two_commits_loses_nothing_and_doubles_nothing(
    pipeline: Pipeline, start: Callable[..., Workers]
) -> None:
    events = publish(pipeline, 100)
    for _ in range(2):
        assert start(pipeline.settings, kill_after_apply=2).wait() == -signal.SIGKILL
    assert len(pipeline.stored()) > len(pipeline.events())
    assert start(pipeline.settings, once=True).wait() == 0
    assert len(pipeline.agreed()) == events


def test_a_worker_of_several_that_is_killed_is_started_again(pipeline: Pipeline, start: Callable[..., Workers]) -> None:
    both = start(pipeline.settings, count=2, seconds=0.02)
    both.wait_for("worker started", 2)
    events = publish(pipeline, 300)
    os.kill(min(wait_for_workers(both, 2)), signal.SIGKILL)
    both.wait_for("worker died")
    both.wait_for("worker started", 3)
    wait_until_read(pipeline, both)
    both.kill(signal.SIGTERM)
    assert both.wait(20) == 0
    assert len(pipeline.agreed()) == events


def test_several_workers_share_what_is_there_and_end_once_it_is_read(
    pipeline: Pipeline, start: Callable[..., Workers]
) -> None:
    events = publish(pipeline, 300)
    both = start(pipeline.settings, count=2, once=True, seconds=SLOW)
    assert both.wait() == 0
    assert len(pids(both)) == 2
    assert len(pipeline.agreed()) == events
    assert pipeline.left() == 0


@pytest.mark.parametrize(("how", "code", "count"), [(signal.SIGTERM, 0, 1), (signal.SIGINT, 130, 2)])
def test_a_signal_ends_workers_within_ten_seconds_with_nothing_half_done(
    pipeline: Pipeline, start: Callable[..., Workers], how: signal.Signals, code: int, count: int
) -> None:
    events = publish(pipeline, 200)
    workers = start(pipeline.settings, count=count, seconds=SLOW)
    running = wait_for_workers(workers, count)
    workers.kill(how)
    assert workers.wait(20) == code
    assert all_gone(running, 10)
    assert 0 < pipeline.left() < 200
    pipeline.work(KeywordCoder())
    assert len(pipeline.agreed()) == events


def test_a_batch_that_takes_too_long_is_abandoned(embedded: Pipeline, start: Callable[..., Workers]) -> None:
    publish(embedded, 20)
    workers = start(embedded.settings, count=2, seconds=60)
    running = deep_in_an_article(workers, 2)
    workers.kill(signal.SIGTERM)
    assert workers.wait(20) == 0
    assert all_gone(running, 10)
    workers.wait_for("batch abandoned")
    assert embedded.left() == 20


@pytest.mark.parametrize("count", [1, 2])
def test_a_second_signal_ends_workers_at_once(embedded: Pipeline, start: Callable[..., Workers], count: int) -> None:
    publish(embedded, 20)
    workers = start(embedded.settings, count=count, seconds=60)
    running = deep_in_an_article(workers, count)
    workers.kill(signal.SIGTERM)
    workers.wait_for("stopping")
    workers.kill(signal.SIGTERM)
    assert workers.wait(20) == 128 + signal.SIGTERM
    assert all_gone(running, 10)


def test_ctrl_c_on_a_terminal_counts_as_one_signal_for_several_workers(
    embedded: Pipeline, start: Callable[..., Workers]
) -> None:
    # The terminal sends it to each process of the group, and the parent passes it on.
    events = publish(embedded, 200)
    workers = start(embedded.settings, count=2, seconds=SLOW)
    running = wait_for_workers(workers, 2)
    for pid in (workers.process.pid, *running):
        os.kill(pid, signal.SIGINT)
    assert workers.wait(20) == 130
    assert not [line for line in workers.log if "at once" in line or "Traceback" in line]
    embedded.work(KeywordCoder())
    assert len(embedded.agreed()) == events


def test_no_worker_outlives_its_killed_parent(embedded: Pipeline, start: Callable[..., Workers]) -> None:
    publish(embedded, 200)
    workers = start(embedded.settings, count=2, seconds=SLOW)
    running = wait_for_workers(workers, 2)
    workers.kill()
    workers.wait()
    assert all_gone(running, 10)


def test_a_worker_that_is_frozen_is_killed_when_its_parent_stops(
    embedded: Pipeline, start: Callable[..., Workers]
) -> None:
    publish(embedded, 200)
    workers = start(embedded.settings, count=2, seconds=SLOW)
    running = wait_for_workers(workers, 2)
    os.kill(min(running), signal.SIGSTOP)
    workers.kill(signal.SIGTERM)
    assert workers.wait(20) == 0
    assert all_gone(running, 10)


def test_a_server_that_cannot_be_reached_ends_once_with_exit_code_3(
    tmp_path: Path, start: Callable[..., Workers]
) -> None:
    settings = Settings.model_validate({"data_dir": tmp_path, "store": "postgresql://u:hunter2@127.0.0.1:1/none"})
    workers = start(settings, count=2, once=True)
    assert workers.wait() == 3
    assert workers.wait_for("worker failed")
    assert not [line for line in workers.log if "hunter2" in line]


def test_a_worker_that_crashes_is_started_again(embedded: Pipeline, start: Callable[..., Workers]) -> None:
    (embedded.settings.data_dir / "crash").touch()
    events = publish(embedded, 10)
    workers = start(embedded.settings, count=2, once=True)
    assert workers.wait() == 0
    assert workers.wait_for("worker crashed")
    assert workers.wait_for("worker started", 2)
    assert len(embedded.agreed()) == events
