"""Who was let in lately, by what was shown: to be believed where the ledger finds out by the way. See ``Belief``."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from time import monotonic
from typing import NamedTuple

from jobledger.ledger.domain.command import Caller

REMEMBERED_S = 60.0
MOST_REMEMBERED = 10_000


class Known(NamedTuple):
    """A caller, the size that its org's ledger had when who may do what was last changed, and how long it may be believed."""

    caller: Caller
    access_at: int
    until: float


class Believed:
    """Some callers, each for a minute. *newest* tells when an org's access was last changed, None where that is not known here."""

    def __init__(self, newest: Callable[[str], int | None]) -> None:
        self._newest = newest
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        # Nothing that was shown is kept.
        self._key = os.urandom(32)

    def keep(self, shown: str, org: str, caller: Caller, access_at: int, valid_s: float | None) -> None:
        """Remember who showed this on a path of *org*; what was shown counts for *valid_s* seconds, None: until it is revoked."""
        until = monotonic() + (REMEMBERED_S if valid_s is None else min(REMEMBERED_S, valid_s))
        place = self._place(shown, org)
        self._known[place] = Known(caller, access_at, until)
        self._known.move_to_end(place)
        if len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    def recall(self, shown: str, org: str) -> Known | None:
        """Who showed this a while ago, if it can still be so."""
        place = self._place(shown, org)
        known = self._known.get(place)
        if known is None:
            return None
        newest = self._newest(known.caller.org)
        if known.until > monotonic() and (newest is None or newest <= known.access_at):
            return known
        del self._known[place]
        return None

    def _place(self, shown: str, org: str) -> bytes:
        return sha256(self._key + f"{org}\0{shown}".encode("utf-8", "surrogateescape")).digest()
