"""A keeper as a process of its own, to be killed: `python -m tests.ingest.keeper_driver ONCE KILL_AFTER_KEEP`.

The settings come from the environment. Prints a line for each batch. With KILL_AFTER_KEEP above zero the process is killed
just after that many database commits, before the broker hears of the last one.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from typing import Any

from ingest import incidents, log
from ingest.incidents import KeptBatch, keep_incidents
from ingest.settings import load_settings
from ingest.storage import Store


def announce(batch: KeptBatch) -> None:
    sys.stdout.write(f"batch {batch.events} {len(batch.made)}\n")
    sys.stdout.flush()


def kill_after(times: int) -> None:
    numbers, keep = count(1), Store.keep

    def kept_and_killed(self: Store, *arguments: Any) -> None:
        keep(self, *arguments)
        if next(numbers) == times:
            os.kill(os.getpid(), signal.SIGKILL)

    Store.keep = kept_and_killed  # type: ignore[method-assign]


if __name__ == "__main__":
    once, times = map(int, sys.argv[1:])
    log.configure("DEBUG")
    incidents.READ_AHEAD = 7  # several batches
    if times:
        kill_after(times)
    sys.exit(keep_incidents(load_settings(), once=bool(once), on_batch=announce))
