"""The command line. Every command lies in a module of its group and imports what it needs when it runs.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 a server could not be reached, 130 interrupted. Data goes to standard output,
everything else to standard error.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from ingest.cli import about, alerts, coding, dead, feeds, incidents, pipeline, reading, report, serving
from ingest.cli.common import Session, drop_stdout
from models.errors import ConflictwireError

__all__ = ["app", "main"]

_PLUGINS = "conflictwire.commands"
# Those that run for long under somebody's supervision tell what they do; the others speak up when something is wrong.
_SERVICES = frozenset({"worker", "keep", "notify", "pull", "serve", "flows"})


def hoist(arguments: Sequence[str], takes_value: Mapping[str, bool]) -> list[str]:
    """`arguments` with the global options (`takes_value`, by name) at the front, wherever they were given."""
    front: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        argument = left.pop(0)
        if argument == "--":
            rest += [argument, *left]
            break
        name, equals, _ = argument.partition("=")
        if name not in takes_value:
            rest.append(argument)
            continue
        front.append(argument)
        if takes_value[name] and not equals and left:
            front.append(left.pop(0))
    return front + rest


class Program(TyperGroup):
    """The program: global options before or after the command, commands of other packages, errors as one line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let global options stand after the command too."""
        named = [param for param in self.params if isinstance(param.name, str) and param.name in GLOBAL]
        takes_value = {option: not getattr(param, "is_flag", False) for param in named for option in param.opts}
        return super().parse_args(ctx, hoist(args, takes_value))

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours, then those that other packages add."""
        return [*super().list_commands(ctx), *sorted(_plugins())]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name; one of another package is imported only when it is asked for."""
        command = super().get_command(ctx, cmd_name)
        plugin = _plugins().get(cmd_name) if command is None else None
        if plugin is None:
            return command
        try:
            # Under a program like ours, so that its help looks like ours and offers no completion of its own.
            holder = typer.Typer(rich_markup_mode=None, add_completion=False)
            holder.add_typer(plugin.load(), name=cmd_name)
            holder.callback()(lambda: None)
            group = typer.main.get_command(holder)
        except Exception as error:
            print(f"error: the commands of {plugin.value} cannot be loaded: {error}", file=sys.stderr)
            return None
        return getattr(group, "commands", {}).get(cmd_name)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; an expected error ends the program with its one line and its exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            drop_stdout()
            raise typer.Exit(0) from error
        except (ConflictwireError, OSError) as error:
            session = ctx.find_object(Session)
            if session is None or session.debug:
                traceback.print_exc()
            from ingest.log import mask, printable

            message = " ".join(str(error).split())
            print(f"error: {printable(mask(message))}", file=sys.stderr)
            raise typer.Exit(getattr(error, "exit_code", 1)) from error
        return result


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=_PLUGINS)}


app = typer.Typer(
    name="conflictwire",
    cls=Program,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
GLOBAL = ("config", "data_dir", "broker", "store", "log_level", "debug")


@app.callback()
def program(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Settings (TOML).",
            show_default="conflictwire.toml",
        ),
    ] = None,
    data_dir: Annotated[
        Path | None,
        typer.Option("--data-dir", metavar="FOLDER", help="For the embedded broker, SQLite, and your feeds.toml."),
    ] = None,
    broker: Annotated[
        str | None,
        typer.Option(
            "--broker", metavar="URL", help="embedded:PATH or kafka://host:9092,...", show_default="embedded:"
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="SQLAlchemy URL.", show_default="SQLite in the data folder"),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option("--log-level", envvar="CONFLICTWIRE_LOG_LEVEL", help="What the log on standard error tells."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error arose.")] = False,
    _: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=about.show_version, help="Show the version and exit."),
    ] = False,
) -> None:
    """RSS feeds in, coded conflict events out.

    Settings come from conflictwire.toml, then the environment (CONFLICTWIRE_DATA_DIR, CONFLICTWIRE_FETCH__TIMEOUT, ...),
    then these options, which may stand before or after the command.

    \b
    Examples:
      conflictwire run
      conflictwire tail --type ASSAULT --country UKR
      echo "Rebels shelled Goma on Friday, killing 12." | conflictwire code
    """
    if config:
        os.environ["CONFLICTWIRE_CONFIG"] = str(config)
    options = {"data_dir": data_dir, "broker": broker, "store": store}
    ctx.obj = Session(options, config, debug)
    from ingest import log

    log.configure((log_level or ("info" if ctx.invoked_subcommand in _SERVICES else "warning")).upper())


app.command()(pipeline.run)
app.add_typer(feeds.app, name="feeds")
app.command()(pipeline.pull)
app.command()(pipeline.worker)
app.command()(pipeline.keep)
app.command()(alerts.notify)
app.command()(reading.tail)
app.command()(coding.code)
app.command()(reading.events)
app.add_typer(incidents.app, name="incidents")
app.command()(reading.articles)
app.command()(reading.export)
app.command()(report.report)
app.command()(serving.serve)
app.add_typer(serving.app, name="keys")
app.add_typer(alerts.app, name="alerts")
app.add_typer(dead.app, name="dead")
app.command()(pipeline.recode)
app.command()(coding.evaluate)
app.command()(about.doctor)
app.command()(about.migrate)
app.command()(about.schema)
app.command()(about.version)


def main() -> None:
    """The console script `conflictwire`."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal may not know every character of the news
    try:
        app()
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        from ingest.log import mask, printable

        kind, said = type(error).__name__, printable(mask(" ".join(str(error).split())))
        sys.exit(f"error: {kind}: {said} (a defect: --debug shows where; please report it)")
