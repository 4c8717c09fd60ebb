"""Commands that move articles along: run, pull, worker, keep, recode."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingest.cli.common import ModelOption, ProfileOption, Session, check_when, session_of

if TYPE_CHECKING:
    from ingest.broker import Broker, Producer
    from ingest.feeds.catalog import Feed
    from ingest.feeds.pull import PullResult
    from ingest.processes import Stopped
    from ingest.storage import Store
    from ingest.worker import Batch


MetricsPortOption = Annotated[
    int | None,
    typer.Option(
        "--metrics-port",
        min=0,
        max=65535,
        metavar="PORT",
        help="Serve Prometheus metrics and health checks on this port; 0 takes any free one.",
    ),
]


def run(
    ctx: typer.Context,
    once: Annotated[
        bool,
        typer.Option("--once", help="End when the due feeds are read, everything is coded and incidents are kept."),
    ] = False,
    feeds: Annotated[
        Path | None,
        typer.Option("--feeds", metavar="FILE", help="Catalogue of feeds (TOML).", exists=True, dir_okay=False),
    ] = None,
    model: ModelOption = None,
    profile: ProfileOption = None,
    metrics_port: MetricsPortOption = None,
) -> None:
    """Pull due feeds, code what is new, show the events, keep the incidents that they report, and send alerts.

    All of it in this process until Ctrl-C, with the embedded broker and SQLite unless the settings name servers.

    \b
    Examples:
      conflictwire run
      conflictwire run --once --feeds my-feeds.toml --data-dir ./news
    """
    from ingest.cli.screen import Screen
    from ingest.crashes import CrashNotes
    from ingest.feeds.catalog import catalog_in_force
    from ingest.health import serving
    from ingest.processes import load_coder, stopping
    from ingest.run import Run, Tally
    from ingest.settings import Settings

    session = session_of(ctx)
    session.options |= {"feeds": feeds, "model": model, "profile": profile} | _metrics(metrics_port)
    settings: Settings = session.settings
    tally, stop, began = Tally(), threading.Event(), time.monotonic()
    with (
        serving(settings, incidents=True),
        session.store() as store,
        session.broker() as broker,
        closing(CrashNotes(settings.data_dir)) as notes,
        stopping(stop, notes=notes) as stopped,
    ):
        before = max((state.last_success for state in store.feed_states().values() if state.last_success), default=None)
        expected = 0
        with Screen(session.out) as screen:

            def show() -> None:
                done = tally.feeds_that("ok", "unchanged", "failed", "not_due", "disabled")
                waiting = max(tally.new + tally.updated - tally.coded - tally.not_coded.total(), 0)
                events = f"{tally.coded} articles coded, {waiting} waiting, {tally.types.total()} events"
                screen.progress(f"feeds {done}/{expected}", done, expected, events)

            def asked(named: Sequence[Feed]) -> None:
                nonlocal expected
                expected = len(named)
                show()

            def pulled(result: PullResult) -> None:
                tally.add_pull(result)
                say_pulled(session, result)
                show()

            def coded(batch: Batch) -> None:
                tally.add_batch(batch)
                show()
                if batch.events:
                    screen.print_events(batch.events)

            Run(
                broker=broker,
                store=store,
                settings=settings,
                load_coder=lambda: load_coder(settings, 1),
                load_feeds=lambda: catalog_in_force(settings),
                once=once,
                stop=stop,
                on_feeds=asked,
                on_result=pulled,
                on_batch=coded,
                on_tick=screen.tick,
                notes=notes,
            ).run()
        from ingest.cli.summary import say_summary

        say_summary(session, tally, store, before, time.monotonic() - began, stop.is_set())
    raise typer.Exit(_exit_code(stopped, tally.feeds.values()))


def pull(
    ctx: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="End when the due feeds are read.")] = False,
    feed: Annotated[
        list[str] | None, typer.Option("--feed", metavar="NAME", help="Only this feed; may be repeated.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Also feeds that are not due yet; needs --once.")] = False,
    metrics_port: MetricsPortOption = None,
) -> None:
    """Pull due feeds into the broker.

    Now, and whenever one falls due, until Ctrl-C.

    \b
    Examples:
      conflictwire pull
      conflictwire pull --once --force --feed sahel-courier
    """
    from ingest.feeds.catalog import catalog_in_force
    from ingest.feeds.pull import pull_feeds
    from ingest.health import serving
    from ingest.processes import stopping
    from ingest.run import Tally, keep_pulling

    session = session_of(ctx)
    session.options |= _metrics(metrics_port)
    settings, tally, stop = session.settings, Tally(), threading.Event()
    if force and not once:
        raise typer.BadParameter("pulling all feeds over and over would annoy their servers: add --once")

    def load_feeds() -> list[Feed]:
        return chosen_feeds(catalog_in_force(settings), feed or ())

    def told(result: PullResult) -> None:
        tally.add_pull(result)
        say_pulled(session, result)

    async def pull_until_stopped(store: Store, producer: Producer) -> None:
        async def pull_due(feeds: Sequence[Feed]) -> None:
            await pull_feeds(feeds, store, producer, settings, on_result=told, force=force)

        work = pull_due(load_feeds()) if once else keep_pulling(load_feeds, pull_due, store)
        puller = asyncio.ensure_future(work)
        while not (await asyncio.wait([puller], timeout=0.1))[0]:
            if stop.is_set():
                puller.cancel()
                await asyncio.wait([puller])
        if not puller.cancelled():
            puller.result()

    with (
        serving(settings, workers=False),
        session.store() as store,
        session.broker() as broker,
        closing(broker.producer()) as producer,
        stopping(stop) as stopped,
    ):
        asyncio.run(pull_until_stopped(store, producer))
    idle = tally.feeds_that("not_due")
    session.say(
        f"{len(tally.feeds) - idle - tally.feeds_that('disabled')} feeds pulled, {len(tally.failed)} failed, "
        f"{idle} not due; {tally.new} new articles, {tally.updated} updated"
    )
    raise typer.Exit(_exit_code(stopped, tally.feeds.values()))


def _metrics(port: int | None) -> dict[str, object]:
    return {} if port is None else {"metrics": {"port": port}}


def chosen_feeds(feeds: Sequence[Feed], names: Sequence[str]) -> list[Feed]:
    """Those of `feeds` that are named, all if none is. Raises CatalogError for a name that is not there."""
    from ingest.errors import CatalogError

    if unknown := set(names).difference(feed.name for feed in feeds):
        raise CatalogError(f"there is no feed called {min(unknown)!r}; `conflictwire feeds list` shows the names")
    return [feed for feed in feeds if not names or feed.name in names]


def say_pulled(session: Session, result: PullResult) -> None:
    """A line on a feed, if it failed or brought something."""
    if result.status == "failed":
        session.say(f"{result.feed}: {result.error}", style="yellow")
    elif result.new or result.updated:
        changed = f", {result.updated} updated" if result.updated else ""
        session.say(f"{result.feed}: {result.new} new{changed}", style="dim")


def _exit_code(stopped: Stopped, statuses: Iterable[str]) -> int:
    """That of the signal that ended the command, if one did, else 1 where every feed that was asked failed."""
    if stopped.by:
        return stopped.exit_code
    asked = [status for status in statuses if status not in ("not_due", "disabled")]
    return int(bool(asked) and all(status == "failed" for status in asked))


def worker(
    ctx: typer.Context,
    workers: Annotated[
        int, typer.Option("--workers", "-w", min=1, max=256, metavar="N", help="Processes that share the work.")
    ] = 1,
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="Consumer group.", show_default="coders")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when all articles are read.")] = False,
    model: ModelOption = None,
    profile: ProfileOption = None,
    metrics_port: MetricsPortOption = None,
) -> None:
    """Code the articles in the broker; store and publish their events.

    Goes on until Ctrl-C. Workers of one group share the articles, on this machine and others. Whatever kills a worker, no
    article is lost and no event published twice.

    \b
    Examples:
      conflictwire worker --workers 4
      conflictwire worker --once
    """
    from ingest.health import serving
    from ingest.processes import run_workers

    session = session_of(ctx)
    session.options |= {"group": group, "model": model, "profile": profile} | _metrics(metrics_port)
    session.make_data_dir()
    with serving(session.settings, several=workers > 1) as server:
        code = run_workers(workers, session.settings, once=once, serving=server)
    raise typer.Exit(code)


def keep(
    ctx: typer.Context,
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="Consumer group.", show_default="incidents")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End when all events are read.")] = False,
    metrics_port: MetricsPortOption = None,
) -> None:
    """Put the events in the broker together to incidents; store and publish those.

    Goes on until Ctrl-C. One keeper works on a store at a time: another one waits, and takes over when that ends or dies.
    Whatever kills it, no event is lost or counted twice. `conflictwire run` keeps incidents by itself.

    \b
    Examples:
      conflictwire keep
      conflictwire keep --once
    """
    from ingest.health import serving
    from ingest.incidents import keep_incidents

    session = session_of(ctx)
    session.options |= {"incidents_group": group} | _metrics(metrics_port)
    session.make_data_dir()
    with serving(session.settings, workers=False, articles=False, incidents=True):
        code = keep_incidents(session.settings, once=once)
    raise typer.Exit(code)


def recode(
    ctx: typer.Context,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="WHEN", help="Only articles fetched since, such as 2026-11-01 or 7d."),
    ] = None,
    model: ModelOption = None,
    profile: ProfileOption = None,
) -> None:
    """Code stored articles again; what changes becomes revisions.

    The articles are published to the topic of articles once more, and this process works as one more worker until all is
    read, so their order holds against articles that arrive meanwhile. With --model it must be the only worker: others
    would take their share with the weights they have. Articles whose text retention has emptied stay as they are.

    \b
    Examples:
      conflictwire recode
      conflictwire recode --since 30d --model ./my-weights
    """
    from ingest.processes import run_workers
    from ingest.worker import reasons
    from models.errors import ConflictwireError

    session = session_of(ctx)
    session.options |= {"model": model, "profile": profile}
    from_time = check_when(since)
    with session.store() as store, session.broker() as broker:
        expected = _lag(session, broker)
        coder = session.coder()  # before anything is published: weights that cannot be read must change nothing
        published, empty = _publish_again(session, store, broker, from_time)
    if not published:
        session.say("no stored articles to code again")
        return
    left = f"; {empty} without a text stay as they are" if empty else ""
    session.say(f"{published} articles published again{left}")
    seen = changed = 0
    not_coded: Counter[str] = Counter()

    def count(batch: Batch) -> None:
        nonlocal seen, changed
        seen += batch.records
        changed += len(batch.events)
        not_coded.update(batch.not_coded)

    code = run_workers(1, session.settings, once=True, load=lambda settings, workers: coder, on_batch=count)
    session.say(f"{seen - not_coded.total()} articles coded, {changed} event revisions published")
    if not_coded:
        session.say(f"{not_coded.total()} not coded: {reasons(not_coded)}")
    if code == 0 and model and seen < expected + published:
        raise ConflictwireError(
            f"other workers of group {session.settings.group!r} coded {expected + published - seen} of the articles with "
            "their own weights: stop them and recode again"
        )
    raise typer.Exit(code)


def _lag(session: Session, broker: Broker) -> int:
    settings = session.settings
    return sum(partition.lag for partition in broker.lag(settings.topics.articles, settings.group))


def _publish_again(session: Session, store: Store, broker: Broker, since: datetime | None) -> tuple[int, int]:
    """Publish the stored articles fetched since then; how many, and how many were left out as their text is gone."""
    from ingest.recode import again

    topic = session.settings.topics.articles
    published = empty = 0
    with closing(broker.producer()) as producer:
        for batch in again(store.articles(), since, topic):
            producer.send(batch.records)
            published += len(batch.records)
            empty += batch.empty
    return published, empty
