"""Pictures of the desk and of a report: `python -m tests.page.screenshots FOLDER`, on the reports of tests/bench/incidents.

They are the same each time but for what the browser changes: the reports have their own dates, and the page is given the clock
of the last of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from playwright.sync_api import Browser, Page

from ingest.settings import Settings
from ingest.storage import Store
from models import Coder
from tests.bench.incidents.reports import rows
from tests.ingest.api.conftest import QUICK, wait_ready
from tests.ingest.api.serving import Served, Writer, article
from tests.ingest.command import call
from tests.page.browser import chromium

LARGEST = 300_000  # bytes of a picture in the repository


def fill(url: str) -> datetime:
    """Code the reports into a store; when the last was fetched."""
    reports = sorted(rows("dev"), key=lambda row: str(row["published"]))
    coder = Coder.load(profile="fast")
    told = []
    for number, (row, events) in enumerate(zip(reports, coder.code_many(reports), strict=True)):
        published = datetime.fromisoformat(row["published"])
        given = {"url": row["url"], "syndication_id": row["syndication_id"], "language": "en"}
        told.append((article(number, row["text"], row["title"], row["publisher"], published, **given), events))
    with closing(Store.open(url)) as store:
        writer = Writer(store)
        for _, some in groupby(told, key=lambda each: (each[0].fetched.date(), each[0].fetched.hour // 3)):
            together = list(some)
            writer.report(together, together[-1][0].fetched)
    return told[-1][0].fetched


@contextmanager
def opened(browser: Browser, url: str, now: datetime, search: str, wide: int, high: int, scheme: str) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": wide, "height": high},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        locale="en-GB",
    )
    page = context.new_page()
    page.clock.set_fixed_time(now)
    page.goto(f"{url}/{search}")
    page.locator("body[data-ready]").wait_for()
    page.locator("#live[data-state=live]").wait_for()
    page.wait_for_timeout(1000)  # points, bars and names are drawn
    yield page
    context.close()


def most_told(client: httpx.Client, **filters: str | int) -> str:
    """Of the incidents that stand at the top of the list, the id of that which most sources tell."""
    found = client.get("/v1/incidents", params={"limit": 8, **filters}).json()["items"]
    best = max(found, key=lambda record: (record["sources"], len(record["reports"]), record["incident_id"]))
    return str(best["incident_id"])


def picture_report(browser: Browser, data: Path, last: datetime, folder: Path) -> Iterator[Path]:
    """Parts of the report of the last thirty days, without the times at which it was made."""
    page_file = data / "report.html"
    days = ("--from", f"{last - timedelta(days=29):%F}", "--to", f"{last + timedelta(days=1):%F}")
    answer = call("report", "--data-dir", data, *days, "-o", page_file)
    if answer.code:
        raise SystemExit(answer.err)
    context = browser.new_context(viewport={"width": 1000, "height": 820}, color_scheme="light")
    page = context.new_page()
    page.goto(page_file.as_uri())
    for name in ("map", "incidents"):
        page.evaluate("(id) => document.getElementById(id).scrollIntoView()", name)
        path = folder / f"report-{name}.png"
        page.screenshot(path=path)
        yield path
    context.close()


def checked(path: Path) -> None:
    """Say how large a picture is, and refuse one too large."""
    size = path.stat().st_size
    print(f"{path} {size // 1000} kB")
    if size > LARGEST:
        raise SystemExit(f"{path} has {size} bytes, more than {LARGEST}: show less in it")


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as data:
        settings = Settings(data_dir=Path(data))
        now = fill(settings.store_url) + timedelta(minutes=20)
        with (
            Served(Path(data), **QUICK) as served,
            httpx.Client(base_url=served.url, trust_env=False) as client,
            chromium() as browser,
        ):
            wait_ready(client)
            attack = most_told(client, type="ASSAULT", min_sources=2)
            views = {
                "desk-light": ("?span=30d", 1360, 900, "light"),
                "desk-incident": (f"?type=ASSAULT&span=30d&incident={attack}", 1360, 900, "light"),
                "desk-dark": (
                    f"?type=ASSAULT&span=30d&min_sources=2&map=30.000,35.000,2.10&incident={attack}",
                    1360,
                    850,
                    "dark",
                ),
                "desk-narrow": (f"?span=30d&incident={attack}", 390, 800, "light"),
            }
            for name, view in views.items():
                with opened(browser, served.url, now, *view) as page:
                    path = folder / f"{name}.png"
                    page.screenshot(path=path)
                    checked(path)
            for path in picture_report(browser, Path(data), now, folder):
                checked(path)


if __name__ == "__main__":
    main()
