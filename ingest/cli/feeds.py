"""Commands for the catalogue of feeds: add, list, check, import, export, disable, enable."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from ingest.cli.common import Session, TableFormat, session_of, write_line

if TYPE_CHECKING:
    from ingest.feeds.catalog import Feed
    from ingest.feeds.check import Checked
    from ingest.feeds.discover import Discovery, Found
    from ingest.storage import FeedState, Known

app = typer.Typer(help="The catalogue of feeds, with each feed's health.", no_args_is_help=True)


def _complete_name(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the catalogue for the shell, which shows no errors."""
    from ingest.feeds.catalog import catalog_in_force
    from ingest.settings import load_settings
    from models.errors import ConflictwireError

    options = ctx.find_root().params
    if options.get("config"):
        os.environ["CONFLICTWIRE_CONFIG"] = str(options["config"])
    try:
        feeds = catalog_in_force(load_settings(data_dir=options.get("data_dir")))
    except ConflictwireError:
        return []
    return [feed.name for feed in feeds if feed.name.startswith(incomplete)]


NameArgument = Annotated[
    str,
    typer.Argument(metavar="NAME", help="As `feeds list` shows it.", show_default=False, autocompletion=_complete_name),
]
FormatOption = Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON object a line.")]


@app.command()
def add(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(metavar="URL", help="Of a feed, or of a page of the site.", show_default=False)],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call it.", show_default="the host's name")
    ] = None,
    country: Annotated[
        str | None, typer.Option("--country", metavar="CODE", help="The publisher's, ISO 3166-1 alpha-3.")
    ] = None,
    language: Annotated[str | None, typer.Option("--language", metavar="TAG", help="BCP 47, such as en.")] = None,
    publisher: Annotated[str | None, typer.Option("--publisher", metavar="NAME")] = None,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="FOLDER", help="For feed readers, such as Africa/Sahel.")
    ] = None,
    full_text: Annotated[
        bool | None,
        typer.Option(
            "--full-text/--summary",
            help="Always or never fetch the page behind an entry.",
            show_default="when the feed gives summaries only",
        ),
    ] = None,
    first: Annotated[bool, typer.Option("--first", help="Take the first of several feeds that a site has.")] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="First see whether it can be read, or find the page's feed.")
    ] = True,
) -> None:
    """Add a feed to the catalogue, or enable one that was disabled.

    The address may be that of a site: then its feed is looked for. Where there are several and none is plainly the
    best, they are listed, and the program ends with 2.

    \b
    Examples:
      conflictwire feeds add https://example.org/world.xml
      conflictwire feeds add example.org
      conflictwire feeds add https://example.org/rss --name sahel-desk --country SEN --language fr
    """
    from ingest.errors import CatalogError
    from ingest.feeds.catalog import Feed, add_feed, as_web_url, catalog_in_force, catalog_path, fault_of, url_key
    from ingest.feeds.opml import Names

    session = session_of(ctx)
    feeds = catalog_in_force(session.settings)
    by_url = {url_key(feed.url): feed for feed in feeds}
    url = as_web_url(url)
    if "://" not in url and "." in url:
        url = f"https://{url}"
    known = by_url.get(url_key(url))
    if known:
        if check and not known.enabled:
            _found(session, known.url, first)
        if not _enable(session, known):
            raise CatalogError(f"{url} is in the catalogue already, as {known.name!r}")
        return
    feed = Feed(
        name=name or Names(feed.name for feed in feeds).unused(_host(url)),
        url=url,
        country=country.upper() if country else None,
        language=language,
        publisher=publisher,
        full_text=full_text,
        folder=folder,
    )
    if fault := fault_of(feed):
        raise CatalogError(fault)
    if check:
        found = _found(session, url, first)
        if known := by_url.get(url_key(found.url)):
            raise CatalogError(f"{found.url} is in the catalogue already, as {known.name!r}")
        feed = replace(feed, url=found.url)
    path = catalog_path(session.settings)
    _say_copied(session, path)
    add_feed(path, feed)
    session.say(f"added {feed.name!r} in {path}")


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or url).removeprefix("www.")
    except ValueError:
        return url


_HOW = {"link": "which the page declares", "anchor": "to which the page links", "path": "where sites often have one"}


