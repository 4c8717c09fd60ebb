"""The live stream: server-sent events, one after the other in the order in which they became known.

A client is nothing but its place in that order. When there is news all are woken, and each sends what passes its filter from
its place on: out of the records that became known last, which all share, or out of the store for one that was away or is
behind. So none has a queue that can grow. Those with the same filter are sent the same bytes, which are made once. One that
does not take what it is sent is cut off, and resumes by `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ingest.api.columns import Columns, Place, Rows
from ingest.api.desk import Desk
from ingest.api.filters import Of, Wanted
from ingest.api.guard import Receive, Scope, Send

log = logging.getLogger(__name__)

Asked = tuple[Of, int | None, Wanted, int, int]
"""What is looked for: of which columns, known by their floor, by which filter, from which row to before which."""

HEARTBEAT = 15.0
"""Seconds between two comments where there is no news."""
PATIENCE = 30.0
"""Seconds in which a client must take what it is sent."""
_AT_ONCE = 20  # records looked up at once: a client that is slow holds on to these
_PIECE = 16_000  # bytes sent at once, if no single record has more
# Answers that are kept for the next client with the same filter, and bytes of their pieces; an answer may have none.
_SHARED, _SHARED_BYTES = 100, 4_000_000
_LOOKED_AT = 100_000  # rows looked through at once
_READING = 4  # clients at once that are given records out of the store
_KINDS: dict[Of, str] = {"events": "event", "incidents": "incident"}


def frame(of: Of, place: Place, record: str) -> bytes:
    """A record as a server-sent event; a record has no line breaks."""
    return f"id: {place.known}-{place.id}-{place.revision}\nevent: {_KINDS[of]}\ndata: {record}\n\n".encode()


def pieces(frames: Iterable[bytes]) -> list[bytes]:
    """The frames in that order, joined to pieces of `_PIECE` bytes at most; one that is longer is a piece by itself."""
    made: list[bytes] = []
    some: list[bytes] = []
    size = 0
    for each in frames:
        if some and size + len(each) > _PIECE:
            made.append(b"".join(some))
            some, size = [], 0
        some.append(each)
        size += len(each)
    if some:
        made.append(b"".join(some))
    return made


class Hub:
    """The clients of the stream."""

    def __init__(self, desk: Desk, limit: int) -> None:
        self.desk = desk
        self.limit = limit
        self.clients = 0
        self.closing = False
        self._reading = asyncio.Semaphore(_READING)
        self._news: asyncio.Future[None] | None = None
        self._shared: OrderedDict[Asked, Rows] = OrderedDict()
        self._pieces: OrderedDict[tuple[Asked, int], list[bytes]] = OrderedDict()
        self._size = 0  # bytes of these pieces

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

    def passing(self, asked: Asked, columns: Columns) -> Rows:
        """The rows that are news for a filter; clients with the same filter share the answer."""
        found = self._shared.get(asked)
        if found is None:
            _, _, wanted, first, last = asked
            found = self._shared[asked] = columns.news(wanted, first, last)
            if len(self._shared) > _SHARED:
                self._shared.popitem(last=False)
        return found

    async def pieces(self, asked: Asked, columns: Columns, rows: Rows, start: int) -> list[bytes]:
        """What is sent of the rows that pass, from the `start`th on; clients with the same filter share it."""
        found = self._pieces.get((asked, start))
        if found is None:
            of, _, wanted, *_ = asked
            some = rows[start : start + _AT_ONCE]
            records = self.desk.recent(of, columns, some)
            if records is None:
                async with self._reading:
                    # Another one may have read them meanwhile.
                    found = self._pieces.get((asked, start))
                    if found is not None:
                        return found
                    records = await run_in_threadpool(self.desk.records, of, columns, some)
            found = await self._made(of, wanted, columns, some, records)
            self._keep((asked, start), found)
        return found

    async def _made(self, of: Of, wanted: Wanted, columns: Columns, rows: Rows, records: Sequence[str]) -> list[bytes]:
        if wanted.text is not None:
            passing = await run_in_threadpool(self.desk.texts, of, records, wanted.text)
        else:
            passing = [True] * len(records)
        places = [columns.place(int(row)) for row in rows]
        return pieces(
            frame(of, *each) for each, taken in zip(zip(places, records, strict=True), passing, strict=True) if taken
        )

    def _keep(self, name: tuple[Asked, int], made: list[bytes]) -> None:
        self._size -= sum(map(len, self._pieces.pop(name, ())))
        self._pieces[name] = made
        self._size += sum(map(len, made))
        while self._size > _SHARED_BYTES or len(self._pieces) > _SHARED:
            _, oldest = self._pieces.popitem(last=False)
            self._size -= sum(map(len, oldest))


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
                asked = (self._of, columns.floor, self._wanted, first, last)
                rows = self._hub.passing(asked, columns)
                for start in range(0, len(rows), _AT_ONCE):
                    for piece in await self._hub.pieces(asked, columns, rows, start):
                        await self._piece(send, piece)
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
