"""`conflictwire flows`: schedules the flows. Prefect is imported only once a command runs, it takes seconds."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Pull feeds and maintain the store on Prefect's schedules.")

EveryOption = Annotated[
    float, typer.Option("--every", min=1, metavar="SECONDS", help="Seconds between two runs of the pull flow.")
]


@app.command()
def serve(every: EveryOption = 300) -> None:
    """Run both flows on their schedules, in processes started here, until Ctrl-C.

    Needs a Prefect API (PREFECT_API_URL; `prefect server start` starts one), but no work pool and no worker.

    Example: conflictwire flows serve --every 60
    """
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

    Does the same as `prefect deploy --all` with deploy/prefect.yaml. A deployment that is paused stays paused.

    Example: conflictwire flows deploy --pool conflictwire
    """
    from flows import deployments

    for name in deployments.deploy(pool, timedelta(seconds=every)):
        typer.echo(name)