def _found(session: Session, url: str, first: bool) -> Found:
    """The feed at `url`, or the one that the page there leads to. Raises CatalogError, typer.Exit."""
    from ingest.errors import CatalogError, FetchError, ParseError
    from ingest.feeds.check import advice

    try:
        discovery = asyncio.run(_discover(session, url))
    except (FetchError, ParseError) as error:
        status = error.status if isinstance(error, FetchError) else None
        where = "" if url in str(error) else f"{url}: "
        what = advice(error.kind, status)
        raise CatalogError(f"{where}{error}; not added (--no-check adds it all the same). {what}") from error
    if not discovery.feeds:
        raise CatalogError(
            f"{url} is a web page, and no feed of its site was found at {discovery.tried} addresses; not added"
        )
    chosen = discovery.feeds[0] if first else discovery.best
    if chosen is None:
        session.say(f"{url} is a web page of a site with {len(discovery.feeds)} feeds:")
        for feed in discovery.feeds:
            session.say(f"  {feed.url}  {feed.entries} entries: {feed.title}")
        session.say("give the address of one of them, or --first")
        raise typer.Exit(2)
    if chosen.source != "page":
        session.say(f"{url} is a web page; taking the feed {chosen.url}, {_HOW[chosen.source]}")
    session.say(f"{chosen.entries} entries: {chosen.title}")
    for other in discovery.feeds:
        if other is not chosen:
            session.say(f"not taken: {other.url}  {other.entries} entries: {other.title}", style="dim")
    return chosen


async def _discover(session: Session, url: str) -> Discovery:
    from ingest.feeds.discover import discover
    from ingest.feeds.fetch import Fetcher
    from ingest.feeds.parse import ParserPool

    limits = session.settings.fetch
    async with Fetcher(limits) as fetcher, ParserPool(limits) as parsers:
        return await discover(url, fetcher, parsers)


@app.command("list")
def list_(
    ctx: typer.Context,
    failing: Annotated[bool, typer.Option("--failing", help="Only those whose last pull failed.")] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Only those that are not pulled.")] = False,
    format: FormatOption = "table",
) -> None:
    """List the feeds with their health, when each is due, how often it is pulled, and its articles a day.

    \b
    Examples:
      conflictwire feeds list
      conflictwire feeds list --failing --disabled
      conflictwire feeds list --format json | jq -r 'select(.failures > 2) | .name'
    """
    from rich.text import Text

    from ingest.feeds.catalog import catalog_in_force
    from ingest.feeds.check import short_span
    from ingest.feeds.schedule import at_url
    from ingest.log import mask
    from ingest.render import add_row, new_table, safe, safe_json, short_time
    from ingest.storage import FeedState

    session = session_of(ctx)
    feeds = catalog_in_force(session.settings)
    with session.store() as store:
        states = store.feed_states()
    table = new_table(
        *("name", "health", "last read", "next due", "every", "a day", "url", "last error"),
        wide=("name", "url", "last error"),
    )
    for feed in feeds:
        state = at_url(states.get(feed.name) or FeedState(feed.name), feed.url)
        health = feed_health(feed, state)
        if (failing or disabled) and not (
            (failing and health == "failing") or (disabled and health in ("disabled", "gone"))
        ):
            continue
        if format == "json":
            write_line(safe_json(json.dumps(_feed_row(feed, state))))
            continue
        pulled = health not in ("disabled", "gone")
        add_row(
            table,
            [
                feed.name,
                Text(safe(_health_shown(health, state)), style=_STYLES[health]),
                short_time(state.last_success),
                short_time(state.next_due) if pulled else "",
                short_span(state.interval) if pulled and state.interval else "",
                "" if state.per_day is None else f"{state.per_day:.1f}",
                mask(state.url or feed.url),
                notice(feed, state) or state.last_error,
            ],
        )
    if format == "table":
        session.out.print(table)


_STYLES = {"ok": "green", "failing": "bold red", "gone": "yellow", "disabled": "dim", "never read": "dim"}


def feed_health(feed: Feed, state: FeedState) -> str:
    """In a word how a feed is: ok, never read, failing, gone (the server says for good), disabled (by the user)."""
    if not feed.enabled:
        return "disabled"
    if state.disabled:
        return "gone"
    if state.failures:
        return "failing"
    return "ok" if state.last_success else "never read"


def notice(feed: Feed, state: FeedState) -> str | None:
    """What a user should know about a feed that is gone, and what can be done."""
    if feed_health(feed, state) != "gone":
        return None
    return f"{state.last_error or 'the server says that it is gone'}; `feeds enable` tries it again"


