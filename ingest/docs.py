"""The pages of docs/ that are made from the program, so that they cannot drift from it: `python -m ingest.docs`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from ingest.asyncapi import document
from ingest.cli import app
from ingest.export.acled import ACLED_COLUMNS
from ingest.export.cameo import CAMEO_COLUMNS
from ingest.export.columns import COLUMNS
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

| format | is |
|---|---|
| `jsonl` | event records as they are on the topic (see `conflictwire schema event`), one a line; keeps everything |
| `csv` | one flat row an event, for R, pandas and spreadsheets |
| `parquet` | the same columns with types, for pandas, R (arrow) and DuckDB |
| `geojson` | the same columns as properties of points, for QGIS and geopandas |
| `acled` | the columns of ACLED's CSV, for scripts that read ACLED |
| `cameo` | the columns of GDELT 2.0's event table, for scripts that read GDELT |

All are UTF-8, and every cell is empty for what is not known.

## csv, geojson and parquet

The columns below in this order; new ones are only ever added at the end.

- **csv**: comma, quotes as in RFC 4180, rows ended by LF. A text that a spreadsheet would take for a formula (it begins with
  `=`, `+`, `-`, `@`, a tab or a line break) gets a `'` in front; numbers stay numbers. Lists are joined by `; `.
- **geojson**: a FeatureCollection as in RFC 7946. Each event is a feature with its `event_id` as `id`, a point (longitude,
  then latitude) or, where it has no coordinates, `null` as its geometry, and all columns as properties, lists joined by `; `.
- **parquet**: compressed with zstd. Days are `date32`, times `timestamp[ms, UTC]`, whole numbers `int64`, others `double`;
  `modes` and `claimed_by` are lists of texts, `actors` and `recipients` lists of structures (`text`, `country`, `sector`,
  `confidence`) in place of the three columns each that the CSV has.

| column | holds |
|---|---|
"""

_ACLED_HEAD = """
## acled

The layout of ACLED's CSV download: {count} columns with a header, with the words for actors and interactions of the codebook
of 2024 (before, `inter1`, `inter2` and `interaction` were numbers). It holds events that have an ACLED code and are
`actual`, without retracted ones; how many were left out is said on standard error. Texts are made safe for spreadsheets as
in `csv`.

`event_id_cnty` is the country's code and a number made of the event's id, the `GLOBALEVENTID` of `cameo`; the id itself is
under `tags`. Codes come from one article each: unlike in ACLED, what several articles tell is several rows. A province has
precision 2 and a country 3, where ACLED would look for a town.

Protesters, rioters, civilians and unidentified armed groups are named as ACLED does (`Protesters (Nigeria)`), with the words
of the text under the associated actors; the first three also where the text names nobody but the event type says who it must
have been. State forces of another country than the event's are `External/Other forces`. An event that the text gives no date
has that of publication with precision 2: what is `actual` happened in the days before, else it were `historical`.

| column | holds |
|---|---|
"""

_CAMEO_HEAD = """
## cameo

The layout of GDELT 2.0's event table: {count} columns parted by tabs, without quotes and without a header line. It holds
events that are `actual`, without retracted ones, since the layout has no column to tell them apart. One event is one row,
with the first actor and the first recipient.

`GLOBALEVENTID` is a whole number of 63 bits, the first of the SHA-256 of the event's id, so the same in every export; R needs
the package bit64 to read it exactly. With pandas, `names` being the first column below:

    codes = dict.fromkeys(["EventCode", "EventBaseCode", "EventRootCode"], str)
    pandas.read_csv(file, sep="\\t", header=None, names=names, dtype=codes)

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


def _table(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    return (f"| `{name}` | {meaning} |\n" for name, meaning in rows)


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
    export = [
        _EXPORT_HEAD,
        *_table((column.name, column.meaning) for column in COLUMNS),
        _ACLED_HEAD.format(count=len(ACLED_COLUMNS)),
        *_table(ACLED_COLUMNS.items()),
        _CAMEO_HEAD.format(count=len(CAMEO_COLUMNS)),
        *_table(CAMEO_COLUMNS.items()),
    ]
    return {
        _DOCS / "cli.md": "\n".join([_CLI_HEAD, *sections]),
        _DOCS / "export.md": "".join(export),
        _DOCS / "settings.md": _SETTINGS_HEAD + "".join(_settings(Settings)),
        _DOCS / "asyncapi.json": json.dumps(document(), indent=1) + "\n",
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
