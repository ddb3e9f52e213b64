"""Each server reads the ledgers again while it runs: where a row was altered, nothing more is written to that ledger."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from jobledger.ledger.evidence.rereading import Reread
from jobledger.ledger.evidence.store import PACKAGE
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.checkpointing import Checkpointing
from jobledger.ledger.work.rounds import Rounds

# A server writes nothing before this is over, or all was read again.
AT_START_S = 1.0
# A rest is so many times as long as what was done: 20 % of one core at first, and where something differs; later 2 %.
SHORT_REST, LONG_REST = 4, 49
ROUND_S = 10.0


class Rereading(Rounds):
    """Reads all orgs' events again and again, and tells *checkpointing* what differs."""

    title: ClassVar[str] = "Rereading"

    def __init__(self, ledger: Ledger, checkpointing: Checkpointing) -> None:
        super().__init__(ledger)
        self._checkpointing = checkpointing
        self._reread = Reread(ledger.database)
        self._is_waited_for = True
        self._had_round = asyncio.Event()

    async def start(self) -> None:
        """Begin; return after the first round, or after a second of it."""
        await super().start()
        try:
            async with asyncio.timeout(AT_START_S):
                await self._had_round.wait()
        except TimeoutError:
            # A large ledger: the rest of it is read beside what is asked for.
            pass
        self._is_waited_for = False

    async def look(self) -> None:
        """Read all that is signed again, once. Raises DatabaseIsAwayError."""
        for record in await self._ledger.database.fetch(statement(PACKAGE, "survey_evidence")):
            org = record["org"]
            what = await self._reread.fault(org, self._rest)
            if what is not None:
                # A second look: the ledger may have been put back, or forked, in the midst of the first.
                what = await self._reread.fault(org, self._rest)
            self._checkpointing.tell_altered(org, what)

    async def _go_round(self) -> None:
        await self.look()
        self._had_round.set()

    async def _pause(self) -> None:
        await asyncio.sleep(1.0 if self._checkpointing.altered else ROUND_S)

    async def _rest(self, took_s: float) -> None:
        if self._is_waited_for:
            await asyncio.sleep(0)
        else:
            is_new = not self._had_round.is_set() or self._checkpointing.altered
            await asyncio.sleep(took_s * (SHORT_REST if is_new else LONG_REST))
