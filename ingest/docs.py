"""The pages of docs/ that are made from the program, so that they cannot drift from it: `python -m ingest.docs`."""

from __future__ import annotations

import csv
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
from ingest.feeds import schedule
from ingest.settings import Settings

_DOCS = Path(__file__).parents[1] / "docs"
_DECISIONS = Path(__file__).parents[1] / "tests/ingest/feeds/decisions.tsv"
_WIDTH = 100
_MADE = "<!-- Made by `make docs` from the program; do not edit. -->"


def _span(seconds: float) -> str:
    """As in `6 hours`."""
    size, unit = (3_600, "hour") if seconds >= 3_600 else (60, "minute")
    number = round(seconds / size)
    return f"{number} {unit}{'s' if number > 1 else ''}"


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


_INGESTION_HEAD = f"""{_MADE}

# When a feed is pulled again

`ingest/feeds/schedule.py` decides it: one pure function, `next_state`, from what is known of a feed, what its server
answered and the time to what is known from now on. The tables below are the cases that its tests run
(`tests/ingest/feeds/decisions.tsv`); other tests hold its promises for any history of answers:

- The next pull is {_span(schedule.MIN_INTERVAL)} to {_span(schedule.MAX_INTERVAL)} ahead, whoever asked for what.
- No failure but 410 ends the pulling of a feed, and the first answer resets everything.
- While a failure lasts, no wait is shorter than the one before (jitter aside).
- What a feed or its server asks is a lower bound for the wait, up to {_span(schedule.MAX_INTERVAL)}.
- The same feed, answer and time always give the same decision.

Every wait is up to {schedule.JITTER:.0%} longer than the tables say, by a number made of the feed's name and the time, so
that feeds that were pulled together once are not pulled together for ever. It is cut off at {_span(schedule.MAX_INTERVAL)}.

A pull by hand (`conflictwire pull --force`) does not wait for its time, and otherwise counts like any other.

## How to read the tables

Where nothing is said, the feed is healthy and was read an hour ago, its interval is an hour, its URL in the catalogue is A,
and it is noon of Tuesday, 24 November 2026, GMT. Words of the columns:

| word | means |
|---|---|
| `interval` | the feed's own rhythm; what it is when the next pull is due is `wait` or `due` |
| `read`, `pulled`, `body` | how long ago it last answered, was last asked, last sent a body |
| `asked`, `max_age` | seconds between pulls that the feed, and the server, want at least |
| `new=2 entries=20` | entries that were not known, and all that are in the feed |
| `same` | a body that was read before, told by its hash |
| `to=B:301` | redirected to B with status 301 |
| `doubted` | the server had just said 304, and this is its answer when asked without validators |
| `conditional`, `unconditional` | whether validators are sent the next time |
| `wrong` | how long ago the server was caught saying 304 although the feed had changed |
"""

_INGESTION_WORDS = {
    "Rhythm": f"""The interval is the time in which {schedule.SHARE:.0%} of a feed's newest {schedule.NEWS} entries are
expected to be new: about one, or half of one where the feed holds but ten. It follows an exponential average over about
{schedule.MEMORY:g} intervals.""",
    "Asked": "The longest wins: the feed's rhythm, what the feed asks, what the server asks.",
    "Skipped": """RSS `skipHours` and `skipDays` move a pull to the first minutes of the next hour that is free. They hold
for a day at most, since a feed that is left alone for a weekend loses what it published.""",
    "Failures": f"""Those that may pass by themselves (DNS, connection, TLS, time, 5xx, our own) wait
{_span(schedule.SOFT[0])}, then twice as long each time up to {_span(schedule.SOFT[1])}; all others {_span(schedule.HARD[0])}
up to {_span(schedule.MAX_INTERVAL)}. A wait is at most twice the last one, or the first of its kind.""",
    "Asked to wait": """Retry-After, in seconds or as a date, is what 429 and 503 wait for; if it is short and nothing
gets better, the wait doubles all the same. 429 also doubles the interval: it was too short.""",
    "Gone": f"""410 disables a feed; `conflictwire feeds list` shows why, and `conflictwire feeds enable NAME` pulls it again,
as does another URL in the catalogue. Where it had moved, it is first asked again at the catalogue's URL, also after
{schedule.MOVE_FAILURES} failures in a row.""",
    "Redirects": f"""A feed is pulled from where it moved to once it was redirected there for good on
{schedule.MOVING_DAYS} different days (UTC), each time with a feed at the end. The catalogue stays as it is; when its URL is
changed by hand, that one counts, and validators, failures and moves of the old one are forgotten. Redirects in a circle and
from https to http are failures.""",
    "Validators": f"""ETag and Last-Modified are sent back as they came. Some servers answer 304 for ever, so a 304 is checked
by a second, unconditional request once there was no body for a day (and for {schedule.DOUBT_INTERVALS} intervals). If that has
new entries, validators are not sent for {schedule.TRUST_AGAIN.days} days. A body that was read before, by its SHA-256, is not
read again, whatever its validators say.""",
}


def _ingestion() -> Iterator[str]:
    """The tables of decisions, a section a group, in the order of the file."""
    yield _INGESTION_HEAD
    with _DECISIONS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for group in dict.fromkeys(row["group"] for row in rows):
        yield f"\n## {group}\n\n{_INGESTION_WORDS[group]}\n\n"
        yield "| what happens | the feed | the answer | then |\n|---|---|---|---|\n"
        for row in rows:
            if row["group"] == group:
                cells = (f"`{row[name]}`" if row[name] else "" for name in ("state", "answer", "then"))
                yield f"| {row['case']} | {' | '.join(cells)} |\n"


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
        _DOCS / "ingestion.md": "".join(_ingestion()),
        _DOCS / "settings.md": _SETTINGS_HEAD + "".join(_settings(Settings)),
        _DOCS / "asyncapi.json": json.dumps(document(), indent=1) + "\n",
    }


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