def _health_shown(health: str, state: FeedState) -> str:
    from ingest.render import short_time

    if health != "failing":
        return health
    since = f"since {short_time(state.last_success)}" if state.last_success else "from the first"
    return f"failing {since} ({state.failures}x)"


def _feed_row(feed: Feed, state: FeedState) -> dict[str, Any]:
    from ingest.log import mask
    from ingest.records import format_time

    known = {name: format_time(v) if isinstance(v, datetime) else v for name, v in asdict(state).items()}
    return {
        **known,
        **asdict(feed),
        "pulled_from": mask(state.url or feed.url),
        "url": mask(feed.url),
        "moved_to": state.moved_to and mask(state.moved_to),
        "health": feed_health(feed, state),
        "failing_since": known["last_success"] if state.failures else None,
        "notice": notice(feed, state),
    }


@app.command()
def check(
    ctx: typer.Context,
    urls: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="URL",
            help="A feed's address or name; all enabled feeds without.",
            show_default=False,
            autocompletion=_complete_name,
        ),
    ] = None,
    format: Annotated[TableFormat, typer.Option("--format", help="To read, or one JSON object a line.")] = "table",
) -> None:
    """Fetch and read feeds once, to see whether they work; nothing is kept. Ends with 1 if any does not.

    Feeds that are named are explained: what the server answers and whether it knows what has not changed, encoding,
    format, languages and rhythm, what a pull now would bring, whether the pages behind it may be fetched, and what to
    do where it is broken.

    \b
    Examples:
      conflictwire feeds check
      conflictwire feeds check https://example.org/world.xml
      conflictwire feeds check sahel-desk --format json
    """
    from ingest.feeds.catalog import catalog_in_force
    from ingest.feeds.schedule import at_url
    from ingest.render import safe_json
    from ingest.storage import FeedState

    session = session_of(ctx)
    catalogue = catalog_in_force(session.settings)
    wanted = _named(catalogue, urls) if urls else [feed for feed in catalogue if feed.enabled]
    with session.store() as store:
        states = store.feed_states()
        kept = {feed.name: at_url(states.get(feed.name) or FeedState(feed.name), feed.url) for feed in wanted}
        answers = asyncio.run(_check(wanted, kept, session, store.known, thorough=bool(urls)))
    if format == "json":
        for answer in answers:
            write_line(safe_json(json.dumps(_checked_row(answer))))
    elif urls:
        for answer in answers:
            _explain(session, answer, kept[answer.feed.name])
    else:
        session.out.print(_checked_table(answers))
    failed = sum(answer.error is not None for answer in answers)
    session.say(f"{len(answers) - failed} of {len(answers)} feeds can be read")
    if failed:
        raise typer.Exit(1)


def _named(catalogue: Sequence[Feed], urls: Sequence[str]) -> list[Feed]:
    """The feeds that are called or lie at `urls`, each once; others as they may be added. Raises CatalogError."""
    from ingest.errors import CatalogError
    from ingest.feeds.catalog import Feed, as_web_url, url_key

    by_name = {feed.name: feed for feed in catalogue}
    by_url = {url_key(feed.url): feed for feed in catalogue}
    found: dict[str, Feed] = {}
    for url in urls:
        if url not in by_name and "://" not in url:
            raise CatalogError(f"{url!r} is no URL and no feed; `conflictwire feeds list` shows the names")
        feed = by_name.get(url) or by_url.get(url_key(as_web_url(url))) or Feed(url, as_web_url(url))
        found[feed.name] = feed
    return list(found.values())


async def _check(
    feeds: Sequence[Feed],
    states: Mapping[str, FeedState],
    session: Session,
    known: Callable[[Sequence[str]], Mapping[str, Known]],
    thorough: bool,
) -> list[Checked]:
    from ingest.feeds.check import check_feed
    from ingest.feeds.fetch import Fetcher
    from ingest.feeds.parse import ParserPool

    limits = session.settings.fetch
    turns = asyncio.Semaphore(limits.concurrency)
    async with Fetcher(limits) as fetcher, ParserPool(limits) as parsers:

        async def in_turn(feed: Feed) -> Checked:
            async with turns:
                return await check_feed(feed, states[feed.name], fetcher, parsers, known, thorough=thorough)

        return list(await asyncio.gather(*map(in_turn, feeds)))


