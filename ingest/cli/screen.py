"""A terminal shared by events on standard output and a progress line on standard error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ingest.render import console_for, print_event, safe

if TYPE_CHECKING:
    from rich.console import Console

    from ingest.records import EventRecord

_REPAINT_SECONDS = 0.1
_ERASE_LINE = "\r\x1b[2K"


class Screen:
    """Keeps the progress line below whatever is printed. Used by several threads; a context manager.

    Rich's own live display would take standard output along to standard error, where data does not belong, so only its
    bar is used and painted here. Where standard error is no terminal nothing is painted.
    """

    def __init__(self, out: Console) -> None:
        self._out = out
        # One of its own: a thread that prints on another holds its lock while it waits for ours.
        self._painter = console_for("stderr")
        self._live = self._painter.is_terminal and not self._painter.is_dumb_terminal
        self._lock = threading.RLock()
        self._painted = 0.0
        self._line = ""
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[coded]}"),
            TimeElapsedColumn(),
            console=self._painter,
            auto_refresh=False,
        )
        self._task: TaskID = self._progress.add_task("reading feeds", total=None, coded="")

    def __enter__(self) -> Self:
        self._stderr: TextIO = sys.stderr
        if self._live:
            # Logging writes to sys.stderr at any time, also from other threads.
            sys.stderr = _Above(self, self._stderr)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._clear()
            self._live = False
            sys.stderr = self._stderr

    def print_events(self, events: Sequence[EventRecord]) -> None:
        """Print `events` on standard output, above the progress line."""
        with self._lock:
            self._clear()
            for event in events:
                print_event(self._out, event)
            sys.stdout.flush()
            self._paint()

    def progress(self, doing: str, done: int, total: int, coded: str) -> None:
        """Show how far things are."""
        with self._lock:
            self._progress.update(self._task, description=safe(doing), completed=done, total=total or None, coded=coded)

    def tick(self) -> None:
        """To be called often: repaints the line when it is time."""
        with self._lock:
            if time.monotonic() - self._painted >= _REPAINT_SECONDS:
                self._paint()

    def write_above(self, text: str) -> int:
        """Write to standard error, above the progress line."""
        if not text:  # a console that captures what is printed writes nothing, but it writes it
            return 0
        with self._lock:
            self._clear()
            self._stderr.write(text)
            self._stderr.flush()
            if text.endswith("\n"):
                self._paint()
            return len(text)

    def _clear(self) -> None:
        if self._live and self._line:
            self._line = ""
            self._stderr.write(_ERASE_LINE)
            self._stderr.flush()

    def _paint(self) -> None:
        if not self._live:
            return
        with self._painter.capture() as captured:
            self._painter.print(self._progress.get_renderable(), no_wrap=True, crop=True, end="")
        line = captured.get().rstrip("\n")
        if line != self._line:
            self._stderr.write(_ERASE_LINE + line)
            self._stderr.flush()
        self._line = line
        self._painted = time.monotonic()


class _Above:
    """Stands in for `sys.stderr` while the progress line is shown."""

    def __init__(self, screen: Screen, stream: TextIO) -> None:
        self._screen = screen
        self._stream = stream

    def write(self, text: str) -> int:
        return self._screen.write_above(text)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
