"""Size and speed of the store as it grows: `python -m tests.bench.storage [--rows 5000000] [--database sqlite]`.

Rows are generated: events of the size that the coder makes, over 60 months, of 200 countries (a few have most of them)
and PLOVER's types, one in twenty superseded by a later revision. They are written as `Store.apply` writes, without its
decisions; then `Store.apply` itself is timed on the full store, and on an empty one, in batches of 500 articles with one
or two events each, one in ten an edit. PostgreSQL is a cluster of its own that syncs to disk, with the settings given.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ingest.records import Article, EventRecord
from ingest.revisions import revise
from ingest.storage import Coding, EventFilter, Position, Store, queries, tables
from ingest.storage.partitions import make_partitions, month_of
from models.events import AcledCode, Actor, Codes, Count, Event, EventDate, Location, ModelInfo, Span
from models.ontology import TYPES
from tests.servers.postgres import PostgresCluster, require_binaries

MONTHS = 60
END = datetime(2026, 11, 1, tzinfo=UTC)
SPAN = timedelta(days=MONTHS * 30)
COUNTRIES = [
    "UKR",
    "SDN",
    "SYR",
    "MLI",
    "COD",
    "MMR",
    "YEM",
    "NGA",
    *(f"X{a}{b}" for a in "ABCDEFGHIJKLMN" for b in "ABCDEFGHIJKLM"),
]
WEIGHTS = [1 / (place + 2) for place in range(len(COUNTRIES))]
COPIED_AT_ONCE = 20_000
BATCH = 500
TEXT = "Rebels shelled the town on Friday, killing at least 12 civilians, officials of the province said. " * 30
TEMPLATES = 400
POSTGRES = {
    "shared_buffers": "1GB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}


def event(random_: random.Random, word: str, country: str, type: str) -> Event:
    """An event as long as those of the coder: four arguments and a sentence of 180 characters."""
    sentence = (
        f"Fighters of the group {word} the town of Goma on Friday, killing at least 12 civilians and wounding "
        + ("others, officials of the province told reporters in the capital on Saturday evening.")
    )
    actor = Actor("Fighters of the group", 0, 21, "text", country=country, sector="REB", confidence=0.81)
    other = random_.choice(COUNTRIES[:40])
    return Event(
        type=type,
        quad="material conflict",
        modes=("artillery",),
        intensity=-9.5,
        realis=random_.choice(["actual", "actual", "actual", "historical", "future"]),
        confidence=round(random_.uniform(0.4, 0.99), 4),
        trigger=Span(word, 22, 22 + len(word), "text"),
        sentence=Span(sentence, 0, len(sentence), "text"),
        codes=Codes(plover=type, cameo="194", acled=AcledCode("Explosions/Remote violence", "Shelling/artillery")),
        crosswalk="1",
        model=ModelInfo("conflictwire-accurate", "3"),
        actors=(actor,),
        recipients=(replace(actor, text="civilians", country=other, sector="CIV"),),
        location=Location("Goma", 43, 47, "text", "Goma", country, "North Kivu", -1.68, 29.22, 216281, "place"),
        date=EventDate("Friday", 51, 57, "text", earliest="2026-11-20", latest="2026-11-20"),
        dead=Count("at least 12", 67, 78, "text", min=12, max=None),
        injured=None,
        claimed_by=(Span("officials of the province", 110, 135, "text"),),
    )


def article(number: int, revision: int, fetched: datetime, feed: str = "feed-1") -> Article:
    name = f"{number:032x}"
    return Article(
        article_id=name,
        revision=revision,
        feed=feed,
        url=f"https://news.example.org/world/africa/2026/11/{number}-town-shelled",
        canonical_url=f"https://news.example.org/world/africa/2026/11/{number}-town-shelled",
        title=f"Town shelled for day {number % 1000}, dozens feared dead",
        text=TEXT[: 1500 + number % 1400],
        language="en",
        authors=("A. Reporter",),
        published=fetched - timedelta(minutes=20),
        published_source="entry",
        fetched=fetched,
        content_hash=f"{number:060x}{revision:04x}",
    )


def generated(
    rows: int, seed: int = 7, span: timedelta = SPAN
) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Rows of `events`, in the order of their coding, each with its rows of `event_countries`."""
    random_ = random.Random(seed)
    types = list(TYPES)
    templates: list[tuple[EventRecord, dict[str, Any]]] = []
    for number in range(TEMPLATES):
        country = random_.choices(COUNTRIES, WEIGHTS)[0]
        made = event(random_, "shelled", country, random_.choice(types))
        [record] = revise([], article(10**12, 1, END, feed=f"feed-{number % 97}"), [made], END)
        templates.append((record, queries.event_row(record, END, None)))
    name = f"{10**12:032x}"
    step = span / rows
    superseded = END + timedelta(days=1)
    for number in range(rows):
        record, row = templates[random_.randrange(TEMPLATES)]
        coded = (END - span + step * number).replace(microsecond=0)
        event_id = f"{random_.getrandbits(96):024x}"
        article_id = f"{number:032x}"
        text = row["record"].replace(record.event_id, event_id).replace(name, article_id)
        yield (
            row
            | {
                "event_id": event_id,
                "article_id": article_id,
                "coded": coded,
                "stored": coded + timedelta(seconds=2),
                "superseded": superseded if number % 20 == 0 else None,
                "published": coded - timedelta(hours=1),
                "record": text,
            },
            [
                {"country": country, "coded": coded, "event_id": event_id, "revision": 1, "type": record.type}
                for country in record.countries
            ],
        )


