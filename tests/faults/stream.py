"""The articles of a run, from a seed: most in one revision, some in several, some that cannot be read or coded."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass

from ingest.broker import Outgoing
from tests.ingest.pipeline import article

# The farthest that the next revision of an article comes behind the one before, in articles.
FARTHEST = 120
_LONGEST = 4
_DEEDS = (
    "Rebels killed {n} in village {v}.",
    "The army shelled the road {v}.",
    "Police did not arrest anybody; people protested on square {v}.",
    "The president met envoys on day {v}.",
    "The president condemned the attack of day {v}.",
    "It rained on day {v}.",
)
# Words that the coder under test obeys, and how many articles in a thousand have them.
_TROUBLE = {"POISON": 10, "BATCHPOISON": 5, "FLAKY": 1, "MOODY": 20}


@dataclass(frozen=True, slots=True)
class Sent:
    """A record to publish: one revision of article `number`, counted from 0."""

    number: int
    record: Outgoing


def stream(seed: int, articles: int, topic: str) -> Iterator[Sent]:
    """All revisions of so many articles; those of one article in order, others in between."""
    rng = random.Random(f"articles {seed}")
    waiting: list[tuple[int, int, int]] = []
    for number in range(articles):
        while waiting and waiting[0][0] <= number:
            yield _next(rng, waiting, topic)
        heapq.heappush(waiting, (number, number, 1))
        yield _next(rng, waiting, topic)
    while waiting:
        yield _next(rng, waiting, topic)


def _next(rng: random.Random, waiting: list[tuple[int, int, int]], topic: str) -> Sent:
    """The one that is due, and its next revision into the queue where it has one."""
    due, number, revision = heapq.heappop(waiting)
    if revision < _LONGEST and rng.random() < (0.12 if revision == 1 else 0.5):
        heapq.heappush(waiting, (due + rng.choice((1, 2, rng.randint(1, FARTHEST))), number, revision + 1))
    return Sent(number, _record(rng, number, revision, topic))


def _record(rng: random.Random, number: int, revision: int, topic: str) -> Outgoing:
    deeds = [deed.format(n=rng.randint(1, 99), v=rng.randint(1, 5)) for deed in rng.sample(_DEEDS, rng.randint(1, 4))]
    words = [word for word, often in _TROUBLE.items() if rng.random() * 1000 < often]
    made = article(number, " ".join([*deeds, *words, f"Version {revision} of {number}."]), revision)
    value = made.to_json()
    if rng.random() < 0.006:
        value = rng.choice((b"", b"no JSON", value[:-9], value.replace(b'"schema":1', b'"schema":9'), b"\xff" + value))
    return Outgoing(topic, made.article_id.encode(), value)
