"""Firing schedules: each server fires what is due, and the ledger sees to it that each due time is fired for once.

What decides is ``FireSchedule``, under the head's lock. The lease of firing only spares the others the asking: who does not hold
it fires what should have been fired a moment ago.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from time import monotonic
from typing import NamedTuple
from uuid import UUID

from jobledger.ledger.domain.schedule_commands import FireSchedule
from jobledger.ledger.errors import CorruptLedgerError, LedgerError
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.work.lease import Lease
from jobledger.ledger.work.rounds import LeasedRounds

log = logging.getLogger(__name__)

# Each look is a round: a schedule made on another server is known after one at the latest.
ROUND_S = 0.25
# What falls due so soon is waited for, so that it fires on time and not with the next round.
AHEAD = timedelta(seconds=0.5)
# What others leave unfired for so long is fired without the lease.
BEHIND = timedelta(seconds=-1.5)
LEASE_LASTS_S = 3.0
RENEW_EVERY_S = 1.0
MOST_AT_ONCE = 1_000


class Due(NamedTuple):
    """A schedule that is due at *due_at*, which is *wait_s* seconds ahead, or behind where that is below zero.
    *made_by* is the stream of the principal that made it.
    """

    org: str
    schedule_id: UUID
    due_at: datetime
    wait_s: float
    made_by: str


FindDue = Callable[[timedelta, int, Collection[str]], Awaitable[Sequence[Due]]]


class Firing(LeasedRounds):
    """Fires schedules. ``find_due(within, limit, passed_over)`` names those of all orgs but those passed over, the longest due
    first.
    """

    title = "Firing"

    def __init__(self, ledger: Ledger, find_due: FindDue) -> None:
        super().__init__(ledger, Lease("firing", LEASE_LASTS_S))
        self._find_due = find_due
        self._is_held = False
        self._renew_at = monotonic()
        self._failed: set[str] = set()
        self._passed_over: frozenset[str] = frozenset()

    async def _go_round(self) -> None:
        await self._hold()
        await self._look()

    async def _pause(self) -> None:
        await asyncio.sleep(ROUND_S)

    async def _hold(self) -> None:
        if monotonic() < self._renew_at:
            return
        # Until it is known otherwise another has it.
        self._is_held = False
        self._renew_at = monotonic() + RENEW_EVERY_S
        self._is_held = await self._ledger.database.write(self._take)

    async def _take(self, connection: Connection) -> bool:
        async with connection.transaction():
            return await self._lease.take(connection) is not None

    async def _look(self) -> None:
        room = MOST_AT_ONCE - len(self._under_way)
        if room <= 0:
            return
        # Those that are under way are among the longest due.
        found = await self._find_due(AHEAD if self._is_held else BEHIND, MOST_AT_ONCE, self._passed_over)
        # Orgs whose schedules cannot be fired stay the longest due: every other round goes without them, so that they never
        # fill all of them.
        self._passed_over, self._failed = frozenset(self._failed), set()
        for due in found:
            key = due[:3]
            if key not in self._under_way and len(self._under_way) < MOST_AT_ONCE:
                self._under_way[key] = asyncio.create_task(self._fire(due), name=f"fire {due.schedule_id}")

    async def _fire(self, due: Due) -> None:
        try:
            if due.wait_s > 0:
                await asyncio.sleep(due.wait_s)
            await self._ledger.execute(
                FireSchedule(
                    caller=ledger_itself(due.org),
                    schedule_id=due.schedule_id,
                    due_at=due.due_at,
                    made_by=due.made_by,
                )
            )
        except (LedgerError, CorruptLedgerError) as error:
            if due.org not in self._failed:
                log.warning("Schedules of %s were not fired: %s", due.org, error)
            self._failed.add(due.org)
        except Exception:
            self._failed.add(due.org)
            log.exception("A schedule of %s was not fired", due.org)
        finally:
            self._under_way.pop(due[:3], None)
