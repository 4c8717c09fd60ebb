"""The pull of due feeds: fetch, parse, identify, compare, publish, remember.

What is known of a feed is written after the broker has its articles, so whatever is killed when, an article may be
published twice, which the worker sees through, and none is lost. Feeds that wait for broker and store together are looked
up, published and remembered in one transaction each; where it is refused, feed by feed.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from types import TracebackType
from typing import Literal, TypeGuard, TypeVar
from urllib.parse import urlsplit

from ingest import metrics, tracing
from ingest.broker import Headers, Outgoing, Producer
from ingest.errors import BrokerRejected, FetchError, ParseError, RecordTooLarge, ServerUnreachable, StoreRejected
from ingest.feeds import schedule
from ingest.feeds.catalog import Feed
from ingest.feeds.content import normalise
from ingest.feeds.fetch import HTML_TYPES, Fetched, Fetcher, product_token
from ingest.feeds.identity import Naming, Publication, judge, keys_of, lookups
from ingest.feeds.language import detect_language
from ingest.feeds.parse import ParsedEntry, ParsedFeed, ParsedPage, ParserPool
from ingest.feeds.robots import RobotsCache
from ingest.feeds.syndication import Syndicator, prepare
from ingest.feeds.together import Together
from ingest.feeds.urls import canonical_url, publisher_scope
from ingest.log import printable
from ingest.records import Article
from ingest.settings import Settings
from ingest.storage import FeedState, Known, Store
from ingest.storage.syndication import Print
from ingest.storage.values import Alias

log = logging.getLogger(__name__)

_T = TypeVar("_T")

BATCH = 50
"""Articles published and remembered at once, of one feed or of several: what a crash in between can publish twice."""
BATCH_TEXT = 2_000_000
"""Code points of their texts from which on a batch is not made longer."""
KEYS = 10_000
"""Keys looked up at once."""
LARGE = 2_000_000
"""Bytes above which a page is not read, and a feed is fetched once more when it is its turn (LARGE_AT_ONCE)."""
LARGE_AT_ONCE = 2
ROOM = 32_000_000
"""Bytes of the feeds whose entries are in memory at once; a feed that finds no room waits, not yet parsed."""
PAGE_FAILURES = 5
"""Pages of a feed that may fail in a row before the rest of its new entries goes without: the site is down, or minds."""
CLOCK_SKEW = timedelta(days=1)
"""A publication time further ahead than that is a mistake, not a time."""
_ROBOTS = "robots.json"
OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
"""So is one before there were web pages: 1970 and 1900 are what zero means to a server."""


@dataclass(frozen=True, slots=True)
class PullResult:
    """What became of one feed. `entries` are those read, `left_out` older ones beyond the parser's bound.

    `seconds` includes waiting for other requests. `error` says in one line what went wrong; `error_kind` is that of the
    FetchError or ParseError, `rejected` where broker or database refused an article, `internal` for a mistake of ours, whose
    traceback is logged.
    """

    feed: str
    status: Literal["ok", "unchanged", "failed", "not_due", "disabled"]
    new: int = 0
    updated: int = 0
    entries: int = 0
    left_out: int = 0
    seconds: float = 0.0
    error: str | None = None
    error_kind: str | None = None


async def pull_feeds(
    feeds: Sequence[Feed],
    store: Store,
    producer: Producer,
    settings: Settings,
    *,
    now: datetime | None = None,
    on_result: Callable[[PullResult], None] | None = None,
    force: bool = False,
) -> list[PullResult]:
    """Pull those of `feeds` that are due (all that are not disabled with `force`), and publish what is new.

    A result a feed, in the order of `feeds`; `on_result` gets each as soon as it is there, in the thread of the loop.
    `now` stands for the time of the pull, in tests. A feed's failure is its result and disturbs no other. Raises
    BrokerUnavailable, BrokerRejected or StoreUnavailable, for then no feed can be done. When cancelled, it returns
    after the write that is under way; feeds are then either recorded, or as they were before.
    """
    async with Puller(store, producer, settings, now=now) as puller:
        return await puller.pull_all(feeds, on_result=on_result, force=force)


class Puller:
    """What pulls of many feeds share: connections, parser processes, and the thread that talks to broker and store.

    An async context manager, bound to the event loop it was entered in.
    """

    def __init__(self, store: Store, producer: Producer, settings: Settings, *, now: datetime | None = None) -> None:
        self._store = store
        self._producer = producer
        self._settings = settings
        self._now = now
        self._robots = RobotsCache(product_token(settings.fetch.user_agent))
        self._fetcher = Fetcher(settings.fetch, robots=self._robots)
        self._parsers = ParserPool(settings.fetch)
        self._knowing = Together(self._known, len, KEYS, _is_everyones)
        self._publishing = Together(self._publish, _weight, BATCH_TEXT, _is_everyones)
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._room = _Room(ROOM)

    async def __aenter__(self) -> Puller:
        # One thread of our own: the loop's default threads may all hang in name resolution.
        self._thread = ThreadPoolExecutor(1, "publish")
        self._robots.read(self._settings.data_dir / _ROBOTS)
        await self._fetcher.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._parsers.__aexit__(kind, error, trace)
        await self._fetcher.__aexit__(kind, error, trace)
        # Each run is a process of its own; a site's robots.txt is asked for once a day all the same.
        with suppress(OSError):
            self._robots.write(self._settings.data_dir / _ROBOTS)
        self._thread.shutdown(wait=True)

    async def pull_all(
        self, feeds: Sequence[Feed], *, on_result: Callable[[PullResult], None] | None = None, force: bool = False
    ) -> list[PullResult]:
        """See `pull_feeds`."""
        states = await self._in_thread(self._store.feed_states)
        results: dict[str, PullResult] = {}

        def done(result: PullResult) -> None:
            results[result.feed] = result
            metrics.pulled(result)
            metrics.progress("puller")
            if on_result is not None:
                on_result(result)

        waiting: list[tuple[Feed, FeedState]] = []
        for feed in feeds:
            state = schedule.at_url(states.get(feed.name) or FeedState(feed.name), feed.url)
            if not feed.enabled or state.disabled:
                done(PullResult(feed.name, "disabled", error=state.last_error if state.disabled else None))
            elif not force and not schedule.is_due(state, self._time()):
                done(PullResult(feed.name, "not_due"))
            else:
                waiting.append((feed, state))
        queue = deque(_by_turns(waiting))

        async def pull_from_queue() -> None:
            while queue:
                done(await self.pull(*queue.popleft()))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._settings.fetch.concurrency, len(queue))):
                    group.create_task(pull_from_queue())
        except BaseExceptionGroup as group_of_errors:
            error: BaseException = group_of_errors
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None
        return [results[feed.name] for feed in feeds]

    async def pull(self, feed: Feed, state: FeedState) -> PullResult:
        """Pull one feed, due or not, and record the outcome. Raises ServerUnreachable, BrokerRejected."""
        started = time.monotonic()
        try:
            with tracing.span("pull feed", feed=feed.name):
                result = await self._pull(feed, state)
        except Exception as error:
            if _is_everyones(error):
                raise
            failure = _failure(error)
            if failure.kind == "internal":
                log.exception("pull failed", extra={"feed": feed.name, "url": feed.url})
            after = schedule.next_state(state, failure, self._time())
            await self._finish(_Batch(feed, after=after))
            if after.disabled:
                log.warning("feed disabled", extra={"feed": feed.name, "error": after.last_error})
            result = PullResult(feed.name, "failed", error=after.last_error, error_kind=failure.kind)
        return replace(result, seconds=time.monotonic() - started)

    async def _pull(self, feed: Feed, state: FeedState) -> PullResult:
        try:
            return await self._pull_within(LARGE, feed, state)
        except FetchError as error:
            if error.kind != "too_large" or self._settings.fetch.max_bytes <= LARGE:
                raise
        async with self._large:
            return await self._pull_within(self._settings.fetch.max_bytes, feed, state)

    async def _pull_within(self, limit: int, feed: Feed, state: FeedState) -> PullResult:
        url = state.url or feed.url
        conditions = schedule.conditions(state, self._time())
        fetched = await self._fetcher.get(
            url, etag=conditions.etag, last_modified=conditions.last_modified, max_bytes=limit
        )
        doubted = fetched.status == 304 and schedule.is_doubtful(state, self._time())
        if doubted:
            fetched = await self._fetcher.get(url, max_bytes=limit)
        success = schedule.Success(
            status=fetched.status,
            etag=fetched.etag,
            last_modified=fetched.last_modified,
            body_hash=hashlib.sha256(fetched.body).hexdigest() if fetched.status == 200 else None,
            max_age=fetched.max_age,
            moved_to=schedule.moved_to(fetched.redirects),
            doubted=doubted,
        )
        if fetched.status == 304 or success.body_hash == state.body_hash:
            after = schedule.next_state(state, success, self._time())
            await self._finish(_Batch(feed, after=after))
            _tell(feed, state, after)
            return PullResult(feed.name, "unchanged")
        async with self._room.taken(len(fetched.body)):
            return await self._publish_new(feed, state, fetched, success)

    async def _publish_new(
        self, feed: Feed, state: FeedState, fetched: Fetched, success: schedule.Success
    ) -> PullResult:
        """Publish what is new in the feed fetched, and record the outcome."""
        parsed = await self._parsers.feed(fetched.body, fetched.content_type, fetched.url)
        # The catalogue's URL and not the one fetched: a redirect must not lead into another publisher's articles.
        scope = publisher_scope(feed.name, feed.url, feed.publisher)
        naming = Naming(feed.name, scope, state.scope, state.guids_trusted)
        keys = keys_of(naming, parsed.readable)
        known = await self._in_thread(self._knowing.add(lookups(keys)))
        verdict = judge(naming, parsed.readable, keys, known)
        publications = verdict.publications
        new = sum(each.status == "new" for each in publications)
        success = replace(success, asked=_asked(parsed), entries=verdict.articles, new=new)
        after = schedule.next_state(state, success, self._time())
        after = replace(after, scope=scope, guids_trusted=verdict.guids_trusted)
        visits = _PageVisits()
        waiting = deque(publications)
        batch = await self._next_batch(feed, parsed.language, waiting, visits)
        while waiting:
            await self._finish(batch)
            batch = await self._next_batch(feed, parsed.language, waiting, visits)
        # Not before the last: an alias of an article that is not known yet would lead nowhere.
        await self._finish(replace(batch, after=after, aliases=verdict.aliases))
        _tell(feed, state, after)
        return PullResult(
            feed.name,
            "ok",
            new=new,
            updated=len(publications) - new,
            entries=len(parsed.entries),
            left_out=parsed.left_out,
        )

    async def _next_batch(
        self, feed: Feed, language: str | None, waiting: deque[Publication], visits: _PageVisits
    ) -> _Batch:
        """The next of those `waiting`, each with its page, up to BATCH or BATCH_TEXT."""
        batch = _Batch(feed, language)
        while waiting and len(batch.entries) < BATCH and batch.size < BATCH_TEXT:
            at_once = min(self._settings.fetch.per_host, BATCH - len(batch.entries), len(waiting))
            turn = [waiting.popleft() for _ in range(at_once)]
            async with asyncio.TaskGroup() as group:
                pages = [group.create_task(self._page(feed, each.entry, visits)) for each in turn]
            batch.entries += [(publication, page.result()) for publication, page in zip(turn, pages, strict=True)]
        return batch

    async def _page(self, feed: Feed, entry: ParsedEntry, visits: _PageVisits) -> ParsedPage | None:
        """The article on the page behind `entry`, where it is wanted and there, and says more than the entry."""
        wanted = feed.full_text
        if wanted is None:
            wanted = self._settings.fetch.full_text and not entry.complete
        if not wanted or not entry.link:
            return None
        if visits.given_up:
            return None
        try:
            fetched = await self._fetcher.get(entry.link, only_types=HTML_TYPES, robots=True, max_bytes=LARGE)
            page = await self._parsers.page(fetched.body, fetched.content_type, entry.title)
        except (FetchError, ParseError) as error:
            visits.failed()
            log.debug("page not read", extra={"feed": feed.name, "url": entry.link, "error": str(error)})
            return None
        visits.succeeded()
        return page if says_more(page, entry) else None

    async def _finish(self, batch: _Batch) -> None:
        """Publish and remember `batch`, together with those of all feeds that came to this point meanwhile."""
        if batch.entries:
            with tracing.span("publish articles", feed=batch.feed.name):
                await self._in_thread(self._publishing.add(replace(batch, trace=tracing.current())))
        else:
            await self._in_thread(self._publishing.add(batch))

    def _known(self, asked: Sequence[Sequence[str]]) -> list[dict[str, Known]]:
        found = self._store.known([key for keys in asked for key in keys], self._time())
        return [{key: found[key] for key in keys if key in found} for keys in asked]

    def _publish(self, batches: Sequence[_Batch]) -> list[None]:
        # What the store refuses comes here again, one by one, and is not to be published twice for it.
        self._send([batch for batch in batches if batch.prints is None])
        self._store.remember(
            [publication.known for batch in batches for publication, _ in batch.entries],
            [batch.after for batch in batches if batch.after],
            [each for batch in batches for each in batch.prints or ()],
            [alias for batch in batches for alias in batch.aliases],
        )
        for batch in batches:
            for publication, _ in batch.entries:
                if publication.last:
                    log.warning(
                        "article changed too often, later changes are not followed",
                        extra={
                            "feed": batch.feed.name,
                            "url": publication.entry.link,
                            "revision": publication.revision,
                        },
                    )
        return [None] * len(batches)

    def _send(self, batches: Sequence[_Batch]) -> None:
        """Publish the articles of `batches`, and note with each what else of them is to be remembered."""
        fetched = self._time()
        read = [
            [
                prepare(_article(batch, *entry, fetched), batch.feed.publisher or batch.feed.name)
                for entry in batch.entries
            ]
            for batch in batches
        ]
        names = [each.article.article_id for some in read for each in some]
        keys = [key for some in read for each in some for key in each.reading.all_keys]
        syndicator = Syndicator(self._store.syndicated(names, keys) if names else ())
        topic = self._settings.topics.articles
        records = []
        prints = []
        for batch, some in zip(batches, read, strict=True):
            before = len(syndicator.made)
            for each in some:
                story = syndicator.assign_prepared(each)
                update = {"syndication_id": story.id, "syndicated_from": story.original_publisher}
                article = each.article.model_copy(update=update)
                records.append(Outgoing(topic, article.article_id.encode(), article.to_json(), batch.trace))
            prints.append(syndicator.made[before:])
        if records:
            self._producer.send(records)
        for batch, made in zip(batches, prints, strict=True):
            batch.prints = made

    def _time(self) -> datetime:
        return self._now or datetime.now(UTC)

    async def _in_thread(self, function: Callable[[], _T]) -> _T:
        """Run `function` in the thread for broker and store. When cancelled, wait for its end first."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, function)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            if not future.cancelled() and (error := future.exception()):
                log.warning("write failed while cancelled", extra={"error": str(error)})
            raise


