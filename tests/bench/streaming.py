"""From topic to store: `python -m tests.bench.streaming [--broker kafka|embedded] [--coder off|fast|accurate] ...`.

Articles are published to a topic, and then as many workers as asked for, processes as `conflictwire worker` starts them,
read, code, store and publish in their transactions until all is read. With `--coder off` each article has `--events`
events, made beforehand and as large as the coder's, so that the plumbing alone is measured; otherwise the texts are general
news as in `tests.bench.coder`, 25 sentences each. Articles a second are counted from the end of the first batch to the end
of the last. Latency is from an article's publication to the arrival of its event at a reader of the topic (read_committed),
at `--rate` articles a second. `--stored N` measures it all on an empty store and then on one of N events, which shows
whether the cost of an article grows. Kafka and PostgreSQL (which syncs to disk) are real ones on this machine and
take their share of its cores.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingest.broker import open_broker
from ingest.processes import load_coder, run_workers
from ingest.records import Article, parse_event
from ingest.settings import Settings
from ingest.storage import Store
from ingest.worker import ArticleCoder, Batch
from models.events import Event, ModelInfo
from tests.bench import storage
from tests.bench.coder import articles as as_articles
from tests.bench.coder import sentences_by_kind
from tests.ingest.pipeline import as_record, embedded_settings, server_settings
from tests.servers.kafka import KafkaServer, require_kafka
from tests.servers.postgres import PostgresCluster, require_binaries

LOG, EVENTS = "STREAMING_BENCH_LOG", "STREAMING_BENCH_EVENTS"


class Off:
    """Coding switched off: the events are made beforehand."""

    model = ModelInfo("off", "1")

    def __init__(self) -> None:
        random_ = random.Random(3)
        countries = random_.choices(storage.COUNTRIES, storage.WEIGHTS, k=500)
        words = ("shelled", "attacked", "bombed", "raided")[: int(os.environ[EVENTS])]
        made = [[storage.event(random_, word, each, "ASSAULT") for word in words] for each in countries]
        self._events = itertools.cycle(made)

    def code_many(self, articles: Iterable[Article], *, min_confidence: float | None = None) -> Iterator[list[Event]]:
        return (next(self._events) for _ in articles)

    def code(self, text: str, title: str | None = None, **_: object) -> list[Event]:
        return next(self._events)


def load_off(settings: Settings, workers: int) -> ArticleCoder:
    return Off()


def note(batch: Batch) -> None:
    """A line for each batch of each worker: when it ended, articles, events, and the seconds of each step."""
    told = [time.time(), len(batch.articles), len(batch.events)]
    told += [batch.coding_seconds, batch.store_seconds, batch.publish_seconds]
    with Path(os.environ[LOG]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(told) + "\n")


@dataclass(frozen=True)
class Places:
    """Where the servers are; for the embedded parts, nowhere."""

    kafka: str | None
    postgres: PostgresCluster | None

    @contextmanager
    def settings(self, store: str | None = None) -> Iterator[Settings]:
        """Topics, a group and, unless one is given, a store of their own."""
        with tempfile.TemporaryDirectory() as folder:
            if self.kafka is None or self.postgres is None:
                made = embedded_settings(Path(folder))
                yield made.model_copy(update={"store": type(made.store)(store)}) if store else made
                return
            database = None if store else self.postgres.create_database()
            yield server_settings(Path(folder), self.kafka, store or self.postgres.url(database))


def articles(coder: str, number: int, first: int) -> list[Article]:
    """`number` articles; of about 2,200 characters with the coder off, else general news, the same over and over."""
    now = datetime.now(UTC)
    plain = (storage.article(first + each, 1, now, feed=f"feed-{each % 97}") for each in range(number))
    if coder == "off":
        return list(plain)
    texts = itertools.cycle(each.text for each in as_articles(sentences_by_kind()["general news"]))
    return [each.model_copy(update={"title": "", "text": text}) for each, text in zip(plain, texts, strict=False)]


def publish(settings: Settings, some: list[Article]) -> float:
    """Into the topic; articles a second."""
    broker = open_broker(settings)
    try:
        topics = settings.topics
        broker.ensure_topics(dict.fromkeys((topics.articles, topics.events, topics.dead), topics.partitions))
        producer = broker.producer()
        began = time.perf_counter()
        for at in range(0, len(some), 500):
            producer.send([as_record(each, topics.articles) for each in some[at : at + 500]])
        producer.close()
        return len(some) / (time.perf_counter() - began)
    finally:
        broker.close()


def carried(settings: Settings, coder: str, workers: int, number: int, first: int) -> dict[str, float]:
    """Articles and events a second, and what an article costs in each step (milliseconds of one worker)."""
    published = publish(settings, articles(coder, number, first))
    with tempfile.NamedTemporaryFile() as log:
        os.environ[LOG] = log.name
        chosen = settings.model_copy(update={"profile": coder if coder != "off" else "fast"})
        code = run_workers(workers, chosen, once=True, load=load_off if coder == "off" else load_coder, on_batch=note)
        lines = sorted(json.loads(line) for line in Path(log.name).read_text(encoding="utf-8").splitlines())
    done = sum(line[1] for line in lines)
    if code or done != number:
        raise SystemExit(f"{done} of {number} articles were coded; the workers ended with {code}")
    seconds = lines[-1][0] - lines[0][0]
    after_first = sum(line[1] for line in lines[1:])
    steps = {
        name: 1000 * sum(line[at] for line in lines) / number
        for name, at in (("code", 3), ("store", 4), ("publish", 5))
    }
    return {
        "published_articles_a_second": published,
        "articles_a_second": after_first / seconds,
        "events_a_second": sum(line[2] for line in lines[1:]) / seconds,
        **{f"{name}_ms_an_article": value for name, value in steps.items()},
    }


def latency(settings: Settings, coder: str, workers: int, rate: float, seconds: float, first: int) -> dict[str, float]:
    """From an article's publication to its first event at a reader (milliseconds), while `rate` articles a second come."""
    some = articles(coder, int(rate * seconds), first)
    publish(settings, articles(coder, 20, first + 10**6))
    sent: dict[str, float] = {}
    arrived: dict[str, float] = {}
    over = threading.Event()
    broker = open_broker(settings)
    reader = broker.reader(settings.topics.events, "latest")

    def read() -> None:
        while not over.is_set():
            for record in reader.poll(500, 0.2):
                arrived.setdefault(parse_event(record.value).article.article_id, time.perf_counter())

    def feed() -> None:
        producer = broker.producer()
        deadline = time.monotonic() + 120
        while not arrived and time.monotonic() < deadline:  # the workers load their weights and join
            time.sleep(0.2)
        begin = time.perf_counter()
        for place, each in enumerate(some):
            time.sleep(max(0.0, begin + place / rate - time.perf_counter()))
            sent[each.article_id] = time.perf_counter()
            producer.send([as_record(each, settings.topics.articles)])
        producer.close()
        time.sleep(5)
        os.kill(os.getpid(), 15)

    threads = [threading.Thread(target=each) for each in (read, feed)]
    for thread in threads:
        thread.start()
    os.environ[LOG] = os.devnull
    chosen = settings.model_copy(update={"profile": coder if coder != "off" else "fast"})
    run_workers(workers, chosen, load=load_off if coder == "off" else load_coder, on_batch=note)
    over.set()
    for thread in threads:
        thread.join()
    reader.close()
    broker.close()
    waited = sorted(1000 * (arrived[each] - sent[each]) for each in sent if each in arrived)
    if len(waited) < 2:
        raise SystemExit("no event arrived")
    centiles = statistics.quantiles(waited, n=100)
    return {"articles": len(some), "with_events": len(waited), "p50_ms": centiles[49], "p99_ms": centiles[98]}


