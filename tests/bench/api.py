"""Speed and memory of the API on a full store: `python -m tests.bench.api [--rows 1000000] [--database sqlite|postgres]`.

The events are those of tests.bench.storage, each with a place of its own, and one incident for every three of them. The
server is `conflictwire serve`, a process of its own; it is asked over HTTP by one client, each question so many times, with
filters that change from one time to the next. Then so many clients follow the live stream while events are written; the
memory is the server's (VmRSS) with all of them connected. PostgreSQL is a cluster of its own that syncs to disk.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
from pydantic import SecretStr

from ingest.records import format_time
from ingest.settings import Settings
from ingest.storage import Store, queries, tables
from ingest.storage.partitions import make_partitions, month_of
from models.ontology import TYPES
from tests.bench.storage import COUNTRIES, END, MONTHS, SPAN, WEIGHTS, database, generated
from tests.ingest.api.serving import Served

AT_ONCE = 20_000
LISTS, COUNTS = "lists", "counts"
GOALS = {LISTS: 60.0, COUNTS: 60.0, "map": 250.0}
POINTS = 20_000  # different places


def placed(rows: int, span: timedelta = SPAN) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The events, in places all over the world; some are in many, as in the news."""
    random_ = random.Random(3)
    spots = [(round(random_.uniform(-50, 65), 2), round(random_.uniform(-170, 175), 2)) for _ in range(POINTS)]
    for row, countries in generated(rows, span=span):
        lat, lon = spots[min(int(random_.expovariate(1 / 2500)), POINTS - 1)]
        record = row["record"].replace('"lat":-1.68,"lon":29.22', f'"lat":{lat},"lon":{lon}')
        record = record.replace(f'"coded":"{format_time(END)}"', f'"coded":"{format_time(row["coded"])}"')
        yield row | {"lat": lat, "lon": lon, "record": record}, countries


