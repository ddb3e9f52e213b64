"""Waiting for messages, by any number of clients, without a connection or a thread for each.

Messages come with appends alone, and appends are told: in this process by the ledger, from others by NOTIFY, and where that is lost
the queues are looked at each second. One look serves all who wait.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic

from jobledger.ledger.errors import DatabaseIsAwayError
from jobledger.ledger.store.announcement import Listener
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.messages import MessageStore

log = logging.getLogger(__name__)

LOOK_S = 1.0
# However much is appended, the queues are looked at so often at most.
PAUSE_S = 0.05


class Waiter:
    """One who waits at a queue."""

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self.is_ended = False

    def wake(self) -> None:
        """Let it look."""
        self._came.set()

    def end(self) -> None:
        """Let it wait no longer."""
        self.is_ended = True
        self._came.set()

    async def wait(self, deadline: float) -> bool:
        """Whether there may be something before *deadline*, on the monotonic clock."""
        try:
            async with asyncio.timeout(max(0.0, deadline - monotonic())):
                await self._came.wait()
        except TimeoutError:
            return False
        self._came.clear()
        return not self.is_ended


class MessageWaiting:
    """All who wait for messages in this process. With nobody it does nothing at all."""

    def __init__(self, ledger: Ledger, messages: MessageStore) -> None:
        self._messages = messages
        self._listener = Listener(ledger.database.url, self._hear, self._hear_anything)
        self._waiters: dict[tuple[str, int], set[Waiter]] = {}
        self._orgs: dict[str, int] = {}
        self._look_now = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        ledger.told_of_appends.append(self._hear)

    @asynccontextmanager
    async def at(self, org: str, queue_id: int) -> AsyncIterator[Waiter]:
        """Wait at a queue: whatever is put there from now on wakes the waiter."""
        waiter, key = Waiter(), (org, queue_id)
        self._waiters.setdefault(key, set()).add(waiter)
        self._orgs[org] = self._orgs.get(org, 0) + 1
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._listener.run(), name="listener for messages"),
                asyncio.create_task(self._look(), name="look for messages"),
            ]
        try:
            yield waiter
        finally:
            self._waiters[key].discard(waiter)
            if not self._waiters[key]:
                del self._waiters[key]
            self._orgs[org] -= 1
            if not self._orgs[org]:
                del self._orgs[org]
            if not self._waiters:
                await self.stop()

    def wake(self, org: str, queue_id: int) -> None:
        """A message of that queue may be had again."""
        for waiter in self._waiters.get((org, queue_id), ()):
            waiter.wake()

    async def stop(self) -> None:
        """Look no more."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hear(self, org: str, _size: int) -> None:
        if org in self._orgs:
            self._look_now.set()

    def _hear_anything(self) -> None:
        self._look_now.set()

    async def _look(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_S):
                    await self._look_now.wait()
            except TimeoutError:
                pass
            self._look_now.clear()
            try:
                for org, queue_id in await self._messages.with_messages(list(self._waiters)):
                    self.wake(org, queue_id)
            except DatabaseIsAwayError:
                pass
            except Exception:
                log.exception("The queues could not be looked at")
            await asyncio.sleep(PAUSE_S)