def fill(store: Store, rows: int) -> float:
    """Write the rows; events a second."""
    source = generated(rows)
    seconds = 0.0
    with store._writing() as connection:
        months = {month_of(END - SPAN + timedelta(days=days)) for days in range(MONTHS * 30 + 1)}
        make_partitions(connection, months)
    done = 0
    while some := list(itertools.islice(source, COPIED_AT_ONCE)):
        began = time.perf_counter()
        with store._writing() as connection:
            queries.insert(connection, tables.events, [row for row, _ in some])
            queries.insert(connection, tables.event_countries, [each for _, named in some for each in named])
        seconds += time.perf_counter() - began
        done += len(some)
        if done % 500_000 < COPIED_AT_ONCE:
            print(f"  {done:,} rows, {done / seconds:,.0f}/s", flush=True)
    return rows / seconds


def batches(number: int, seed: int, first: int) -> list[list[Coding]]:
    """Codings as a worker hands them over: one or two events an article, one in ten an edit of one before."""
    random_ = random.Random(seed)
    now = datetime.now(UTC)
    made: list[list[Coding]] = []
    for batch in range(number):
        some = []
        for place in range(BATCH):
            offset = batch * BATCH + place
            edit = batch > 0 and place % 10 == 0
            which = first + (offset - BATCH if edit else offset)
            words = ("shelled",) if offset % 2 else ("shelled", "attacked")
            events = tuple(event(random_, word, random_.choices(COUNTRIES, WEIGHTS)[0], "ASSAULT") for word in words)
            some.append(Coding(Position("articles", seed, offset), article(which, 2 if edit else 1, now), events, now))
        made.append(some)
    return made


def applied(store: Store, number: int, seed: int) -> tuple[float, float]:
    """Articles and event revisions a second through `Store.apply`."""
    work = batches(number + 2, seed, 2 * 10**12 + seed * 10**9)
    for some in work[:2]:
        store.apply(some)
    began = time.perf_counter()
    events = sum(len(made) for some in work[2:] for made in store.apply(some))
    seconds = time.perf_counter() - began
    return number * BATCH / seconds, events / seconds


def timed(ask: Callable[[], int], repeat: int = 30) -> tuple[float, float, int]:
    """Median and 95th percentile of the milliseconds, and how many rows came the last time."""
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        found = ask()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times), statistics.quantiles(times, n=20)[-1], found


