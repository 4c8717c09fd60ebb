"""Commands for the catalogue of feeds: add, list, check, import, export, disable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from ingest.cli.common import Session, TableFormat, session_of, write_line

if TYPE_CHECKING:
    from ingest.feeds.catalog import Feed
    from ingest.feeds.fetch import Fetcher
    from ingest.feeds.parse import ParsedFeed, ParserPool
    from ingest.storage import FeedState

app = typer.Typer(help="The catalogue of feeds, with each feed's health.", no_args_is_help=True)


@app.command()
def add(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(show_default=False)],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call it.", show_default="the host's name")
    ] = None,
    country: Annotated[
        str | None, typer.Option("--country", metavar="CODE", help="The publisher's, ISO 3166-1 alpha-3.")
    ] = None,
    language: Annotated[str | None, typer.Option("--language", metavar="TAG", help="BCP 47, such as en.")] = None,
    publisher: Annotated[str | None, typer.Option("--publisher", metavar="NAME")] = None,
    full_text: Annotated[
        bool | None,
        typer.Option(
            "--full-text/--summary",
            help="Always or never fetch the page behind an entry.",
            show_default="when the feed gives summaries only",
        ),
    ] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="First see whether it can be read.")] = True,
) -> None:
    """Add a feed to the catalogue, or enable one that was disabled.

    \b
    Examples:
      conflictwire feeds add https://example.org/world.xml
      conflictwire feeds add https://example.org/rss --name sahel-desk --country SEN --language fr
    """
    from ingest.errors import CatalogError
    from ingest.feeds.catalog import Feed, add_feed, catalog_in_force, catalog_path, enable_feed

    session = session_of(ctx)
    path = catalog_path(session.settings)
    known = next((feed for feed in catalog_in_force(session.settings) if feed.url == url), None)
    with session.store() as store:
        state = store.feed_states().get(known.name) if known else None
        if state and state.disabled:  # it was gone, and the user knows better
            store.save_feed_state(replace(state, disabled=False, next_due=None))
            session.say(f"{state.name!r} is pulled again")
            return
    if known and known.enabled:
        raise CatalogError(f"{url} is in the catalogue already, as {known.name!r}")
    feed = known or Feed(
        name=name or (urlsplit(url).hostname or url).removeprefix("www."),
        url=url,
        country=country.upper() if country else None,
        language=language,
        publisher=publisher,
        full_text=full_text,
    )
    if check:
        (answer,) = asyncio.run(check_feeds([feed], session))
        if answer.error:
            raise CatalogError(f"{answer.error}; not added (--no-check adds it all the same)")
        session.say(f"{len(answer.entries)} entries: {answer.title}")
    _say_copied(session, path)
    if known:
        enable_feed(path, known.name, True)
    else:
        add_feed(path, feed)
    session.say(f"{'enabled' if known else 'added'} {feed.name!r} in {path}")


@app.command("list")
def list_(
    ctx: typer.Context,
    format: Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON object a line.")] = "table",
) -> None:
    """List the feeds with their health and when each is due.

    \b
    Examples:
      conflictwire feeds list
      conflictwire feeds list --format json | jq -r 'select(.failures > 2) | .name'
    """
    from ingest.feeds.catalog import catalog_in_force
    from ingest.render import add_row, new_table, safe_json, short_time
    from ingest.storage import FeedState

    session = session_of(ctx)
    feeds = catalog_in_force(session.settings)
    with session.store() as store:
        states = store.feed_states()
    table = new_table(
        "name", "health", "last read", "next due", "articles", "url", "last error", wide=("name", "url", "last error")
    )
    for feed in feeds:
        state = states.get(feed.name) or FeedState(feed.name)
        if format == "json":
            write_line(safe_json(json.dumps(_feed_row(feed, state))))
            continue
        due = short_time(state.next_due) if feed.enabled and not state.disabled else ""
        row = [feed.name, feed_health(feed, state), short_time(state.last_success), due, str(state.new_entries)]
        add_row(table, [*row, feed.url, state.last_error])
    if format == "table":
        session.out.print(table)


def feed_health(feed: Feed, state: FeedState) -> str:
    """In a word or two how a feed is."""
    if not feed.enabled:
        return "disabled"
    if state.disabled:
        return "gone"
    if state.failures:
        return f"failed {state.failures}x"
    return "ok" if state.last_success else "never read"


def _feed_row(feed: Feed, state: FeedState) -> dict[str, Any]:
    from ingest.records import format_time

    known = {name: format_time(v) if isinstance(v, datetime) else v for name, v in asdict(state).items()}
    return {**asdict(feed), **known, "health": feed_health(feed, state)}


class Checked:
    """What came of reading a feed once, without keeping anything."""

    def __init__(self, feed: Feed, parsed: ParsedFeed | None, error: str | None, seconds: float) -> None:
        self.feed = feed
        self.title = parsed.title if parsed else ""
        self.entries = parsed.entries if parsed else ()
        self.error = error
        self.seconds = seconds

    @property
    def newest(self) -> datetime | None:
        """When its newest entry was published, if any says so."""
        return max((entry.published for entry in self.entries if entry.published), default=None)


async def check_feeds(feeds: Sequence[Feed], session: Session) -> list[Checked]:
    """Fetch and parse each of `feeds`; nothing is published or remembered."""
    from ingest.feeds.fetch import Fetcher
    from ingest.feeds.parse import ParserPool

    limits = session.settings.fetch
    turns = asyncio.Semaphore(limits.concurrency)
    async with Fetcher(limits) as fetcher, ParserPool(limits) as parsers:

        async def in_turn(feed: Feed) -> Checked:
            async with turns:
                return await _check_feed(feed, fetcher, parsers)

        return list(await asyncio.gather(*map(in_turn, feeds)))


async def _check_feed(feed: Feed, fetcher: Fetcher, parsers: ParserPool) -> Checked:
    from ingest.errors import FetchError, ParseError

    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        fetched = await fetcher.get(feed.url)
        parsed = await parsers.feed(fetched.body, fetched.content_type, fetched.url)
    except (FetchError, ParseError) as error:
        return Checked(feed, None, str(error), loop.time() - began)
    return Checked(feed, parsed, None, loop.time() - began)


@app.command()
def check(
    ctx: typer.Context,
    urls: Annotated[
        list[str] | None,
        typer.Argument(metavar="URL", help="A feed's address or name; all feeds without.", show_default=False),
    ] = None,
    format: Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON object a line.")] = "table",
) -> None:
    """Fetch and read feeds once, to see whether they work; nothing is kept.

    Ends with 1 if any does not.

    \b
    Examples:
      conflictwire feeds check
      conflictwire feeds check https://example.org/world.xml
    """
    from ingest.errors import CatalogError
    from ingest.feeds.catalog import Feed, catalog_in_force
    from ingest.records import format_time
    from ingest.render import add_row, new_table, safe_json, short_time

    session = session_of(ctx)
    feeds = [feed for feed in catalog_in_force(session.settings) if feed.enabled]
    if urls:
        by_name = {feed.name: feed for feed in feeds}
        unknown = [url for url in urls if url not in by_name and "://" not in url]
        if unknown:
            raise CatalogError(
                f"{unknown[0]!r} is no URL and no enabled feed; `conflictwire feeds list` shows the names"
            )
        feeds = [by_name.get(url) or Feed(url, url) for url in urls]
    answers = asyncio.run(check_feeds(feeds, session))
    table = new_table("name", "entries", "newest", "seconds", "title or error", wide=("name", "title or error"))
    for answer in answers:
        if format == "json":
            newest = format_time(answer.newest) if answer.newest else None
            row: dict[str, Any] = {
                "name": answer.feed.name,
                "url": answer.feed.url,
                "title": answer.title,
                "newest": newest,
            }
            row |= {"entries": len(answer.entries), "seconds": round(answer.seconds, 3), "error": answer.error}
            write_line(safe_json(json.dumps(row)))
            continue
        found = "failed" if answer.error else str(len(answer.entries))
        what = answer.error or answer.title
        add_row(table, [answer.feed.name, found, short_time(answer.newest), f"{answer.seconds:.1f}", what])
    if format == "table":
        session.out.print(table)
    failed = sum(answer.error is not None for answer in answers)
    session.say(f"{len(answers) - failed} of {len(answers)} feeds can be read")
    if failed:
        raise typer.Exit(1)


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.opml", exists=True, dir_okay=False, help="As feed readers export it.", show_default=False
        ),
    ],
) -> None:
    """Add the feeds of an OPML file to the catalogue; those it has already stay as they are.

    \b
    Example:
      conflictwire feeds import subscriptions.opml
    """
    from ingest.feeds.catalog import add_feed, catalog_in_force, catalog_path, read_opml

    session = session_of(ctx)
    found = read_opml(file.read_bytes())
    known = catalog_in_force(session.settings)
    urls = {feed.url for feed in known}
    new = renamed([feed for feed in found if feed.url not in urls], {feed.name for feed in known})
    path = catalog_path(session.settings)
    if new:
        _say_copied(session, path)
        add_feed(path, *new)
    session.say(f"{len(new)} feeds added to {path}, {len(found) - len(new)} were there already")


def renamed(feeds: Sequence[Feed], names: set[str]) -> list[Feed]:
    """`feeds`, with a number after each name that is in `names`, or comes twice."""
    taken, unique = set(names), []
    for feed in feeds:
        name, number = feed.name, 1
        while name in taken:
            number += 1
            name = f"{feed.name} ({number})"
        taken.add(name)
        unique.append(replace(feed, name=name))
    return unique


@app.command()
def export(ctx: typer.Context) -> None:
    """Write the catalogue as OPML to standard output, for other feed readers.

    \b
    Example:
      conflictwire feeds export > feeds.opml
    """
    from ingest.feeds.catalog import catalog_in_force, write_opml

    write_line(write_opml(catalog_in_force(session_of(ctx).settings)).rstrip("\n"))


@app.command()
def disable(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `feeds list` shows it.", show_default=False)],
) -> None:
    """Stop pulling a feed; its articles and events stay. `feeds add URL` enables it again.

    \b
    Example:
      conflictwire feeds disable sahel-desk
    """
    from ingest.feeds.catalog import catalog_path, enable_feed

    session = session_of(ctx)
    path = catalog_path(session.settings)
    _say_copied(session, path)
    enable_feed(path, name, False)
    session.say(f"disabled {name!r} in {path}")


def _say_copied(session: Session, path: Path) -> None:
    if not path.exists():
        session.say(f"{path} begins as a copy of the bundled catalogue", style="dim")
