"""The fault suite: `python -m tests.faults [--broker kafka|embedded] [--seed N] [--faults N] [--articles N]`.

Tells its progress on stderr and what it found on stdout, a JSON object for each broker. Exits with 1 where a promise is
broken, and keeps the logs then.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys

from tests.faults import run, servers
from tests.faults.servers import Clock, Embedded, Place, Servers

_SHOWN = 40


def one(broker: str, seed: int, faults: int, articles: int) -> bool:
    """A run; whether every promise is kept."""
    folder = servers.new_folder()
    library = servers.find_faketime()
    if library is None:
        print("NO LIBFAKETIME: the clock does not jump in this run", file=sys.stderr)
    clock = Clock(folder, library) if library else None
    run.preload(clock)
    print(f"{broker}: seed {seed}, {faults} faults over {articles} articles, logs in {folder}", file=sys.stderr)
    place: Place = Servers(folder) if broker == "kafka" else Embedded(folder, _MOUNTS)
    try:
        result = run.run(place, clock, seed, faults, articles)
    finally:
        place.close()
    problems = result.verdict.problems
    for problem in problems[:_SHOWN]:
        print(f"PROBLEM {problem}", file=sys.stderr)
    if problems:
        print(
            f"{len(problems)} problems; to repeat: python -m tests.faults --broker {broker} --seed {seed}"
            f" --faults {faults} --articles {articles}; logs in {folder}",
            file=sys.stderr,
        )
    told = {
        "broker": broker,
        "seed": seed,
        "articles": articles,
        **result.verdict.counts,
        "faults": dict(sorted(result.faults.items())),
        "commits": dict(sorted(result.outcomes.items())),
        "seconds": round(result.seconds, 1),
        "problems": len(problems),
    }
    print(json.dumps(told), flush=True)
    if not problems:
        servers.remove(folder)
    return not problems


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--broker", choices=["kafka", "embedded", "both"], default="both")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--articles", type=int, default=50_000)
    given = parser.parse_args()
    chosen = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    # Before any thread or process is started, as they inherit it.
    _MOUNTS = servers.own_mounts()
    # The settings are the suite's own, whatever whoever starts it has set.
    for name in [name for name in os.environ if name.startswith("CONFLICTWIRE_")]:
        del os.environ[name]
    os.environ["CONFLICTWIRE_CONFIG"] = os.devnull
    brokers = ["embedded", "kafka"] if given.broker == "both" else [given.broker]
    kept = [one(broker, chosen, given.faults, given.articles) for broker in brokers]
    sys.exit(0 if all(kept) else 1)