def incident(number: int, reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The row of an incident that some events report."""
    events = [(row, json.loads(row["record"])) for row in reports]
    first, last = reports[0], reports[-1]
    told = [
        {
            "event_id": row["event_id"],
            "revision": 1,
            "article_id": row["article_id"],
            "article_revision": 1,
            "publisher": row["feed"],
            "published": format_time(row["published"]),
            "source": at,
            "denies": False,
        }
        for at, (row, _) in enumerate(events, 1)
    ]
    names = [row["event_id"] for row in reports]
    place = {name: events[0][1]["location"][name] for name in ("name", "country", "admin1", "geonames_id", "precision")}
    place |= {"lat": first["lat"], "lon": first["lon"]}

    def supported(value: Any) -> dict[str, Any]:
        return {"value": value, "sources": len(reports), "evidence": names}

    parties = {
        side: [supported({name: party[name] for name in ("text", "country", "sector")}) for party in events[0][1][side]]
        for side in ("actors", "recipients")
    }
    status = "corroborated" if len(reports) > 1 else "single_source"
    record = {
        "schema": 1,
        "incident_id": f"{number:024x}",
        "revision": 1,
        "kind": "new",
        "status": status,
        "created": format_time(first["coded"]),
        "changed": format_time(last["coded"]),
        "reports": told,
        "sources": len(reports),
        "first_report": format_time(first["published"]),
        "last_report": format_time(last["published"]),
        "countries": [first["country"]],
        "type": supported(first["type"]),
        "modes": [],
        "place": supported(place),
        "date": supported({"earliest": "2026-11-20", "latest": "2026-11-20"}),
        **parties,
        "disputed": [],
    }
    return {
        "incident_id": record["incident_id"],
        "revision": 1,
        "stored": last["stored"],
        "superseded": None,
        "number": number,
        "kind": "new",
        "status": status,
        "type": first["type"],
        "country": first["country"],
        "lat": first["lat"],
        "lon": first["lon"],
        "first_report": first["published"],
        "last_report": last["published"],
        "earliest": "2026-11-20",
        "latest": "2026-11-20",
        "sources": len(reports),
        "reports": len(reports),
        "dead_min": None,
        "dead_max": None,
        "parties": "",
        "told_by": "",
        "languages": "",
        "record": json.dumps(record),
    }


def reported(rows: list[dict[str, Any]], first: int, random_: random.Random) -> list[dict[str, Any]]:
    """The rows of the incidents that these events report: one for every three events, in one to eight reports each."""
    made, at = [], 0
    while at < len(rows):
        number = random_.choice((1, 1, 1, 1, 2, 2, 3, 4, 4, 8))
        made.append(incident(first + len(made), rows[at : at + number]))
        at += number
    return made


def fill(store: Store, rows: int, span: timedelta = SPAN) -> None:
    """Write the events and the incidents."""
    random_, incidents = random.Random(11), 0
    with store._writing() as connection:
        months = {month_of(END - SPAN + timedelta(days=days)) for days in range(MONTHS * 30 + 1)}
        make_partitions(connection, months)
    source = placed(rows, span)
    while some := list(itertools.islice(source, AT_ONCE)):
        with store._writing() as connection:
            queries.insert(connection, tables.events, [row for row, _ in some])
            queries.insert(connection, tables.event_countries, [each for _, named in some for each in named])
            made = reported([row for row, _ in some], incidents, random_)
            queries.insert(connection, tables.metadata.tables["incidents"], made)
            incidents += len(made)
    with store._writing() as connection:
        connection.execute(tables.storings.insert().values(stored=END + timedelta(days=1)))
    if not store._sqlite:
        with store._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE) events, event_countries")


def memory(pid: int) -> int:
    """Bytes that a process holds."""
    return int(psutil.Process(pid).memory_info().rss)


def asked(client: httpx.Client, path: str, params: Callable[[], dict[str, Any]], repeat: int) -> dict[str, float]:
    """Milliseconds until the answer is there: median and 95th percentile; its size as sent."""
    times, size = [], 0
    for _ in range(repeat + 3):
        query = params()
        began = time.perf_counter()
        with client.stream("GET", path, params=query) as answer:
            body = b"".join(answer.iter_raw())
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (answer.status_code, body[:300])
        size = max(size, len(body))
    times = times[3:]
    return {"p50": statistics.median(times), "p95": statistics.quantiles(times, n=20)[-1], "bytes": size}


def questions(of: str) -> Iterator[tuple[str, str, str, Callable[[], dict[str, Any]]]]:
    """Kind, name, path and the query, which changes each time."""
    random_ = random.Random(5)

    def country() -> str:
        return random_.choices(COUNTRIES, WEIGHTS)[0]

    def month() -> dict[str, str]:
        first = END - SPAN + timedelta(days=random_.randrange(MONTHS * 30 - 31))
        return {"since": first.isoformat(), "until": (first + timedelta(days=30)).isoformat()}

    def box() -> str:
        west, south = random_.uniform(-170, 100), random_.uniform(-60, 40)
        return f"{west:.2f},{south:.2f},{west + 20:.2f},{south + 15:.2f}"

    lists: dict[str, Callable[[], dict[str, Any]]] = {
        "newest 50": dict,
        "country and type": lambda: {"country": country(), "type": random_.choice(TYPES)},
        "country, a month": lambda: {"country": country()} | month(),
        "box, realis, confidence": lambda: {"bbox": box(), "realis": "actual", "min_confidence": random_.random()},
        "actor": lambda: {"actor": "fighters", "country": country()},
        "hardly any": lambda: {"country": COUNTRIES[-1], "type": "AID", "min_confidence": 0.95, "realis": "future"},
        "as of a time": lambda: {
            "as_of": (END - timedelta(days=random_.randrange(900))).isoformat(),
            "country": country(),
        },
    }
    if of == "incidents":
        del lists["as of a time"]  # of before the start it is read from the store, which docs/api.md says
        lists["corroborated"] = lambda: {"min_sources": 2, "country": country()}
    for name, query in lists.items():
        yield LISTS, name, f"/v1/{of}", query
    totals: dict[str, Callable[[], dict[str, Any]]] = {
        "by day, all": lambda: {"by": "day"},
        "by week and type, all": lambda: {"by": ["week", "type"]},
        "by country, all": lambda: {"by": "country"},
        "by source, a month": lambda: {"by": "source"} | month(),
        "by day, country, confidence": lambda: {"by": "day", "country": country(), "min_confidence": random_.random()},
        "by month and country, realis": lambda: {"by": ["month", "country"], "realis": "actual"},
    }
    for name, query in totals.items():
        yield COUNTS, name, "/v1/counts", lambda query=query: {"of": of} | query()  # type: ignore[misc]
    yield "map", "the world", "/v1/map", lambda: {"of": of, "zoom": 3, "min_confidence": round(random_.random() / 9, 5)}
    yield "map", "a box", "/v1/map", lambda: {"of": of, "zoom": 7, "bbox": box()}


async def follow(url: str, clients: int, write: Callable[[], int], pid: int) -> dict[str, float]:
    """Let so many clients follow while something is written; memory, and seconds until all have all."""
    got = [0] * clients

    async def one(number: int) -> None:
        reader, writer = await asyncio.open_connection(*url.removeprefix("http://").split(":"))
        of = "events" if number % 2 else "incidents"
        kinds = ("", "&type=ASSAULT&type=AID&type=PROTEST&type=COERCE", "&min_confidence=0.1")
        query = f"/v1/stream?of={of}{kinds[number % 3] if of == 'events' else ''}"
        writer.write(f"GET {query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Encoding: identity\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        started.release()
        while line := await reader.readline():
            got[number] += line.startswith(b"id: ")
        writer.close()

    started = asyncio.Semaphore(0)
    tasks = [asyncio.create_task(one(number)) for number in range(clients)]
    for _ in range(clients):
        await started.acquire()
    await asyncio.sleep(2)
    idle = memory(pid)
    written = await asyncio.to_thread(write)
    began = time.perf_counter()
    events = [number for number in range(clients) if number % 2 and number % 3 == 0]
    async with asyncio.timeout(60):
        while min((got[number] for number in events), default=written) < written:  # noqa: ASYNC110 - they signal nothing
            await asyncio.sleep(0.1)
    seconds = time.perf_counter() - began
    assert all(got[number] == written for number in events), "a client has missed something"
    peak = memory(pid)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return {"idle_bytes": idle, "peak_bytes": peak, "seconds": seconds, "written": written}


def main() -> None:
    """Fill, ask, follow; print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="events in the store")
    parser.add_argument("--database", choices=["postgres", "sqlite"], default="sqlite")
    parser.add_argument("--repeat", type=int, default=40, help="times that each question is asked")
    parser.add_argument("--clients", type=int, default=500, help="of the live stream")
    parser.add_argument("--folder", help="where the database is to lie", default=None)
    chosen = parser.parse_args()
    with database(chosen.database, chosen.folder) as make, tempfile.TemporaryDirectory() as folder:
        figures = measured(make(), Path(folder), chosen)
    print(json.dumps(figures))


