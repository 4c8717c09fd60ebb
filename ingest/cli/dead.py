"""Commands for the dead letters: list, show, replay."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.cli.common import TableFormat, TextFormat, check_when, session_of, write_line
from ingest.dead import Stage

if TYPE_CHECKING:
    from ingest.dead import DeadFilter, DeadLetter

app = typer.Typer(help="Look at articles that could not be coded, and try them again.", no_args_is_help=True)

# Code points of a record that are shown for people: some have millions.
_SHOWN = 20_000

StageOption = Annotated[Stage | None, typer.Option("--stage", help="Only those that failed there.", show_choices=True)]
ExceptionOption = Annotated[str | None, typer.Option("--exception", metavar="NAME", help="Only this kind of error.")]
ArticleOption = Annotated[str | None, typer.Option("--article", metavar="ID", help="Only this article.")]
FeedOption = Annotated[str | None, typer.Option("--feed", metavar="NAME", help="Only articles of this feed.")]
TopicOption = Annotated[
    str | None, typer.Option("--topic", metavar="NAME", help="Only records that came from this topic.")
]
DiedOption = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="Only those that failed since: a date, 2h, 3d, yesterday.")
]
BeforeOption = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="Only those that failed before, given like --since.")
]


def _wanted(
    stage: Stage | None,
    exception: str | None,
    article: str | None,
    feed: str | None,
    topic: str | None,
    since: str | None,
    until: str | None,
) -> DeadFilter:
    from ingest.dead import DeadFilter

    return DeadFilter(stage, exception, article, feed, topic, check_when(since), check_when(until))


@app.command("list")
def list_(
    ctx: typer.Context,
    stage: StageOption = None,
    exception: ExceptionOption = None,
    article: ArticleOption = None,
    feed: FeedOption = None,
    topic: TopicOption = None,
    since: DiedOption = None,
    until: BeforeOption = None,
    format: Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON object a line.")] = "table",
) -> None:
    """List the dead letters.

    \b
    Examples:
      conflictwire dead list --since 1d
      conflictwire dead list --stage code --format json
    """
    from ingest.dead import list_dead
    from ingest.render import add_row, new_table, safe_json, short_time

    session = session_of(ctx)
    wanted = _wanted(stage, exception, article, feed, topic, since, until)
    table = new_table("id", "died", "article", "stage", "attempts", "exception", "message", wide=("message",))
    with session.broker() as broker:
        for letter in list_dead(broker, session.settings, wanted):
            if format == "json":
                write_line(safe_json(json.dumps(letter.to_dict())))
                continue
            failure, key = letter.failure, (letter.key or b"").decode(errors="replace")
            row = [letter.letter_id, short_time(letter.died), key, failure.stage, str(failure.attempts)]
            add_row(table, [*row, failure.exception, failure.message])
    if table.row_count:
        session.out.print(table)
    elif format == "table":
        session.say("no dead letters")


@app.command()
def show(
    ctx: typer.Context,
    id: Annotated[str, typer.Argument(help="As `dead list` shows it.", show_default=False)],
    format: Annotated[TextFormat, typer.Option("--format", help="Lines to read, or one JSON object.")] = "text",
) -> None:
    """Show one dead letter: how it failed, and the record as it was.

    In JSON the record is `value`; where it is no UTF-8, its bytes are `value_base64`.

    \b
    Example:
      conflictwire dead show 3-17
    """
    from rich.text import Text

    from ingest.dead import find_dead
    from ingest.render import safe

    session = session_of(ctx)
    with session.broker() as broker:
        (letter,) = find_dead(broker, session.settings, [id])
    value = letter.value.decode(errors="replace")
    if format == "json":
        shown: dict[str, Any] = {**letter.to_dict(), "value": value}
        if value.encode() != letter.value:
            shown["value_base64"] = base64.b64encode(letter.value).decode()
        write_line(json.dumps(shown))
        return
    for name, said in letter.to_dict().items():
        if name != "history":
            session.out.print(Text(f"{name}: ", style="bold") + Text(safe(str(said))), soft_wrap=True)
    for number, failure in enumerate(letter.history, 1):
        line = f"{failure.stage}, {failure.attempts} attempts: {failure.exception}: {failure.message}"
        session.out.print(Text(f"failure {number}: ", style="bold") + Text(safe(line)), soft_wrap=True)
    session.out.print(Text(safe(value[:_SHOWN])), soft_wrap=True)
    if len(value) > _SHOWN:
        session.say(f"and {len(value) - _SHOWN} characters more; --format json has them all")


@app.command()
def replay(
    ctx: typer.Context,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="As `dead list` shows them.", show_default=False)
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    stage: StageOption = None,
    exception: ExceptionOption = None,
    article: ArticleOption = None,
    feed: FeedOption = None,
    topic: TopicOption = None,
    since: DiedOption = None,
    until: BeforeOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell which they are.")] = False,
    format: Annotated[
        TextFormat, typer.Option("--format", help="A summary, or one JSON object a letter on standard output.")
    ] = "text",
) -> None:
    """Publish dead letters to the topic of articles again, for the workers to try once more.

    The letters stay where they are; an article that was coded meanwhile is not coded into other events by that. With
    filters or --all, a record that failed again after an earlier replay is published once, from its last letter. Ends
    with 1 where a letter cannot be replayed, as its record was too large to be kept.

    \b
    Examples:
      conflictwire dead replay 3-17 3-18
      conflictwire dead replay --stage store --since 2h --dry-run
    """
    from ingest.dead import DeadFilter, cannot_return, find_dead, last_letters
    from ingest.dead import replay as publish
    from ingest.render import safe_json

    session = session_of(ctx)
    wanted = _wanted(stage, exception, article, feed, topic, since, until)
    if bool(ids) + all + (wanted != DeadFilter()) != 1:
        raise typer.BadParameter("say which: some ids, or filters, or --all")
    seen = returned = 0

    def told(letters: Iterator[DeadLetter]) -> Iterator[DeadLetter]:
        nonlocal seen, returned
        for letter in letters:
            seen += 1
            reason = cannot_return(letter)
            returned += reason is None
            if format == "json":
                write_line(safe_json(json.dumps({**letter.to_dict(), "replayed": not (reason or dry_run)})))
            elif dry_run:
                failure = letter.failure
                session.say(f"{letter.letter_id}: {failure.stage}, {failure.exception}: {reason or failure.message}")
            yield letter

    with session.broker() as broker, session.err.status("reading the dead letters") as status:
        settings = session.settings
        chosen = told(iter(find_dead(broker, settings, ids)) if ids else last_letters(broker, settings, wanted))
        if dry_run:
            for _ in chosen:
                continue
        else:
            publish(broker, chosen, lambda count: status.update(f"{count} articles published again"))
    left = f"; {seen - returned} cannot be" if seen > returned else ""
    if not seen:
        session.say("no dead letters match")
    elif dry_run:
        session.say(f"{returned} articles would be published again{left}")
    else:
        session.say(
            f"{returned} articles published again{left}; `conflictwire worker --once` codes them if no worker runs"
        )
    raise typer.Exit(1 if seen > returned else 0)
