"""What a server sees to again and again while it runs."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.lease import Lease

log = logging.getLogger(__name__)


class Rounds(ABC):
    """Base of what goes on from ``start`` to ``stop``, in rounds: one that fails is followed by the next.

    ``title`` is what the log calls it.
    """

    title: ClassVar[str]

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._task: asyncio.Task[None] | None = None
        # What rounds have begun, and goes on between them.
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=self.title)

    async def stop(self) -> None:
        """Stop. What is being decided is decided."""
        if self._task is None:
            return
        tasks = [self._task, *self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        self._task = None
        # One that was cancelled before it began took nothing away.
        self._under_way.clear()

    async def _run(self) -> None:
        while True:
            try:
                await self._go_round()
            except Exception as error:
                # The database may be away; the next round tries again.
                log.warning("%s missed a round: %s: %s", self.title, type(error).__name__, error)
            await self._pause()

    @abstractmethod
    async def _go_round(self) -> None:
        """One round."""

    @abstractmethod
    async def _pause(self) -> None:
        """Until the next."""


class LeasedRounds(Rounds):
    """Base of what whichever server holds its lease sees to."""

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        super().__init__(ledger)
        self._lease = lease

    async def stop(self) -> None:
        """Stop, and leave it to another server at once. What is being decided is decided."""
        if self._task is None:
            return
        await super().stop()
        try:
            await self._ledger.database.write(self._lease.release)
        except Exception as error:
            log.info("%s was not handed over, it lapses by itself: %s", self.title, type(error).__name__)
