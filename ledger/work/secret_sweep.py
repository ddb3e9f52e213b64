"""The sweep: secrets go once nothing that is ahead needs them, in whatever way that ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.rounds import Rounds

log = logging.getLogger(__name__)

ROUND_S = 2.0
# What was to need it was not recorded by then: the request was cut off.
CUT_OFF_AFTER = timedelta(hours=1)

# ``sweep(connection, cut_off_after)`` deletes those of all orgs; how many there were.
Sweep: TypeAlias = Callable[[Connection, timedelta], Awaitable[int]]


class SecretSweep(Rounds):
    """Each server does it: what one has deleted, no other finds."""

    title = "The sweep of secrets"

    def __init__(self, ledger: Ledger, sweep: Sweep) -> None:
        super().__init__(ledger)
        self._sweep = sweep

    async def sweep(self) -> int:
        """Sweep now; how many went. Raises what the database raises."""
        return await self._ledger.database.write(self._delete)

    async def _go_round(self) -> None:
        if swept := await self.sweep():
            log.info("%s secrets are needed no more, and deleted.", swept)

    async def _pause(self) -> None:
        await asyncio.sleep(ROUND_S)

    async def _delete(self, connection: Connection) -> int:
        return await self._sweep(connection, CUT_OFF_AFTER)
