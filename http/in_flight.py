"""The requests that a server is answering, so that it can stop when they are answered and not before.

aiohttp's own shutdown waits for handlers, but drops what clients still send: a request whose body is on its way when the
server is stopped would never be answered.
"""

from __future__ import annotations

import asyncio

from aiohttp import web


class InFlight:
    """Counts an application's requests."""

    def __init__(self) -> None:
        self._count = 0
        # Set once none is in flight; there from when that is waited for.
        self._is_none: asyncio.Event | None = None

    @property
    def is_ending(self) -> bool:
        """Whether the server stops: connections are closed as they are answered."""
        return self._is_none is not None

    def enter(self) -> None:
        """One more."""
        self._count += 1

    def leave(self) -> None:
        """One has been answered."""
        self._count -= 1
        if self._is_none is not None and not self._count:
            self._is_none.set()

    async def end(self, patience_s: float) -> bool:
        """Wait until none is in flight, for so long at most; whether none is."""
        self._is_none = asyncio.Event()
        if not self._count:
            return True
        try:
            async with asyncio.timeout(patience_s):
                await self._is_none.wait()
        except TimeoutError:
            return False
        return True


IN_FLIGHT = web.AppKey("in_flight", InFlight)
