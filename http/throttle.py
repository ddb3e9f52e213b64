"""Bounding failed attempts: so many at once, then one in a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from ipaddress import IPv6Address, ip_address
from time import monotonic

MOST_REMEMBERED = 10_000


class Throttle:
    """Counts attempts by whom they concern, in this process, in bounded memory: those who failed longest ago are forgotten.

    After *burst* attempts each further one must wait until *interval_s* has passed since another one could be made.
    """

    def __init__(self, burst: int, interval_s: float) -> None:
        self._burst = burst
        self._interval_s = interval_s
        # Until when what was attempted counts: each attempt counts for one interval, one after the other.
        self._until: OrderedDict[Hashable, float] = OrderedDict()

    def wait_s(self, whom: Hashable) -> float:
        """In how many seconds the next attempt may be made; 0 where it may be at once."""
        return max(0.0, self._until.get(whom, 0.0) - monotonic() - (self._burst - 1) * self._interval_s)

    def count(self, whom: Hashable) -> None:
        """Count an attempt, before its outcome is known: so that many at once are bounded as well."""
        self._until[whom] = max(self._until.get(whom, 0.0), monotonic()) + self._interval_s
        self._until.move_to_end(whom)
        if len(self._until) > MOST_REMEMBERED:
            self._until.popitem(last=False)

    def forgive(self, whom: Hashable) -> None:
        """Take back what was counted: the attempt did not fail."""
        if whom in self._until:
            self._until[whom] -= self._interval_s


def network_of(address: str) -> str:
    """What one client can choose its addresses from: an IPv6 network of 64 bits, else the address itself."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or parsed.packed[:8].hex())
