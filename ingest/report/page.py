"""From what was counted to what the page says, and from that to HTML. Pure, but for reading the template and the style.

Titles, texts, names and addresses come from anywhere. The template escapes every value; whatever could turn the reading
direction or hide is replaced first; addresses are links only with http or https; the page's own policy lets nothing be loaded
or run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ingest.render import safe
from ingest.report.drawing import CLASSES, QUADS, Chart, Map, chart, map_of, name_of, ordered, quad_of_most, shape_path
from ingest.report.evidence import REPORTS, ROLES, STATUSES, Incident, country, day, incident, span_of_days
from ingest.report.reading import Found
from ingest.report.tallies import MAIN, Week, quad_of
from ingest.report.usual import FEWEST, LEVEL, Usual, Verdict, usual
from models.ontology import PLOVER_VERSION

TABLE_ROWS = 25
INCIDENT_F1 = "0.86"
"""F1 over pairs of reports of how incidents are joined, as docs/incidents.md says; a test holds the two together."""
_VERDICTS: dict[Verdict | None, str] = {
    "above": "more than usual",
    "below": "fewer than usual",
    "within": "within what is usual",
    None: "too few weeks to say",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A number of the period beside what the weeks before lead one to expect; `by_articles` allows for how many were read."""

    name: str
    number: int
    expected: float | None
    change: str
    usual: str
    verdict: str
    by_articles: str
    by_articles_verdict: str
    notable: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One week of the trend table."""

    days: str
    inside: bool
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """One row of the places."""

    name: str
    incidents: int
    most: str
    kind: str
    dead: int


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What was measured of the weights that coded events, on sentences they were not trained on."""

    model: str
    precision: float
    recall: float
    f1: float
    realis: float
    sentences: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that the page says."""

    title: str
    heading: str
    days: str
    filters: tuple[tuple[str, str], ...]
    as_of: datetime
    made: datetime | None
    open_end: bool
    command: str
    version: str
    empty: bool
    no_incidents: bool
    measures: tuple[Measure, ...]
    share: str
    share_before: str
    dead: tuple[int, int, int, int]
    weeks: int
    observed: int
    exposure: float
    chart: Chart
    lines: tuple[Line, ...]
    map: Map
    places: tuple[Place, ...]
    more_places: int
    unplaced: int
    incidents: tuple[Incident, ...]
    all_incidents: int
    types: tuple[tuple[str, ...], ...]
    countries: tuple[tuple[str, ...], ...]
    more_countries: int
    actors: tuple[tuple[str, ...], ...]
    more_actors: int
    publishers: tuple[tuple[str, ...], ...]
    more_publishers: int
    languages: str
    models: str
    crosswalks: str
    accuracy: tuple[Accuracy, ...]
    realis: str
    others: int
    undated: int
    events: int
    undated_incidents: int
    earlier: int
    not_happened: int
    statuses: str


def report_of(found: Found, version: str) -> Report:
    """What the page says of what was found; `version` is that of the program."""
    asked, period, totals, told = found.asked, found.period, found.totals, found.told
    exposure = asked.period.days / 7
    seen = [week for week in found.before if week.articles]
    dead = period.dead
    where = ", ".join(map(country, asked.countries)) or "the world"
    measures = (
        _measure(found, "Events", lambda week: week.events.total()),
        _measure(found, "Incidents first reported", _incidents),
        _measure(found, "Corroborated incidents", lambda week: week.corroborated),
        _measure(found, "Reported dead (best supported)", lambda week: week.dead.best),
    )
    every_place = ordered(totals.spots.values())
    countries = _ranked(totals.countries, told.countries)
    parties = sorted(
        totals.parties.items(), key=lambda pair: (-pair[1].actor - pair[1].recipient, -pair[1].actor, pair[0])
    )
    publishers = sorted(told.publishers.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    return Report(
        title=f"Conflict report: {where}, {span_of_days(asked.period.first, asked.period.last)}",
        heading=where[:1].upper() + where[1:],
        days=span_of_days(asked.period.first, asked.period.last),
        filters=tuple(
            (name, ", ".join(values))
            for name, values in (
                ("Countries (of place, actor or recipient)", [f"{country(code)} ({code})" for code in asked.countries]),
                ("PLOVER types", list(asked.types)),
            )
            if values
        ),
        as_of=asked.as_of,
        made=asked.made,
        open_end=(asked.made or asked.as_of) < asked.period.end,
        command=command_of(found),
        version=version,
        empty=not told.events and not period.incidents,
        no_incidents=bool(period.events) and not period.incidents and not totals.not_happened,
        measures=measures,
        share=_share(period),
        share_before=_share_before(seen),
        dead=(dead.least, dead.best, dead.most, dead.incidents),
        weeks=asked.weeks,
        observed=len(seen),
        exposure=exposure,
        chart=_chart(found),
        lines=tuple(_line(week, inside) for week, inside in _weeks(found)),
        map=map_of(totals.spots.values(), asked.countries),
        places=tuple(
            Place(name_of(spot), spot.number, quad_of_most(spot), CLASSES.get(quad_of_most(spot), "none"), spot.dead)
            for spot in every_place[:TABLE_ROWS]
        ),
        more_places=max(len(every_place) - TABLE_ROWS, 0),
        unplaced=totals.unplaced,
        incidents=tuple(incident(record, events) for record, events in found.main),
        all_incidents=period.incidents.total(),
        types=tuple(_type_row(found, name) for name in _ranked(period.events, period.incidents)),
        countries=tuple(
            (
                f"{country(code)} ({code})" if code else "no place known",
                f"{told.countries[code]:,}",
                f"{totals.countries[code]:,}",
                f"{totals.country_dead[code]:,}",
            )
            for code in countries[:TABLE_ROWS]
        ),
        more_countries=max(len(countries) - TABLE_ROWS, 0),
        actors=tuple(
            (_party(key, party.words), f"{party.actor:,}", f"{party.recipient:,}")
            for key, party in parties[:TABLE_ROWS]
        ),
        more_actors=max(len(parties) - TABLE_ROWS, 0),
        publishers=tuple(
            (name, f"{len(articles):,}", f"{told.publisher_events[name]:,}")
            for name, articles in publishers[:TABLE_ROWS]
        ),
        more_publishers=max(len(publishers) - TABLE_ROWS, 0),
        languages=_listed(Counter({code or "not known": number for code, number in told.languages.items()})),
        models=_listed(Counter({f"{name} {version}": number for (name, version), number in told.models.items()})),
        crosswalks=", ".join(sorted(told.crosswalks)),
        accuracy=accuracy_of(list(told.models)),
        realis=_listed(Counter({name: number for name, number in told.realis.items() if name != "actual"})),
        others=period.others,
        undated=told.undated,
        events=period.events.total(),
        undated_incidents=totals.undated,
        earlier=totals.earlier,
        not_happened=totals.not_happened,
        statuses=_listed(Counter({STATUSES.get(name, name): number for name, number in totals.statuses.items()})),
    )


def command_of(found: Found) -> str:
    """The call that makes the same file again from the same store."""
    asked = found.asked
    options = ["--from", asked.period.first.isoformat(), "--to", asked.period.until.isoformat()]
    for name, values in (("--country", asked.countries), ("--type", asked.types)):
        for value in values:
            options += [name, value]
    options += ["--weeks", str(asked.weeks), "--as-of", asked.as_of.isoformat().replace("+00:00", "Z")]
    return shlex.join(["conflictwire", "report", *options])


def _weeks(found: Found) -> list[tuple[Week, bool]]:
    return [*((week, False) for week in found.before), *((week, True) for week in found.within)]


def _usual(found: Found, count: Callable[[Week], int], exposure: float, articles: int | None = None) -> Usual | None:
    """What is usual: by weeks in which anything was read, or by the articles read."""
    counts = [count(week) for week in found.before]
    if articles is None:
        return usual(counts, [float(bool(week.articles)) for week in found.before], exposure)
    return usual(counts, [float(week.articles) for week in found.before], articles)


def _measure(found: Found, name: str, count: Callable[[Week], int]) -> Measure:
    number = count(found.period)
    expected = _usual(found, count, found.asked.period.days / 7)
    by_articles = _usual(found, count, 0, found.period.articles)
    verdict = _verdict(expected, number)
    return Measure(
        name,
        number,
        expected.expected if expected else None,
        _change(number, expected),
        _between(expected),
        _VERDICTS[verdict],
        _between(by_articles),
        _VERDICTS[_verdict(by_articles, number)],
        verdict in ("above", "below"),
    )


def _verdict(expected: Usual | None, number: int) -> Verdict | None:
    return expected.verdict(number) if expected else None


def _change(number: int, expected: Usual | None) -> str:
    if expected is None:
        return "–"
    if not expected.expected:
        return "none before" if number else "none"
    change = round(100 * (number / expected.expected - 1))
    return f"{'+' if change > 0 else '−' if change < 0 else '±'}{abs(change):,} %"


def _between(expected: Usual | None) -> str:
    return f"{expected.low:,} to {expected.high:,}" if expected else "–"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "–"


def _share(week: Week) -> str:
    return _percent(week.corroborated, week.incidents.total())


def _share_before(seen: Sequence[Week]) -> str:
    told = [week for week in seen if week.incidents]
    shares = sorted(week.corroborated / week.incidents.total() for week in told)
    if not shares:
        return ""
    whole = _percent(sum(week.corroborated for week in told), sum(week.incidents.total() for week in told))
    return f"{whole} in the weeks before (from {100 * shares[0]:.0f} to {100 * shares[-1]:.0f} % a week)"


def _short(one: date) -> str:
    return f"{one.day} {day(one).split()[1][:3]}"


def _chart(found: Found) -> Chart:
    weeks = [(_short(week.window.first), inside, week.window.days < 7) for week, inside in _weeks(found)]
    rows: list[tuple[str, str, list[int | None], Usual | None]] = []
    for name in QUADS:

        def count(week: Week, name: str = name) -> int:
            return week.quads()[name]

        numbers = [_known(week, count) for week, _ in _weeks(found)]
        rows.append((name, CLASSES[name], numbers, _usual(found, count, 1)))
    numbers = [_known(week, _incidents) for week, _ in _weeks(found)]
    rows.append(("incidents", "none", numbers, _usual(found, _incidents, 1)))
    return chart(rows, weeks)


def _incidents(week: Week) -> int:
    return week.incidents.total()


def _known(week: Week, count: Callable[[Week], int]) -> int | None:
    """The number of a week in which anything was read."""
    return count(week) if week.articles else None


def _line(week: Week, inside: bool) -> Line:
    quads, events = week.quads(), week.events.total()
    rate = f"{100 * events / week.articles:.1f}" if week.articles else "–"
    numbers = [events, *(quads[name] for name in QUADS), week.incidents.total()]
    told = [f"{number:,}" for number in numbers] if week.articles else ["–"] * len(numbers)
    dead = f"{week.dead.best:,}" if week.articles else "–"
    rest = (_share(week), dead, f"{week.feeds:,}", f"{week.articles:,}", rate)
    return Line(f"{_short(week.window.first)} – {_short(week.window.last)}", inside, (*told, *rest))


def _ranked(first: Mapping[str, int], second: Mapping[str, int]) -> list[str]:
    """The names of both, those with most of the first first, then of the second."""
    return sorted({*first, *second}, key=lambda name: (-first.get(name, 0), -second.get(name, 0), name))


def _type_row(found: Found, name: str) -> tuple[str, ...]:
    period, totals = found.period, found.totals
    expected = _usual(found, lambda week: week.events[name], found.asked.period.days / 7)
    return (
        name,
        quad_of(name),
        f"{period.events[name]:,}",
        f"{expected.expected:,.1f}" if expected else "–",
        _between(expected),
        _VERDICTS[_verdict(expected, period.events[name])],
        f"{period.incidents[name]:,}",
        f"{totals.type_corroborated[name]:,}",
        f"{totals.type_dead[name]:,}",
    )


def _party(key: tuple[str, str, str], words: Counter[str]) -> str:
    named = sorted(words, key=lambda text: (-words[text], text))[:3]
    codes = " ".join(code for code in key[:2] if code)
    said = ", ".join(f"“{text}”" for text in named)
    return f"{codes}: {said}" if codes else said


def _listed(numbers: Counter[str], most: int = 12) -> str:
    names = sorted(numbers, key=lambda name: (-numbers[name], name))
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(f"{name} ({numbers[name]:,})" for name in names[:most]) + more


def accuracy_of(models: Sequence[tuple[str, str]]) -> tuple[Accuracy, ...]:
    """What the card of the shipped weights says of those of the models that they are."""
    card = _card()
    scored = {
        "conflictwire-accurate": card["development"],
        "conflictwire-fast": card["networks"]["fast"]["development"],
    }

    def of(name: str, version: str) -> Accuracy:
        found = scored[name]
        event = found["scores"]["event"]
        told = (event["precision"], event["recall"], event["f1"], found["realis_accuracy"], found["sentences"])
        return Accuracy(f"{name} {version}", *told)

    known = ((name, version) for name, version in sorted(models) if name in scored and version == card["version"])
    return tuple(of(name, version) for name, version in known)


@cache
def _card() -> Any:
    return json.loads(files("models").joinpath("weights", "card.json").read_text("utf-8"))


# --- to HTML


def render(report: Report) -> bytes:
    """The page: one file that asks for nothing and runs nothing."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    constants = {
        "roles": ROLES,
        "quads": [(CLASSES[name], name, shape_path(CLASSES[name], 9, 9, 6)) for name in QUADS],
        "main": MAIN,
        "shown": REPORTS,
        "rows": TABLE_ROWS,
        "fewest": FEWEST,
        "level": LEVEL,
        "plover": PLOVER_VERSION,
        "incident_f1": INCIDENT_F1,
    }
    values = {"r": report, "style": Markup(style), "digest": digest, **constants}  # noqa: S704
    page: str = _template().render(values)
    return page.encode("utf-8", "replace")


