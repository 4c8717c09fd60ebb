"""The desk in a real browser, on a store that is filled with generated and with hostile reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Route

from ingest.settings import Settings
from ingest.storage import IncidentFilter, Store
from tests.ingest.api.conftest import QUICK, until, wait_ready
from tests.ingest.api.serving import Served, Writer, fill
from tests.page.browser import chromium, find_chromium
from tests.page.reports import HOSTILE, SMILE, Report
from tests.servers.unavailable import unavailable

PATIENCE = 15_000  # milliseconds


@dataclass
class Desk:
    """The served desk, its API, and a writer of further reports."""

    url: str
    client: httpx.Client
    writer: Writer
    told: int = 900_000

    def tell(self, *reports: Report) -> None:
        """Store reports as workers and the keeper of incidents do."""
        made = []
        for one in reports:
            self.told += 1
            made.append(one.coded(self.told))
        self.writer.report(made)

    def settle(self) -> None:
        """Wait until the API answers with all that was told: a page opened earlier keeps the last behind its button."""
        newest = next(self.writer.store.incidents(IncidentFilter(), 1)).changed
        until(lambda: datetime.fromisoformat(self.get("incidents")["as_of"]) >= newest)

    def get(self, path: str, **parameters: Any) -> Any:
        """What the API answers."""
        answer = self.client.get(f"/v1/{path}", params=parameters)
        answer.raise_for_status()
        return answer.json()

    def incident(self, actor: str) -> dict[str, Any]:
        """The last incident of an actor."""
        found: dict[str, Any] = self.get("incidents", actor=actor)["items"][0]
        return found


@dataclass
class Watch:
    """What a page asked for, and what went wrong in it."""

    origin: str
    asked: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def over(self, page: Page) -> None:
        """Look at a page from now on."""
        page.on("request", self._request)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", lambda said: self.wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss())[0])

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)


# Of a module: as long as Playwright runs, no other test of its process can use asyncio.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if find_chromium() is None:
        unavailable("no Chromium for the tests of the page: install it, or run `make .cache/bin/chromium` on Debian")
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder: Path = tmp_path_factory.mktemp("page")
    settings = Settings(data_dir=folder)
    written = fill(settings.store_url, stories=70)
    with Served(folder, **QUICK) as served, httpx.Client(base_url=served.url, trust_env=False) as client:
        store = Store.open(settings.store_url)
        writer = Writer(store)
        writer.number = written
        made = Desk(served.url, client, writer)
        made.tell(*SMILE, *HOSTILE)
        wait_ready(client)
        made.settle()
        yield made
        store.close()


def refuse(route: Route) -> None:
    """Nothing of this may reach the network."""
    route.abort()


@pytest.fixture
def context(browser: Browser, desk: Desk) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light", locale="en-GB")
    context.set_default_timeout(PATIENCE)
    context.route(lambda url: not url.startswith((desk.url, "data:", "blob:")), refuse)
    yield context
    context.close()


@pytest.fixture
def watch(desk: Desk) -> Iterator[Watch]:
    """Fails the test where the page leaves its origin, breaks, or breaks its own policy."""
    watch = Watch(desk.url)
    yield watch
    assert watch.wrong == []
    assert [url for url in watch.asked if not url.startswith(desk.url + "/")] == []


class Look:
    """Opens the desk in tabs that are watched."""

    def __init__(self, context: BrowserContext, desk: Desk, watch: Watch) -> None:
        self.context, self.desk, self.watch = context, desk, watch

    def __call__(self, search: str = "") -> Page:
        page = self.context.new_page()
        self.watch.over(page)
        page.goto(f"{self.desk.url}/{search}")
        page.locator("body[data-ready]").wait_for()
        return page


@pytest.fixture
def look(context: BrowserContext, desk: Desk, watch: Watch) -> Look:
    return Look(context, desk, watch)
