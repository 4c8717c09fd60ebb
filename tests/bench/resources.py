"""What a worker and a puller take of a machine: `python -m tests.bench.resources [ARTICLES]`.

Each is a process of its own, as in a container: a worker that codes ARTICLES articles (default 400) of the development split
with the shipped weights from the embedded broker, once with each profile, and a puller that reads the sample feeds. Every half
second it is looked at: memory (proportional set size of the process and its children, so that shared pages count once, as in a
cgroup) and processor time. The requests and limits of deploy/kubernetes and of docs/operations.md come from here.

Memory does not depend on what else the machine does; articles/s do, processor seconds an article hardly.
"""

from __future__ import annotations

import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest.broker import Outgoing, open_broker
from ingest.records import Article
from ingest.settings import Settings
from models.corpus.reading import read
from models.training.data import development_files
from tests.bench.coder import articles
from tests.feeds.serve import SampleServer
from tests.processes import family

EVERY = 0.5
SAMPLE_ARTICLES = 103  # of the sample feeds


@dataclass(frozen=True)
class Taken:
    """Memory in MiB over the run, times in seconds."""

    typical: float
    peak: float
    processor: float
    wall: float


def memory(pid: int) -> float:
    """Proportional set size in MiB; 0 for a process that has just gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024


def watch(command: Sequence[str], environment: Mapping[str, str]) -> Taken:
    """Run it to its end."""
    began, before = time.perf_counter(), os.times()
    seen: list[float] = []
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=errors)
        while process.poll() is None:
            seen.append(sum(map(memory, family(process.pid))))
            time.sleep(EVERY)
        if process.returncode:
            errors.seek(0)
            sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{errors.read()[-2000:].decode()}")
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return Taken(statistics.median(seen), max(seen), spent, time.perf_counter() - began)


def publish(settings: Settings, texts: Sequence[str]) -> None:
    """The texts as articles in the embedded broker."""
    now = datetime.now(UTC)
    broker = open_broker(settings)
    broker.ensure_topics({settings.topics.articles: 6, settings.topics.events: 6, settings.topics.dead: 6})
    records = []
    for number, text in enumerate(texts):
        record = Article(
            article_id=f"bench-{number:06}",
            revision=1,
            feed="bench",
            url=f"https://example.org/{number}",
            canonical_url=f"https://example.org/{number}",
            title="",
            text=text,
            language="en",
            published=now,
            published_source="entry",
            fetched=now,
            content_hash=f"{number:064}",
        )
        records.append(Outgoing(settings.topics.articles, record.article_id.encode(), record.to_json()))
    producer = broker.producer()
    producer.send(records)
    producer.close()
    broker.close()


def news(count: int) -> list[str]:
    """Articles of 25 sentences as tests.bench.coder makes them of general news, the sentences drawn anew for each round."""
    records = read(development_files())
    nulls = [record["text"] for record in records if not record["events"]]
    active = [record["text"] for record in records if record["events"]]
    general = nulls + active[: len(nulls) // 9]
    chance, texts = random.Random(1), []
    while len(texts) < count:
        chance.shuffle(general)
        texts += [article.text for article in articles(general)]
    return texts[:count]


def row(name: str, taken: Taken, count: int) -> None:
    """A line of the table."""
    print(
        f"{name:18}{taken.typical:14.0f}{taken.peak:12.0f}{taken.processor / count:16.3f}"
        f"{count / taken.wall:14.1f}{taken.wall:10.1f}",
        flush=True,
    )


def main() -> None:
    """Print a table to stdout."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    program = str(Path(sys.executable).with_name("conflictwire"))
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    columns = f"{'median MiB':>14}{'peak MiB':>12}{'CPU s/article':>16}{'articles/s':>14}{'seconds':>10}"
    print(f"{'process':18}{columns}", flush=True)
    texts = news(count)
    for profile in ("accurate", "fast"):
        with tempfile.TemporaryDirectory() as folder:
            publish(Settings(data_dir=Path(folder)), texts)
            environment = {"CONFLICTWIRE_DATA_DIR": folder, "CONFLICTWIRE_PROFILE": profile}
            row(f"worker, {profile}", watch([program, "worker", "--once"], environment), count)
    with tempfile.TemporaryDirectory() as folder, SampleServer() as server:
        environment = {
            "CONFLICTWIRE_DATA_DIR": folder,
            "CONFLICTWIRE_FEEDS": str(server.catalog_path),
            "CONFLICTWIRE_FETCH__ALLOW_PRIVATE": "true",
        }
        taken = watch([program, "pull", "--once", "--force"], environment)
        row("puller", taken, SAMPLE_ARTICLES)


if __name__ == "__main__":
    main()
