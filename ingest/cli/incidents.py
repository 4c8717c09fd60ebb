"""Commands that read incidents: incidents, incidents show."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ingest.cli.common import (
    AsOfOption,
    CountryOption,
    HappenedSinceOption,
    HappenedUntilOption,
    TableFormat,
    TextFormat,
    TypeOption,
    check_when,
    checked,
    past,
    session_of,
    settled_moment,
    wanted_day,
    write_line,
)
from ingest.cli.reading import LimitOption
from ingest.cli.values import INCIDENT_STATUSES, parse_box, parse_country, parse_status, parse_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ingest.records import EventRecord, IncidentRecord
    from ingest.storage import IncidentFilter
    from models.incidents.record import Casualties, Persons, Supported

_TABLE_ROWS = 50

app = typer.Typer(rich_markup_mode=None, add_completion=False)

StatusOption = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help=f"Only {', '.join(INCIDENT_STATUSES[:-1])} or {INCIDENT_STATUSES[-1]} ones; may be repeated.",
        autocompletion=lambda incomplete: [name for name in INCIDENT_STATUSES if name.startswith(incomplete)],
    ),
]
MinSourcesOption = Annotated[
    int | None, typer.Option("--min-sources", min=1, metavar="N", help="Only of so many independent sources.")
]
ActorOption = Annotated[
    str | None,
    typer.Option(
        "--actor",
        metavar="TEXT",
        help="Only where each of these words begins a word of an actor's or recipient's name.",
    ),
]
SourceOption = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="NAME", help="Only told by this feed or publisher; may be repeated."),
]
LanguageOption = Annotated[
    list[str] | None,
    typer.Option("--language", metavar="CODE", help="Only told in this language, such as en; may be repeated."),
]
BoxOption = Annotated[str | None, typer.Option("--bbox", metavar="W,S,E,N", help="Only in this box of degrees.")]


def wanted_incidents(
    types: Sequence[str] | None,
    countries: Sequence[str] | None,
    statuses: Sequence[str] | None,
    min_sources: int | None,
    actor: str | None,
    sources: Sequence[str] | None,
    languages: Sequence[str] | None,
    bbox: str | None,
) -> IncidentFilter:
    """The filters of incidents that bear no time, checked. Raises typer.BadParameter."""
    from ingest.storage import IncidentFilter

    return IncidentFilter(
        types=tuple(checked(parse_type, name) for name in types or ()),
        countries=tuple(checked(parse_country, code) for code in countries or ()),
        statuses=tuple(checked(parse_status, name) for name in statuses or ()),
        actor=actor,
        languages=tuple(languages or ()),
        sources=tuple(sources or ()),
        min_sources=min_sources,
        bbox=None if bbox is None else checked(parse_box, bbox),
    )


@app.callback(invoke_without_command=True)
def incidents(
    ctx: typer.Context,
    type: TypeOption = None,
    country: CountryOption = None,
    status: StatusOption = None,
    min_sources: MinSourcesOption = None,
    actor: ActorOption = None,
    source: SourceOption = None,
    language: LanguageOption = None,
    bbox: BoxOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="WHEN", help="Only changed since: a date, an RFC 3339 time, 2h, 3d, yesterday."
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="Only last changed before, given like --since.")
    ] = None,
    happened_since: HappenedSinceOption = None,
    happened_until: HappenedUntilOption = None,
    as_of: AsOfOption = None,
    limit: LimitOption = None,
    format: Annotated[TableFormat, typer.Option("--format", help="A table, or one JSON record a line.")] = "table",
) -> None:
    """Show the incidents in the store, the one changed last first.

    An incident is what several articles report as one happening; docs/incidents.md says how that is decided. Retracted ones
    are shown where --status asks for them.

    \b
    Examples:
      conflictwire incidents --country SDN --min-sources 2
      conflictwire incidents --status contradicted --format json | jq .disputed
      conflictwire incidents show 0f3c5a2e9b7d4c6a8e1f2b3d
    """
    if ctx.invoked_subcommand is not None:
        return
    from ingest.render import add_row, new_table, safe_json, short_time

    session = session_of(ctx)
    wanted = replace(
        wanted_incidents(type, country, status, min_sources, actor, source, language, bbox),
        since=check_when(since),
        until=check_when(until),
        happened_since=wanted_day(happened_since),
        happened_until=wanted_day(happened_until),
        as_of=past(as_of),
    )
    with session.store() as store:
        wanted = replace(wanted, as_of=settled_moment(session, store, wanted.as_of))
        if format == "json":
            for row in store.incidents(wanted, limit):
                write_line(safe_json(row.record.to_json().decode()))
            return
        rows = list(store.incidents(wanted, (limit or _TABLE_ROWS) + 1))
        shown = rows[: limit or _TABLE_ROWS]
        first = store.current_events({row.record.reports[0].event_id for row in shown})
    if not shown:
        session.say("no incidents: `conflictwire keep --once` puts the events in the broker together")
        return
    columns = ("changed", "incident", "sources", "status", "type", "where", "when", "dead", "first headline")
    table = new_table(*columns, wide=("where", "first headline"))
    for row in shown:
        record = row.record
        told = first.get(record.reports[0].event_id)
        headline = json.loads(told)["article"]["title"] if told else ""
        day = _days(record)
        dead = _range(record.dead_figures)
        cells = [short_time(row.changed), record.incident_id, str(record.sources), record.status, record.type.value]
        add_row(table, [*cells, _where(record), day, dead, headline])
    session.out.print(table)
    if len(rows) > len(shown):
        session.say(f"the {len(shown)} changed last; --limit shows more", style="dim")


@app.command()
def show(
    ctx: typer.Context,
    id: Annotated[str, typer.Argument(help="As `incidents` shows it; the beginning will not do.", show_default=False)],
    as_of: AsOfOption = None,
    format: Annotated[TextFormat, typer.Option("--format", help="Lines to read, or one JSON object.")] = "text",
) -> None:
    """Show one incident: its reports with their sentences, figures by source and time, what is disputed, its revisions.

    In JSON the record is `incident`, its reports' events as they are now are `events`, and `revisions` are all its records.

    \b
    Examples:
      conflictwire incidents show 0f3c5a2e9b7d4c6a8e1f2b3d
      conflictwire incidents show 0f3c5a2e9b7d4c6a8e1f2b3d --format json | jq .incident.dead_figures
    """
    from ingest.records import parse_event, parse_incident
    from ingest.render import safe_json
    from models.errors import ConflictwireError

    session = session_of(ctx)
    with session.store() as store:
        moment = settled_moment(session, store, past(as_of))
        text = store.incident(id, moment)
        if text is None:
            raise ConflictwireError(f"there is no incident {id!r}; `conflictwire incidents` shows which there are")
        record = parse_incident(text.encode())
        told = store.current_events(report.event_id for report in record.reports)
        revisions = [each for each in store.incident_revisions(id) if _revision(each) <= record.revision]
    if format == "json":
        events = [json.loads(told[report.event_id]) for report in record.reports if report.event_id in told]
        whole = {"incident": json.loads(text), "events": events, "revisions": [json.loads(each) for each in revisions]}
        write_line(safe_json(json.dumps(whole, ensure_ascii=False)))
        return
    events_by_id = {name: parse_event(each.encode()) for name, each in told.items()}
    history = [parse_incident(each.encode()) for each in revisions]
    for line in incident_lines(record, events_by_id, history):
        session.out.print(line, soft_wrap=True)


def _revision(text: str) -> int:
    return int(json.loads(text)["revision"])


def incident_lines(
    record: IncidentRecord, events: dict[str, EventRecord], history: Sequence[IncidentRecord]
) -> Iterable[Any]:
    """The incident in lines of Rich text that a terminal can show safely."""
    from rich.text import Text

    from ingest.render import TYPE_STYLES, safe, sentence_text, short_time

    def named(label: str, said: str) -> Text:
        return Text(f"{label}: ", style="bold") + Text(safe(said), style="not bold")

    head = Text(record.incident_id, style="bold") + Text(f" revision {record.revision}  ", style="not bold")
    head.append(record.type.value, style=TYPE_STYLES.get(record.type.value, "white"))
    yield head.append(f"  {record.status}, {record.sources} independent of {len(record.reports)} reports")
    if record.merged_into:
        yield named("merged into", record.merged_into)
    if record.split_from:
        yield named("split from", record.split_from)
    if record.place:
        yield named("where", f"{_where(record)}{_support(record.place)}")
    if record.date:
        yield named("when", f"{_days(record)}{_support(record.date)}")
    for label, parties in (("actors", record.actors), ("recipients", record.recipients)):
        if parties:
            yield named(label, "; ".join(f"{_party(party)}{_support(party)}" for party in parties))
    for label, count, figures in (
        ("dead", record.dead, record.dead_figures),
        ("injured", record.injured, record.injured_figures),
    ):
        if count and figures:
            yield named(label, f"{_persons(count.value)}{_support(count)}; figures from {_range(figures)}:")
            for figure in figures.figures:
                line = f"    {short_time(figure.published)}  {figure.publisher}  {_persons(figure)}"
                yield Text(safe(line))
    for disputed in record.disputed:
        rivals = "; ".join(f"{_value(rival.value)}{_support(rival)}" for rival in disputed.rivals)
        yield named(f"disputed {disputed.field}", rivals)
    yield Text("reports", style="bold")
    for report in record.reports:
        denial = ", denies" if report.denies else ""
        where = f"source {report.source}{denial}  {short_time(report.published)}  {report.publisher}"
        event = events.get(report.event_id)
        yield Text(safe(f"  {where}  {event.article.title if event else report.article_id}"))
        if event:
            yield Text("    ") + sentence_text(event)
            yield Text(safe(f"    {event.article.url}"), style="dim")
    yield Text("revisions", style="bold")
    for each in history:
        other = each.merged_into or each.split_from or ""
        what = f"  {each.revision}  {short_time(each.changed)}  {each.kind} {other}".rstrip()
        yield Text(safe(f"{what}  {each.status}, {each.sources} of {len(each.reports)} reports"))


def _support(supported: Supported[Any]) -> str:
    return f" ({supported.sources} {'source' if supported.sources == 1 else 'sources'})"


def _where(record: IncidentRecord) -> str:
    if record.place is None:
        return ",".join(record.countries)
    place = record.place.value
    return place.name if place.name == place.country else f"{place.name}, {place.country}"


def _days(record: IncidentRecord) -> str:
    day = record.date and record.date.value
    return "–".join(dict.fromkeys((day.earliest.isoformat(), day.latest.isoformat()))) if day else ""


def _party(party: Supported[Any]) -> str:
    codes = "/".join(code for code in (party.value.country, party.value.sector) if code)
    return f"{party.value.text} [{codes}]" if codes else str(party.value.text)


def _persons(count: Any) -> str:
    persons: Persons = count
    if persons.max is None:
        return f"{persons.min}+"
    return str(persons.min) if persons.min == persons.max else f"{persons.min}–{persons.max}"


def _range(figures: Casualties | None) -> str:
    return _persons(figures) if figures else ""


def _value(value: Any) -> str:
    """A value that speaks against the best-supported one."""
    from models.incidents.record import Persons, When, Where

    match value:
        case Where():
            return f"{value.name}, {value.country}"
        case When():
            return "–".join(dict.fromkeys((value.earliest.isoformat(), value.latest.isoformat())))
        case Persons():
            return _persons(value)
        case _:
            return str(value.text)
