"""What `conflictwire doctor` looks at: settings, broker, store, model, feeds, and whether store and topic agree.

Looks only: nothing is published, coded or pulled. Opening the store brings its tables up to date, as every command does.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zlib import crc32

from ingest.errors import BrokerRejected, RecordError, ServerUnreachable, TopicMissing
from ingest.metrics import FAILING
from ingest.records import parse_event
from models.errors import ConflictwireError

if TYPE_CHECKING:
    from ingest.broker import Broker, Reader, Record
    from ingest.records import EventRecord
    from ingest.settings import Settings
    from ingest.storage import Store

_LOW_DISK = 500_000_000
# Of larger stores a sample by event id is compared: this many revisions are held in memory.
_COMPARED = 200_000
# Seconds by which our clock and the database server's may differ: with both we compare times of events.
_SKEW = 5.0
# How long after an incident has changed a notifier must have looked; it may note so up to a minute late.
_NOTIFIED = timedelta(minutes=3)
_SENTENCE = "Rebels shelled the town of Goma on Friday, killing at least 12 civilians, officials said."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` says what to do; `unreachable` that a server did not answer."""

    what: str
    status: Literal["ok", "warn", "fail"]
    says: str
    advice: str = ""
    unreachable: bool = False


def examine(load: Callable[[], Settings], *, full: bool = False) -> Iterator[Finding]:
    """Every finding, as soon as it is there. `load` gives the settings or raises SettingsError.

    With `full` every event is compared, however many there are.
    """
    from ingest.broker import open_broker
    from ingest.storage import Store

    try:
        settings = load()
    except ConflictwireError as error:
        yield Finding("settings", "fail", str(error), "correct it; docs/settings.md explains every setting")
        return
    yield from _settings(settings)
    yield from _model(settings)
    broker: Broker | None = None
    store: Store | None = None
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        try:
            store = Store.open(settings.store_url)
            yield from _store(store)
        except (ConflictwireError, OSError) as error:
            yield _failed("store", error, "start the database, or correct `store` in the settings")
        yield from _feeds(settings, store)
        if store is not None:
            try:
                yield from _alerts(settings, store)
            except ConflictwireError as error:
                yield _failed("alerts", error, "see the findings above")
        try:
            broker = open_broker(settings)
            missing = yield from _broker(broker, settings)
        except (ConflictwireError, OSError) as error:
            yield _failed("broker", error, "start the broker, or correct `broker` in the settings")
            return
        if store is not None and not missing:
            try:
                yield agreement(broker, store, settings, full=full)
            except ConflictwireError as error:
                yield _failed("agreement", error, "see the findings above")
    finally:
        if broker is not None:
            broker.close()
        if store is not None:
            store.close()


def _failed(what: str, error: Exception, advice: str) -> Finding:
    return Finding(what, "fail", str(error), advice, isinstance(error, ServerUnreachable))


def _settings(settings: Settings) -> Iterator[Finding]:
    from ingest.settings import CONFIG_FILE, describe_url

    file = Path(os.environ.get("CONFLICTWIRE_CONFIG", CONFIG_FILE))
    source = f"{file} and environment" if file.exists() else "defaults and environment"
    yield Finding("settings", "ok", f"{source}; broker {describe_url(settings.broker)}")
    folder = settings.data_dir
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if not os.access(existing, os.W_OK):
        yield Finding("data", "fail", f"{folder} cannot be written", "correct its rights, or set another data_dir")
    elif free < _LOW_DISK:
        yield Finding("data", "warn", f"{folder}: {free / 1e6:,.0f} MB free", "make room, or set another data_dir")
    else:
        yield Finding("data", "ok", f"{folder}: {free / 1e9:,.1f} GB free")


def model_version(path: Path | None = None) -> str:
    """Name and version of the weights in `path`, or of the shipped ones, without loading them."""
    import models

    folder = path or Path(models.__file__).parent / "weights"
    file = folder / "config.json"
    if not file.exists():
        file = folder / "accurate" / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        return f"{config['name']} {config['version']}"
    except (OSError, ValueError, KeyError):
        return f"none in {file.parent}"


def _model(settings: Settings) -> Iterator[Finding]:
    from models import Coder

    try:
        coder = Coder.load(settings.model, profile=settings.profile)
        events = coder.code(_SENTENCE)
    except ConflictwireError as error:
        yield Finding("model", "fail", str(error), "install the package again, or correct `model` in the settings")
        return
    name = f"{coder.model.name} {coder.model.version}"
    if events:
        yield Finding("model", "ok", f"{name}: finds {', '.join(event.type for event in events)} in a test sentence")
    else:
        yield Finding(
            "model", "warn", f"{name}: finds nothing in {_SENTENCE!r}", "evaluate it: `conflictwire evaluate`"
        )


