"""Commands that read what was coded: tail, events, articles, export."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ingest.cli.common import (
    AsOfOption,
    ConfidenceOption,
    CountryOption,
    FeedOption,
    HappenedSinceOption,
    HappenedUntilOption,
    RealisOption,
    RetractedOption,
    SinceOption,
    TableFormat,
    TextFormat,
    TypeOption,
    UntilOption,
    reader_gone,
    session_of,
    wanted_events,
    write_line,
    write_record,
)

if TYPE_CHECKING:
    from ingest.broker import Record
    from ingest.errors import RecordError
    from ingest.records import Article

_TABLE_ROWS = 50

LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit", "-n", min=1, metavar="N", help=f"At most so many (default: {_TABLE_ROWS} in a table, else all)."
    ),
]


def tail(
    ctx: typer.Context,
    type: TypeOption = None,
    country: CountryOption = None,
    realis: RealisOption = None,
    feed: FeedOption = None,
    min_confidence: ConfidenceOption = None,
    since: SinceOption = None,
    format: Annotated[TextFormat, typer.Option("--format", help="Lines to read, or one JSON record a line.")] = "text",
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", help="Wait for more, or end when all that is there is read.")
    ] = True,
) -> None:
    """Follow tagged events as they are coded.

    Goes on until Ctrl-C. Without --since it starts with what comes next (--no-follow: with the first that is there).
    A filter given several times lets any of its values pass; different filters must all pass.

    \b
    Examples:
      conflictwire tail --type ASSAULT --country UKR --country RUS
      conflictwire tail --since 2h --no-follow --format json | jq .trigger.text
    """
    from ingest.render import print_event
    from ingest.tail import read_events

    session = session_of(ctx)
    # A follower that never heard of a retraction would go on believing the event.
    wanted = wanted_events(type, country, realis, feed, min_confidence, since, retracted=True)

    def unreadable(record: Record, error: RecordError) -> None:
        session.say(f"passed over {record.topic}/{record.partition}/{record.offset}: {error}", style="yellow")

    start: Literal["earliest", "latest"] | int = "latest" if follow else "earliest"
    if wanted.query.since:
        start = max(int(wanted.query.since.timestamp() * 1000), 0)
    with session.broker() as broker, closing(broker.reader(session.settings.topics.events, start)) as reader:
        for batch in read_events(reader, wanted.matches, follow=follow, stopped=reader_gone, on_unreadable=unreadable):
            for event in batch:
                if format == "json":
                    write_record(event)
                else:
                    print_event(session.out, event)
            sys.stdout.flush()


def events(
    ctx: typer.Context,
    type: TypeOption = None,
    country: CountryOption = None,
    realis: RealisOption = None,
    feed: FeedOption = None,
    min_confidence: ConfidenceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    happened_since: HappenedSinceOption = None,
    happened_until: HappenedUntilOption = None,
    as_of: AsOfOption = None,
    retracted: RetractedOption = False,
    limit: LimitOption = None,
    format: Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON record a line.")] = "table",
) -> None:
    """Show the events in the store, the newest first.

    With --as-of those that were known at a time, in the revisions of that time: what was edited, coded again or retracted
    later is as it was. --happened-since and --happened-until ask for when it happened, not when it became known.

    \b
    Examples:
      conflictwire events --country SDN --since 3d
      conflictwire events --type PROTEST --format json | jq -r .location.name
      conflictwire events --country MLI --happened-since 2026-10-01 --happened-until 2026-11-01 --as-of 2026-11-03
    """
    from ingest.render import event_table

    session = session_of(ctx)
    wanted = wanted_events(
        type, country, realis, feed, min_confidence, since, until, retracted, happened_since, happened_until, as_of
    )
    with session.store() as store:
        wanted = wanted.settled(session, store)
        if format == "json":
            for event in wanted.of_store(store, limit):
                write_record(event)
            return
        rows = list(wanted.of_store(store, (limit or _TABLE_ROWS) + 1))
    shown = rows[: limit or _TABLE_ROWS]
    if not shown:
        session.say("no events: `conflictwire doctor` says whether all is well, `conflictwire run` pulls and codes")
        return
    session.out.print(event_table(shown))
    if len(rows) > len(shown):
        session.say(f"the newest {len(shown)}; --limit shows more", style="dim")


def articles(
    ctx: typer.Context,
    feed: Annotated[str | None, typer.Option("--feed", metavar="NAME", help="Only this feed.")] = None,
    not_coded: Annotated[
        bool, typer.Option("--not-coded", help="Only those that were not coded, such as in other languages, and why.")
    ] = False,
    limit: LimitOption = None,
    format: Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON record a line.")] = "table",
) -> None:
    """Show the articles in the store, the newest first.

    \b
    Examples:
      conflictwire articles --feed sahel-desk --limit 20
      conflictwire articles --not-coded
      conflictwire articles --format json | jq -r .title
    """
    from ingest.render import add_row, new_table, safe_json, short_time

    session = session_of(ctx)
    at_most = limit if format == "json" else (limit or _TABLE_ROWS) + 1
    with session.store() as store:
        found: Iterator[tuple[Article, str | None]] = (
            store.not_coded(feed, at_most) if not_coded else zip(store.articles(feed, at_most), repeat(None))
        )
        if format == "json":
            for article, reason in found:
                line = article.to_json().decode()
                if reason:
                    line = json.dumps(json.loads(line) | {"not_coded": reason}, ensure_ascii=False)
                write_line(safe_json(line))
            return
        rows = list(found)
    shown = rows[: limit or _TABLE_ROWS]
    if not shown and not_coded:
        session.say("every article in the store was coded")
        return
    if not shown:
        session.say("no articles: `conflictwire run` or `conflictwire pull` reads the feeds")
        return
    columns = ["published", "feed", "title", "language", "revision", "characters", "url"]
    table = new_table(*columns, *(["not coded"] if not_coded else []), wide=("title", "url"))
    for article, reason in shown:
        size, revision = str(len(article.text)), str(article.revision)
        published = short_time(article.published or article.fetched)
        cells = [published, article.feed, article.title, article.language, revision, size, article.url]
        add_row(table, [*cells, reason] if not_coded else cells)
    session.out.print(table)
    if len(rows) > len(shown):
        session.say(f"the newest {len(shown)}; --limit shows more", style="dim")


def export(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(help="Where to; - is standard output.", show_default=False)],
    format: Annotated[
        Literal["csv", "jsonl", "parquet", "geojson", "acled", "cameo"],
        typer.Option("--format", "-f", help="What to write: see docs/export.md."),
    ],
    type: TypeOption = None,
    country: CountryOption = None,
    realis: RealisOption = None,
    feed: FeedOption = None,
    min_confidence: ConfidenceOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    happened_since: HappenedSinceOption = None,
    happened_until: HappenedUntilOption = None,
    as_of: AsOfOption = None,
    retracted: RetractedOption = False,
) -> None:
    """Write the events in the store to a file, the oldest first.

    JSON lines keep everything; CSV, Parquet and GeoJSON have one flat row an event; acled and cameo are the columns of
    ACLED's CSV and of GDELT 2.0's event table, with the events that happened only. docs/export.md explains every column.
    The file appears under its name only when it is whole. With --as-of it holds what was known at a time, and the same
    call gives the same file, byte for byte, whatever has been stored since.

    \b
    Examples:
      conflictwire export --format csv --since 2026-11-01 events.csv
      conflictwire export --format jsonl --country UKR - | gzip > ukraine.jsonl.gz
      conflictwire export --format acled --country SDN sudan.csv
      conflictwire export --format csv --as-of 2026-11-01T00:00:00Z october.csv
    """
    from ingest.export import export_events
    from models.errors import ConflictwireError

    session = session_of(ctx)
    wanted = wanted_events(
        type, country, realis, feed, min_confidence, since, until, retracted, happened_since, happened_until, as_of
    )
    if file != "-" and (Path(file).is_dir() or not Path(file).absolute().parent.is_dir()):
        raise typer.BadParameter(f"{file!r}: a folder, or in a folder that does not exist", param_hint="FILE")
    with session.store() as store:
        wanted = wanted.settled(session, store)
        try:
            count, left_out = export_events(wanted.of_store(store, None, newest_first=False), format, file)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ConflictwireError(f"cannot write {file}: {error.strerror}") from error
    session.say(f"{count} events written to {'standard output' if file == '-' else file}")
    if left_out:
        why = "retracted, not actual, or without an ACLED code" if format == "acled" else "retracted or not actual"
        session.say(f"{left_out} left out: {why}", style="dim")
