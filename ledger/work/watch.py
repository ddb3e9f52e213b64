"""The watch: whichever server is alive sees to what is overdue, and to what may be forgotten."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

from jobledger.ledger.domain.job_commands import JudgeOverdueJob
from jobledger.ledger.errors import CorruptLedgerError, LedgerError
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.lease import PACKAGE, Gap, Lease
from jobledger.ledger.work.rounds import LeasedRounds

log = logging.getLogger(__name__)

ROUND_S = 1.0
# A dead server's watch is taken over after this and a round: within 10 seconds.
LEASE_LASTS_S = 5.0
# A longer time without a watch is one in which no server ran: it counts for nobody's deadline.
LONGEST_GAP_S = 3.0
MOST_OVERDUE = 500
FORGET_EVERY_S = 600.0
MOST_FORGOTTEN = 5_000
# An upload that brought nothing for so long was cut off: clients that are so slow are cut off long before.
CUT_OFF_AFTER = timedelta(hours=1)
MOST_DISCARDED = 20


@dataclass(frozen=True, slots=True)
class Overdue:
    """A job that seems overdue; *allowance* is the time that did not count."""

    org: str
    job_id: int
    allowance: timedelta


FindOverdue = Callable[[int, Collection[str]], Awaitable[Sequence[Overdue]]]


class Watch(LeasedRounds):
    """Judges overdue jobs while it holds the lease of the watch.

    ``find_overdue(limit, passed_over)`` names them, the longest first, but for those of the orgs passed over.
    """

    title = "The watch"

    def __init__(self, ledger: Ledger, find_overdue: FindOverdue) -> None:
        super().__init__(ledger, Lease("watch", LEASE_LASTS_S))
        self._find_overdue = find_overdue
        self._forget_at = monotonic()
        self._passed_over: frozenset[str] = frozenset()

    async def _go_round(self) -> None:
        if await self._hold():
            await self._judge()
            await self._forget()

    async def _pause(self) -> None:
        await asyncio.sleep(ROUND_S)

    async def _hold(self) -> bool:
        gap = await self._ledger.database.write(self._take)
        if gap is not None and gap.seconds > LONGEST_GAP_S:
            log.info("Nobody watched for %.1f s.", gap.seconds)
        return gap is not None

    async def _take(self, connection: Connection) -> Gap | None:
        async with connection.transaction():
            gap = await self._lease.take(connection)
            if gap is not None and gap.seconds > LONGEST_GAP_S:
                await connection.execute(statement(PACKAGE, "note_outage"), gap.began_at, gap.ended_at)
        return gap

    async def _judge(self) -> None:
        overdue = await self._find_overdue(MOST_OVERDUE, self._passed_over)
        judged = await asyncio.gather(*(self._judge_one(it) for it in overdue), return_exceptions=True)
        failed = {
            one.org: outcome for one, outcome in zip(overdue, judged, strict=True) if isinstance(outcome, BaseException)
        }
        # Those that cannot be judged stay the longest overdue. Every other round goes without them, so that they never fill
        # all of them and keep the other orgs from their turn.
        self._passed_over = frozenset(failed)
        for org, error in failed.items():
            if not isinstance(error, LedgerError | CorruptLedgerError):
                raise error
            log.warning("Overdue jobs of %s were not judged: %s", org, error)

    async def _judge_one(self, overdue: Overdue) -> None:
        await self._ledger.execute(
            JudgeOverdueJob(caller=ledger_itself(overdue.org), job_id=overdue.job_id, allowance=overdue.allowance)
        )

    async def _forget(self) -> None:
        """Remove answers to Idempotency-Keys that are past their time, and uploads cut off, a bounded number every so often."""
        if monotonic() < self._forget_at:
            return
        is_all = await self._ledger.database.write(self._forget_some)
        self._forget_at = monotonic() + (FORGET_EVERY_S if is_all else 0)

    async def _forget_some(self, connection: Connection) -> bool:
        async with connection.transaction():
            # A writer never scans; this one must, through an index of ranges.
            await connection.execute("SET LOCAL enable_bitmapscan = on; SET LOCAL enable_seqscan = on")
            forgotten = await connection.fetch(statement(PACKAGE, "forget_answers"), MOST_FORGOTTEN)
            await connection.execute(statement(PACKAGE, "discard_cut_off_uploads"), CUT_OFF_AFTER, MOST_DISCARDED)
        return len(forgotten) < MOST_FORGOTTEN
