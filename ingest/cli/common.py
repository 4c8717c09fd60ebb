"""What every command shares: the global options, the settings they lead to, the two streams, the filters of events."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ingest.cli.values import REALIS, parse_country, parse_realis, parse_type, parse_when
from models import Profile

if TYPE_CHECKING:
    from rich.console import Console

    from ingest.broker import Broker
    from ingest.records import EventRecord
    from ingest.settings import Settings
    from ingest.storage import EventFilter, Store
    from models import Coder

TableFormat = Literal["table", "json"]
TextFormat = Literal["text", "json"]


@dataclass
class Session:
    """One call of the program: the global options, and what they lead to."""

    options: dict[str, Any] = field(default_factory=dict)
    config: Path | None = None
    debug: bool = False

    @cached_property
    def settings(self) -> Settings:
        """Settings of file, environment and options. Raises SettingsError."""
        from ingest.settings import load_settings

        return load_settings(**self.options)

    @cached_property
    def out(self) -> Console:
        """Where data goes as text: standard output."""
        from ingest.render import console_for

        return console_for("stdout")

    @cached_property
    def err(self) -> Console:
        """Where everything else goes: standard error."""
        from ingest.render import console_for

        return console_for("stderr")

    def say(self, text: str, style: str = "") -> None:
        """A line for people, on standard error."""
        from rich.text import Text

        from ingest.render import safe

        self.err.print(Text(safe(text), style=style), soft_wrap=True)

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store, open. Raises StoreUnavailable."""
        from ingest.storage import Store

        self.make_data_dir()
        store = Store.open(self.settings.store_url)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def broker(self, *more: str) -> Iterator[Broker]:
        """The broker, open, with the topics of articles, events and dead letters, and `more`, there.

        Raises BrokerUnavailable.
        """
        from ingest.broker import open_broker

        self.make_data_dir()
        broker = open_broker(self.settings)
        try:
            topics = self.settings.topics
            every = (topics.articles, topics.events, topics.dead, *more)
            broker.ensure_topics(dict.fromkeys(every, topics.partitions))
            yield broker
        finally:
            broker.close()

    def coder(self, model: Path | None = None, profile: Profile | None = None) -> Coder:
        """The coder with the weights of `model`, of the settings, or the shipped ones. Raises ModelError."""
        from models import Coder

        return Coder.load(model or self.settings.model, profile=profile or self.settings.profile)

    def make_data_dir(self) -> None:
        """Create the data folder, for what lies in it by default."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)


def session_of(ctx: typer.Context) -> Session:
    """The session that the program's own callback made."""
    session = ctx.find_object(Session)
    assert session is not None
    return session


def write_line(line: bytes | str) -> None:
    """One line of data on standard output, UTF-8 whatever the locale, and at once."""
    sys.stdout.flush()
    sys.stdout.buffer.write((line.encode() if isinstance(line, str) else line) + b"\n")
    sys.stdout.buffer.flush()


def write_record(event: EventRecord) -> None:
    """The event record as one line of JSON that no terminal takes for more than text."""
    from ingest.render import safe_json

    write_line(safe_json(event.to_json().decode()))


def reader_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    import select

    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(flags & select.POLLERR for _, flags in poll.poll(0))
    except (OSError, ValueError, AttributeError):  # not a real file, or a system without poll
        return False


