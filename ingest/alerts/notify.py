"""The notifier: incidents that have changed in, messages out, each at least once and under an id of its own.

    look (filter, news) ─► told, deliveries, position (one transaction) ─► claim ─► send ─► outcome

Any number may work on a store. What is looked at moves on by comparison with where it was, and who sends a message claims it
before: killed in between, the message is sent again under the same id once the claim has run out.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from ingest import metrics
from ingest.alerts.decide import Outcome, answered, is_gone, news, next_attempt, next_look, payload
from ingest.alerts.mail import MailFailed, MailRefused, message, send
from ingest.alerts.recall import shown
from ingest.alerts.webhook import Hook, post, shown_url
from ingest.alerts.words import Shown, cut
from ingest.errors import FetchError, ServerUnreachable
from ingest.processes import open_store, stopping
from ingest.records import IncidentRecord, format_time, parse_incident
from ingest.settings import Settings
from ingest.storage import Alert, Delivery, Item, Store, Told
from ingest.storage.alerts import Result
from ingest.worker import Retry, chance
from models.errors import ConflictwireError

log = logging.getLogger(__name__)

_T = TypeVar("_T")

MESSAGE, TEST = "msg_", "test_"
"""How ids begin, those of tests too."""
MOST = 50
"""Incidents in a digest or a mail, at most; how many more there are is said."""
AT_ONCE = 25
"""Incidents in a message of a webhook that is told at once; the others are in further ones."""
POLL = 2.0
"""Seconds between two looks."""
IDLE = 10.0
"""Seconds between two looks for alerts while there are none."""
CLAIM = timedelta(seconds=150)
"""For how long a message is kept from others while it is sent; longer than an attempt takes."""
KEPT = timedelta(days=30)
"""For how long messages that were sent, refused or given up can be looked at."""
TOLD_KEPT = timedelta(days=90)
"""For how long what was told of an incident is kept after it was told and the incident has changed for the last time."""
_WINDOW = 1000  # revisions of incidents looked at in one transaction
_CHUNK = 200  # incidents compared at once
_SENDERS = 8
_WRITTEN_EVERY = timedelta(seconds=60)  # that an alert was looked at and nothing was to be told
_TEND_SECONDS = 10.0
_FORGET_SECONDS = 3600.0
_MICROSECOND = timedelta(microseconds=1)
_RANK = {"withdrawn": 2, "updated": 1, "new": 0}


@dataclass(slots=True)
class NotifierStats:
    """What a notifier did: incidents told, messages sent, attempts that failed, messages refused or given up."""

    told: int = 0
    sent: int = 0
    failed: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What an attempt came to: `says` is for people, `status` that of HTTP, `wait` the seconds that were asked for."""

    outcome: Outcome
    says: str
    status: int | None = None
    wait: float | None = None


# --- what is told


@dataclass(frozen=True, slots=True)
class _Found:
    item: Item
    told: Told
    rank: tuple[int, int, datetime, str]


def look(store: Store, alert: Alert, after: datetime, until: datetime, now: datetime) -> Iterator[_Found]:
    """What is to be told of the incidents that changed after `after`, as they are at `until`."""
    passing: set[str] = set()
    wanted = replace(alert.filter, since=after + _MICROSECOND, as_of=until)
    for rows in _chunks(store.incidents(wanted), _CHUNK):
        records = [row.record for row in rows]
        passing.update(record.incident_id for record in records)
        yield from _compared(store, alert, records, True, now)
    left = store.alerts.changed(alert.alert_id, after, until)
    others = (parse_incident(text.encode()) for name, text in left.items() if name not in passing)
    for some in _chunks(others, _CHUNK):
        yield from _compared(store, alert, some, False, now)


