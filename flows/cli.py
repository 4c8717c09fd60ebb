"""`conflictwire flows`: schedules the flows. Prefect is imported only once a command runs, it takes seconds."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli.common import session_of

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Pull feeds, maintain the store and export events on Prefect's schedules.",
)

EveryOption = Annotated[
    float, typer.Option("--every", min=1, metavar="SECONDS", help="Seconds between two runs of the pull flow.")
]


@app.command()
def serve(ctx: typer.Context, every: EveryOption = 300) -> None:
    """Run the flows on their schedules, in processes started here, until Ctrl-C.

    Needs a Prefect API (PREFECT_API_URL; `prefect server start` starts one), but no work pool and no worker.

    \b
    Examples:
      conflictwire flows serve
      conflictwire flows serve --every 60
    """
    session = session_of(ctx)
    # A run is a process of its own, which learns of global options by its environment. A wrong setting is told here.
    os.environ |= {f"CONFLICTWIRE_{name.upper()}": str(value) for name, value in session.options.items() if value}
    session.make_data_dir()

    from flows import deployments

    deployments.serve(timedelta(seconds=every))
    # It comes back from Ctrl-C only, which Prefect has caught.
    raise typer.Exit(130)


@app.command()
def deploy(
    pool: Annotated[
        str, typer.Option("--pool", "-p", metavar="NAME", help="Work pool; made with type process if missing.")
    ] = "conflictwire",
    every: EveryOption = 300,
    alert_url_file: Annotated[
        Path | None,
        typer.Option(
            "--alert-url-file",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Holds the URL that is told of late and failed pull runs; a chat's incoming webhook, for example.",
        ),
    ] = None,
) -> None:
    """Hand the flows to a work pool, for workers that `prefect worker start --pool NAME` starts.

    Does the same as `prefect deploy --all` with deploy/prefect.yaml, and prints the names. What is paused stays paused.
    The flows run with the settings in the workers' environment, not with those given here. A pull run that is late or
    failed is posted as JSON, {"text": "..."}, to the URL in --alert-url-file, once an hour at most; without it, or where
    the file is empty, it shows in Prefect's event feed only.

    \b
    Examples:
      conflictwire flows deploy --pool conflictwire
      conflictwire flows deploy --alert-url-file /run/secrets/alert_url
    """
    from flows import deployments

    alert_url = alert_url_file.read_text(encoding="utf-8").strip() if alert_url_file else ""
    for name in deployments.deploy(pool, timedelta(seconds=every), alert_url or None):
        typer.echo(name)
