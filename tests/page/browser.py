"""A real browser: Debian's Chromium, headless, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.ingest.command import ROOT

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> Path | None:
    """The one that `make` fetched, else what is installed."""
    fetched = ROOT / ".cache" / "bin" / "chromium"
    found = fetched if fetched.exists() else next(filter(None, map(shutil.which, NAMES)), None)
    return Path(found) if found else None


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that a test may open pages in. Raises FileNotFoundError where there is none."""
    found = find_chromium()
    if found is None:
        raise FileNotFoundError("no Chromium: install it, or run `make .cache/bin/chromium` on Debian")
    # Root, as in a container of CI, may not have Chromium's own sandbox.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=options)
        try:
            yield browser
        finally:
            browser.close()
