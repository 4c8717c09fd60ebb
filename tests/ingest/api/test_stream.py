"""The live stream: what is told, in which order, and to whom, over real HTTP."""

from __future__ import annotations

import asyncio
import http.client
import json
import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ingest.api import stream
from ingest.api.columns import Columns, Row
from ingest.api.desk import Desk
from ingest.api.filters import Wanted
from ingest.api.stream import EventStream, Hub
from ingest.settings import Settings
from ingest.storage import EventFilter, Store
from tests.ingest.api.conftest import QUICK, wait_ready
from tests.ingest.api.serving import Served, Writer, article, event, fill, story


@dataclass
class Follower:
    """A client of the stream, in a thread of its own."""

    url: str
    query: str = "of=events"
    last: str | None = None
    key: str | None = None
    got: list[tuple[str, str, Any]] = field(default_factory=list)
    comments: int = 0
    status: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    started: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        threading.Thread(target=self._read, daemon=True).start()
        assert self.started.wait(20)

    def _read(self) -> None:
        headers = {"Last-Event-ID": self.last} if self.last else {}
        headers |= {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            self._connection.request("GET", f"/v1/stream?{self.query}", headers=headers)
            answer = self._connection.getresponse()
            self.status = answer.status
            fields: dict[str, str] = {}
            for raw in answer:
                self.started.set()
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                else:
                    if "data" in fields:
                        self.got.append((fields["id"], fields["event"], json.loads(fields["data"])))
                    fields = {}
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            pass
        finally:
            self.started.set()
            self.ended.set()

    def names(self) -> list[tuple[str, int]]:
        return [(record["event_id"], record["revision"]) for _, _, record in list(self.got)]

    def wait_for(self, count: int, seconds: float = 40.0) -> None:
        end = time.monotonic() + seconds
        while len(self.got) < count:
            assert time.monotonic() < end, f"{len(self.got)} of {count} came"
            time.sleep(0.02)

    def close(self) -> None:
        if self._connection.sock:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def report(number: int, realis: str = "actual", revision: int = 1, kind: str | None = None) -> tuple[Any, list[Any]]:
    one = replace(story(random.Random(number)), realis=realis)
    text, found = event(one, date.today().isoformat(), 0.9)
    made = replace(found, type=kind) if kind else found
    return article(10**12 + number, text, "Report", "wire", datetime.now(UTC), revision=revision), [made]


@dataclass
class Live:
    """A store to write to and what serves it, which can be ended and started again."""

    settings: Settings
    writer: Writer
    served: Served

    @property
    def url(self) -> str:
        return self.served.url

    def restart(self) -> None:
        assert self.served.close() == 0
        self.served = serve(self.settings)


def serve(settings: Settings) -> Served:
    served = Served(settings.data_dir, settings=settings, **QUICK)
    with httpx.Client(base_url=served.url, trust_env=False, verify=False) as client:
        wait_ready(client)
    return served


@pytest.fixture
def live(tmp_path: Path, store_url: str) -> Iterator[Live]:
    settings = Settings(data_dir=tmp_path, store=SecretStr(store_url))
    fill(store_url, 4)
    store = Store.open(store_url)
    writer = Writer(store)
    writer.number = 10_000
    made = Live(settings, writer, serve(settings))
    yield made
    made.served.close()
    store.close()


def test_a_follower_gets_what_becomes_known_once_and_resumes_where_it_was_across_a_restart(live: Live) -> None:
    """Also what an edit takes out of its filter, and retractions; a batch of one transaction is resumed in its midst."""
    everything, some = Follower(live.url), Follower(live.url, "of=events&realis=actual")
    first = live.writer.report([report(number) for number in range(6)])
    everything.wait_for(6)
    second = live.writer.report([report(0, realis="future", revision=2), (report(1, revision=2)[0], [])])
    everything.wait_for(8)
    some.wait_for(8)
    told = [(each.event_id, each.revision) for each in (*first, *second)]
    assert set(everything.names()) == set(told)
    assert everything.names() == some.names()
    assert [each[1] for each in everything.got] == ["event"] * 8
    assert [each[2]["status"] for each in everything.got[6:]].count("retracted") == 1
    third = live.writer.report([report(number, realis="future") for number in range(10, 13)])
    everything.wait_for(11)
    assert len(some.got) == 8

    resumed = Follower(live.url, last=everything.got[2][0])
    resumed.wait_for(8)
    assert resumed.got == everything.got[3:]
    for follower in (everything, some, resumed):
        follower.close()
    live.restart()
    fourth = live.writer.report([report(20)])
    resumed = Follower(live.url, last=everything.got[5][0])
    resumed.wait_for(6)
    assert resumed.got[:5] == everything.got[6:]
    assert resumed.names()[5:] == [(each.event_id, each.revision) for each in fourth]
    resumed.close()
    # To resume with a filter tells what left it meanwhile.
    some = Follower(live.url, "of=events&realis=actual", last=everything.got[5][0])
    some.wait_for(3)
    assert some.names() == [*everything.names()[6:8], *[(each.event_id, each.revision) for each in fourth]]
    some.close()
    assert len(third) == 3


def test_incidents_can_be_followed_through_their_revisions(live: Live) -> None:
    """A second source, then the withdrawal of both reports; one with a filter hears of it until it passes no more."""
    everything, alone = Follower(live.url, "of=incidents"), Follower(live.url, "of=incidents&status=single_source")
    first, found = report(1)
    second = first.model_copy(update={"article_id": f"{7:032x}", "feed": "other", "content_hash": "other"})
    live.writer.report([(first, found)])
    everything.wait_for(1)
    live.writer.report([(second, found)])
    everything.wait_for(2)
    live.writer.report([(each.model_copy(update={"revision": 2}), []) for each in (first, second)])
    everything.wait_for(4)
    records = [record for _, _, record in everything.got]
    assert [record["status"] for record in records] == ["single_source", "corroborated", "single_source", "retracted"]
    assert len({record["incident_id"] for record in records}) == 1
    assert [record["revision"] for record in records] == [1, 2, 3, 4]
    assert {each[1] for each in everything.got} == {"incident"}
    alone.wait_for(4)
    resumed = Follower(live.url, "of=incidents", last=everything.got[0][0])
    resumed.wait_for(3)
    assert resumed.got == everything.got[1:]
    for follower in (everything, alone, resumed):
        follower.close()


def test_a_stream_ends_when_its_key_is_revoked_and_a_slow_client_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the level of ASGI, where patience can be made short."""
    monkeypatch.setattr(stream, "PATIENCE", 0.1)
    monkeypatch.setattr(stream, "HEARTBEAT", 0.2)
    desk = Desk(None)  # type: ignore[arg-type]
    desk._columns = {"events": Columns(), "incidents": Columns(0)}

    async def follow(takes: bool, allowed: list[bool]) -> tuple[list[bytes], Hub]:
        hub, sent = Hub(desk, 10), []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                sent.append(message["body"])
                if not takes:
                    await asyncio.sleep(60)

        async def receive() -> Any:
            await asyncio.sleep(60)

        async def still() -> bool:
            return allowed.pop(0)

        async with asyncio.timeout(10):
            response = stream.EventStream(hub, "events", Wanted(), None, still)
            await response({"type": "http", "client": ("192.0.2.1", 1)}, receive, send)
        return sent, hub

    sent, hub = asyncio.run(follow(True, [True, True, False]))
    assert sent == [b"retry: 3000\n\n", b": nothing new\n\n", b": nothing new\n\n", b""]
    assert hub.clients == 0
    sent, hub = asyncio.run(follow(False, []))
    assert sent == [b"retry: 3000\n\n"]
    assert hub.clients == 0


def test_what_many_that_take_nothing_are_to_be_sent_is_made_once() -> None:
    """At the level of ASGI: what fifty clients hold of 200 records of 2 kB while they wait is a few kB each."""
    desk, columns = Desk(None), Columns()  # type: ignore[arg-type]
    desk._columns = {"events": columns, "incidents": Columns(0)}
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        if len(message.get("body", b"")) > 1000:
            sent.append(message["body"])
            await asyncio.sleep(60)

    async def receive() -> Any:
        await asyncio.sleep(60)

    async def still() -> bool:
        return True

    async def follow() -> int:
        hub = Hub(desk, 50)
        streams = [EventStream(hub, "events", Wanted(), None, still) for _ in range(50)]
        tasks = [asyncio.create_task(each({"type": "http"}, receive, send)) for each in streams]
        async with asyncio.timeout(20):
            while hub._news is None or hub.clients < 50:  # noqa: ASYNC110 - they signal nothing
                await asyncio.sleep(0)
        rows = [Row(1, f"{number:024x}", 1, 0, "new", "ASSAULT", "actual", 0.5) for number in range(200)]
        for each in rows:
            desk._recent["events"].add((each.id, 1), "x" * 2000)
        columns.append(rows, 1)
        tracemalloc.start()
        hub.wake()
        async with asyncio.timeout(20):
            while len(sent) < 50:  # noqa: ASYNC110
                await asyncio.sleep(0)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return held

    held = asyncio.run(follow())
    assert len({id(body) for body in sent}) == 1
    assert 2000 < len(sent[0]) <= 16_000
    assert held < 50 * 20_000


def test_shared_pieces_stay_bounded_where_a_filter_lets_nothing_pass() -> None:
    hub = Hub(Desk(None), 1)  # type: ignore[arg-type]
    for number in range(1000):
        hub._keep((("events", None, Wanted(), number, number + 1), 0), [] if number % 2 else [b"x" * 100_000])
    assert len(hub._pieces) <= 100
    assert hub._size == sum(len(piece) for made in hub._pieces.values() for piece in made) <= 4_000_000


def test_frames_can_be_joined_to_pieces_of_a_bounded_size() -> None:
    short, long = [bytes([number]) * 1000 for number in range(40)], b"l" * 50_000
    made = stream.pieces([*short, long, *short])
    assert b"".join(made) == b"".join([*short, long, *short])
    assert [len(each) for each in made] == [16_000, 16_000, 8000, 50_000, 16_000, 16_000, 8000]
    assert stream.pieces([]) == []


def test_one_that_takes_nothing_keeps_nobody_waiting_and_the_server_ends_at_once(live: Live) -> None:
    host, port = live.url.removeprefix("http://").split(":")
    slow = socket.create_connection((host, int(port)))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(b"GET /v1/stream?of=events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    quick = Follower(live.url)
    live.writer.keeps = False  # that many alike take long to compare
    made = []
    for batch in range(4):
        made += live.writer.report([report(100 + batch * 100 + number) for number in range(100)])
    quick.wait_for(400)
    assert set(quick.names()) == {(each.event_id, each.revision) for each in made}
    began = time.monotonic()
    assert live.served.close() == 0
    assert time.monotonic() - began < 10
    assert quick.ended.wait(5)
    assert "Traceback" not in "".join(live.served.log)
    slow.close()


def test_what_no_filter_can_be_is_refused(live: Live) -> None:
    assert Follower(live.url, "of=events&type=WAR").status == 422
    # An id of another server, or from another time, is none to go on from.
    follower = Follower(live.url, last="17")
    live.writer.report([report(1)])
    follower.wait_for(1)
    follower.close()
    store = Store.open(live.settings.store_url)
    assert len(follower.got) < len(list(store.events(EventFilter())))
    store.close()
