"""A server reduced to its ledger and its firing, until standard input ends. Argument: the database's URL."""

from __future__ import annotations

import asyncio
import sys

from jobledger.ledger.work.firing import Firing
from jobledger.projections.schedule_query import ScheduleQuery
from tests.world import serving


async def serve(url: str) -> None:
    """Fire until standard input ends."""
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with serving(url) as ledger:
        firing = Firing(ledger, ScheduleQuery(ledger.database).due)
        await firing.start()
        print("fires", flush=True)
        await ended
        await firing.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