def questions() -> dict[str, tuple[EventFilter, int | None]]:
    """What is asked of the full store: filter and limit. Months are of the time of coding."""
    first, last = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)
    month = {"since": first, "until": last}
    return {
        "country, type, month: all of it": (EventFilter(countries=("SDN",), types=("ASSAULT",), **month), None),
        "country, type, month: a page of 50": (EventFilter(countries=("SDN",), types=("ASSAULT",), **month), 50),
        "the same as of the month's end": (
            EventFilter(countries=("SDN",), types=("ASSAULT",), as_of=last, **month),
            None,
        ),
        "country, month: a page of 50": (EventFilter(countries=("UKR",), **month), 50),
        "type, newest 50": (EventFilter(types=("PROTEST",)), 50),
        "newest 50": (EventFilter(), 50),
        "newest 50 as of a year ago": (EventFilter(as_of=END - timedelta(days=365)), 50),
        "rare country, newest 50": (EventFilter(countries=("XNM",)), 50),
    }


def size(store: Store, url: str) -> int:
    """Bytes of the database's tables and indexes."""
    if url.startswith("sqlite"):
        with store._engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return Path(url.removeprefix("sqlite:///")).stat().st_size
    with store._reading() as connection:
        return int(connection.scalar(sa.text("SELECT pg_database_size(current_database())")) or 0)


@contextmanager
def database(kind: str, folder: str | None) -> Iterator[Callable[[], str]]:
    """Makes URLs of empty databases."""
    if kind == "sqlite":
        place = tempfile.mkdtemp(dir=folder)
        try:
            count = itertools.count()
            yield lambda: f"sqlite:///{place}/{next(count)}.db"
        finally:
            shutil.rmtree(place)
        return
    if folder:
        tempfile.tempdir = folder
    server = PostgresCluster(require_binaries(), durable=True)
    server._options |= POSTGRES
    try:
        server.start()
        yield lambda: server.url(server.create_database())
    finally:
        server.remove()


def main() -> None:
    """Fill, ask, apply; print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000, help="events in the full store")
    parser.add_argument("--database", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--batches", type=int, default=40, help="of 500 articles, through Store.apply")
    parser.add_argument("--folder", help="where the database is to lie", default=None)
    chosen = parser.parse_args()
    with database(chosen.database, chosen.folder) as make:
        figures = measured(make, chosen.rows, chosen.batches)
    print(json.dumps(figures))


def measured(make: Callable[[], str], rows: int, number: int) -> dict[str, float]:
    """The figures, printed as they come."""
    figures: dict[str, float] = {}
    empty = Store.open(make())
    articles, events = applied(empty, number, 1)
    empty.close()
    figures |= {"apply_empty_articles": articles, "apply_empty_events": events}
    print(f"Store.apply, empty store: {articles:,.0f} articles/s, {events:,.0f} event revisions/s", flush=True)

    url = make()
    store = Store.open(url)
    before = size(store, url)
    figures["insert_events"] = fill(store, rows)
    print(f"insertion of {rows:,} events with all indexes: {figures['insert_events']:,.0f}/s", flush=True)
    figures["bytes_a_row"] = (size(store, url) - before) / rows
    print(f"{figures['bytes_a_row']:,.0f} bytes an event, indexes and countries included", flush=True)
    began = time.perf_counter()
    if url.startswith("postgresql"):
        # What autovacuum does as the months fill.
        with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE) events, event_countries")
        print(f"vacuum and analyze of all: {time.perf_counter() - began:,.0f} s", flush=True)
    for name, (wanted, limit) in questions().items():
        median, slow, found = timed(lambda wanted=wanted, limit=limit: len(list(store.events(wanted, limit))))  # type: ignore[misc]
        figures[f"ms: {name}"] = median
        print(f"{name}: median {median:.1f} ms, 95th percentile {slow:.1f} ms, {found} events", flush=True)
    articles, events = applied(store, number, 2)
    figures |= {"apply_full_articles": articles, "apply_full_events": events}
    print(f"Store.apply, {rows:,} events stored: {articles:,.0f} articles/s, {events:,.0f} event revisions/s")
    print(
        f"cost of an article in the full store, of that in the empty one: {figures['apply_empty_articles'] / articles:.2f}"
    )
    store.close()
    return figures


if __name__ == "__main__":
    main()
