"""A store with generated events and incidents, and `conflictwire serve` on it: `python -m tests.ingest.api.serving FOLDER`."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

from ingest.records import Article, EventRecord, IncidentRecord
from ingest.settings import Settings
from ingest.storage import Coding, KeeperState, Kept, Position, Store
from models.events import Actor, Codes, Count, Event, EventDate, Location, ModelInfo, Span
from models.incidents import Incidents, Told
from models.ontology import quad
from tests.ingest.command import ROOT, settings_environment

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
FEEDS = ("sahel-courier", "levant-ledger", "harbour-wire", "northern-standard", "baltic-observer", "andes-dispatch")
LANGUAGES = ("en", "en", "en", "fr")


@dataclass(frozen=True)
class Story:
    """A happening to be reported."""

    type: str
    mode: str
    trigger: str
    actor: tuple[str, str | None, str]
    recipient: tuple[str, str | None, str]
    place: tuple[str, str, float, float, int]
    dead: int | None = None
    realis: str = "actual"


PLACES = (
    ("Goma", "COD", -1.68, 29.22, 216281),
    ("El Fasher", "SDN", 13.63, 25.35, 371760),
    ("Mosul", "IRQ", 36.33, 43.13, 99072),
    ("Kharkiv", "UKR", 49.98, 36.25, 706483),
    ("Gao", "MLI", 16.27, -0.04, 2457163),
    ("Sittwe", "MMR", 20.15, 92.9, 1295765),
    ("Maiduguri", "NGA", 11.85, 13.16, 2331447),
    ("Aden", "YEM", 12.78, 45.04, 415189),
    ("Port-au-Prince", "HTI", 18.54, -72.34, 3718426),
    ("Suva", "FJI", -18.14, 178.44, 2198148),
)
KINDS = (
    ("ASSAULT", "artillery", "shelled", ("The army", None, "MIL"), ("the market", None, "CIV"), 12),
    ("ASSAULT", "bombing", "bombed", ("Fighters of the March 23 Movement", "COD", "REB"), ("a convoy", None, "MIL"), 4),
    ("PROTEST", "demo", "protested", ("Students", None, "CVL"), ("the government", None, "GOV"), None),
    ("COERCE", "arrest", "detained", ("The police", None, "COP"), ("three journalists", None, "MED"), None),
    ("CONSULT", "meet", "met", ("The president", None, "GOV"), ("the rebels", None, "REB"), None),
    ("AID", "food", "gave food to", ("The Red Cross", "NGO", "NGO"), ("displaced families", None, "REF"), None),
    ("THREATEN", "force", "threatened", ("The militia", None, "UAF"), ("the governor", None, "GOV"), None),
)


def story(random_: random.Random) -> Story:
    """Any one."""
    type_, mode, trigger, actor, recipient, dead = random_.choice(KINDS)
    realis = random_.choice(("actual",) * 8 + ("future", "historical"))
    place = random_.choice(PLACES)
    return Story(type_, mode, trigger, actor, recipient, place, dead and random_.randrange(1, 40), realis)


def event(of: Story, day: str, confidence: float, title: str = "", more: str = "") -> tuple[str, Event]:
    """The text of a report and the event that a coder would find in it."""
    name, country, lat, lon, geonames = of.place
    toll = f", killing at least {of.dead}" if of.dead else ""
    sentence = f"{of.actor[0]} {of.trigger} {of.recipient[0]} in {name} on Tuesday{toll}, officials said."
    text = f"{sentence}\n\n{more or 'Nobody else could be reached for comment.'}"

    def span(words: str) -> tuple[str, int, int, str]:
        start = text.index(words)
        return words, start, start + len(words), "text"

    actor, recipient = (
        Actor(*span(words), country=code or country, sector=sector, confidence=0.8)  # type: ignore[arg-type]
        for words, code, sector in (of.actor, of.recipient)
    )
    found = Event(
        type=of.type,
        quad=quad(of.type),
        modes=(of.mode,),
        intensity=-5.0,
        realis=of.realis,  # type: ignore[arg-type]
        confidence=confidence,
        trigger=Span(*span(of.trigger)),  # type: ignore[arg-type]
        sentence=Span(*span(sentence)),  # type: ignore[arg-type]
        codes=Codes(of.type, "190", None),
        crosswalk="1",
        model=ModelInfo("generated", "1"),
        actors=(actor,),
        recipients=(recipient,),
        location=Location(*span(name), name, country, None, lat, lon, geonames, "place"),  # type: ignore[arg-type]
        date=EventDate(*span("Tuesday"), earliest=day, latest=day),  # type: ignore[arg-type]
        dead=Count(*span(f"at least {of.dead}"), of.dead, None) if of.dead else None,  # type: ignore[arg-type]
    )
    return text, found


def article(number: int, text: str, title: str, feed: str, published: datetime, **fields: Any) -> Article:
    """One of a store."""
    values: dict[str, Any] = {
        "article_id": f"{number:032x}",
        "feed": feed,
        "url": f"https://{feed}.example.org/{number}",
        "canonical_url": f"https://{feed}.example.org/{number}",
        "title": title,
        "text": text,
        "language": LANGUAGES[number % len(LANGUAGES)],
        "published": published,
        "published_source": "entry",
        "fetched": published + timedelta(minutes=5),
        "content_hash": f"{number:064x}",
    }
    return Article(**values | fields)


class Writer:
    """Writes reports to a store as a worker does and, where it `keeps`, incidents as their keeper does."""

    def __init__(self, store: Store, keeps: bool = True) -> None:
        self.store = store
        self.keeps = keeps
        self.incidents = Incidents()
        self.number = 0

    def report(
        self, reports: Iterable[tuple[Article, Sequence[Event]]], coded: datetime | None = None
    ) -> list[EventRecord]:
        """Store articles with their events; what became of them."""
        codings = []
        for one, events in reports:
            self.number += 1
            codings.append(Coding(Position("articles", 0, self.number), one, tuple(events), coded or datetime.now(UTC)))
        made = [records for records in self.store.apply(codings) if not isinstance(records, str)]
        if self.keeps:
            self.keep(zip((coding.article for coding in codings), made, strict=True))
        return [record for records in made for record in records]

    def keep(self, reports: Iterable[tuple[Article, Iterable[EventRecord]]]) -> None:
        """Fit the events into incidents, and store what becomes of these."""
        kept = []
        for one, records in reports:
            for record in records:
                told = Told(
                    record.event_id,
                    record.revision,
                    record.status,
                    one.article_id,
                    one.revision,
                    one.syndicated_from or one.feed,
                    one.syndication_id or one.article_id,
                    one.published or one.fetched,
                    record.coded,
                    record,
                )
                changes = self.incidents.observe(told)
                kept.append(Kept(record, tuple(IncidentRecord.of(change) for change in changes)))
        if kept:
            before = self.store.keeper()
            after = KeeperState(before.number + len(kept), kept[-1].event.coded)
            self.store.keep(kept, before, after, None)


def fill(url: str, stories: int = 60, seed: int = 1, end: datetime | None = None) -> int:
    """Write so many stories, in one to five reports each, over the ten days before `end`; how many articles."""
    random_ = random.Random(seed)
    store = Store.open(url)
    writer = Writer(store)
    last = end or datetime.now(UTC) - timedelta(minutes=1)
    for number in range(stories):
        one = story(random_)
        happened = last - timedelta(days=10) * (1 - number / stories)
        reports = []
        for nth in range(random_.choice((1, 1, 2, 3, 5))):
            toll = one.dead and max(1, one.dead + random_.choice((0, 0, 0, 3)))
            text, found = event(
                replace(one, dead=toll), happened.date().isoformat(), round(random_.uniform(0.4, 0.99), 3)
            )
            title = f"{one.place[0]}: {one.actor[0].lower()} {one.trigger} {one.recipient[0]}"
            feed = FEEDS[(number + nth) % len(FEEDS)]
            published = happened + timedelta(minutes=7 * nth)
            reports.append((article(number * 10 + nth, text, title, feed, published), [found]))
        writer.report(reports, happened + timedelta(minutes=40))
    store.close()
    return writer.number


class Served:
    """`conflictwire serve` as a process, on a free port unless told otherwise; `url` ends without a slash."""

    def __init__(self, folder: Path, *arguments: str, settings: Settings | None = None, **environment: str) -> None:
        given = settings_environment(settings or folder) | environment
        command = [sys.executable, "-c", "from ingest.cli import main; main()", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.log: list[str] = []
        assert self.process.stdout
        assert self.process.stderr
        self._reader = threading.Thread(target=self.log.extend, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.close()
            raise AssertionError(f"not served: {line!r} {self.log[-5:]}")
        self.url = line.removeprefix("listening on ").strip().rstrip("/")

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self, timeout: float = 20.0) -> int:
        """Tell it to end, and its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()
        return code


def main() -> None:
    """Fill a store in the folder and serve it until Ctrl-C."""
    folder = Path(sys.argv[1])
    settings = Settings(data_dir=folder)
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{fill(settings.store_url)} articles", flush=True)
    with Served(folder, *sys.argv[2:]) as served:
        print(served.url, flush=True)
        served.process.wait()


if __name__ == "__main__":
    main()