def _compared(
    store: Store, alert: Alert, records: Sequence[IncidentRecord], passes: bool, now: datetime
) -> Iterator[_Found]:
    told = store.alerts.told(alert.alert_id, (record.incident_id for record in records))
    before = store.incident_records((each.incident_id, each.revision) for each in told.values())
    for record in records:
        last = told.get(record.incident_id)
        text = before.get((last.incident_id, last.revision)) if last else None
        found = news(last, parse_incident(text.encode()) if text else None, record, passes)
        if found is not None:
            item = Item(record.incident_id, record.revision, found.change, found.why)
            first = last.first if last else now
            yield _Found(
                item,
                Told(record.incident_id, record.revision, found.change, found.why, first, now),
                (_RANK[found.change], record.sources, record.changed, record.incident_id),
            )


def _chunks(values: Iterable[_T], size: int) -> Iterator[list[_T]]:
    iterator = iter(values)
    while some := list(islice(iterator, size)):
        yield some


def _main(found: Iterable[_Found], limit: int) -> tuple[list[_Found], int]:
    """The foremost, withdrawn ones before updates before new ones, and how many more there are."""
    number = 0
    kept: list[_Found] = []
    for each in found:
        number += 1
        kept.append(each)
        if len(kept) >= 10 * limit:
            kept = heapq.nlargest(limit, kept, key=lambda one: one.rank)
    kept = heapq.nlargest(limit, kept, key=lambda one: one.rank)
    return kept, number - len(kept)


def messages(alert: Alert, items: Sequence[Item], more: int, now: datetime) -> list[Delivery]:
    """The messages that tell the items, to each recipient by itself."""
    size = MOST if alert.every is not None or alert.channel == "email" else AT_ONCE
    return [
        Delivery(
            MESSAGE + secrets.token_hex(12), alert.alert_id, recipient, now, tuple(some), more, attempts=0, due=now
        )
        for recipient in alert.recipients
        for some in _chunks(items, size)
    ]


# --- how it is sent


def transmit(settings: Settings, hook: Hook | None, alert: Alert, delivery: Delivery, told: Sequence[Shown]) -> Attempt:
    """One attempt to send a message: to the webhook if one is given, else by mail. Raises nothing that an attempt brings."""
    if hook is None:
        name = f"{alert.name}, test" if delivery.delivery_id.startswith(TEST) else alert.name
        try:
            mail = message(
                name,
                delivery.delivery_id,
                settings.smtp.sender,
                delivery.recipient,
                delivery.created,
                told,
                delivery.more,
            )
            return Attempt("sent", send(settings.smtp, mail))
        except MailRefused as error:
            return Attempt("refused", str(error))
        except (MailFailed, OSError, ValueError) as error:
            return Attempt("again", cut(str(error), 300))
    changes = [
        {
            "incident_id": each.record.incident_id,
            "revision": each.record.revision,
            "change": each.change,
            "why": each.why,
        }
        for each in told
    ]
    records = [each.record.to_json().decode() for each in told]
    body = payload(delivery.delivery_id, alert.name, format_time(delivery.created), records, changes, delivery.more)
    where = shown_url(hook.url)
    try:
        answer = asyncio.run(post(hook, delivery.delivery_id, body, settings))
    except FetchError as error:
        if error.kind != "private_address":
            return Attempt("again", str(error))
        plain = hook.url.startswith("http:")
        why = (
            "without TLS only private addresses"
            if plain
            else "only public addresses, unless alerts.allow_private is set,"
        )
        return Attempt("again", f"{where}: not connected: {why} are sent to")
    said = f"{where}: answered {answer.status}{': ' if answer.says else ''}{answer.says}"
    return Attempt(answered(answer.status), said, answer.status, answer.retry_after)


def send_test(store: Store, settings: Settings, alert: Alert, now: datetime) -> Iterator[tuple[str, Attempt]]:
    """Send a sample, the last incident that passes the filter if there is one, to each recipient; what came of each."""
    row = next(iter(list(store.incidents(alert.filter, 1))), None)
    items = [Item(row.record.incident_id, row.record.revision, "new")] if row else []
    told = shown(store, items)
    hook = _hook(store, alert)
    for recipient in alert.recipients:
        delivery = Delivery(TEST + secrets.token_hex(12), alert.alert_id, recipient, now, tuple(items))
        yield recipient or alert.target, transmit(settings, hook, alert, delivery, told)