@dataclass(slots=True)
class _Batch:
    """Articles of a feed to publish at once, and what to remember of the feed with them: `after`, `aliases`.

    `language` is the feed's own word for it. `prints`, which is None until the broker has the articles, is what to
    remember of them for the sake of others.
    """

    feed: Feed
    language: str | None = None
    entries: list[tuple[Publication, ParsedPage | None]] = field(default_factory=list)
    after: FeedState | None = None
    aliases: Sequence[Alias] = ()
    trace: Headers = ()
    prints: Sequence[Print] | None = None

    @property
    def size(self) -> int:
        """Code points of the texts."""
        return sum(len(page.text if page else publication.entry.text) for publication, page in self.entries)


def _weight(batch: _Batch) -> int:
    """What of BATCH_TEXT a batch takes: its size, or as many parts of BATCH as it has articles."""
    return max(batch.size, max(len(batch.entries), 1) * (BATCH_TEXT // BATCH))


def _is_everyones(error: Exception) -> bool:
    """Whether an error means that no feed can be done now."""
    return isinstance(error, (ServerUnreachable, BrokerRejected)) and not isinstance(error, RecordTooLarge)


class _Room:
    """Room for so many bytes. One who asks for more than there is gets all of it, when nobody else is in."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._left = asyncio.Condition()

    @asynccontextmanager
    async def taken(self, size: int) -> AsyncIterator[None]:
        """Within, so much is taken; waits for it first."""
        size = min(size, self._size)
        async with self._left:
            await self._left.wait_for(lambda: size <= self._free)
            self._free -= size
        try:
            yield
        finally:
            self._free += size
            async with self._left:
                self._left.notify_all()


class _PageVisits:
    """Whether to go on asking a feed's site for pages."""

    def __init__(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1

    def succeeded(self) -> None:
        self._failures = 0

    @property
    def given_up(self) -> bool:
        return self._failures >= PAGE_FAILURES


_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_WORD = re.compile(r"\w{4,}")


def says_more(page: ParsedPage, entry: ParsedEntry) -> bool:
    """Whether the text of `page` is longer than the entry's and speaks of the same: no cookie wall, no front page.

    That is, a third of the longer words of title and summary are in it. Not asked of scripts without spaces.
    """
    if len(page.text) <= len(entry.text):
        return False
    said = f"{entry.title} {entry.text[:2_000]}"
    if _UNSPACED.search(said):
        return True
    words = set(_WORD.findall(normalise(said)))
    found = words.intersection(_WORD.findall(normalise(page.text[:50_000])))
    return len(found) * 3 >= len(words)


def _article(batch: _Batch, publication: Publication, page: ParsedPage | None, fetched: datetime) -> Article:
    entry = publication.entry
    title = entry.title or (page.title if page else "")
    text = page.text if page else entry.text
    claimed = batch.feed.language or entry.language or (page.language if page else None) or batch.language
    published: datetime = fetched
    source: Literal["entry", "page", "fetched"] = "fetched"
    if _plausible(entry.published, fetched):
        published, source = entry.published, "entry"
    elif page is not None and _plausible(page.published, fetched):
        published, source = page.published, "page"
    return Article(
        article_id=publication.article_id,
        revision=publication.revision,
        feed=publication.known.feed,
        url=entry.link,
        canonical_url=canonical_url(entry.link),
        title=title,
        text=text,
        language=detect_language(f"{title}\n{text}", claimed),
        authors=entry.authors or (page.authors if page else ()),
        published=published,
        published_source=source,
        fetched=fetched,
        content_hash=entry.content_hash,
    )


def _plausible(time: datetime | None, fetched: datetime) -> TypeGuard[datetime]:
    return time is not None and OLDEST <= time <= fetched + CLOCK_SKEW


def _asked(parsed: ParsedFeed) -> schedule.Asked:
    seconds = max(parsed.ttl or 0.0, parsed.update_seconds or 0.0)
    return schedule.Asked(seconds or None, parsed.skip_hours, parsed.skip_days)


def _tell(feed: Feed, before: FeedState, after: FeedState) -> None:
    if after.url != before.url:
        log.info("feed moved", extra={"feed": feed.name, "url": after.url or feed.url})
    if after.validators_wrong != before.validators_wrong:
        log.info("feed changed while its server said 304", extra={"feed": feed.name, "url": after.url or feed.url})


def _failure(error: Exception) -> schedule.Failure:
    message = str(error)
    if isinstance(error, FetchError):
        return schedule.Failure(error.kind, message, error.status, error.retry_after)
    if isinstance(error, ParseError):
        return schedule.Failure(error.kind, message)
    message = printable(" ".join(message.split()))[:500]
    if isinstance(error, (RecordTooLarge, StoreRejected)):
        return schedule.Failure("rejected", message)
    return schedule.Failure("internal", f"{type(error).__name__}: {message}; a defect, the log has its traceback")


def _by_turns(waiting: Sequence[tuple[Feed, FeedState]]) -> list[tuple[Feed, FeedState]]:
    """The feeds of the hosts in turn, so that those of one slow host do not take all the places at once."""
    hosts: dict[str | None, list[tuple[Feed, FeedState]]] = defaultdict(list)
    for feed, state in waiting:
        hosts[urlsplit(state.url or feed.url).hostname].append((feed, state))
    return [each for turn in zip_longest(*hosts.values()) for each in turn if each is not None]