def _checked_table(answers: Sequence[Checked]) -> Any:
    from ingest.render import add_row, new_table, short_time

    table = new_table("name", "entries", "new", "newest", "seconds", "title or error", wide=("name", "title or error"))
    for answer in answers:
        content = answer.content
        row = ["failed", "", ""]
        if content:
            row = [str(content.entries), str(content.new + content.changed), short_time(content.rhythm.newest)]
        what = answer.error or (content.title if content else "")
        add_row(table, [answer.feed.name, *row, f"{answer.seconds:.1f}", what])
    return table


def _checked_row(answer: Checked) -> dict[str, Any]:
    from ingest.log import mask
    from ingest.records import format_time

    body, content = answer.body, answer.content
    row: dict[str, Any] = {
        "name": answer.feed.name,
        "url": mask(answer.feed.url),
        "seconds": round(answer.seconds, 3),
        "error": answer.error,
        "error_kind": answer.error_kind,
        "advice": answer.advice,
    }
    if body:
        row |= asdict(body) | {"url": row["url"], "final_url": mask(body.url)}
        row["redirects"] = [{"status": each.status, "url": mask(each.url)} for each in body.redirects]
    if content:
        row |= asdict(content)
        newest, oldest = content.rhythm.newest, content.rhythm.oldest
        times = {"newest": newest, "oldest": oldest}
        row |= {name: format_time(time) if time else None for name, time in times.items()}
        row |= {"dated": content.rhythm.dated, "gap": content.rhythm.gap}
        del row["rhythm"]
    return row


def _explain(session: Session, answer: Checked, state: FeedState) -> None:
    from rich.text import Text

    from ingest.log import mask
    from ingest.render import safe

    def line(label: str, text: str, style: str = "") -> None:
        session.out.print(Text.assemble(("  " + label.ljust(12), "dim"), (safe(mask(text)), style)), soft_wrap=True)

    names = dict.fromkeys((answer.feed.name, answer.feed.url))
    session.out.print(Text(safe(mask("  ".join(names))), style="bold"), soft_wrap=True)
    for label, text in explained(answer, state, datetime.now(UTC)):
        line(label, text, "red" if label == "error" else "")


def explained(answer: Checked, state: FeedState, now: datetime) -> Iterator[tuple[str, str]]:
    """What there is to say about a feed at `now`, in lines of a label and a text."""
    from ingest.feeds.check import short_span
    from ingest.render import short_time

    body, content = answer.body, answer.content
    if body:
        yield "answer", f"{body.status}, {body.size:,} bytes, {body.content_type or 'no type'}, {answer.seconds:.1f} s"
        for hop in body.redirects:
            yield "redirect", f"{hop.status} to {hop.url}"
        yield "validators", _validators(body.etag, body.last_modified, body.honoured)
        encoding = body.encoding
        named = [f"{name} says {what}" for name, what in (("HTTP", encoding.http), ("XML", encoding.xml)) if what]
        unread = f"; {encoding.unreadable} characters cannot be read" if encoding.unreadable else ""
        yield "encoding", (", ".join(named) or "not declared") + unread
        yield "format", body.format
    if content:
        yield "title", content.title or "none"
        rhythm, entries = content.rhythm, content.entries
        yield "entries", f"{entries}, {content.complete} with their whole text, {rhythm.dated} with a time"
        found = ", ".join(f"{count} {language}" for language, count in content.languages.items())
        yield "language", f"the feed says {content.language or 'nothing'}; entries: {found or 'none'}"
        gap = f", one every {short_span(rhythm.gap)} (median)" if rhythm.gap is not None else ""
        if rhythm.newest:
            age = f"{short_span(max((now - rhythm.newest).total_seconds(), 0.0))} ago"
            yield "rhythm", f"newest {short_time(rhythm.newest)} UTC, {age}{gap}"
        else:
            yield "rhythm", "entries have no times"
        if content.ttl:
            yield "asks", f"to be left alone for {short_span(content.ttl)}"
        yield "a pull now", f"{content.new} new, {content.changed} changed, {content.known} known"
        if content.pages_allowed is not None:
            no = "may not be fetched: robots.txt forbids it, or cannot be had"
            yield "pages", "may be fetched" if content.pages_allowed else no
    if state.pulls:
        due = f", next due {short_time(state.next_due)}" if state.next_due and not state.disabled else ""
        read = f", last read {short_time(state.last_success)}" if state.last_success else ", never read"
        yield "so far", f"pulled {state.pulls} times{read}{due}"
    if state.disabled:
        yield "notice", "it was gone and is not pulled; `conflictwire feeds enable` tries it again"
    if answer.error:
        yield "error", answer.error
        yield "what to do", answer.advice or ""


