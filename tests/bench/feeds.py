"""Pulling many feeds: `python -m tests.bench.feeds [--feeds 10000]`.

A server on loopback has that many feeds, each under an address of its own in 127.0.0.0/8, with latencies of up to 300 ms, one
answer in fifty an error, and conditional GET. They are pulled in four cycles into the embedded log and SQLite: all new (its
articles are the real work), unchanged, one new entry a feed, unchanged again; one line a cycle, with the memory of the puller
and of its parser processes. The server is a process of its own and takes part of the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import platform
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from aiohttp import web

from ingest.broker import open_broker
from ingest.feeds.catalog import Feed
from ingest.feeds.pull import PullResult, pull_feeds
from ingest.settings import Fetch, Settings
from ingest.storage import Store
from tests.processes import family

ENTRIES = 20
ERRORS = ((0.01, 500), (0.02, 404))
LATENCY = 0.3
WORDS = (
    "police army protest minister talks border village convoy strike vote court rain market harvest school hospital river "
    "bridge troops leaders aid ceasefire budget festival match season league coach prices exports factory workers union"
).split()


def entry(feed: int, number: int) -> str:
    """One RSS item, the same for the same numbers."""
    # A draw a byte, as the server takes its part of the machine.
    drawn = [WORDS[each % len(WORDS)] for each in random.Random(feed * 1_000_003 + number).randbytes(8 * 14)]
    said = [" ".join(drawn[at : at + 14]).capitalize() + "." for at in range(0, len(drawn), 14)]
    when = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=number)
    return (
        f"<item><title>{said[0]}</title><link>http://news-{feed}.example/{number}</link><guid>{feed}-{number}</guid>"
        f"<pubDate>{when:%a, %d %b %Y %H:%M:%S} GMT</pubDate><description>{' '.join(said[1:])}</description></item>"
    )


def body(feed: int, edition: int) -> bytes:
    """The feed with its newest entries; each edition has one more."""
    items = "".join(entry(feed, number) for number in range(edition + ENTRIES - 1, edition - 1, -1))
    head = f'<rss version="2.0"><channel><title>Feed {feed}</title><link>http://news-{feed}.example/</link>'
    return f'<?xml version="1.0" encoding="utf-8"?>{head}{items}</channel></rss>'.encode()


def serve(port: multiprocessing.Queue[int], edition: object) -> None:
    """The server's process: /N is feed N in the edition in force."""

    async def answer(request: web.Request) -> web.Response:
        feed = int(request.match_info["feed"])
        now: int = edition.value  # type: ignore[attr-defined]
        chance = random.Random(feed)
        await asyncio.sleep(chance.random() * LATENCY)
        drawn = chance.random()
        for share, status in ERRORS:
            if drawn < share:
                return web.Response(status=status)
        tag = f'"{feed}-{now}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.Response(body=body(feed, now), content_type="application/rss+xml", headers={"ETag": tag})

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{feed:\\d+}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", 0, backlog=4096).start()
        port.put(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(run())


def memory() -> tuple[int, int]:
    """Resident MiB of this process and of its children but the server."""

    def resident(pid: int) -> int:
        try:
            return int(psutil.Process(pid).memory_info().rss) >> 20
        except psutil.NoSuchProcess:
            return 0

    servers = {process.pid for process in multiprocessing.active_children()}
    return resident(os.getpid()), sum(map(resident, family() - servers - {os.getpid()}))


def main() -> None:
    """Pull the cycles and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, default=10_000)
    count = parser.parse_args().feeds
    context = multiprocessing.get_context("spawn")
    port, edition = context.Queue(), context.Value("i", 0)
    server = context.Process(target=serve, args=(port, edition), daemon=True)
    server.start()
    at = port.get(timeout=60)
    feeds = [Feed(f"feed-{number}", f"http://{address(number)}:{at}/{number}") for number in range(count)]
    print(f"{count} feeds of {ENTRIES} entries, {platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        fetch = Fetch(allow_private=True, full_text=False, concurrency=200, host_gap=0)
        settings = Settings(data_dir=Path(folder), fetch=fetch)
        with closing(Store.open(settings.store_url)) as store, closing(open_broker(settings)) as broker:
            broker.ensure_topics({settings.topics.articles: 1})
            with closing(broker.producer()) as producer:
                for number, what in enumerate(("new", "unchanged", "one new entry", "unchanged")):
                    edition.value = number // 2
                    started = time.perf_counter()
                    now = datetime(2026, 11, 21 + number, tzinfo=UTC)
                    results = asyncio.run(pull_feeds(feeds, store, producer, settings, now=now, force=True))
                    report(what, results, time.perf_counter() - started)
    server.terminate()


def address(number: int) -> str:
    """The feed's own host."""
    return f"127.{1 + number // 62_500}.{number // 250 % 250}.{1 + number % 250}"


def report(what: str, results: Sequence[PullResult], seconds: float) -> None:
    """A line on one cycle."""
    told = Counter(result.status for result in results)
    shown = ", ".join(f"{told[status]} {status}" for status in ("ok", "unchanged", "failed"))
    own, parsers = memory()
    print(f"{what:14}{seconds:7.1f} s {len(results) / seconds:6.0f} feeds/s", end="")
    print(
        f"{sum(result.new for result in results):8} new articles; {shown}; {own} MiB and {parsers} of parsers",
        flush=True,
    )


if __name__ == "__main__":
    main()