def _store(store: Store) -> Iterator[Finding]:
    check, counts = store.check(), store.counts()
    held = f"{counts.articles} articles, {counts.events} events"
    yield Finding("store", "ok", f"{check.database} {check.version}, schema {check.schema}, {check.url}: {held}")
    if check.clock is not None:
        yield skew((check.clock - datetime.now(UTC)).total_seconds())
    if check.journal_mode not in (None, "wal"):
        yield Finding(
            "store",
            "warn",
            f"journal mode {check.journal_mode}: readers and writers wait for each other",
            "put the database on a local disk, where SQLite can use WAL",
        )


def skew(seconds: float) -> Finding:
    """Whether the database's clock, so many seconds ahead of ours, is near enough."""
    if abs(seconds) > _SKEW:
        says = f"the database's clock is {abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} ours"
        return Finding(
            "clock", "warn", says, "set both by NTP: what was known when, and when feeds are due, depends on them"
        )
    return Finding("clock", "ok", f"within {_SKEW:.0f} s of the database's")


def _feeds(settings: Settings, store: Store | None) -> Iterator[Finding]:
    from ingest.feeds.catalog import catalog_in_force

    try:
        feeds = [feed for feed in catalog_in_force(settings) if feed.enabled]
    except ConflictwireError as error:
        yield Finding("feeds", "fail", str(error), "correct the catalogue; `conflictwire feeds list` reads it")
        return
    if not feeds:
        yield Finding("feeds", "warn", "no feed is enabled", "conflictwire feeds add URL")
        return
    states = store.feed_states() if store is not None else {}
    known = [states[feed.name] for feed in feeds if feed.name in states]
    failing = [state.name for state in known if state.disabled or state.failures >= FAILING]
    if failing:
        shown = ", ".join(failing[:5]) + (f" and {len(failing) - 5} more" if len(failing) > 5 else "")
        yield Finding(
            "feeds", "warn", f"{len(failing)} of {len(feeds)} do not work: {shown}", "conflictwire feeds check"
        )
    else:
        yield Finding("feeds", "ok", f"{len(feeds)} enabled, {len(known)} read so far, none failing")


def _alerts(settings: Settings, store: Store) -> Iterator[Finding]:
    alerts = store.alerts.all()
    if not alerts:
        return
    if any(alert.channel == "email" and not alert.paused for alert in alerts):
        from ingest.alerts.mail import connect

        smtp = settings.smtp
        try:
            if smtp.host is None:
                advice = "set smtp.host where `conflictwire notify` runs; docs/alerts.md explains it"
                yield Finding("mail", "warn", "no mail server is set here, so none was tried", advice)
            else:
                connect(smtp).close()
                yield Finding("mail", "ok", f"{smtp.host}:{smtp.port} answers and lets us in")
        except (ConflictwireError, OSError) as error:
            yield _failed("mail", error, "correct `smtp` in the settings; docs/alerts.md explains it")
    now = datetime.now(UTC)
    behind = store.settled(now - _NOTIFIED)
    waiting = {each.alert_id: each for each in store.alerts.waiting()}
    troubles = 0
    for alert in alerts:
        found = waiting.get(alert.alert_id)
        advice = f"conflictwire alerts show {alert.name}"
        if alert.paused:
            yield Finding(
                "alerts", "warn", f"{alert.name} is paused: {alert.paused}", f"conflictwire alerts resume {alert.name}"
            )
        elif found and found.error:
            yield Finding("alerts", "warn", f"{alert.name}: {found.number} messages wait: {found.error}", advice)
        elif (alert.due is None or alert.due < now - _NOTIFIED) and _unseen(store, alert.position, behind):
            says = f"{alert.name}: nobody looks at what has become known since {alert.position:%Y-%m-%d %H:%M} UTC"
            yield Finding("alerts", "warn", says, "start `conflictwire notify`, or `conflictwire run`")
        else:
            continue
        troubles += 1
    if not troubles:
        yield Finding("alerts", "ok", f"{len(alerts)}, none failing")


def _unseen(store: Store, position: datetime, until: datetime) -> bool:
    """Whether an incident has changed between the two times."""
    with closing(store.incident_changes(position, until)) as changes:
        return next(changes, None) is not None


def _broker(broker: Broker, settings: Settings) -> Generator[Finding, None, bool]:
    """Returns whether topics are missing."""
    topics = settings.topics
    try:
        waiting = sum(part.lag for part in broker.lag(topics.articles, settings.group))
        # A group of no one has read nothing, so its lag is all there is.
        letters = sum(part.lag for part in broker.lag(topics.dead, "conflictwire-doctor"))
        published = sum(part.lag for part in broker.lag(topics.events, "conflictwire-doctor"))
    except TopicMissing as error:
        yield Finding("broker", "warn", str(error), "`conflictwire run`, `pull` and `worker` create the topics")
        return True
    except BrokerRejected as error:
        yield Finding("broker", "fail", str(error), "correct user and password, or give this user the rights it needs")
        return True
    yield Finding("broker", "ok", f"answers; about {published} records in {topics.events}")
    if waiting:
        advice = "start `conflictwire worker`; if one runs, it is behind: add --workers"
        yield Finding("lag", "warn", f"{waiting} articles wait for group {settings.group}", advice)
    else:
        yield Finding("lag", "ok", f"group {settings.group} has read every article")
    if letters:
        yield Finding("dead", "warn", f"{letters} dead letters", "conflictwire dead list, then dead replay")
    else:
        yield Finding("dead", "ok", "no dead letters")
    return False