def measured(url: str, folder: Path, chosen: argparse.Namespace) -> dict[str, Any]:
    """The figures, printed as they come."""
    from tests.ingest.api.serving import Writer, article, event, story

    figures: dict[str, Any] = {"rows": chosen.rows, "database": chosen.database}
    began = time.perf_counter()
    store = Store.open(url)
    fill(store, chosen.rows)
    print(f"{chosen.database}: {chosen.rows:,} events written in {time.perf_counter() - began:,.0f} s", flush=True)
    settings = Settings(data_dir=folder, store=SecretStr(url))
    limits = {"CONFLICTWIRE_API__RATE": "10000000", "CONFLICTWIRE_API__BURST": "1000000"}
    began = time.perf_counter()
    with (
        Served(folder, settings=settings, **limits) as served,
        httpx.Client(base_url=served.url, trust_env=False) as client,
    ):
        while client.get("/readyz").status_code != 200:
            time.sleep(0.05)
        figures["ready_seconds"] = time.perf_counter() - began
        figures["ready_bytes"] = memory(served.process.pid)
        print(f"ready after {figures['ready_seconds']:.1f} s, {figures['ready_bytes'] / 1e6:,.0f} MB", flush=True)
        for of in ("events", "incidents"):
            slowest: dict[str, float] = {}
            for kind, name, path, query in questions(of):
                found = asked(client, path, query, chosen.repeat)
                figures[f"{of}, {kind}: {name}"] = found
                slowest[kind] = max(slowest.get(kind, 0.0), found["p95"])
                told = f"median {found['p50']:.1f} ms, 95th percentile {found['p95']:.1f} ms, {found['bytes']:,} bytes sent"
                print(f"{of}, {kind}: {name}: {told}", flush=True)
            for kind, worst in slowest.items():
                print(f"{of}, {kind}: the slowest has a 95th percentile of {worst:.1f} ms; goal {GOALS[kind]:.0f}")
        writer = Writer(store)
        random_ = random.Random(9)

        def write() -> int:
            for batch in range(10):
                reports = []
                for number in range(20):
                    now = datetime.now(UTC)
                    text, made = event(story(random_), now.date().isoformat(), 0.9)
                    reports.append((article(10**9 + batch * 100 + number, text, "Report", "wire", now), [made]))
                writer.report(reports)
                time.sleep(0.3)
            return 200

        for of in ("events", "incidents"):
            assert asked(client, f"/v1/{of}", dict, 2)["bytes"] > 3000, "nothing was found"
        figures["stream"] = stream = asyncio.run(follow(served.url, chosen.clients, write, served.process.pid))
        print(
            f"{chosen.clients} clients of the stream: {stream['idle_bytes'] / 1e6:,.0f} MB with all connected, "
            f"{stream['peak_bytes'] / 1e6:,.0f} MB after {stream['written']} events, which all had after "
            f"{stream['seconds']:.1f} s; goal 300 MB",
            flush=True,
        )
    store.close()
    return figures


if __name__ == "__main__":
    main()
