"""The command that writes a report of a period."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from ingest.cli.common import (
    AsOfOption,
    CountryOption,
    TypeOption,
    checked,
    past,
    session_of,
    settled_moment,
    wanted_day,
)
from ingest.cli.values import parse_country, parse_type


def report(
    ctx: typer.Context,
    first: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="DAY",
            help="The first day, UTC: 2026-11-01, 7d, yesterday.",
            show_default="7 days before --to",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="DAY", help="The day after the last one, given like --from.", show_default="today"
        ),
    ] = None,
    country: CountryOption = None,
    type: TypeOption = None,
    weeks: Annotated[
        int, typer.Option("--weeks", min=0, max=52, metavar="N", help="Compare with so many weeks before.")
    ] = 8,
    as_of: AsOfOption = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where to; the ending .pdf makes a PDF; - is standard output.",
            show_default="report-SDN-2026-11-01.html",
        ),
    ] = None,
) -> None:
    """Write a report: trend against the weeks before, map, main incidents with their evidence, method and limits.

    One HTML file that needs nothing else, or a PDF, for which Chromium must be installed. The day given by --to is not
    part of the period. With --as-of it says what was known at a time, and the same call gives the same file, byte for byte.
    See docs/report.md.

    \b
    Examples:
      conflictwire report --country SDN
      conflictwire report --from 2026-11-01 --to 2026-11-08 --country SDN --country SSD -o sudan.pdf
      conflictwire report --from 2026-10-01 --to 2026-11-01 --type ASSAULT --as-of 2026-11-03 -o - | less
    """
    from importlib.metadata import version

    from ingest.export import whole_file
    from ingest.report.page import file_name, render, report_of
    from ingest.report.pdf import find_chromium, to_pdf
    from ingest.report.period import Asked, period_of
    from ingest.report.reading import read
    from models.errors import ConflictwireError

    session = session_of(ctx)
    now = datetime.now(UTC)
    countries = tuple(dict.fromkeys(checked(parse_country, code) for code in country or ()))
    types = tuple(dict.fromkeys(checked(parse_type, name) for name in type or ()))
    try:
        period = period_of(wanted_day(first), wanted_day(until), now.date())
    except ConflictwireError as error:
        raise typer.BadParameter(str(error), param_hint="--from") from None
    moment = past(as_of)
    if (moment or now) < period.start:
        raise typer.BadParameter(
            f"the period begins on {period.first}, when nothing was known yet", param_hint="--from"
        )
    target = output or file_name(countries, period.first)
    ending = Path(target).suffix.lower()
    if target != "-" and ending not in (".html", ".htm", ".pdf"):
        raise typer.BadParameter(f"{target!r}: must end in .html or .pdf, or be -", param_hint="--output")
    if target != "-" and (Path(target).is_dir() or not Path(target).absolute().parent.is_dir()):
        raise typer.BadParameter(f"{target!r}: a folder, or in a folder that does not exist", param_hint="--output")
    # Said before the store is read.
    chromium = find_chromium(session.settings.chromium) if ending == ".pdf" else None
    with session.store() as store:
        # To print a time of making would make another file of it each time.
        made = None if moment else now
        known = settled_moment(session, store, moment) if moment else store.settled(now)
        assert known is not None
        asked = Asked(period, weeks, known, countries, types, made)
        found = read(store, asked, lambda step: session.say(step, style="dim"))
    page = render(report_of(found, version("conflictwire")))
    if chromium:
        session.say("printing", style="dim")
        page = to_pdf(page, chromium, made or known)
    try:
        with whole_file(target) as file:
            file.write(page)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConflictwireError(f"cannot write {target}: {error.strerror}") from error
    told = f"{found.period.events.total()} events, {found.period.incidents.total()} incidents"
    session.say(f"{told} from {period.first} to {period.last}: {'standard output' if target == '-' else target}")
