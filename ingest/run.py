"""Everything in one process: due feeds are pulled while what they brought is coded, stored and published.

The puller runs in the event loop of the main thread, the worker, the keeper of incidents and the notifier in threads of
their own; all are the ones that also run as processes apart, on whatever broker and store the settings name.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingest import metrics
from ingest.alerts.notify import run_notifier
from ingest.errors import CatalogError, ServerUnreachable
from ingest.feeds.catalog import Feed
from ingest.feeds.pull import PullResult, pull_feeds
from ingest.incidents import run_keeper
from ingest.worker import ArticleCoder, Batch, run_worker

if TYPE_CHECKING:
    from ingest.broker import Broker
    from ingest.crashes import CrashNotes
    from ingest.settings import Settings
    from ingest.storage import FeedState, Store

log = logging.getLogger(__name__)

_TICK = 0.1
# However far off the next feed is: the catalogue may have been changed meanwhile.
_LONGEST_WAIT = 60.0


@dataclass(slots=True)
class Tally:
    """What a run did. `types` and `countries` count new and updated events; an event of two countries counts for both.

    `coded` has the articles that the coder reads, `not_coded` counts the others by reason (`models.text.uncodable`);
    `feeds` holds how the last pull of each feed ended, `failed` why.
    """

    feeds: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    new: int = 0
    updated: int = 0
    coded: int = 0
    not_coded: Counter[str] = field(default_factory=Counter)
    dead: int = 0
    retracted: int = 0
    types: Counter[str] = field(default_factory=Counter)
    countries: Counter[str] = field(default_factory=Counter)

    def add_pull(self, result: PullResult) -> None:
        """Count one feed in."""
        if result.status in ("not_due", "disabled"):
            self.feeds.setdefault(result.feed, result.status)
            return
        self.feeds[result.feed] = result.status
        self.failed.pop(result.feed, None)
        if result.status == "failed":
            self.failed[result.feed] = result.error or "no reason given"
        self.entries += result.entries
        self.new += result.new
        self.updated += result.updated

    def add_batch(self, batch: Batch) -> None:
        """Count one batch in."""
        self.coded += len(batch.articles) - batch.not_coded.total()
        self.not_coded += batch.not_coded
        self.dead += len(batch.dead)
        for event in batch.events:
            if event.status == "retracted":
                self.retracted += 1
            else:
                self.types[event.type] += 1
                self.countries.update(event.countries)

    def feeds_that(self, *statuses: str) -> int:
        """How many feeds ended so."""
        return sum(status in statuses for status in self.feeds.values())

    @property
    def nothing_new(self) -> bool:
        """Whether neither a feed nor the worker brought anything."""
        return not (self.new or self.updated or self.coded or self.not_coded or self.dead)


def next_pull(feeds: Sequence[Feed], states: Mapping[str, FeedState], now: datetime) -> float:
    """Seconds from `now` until one of `feeds` is due, at least 1 and at most 60."""
    enabled = [states.get(feed.name) for feed in feeds if feed.enabled]
    due = [(state and state.next_due) or now for state in enabled if state is None or not state.disabled]
    return min(max((min(due) - now).total_seconds(), 1.0), _LONGEST_WAIT) if due else _LONGEST_WAIT


async def keep_pulling(
    load_feeds: Callable[[], list[Feed]],
    pull: Callable[[Sequence[Feed]], Awaitable[object]],
    store: Store,
) -> None:
    """Pull whatever is due, again and again, until cancelled; the catalogue is read anew each time.

    A server that does not answer is waited for. Raises CatalogError if the catalogue cannot be read at the beginning.
    """
    feeds = load_feeds()
    while True:
        metrics.progress("puller")
        try:
            await pull(feeds)
            wait = next_pull(feeds, await asyncio.to_thread(store.feed_states), datetime.now(UTC))
        except ServerUnreachable as error:
            wait = _LONGEST_WAIT / 4
            log.warning("waiting for a server", extra={"error": str(error), "seconds": wait})
        await asyncio.sleep(wait)
        try:
            feeds = load_feeds()
        except CatalogError as error:
            log.warning("going on with the feeds as they were", extra={"error": str(error)})


@dataclass(frozen=True)
class Run:
    """One run of everything, with what it tells as it goes: the callbacks come from two threads.

    `load_feeds` is asked before each round of pulls. With `once` it ends when the due feeds are pulled, every article
    is coded, the incidents are kept and alerts told, else when `stop` is set; the write and the batch under way are
    finished first.
    """

    broker: Broker
    store: Store
    settings: Settings
    load_coder: Callable[[], ArticleCoder]
    load_feeds: Callable[[], list[Feed]]
    once: bool
    stop: threading.Event
    on_feeds: Callable[[Sequence[Feed]], None]
    on_result: Callable[[PullResult], None]
    on_batch: Callable[[Batch], None]
    on_tick: Callable[[], None]
    notes: CrashNotes | None = None

    def run(self) -> None:
        """Run until done or stopped. Raises CatalogError, ModelError, ServerUnreachable, BrokerRejected."""
        asyncio.run(self._run())

    async def _run(self) -> None:
        pulled, coded, kept = threading.Event(), threading.Event(), threading.Event()
        with ThreadPoolExecutor(3, "worker") as executor:
            loop = asyncio.get_running_loop()
            worker = loop.run_in_executor(executor, self._work, pulled)
            keeper = loop.run_in_executor(executor, self._keep, coded)
            notifier = loop.run_in_executor(executor, self._notify, kept)
            puller = asyncio.ensure_future(self._pull())
            try:
                await self._attend(puller, [(worker, coded), (keeper, kept), (notifier, threading.Event())], pulled)
            except BaseException:
                for event in (self.stop, pulled, coded, kept):
                    event.set()
                raise
        for future in (worker, keeper, notifier):
            future.result()
        if not puller.cancelled():
            puller.result()

    async def _attend(
        self,
        puller: asyncio.Future[None],
        others: Sequence[tuple[asyncio.Future[None], threading.Event]],
        pulled: threading.Event,
    ) -> None:
        """Wait for all, and end all where one fails or somebody stops the run; each event tells that one is done."""
        pending = {puller, *(future for future, _ in others)}
        while pending:
            done, pending = await asyncio.wait(pending, timeout=_TICK, return_when=asyncio.FIRST_COMPLETED)
            self.on_tick()
            if any(not future.cancelled() and future.exception() for future in done):
                self.stop.set()
            if self.stop.is_set() or puller.done():
                if not pulled.is_set():
                    puller.cancel()
                pulled.set()
            for future, ended in others:
                if self.stop.is_set() or future.done():
                    ended.set()

    async def _pull(self) -> None:
        producer = self.broker.producer()

        async def pull(feeds: Sequence[Feed]) -> None:
            self.on_feeds(feeds)
            await pull_feeds(feeds, self.store, producer, self.settings, on_result=self.on_result)

        try:
            if self.once:
                await pull(self.load_feeds())
            else:
                await keep_pulling(self.load_feeds, pull, self.store)
        finally:
            producer.close()

    def _work(self, pulled: threading.Event) -> None:
        coder = self.load_coder()

        def work(stop: threading.Event, once: bool) -> None:
            run_worker(
                self.broker,
                self.store,
                coder,
                self.settings,
                once=once,
                stop=stop,
                on_batch=self.on_batch,
                notes=self.notes,
            )

        work(pulled, once=False)
        if self.once:
            work(self.stop, once=True)

    def _keep(self, coded: threading.Event) -> None:
        run_keeper(self.broker, self.store, self.settings, stop=coded)
        if self.once:
            run_keeper(self.broker, self.store, self.settings, once=True, stop=self.stop)

    def _notify(self, kept: threading.Event) -> None:
        run_notifier(self.store, self.settings, stop=kept)
        if self.once:
            run_notifier(self.store, self.settings, once=True, stop=self.stop)