def drop_stdout() -> None:
    """Send what is still buffered for a closed pipe nowhere, so that the interpreter's last flush cannot fail."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def check_when(text: str | None) -> datetime | None:
    """The time an option names. Raises typer.BadParameter."""
    return checked(parse_when, text, datetime.now(UTC)) if text is not None else None


def wanted_day(text: str | None) -> date | None:
    """The day an option names. Raises typer.BadParameter."""
    when = check_when(text)
    return when.date() if when else None


def past(text: str | None) -> datetime | None:
    """The moment that --as-of names. Raises typer.BadParameter."""
    when = check_when(text)
    if when and when > datetime.now(UTC):
        raise typer.BadParameter(f"{text} is to come, and nobody knows what will be known then", param_hint="--as-of")
    return when


def checked(parse: Any, *arguments: Any) -> Any:
    """What `parse` makes of the value of an option; typer.BadParameter in place of its ValueError."""
    try:
        return parse(*arguments)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _complete_type(incomplete: str) -> list[str]:
    from models.ontology import TYPES

    return [name for name in TYPES if name.startswith(incomplete.upper())]


TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type", "-t", metavar="TYPE", help="Only this PLOVER type; may be repeated.", autocompletion=_complete_type
    ),
]
CountryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--country",
        "-c",
        metavar="CODE",
        help="Only events that name this country (ISO 3166-1 alpha-3: place, actors or recipients); may be repeated.",
    ),
]
RealisOption = Annotated[
    list[str] | None,
    typer.Option(
        "--realis",
        metavar="REALIS",
        help=f"Only {', '.join(REALIS[:-1])} or {REALIS[-1]} events; may be repeated.",
        autocompletion=lambda incomplete: [name for name in REALIS if name.startswith(incomplete)],
    ),
]
FeedOption = Annotated[
    list[str] | None, typer.Option("--feed", metavar="NAME", help="Only this feed; may be repeated.")
]
ConfidenceOption = Annotated[
    float | None,
    typer.Option("--min-confidence", min=0.0, max=1.0, metavar="X", help="Only events at least so sure, 0 to 1."),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since", metavar="WHEN", help="Only what was coded since: a date, an RFC 3339 time, 2h, 3d, yesterday."
    ),
]
UntilOption = Annotated[
    str | None, typer.Option("--until", metavar="WHEN", help="Only what was coded before, given like --since.")
]
HappenedSinceOption = Annotated[
    str | None,
    typer.Option(
        "--happened-since", metavar="DAY", help="Only what happened since, by the dates that the texts give: a day."
    ),
]
HappenedUntilOption = Annotated[
    str | None, typer.Option("--happened-until", metavar="DAY", help="Only what happened before that day.")
]
AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of", metavar="WHEN", help="What was known then: the same answer ever after, whatever is coded since."
    ),
]
RetractedOption = Annotated[bool, typer.Option("--retracted", help="With events that were retracted later.")]
ModelOption = Annotated[
    Path | None, typer.Option("--model", metavar="PATH", help="Folder with other weights than the shipped ones.")
]

ProfileOption = Annotated[
    Profile | None,
    typer.Option(
        "--profile", help="The large network behind the small one, or the small one alone.", show_default="accurate"
    ),
]


def settled_moment(session: Session, store: Store, as_of: datetime | None) -> datetime | None:
    """The last moment up to `as_of` that answers alike ever after; says so where it is an earlier one."""
    if as_of is None:
        return None
    moment = store.settled(as_of)
    if moment < as_of:
        exact = moment.isoformat().replace("+00:00", "Z")
        session.say(f"as of {exact}, the last moment that is settled: to get the same again, give that", style="dim")
    return moment


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a command was asked for."""

    query: EventFilter
    feeds: frozenset[str]

    def matches(self, event: EventRecord) -> bool:
        """Whether the event passes every filter."""
        return self.query.matches(event) and (not self.feeds or event.article.feed in self.feeds)

    def settled(self, session: Session, store: Store) -> Wanted:
        """The same as of a moment that answers alike ever after; says so where it is not the moment asked for."""
        return replace(self, query=replace(self.query, as_of=settled_moment(session, store, self.query.as_of)))

    def of_store(self, store: Store, limit: int | None, newest_first: bool = True) -> Iterator[EventRecord]:
        """The events in the store that pass, at most `limit`."""
        if len(self.feeds) < 2:
            return store.events(self.query, limit, newest_first)
        return islice(filter(self.matches, store.events(self.query, None, newest_first)), limit)


def wanted_events(
    types: Iterable[str] | None,
    countries: Iterable[str] | None,
    realis: Sequence[str] | None,
    feeds: Sequence[str] | None,
    min_confidence: float | None,
    since: str | None,
    until: str | None = None,
    retracted: bool = False,
    happened_since: str | None = None,
    happened_until: str | None = None,
    as_of: str | None = None,
) -> Wanted:
    """The filters of the command line, checked. Raises typer.BadParameter."""
    from ingest.storage import EventFilter

    named = frozenset(feeds or ())
    query = EventFilter(
        types=tuple(checked(parse_type, name) for name in types or ()),
        countries=tuple(checked(parse_country, code) for code in countries or ()),
        realis=tuple(checked(parse_realis, name) for name in realis or ()),
        since=check_when(since),
        until=check_when(until),
        min_confidence=min_confidence,
        feed=next(iter(named)) if len(named) == 1 else None,
        include_retracted=retracted,
        happened_since=wanted_day(happened_since),
        happened_until=wanted_day(happened_until),
        as_of=past(as_of),
    )
    return Wanted(query, named)
