"""Which faults come when, from a seed. Pure: the same arguments give the same faults, in the same order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# Where a worker can be met, in the order in which it gets there: coding an article; in the database transaction, all
# written; behind the database's commit; in the broker's transaction with the outputs sent; and with the offsets in it too.
Phase = Literal["coding", "writing", "stored", "sent", "marked"]
What = Literal[
    "kill",
    "stop",
    "add",
    "remove",
    "kill broker",
    "stall broker",
    "kill store",
    "cut store",
    "net broker stall",
    "net broker deaf",
    "net broker cut",
    "net store stall",
    "net store deaf",
    "net store cut",
    "fill disk",
    "lock broker",
    "lock store",
    "clock",
]


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault and the phases of a worker in which it may come, by chance one of them; none: whatever the workers do.

    `seconds` are the shortest and the longest time that it lasts.
    """

    what: What
    phases: tuple[Phase, ...] = ()
    seconds: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault to be made once `at` articles are published. `chance` (0 to 1) decides whatever else there is to decide."""

    what: What
    phase: Phase | None
    at: int
    seconds: float
    chance: float

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.what}, {self.phase}" if self.phase else self.what


# A stop must outlast the session (3 s) or lease (3 s) of the workers under test, and the broker's wait for news of it.
SESSION, LEASE = 3.0, 3.0
SERVERS: tuple[Kind, ...] = (
    Kind("kill", ("coding",)),
    Kind("kill", ("writing",)),
    Kind("kill", ("stored",)),
    Kind("kill", ("sent",)),
    Kind("kill", ("marked",)),
    Kind("stop", ("coding", "stored"), (SESSION + 1.5, SESSION + 3)),
    Kind("stop", ("writing", "sent", "marked"), (SESSION + 1.5, SESSION + 3)),
    Kind("add"),
    Kind("remove"),
    Kind("kill broker", ("stored", "sent", "marked"), (0.0, 1.0)),
    Kind("stall broker", ("stored", "sent", "marked"), (1.0, 5.0)),
    Kind("kill store", ("coding", "writing"), (0.0, 2.0)),
    Kind("cut store", ("writing",)),
    Kind("net broker stall", ("stored", "sent", "marked"), (1.0, 6.0)),
    Kind("net broker deaf", ("stored", "sent", "marked"), (1.0, 3.0)),
    Kind("net broker cut", ("stored", "sent", "marked"), (0.0, 3.0)),
    Kind("net store stall", ("coding", "writing"), (1.0, 6.0)),
    Kind("net store deaf", ("coding", "writing"), (0.5, 1.5)),
    Kind("net store cut", ("coding", "writing"), (0.0, 3.0)),
    Kind("clock", ("coding", "stored"), (1.0, 3.0)),
)
EMBEDDED: tuple[Kind, ...] = (
    Kind("kill", ("coding",)),
    Kind("kill", ("writing",)),
    Kind("kill", ("stored",)),
    Kind("kill", ("sent",)),
    Kind("stop", ("coding", "stored"), (LEASE + 1, LEASE + 2)),
    Kind("stop", ("writing", "sent"), (LEASE + 1, LEASE + 2)),
    Kind("add"),
    Kind("remove"),
    Kind("fill disk", ("coding", "stored"), (0.5, 3.0)),
    Kind("lock broker", ("coding", "stored"), (0.5, 3.0)),
    Kind("lock store", ("coding",), (0.5, 3.0)),
    Kind("clock", ("coding", "stored"), (1.0, 3.0)),
)


def schedule(seed: int, count: int, articles: int, kinds: Sequence[Kind]) -> list[Fault]:
    """`count` faults over `articles` articles, evenly spread; each of `kinds` comes before any comes again."""
    rng = random.Random(f"faults {seed}")
    faults: list[Fault] = []
    deck: list[Kind] = []
    for number in range(count):
        if not deck:
            deck = list(kinds)
            rng.shuffle(deck)
        kind = deck.pop()
        phase = rng.choice(kind.phases) if kind.phases else None
        at = articles * number // count
        faults.append(Fault(kind.what, phase, at, rng.uniform(*kind.seconds), rng.random()))
    return faults
