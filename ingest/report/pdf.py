"""HTML to PDF by Debian's Chromium, which has no network, a profile of its own for each call, and a time limit."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from models.errors import ConflictwireError

TIMEOUT = 120.0
"""Seconds; the longest report of the world takes some ten."""
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_INSTEAD = "or write a file that ends in .html and print it from any browser"
_OPTIONS = (
    "--headless",
    "--disable-gpu",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-pdf-header-footer",
    "--export-tagged-pdf",
)


def find_chromium(configured: Path | None) -> Path:
    """The one configured, else what PATH has. Raises ConflictwireError."""
    if configured is not None:
        if not (configured.is_file() and os.access(configured, os.X_OK)):
            raise ConflictwireError(f"setting chromium: {configured} is no program that can be run")
        return configured
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        raise ConflictwireError(
            f"no Chromium to make a PDF with: install it (Debian: apt-get install chromium), "
            f"set CONFLICTWIRE_CHROMIUM to its path, {_INSTEAD}"
        )
    return Path(found)


def to_pdf(page: bytes, chromium: Path, made: datetime, timeout: float = TIMEOUT) -> bytes:
    """The page on A4 as PDF, which says that it was made at `made`. Raises ConflictwireError."""
    with tempfile.TemporaryDirectory(prefix="conflictwire-report-") as folder:
        source, target, log = (Path(folder, name) for name in ("report.html", "report.pdf", "log"))
        source.write_bytes(page)
        # Root may not have Chromium's own sandbox.
        root = ["--no-sandbox"] if os.geteuid() == 0 else []
        told = [f"--user-data-dir={folder}/profile", f"--print-to-pdf={target}", source.as_uri()]
        with log.open("wb") as errors:
            try:
                process = subprocess.Popen(
                    [chromium, *_OPTIONS, *root, *told],
                    stdin=subprocess.DEVNULL,
                    stdout=errors,
                    stderr=errors,
                    start_new_session=True,
                    # What it would otherwise put into the home folder, if there is one.
                    env=os.environ | {"HOME": folder, "TMPDIR": folder, "TZ": "UTC"},
                )
            except OSError as error:
                raise ConflictwireError(f"{chromium} cannot be started: {error.strerror}") from error
            try:
                code = process.wait(timeout)
            except subprocess.TimeoutExpired:
                raise ConflictwireError(
                    f"{chromium} made no PDF within {timeout:.0f} s: ask for less, {_INSTEAD}"
                ) from None
            finally:
                # Its helpers too, whatever became of it.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        made_pdf = target.read_bytes() if target.is_file() else b""
        if code or not made_pdf.startswith(b"%PDF-"):
            said = log.read_text("utf-8", "replace").strip().splitlines()
            last = said[-1][:300] if said else "nothing"
            raise ConflictwireError(f"{chromium} made no PDF (exit code {code}), and said: {last}; {_INSTEAD}")
    return dated(made_pdf, made)


def dated(pdf: bytes, made: datetime) -> bytes:
    """The PDF with its dates set to one time, so that the same report gives the same file; as many bytes as before."""
    stamp = f"{made:%Y%m%d%H%M%S}".encode()
    return re.sub(rb"(/(?:CreationDate|ModDate) \(D:)\d{14}", lambda match: match[1] + stamp, pdf)
