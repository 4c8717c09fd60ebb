"""How soon the page can be used, on a full store in SQLite: `python -m tests.bench.page [--rows 1000000] [--rounds 10]`.

Each round opens the page in a browser that has kept nothing, and measures until list, map, timeline and filters stand there
and take input; then from a filter being set to the list that it asks for. Milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from playwright.sync_api import Browser

from ingest.settings import Settings
from ingest.storage import Store
from tests.bench.api import fill
from tests.ingest.api.conftest import QUICK
from tests.ingest.api.serving import Served
from tests.page.browser import chromium


def opened(browser: Browser, url: str) -> tuple[float, float, float]:
    """From asking for the page to its use, from a filter to its list, and the kB that were sent."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(url)
    page.locator("body[data-ready]").wait_for()
    ready, sent = page.evaluate(
        """() => {
            const files = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
            return [performance.getEntriesByName("ready")[0].startTime, files.reduce((sum, one) => sum + one.transferSize, 0)];
        }"""
    )
    filtered = page.evaluate(
        """async () => {
            const start = performance.now();
            document.querySelector("input[value=ASSAULT]").click();
            const rows = document.querySelector("#rows");
            const chips = document.querySelector("#chips");
            while (chips.hidden || rows.hasAttribute("aria-busy")) await new Promise(requestAnimationFrame);
            return performance.now() - start;
        }"""
    )
    context.close()
    return ready, filtered, sent / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="events in the store")
    parser.add_argument("--rounds", type=int, default=10, help="times that the page is opened")
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        with closing(Store.open(settings.store_url)) as store:
            fill(store, chosen.rows)
        with Served(Path(folder), **QUICK) as served, chromium() as browser:
            with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as client:
                while client.get("/readyz").status_code != 200:
                    time.sleep(0.1)
            opened(browser, served.url)  # the browser's own start is not the page's
            times = [opened(browser, served.url) for _ in range(chosen.rounds)]
    print(f"{chosen.rows:,} events; goal: ready in 1500")
    for name, values in zip(("ready", "filtered", "sent, kB"), zip(*times, strict=True), strict=True):
        print(f"{name:9} median {statistics.median(values):6.0f}  worst {max(values):6.0f}  of {chosen.rounds}")


if __name__ == "__main__":
    main()
