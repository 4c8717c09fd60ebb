"""What people read: events, tables and lines of text that a terminal can show safely.

Titles and texts come from anywhere. Whatever reaches a terminal goes through `safe`, is put into Rich `Text` (never
markup), and so can neither move the cursor, nor recolour the screen, nor turn the reading direction of what follows.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ingest.records import EventRecord, format_time
from models.events import Actor, Count, Event, EventDate, Location, Span, Why

# Attackers may send escape sequences (C0, C1), bidirectional overrides that disguise what follows, line and paragraph
# separators, invisible tag characters, and surrogates that no terminal's encoding can take.
_UNSAFE = (
    "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f"
)
_UNSAFE_CHARACTER = re.compile(f"[{_UNSAFE}]")
_SPACES = frozenset("\t\n\v\f\r\x85\u2028\u2029")
_SENTENCE_LIMIT = 400
_NAME_LIMIT = 60
_INDENT = 4
# Nothing is cut or wrapped where no terminal sets a width.
_UNBOUNDED = 100_000

TYPE_STYLES = {
    "AGREE": "green",
    "CONSULT": "cyan",
    "SUPPORT": "bright_green",
    "CONCEDE": "bright_cyan",
    "COOPERATE": "green",
    "AID": "bright_green",
    "RETREAT": "bright_blue",
    "REQUEST": "blue",
    "ACCUSE": "yellow",
    "REJECT": "yellow",
    "THREATEN": "bright_yellow",
    "PROTEST": "magenta",
    "SANCTION": "bright_magenta",
    "MOBILIZE": "bright_magenta",
    "COERCE": "red",
    "ASSAULT": "bright_red",
}


def safe(text: str) -> str:
    """`text` with every character that could steer a terminal replaced, one for one, so that offsets still hold."""
    return _UNSAFE_CHARACTER.sub(lambda match: " " if match[0] in _SPACES else "\ufffd", text)


def safe_json(text: str) -> str:
    """JSON of the same value without a raw control character: those lie in strings only, and are written as escapes."""

    def escape(match: re.Match[str]) -> str:
        units = match[0].encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))

    return _UNSAFE_CHARACTER.sub(escape, text)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the program: Rich would end it here, as a failure."""
        raise  # the BrokenPipeError that is being handled


