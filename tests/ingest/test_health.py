"""What is served on the port of metrics: what was counted, whether the process gets on, whether it can work."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ingest import metrics
from ingest.errors import SettingsError
from ingest.feeds.catalog import Feed
from ingest.health import STALE_SECONDS, Health, Seen, liveness, readiness, serving
from ingest.settings import Metrics, Settings
from ingest.storage import FeedState
from tests.ingest.pipeline import Pipeline, article
from tests.processes import command, family

ROOT = Path(__file__).parents[2]


def get(port: int, path: str) -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def samples(port: int) -> dict[tuple[str, tuple[str, ...]], float]:
    status, text = get(port, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return {
        (s.name, tuple(value for _, value in sorted(s.labels.items()))): s.value
        for family in families
        for s in family.samples
    }


def until(done: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("progress", "health"),
    [
        ({}, Health(True, {})),
        ({"worker": 95.0}, Health(True, {"worker": "ok"})),
        ({"worker": 80.0}, Health(False, {"worker": "no progress for 20 s"})),
        ({"worker": 99.0, "puller": 0.0}, Health(False, {"worker": "ok", "puller": "no progress for 100 s"})),
    ],
)
def test_a_role_that_makes_no_progress_is_stuck(progress: dict[str, float], health: Health) -> None:
    assert liveness(progress, now=100.0, limit=10.0) == health


@pytest.mark.parametrize(
    ("seen", "joined", "ok"),
    [
        (Seen(100.0, None, None), 1.0, True),
        (Seen(100.0, None, None), None, True),
        (Seen(100.0, None, None), 0.0, False),
        (Seen(100.0, "refused", None), 1.0, False),
        (Seen(100.0, None, "refused"), 1.0, False),
        (Seen(99.0 - STALE_SECONDS, None, None), 1.0, False),
        (None, 1.0, False),
    ],
)
def test_ready_is_who_has_joined_and_reaches_broker_and_store(
    seen: Seen | None, joined: float | None, ok: bool
) -> None:
    health = readiness(seen, joined, now=100.0)
    assert health.ok is ok
    assert ok or any(says != "ok" for says in health.checks.values())


@pytest.mark.parametrize(("store", "ok"), [(None, True), ("refused", False)])
def test_who_needs_no_broker_is_ready_by_the_store_alone(store: str | None, ok: bool) -> None:
    seen = Seen(100.0, None, store)
    assert readiness(seen, None, 100.0, broker=False) == Health(ok, {"store": store or "ok"})
    assert readiness(None, None, 100.0, broker=False).checks.keys() == {"store"}


def test_a_notifier_without_a_broker_is_ready_while_its_store_answers(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ingest.cli_driver", "notify", "--metrics-port", "0"],
        cwd=ROOT,
        env=os.environ
        | {
            "CONFLICTWIRE_DATA_DIR": str(tmp_path),
            "CONFLICTWIRE_BROKER": "kafka://127.0.0.1:9",
            "CONFLICTWIRE_LOG": "json",
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        port = next(json.loads(line)["port"] for line in process.stderr if '"port"' in line)
        until(lambda: get(port, "/readyz")[0] == 200)
        assert json.loads(get(port, "/readyz")[1])["checks"] == {"store": "ok"}
        until(lambda: samples(port).get(("conflictwire_alert_oldest_waiting_seconds", ("email",))) == 0)
        found = samples(port)
        assert found["conflictwire_alert_deliveries_total", ("webhook", "gave_up")] == 0
        assert not any(name == "conflictwire_feeds" for name, _ in found)
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(
    ("enabled", "state", "health"),
    [
        (False, None, "off"),
        (True, None, "unread"),
        (True, FeedState("a", failures=2), "unread"),
        (True, FeedState("a", failures=3), "failing"),
        (True, FeedState("a", failures=9, disabled=True), "disabled"),
    ],
)
def test_the_health_of_a_feed(enabled: bool, state: FeedState | None, health: str) -> None:
    assert metrics.state_of(Feed(name="a", url="https://example.org/", enabled=enabled), state) == health


def test_nothing_is_served_unless_a_port_is_set(tmp_path: Path) -> None:
    with serving(Settings(data_dir=tmp_path)) as server:
        assert server is None


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with serving(Settings(data_dir=tmp_path, metrics=Metrics(port=0))) as server:
        assert server is not None
        with (
            pytest.raises(SettingsError, match=rf"metrics\.port: 127\.0\.0\.1:{server.port} "),
            serving(Settings(data_dir=tmp_path, metrics=Metrics(port=server.port))),
        ):
            pass


def start(pipeline: Pipeline, workers: int, **environment: str) -> tuple[subprocess.Popen[str], int]:
    """`conflictwire worker` with the keyword coder, and the port it serves on."""
    settings = pipeline.settings
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ingest.health_driver", str(workers), settings.model_dump_json()],
        cwd=ROOT,
        env=os.environ
        | {"CONFLICTWIRE_STORE": settings.store_url, "CONFLICTWIRE_METRICS__PORT": "0", "CONFLICTWIRE_LOG": "json"}
        | environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{") and (port := json.loads(line).get("port")):
            return process, port
    raise AssertionError("ended before it served")


def test_workers_of_any_number_serve_one_sum_that_outlives_each_of_them(pipeline: Pipeline) -> None:
    pipeline.publish([article(number) for number in range(30)])
    pipeline.publish([article(99, text="POISON")])
    process, port = start(pipeline, 2)
    try:
        coded, dead = ("conflictwire_articles_total", ("coded", "")), ("conflictwire_articles_total", ("dead", "code"))
        until(lambda: samples(port).get(coded) == 30 and samples(port).get(dead) == 1)
        until(lambda: get(port, "/readyz")[0] == 200)
        assert get(port, "/livez")[0] == 200
        until(lambda: samples(port)["conflictwire_workers_joined", ()] == 2)
        victim = next(pid for pid in family(process.pid) if "spawn_main" in command(pid))
        os.kill(victim, signal.SIGKILL)
        until(lambda: samples(port)["conflictwire_workers_joined", ()] == 1)
        assert samples(port)[coded] == 30
        until(lambda: samples(port)["conflictwire_workers_joined", ()] == 2)
        assert samples(port)["conflictwire_worker_deaths_total", ("signal",)] == 1
        pipeline.publish([article(number) for number in range(100, 110)])
        until(lambda: samples(port)[coded] == 40)
        found = samples(port)
        assert found["conflictwire_dead_letters_total", ("ValueError", "code")] == 1
        assert found["conflictwire_coding_seconds_count", ()] == 40
        assert found["conflictwire_newest_article_timestamp_seconds", (pipeline.settings.topics.articles,)] > 0
        until(lambda: sum(v for (name, _), v in samples(port).items() if name == "conflictwire_consumer_lag") == 0)
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_a_worker_s_file_that_is_not_written_yet_is_passed_over_and_a_broken_one_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(Settings(data_dir=tmp_path, metrics=Metrics(port=0)), several=True) as server:
        assert server is not None
        files = Path(server.environment(0)["PROMETHEUS_MULTIPROC_DIR"])
        (files / "counter_1.db").touch()
        assert "conflictwire_build_info" in get(server.port, "/metrics")[1]
        assert get(server.port, "/livez")[0] == 200
        (files / "counter_2.db").write_bytes(b"\x40\0\0\0" * 16)
        assert get(server.port, "/metrics") == (500, "RuntimeError\n")
        assert "metrics failed" in caplog.messages


def test_a_stuck_worker_is_told_by_livez(embedded: Pipeline) -> None:
    embedded.publish([article(1, text="SLOW")])
    process, port = start(embedded, 1, KEYWORD_SLOW="30", CONFLICTWIRE_METRICS__STUCK="2")
    try:
        until(lambda: get(port, "/livez")[0] == 200)
        until(lambda: get(port, "/livez")[0] == 503)
        assert "no progress for" in json.loads(get(port, "/livez")[1])["checks"]["worker"]
    finally:
        process.kill()
        process.wait()


def test_a_worker_whose_store_does_not_answer_lives_and_is_not_ready(embedded: Pipeline) -> None:
    process, port = start(embedded, 1, CONFLICTWIRE_STORE="postgresql://u:hunter2@127.0.0.1:9/none")
    try:
        until(lambda: samples(port)["conflictwire_retries_total", ()] > 0)
        until(lambda: "127.0.0.1" in json.loads(get(port, "/readyz")[1])["checks"]["store"])
        status, text = get(port, "/readyz")
        assert status == 503
        assert "hunter2" not in text
        assert json.loads(text)["checks"]["broker"] == "ok"
        assert get(port, "/livez")[0] == 200
    finally:
        process.kill()
        process.wait()


def test_the_table_of_the_documentation_and_the_registries_agree() -> None:
    table = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
    told = {
        (name, kind, tuple(re.findall(r"`(\w+)`", labels)))
        for name, kind, labels in re.findall(r"^\| `(conflictwire_\w+)` \| (\w+) \| ([^|]*) \|", table, re.M)
    }
    collectors = {*metrics.REGISTRY._collector_to_names, *metrics.WATCHED._collector_to_names}
    there = {
        (each._name + ("_total" if each._type == "counter" else ""), each._type, each._labelnames)  # type: ignore[attr-defined]
        for each in collectors
    }
    assert told == there