@contextmanager
def places(broker: str) -> Iterator[Places]:
    """Kafka and PostgreSQL of this run, or none of them."""
    with ExitStack() as stack:
        if broker == "embedded":
            yield Places(None, None)
            return
        require_kafka()
        kafka = KafkaServer()
        stack.callback(kafka.close)
        kafka.start()
        postgres = PostgresCluster(require_binaries(), durable=True)
        postgres._options |= storage.POSTGRES
        stack.callback(postgres.remove)
        postgres.start()
        yield Places(kafka.bootstrap, postgres)


def main() -> None:
    """Measure, and print what came of it, a line of JSON a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", choices=["kafka", "embedded"], default="kafka", help="and PostgreSQL or SQLite")
    parser.add_argument("--coder", choices=["off", "fast", "accurate"], default="off")
    parser.add_argument("--events", type=int, choices=range(1, 5), default=1, help="of an article, with the coder off")
    parser.add_argument("--articles", type=int, default=60_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=float, default=100.0, help="articles a second, for the latency")
    parser.add_argument("--seconds", type=float, default=30.0, help="of that")
    parser.add_argument("--stored", type=int, default=0, help="events in the store, the second time")
    chosen = parser.parse_args()
    os.environ[EVENTS] = str(chosen.events)
    with places(chosen.broker) as servers:
        for stored in [0, chosen.stored] if chosen.stored else [0]:
            with servers.settings() as settings:
                if stored:
                    store = Store.open(settings.store_url)
                    storage.fill(store, stored)
                    store.close()
                told = {"broker": chosen.broker, "coder": chosen.coder, "workers": chosen.workers, "stored": stored}
                told |= {"events": chosen.events} if chosen.coder == "off" else {}
                found = carried(settings, chosen.coder, chosen.workers, chosen.articles, 10**13)
                print(json.dumps(told | {name: round(value, 3) for name, value in found.items()}), flush=True)
                with servers.settings(settings.store_url) as again:
                    found = latency(again, chosen.coder, chosen.workers, chosen.rate, chosen.seconds, 2 * 10**13)
                print(json.dumps(told | {"rate": chosen.rate} | {n: round(v, 1) for n, v in found.items()}), flush=True)


if __name__ == "__main__":
    main()