# --- do store and topic agree? ---


@dataclass(slots=True)
class Published:
    """What lies on the topic of events: the last revision of each event (a sample), and what is wrong in itself.

    `complete_since`: no record published after that has been dropped by retention.
    """

    revisions: dict[str, int] = field(default_factory=dict)
    doubled: set[str] = field(default_factory=set)
    unordered: set[str] = field(default_factory=set)
    unreadable: int = 0
    compared: int = 0
    complete_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Events by how store and topic differ about them."""

    not_stored: int
    not_published: int


def published_events(records: Iterable[Record], sampled: Callable[[str], bool]) -> Published:
    """Read all of the topic."""
    found = Published()
    partitions: set[int] = set()
    for record in records:
        if record.partition not in partitions:
            partitions.add(record.partition)
            if record.offset > 0:
                since = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                found.complete_since = max(found.complete_since or since, since)
        try:
            event = parse_event(record.value)
        except RecordError:
            found.unreadable += 1
            continue
        if not sampled(event.event_id):
            continue
        before = found.revisions.get(event.event_id)
        if before is not None and event.revision == before:
            found.doubled.add(event.event_id)
        elif before is not None and event.revision < before:
            found.unordered.add(event.event_id)
        found.revisions[event.event_id] = max(event.revision, before or 0)
    return found


def compare(published: Published, stored: Iterable[EventRecord], until: datetime) -> Difference:
    """Compare the topic, read from `until` on, with the current revisions of the store, read after it.

    What was coded after `until`, or so early that retention may have dropped it from the topic, is left out.
    """
    rest = dict(published.revisions)
    not_published = 0
    for event in stored:
        on_topic = rest.pop(event.event_id, 0)
        dropped = published.complete_since is not None and event.coded <= published.complete_since
        if event.revision < on_topic:
            rest[event.event_id] = on_topic
        elif event.revision > on_topic and event.coded < until and not dropped:
            not_published += 1
    return Difference(not_stored=len(rest), not_published=not_published)


def agreement(broker: Broker, store: Store, settings: Settings, *, full: bool = False) -> Finding:
    """Whether each event revision is once in the store and once on the topic, events compared one by one.

    Of more revisions than fit into memory a sample by event id is compared, or with `full` one such part after the
    other, the topic and the store being read once for each.
    """
    counts = store.counts()
    every = max(1, -(-counts.revisions // _COMPARED))
    found, difference = Published(), Difference(0, 0)
    for part in range(every if full else 1):
        published, part_difference = _compare_part(broker, store, settings, every, part)
        difference = Difference(
            difference.not_stored + part_difference.not_stored,
            difference.not_published + part_difference.not_published,
        )
        found.compared += len(published.revisions)
        found.doubled |= published.doubled
        found.unordered |= published.unordered
        found.unreadable = published.unreadable  # each part has read them all
    waiting = sum(part.lag for part in broker.lag(settings.topics.articles, settings.group))
    return judge(found, difference, waiting, 1 if full else every)


def _compare_part(
    broker: Broker, store: Store, settings: Settings, every: int, part: int
) -> tuple[Published, Difference]:
    from ingest.storage import EventFilter

    def sampled(event_id: str) -> bool:
        return crc32(event_id.encode()) % every == part

    until = datetime.now(UTC)
    with closing(broker.reader(settings.topics.events, "earliest")) as reader:
        published = published_events(_records(reader), sampled)
    stored = (event for event in store.events(EventFilter(include_retracted=True)) if sampled(event.event_id))
    return published, compare(published, stored, until)


def _records(reader: Reader) -> Iterator[Record]:
    while True:
        yield from reader.poll(500, 0.5)
        if reader.at_end():
            return


def judge(published: Published, difference: Difference, waiting: int, every: int) -> Finding:
    """The finding; `waiting` are the articles not yet read, one in `every` events was looked at."""
    wrong = {
        "published twice": len(published.doubled),
        "published out of order": len(published.unordered),
        "on the topic and not in the store": difference.not_stored,
        "records that are no events": published.unreadable,
        "in the store and not on the topic": 0 if waiting else difference.not_published,
    }
    share = f", one in {every} compared" if every > 1 else ""
    found = [f"{number} {what}" for what, number in wrong.items() if number]
    if found:
        advice = "do broker and store belong together? `conflictwire recode` codes what is stored again"
        return Finding("agreement", "fail", f"events: {'; '.join(found)}{share}", advice)
    if difference.not_published:
        says = f"{difference.not_published} event revisions are stored and not published yet"
        return Finding("agreement", "warn", says, "a worker publishes them as it goes on: `conflictwire worker`")
    return Finding("agreement", "ok", f"store and topic hold the same {published.compared} events{share}")
