"""Feeds and pages parsed in processes that can be killed.

feedparser and lxml meet hostile input here, so they never run in this process: `ParserPool` keeps a few children, gives
each call a deadline and each child a memory limit, and replaces a child that hung, crashed or ran out of memory. Only
the feed that did it is marked.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ingest.errors import ParseError
from ingest.settings import Fetch

OUT_OF_MEMORY = 77  # exit status of parse_child

STARTUP_TIMEOUT = 60.0  # seconds; for imports on a busy machine, where no input is at work yet
MAX_ANSWER = 128_000_000  # bytes

_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True, slots=True)
class ParsedEntry:
    """An entry as the feed gives it; all text plain (see `text.py`), all times UTC.

    `guid` and `link` are empty where there is none; `link` is absolute. `complete` tells whether `text` is likely the
    whole article. `published` and `updated` stand in for each other.
    """

    guid: str
    link: str
    title: str
    text: str
    complete: bool
    content_hash: str
    authors: tuple[str, ...] = ()
    published: datetime | None = None
    updated: datetime | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """A feed with its entries in the order of the document.

    `ttl`: seconds it asks to be left alone between pulls. `skip_hours` (GMT) and `skip_days` (0 is Monday): when it asks
    not to be pulled; never all of them. `update_seconds`: how often it says to change. `left_out`: how many entries were
    not read, since it has more than parse_child.MAX_ENTRIES or MAX_FEED_TEXT; they are the oldest.
    """

    title: str
    language: str | None
    ttl: float | None
    entries: tuple[ParsedEntry, ...]
    skip_hours: tuple[int, ...] = ()
    skip_days: tuple[int, ...] = ()
    update_seconds: float | None = None
    left_out: int = 0

    @property
    def readable(self) -> tuple[ParsedEntry, ...]:
        """The entries that have something to publish: title, text or link."""
        return tuple(entry for entry in self.entries if entry.title or entry.text or entry.link)


@dataclass(frozen=True, slots=True)
class ParsedPage:
    """The article on a page. `text` is empty where none was found; `instead` says what is there, if known: "a paywall"."""

    title: str
    text: str
    authors: tuple[str, ...]
    language: str | None
    published: datetime | None
    instead: str | None = None


_T = TypeVar("_T")

_FEED = TypeAdapter(ParsedFeed)
_PAGE = TypeAdapter(ParsedPage)


class _Child:
    """One parser process. Not to be used again after `ask` raised."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self.reads_pages = False

    @classmethod
    async def start(cls, memory: int) -> _Child:
        # No settings in its environment: what takes the parser over finds no password. A session of its own keeps
        # Ctrl-C on the terminal from reaching it before its parent has said what to do.
        environment = {"PATH": os.defpath, "PYTHONPATH": _ROOT, "PYTHONUTF8": "1", "OPENBLAS_NUM_THREADS": "1"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "ingest.feeds.parse_child", str(memory)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env=environment,
            start_new_session=True,
        )
        return cls(process)

    async def ready(self) -> None:
        """Wait until it can be asked. Raises ParseError."""
        try:
            async with asyncio.timeout(STARTUP_TIMEOUT):
                said = await self._stdout.readline()
        except TimeoutError:
            said = b""
        if said != b"ready\n":
            raise ParseError("crash", f"the parser process did not start: {_in_words(await self.ended())}")

    async def ask(self, seconds: float, body: bytes, **request: str) -> tuple[str, bytes]:
        """Status and result, within `seconds`. Raises TimeoutError; EOFError, OSError or ValueError if it broke down."""
        line = json.dumps({**request, "size": len(body), "limit": int(seconds) + 2})
        async with asyncio.timeout(seconds):
            self._stdin.write(line.encode() + b"\n")
            self._stdin.write(body)
            await self._stdin.drain()
            head = json.loads(await self._stdout.readline() or b"null")
            if head is None:
                raise EOFError
            if head["size"] > MAX_ANSWER:
                raise ValueError(f"the parser's answer is {head['size']} bytes long")
            return head["status"], await self._stdout.readexactly(head["size"])

    async def ended(self) -> int:
        """The return code of a child that closed its end, negative for a signal; it is killed if it hangs on."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                return await self._process.wait()
        return await self.kill()

    def stop(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def kill(self) -> int:
        """End it at once; its return code."""
        self.stop()
        try:
            return await self._process.wait()
        finally:
            # Its pipes may not have noticed yet, and would want the loop when it is closed already.
            self._process._transport.close()  # type: ignore[attr-defined]


class ParserPool:
    """At most `fetch.parse_processes` parser processes, started when first needed; an async context manager."""

    def __init__(self, fetch: Fetch) -> None:
        self._timeout = fetch.parse_timeout
        self._memory = fetch.parse_memory
        self._slots = asyncio.Semaphore(fetch.parse_processes)
        self._idle: list[_Child] = []
        # All that may have a process, from before it is there: none may outlive the event loop, which would complain.
        self._starting: set[asyncio.Task[_Child]] = set()
        self._alive: set[_Child] = set()

    async def __aenter__(self) -> ParserPool:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Beside the idle ones those whose start or end was cancelled while it was awaited.
        self._idle.clear()
        await asyncio.gather(*self._starting, return_exceptions=True)
        while self._alive:
            await self._end(next(iter(self._alive)))

    async def _start(self) -> _Child:
        starting = asyncio.create_task(self._started())
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            child = await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(_stop)
            raise
        try:
            await child.ready()
        except BaseException:
            await self._end(child)
            raise
        return child

    async def _started(self) -> _Child:
        child = await _Child.start(self._memory)
        self._alive.add(child)
        return child

    async def _end(self, child: _Child) -> None:
        await child.kill()
        self._alive.discard(child)

    async def feed(self, body: bytes, content_type: str = "", url: str = "") -> ParsedFeed:
        """The feed in `body`; relative links are resolved against `url`. Raises ParseError of every kind."""
        answer = await self._ask(body, op="feed", content_type=content_type, url=url)
        return _read(_FEED, answer)

    async def page(self, body: bytes, content_type: str = "", title: str = "") -> ParsedPage:
        """The article on the HTML page in `body`, its text without a repeated `title`. Raises ParseError."""
        answer = await self._ask(body, op="page", content_type=content_type, title=title)
        return _read(_PAGE, answer)

    async def _ask(self, body: bytes, **request: str) -> bytes:
        async with self._slots:
            child = self._idle.pop() if self._idle else await self._start()
            try:
                if request["op"] == "page" and not child.reads_pages:
                    await child.ask(STARTUP_TIMEOUT, b"", op="load")
                    child.reads_pages = True
                status, answer = await child.ask(self._timeout, body, **request)
            except TimeoutError:
                await self._end(child)
                raise ParseError("deadline", f"parsing took longer than {self._timeout:g} s") from None
            except (EOFError, OSError, ValueError) as error:
                code = await child.ended()
                await self._end(child)
                if code == OUT_OF_MEMORY:
                    raise ParseError(
                        "memory", f"parsing took more than {self._memory / 1e6:,.0f} MB of memory"
                    ) from None
                raise ParseError("crash", f"the parser process broke down: {_in_words(code)}") from error
            except BaseException:
                await self._end(child)
                raise
            self._idle.append(child)
        if status != "ok":
            message = answer.decode("utf-8", "replace")
            raise ParseError(status, message if status == "not_a_feed" else f"the parser failed: {message}")
        return answer


def _stop(starting: asyncio.Task[_Child]) -> None:
    """Nobody waits for it any more."""
    if not starting.cancelled() and starting.exception() is None:
        starting.result().stop()


def _in_words(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _read(kind: TypeAdapter[_T], answer: bytes) -> _T:
    try:
        return kind.validate_json(answer)
    except ValidationError as error:
        raise ParseError("crash", f"the parser's answer is malformed: {error.errors()[0]['msg']}") from error