def _validators(etag: str | None, last_modified: str | None, honoured: bool | None) -> str:
    names = " and ".join(name for name, value in (("ETag", etag), ("Last-Modified", last_modified)) if value)
    if not names:
        return "none: every pull transfers the whole feed"
    works = {
        True: "a second request is answered 304",
        False: "but a second request is answered in full",
        None: "not tried",
    }
    return f"{names}; {works[honoured]}"


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

    Each feed that is refused is told with its line and the reason. Ends with 1 if no feed can be taken.

    \b
    Example:
      conflictwire feeds import subscriptions.opml
    """
    from ingest.errors import CatalogError
    from ingest.feeds.catalog import add_feed, catalog_in_force, catalog_path, url_key
    from ingest.feeds.opml import Names, read_opml

    session = session_of(ctx)
    data = file.read_bytes()
    with _progress(session, "reading", data.lower().count(b"xmlurl")) as on_feeds:
        found = read_opml(data, on_feeds)
    known = catalog_in_force(session.settings)
    urls = {url_key(feed.url) for feed in known}
    names = Names(feed.name for feed in known)
    new = [replace(feed, name=names.unused(feed.name)) for feed in found.feeds if url_key(feed.url) not in urls]
    path = catalog_path(session.settings)
    if new:
        _say_copied(session, path)
        with _progress(session, "writing", None):
            add_feed(path, *new)
    for refused in found.refused:
        session.say(f"{file}:{refused.line}: {refused.name!r} refused: {refused.reason}")
    parts = [f"{len(new)} feeds added to {path}", f"{len(found.feeds) - len(new)} were there already"]
    if found.repeated:
        parts.append(f"{found.repeated} stand there twice")
    session.say(", ".join([*parts, f"{len(found.refused)} refused"]))
    if not found.feeds:
        raise CatalogError(f"{file}: {'every feed was refused' if found.refused else 'there are no feeds in it'}")


@contextmanager
def _progress(session: Session, doing: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while something takes its time, where that is a terminal; gone afterwards."""
    from rich.progress import Progress

    bar = Progress(
        console=session.err,
        transient=True,
        disable=not session.err.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar:
        task = bar.add_task(f"{doing} feeds", total=total)
        yield lambda done: bar.update(task, completed=done)


@app.command()
def export(ctx: typer.Context) -> None:
    """Write the catalogue as OPML to standard output, for other feed readers.

    \b
    Example:
      conflictwire feeds export > feeds.opml
    """
    from ingest.feeds.catalog import catalog_in_force
    from ingest.feeds.opml import write_opml

    write_line(write_opml(catalog_in_force(session_of(ctx).settings)).rstrip("\n"))


@app.command()
def disable(ctx: typer.Context, name: NameArgument) -> None:
    """Stop pulling a feed; its articles and events stay. `feeds enable` has it pulled again.

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


@app.command()
def enable(ctx: typer.Context, name: NameArgument) -> None:
    """Pull a feed again that was disabled, or that its server said was gone.

    \b
    Example:
      conflictwire feeds enable sahel-desk
    """
    from ingest.errors import CatalogError
    from ingest.feeds.catalog import catalog_in_force

    session = session_of(ctx)
    feed = next((feed for feed in catalog_in_force(session.settings) if feed.name == name), None)
    if feed is None:
        raise CatalogError(f"there is no feed called {name!r}; `conflictwire feeds list` shows the names")
    if not _enable(session, feed):
        session.say(f"{name!r} is enabled already")


def _enable(session: Session, feed: Feed) -> bool:
    """Have a feed of the catalogue pulled again; whether it was not."""
    from ingest.feeds.catalog import catalog_path, enable_feed

    path = catalog_path(session.settings)
    with session.store() as store:
        state = store.feed_states().get(feed.name)
        gone = state is not None and state.disabled
        if state is not None and gone:  # the user knows better
            store.save_feed_state(replace(state, disabled=False, next_due=None))
            session.say(f"{feed.name!r} is pulled again")
    if not feed.enabled:
        _say_copied(session, path)
        enable_feed(path, feed.name, True)
        session.say(f"enabled {feed.name!r} in {path}")
    return gone or not feed.enabled


def _say_copied(session: Session, path: Path) -> None:
    if not path.exists():
        session.say(f"{path} begins as a copy of the bundled catalogue", style="dim")
