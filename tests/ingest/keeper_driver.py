"""A keeper as a process of its own, to be killed: `python -m tests.ingest.keeper_driver ONCE [POINT:TIMES ...]`.

The settings come from the environment. Prints a line for each batch. For each POINT:TIMES one keeper after the other is
started, in a process of its own, and killed when it passes that point for so many times:

    stored      after the store's commit, before the broker hears of it
    sent        within the broker's transaction, all records of which are written
    published   after the broker's commit, before the store hears of it

Without any, it is a keeper that nobody kills. How many records are read at once differs from one to the next, so that what
comes again comes in other batches.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from typing import Any

from ingest import incidents, log
from ingest.broker import embedded, kafka
from ingest.incidents import KeptBatch, keep_incidents
from ingest.settings import load_settings
from ingest.storage import Store
from models.incidents.facts import weight
from models.resolve import countries_named


def announce(batch: KeptBatch) -> None:
    sys.stdout.write(f"batch {batch.events} {len(batch.made)}\n")
    sys.stdout.flush()


def die(point: str, times: int) -> None:
    numbers = count(1)

    def mortal(work: Callable[..., Any]) -> Callable[..., Any]:
        def worked(*arguments: Any) -> Any:
            result = work(*arguments)
            if next(numbers) == times:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return worked

    places: dict[str, list[tuple[Any, str]]] = {
        "stored": [(Store, "keep")],
        "sent": [(embedded, "_append"), (kafka, "_publish")],
        "published": [(embedded.EmbeddedMember, "commit"), (kafka.KafkaMember, "commit")],
    }
    for owner, name in places[point]:
        setattr(owner, name, mortal(getattr(owner, name)))


def keep(once: bool) -> int:
    return keep_incidents(load_settings(), once=once, on_batch=announce)


def main(once: bool, *deaths: str) -> int:
    log.configure("DEBUG")
    incidents.READ_AHEAD = 5  # several batches
    if not deaths:
        return keep(once)
    weight(""), countries_named("")  # read tables, for all of them
    for number, death in enumerate(deaths):
        child = os.fork()  # no thread has been started yet
        if not child:
            incidents.READ_AHEAD -= number % 4
            point, times = death.split(":")
            die(point, int(times))
            os._exit(keep(once))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            sys.stderr.write(f"{death}: ended with {status}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(bool(int(sys.argv[1])), *sys.argv[2:]))
