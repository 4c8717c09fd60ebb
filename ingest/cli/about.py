"""Commands about the program and the state it is in: doctor, migrate, schema, version."""

from __future__ import annotations

import json
import platform
from typing import Annotated, Literal

import typer

from ingest.cli.common import session_of, write_line


def doctor(
    ctx: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="Compare every event of store and topic, not a sample of 200,000 revisions.")
    ] = False,
) -> None:
    """Check that all is well, and say what to do where it is not.

    Looks at settings, broker, store, model and feeds, and whether store and topic hold the same events. Ends with 0 if
    all is well or there are warnings only, with 3 if a server cannot be reached, else with 1.

    \b
    Example:
      conflictwire doctor
    """
    from rich.text import Text

    from ingest.doctor import examine
    from ingest.render import safe

    session = session_of(ctx)
    styles = {"ok": "green", "warn": "yellow", "fail": "bold red"}
    findings = []
    for finding in examine(lambda: session.settings, full=full):
        findings.append(finding)
        line = Text(f"{finding.status:<5}", style=styles[finding.status])
        line.append(safe(f"{finding.what:<10}{finding.says}"), style="not bold default")
        session.out.print(line, soft_wrap=True)
        if finding.advice:
            session.out.print(Text(safe(f"{'':15}→ {finding.advice}")), soft_wrap=True)
    failed = [finding for finding in findings if finding.status == "fail"]
    if failed:
        raise typer.Exit(3 if any(finding.unreachable for finding in failed) else 1)


def migrate(ctx: typer.Context) -> None:
    """Bring the store's tables up to date and create the topics that are missing.

    Every command does so by itself; this one does nothing else, for deployments that migrate before anything starts. May be
    called at any time, by many at once. Ends with 3 if a server cannot be reached.

    \b
    Example:
      conflictwire migrate
    """
    session = session_of(ctx)
    topics = session.settings.topics
    with session.store() as store, session.broker(topics.incidents):
        check = store.check()
    session.say(
        f"{check.database} {check.version}, schema {check.schema}; "
        f"topics {topics.articles}, {topics.events}, {topics.dead}, {topics.incidents}"
    )


def schema(
    record: Annotated[
        Literal["article", "event", "incident"], typer.Argument(metavar="article|event|incident", show_default=False)
    ],
) -> None:
    """Print the JSON Schema of a record.

    \b
    Example:
      conflictwire schema event > event.schema.json
    """
    from ingest.records import json_schema

    write_line(json.dumps(json_schema(record), indent=2))


def show_version(wanted: bool) -> None:
    """Print the program's own version and end, where that is wanted."""
    if wanted:
        write_line(_program_version())
        raise typer.Exit


def _program_version() -> str:
    from importlib.metadata import version

    return f"conflictwire {version('conflictwire')}"


def version(ctx: typer.Context) -> None:
    """Print the versions of program, model and Python.

    \b
    Example:
      conflictwire version
    """
    from ingest.doctor import model_version

    write_line(_program_version())
    write_line(f"model {model_version(session_of(ctx).settings.model)}")
    write_line(f"python {platform.python_version()} ({platform.system()} {platform.machine()})")