def _hook(store: Store, alert: Alert) -> Hook | None:
    if alert.channel != "webhook":
        return None
    found = store.alerts.secret(alert.alert_id)
    if found is None:
        raise ConflictwireError(f"alert {alert.name} was removed")
    return Hook(*found)


# --- the loop


def run_notifier(
    store: Store, settings: Settings, *, once: bool = False, stop: threading.Event | None = None
) -> NotifierStats:
    """Tell what alerts are for, until `stop` is set or, with `once`, until all that is due now was tried.

    A store that does not answer is waited for; with `once`, StoreUnavailable is raised after some tries in a row.
    """
    return _Loop(store, settings, once, stop or threading.Event()).run()


class _Loop:
    def __init__(self, store: Store, settings: Settings, once: bool, stop: threading.Event) -> None:
        self._store = store
        self._settings = settings
        self._once = once
        self._stop = stop
        self._stats = NotifierStats()
        self._retry = Retry(once, stop, "notifier")
        self._sending: set[Future[None]] = set()
        # Up to where an alert was looked at since its position was written.
        self._seen: dict[str, tuple[datetime, datetime]] = {}
        self._broken: dict[str, float] = {}
        self._tended = self._forgot = float("-inf")
        self._lock = threading.Lock()

    def run(self) -> NotifierStats:
        """See `run_notifier`."""
        with ThreadPoolExecutor(_SENDERS, "notify") as pool:
            while not self._stop.is_set():
                metrics.progress("notifier")
                try:
                    alerts = self._store.alerts.all()
                    busy = self._round(alerts, pool)
                    self._retry.failures = 0
                except ServerUnreachable as error:
                    self._retry.after(error)
                    continue
                if busy:
                    continue
                if self._once and not self._sending:
                    break
                if self._sending:
                    self._sending = wait(self._sending, POLL, FIRST_COMPLETED).not_done
                else:
                    self._stop.wait(POLL if alerts else IDLE)
        return self._stats

    def _round(self, alerts: Sequence[Alert], pool: ThreadPoolExecutor) -> bool:
        """Look at all alerts and begin to send; whether there is more to look at."""
        self._sending = {future for future in self._sending if not future.done()}
        now = datetime.now(UTC)
        settled = self._store.settled(now)
        busy = False
        for alert in alerts:
            if self._stop.is_set():
                return False
            if (
                alert.paused
                or (alert.due and alert.due > now)
                or self._broken.get(alert.alert_id, 0) > time.monotonic()
            ):
                continue
            try:
                busy |= self._look(alert, settled, now)
            except ServerUnreachable:
                raise
            except Exception:
                log.exception("alert not looked at", extra={"alert": alert.name})
                self._broken[alert.alert_id] = time.monotonic() + 60
        by_id = {alert.alert_id: alert for alert in alerts}
        for delivery in self._store.alerts.next(now, _SENDERS):
            found = by_id.get(delivery.alert_id)
            if found and len(self._sending) < _SENDERS and self._store.alerts.claim(delivery, now + CLAIM):
                self._sending.add(pool.submit(self._send, found, delivery))
        self._tend(alerts, now)
        return busy

    def _look(self, alert: Alert, settled: datetime, now: datetime) -> bool:
        """Look at an alert and write what is to be told; whether there is more to look at."""
        written, seen = self._seen.get(alert.alert_id, (None, alert.position))
        after = seen if written == alert.position else alert.position
        digest = alert.every is not None
        until = max(settled, after)
        if until > after and not digest:
            until = self._store.alerts.window(after, until, _WINDOW)
        found: list[_Found] = []
        more = 0
        if until > after:
            every = look(self._store, alert, after, until, now)
            if digest or alert.channel == "email":
                found, more = _main(every, MOST)
            else:
                # Told in the order in which they became known.
                found = list(every)[::-1]
        if not found and not digest and until - alert.position < _WRITTEN_EVERY:
            self._seen[alert.alert_id] = (alert.position, until)
            return until < settled
        deliveries = messages(alert, [each.item for each in found], more, now)
        told = [each.told for each in found]
        due = next_look(alert, now, bool(found))
        if self._store.alerts.advance(alert, until, due, told, deliveries) and told:
            self._stats.told += len(told)
            log.info("told", extra={"alert": alert.name, "incidents": len(told), "messages": len(deliveries)})
        return due is None and until < settled

    def _send(self, alert: Alert, delivery: Delivery) -> None:
        """Try to send a claimed message, and write what came of it."""
        about: dict[str, object] = {
            "alert": alert.name,
            "delivery": delivery.delivery_id,
            "attempt": delivery.attempts + 1,
        }
        try:
            try:
                told = shown(self._store, delivery.items)
                attempt = transmit(self._settings, _hook(self._store, alert), alert, delivery, told)
            except ServerUnreachable:
                raise
            except ConflictwireError as error:
                attempt = Attempt("refused", str(error))
            except Exception as error:
                log.exception("message not made", extra=about)
                attempt = Attempt("again", f"a defect: {type(error).__name__}")
            self._note(alert, delivery, attempt, about)
        except ConflictwireError as error:
            # The claim runs out, and it is tried again.
            log.warning("what became of a message could not be noted", extra={**about, "error": str(error)})

    def _note(self, alert: Alert, delivery: Delivery, attempt: Attempt, about: dict[str, object]) -> None:
        now = datetime.now(UTC)
        if attempt.outcome == "sent":
            self._store.alerts.outcome(delivery, now, "sent")
            self._count(alert, "sent")
            log.info("sent", extra=about)
            return
        due = None
        if attempt.outcome == "again":
            due = next_attempt(delivery.created, now, delivery.attempts + 1, chance(), attempt.wait)
        if due is not None:
            self._store.alerts.outcome(delivery, now, None, attempt.says, due)
            self._count(alert, "failed")
            seconds = round((due - now).total_seconds(), 1)
            log.warning("not sent, trying again", extra={**about, "error": attempt.says, "seconds": seconds})
            return
        result: Result = "refused" if attempt.outcome == "refused" else "gave_up"
        self._store.alerts.outcome(delivery, now, result, attempt.says)
        self._count(alert, result)
        log.error("not sent, given up", extra={**about, "result": result, "error": attempt.says})
        if is_gone(attempt.status):
            self._store.alerts.pause(alert.alert_id, attempt.says)
            log.error("alert paused, as its receiver is gone", extra={"alert": alert.name})

    def _count(self, alert: Alert, result: str) -> None:
        metrics.DELIVERIES.labels(alert.channel, result).inc()
        with self._lock:
            match result:
                case "sent":
                    self._stats.sent += 1
                case "failed":
                    self._stats.failed += 1
                case _:
                    self._stats.lost += 1

    def _tend(self, alerts: Sequence[Alert], now: datetime) -> None:
        """Count what waits, and forget what was done long ago."""
        at = time.monotonic()
        if at - self._tended >= _TEND_SECONDS:
            self._tended = at
            metrics.watch_deliveries(alerts, self._store.alerts.waiting(), now)
        if at - self._forgot >= _FORGET_SECONDS:
            self._forgot = at
            self._store.alerts.forget(now - KEPT)
            self._store.alerts.forget_told(now - TOLD_KEPT)


# --- the process


def notify(settings: Settings, *, once: bool = False) -> int:
    """Tell what alerts are for until a signal or, with `once`, until all that is due was tried; the exit code."""
    stop = threading.Event()
    with stopping(stop) as stopped:
        try:
            log.info("notifier started", extra={"pid": os.getpid()})
            store = open_store(settings, once, stop, "notifier")
            if store is None:
                return stopped.exit_code
            with closing(store):
                stats = run_notifier(store, settings, once=once, stop=stop)
        except ConflictwireError as error:
            log.error("notifier failed", extra={"error": str(error)})
            return error.exit_code
        told = {"told": stats.told, "sent": stats.sent, "failed": stats.failed, "given_up": stats.lost}
        log.info("notifier ended", extra=told)
        return stopped.exit_code
