"""Calling the command line as a user does: in this process, or as a process of its own with the keyword coder."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from ingest.cli import app
from ingest.records import EventRecord
from ingest.revisions import revise
from ingest.settings import Settings
from models.events import Event
from tests.ingest.pipeline import as_environment
from tests.ingest.storage.samples import EVENT, NOON, article

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What a call came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def call(*arguments: str | Path, stdin: bytes = b"", environment: dict[str, str] | None = None) -> Answer:
    """Call in this process, with the logging of the tests put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        result = CliRunner(env=environment).invoke(app, [str(each) for each in arguments], input=stdin)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout_bytes.decode(), result.stderr)


def settings_environment(settings: Settings | Path) -> dict[str, str]:
    """Environment for a process that works in the folder, or with the settings, of a test."""
    chosen = Settings(data_dir=settings) if isinstance(settings, Path) else settings
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CONFLICTWIRE_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        clean.pop(name, None)
    return clean | as_environment(chosen) | {"PYTHONPATH": str(ROOT), "CONFLICTWIRE_LOG": "text"}


def start(settings: Settings | Path, *arguments: str | Path, **options: Any) -> subprocess.Popen[bytes]:
    """Start the program as a process, its coder the one that finds keywords."""
    environment = settings_environment(settings) | options.pop("environment", {})
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    command = [sys.executable, "-m", "tests.ingest.cli_driver", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, env=environment, **streams)


def finish(process: subprocess.Popen[bytes], timeout: float = 100.0) -> Answer:
    """Wait for the end of a process."""
    out, err = process.communicate(timeout=timeout)
    return Answer(process.returncode, (out or b"").decode(), (err or b"").decode())


def on_terminal(
    settings: Settings | Path, *arguments: str | Path, environment: dict[str, str] | None = None
) -> tuple[int, str]:
    """The exit code, and what a terminal shows of both streams."""
    main, other = pty.openpty()
    try:
        terminal = (environment or {}) | {"TERM": "xterm-256color"}
        process = start(settings, *arguments, stdout=other, stderr=other, environment=terminal)
    finally:
        os.close(other)
    shown = b""
    try:
        while chunk := os.read(main, 65536):
            shown += chunk
    except OSError:  # how Linux says that nobody holds the other end any more
        pass
    finally:
        os.close(main)
    return process.wait(60), shown.decode()


def record(event: Event = EVENT, revision: int = 1, status: str = "new", **fields: Any) -> EventRecord:
    """An event record of an article with `fields`."""
    (made,) = revise([], article(**fields), [event], NOON)
    return made.model_copy(update={"revision": revision, "status": status})


def with_words(event: Event = EVENT, **words: str) -> Event:
    """`event` with other words: `sentence`, `actor`, `location`."""
    changed = event
    if "sentence" in words:
        changed = replace(changed, sentence=replace(event.sentence, text=words["sentence"]))
    if "actor" in words:
        changed = replace(changed, actors=(replace(event.actors[0], text=words["actor"]),))
    if "location" in words and event.location:
        changed = replace(changed, location=replace(event.location, text=words["location"], name=None))
    return changed
