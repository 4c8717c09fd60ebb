"""What tests of the worker share: articles to publish, and a look at what came of them on the topics and in the store."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ingest.broker import Broker, Outgoing, Record, open_broker
from ingest.dead import DeadLetter, list_dead
from ingest.incidents import KeeperStats, run_keeper
from ingest.records import Article, EventRecord, IncidentRecord, parse_event, parse_incident
from ingest.settings import Settings, Topics
from ingest.storage import EventFilter, Store
from ingest.worker import ArticleCoder, WorkerStats, run_worker
from tests.ingest.keyword_coder import SECONDS

PUBLISHED = datetime(2026, 11, 20, 12, tzinfo=UTC)


def article(number: int, text: str = "", revision: int = 1, title: str = "") -> Article:
    """One of many: each has two or three events, and no two the same text."""
    text = text or (
        f"Rebels killed {number + 1} in village {number}. The army shelled the road {number}.\n\n"
        f"The president {'met envoys' if number % 2 else 'spoke of the weather'} on day {number}."
    )
    return Article(
        article_id=f"article-{number:05}",
        revision=revision,
        feed=f"feed-{number % 7}",
        url=f"https://example.org/{number}",
        canonical_url=f"https://example.org/{number}",
        title=title or f"Report number {number}",
        text=text,
        language="en",
        published=PUBLISHED + timedelta(minutes=number),
        published_source="entry",
        fetched=PUBLISHED + timedelta(days=1),
        content_hash=hashlib.sha256(text.encode()).hexdigest(),
    )


def as_record(published: Article, topic: str = "articles") -> Outgoing:
    return Outgoing(topic, published.article_id.encode(), published.to_json())


@dataclass
class Pipeline:
    """A broker and a store, opened by `open`, with topics and a group of their own."""

    settings: Settings
    broker: Broker = field(init=False)
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.broker = open_broker(self.settings)
        topics = self.settings.topics
        every = (topics.articles, topics.events, topics.dead, topics.incidents)
        self.broker.ensure_topics(dict.fromkeys(every, topics.partitions))
        self.store = Store.open(self.settings.store_url)

    def close(self) -> None:
        self.store.close()
        self.broker.close()

    def publish(self, records: Iterable[Article | Outgoing]) -> None:
        producer = self.broker.producer()
        topic = self.settings.topics.articles
        producer.send([as_record(each, topic) if isinstance(each, Article) else each for each in records])
        producer.close()

    def work(self, coder: ArticleCoder, **options: object) -> WorkerStats:
        """One worker in this process until all is read."""
        return run_worker(self.broker, self.store, coder, self.settings, **({"once": True} | options))  # type: ignore[arg-type]

    def keep(self, **options: object) -> KeeperStats:
        """One keeper of incidents in this process until all is read."""
        return run_keeper(self.broker, self.store, self.settings, **({"once": True} | options))  # type: ignore[arg-type]

    def published(self, topic: str | None = None) -> list[Record]:
        """All of the topic, `events` unless another is named, as a read_committed reader gets it."""
        reader = self.broker.reader(topic or self.settings.topics.events, "earliest")
        try:
            found: list[Record] = []
            while not reader.at_end():
                found += reader.poll(500, 0.5)
            return found
        finally:
            reader.close()

    def events(self) -> list[EventRecord]:
        return [parse_event(record.value) for record in self.published()]

    def incidents(self) -> list[IncidentRecord]:
        """All of the topic `incidents`, after a proof that the store holds the same, each revision once and in order."""
        records = [parse_incident(record.value) for record in self.published(self.settings.topics.incidents)]
        revisions: dict[str, list[str]] = {}
        for record in records:
            revisions.setdefault(record.incident_id, []).append(record.to_json().decode())
        for incident_id, published in revisions.items():
            assert self.store.incident_revisions(incident_id) == published, (
                "a revision is lost, doubled or out of order"
            )
        current = list(self.store.incidents_at(datetime.max.replace(tzinfo=UTC)))
        assert {json.loads(each.record)["incident_id"] for each in current} == revisions.keys()
        assert all(each.record == revisions[json.loads(each.record)["incident_id"]][-1] for each in current)
        return records

    def stored_incidents(self) -> list[bytes]:
        """Every revision of every incident in the store, in the order in which they became known."""
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        return [each.record.encode() for each in self.store.incident_changes(first, last)]

    def stored(self) -> list[EventRecord]:
        return list(self.store.events(EventFilter(include_retracted=True)))

    def dead(self) -> list[DeadLetter]:
        return list(list_dead(self.broker, self.settings))

    def left(self) -> int:
        """Article records that the group has yet to read."""
        return sum(part.lag for part in self.broker.lag(self.settings.topics.articles, self.settings.group))

    def agreed(self) -> dict[str, EventRecord]:
        """The last revision of each event, after a proof that topic and store hold the same, each revision once."""
        last: dict[str, EventRecord] = {}
        for event in self.events():
            before = last.get(event.event_id)
            assert event.revision == (before.revision + 1 if before else 1), (
                "a revision is lost, doubled or out of order"
            )
            last[event.event_id] = event
        stored = self.stored()
        assert len(stored) == len(last)
        assert {event.event_id: event for event in stored} == last
        return last


def embedded_settings(folder: Path) -> Settings:
    """Embedded broker and SQLite in `folder`."""
    return Settings(data_dir=folder)


def server_settings(folder: Path, kafka: str, postgres_url: str) -> Settings:
    """Kafka and PostgreSQL, with topics and a group that no other test uses."""
    name = uuid.uuid4().hex[:8]
    return Settings.model_validate(
        {
            "data_dir": folder,
            "broker": f"kafka://{kafka}",
            "store": postgres_url,
            "group": f"coders-{name}",
            "incidents_group": f"incidents-{name}",
            "topics": Topics(
                articles=f"articles-{name}", events=f"events-{name}", dead=f"dead-{name}", incidents=f"incidents-{name}"
            ),
            # A killed worker's partitions and transaction are let go of as soon as Kafka allows.
            "kafka": {"session_timeout": 3.0, "transaction_timeout": 5.0, "max_poll_interval": 60.0},
        }
    )


def as_environment(settings: Settings) -> dict[str, str]:
    """The settings of a pipeline as a process finds them in its environment."""
    prefix = "CONFLICTWIRE_"
    named = {"DATA_DIR": str(settings.data_dir), "BROKER": settings.broker, "GROUP": settings.group}
    named["INCIDENTS_GROUP"] = settings.incidents_group
    named["STORE"] = settings.store.get_secret_value()
    for section in ("topics", "kafka"):
        given = getattr(settings, section).model_dump(mode="json", exclude_unset=True)
        named |= {f"{section}__{name}".upper(): str(value) for name, value in given.items()}
    return {prefix + name: value for name, value in named.items()}


class Workers:
    """`tests.ingest.driver` as a process, with what it writes."""

    def __init__(
        self,
        settings: Settings,
        count: int = 1,
        once: bool = False,
        seconds: float = 0.0,
        kill_after_apply: int = 0,
        root: Path = Path(__file__).parents[2],
    ) -> None:
        command = [sys.executable, "-m", "tests.ingest.driver", str(count), str(int(once)), str(kill_after_apply)]
        environment = {SECONDS: str(seconds), "PYTHONPATH": str(root), "CONFLICTWIRE_LOG": "json"}
        given = as_environment(settings)
        if not (root / "ingest" / "incidents.py").exists():
            # A version from before the keeper refuses settings that it does not know.
            given = {name: value for name, value in given.items() if "INCIDENTS" not in name}
        self.process = subprocess.Popen(
            command,
            cwd=root,
            env=os.environ | given | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.lines: list[str] = []
        self.log: list[str] = []
        self._news = threading.Condition()
        assert self.process.stdout
        assert self.process.stderr
        self._threads = [
            threading.Thread(target=self._read, args=(stream, into), daemon=True)
            for stream, into in ((self.process.stdout, self.lines), (self.process.stderr, self.log))
        ]
        for thread in self._threads:
            thread.start()

    def _read(self, stream: Iterable[bytes], into: list[str]) -> None:
        for line in stream:
            with self._news:
                into.append(line.decode().rstrip())
                self._news.notify_all()

    def wait_for(self, word: str, count: int = 1, timeout: float = 60.0) -> list[str]:
        """The lines that hold `word`, on stdout or in the log, once there are `count`."""
        with self._news:
            arrived = self._news.wait_for(lambda: len(self._with(word)) >= count, timeout)
            assert arrived, f"no {count} lines with {word!r}; log: {self.log[-20:]}"
            return self._with(word)

    def _with(self, word: str) -> list[str]:
        return [line for line in (*self.lines, *self.log) if word in line]

    def wait(self, timeout: float = 100.0) -> int:
        code = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(5)
        return code

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(how)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.wait()
