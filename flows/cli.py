"""`conflictwire flows`: schedules the flows. Prefect is imported only once a command runs, it takes seconds."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Annotated

import typer

from ingest.cli.common import session_of

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Pull feeds and maintain the store on Prefect's schedules.",
)

EveryOption = Annotated[
    float, typer.Option("--every", min=1, metavar="SECONDS", help="Seconds between two runs of the pull flow.")
]


@app.command()
def serve(ctx: typer.Context, every: EveryOption = 300) -> None:
    """Run both flows on their schedules, in processes started here, until Ctrl-C.

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
) -> None:
    """Hand both flows to a work pool, for workers that `prefect worker start --pool NAME` starts.

    Does the same as `prefect deploy --all` with deploy/prefect.yaml, and prints the names. What is paused stays paused.
    The flows run with the settings in the workers' environment, not with those given here.

    \b
    Example:
      conflictwire flows deploy --pool conflictwire
    """
    from flows import deployments

    for name in deployments.deploy(pool, timedelta(seconds=every)):
        typer.echo(name)
