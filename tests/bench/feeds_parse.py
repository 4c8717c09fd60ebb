"""Speed of reading feeds: the pool of parser processes against plain feedparser, both in one run.

`python -m tests.bench.feeds_parse [FOLDER]`: 200 feeds made of those in FOLDER and of the bundled samples, by turning their
entries round and giving each a number, so that none is like another. Plain: `feedparser.parse`, as its manual has it, in
one process. Ours: `ParserPool`, with its start counted apart, to the records that the puller gets.
"""

from __future__ import annotations

import asyncio
import io
import os
import platform
import re
import statistics
import sys
import time
from pathlib import Path

import feedparser

from ingest.feeds.parse import ParserPool
from ingest.settings import Fetch

FEEDS = 200
ROUNDS = 5
SAMPLES = Path(__file__).resolve().parents[1] / "feeds"
_ENTRY = re.compile(r"<(item|entry)[\s>].*?</\1>", re.S)
_TITLE = re.compile(r"(<title[^<>]*>(?:<!\[CDATA\[)?)")


def varied(feed: str, number: int) -> bytes:
    """`feed` with its entries turned round by `number`, and `number` in their titles."""
    found = list(_ENTRY.finditer(feed))
    entries = [_TITLE.sub(rf"\g<1>{number}: ", each[0], count=1) for each in found]
    turned = entries[number % len(entries) :] + entries[: number % len(entries)]
    return (feed[: found[0].start()] + "\n".join(turned) + feed[found[-1].end() :]).encode()


def feeds(folders: list[Path]) -> list[bytes]:
    """FEEDS bodies out of the feeds in `folders`."""
    files = sorted(path for each in folders for path in each.iterdir() if path.suffix in (".xml", ".rdf", ".atom"))
    texts = [path.read_bytes().decode("utf-8", "replace") for path in files]
    return [varied(texts[number % len(texts)], number) for number in range(FEEDS)]


def plain(bodies: list[bytes]) -> tuple[float, int]:
    """Seconds, and entries found."""
    started = time.perf_counter()
    found = sum(len(feedparser.parse(io.BytesIO(body)).entries) for body in bodies)
    return time.perf_counter() - started, found


async def pooled(bodies: list[bytes], processes: int) -> tuple[float, float, int]:
    """Seconds to start, seconds, and entries found."""
    async with ParserPool(Fetch(parse_processes=processes)) as pool:
        started = time.perf_counter()
        await asyncio.gather(*(pool.feed(bodies[0]) for _ in range(processes)))
        ready = time.perf_counter()
        parsed = await asyncio.gather(*(pool.feed(body, "application/xml", "https://example.org/") for body in bodies))
        return ready - started, time.perf_counter() - ready, sum(len(each.entries) for each in parsed)


def main() -> None:
    """Print both sides: medians over ROUNDS, the sides in turns, since shared machines drift; and each round's ratio."""
    bodies = feeds([SAMPLES, *map(Path, sys.argv[1:])])
    size = sum(map(len, bodies))
    print(
        f"{len(bodies)} feeds, {size / len(bodies) / 1e3:.1f} kB on average; {os.cpu_count()} cores, {platform.machine()}"
    )
    rounds = [(plain(bodies), asyncio.run(pooled(bodies, 1)), asyncio.run(pooled(bodies, 2))) for _ in range(ROUNDS)]
    seconds = statistics.median(each[0][0] for each in rounds)
    print(f"plain feedparser      {seconds:6.2f} s {len(bodies) / seconds:6.0f} feeds/s, {rounds[0][0][1]} entries")
    for name, ours in (("one process", [each[1] for each in rounds]), ("two processes", [each[2] for each in rounds])):
        start = statistics.median(each[0] for each in ours)
        seconds = statistics.median(each[1] for each in ours)
        ratios = sorted(each[0][0] / own[1] for each, own in zip(rounds, ours, strict=True))
        print(
            f"pool of {name:13} {seconds:6.2f} s {len(bodies) / seconds:6.0f} feeds/s, {ours[0][2]} entries, "
            f"{statistics.median(ratios):.2f} times plain ({ratios[0]:.2f} to {ratios[-1]:.2f}); started in {start:.2f} s"
        )


if __name__ == "__main__":
    main()