def _text(value: Any) -> Any:
    """Whatever the template says: nothing that could disguise what follows."""
    return safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _minute(time: datetime) -> str:
    return f"{day(time.date())}, {time:%H:%M} UTC"


def _number(value: int) -> str:
    return f"{value:,}"


@cache
def _template() -> Any:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_text
    )
    environment.filters |= {"minute": _minute, "number": _number, "day": day, "slug": _slug}
    environment.globals["plural"] = _plural
    return environment.from_string(files(__package__).joinpath("page.html.j2").read_text("utf-8"))


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _plural(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


@cache
def _style() -> str:
    """The style sheet, with the desk's colours in front."""
    desk = files("ingest.api").joinpath("static", "desk.css").read_text("utf-8")
    light = _colours(desk, ":root {")
    dark = _colours(desk, ':root[data-theme="dark"] {')
    sheet = files(__package__).joinpath("page.css").read_text("utf-8")
    return f":root {{{light}}}\n@media screen and (prefers-color-scheme: dark) {{ :root {{{dark}}} }}\n{sheet}"


def _colours(sheet: str, block: str) -> str:
    found = sheet[sheet.index(block) + len(block) :]
    return re.sub(r"\s+", " ", found[: found.index("}")])


def file_name(codes: Sequence[str], first: date) -> str:
    """What the file is called unless told otherwise: `report-SDN-2026-11-01.html`."""
    return f"report-{'-'.join(codes[:5]) or 'world'}-{first.isoformat()}.html"