def console_for(stream: str) -> Console:
    """A Rich console on `stdout` or `stderr`: colours on a terminal only and never where NO_COLOR is set."""
    console = _Console(stderr=stream == "stderr", highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    return console


def print_event(console: Console, event: Event | EventRecord) -> None:
    """One event: a block of lines on a terminal, one line elsewhere, so that `grep` finds all of it."""
    first, *others = event_lines(event)
    if not console.is_terminal:
        console.print(Text("  ").join([first, *others]), soft_wrap=True)
        return
    console.print(first)
    for line in others:
        console.print(Padding(line, (0, 0, 0, _INDENT), expand=False))


def print_reasons(console: Console, reasons: Iterable[tuple[str, Actor | Location | EventDate | Count, Why]]) -> None:
    """Why each argument of an event was resolved as it was, a line each: value, rule, source, and what was refused."""
    for role, found, why in reasons:
        line = Text(f"{' ' * _INDENT}{role} “{_short(found.text)}” → {_resolved(found)}", style="bold")
        line.append(f"  {safe(why.rule) or 'nothing that tells'}", style="not bold")
        for span in why.refers_to:
            line.append(f"; from “{_short(span.text)}” ({span.field} {span.start}–{span.end})", style="not bold")
        if why.refused:
            line.append(f"; refused: {safe(', '.join(why.refused))}", style="not bold dim")
        console.print(line, soft_wrap=True)


def _resolved(found: Actor | Location | EventDate | Count) -> str:
    match found:
        case Actor():
            return f"{found.country or '-'}/{found.sector or '-'} {found.code_confidence:.2f}"
        case Location():
            where = ", ".join(part or "-" for part in (found.name, found.admin1, found.country))
            at = f" {found.lat:.2f},{found.lon:.2f}" if found.lat is not None and found.lon is not None else ""
            return safe(f"{where}{at} ({found.precision or 'unknown'})")
        case EventDate():
            days = dict.fromkeys((found.earliest or "?", found.latest or "?"))
            return "–".join(days)
        case Count():
            return _count(found) or "?"


def event_lines(event: Event | EventRecord) -> list[Text]:
    """The event in two or three lines: what happened; the sentence with its trigger marked; the source, if known."""
    record = event if isinstance(event, EventRecord) else None
    head = [Text(event.type, style=f"bold {TYPE_STYLES.get(event.type, 'white')}")]
    if event.modes:
        head[0].append(f"/{safe(','.join(event.modes))}", style="not bold")
    if record:
        head.insert(0, Text(format_time(record.coded)[:19] + "Z", style="dim"))
        if record.status != "new":
            head.append(Text(record.status, style="reverse"))
    if event.realis != "actual":
        head.append(Text(event.realis, style="italic"))
    if countries := _countries(event):
        head.append(Text(",".join(countries), style="bold"))
    head.append(Text(_who(event)))
    details = [_place(event), event.date.text if event.date else "", *_casualties(event)]
    if event.claimed_by:
        details.append(f"according to {_names(event.claimed_by)}")
    head += [Text(f"· {_short(detail)}") for detail in details if detail]
    head.append(Text(f"{event.confidence:.2f}", style="dim"))
    lines = [Text(" ").join(part for part in head if part), sentence_text(event)]
    if record:
        lines.append(Text(safe(f"{record.article.feed}  {record.article.url}"), style="dim"))
    if record and record.status == "retracted":
        lines[1].stylize("strike")
    return lines


def sentence_text(event: Event | EventRecord) -> Text:
    """The sentence with its trigger marked; a very long one is cut to a window round the trigger."""
    sentence, trigger = event.sentence, event.trigger
    start, end = trigger.start - sentence.start, trigger.end - sentence.start
    if trigger.field != sentence.field or not 0 <= start < end <= len(sentence.text):
        start = end = 0
    left = max(0, min(start - _SENTENCE_LIMIT // 2, len(sentence.text) - _SENTENCE_LIMIT))
    right = left + _SENTENCE_LIMIT
    text = Text(safe(sentence.text[left:right]))
    if end > start:
        text.stylize(f"underline {TYPE_STYLES.get(event.type, 'white')}", start - left, min(end, right) - left)
    return Text("…" if left else "") + text + Text("…" if right < len(sentence.text) else "")


def event_table(events: Iterable[EventRecord]) -> Table:
    """A table of events, one row each."""
    columns = ("coded", "type", "realis", "countries", "who → whom", "where", "dead", "conf", "article")
    table = new_table(*columns, wide=("who → whom", "where", "article"))
    for event in events:
        kind = Text(event.type, style=TYPE_STYLES.get(event.type, "white"))
        row: list[str | Text | None] = [
            short_time(event.coded),
            kind.append(f"/{','.join(event.modes)}" if event.modes else "", style="not bold"),
            event.realis if event.status != "retracted" else "retracted",
            ",".join(event.countries),
            _who(event),
            _place(event),
            _count(event.dead),
            f"{event.confidence:.2f}",
            event.article.title or event.article.url,
        ]
        add_row(table, row)
    return table


def new_table(*columns: str, wide: Collection[str]) -> Table:
    """An empty table with one line a row; where it does not fit, the columns in `wide` are cut."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=column not in wide, overflow="ellipsis")
    return table


def add_row(table: Table, cells: Sequence[str | Text | None]) -> None:
    """Add a row; plain strings are taken as hostile."""
    row = [cell if isinstance(cell, Text) else Text(safe(cell or "")) for cell in cells]
    for cell in row:
        # Rich shortens only columns that it may wrap, so it is the cells that must not be.
        cell.no_wrap, cell.overflow = True, "ellipsis"
    table.add_row(*row)


def short_time(value: datetime | None) -> str:
    """A time for a table, UTC to the minute: `2026-11-24 01:50`; empty for none."""
    return format_time(value)[:16].replace("T", " ") if value else ""


def _countries(event: Event | EventRecord) -> tuple[str, ...]:
    if isinstance(event, EventRecord):
        return event.countries
    named = [event.location, *event.actors, *event.recipients]
    return tuple(dict.fromkeys(each.country for each in named if each and each.country))


def _who(event: Event | EventRecord) -> str:
    actors, recipients = _names(event.actors), _names(event.recipients)
    return f"{actors or '?'} → {recipients}" if recipients else actors


def _place(event: Event | EventRecord) -> str:
    return safe(event.location.name or event.location.text) if event.location else ""


def _casualties(event: Event | EventRecord) -> list[str]:
    named = ((event.dead, "dead"), (event.injured, "injured"))
    return [f"{_count(count)} {word}" for count, word in named if count]


def _count(count: Count | None) -> str:
    if count is None:
        return ""
    if count.min is None:
        return f"up to {count.max}" if count.max is not None else _short(count.text)
    if count.max is None:
        return f"{count.min}+"
    return str(count.min) if count.min == count.max else f"{count.min}–{count.max}"


def _names(spans: Sequence[Span | Actor]) -> str:
    shown = ", ".join(_short(span.text) for span in spans[:3])
    return f"{shown} and {len(spans) - 3} more" if len(spans) > 3 else shown


def _short(text: str) -> str:
    clean = safe(text)
    return clean if len(clean) <= _NAME_LIMIT else clean[: _NAME_LIMIT - 1] + "…"
