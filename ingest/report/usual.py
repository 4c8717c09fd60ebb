"""What is usual of a count a week: a prediction interval from the weeks before. Pure.

The method is the interval of Farrington, Andrews, Beale and Catchpole (A statistical algorithm for the early detection of
outbreaks of infectious disease, J. R. Statist. Soc. A 159, 1996, 547-563) with a constant mean: a quasi-Poisson model, so that
weeks may differ by more than chance alone, made symmetric by the 2/3 power. Their terms for trend and season want years.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FEWEST = 4
"""Weeks below which nothing is said."""
LEVEL = 95
"""Percent of counts that lie within, if all goes on as before."""
_Z = 1.959964  # of the normal distribution, two-sided

Verdict = Literal["above", "within", "below"]


@dataclass(frozen=True, slots=True)
class Usual:
    """What is expected, the least and the most that is usual, and how many times Poisson's the variance of the weeks is."""

    expected: float
    low: int
    high: int
    dispersion: float

    def verdict(self, count: int) -> Verdict:
        """Where a count lies."""
        return "above" if count > self.high else "below" if count < self.low else "within"


def usual(counts: Sequence[int], exposures: Sequence[float], exposure: float) -> Usual | None:
    """The interval for a count that is to come at `exposure`, from earlier counts at theirs.

    Exposures are weeks, or whatever counts grow with, such as articles read. None where fewer than FEWEST weeks saw anything.
    Where nothing was counted, half an event is taken for it, as Jeffreys' prior does: else one would be beyond all bounds.
    """
    seen = [(count, size) for count, size in zip(counts, exposures, strict=True) if size > 0]
    if len(seen) < FEWEST or exposure <= 0:
        return None
    total, size = sum(count for count, _ in seen), sum(size for _, size in seen)
    rate = (total or 0.5) / size
    pearson = sum((count - each * rate) ** 2 / (each * rate) for count, each in seen)
    dispersion = max(1.0, pearson / (len(seen) - 1))
    mean = rate * exposure
    variance = dispersion * (mean + rate * exposure**2 / size)
    spread = 2 / 3 * _Z * math.sqrt(variance) / mean
    low, high = mean * max(0.0, 1 - spread) ** 1.5, mean * (1 + spread) ** 1.5
    return Usual(total / size * exposure, math.ceil(low), math.floor(high), dispersion)
