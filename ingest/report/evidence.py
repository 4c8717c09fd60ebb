"""Main incidents as they are told: figures, what is disputed, and the sentences with the words that bear them out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from ingest.records import EventRecord, IncidentRecord
from ingest.report.drawing import CLASSES
from ingest.report.tallies import points, quad_of
from models.events import Span
from models.incidents.record import Persons, Report, When, Where
from models.resolve.gazetteer import country_names

REPORTS = 8
"""Reports of an incident that are shown with their sentence; the others are named."""
_OTHERS = 40
_TITLE = 200
_SENTENCE = 700  # code points around the trigger
_FIGURES = 12
_URL = 2000
STATUSES = {
    "single_source": "single source",
    "corroborated": "corroborated",
    "contradicted": "contradicted",
    "retracted": "retracted",
}
ROLES = ("trigger", "actor", "recipient", "place", "date", "dead", "injured", "claimed by")
GROUPS = {
    "IGO": "intergovernmental organisations",
    "NGO": "non-governmental organisations",
    "IMG": "international militant groups",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Words of a sentence, and which roles they have."""

    text: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One report; `url` is None where it is none to follow, `source` numbers the independent sources."""

    source: int
    publisher: str
    published: datetime
    title: str
    url: str | None
    language: str
    denies: bool
    pieces: tuple[Piece, ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """What one report says of the dead or the injured."""

    published: datetime
    publisher: str
    of: str
    number: str


@dataclass(frozen=True, slots=True)
class Dispute:
    """A field, what is best supported, and what others say instead."""

    field: str
    best: str
    rivals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Incident:
    """A main incident in words."""

    incident_id: str
    revision: int
    type: str
    modes: str
    kind: str
    status: str
    status_name: str
    where: str
    when: str
    who: str
    whom: str
    sources: int
    reports: int
    first: datetime
    last: datetime
    points: float
    dead: str
    injured: str
    figures: tuple[Figure, ...]
    more_figures: int
    disputed: tuple[Dispute, ...]
    evidence: tuple[Evidence, ...]
    others: tuple[Evidence, ...]
    more: int


def incident(record: IncidentRecord, events: Mapping[str, EventRecord]) -> Incident:
    """The incident; `events` are those of its reports."""
    shown = _shown(record.reports)
    rest = [report for report in record.reports if report not in shown]
    figures = _figures(record)
    return Incident(
        record.incident_id,
        record.revision,
        record.type.value,
        ", ".join(mode.value for mode in record.modes),
        CLASSES.get(quad_of(record.type.value), "none"),
        record.status,
        STATUSES.get(record.status, record.status),
        where(record),
        f"{days(record.date.value)}{_support(record.date.sources)}" if record.date else "",
        _parties(record.actors),
        _parties(record.recipients),
        record.sources,
        len(record.reports),
        record.first_report,
        record.last_report,
        points(_plain(record)),
        _toll(record, "dead"),
        _toll(record, "injured"),
        tuple(figures[:_FIGURES]),
        max(len(figures) - _FIGURES, 0),
        tuple(
            Dispute(
                each.field,
                _best(record, each.field),
                tuple(f"{_value(rival.value)}{_support(rival.sources)}" for rival in each.rivals),
            )
            for each in record.disputed
        ),
        tuple(_evidence(report, events.get(report.event_id)) for report in shown),
        tuple(_evidence(report, events.get(report.event_id), whole=False) for report in rest[:_OTHERS]),
        max(len(rest) - _OTHERS, 0),
    )


def _plain(record: IncidentRecord) -> dict[str, Any]:
    persons = {name: getattr(record, name) for name in ("dead", "injured")}
    return {
        "sources": record.sources,
        "status": record.status,
        **{name: {"value": {"min": count.value.min}} if count else None for name, count in persons.items()},
    }


def _shown(reports: Sequence[Report]) -> list[Report]:
    """The first report of each source, then the others, as many as are shown; in the order of publication."""
    order = sorted(reports, key=lambda report: (report.published, report.event_id))
    seen: set[int] = set()
    first = [report for report in order if not (report.source in seen or seen.add(report.source))]  # type: ignore[func-returns-value]
    chosen = [*first, *(report for report in order if report not in first)][:REPORTS]
    return [report for report in order if report in chosen]


def _evidence(report: Report, event: EventRecord | None, whole: bool = True) -> Evidence:
    title = event.article.title if event else ""
    title = title if len(title) <= _TITLE else title[: _TITLE - 1] + "…"
    told, elsewhere = sentence(event) if event and whole else ((), ())
    return Evidence(
        report.source,
        report.publisher,
        report.published,
        title or "(no headline)",
        web_address(event.article.url) if event else None,
        (event and event.article.language) or "",
        report.denies,
        told,
        elsewhere,
    )


def web_address(url: str) -> str | None:
    """The address if a reader may follow it: http or https, with a host, and nothing that could mean something else."""
    if len(url) > _URL or any(character <= " " or character in '"<>\\^`{|}\x7f' for character in url):
        return None
    try:
        parts = urlsplit(url)
        return url if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def spans(event: EventRecord) -> list[tuple[str, Span]]:
    """Every stretch of the article with its role, in the order of ROLES."""
    single = {"trigger": event.trigger, "place": event.location, "date": event.date, "dead": event.dead}
    single["injured"] = event.injured
    several = {"actor": event.actors, "recipient": event.recipients, "claimed by": event.claimed_by}
    found: list[tuple[str, Span]] = []
    for role in ROLES:
        one = single.get(role)
        found += [(role, span) for span in ((one,) if one else several.get(role, ()))]
    return found


def sentence(event: EventRecord) -> tuple[tuple[Piece, ...], tuple[tuple[str, str], ...]]:
    """The event's sentence in pieces, and the words that lie outside of it with their roles."""
    told = event.sentence
    inside: list[tuple[str, Span]] = []
    outside: list[tuple[str, Span]] = []
    for role, span in spans(event):
        within = span.field == told.field and span.start < told.end and span.end > told.start
        (inside if within else outside).append((role, span))
    text, start = told.text, told.start
    before, after = "", ""
    if len(text) > _SENTENCE:
        middle = min(max((event.trigger.start + event.trigger.end) // 2 - start, 0), len(text))
        cut = min(max(middle - _SENTENCE // 2, 0), len(text) - _SENTENCE)
        before, after = "…" if cut else "", "…" if cut + _SENTENCE < len(text) else ""
        text, start = text[cut : cut + _SENTENCE], start + cut
    found = pieces(text, [(role, span.start - start, span.end - start) for role, span in inside])
    framed = [Piece(before, ()), *found, Piece(after, ())]
    named = dict.fromkeys((role, span.text[:_TITLE]) for role, span in outside)
    return tuple(piece for piece in framed if piece.text), tuple(named)


def pieces(text: str, marked: Iterable[tuple[str, int, int]]) -> list[Piece]:
    """The text in pieces, each with the roles that cover it; offsets count code points of `text`."""
    within = [(role, max(start, 0), min(end, len(text))) for role, start, end in marked]
    within = [(role, start, end) for role, start, end in within if start < end]
    cuts = sorted({0, len(text), *(at for _, start, end in within for at in (start, end))})
    return [
        Piece(
            text[start:end],
            tuple(dict.fromkeys(role for role, first, last in within if first <= start and end <= last)),
        )
        for start, end in pairwise(cuts)
    ]


# --- in words


def country(code: str) -> str:
    """The name of a country, or of a kind of organisation; the code where there is none."""
    return GROUPS.get(code) or country_names().get(code, code)


def where(record: IncidentRecord) -> str:
    """Place and country, with the number of sources."""
    if record.place is None:
        return ", ".join(map(country, record.countries))
    return f"{_value(record.place.value)}{_support(record.place.sources)}"


def days(when: When) -> str:
    """One day or the first and the last."""
    return span_of_days(when.earliest, when.latest)


def span_of_days(first: date, last: date) -> str:
    """`3 November 2026`, `3–5 November 2026`, `30 November – 2 December 2026`."""
    if first == last:
        return day(first)
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{day(last)}"
    return (
        f"{first.day} {_MONTHS[first.month - 1]} – {day(last)}"
        if first.year == last.year
        else f"{day(first)} – {day(last)}"
    )


def day(one: date) -> str:
    """`3 November 2026`."""
    return f"{one.day} {_MONTHS[one.month - 1]} {one.year}"


_MONTHS = "January February March April May June July August September October November December".split()


def persons(count: Persons | Any) -> str:
    """`12`, `12–15`, `at least 12`."""
    if count.max is None:
        return f"at least {count.min:,}"
    return f"{count.min:,}" if count.min == count.max else f"{count.min:,}–{count.max:,}"


def _support(number: int) -> str:
    return f" ({number} {'source' if number == 1 else 'sources'})"


def _toll(record: IncidentRecord, name: str) -> str:
    best, figures = getattr(record, name), getattr(record, f"{name}_figures")
    if not best or not figures:
        return ""
    spread = "" if figures.min == figures.max else f"; all figures: {figures.min:,} to {figures.max:,}"
    return f"{persons(best.value)}{_support(best.sources)}{spread}"


def _figures(record: IncidentRecord) -> list[Figure]:
    found = [
        Figure(figure.published, figure.publisher, name, persons(figure))
        for name, figures in (("dead", record.dead_figures), ("injured", record.injured_figures))
        if figures
        for figure in figures.figures
    ]
    return sorted(found, key=lambda figure: (figure.published, figure.publisher, figure.of, figure.number))


def _parties(parties: Sequence[Any]) -> str:
    named = []
    for party in parties[:6]:
        codes = " ".join(code for code in (party.value.country, party.value.sector) if code)
        text = party.value.text if len(party.value.text) <= 80 else party.value.text[:79] + "…"
        named.append(f"{text}{f' [{codes}]' if codes else ''}{_support(party.sources)}")
    return "; ".join(named) + (f"; and {len(parties) - 6} more" if len(parties) > 6 else "")


def _best(record: IncidentRecord, name: str) -> str:
    value = getattr(record, name)
    if isinstance(value, tuple):
        return _parties(value)
    return f"{_value(value.value)}{_support(value.sources)}" if value else ""


def _value(value: Any) -> str:
    match value:
        case Where():
            named = country(value.country)
            # A province says where a place lies that has namesakes.
            parts = dict.fromkeys(part for part in (value.name, value.admin1, named) if part)
            return ", ".join(parts)
        case When():
            return days(value)
        case Persons():
            return persons(value)
        case _:
            return str(value.text)[:120]
