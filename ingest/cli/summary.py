"""What `run` says at its end."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from ingest.render import TYPE_STYLES, safe, short_time
from ingest.settings import describe_url
from ingest.worker import reasons

if TYPE_CHECKING:
    from ingest.cli.common import Session
    from ingest.run import Tally
    from ingest.storage import Counts, Store

_TOP_COUNTRIES = 8
_SHOWN_FAILURES = 5


def say_summary(
    session: Session, tally: Tally, store: Store, before: datetime | None, seconds: float, stopped: bool
) -> None:
    """Print the summary on standard error. `before`: when feeds were last read before this run."""
    next_due = min((s.next_due for s in store.feed_states().values() if s.next_due and not s.disabled), default=None)
    for line in summary_lines(tally, store.counts(), before, next_due, seconds, stopped, commands(session)):
        session.err.print(line, soft_wrap=True)


def summary_lines(
    tally: Tally,
    counts: Counts,
    before: datetime | None,
    next_due: datetime | None,
    seconds: float,
    stopped: bool,
    commands: Sequence[str],
) -> list[Text]:
    """The lines of the summary."""
    lines = [Text()]
    if stopped:
        lines.append(Text(f"stopped after {seconds:.1f} s", style="bold"))
    elif tally.nothing_new:
        since = f" since {short_time(before)} UTC" if before else ""
        lines.append(Text(f"nothing new{since} ({seconds:.1f} s)", style="bold"))
        if tally.feeds_that("not_due"):
            due = f" before {short_time(next_due)} UTC" if next_due else ""
            lines.append(
                Text(f"  {tally.feeds_that('not_due')} feeds are not due{due}; to pull them now: {commands[0]}")
            )
    else:
        lines.append(Text(f"done in {seconds:.1f} s", style="bold"))
    lines.append(_feeds(tally))
    for name, error in list(tally.failed.items())[:_SHOWN_FAILURES]:
        lines.append(Text(safe(f"            {name}: {error}"), style="yellow"))
    if not tally.nothing_new:
        lines += _news(tally)
    lines.append(Text(f"  in all    {counts.articles} articles and {counts.events} events in the store"))
    lines.append(Text("  try next"))
    lines += [Text(f"    {command}", style="cyan") for command in commands[1:]]
    return lines


def _feeds(tally: Tally) -> Text:
    words = {
        "ok": "with news",
        "unchanged": "unchanged",
        "failed": "failed",
        "not_due": "not due",
        "disabled": "disabled",
    }
    found = [f"{number} {word}" for status, word in words.items() if (number := tally.feeds_that(status))]
    return Text(f"  feeds     {len(tally.feeds)}: {', '.join(found) or 'none'}")


def _news(tally: Tally) -> list[Text]:
    unchanged = max(tally.entries - tally.new - tally.updated, 0)
    articles = f"{tally.new} new, {tally.updated} updated, {unchanged} unchanged; {tally.coded} coded"
    retracted = f", {tally.retracted} retracted" if tally.retracted else ""
    events = Text(f"  events    {tally.types.total()}{retracted}")
    for number, (kind, count) in enumerate(tally.types.most_common()):
        events.append("  " if number else ": ").append(kind, style=TYPE_STYLES.get(kind, "")).append(f" {count}")
    lines = [Text(f"  articles  {articles}"), events]
    if tally.not_coded:
        lines.append(Text(f"  not coded {tally.not_coded.total()}: {reasons(tally.not_coded)}"))
    if tally.dead:
        lines.append(Text(f"  dead      {tally.dead} could not be coded: conflictwire dead list", style="yellow"))
    if tally.countries:
        named = [f"{code} {count}" for code, count in tally.countries.most_common(_TOP_COUNTRIES)]
        more = len(tally.countries) - len(named)
        lines.append(Text(f"  countries {'  '.join(named)}{f'  and {more} more' if more else ''}"))
    return lines


def commands(session: Session) -> list[str]:
    """`pull --force` and three commands to try, with the global options that this run was given."""
    given = {"--config": session.config, **{f"--{name}": session.options.get(name) for name in ("broker", "store")}}
    given["--data-dir"] = session.options.get("data_dir")
    options = [part for flag, value in given.items() if value for part in (flag, describe_url(str(value)))]
    start = shlex.join([_program(), *options])
    tries = (
        "pull --once --force",
        "events --type ASSAULT",
        "tail --since 1h --no-follow",
        "export --format csv events.csv",
    )
    return [f"{start} {words}" for words in tries]


def _program() -> str:
    """The program as the user can call it."""
    called = sys.argv[0]
    found = shutil.which("conflictwire")
    if not Path(called).name.startswith("conflictwire") or (found and Path(found).resolve() == Path(called).resolve()):
        return "conflictwire"
    return called
