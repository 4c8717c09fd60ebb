"""The live stream: server-sent events, one after the other in the order in which they became known.

A client is nothing but its place in that order. When there is news all are woken, and each sends what passes its filter from
its place on: out of the records that became known last, which all share, or out of the store for one that was away or is
behind. So none has a queue that can grow. One that does not take what it is sent is cut off, and resumes by `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ingest.api.columns import Columns, Place, Rows
from ingest.api.desk import Desk
from ingest.api.filters import Of, Wanted
from ingest.api.guard import Receive, Scope, Send

log = logging.getLogger(__name__)

HEARTBEAT = 15.0
"""Seconds between two comments where there is no news."""
PATIENCE = 30.0
"""Seconds in which a client must take what it is sent."""
_AT_ONCE = 50  # records in a piece
_LOOKED_AT = 100_000  # rows in a piece
_READING = 4  # clients at once that are given records out of the store
_KINDS: dict[Of, str] = {"events": "event", "incidents": "incident"}


def frame(of: Of, place: Place, record: str) -> bytes:
    """A record as a server-sent event; a record has no line breaks."""
    return f"id: {place.known}-{place.id}-{place.revision}\nevent: {_KINDS[of]}\ndata: {record}\n\n".encode()


class Hub:
    """The clients of the stream."""

    def __init__(self, desk: Desk, limit: int) -> None:
        self.desk = desk
        self.limit = limit
        self.clients = 0
        self.closing = False
        self._reading = asyncio.Semaphore(_READING)
        self._news: asyncio.Future[None] | None = None
        self._shared: OrderedDict[tuple[Of, int | None, Wanted, int, int], Rows] = OrderedDict()

    def wake(self) -> None:
        """Tell all clients that there is news; in the loop's thread."""
        if self._news and not self._news.done():
            self._news.set_result(None)
        self._news = None

    def close(self) -> None:
        """End all streams."""
        self.closing = True
        self.wake()

    async def wait(self, seconds: float) -> None:
        """Until there is news, or so long."""
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.wait((self._news,), timeout=seconds)

    def passing(self, of: Of, columns: Columns, wanted: Wanted, first: int, last: int) -> Rows:
        """The rows that are news for a filter; clients with the same filter share the answer."""
        name = (of, columns.floor, wanted, first, last)
        found = self._shared.get(name)
        if found is None:
            found = self._shared[name] = columns.news(wanted, first, last)
            if len(self._shared) > 100:
                self._shared.popitem(last=False)
        return found

    async def frames(self, of: Of, wanted: Wanted, columns: Columns, rows: Rows) -> list[bytes]:
        """What is sent for those rows."""
        records = self.desk.recent(of, columns, rows)
        if records is None:
            async with self._reading:
                records = await run_in_threadpool(self.desk.records, of, columns, rows)
        if wanted.text is not None:
            passing = await run_in_threadpool(self.desk.texts, of, records, wanted.text)
        else:
            passing = [True] * len(records)
        places = [columns.place(int(row)) for row in rows]
        return [
            frame(of, *each) for each, taken in zip(zip(places, records, strict=True), passing, strict=True) if taken
        ]


class EventStream(Response):
    """One client's stream. `still` says now and then whether it may go on."""

    def __init__(
        self, hub: Hub, of: Of, wanted: Wanted, place: Place | None, still: Callable[[], Awaitable[bool]]
    ) -> None:
        super().__init__()
        self._hub = hub
        self._of: Of = of
        self._wanted = wanted
        self._place = place
        self._still = still

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client goes, is too slow, or the server ends."""
        self._hub.clients += 1
        sending = asyncio.ensure_future(self._send(send))
        try:
            leaving = asyncio.ensure_future(_gone(receive))
            try:
                await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
            finally:
                leaving.cancel()
        finally:
            self._hub.clients -= 1
            if not sending.done():
                sending.cancel()
        if sending.done() and not sending.cancelled() and (error := sending.exception()):
            if isinstance(error, TimeoutError):
                log.info("a client of the stream was too slow", extra={"client": str(scope.get("client"))})
                return
            raise error

    async def _send(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        headers.append((b"x-accel-buffering", b"no"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._piece(send, b"retry: 3000\n\n")
        heard = time.monotonic()
        while not self._hub.closing:
            columns = self._hub.desk.now(self._of)
            first = columns.after(self._place)
            last = min(columns.size, first + _LOOKED_AT)
            if first < last:
                rows = self._hub.passing(self._of, columns, self._wanted, first, last)
                for start in range(0, len(rows), _AT_ONCE):
                    some = rows[start : start + _AT_ONCE]
                    frames = await self._hub.frames(self._of, self._wanted, columns, some)
                    if frames:
                        await self._piece(send, b"".join(frames))
                        heard = time.monotonic()
                    if self._hub.closing:
                        break
                self._place = columns.place(last - 1)
                await asyncio.sleep(0)
                continue
            await self._hub.wait(max(0.0, heard + HEARTBEAT - time.monotonic()))
            if time.monotonic() - heard >= HEARTBEAT:
                if not await self._still():
                    break
                await self._piece(send, b": nothing new\n\n")
                heard = time.monotonic()
        await send({"type": "http.response.body", "body": b""})

    async def _piece(self, send: Send, body: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
