"""The requests that a server is answering, so that it can stop when they are answered and not before.

aiohttp's own shutdown waits for handlers, but drops what clients still send: a request whose body is on its way when the
server is stopped would never be answered.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler


class InFlight:
    """Counts an application's requests. Wired in before the application is started."""

    def __init__(self, app: web.Application) -> None:
        self._count = 0
        # Set once the last of them has been answered; there from when that is waited for.
        self._is_none: asyncio.Event | None = None
        app.middlewares.insert(0, self._counted)

    async def end(self, patience_s: float) -> bool:
        """Wait until none is in flight, for so long at most; whether none is. Connections are closed as they are answered."""
        self._is_none = asyncio.Event()
        if not self._count:
            return True
        try:
            async with asyncio.timeout(patience_s):
                await self._is_none.wait()
        except TimeoutError:
            return False
        return True

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._count += 1
        try:
            response = await handler(request)
            if self._is_none is not None:
                response.force_close()
            return response
        finally:
            self._count -= 1
            if self._is_none is not None and self._count == 0:
                self._is_none.set()
