"""Commands for the dead letters: list, show, replay."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ingest.cli.common import TableFormat, TextFormat, check_when, session_of, write_line

app = typer.Typer(help="Look at articles that could not be coded, and try them again.", no_args_is_help=True)

StageOption = Annotated[
    str | None,
    typer.Option("--stage", metavar="STAGE", help="Only those that failed there: read, code, store, publish."),
]
ExceptionOption = Annotated[str | None, typer.Option("--exception", metavar="NAME", help="Only this kind of error.")]
ArticleOption = Annotated[str | None, typer.Option("--article", metavar="ID", help="Only this article.")]
DiedOption = Annotated[
    str | None, typer.Option("--since", metavar="WHEN", help="Only those that failed since: a date, 2h, 3d, yesterday.")
]


@app.command("list")
def list_(
    ctx: typer.Context,
    stage: StageOption = None,
    exception: ExceptionOption = None,
    article: ArticleOption = None,
    since: DiedOption = None,
    format: Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON object a line.")] = "table",
) -> None:
    """List the dead letters.

    \b
    Examples:
      conflictwire dead list --since 1d
      conflictwire dead list --stage code --format json
    """
    from ingest.dead import DeadFilter, list_dead
    from ingest.render import add_row, new_table, safe_json, short_time

    session = session_of(ctx)
    wanted = DeadFilter(stage, exception, article, check_when(since))
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

    \b
    Example:
      conflictwire dead show 3-17
    """
    from rich.text import Text

    from ingest.dead import find_dead
    from ingest.render import safe

    session = session_of(ctx)
    with session.broker() as broker:
        letter = find_dead(broker, session.settings, id)
    value = letter.value.decode(errors="replace")
    if format == "json":
        write_line(json.dumps({**letter.to_dict(), "value": value}))
        return
    for name, said in letter.to_dict().items():
        if name != "history":
            session.out.print(Text(f"{name}: ", style="bold") + Text(safe(str(said))), soft_wrap=True)
    for number, failure in enumerate(letter.history, 1):
        line = f"{failure.stage}, {failure.attempts} attempts: {failure.exception}: {failure.message}"
        session.out.print(Text(f"failure {number}: ", style="bold") + Text(safe(line)), soft_wrap=True)
    session.out.print(Text(safe(value)), soft_wrap=True)


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
    since: DiedOption = None,
) -> None:
    """Publish dead letters to the topic of articles again, for the workers to try once more.

    The letters stay where they are; an article that was coded meanwhile is not coded into other events by that.

    \b
    Examples:
      conflictwire dead replay 3-17 3-18
      conflictwire dead replay --stage store --since 2h
    """
    from ingest.dead import DeadFilter, find_dead, list_dead
    from ingest.dead import replay as publish

    session = session_of(ctx)
    wanted = DeadFilter(stage, exception, article, check_when(since))
    filtered = wanted != DeadFilter()
    if bool(ids) + all + filtered != 1:
        raise typer.BadParameter("say which: some ids, or filters, or --all")
    with session.broker() as broker:
        if ids:
            letters = [find_dead(broker, session.settings, letter_id) for letter_id in dict.fromkeys(ids)]
            count = publish(broker, letters)
        else:
            count = publish(broker, list_dead(broker, session.settings, wanted))
    session.say(f"{count} articles published again; `conflictwire worker --once` codes them if no worker runs")
