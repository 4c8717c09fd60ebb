"""How often one may ask: a token bucket for each key or address. Pure: the caller has the clock."""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_address, ip_network

_REMEMBERED = 20_000  # whoever asked last; the others have a full bucket again by then, or begin anew


class Rates:
    """Buckets of `burst` tokens, filled by `per_minute`."""

    def __init__(self, per_minute: float, burst: int) -> None:
        self._per_second = per_minute / 60
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str, now: float) -> float:
        """Take a token; 0.0, or the seconds until there is one. `now` is in seconds of a monotonic clock."""
        left, at = self._left.pop(who, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self._per_second
        self._left[who] = (left - 1 if not wait else left, now)
        while len(self._left) > _REMEMBERED:
            self._left.popitem(last=False)
        return wait

    def empty(self, who: str, now: float) -> bool:
        """Whether nothing is left, without taking any."""
        left, at = self._left.get(who, (float(self._burst), now))
        return left + (now - at) * self._per_second < 1


def whose(address: str) -> str:
    """The address as it counts: of IPv6 its network, as one user has 2**64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ip_network((int(parsed) >> 64 << 64, 64)))
