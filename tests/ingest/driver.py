"""Workers as a process of their own, to be killed: `python -m tests.ingest.driver COUNT ONCE KILL_AFTER_APPLY`.

The settings come from the environment. Prints a line for each batch. With KILL_AFTER_APPLY above zero the process is killed
just after that many database commits, before the broker hears of the last one.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from itertools import count

from ingest import log
from ingest.processes import run_workers
from ingest.records import EventRecord
from ingest.settings import load_settings
from ingest.storage import Coding, Store
from ingest.worker import Batch
from tests.ingest import keyword_coder


def announce(batch: Batch) -> None:
    # In one piece: several processes write to the same pipe.
    sys.stdout.write(f"batch {os.getpid()} {len(batch.articles)} {len(batch.events)}\n")
    sys.stdout.flush()


def kill_after(applies: int) -> None:
    numbers, apply = count(1), Store.apply

    def applied_and_killed(self: Store, codings: Sequence[Coding]) -> list[list[EventRecord]]:
        stored = apply(self, codings)
        if next(numbers) == applies:
            os.kill(os.getpid(), signal.SIGKILL)
        return stored

    Store.apply = applied_and_killed  # type: ignore[method-assign]


if __name__ == "__main__":
    workers, once, applies = map(int, sys.argv[1:])
    log.configure("DEBUG")
    if applies:
        kill_after(applies)
    sys.exit(run_workers(workers, load_settings(), once=bool(once), load=keyword_coder.load, on_batch=announce))
