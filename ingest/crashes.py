"""Which articles a worker was coding when its process died, so that one which kills its worker can be told from others.

A crash of native code, or the kernel's hand where memory runs out, leaves no exception. So each worker keeps a note of
what it codes, in a file of its own in the data folder, under a lock that the kernel lets go of however the process ends.
A note without a lock names suspects: whoever gets one of them next codes it alone, and buries it after LETHAL deaths.
The count is a folder's: workers of another machine, with another folder, come to theirs.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ingest.broker import Record
from ingest.storage import Position
from models.errors import ConflictwireError

log = logging.getLogger(__name__)

# Deaths of a worker over one article after which it is not coded any more. The first may be over a batch of many.
LETHAL = 3
_FOLDER = "coding"
_NOTE = ".note"
_TURN = "turn"  # the file whose lock is held by the one worker that looks at what dead ones left
# Notes of topics and groups that are no more; in seconds.
_FORGOTTEN = 7 * 86_400.0


class WorkerDied(ConflictwireError):
    """Coding this article ended the process each time; no exception was seen."""


def position(record: Record) -> Position:
    """Where `record` lies."""
    return Position(record.topic, record.partition, record.offset)


class CrashNotes:
    """The note of this worker, and those that dead ones left in the same data folder. For one thread at a time.

    Where the folder cannot be written to, a warning says so and nothing is noted; no method raises OSError.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / _FOLDER
        self._path = self._folder / f"{uuid.uuid4().hex}{_NOTE}"
        self._file: int | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Under its name only when it is locked, or it would pass for a dead worker's.
            unlocked = self._path.with_suffix(".new")
            self._file = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX)
            unlocked.rename(self._path)
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        log.warning("articles that kill workers cannot be told", extra={"folder": self._folder, "error": str(error)})

    def write(self, records: Sequence[Record]) -> None:
        """Note that `records` are being coded from now on, in place of what was noted before. Costs no fsync."""
        if self._file is not None:
            try:
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, _lines(map(position, records)), 0)
            except OSError as error:
                self._warn(error)

    def clear(self) -> None:
        """Note that nothing is being coded: a death from now on is nobody's fault. May be called from any thread."""
        if self._file is not None:
            with suppress(OSError):
                os.ftruncate(self._file, 0)

    def deaths(self, records: Iterable[Record]) -> Counter[Position]:
        """How many workers died over those of `records` that they were coding."""
        asked = set(map(position, records))
        found: Counter[Position] = Counter()
        if asked:
            for _, note in self._left_behind():
                found.update(asked.intersection(_positions(note)))
        return found

    def settle(self, records: Iterable[Record]) -> None:
        """Forget the deaths over `records`, which are done with."""
        done = set(map(position, records))
        for path, note in self._left_behind():
            left = _positions(note)
            if done.isdisjoint(left):
                continue
            with suppress(OSError):
                if rest := [each for each in left if each not in done]:
                    os.ftruncate(note, 0)
                    os.pwrite(note, _lines(rest), 0)
                else:
                    path.unlink()

    def _left_behind(self) -> Iterator[tuple[Path, int]]:
        """The notes of dead workers, each open for as long as it is looked at.

        By one worker at a time: to others, a note that one has locked to look at it would pass for a living worker's.
        """
        with suppress(OSError), _opened(self._folder / _TURN, os.O_CREAT) as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            for path in self._folder.glob(f"*{_NOTE}"):
                if path == self._path:
                    continue
                with suppress(OSError), _opened(path) as note:
                    fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)  # BlockingIOError while its worker lives
                    status = os.fstat(note)
                    if status.st_size and time.time() - status.st_mtime < _FORGOTTEN:
                        yield path, note
                    else:
                        path.unlink()

    def close(self) -> None:
        """Take the note away."""
        note, self._file = self._file, None
        if note is not None:
            with suppress(OSError):
                self._path.unlink()
            os.close(note)


@contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    """The file, open to read and write; what is locked of it is let go in the end."""
    file = os.open(path, os.O_RDWR | flags, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _lines(positions: Iterable[Position]) -> bytes:
    return "".join(f"{each.partition} {each.offset} {each.topic}\n" for each in positions).encode()


def _positions(note: int) -> list[Position]:
    """What a note names. Its last line may be torn, as its writer died."""
    text = os.pread(note, os.fstat(note).st_size, 0).decode(errors="replace")
    found = []
    for line in text.split("\n")[:-1]:
        partition, _, rest = line.partition(" ")
        offset, _, topic = rest.partition(" ")
        if partition.isdecimal() and offset.isdecimal():
            found.append(Position(topic, int(partition), int(offset)))
    return found
