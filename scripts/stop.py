"""Being asked to stop: a first signal lets everything be finished, a second one hurries."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class Stop:
    """Whether we were asked to stop, and whether to hurry."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.hurried = asyncio.Event()

    def heed_signals(self) -> None:
        """Take SIGINT and SIGTERM for requests."""
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.request)

    def request(self) -> None:
        """Ask to stop; asked again, to hurry."""
        if self.requested.is_set():
            self.hurried.set()
        self.requested.set()


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, Result]) -> Result | None:
    """What *work* comes to; None when *event* came first, and *work* was cancelled and has ended."""
    task, waiter = asyncio.ensure_future(work), asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
    return None if task.cancelled() else task.result()
