"""The pages of docs/ that are made from the program, so that they cannot drift from it: `python -m ingest.docs`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from ingest.asyncapi import document
from ingest.cli import app
from ingest.export import COLUMNS
from ingest.settings import Settings

_DOCS = Path(__file__).parents[1] / "docs"
_WIDTH = 100
_MADE = "<!-- Made by `make docs` from the program; do not edit. -->"

_CLI_HEAD = f"""{_MADE}

# Command line

Settings come from `conflictwire.toml`, then from the environment (`CONFLICTWIRE_*`), then from options. Data goes to
standard output, everything else to standard error. Colours are for terminals only, and `NO_COLOR` turns them off.

| exit code | means |
|---|---|
| 0 | done; also when the reader of a pipe went away (`conflictwire tail \\| head`), or SIGTERM asked for the end |
| 1 | failed: one line on standard error says what, where, and what to do (`--debug` adds the traceback) |
| 2 | wrong usage, or a setting that is wrong |
| 3 | a server could not be reached |
| 130 | interrupted by Ctrl-C, after everything under way was brought to an end |

WHEN is a day (`2026-11-24`, from its first moment in UTC), an RFC 3339 time (`2026-11-24T01:50:11Z`), `today`, `yesterday`,
or how long ago (`90s`, `30m`, `2h`, `3d`, `1w`, `1d12h`).

Shell completion: `conflictwire --install-completion`.
"""

_EXPORT_HEAD = f"""{_MADE}

# Exported files

`conflictwire export --format jsonl FILE` writes event records as they are on the topic (see `conflictwire schema event`),
one a line. `--format csv` writes one flat row an event: UTF-8, comma, quotes as in RFC 4180, rows ended by LF, the columns
below in this order (new ones are only ever added at the end), empty cells for what is not known.

A text that a spreadsheet would take for a formula (it begins with `=`, `+`, `-`, `@`, a tab or a line break) gets a `'` in
front; numbers stay numbers. Lists are joined by `; `.

| column | holds |
|---|---|
"""

_SETTINGS_HEAD = f"""{_MADE}

# Settings

From `conflictwire.toml` in the working folder (or the file that `--config` or `CONFLICTWIRE_CONFIG` names), then from the
environment, then from options, the later winning. In the environment two underscores stand for the dot. Secrets are given by
environment or file only, and are never printed.

    # conflictwire.toml
    broker = "kafka://kafka-1:9092,kafka-2:9092"
    feeds = "my-feeds.toml"

    [fetch]
    contact = "desk@example.org"

"""


def _settings(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The table of one section, then those of the sections in it."""
    inner = []
    yield "| setting | environment | default | |\n|---|---|---|---|\n"
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            inner.append((name, field.annotation))
            continue
        default = field.default
        if field.default_factory is not None:
            shown = "`~/.local/share/conflictwire`"
        else:
            shown = "" if default is None or not str(default) else f"`{json.dumps(default, default=str)}`"
        environment = "CONFLICTWIRE_" + f"{prefix}{name}".replace(".", "__").upper()
        yield f"| `{prefix}{name}` | `{environment}` | {shown} | {field.description} |\n"
    for name, annotation in inner:
        yield f"\n## {name}\n\n{annotation.__doc__}\n\n"
        yield from _settings(annotation, f"{name}.")


def _commands(command: Any, path: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    """Every command under `command`, itself included, with its help."""
    named = {"info_name": path.split()[-1], "parent": parent, "terminal_width": _WIDTH}
    context = typer.Context(command, **named, **command.context_settings)
    yield path, command.get_help(context)
    for name in command.list_commands(context) if hasattr(command, "list_commands") else []:
        yield from _commands(command.get_command(context, name), f"{path} {name}", context)


def pages() -> dict[Path, str]:
    """The text of each page by its path."""
    sections = [
        f"{'##' if path.count(' ') < 2 else '###'} {path}\n\n```text\n{help.rstrip()}\n```\n"
        for path, help in _commands(typer.main.get_command(app), "conflictwire")
    ]
    rows = [f"| `{column.name}` | {column.meaning} |\n" for column in COLUMNS]
    return {
        _DOCS / "cli.md": "\n".join([_CLI_HEAD, *sections]),
        _DOCS / "export.md": _EXPORT_HEAD + "".join(rows),
        _DOCS / "settings.md": _SETTINGS_HEAD + "".join(_settings(Settings)),
        _DOCS / "asyncapi.json": json.dumps(document(), indent=1) + "\n",
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
