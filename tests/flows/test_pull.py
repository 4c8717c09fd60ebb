"""The pull flow, run against a real Prefect server."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import State

from flows import pull
from ingest.feeds.pull import PullResult
from tests.flows.looking import articles, artifact, eventually, process, rss, task_runs, write_catalog
from tests.ingest.feeds.site import Request, Site, answer
from tests.ingest.keyword_coder import KeywordCoder
from tests.ingest.pipeline import Pipeline
from tests.servers.postgres import PostgresServer

pytestmark = pytest.mark.prefect

GOOD = PullResult("good", "ok", new=3, updated=1, entries=9, seconds=1.234)
SAME = PullResult("same", "unchanged", seconds=0.1)
LATER = PullResult("later", "not_due")
DEAD = PullResult("dead", "failed", error="http://u:secret@h/feed: answered 404", error_kind="http")
SECRET = "feedPw-7Qx"
LOST = PullResult("lost", "failed", error="h: the name cannot be resolved", error_kind="dns")


def run(**parameters: Any) -> State[Any]:
    state: State[Any] = asyncio.run(pull.pull_feeds(**parameters, return_state=True))  # type: ignore[arg-type]
    return state


def run_id(state: State[Any]) -> UUID:
    assert state.state_details.flow_run_id
    return state.state_details.flow_run_id


@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([], "0 feeds pulled: 0 new and 0 updated articles"),
        ([GOOD], "1 feeds pulled: 3 new and 1 updated articles"),
        (
            [GOOD, GOOD, SAME, LATER, DEAD],
            "4 feeds pulled: 6 new and 2 updated articles; 1 failed, 1 unchanged, 1 not due",
        ),
    ],
)
def test_a_summary_counts_every_feed(results: list[PullResult], said: str) -> None:
    assert pull.summary(results) == said


def test_rows_tell_failures_first_then_news_and_no_secret() -> None:
    rows = pull.rows([GOOD, SAME, LATER, LOST, DEAD])
    assert [row["feed"] for row in rows] == ["dead", "lost", "good"]
    assert rows[0]["kind"] == "http"
    assert rows[0]["reason"] == "http://u:***@h/feed: answered 404"
    assert rows[2] == {
        "feed": "good",
        "status": "ok",
        "new": 3,
        "updated": 1,
        "entries": 9,
        "seconds": 1.23,
        "kind": "",
        "reason": "",
    }


@pytest.mark.parametrize(
    ("results", "trouble", "failed", "said"),
    [
        ([], None, False, "0 feeds pulled"),
        ([LATER], None, False, "1 not due"),
        ([GOOD, DEAD], None, False, "1 failed"),
        ([SAME, DEAD, LOST], None, False, "2 failed"),
        ([DEAD, DEAD, LOST, LATER], None, True, "all 3 feeds that were due failed, 2 by http"),
        ([GOOD], "the broker does not answer", True, "the broker does not answer"),
    ],
)
def test_a_run_fails_only_when_every_feed_does_or_a_server_is_away(
    results: list[PullResult], trouble: str | None, failed: bool, said: str
) -> None:
    state = pull.verdict(results, trouble)
    assert state.is_failed() is failed
    assert state.is_completed() is not failed
    assert said in (state.message or "")


def test_failing_feeds_are_failed_tasks_with_their_reason_and_the_others_go_through(
    prefect_client: SyncPrefectClient,
    embedded: Pipeline,
    site: Site,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    site.routes = {"/a": answer(rss("One", "Two")), "/b": answer(rss("Three")), "/page": answer("<p>Hello</p>")}
    feeds = {name: f"{site.url}/{path}" for name, path in {"a": "a", "b": "b", "gone": "gone", "page": "page"}.items()}
    catalog = write_catalog(tmp_path / "feeds.toml", feeds)

    state = run(feeds=str(catalog))

    assert state.is_completed()
    assert state.message == "4 feeds pulled: 3 new and 0 updated articles; 2 failed"
    assert sorted(article.title for article in articles(embedded)) == ["One", "Three", "Two"]
    tasks = task_runs(prefect_client, run_id(state), set(feeds))
    assert tasks.keys() == set(feeds), "a task a feed, and no other"
    ends = {name: task.state for name, task in tasks.items() if task.state}
    assert {name for name, end in ends.items() if end.is_failed()} == {"gone", "page"}
    assert ends["gone"].message == f"{site.url}/gone: answered 404 Not Found"
    assert ends["a"].message == "ok: 2 new, 0 updated"
    rows, description = artifact(prefect_client, run_id(state), pull.ARTIFACT)
    assert description == state.message
    assert [(row["feed"], row["status"], row["new"], row["kind"]) for row in rows] == [
        ("gone", "failed", 0, "http"),
        ("page", "failed", 0, "not_a_feed"),
        ("a", "ok", 2, ""),
        ("b", "ok", 1, ""),
    ]
    assert rows[0]["reason"] == ends["gone"].message
    assert [record.getMessage() for record in caplog.records if "answered 404" in record.getMessage()]
    assert not [record for record in caplog.records if record.exc_info or "\n" in record.getMessage()]


def test_feeds_are_left_alone_until_they_are_due_unless_forced_or_named(
    prefect_client: SyncPrefectClient, embedded: Pipeline, site: Site, tmp_path: Path
) -> None:
    site.routes = {"/a": answer(rss("One")), "/b": answer(rss("Two"))}
    catalog = str(write_catalog(tmp_path / "feeds.toml", {"a": f"{site.url}/a", "b": f"{site.url}/b"}))
    assert run(feeds=catalog, names=["b"]).is_completed()
    assert site.paths() == ["/b"]
    assert run(feeds=catalog).message == "1 feeds pulled: 1 new and 0 updated articles; 1 not due"
    assert (
        run(feeds=catalog, force=True, names=["a"]).message
        == "1 feeds pulled: 0 new and 0 updated articles; 1 unchanged"
    )
    assert site.paths() == ["/b", "/a", "/a"]
    state = run(feeds=catalog, names=["a", "z"])
    assert state.is_failed()
    assert state.message == "no feed is called 'z'; `conflictwire feeds list` shows the names"


def test_a_connection_that_breaks_is_tried_again_and_counts_as_no_failure(
    prefect_client: SyncPrefectClient, embedded: Pipeline, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off_once(connection: socket.socket, request: Request) -> None:
        # The HTTP client asks a second time by itself.
        if site.paths().count(request.path) > 2:
            connection.sendall(answer(rss("One")))

    def break_off(connection: socket.socket, request: Request) -> None:
        return

    monkeypatch.setattr(pull.pull_feed, "retry_delay_seconds", [0.0, 0.0])
    site.routes = {"/once": break_off_once, "/ever": break_off, "/busy": answer("", "503 Service Unavailable")}
    feeds = {name: f"{site.url}/{name}" for name in ("once", "ever", "busy")}

    state = run(feeds=str(write_catalog(tmp_path / "feeds.toml", feeds)))

    assert state.message == "3 feeds pulled: 1 new and 0 updated articles; 2 failed"
    tasks = task_runs(prefect_client, run_id(state), set(feeds))
    assert {name: task.run_count for name, task in tasks.items()} == {"once": 2, "ever": 3, "busy": 1}
    ends = {name: (task.state.name, task.state.type.value) for name, task in tasks.items() if task.state}
    assert ends == {"once": ("Completed", "COMPLETED"), "ever": ("Unreachable", "FAILED"), "busy": ("Failed", "FAILED")}
    failures = {name: found.failures for name, found in embedded.store.feed_states().items()}
    assert failures == {"once": 0, "ever": 1, "busy": 1}, "a run counts as one failure, however often it tried"


def test_a_run_says_that_the_broker_is_away(
    prefect_client: SyncPrefectClient, embedded: Pipeline, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONFLICTWIRE_BROKER", "kafka://127.0.0.1:9")
    monkeypatch.setenv("CONFLICTWIRE_KAFKA__CONNECT_TIMEOUT", "0.5")
    state = run(feeds=str(write_catalog(tmp_path / "feeds.toml", {"a": f"{site.url}/a"})))
    assert state.is_failed()
    assert "127.0.0.1:9" in (state.message or "")
    assert "\n" not in (state.message or "")


def test_no_secret_of_a_feed_or_server_is_in_what_runs_say(
    prefect_client: SyncPrefectClient,
    embedded: Pipeline,
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    site.routes = {f"/a?token={SECRET}": answer(rss("One")), f"/page?token={SECRET}": answer("<p>Hello</p>")}
    inside = site.url.replace("//", f"//ada:{SECRET}@")
    feeds = {name: f"{inside}/{name}?token={SECRET}" for name in ("a", "gone", "page")}
    feeds["closed"] = f"http://ada:{SECRET}@127.0.0.1:9/x.xml?token={SECRET}"
    catalog = str(write_catalog(tmp_path / "feeds.toml", feeds))
    state = run(feeds=catalog)
    assert state.message == "4 feeds pulled: 1 new and 0 updated articles; 3 failed"
    said = [repr(task) for task in task_runs(prefect_client, run_id(state), set(feeds)).values()]
    said.append(repr(artifact(prefect_client, run_id(state), pull.ARTIFACT)))

    monkeypatch.setenv("CONFLICTWIRE_STORE", f"postgresql://ada:{SECRET}@127.0.0.1:9/conflictwire")
    state = run(feeds=catalog)
    assert state.is_failed()
    assert "127.0.0.1:9" in (state.message or "")
    monkeypatch.setenv("CONFLICTWIRE_STORE", f"postgresql:/ada:{SECRET}@127.0.0.1:9/conflictwire")
    assert run(feeds=catalog).is_failed()

    logged = [f"{record.getMessage()} {vars(record)}" for record in caplog.records]
    assert any("answered 404" in line for line in logged)
    ours = [line for line in (*said, repr(state), *capfd.readouterr(), *logged) if SECRET in line]
    assert not ours, "\n".join(ours)


@pytest.mark.postgres
def test_a_store_that_goes_away_in_mid_run_ends_it_with_the_reason(
    prefect_client: SyncPrefectClient,
    embedded: Pipeline,
    postgres_server: PostgresServer,
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = postgres_server.create_database()
    monkeypatch.setenv("CONFLICTWIRE_STORE", postgres_server.url(database))

    def drop_the_store(connection: socket.socket, request: Request) -> None:
        postgres_server.drop_database(database)
        connection.sendall(answer(rss("One")))

    def keep_waiting(connection: socket.socket, request: Request) -> None:
        site.stopping.wait(60)

    site.routes = {"/a": drop_the_store, "/b": keep_waiting}
    state = run(feeds=str(write_catalog(tmp_path / "feeds.toml", {"a": f"{site.url}/a", "b": f"{site.url}/b"})))
    assert state.is_failed()
    assert database in (state.message or "")
    assert postgres_server.password not in (state.message or "")
    ends = {
        name: task.state for name, task in task_runs(prefect_client, run_id(state), {"a", "b"}).items() if task.state
    }
    assert ends["a"].is_failed()
    assert ends["a"].message == state.message
    assert ends["b"].is_crashed()
    assert artifact(prefect_client, run_id(state), pull.ARTIFACT)[0] == []


def test_runs_that_overlap_double_no_event(
    prefect_client: SyncPrefectClient, embedded: Pipeline, site: Site, tmp_path: Path
) -> None:
    both_ask = threading.Barrier(2, timeout=60)

    def answer_when_both_ask(connection: socket.socket, request: Request) -> None:
        both_ask.wait()
        connection.sendall(answer(rss("One", "Two", "Three")))

    site.routes = {"/a": answer_when_both_ask}
    catalog = str(write_catalog(tmp_path / "feeds.toml", {"a": f"{site.url}/a"}))

    async def run_twice() -> list[State[Any]]:
        return await asyncio.gather(*(pull.pull_feeds(feeds=catalog, return_state=True) for _ in range(2)))  # type: ignore[arg-type]

    states = asyncio.run(run_twice())

    assert all(state.is_completed() for state in states)
    assert {article.title for article in articles(embedded)} == {"One", "Two", "Three"}
    embedded.work(KeywordCoder())
    assert len(embedded.agreed()) == 30, "ten events an article, each once on the topic and in the store"


def test_a_run_that_is_killed_loses_nothing(
    prefect_client: SyncPrefectClient, embedded: Pipeline, site: Site, tmp_path: Path
) -> None:
    asked = threading.Event()

    def keep_waiting(connection: socket.socket, request: Request) -> None:
        asked.set()
        site.stopping.wait(60)

    site.routes = {"/a": answer(rss("One", "Two")), "/b": keep_waiting}
    catalog = str(write_catalog(tmp_path / "feeds.toml", {"a": f"{site.url}/a", "b": f"{site.url}/b"}))
    flow = f"import asyncio, flows.pull; asyncio.run(flows.pull.pull_feeds(feeds={catalog!r}))"
    with process([sys.executable, "-c", flow], tmp_path / "run.log") as killed:
        eventually(lambda: len(articles(embedded)) == 2 and asked.is_set(), "one feed pulled, the other not")
        killed.kill()
        killed.wait()
    site.routes["/b"] = answer(rss("Three"))

    state = run(feeds=catalog, force=True)

    assert state.is_completed()
    assert {article.title for article in articles(embedded)} == {"One", "Two", "Three"}
    assert embedded.store.feed_states().keys() == {"a", "b"}
