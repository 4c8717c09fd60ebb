"""An incident in words for people, in mails and feeds. Pure. What others wrote has no character that could steer a reader."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from urllib.parse import urlsplit

from ingest.records import EventRecord, IncidentRecord
from ingest.render import safe
from models.incidents.record import Persons, Supported
from models.resolve.gazetteer import country_names

_LONGEST_NAME, _LONGEST_SENTENCE = 80, 500
_MOST_SENTENCES = 6
# XML 1.0 has these not even as references; `safe` lets the last two pass.
_NO_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
WHY = {
    "status": "status",
    "sources": "more sources",
    "type": "type",
    "place": "place",
    "dead": "number of dead",
    "injured": "number of injured",
    "merged": "it is part of another incident",
    "retracted": "no report of it is left",
    "filter": "it no longer passes the filter",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one source says; `url` is empty where it is none that a browser should open."""

    publisher: str
    published: datetime
    title: str
    sentence: str
    url: str
    denies: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """One incident to be told, as what and why, and the events of its reports by id."""

    record: IncidentRecord
    change: str
    why: tuple[str, ...]
    events: Mapping[str, EventRecord]


def cut(text: str, limit: int) -> str:
    """`text` on one line, safe, and no longer than that."""
    line = " ".join(_NO_CHARACTER.sub("\ufffd", safe(text)).split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def headline(record: IncidentRecord) -> str:
    """As in `ASSAULT in El Fasher, Sudan: 12 dead (3 sources)`."""
    where = _where(record)
    tolls = [f"{_persons(each.value)} {word}" for word, each in _tolls(record) if each]
    number = f"{record.sources} source{'' if record.sources == 1 else 's'}"
    state = f"{number}, contradicted" if record.status == "contradicted" else number
    told = f"{record.type.value}{f' in {where}' if where else ''}{': ' if tolls else ''}{', '.join(tolls)} ({state})"
    return f"Withdrawn: {told}" if record.status == "retracted" else told


def _tolls(record: IncidentRecord) -> Iterator[tuple[str, Supported[Persons] | None]]:
    yield "dead", record.dead
    yield "injured", record.injured


def _persons(count: Persons) -> str:
    if count.max is None:
        return f"at least {count.min}"
    return str(count.min) if count.min == count.max else f"{count.min} to {count.max}"


def _where(record: IncidentRecord) -> str:
    names = country_names()
    countries = [names.get(code, code) for code in record.countries[:3]]
    if record.place is None:
        return ", ".join(countries)
    place = record.place.value
    country = names.get(place.country, place.country)
    return country if place.precision == "country" else f"{cut(place.name, _LONGEST_NAME)}, {country}"


def facts(record: IncidentRecord) -> Iterator[tuple[str, str]]:
    """What is said of an incident, in pairs of a label and a text."""
    if record.modes:
        yield "modes", ", ".join(mode.value for mode in record.modes)
    if record.date:
        day = record.date.value
        yield "when", " to ".join(dict.fromkeys((day.earliest.isoformat(), day.latest.isoformat())))
    for label, parties in (("by", record.actors), ("against", record.recipients)):
        if parties:
            yield label, "; ".join(cut(party.value.text, _LONGEST_NAME) for party in parties)
    for word, figures in (("dead", record.dead_figures), ("injured", record.injured_figures)):
        if figures and figures.min != figures.max:
            yield word, f"figures from {figures.min} to {figures.max}"
    yield "status", f"{record.status.replace('_', ' ')}, {len(record.reports)} reports"
    if record.disputed:
        yield "disputed", ", ".join(each.field for each in record.disputed)


def evidence(record: IncidentRecord, events: Mapping[str, EventRecord]) -> list[Evidence]:
    """What each independent source says, by its first report that is still there, six at most."""
    found: dict[int, Evidence] = {}
    for report in record.reports:
        event = events.get(report.event_id)
        if event is None or report.source in found:
            continue
        found[report.source] = Evidence(
            cut(report.publisher, _LONGEST_NAME),
            report.published,
            cut(event.article.title, 200),
            cut(event.sentence.text, _LONGEST_SENTENCE),
            web_url(event.article.url),
            report.denies,
        )
        if len(found) == _MOST_SENTENCES:
            break
    return list(found.values())


def web_url(text: str) -> str:
    """The URL if it is of the web and has no character that does not belong into one; else nothing."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    plain = re.fullmatch(r"[!-~\u00a1-\U0010ffff]+", text) and not re.search(r"[<>\"'`\\]", text)
    return text if plain and cut(text, 2000) == text and parts.scheme in ("http", "https") and parts.netloc else ""


def because(change: str, why: tuple[str, ...]) -> str:
    """Why an incident is told, in words: empty for a new one."""
    said = ", ".join(WHY.get(each, each) for each in why)
    return {"updated": f"changed: {said}", "withdrawn": f"withdrawn, as {said}"}.get(change, "")


def as_text(told: Shown) -> str:
    """What is said of one incident, in lines."""
    lines = [headline(told.record)]
    if reason := because(told.change, told.why):
        lines.append(reason)
    lines += [f"{label}: {said}" for label, said in facts(told.record)]
    for each in evidence(told.record, told.events):
        lines += ["", f"{each.publisher}, {_day(each.published)}{', denies it' if each.denies else ''}: {each.title}"]
        lines += [f"  {each.sentence}", f"  {each.url}" if each.url else ""]
    lines += ["", f"incident {told.record.incident_id}, revision {told.record.revision}"]
    return "\n".join(lines)


def as_html(told: Shown) -> str:
    """What is said of one incident, without its headline, as HTML in which nothing from outside is markup."""
    reason = because(told.change, told.why)
    parts = [f"<p><strong>{escape(reason)}</strong></p>"] if reason else []
    parts.append("<ul>")
    parts += [f"<li>{escape(label)}: {escape(said)}</li>" for label, said in facts(told.record)]
    parts.append("</ul>")
    for each in evidence(told.record, told.events):
        title = escape(each.title or each.publisher)
        link = f'<a href="{escape(each.url)}" rel="noreferrer">{title}</a>' if each.url else title
        denies = ", denies it" if each.denies else ""
        parts.append(
            f"<p>{escape(each.publisher)}, {_day(each.published)}{denies}: {link}</p>"
            f"<blockquote><p>{escape(each.sentence)}</p></blockquote>"
        )
    parts.append(f"<p><small>incident {escape(told.record.incident_id)}, revision {told.record.revision}</small></p>")
    return "".join(parts)


def _day(time: datetime) -> str:
    return time.astimezone(UTC).date().isoformat()
