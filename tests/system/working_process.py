"""A server reduced to its ledger and its runner, until standard input ends. Argument: the database's URL.

It does work of the kind "counting": each number is a step, and a line on standard output once it was accepted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from jobledger.ledger.work.runner import Runner, Step, Task, Work
from jobledger.projections.work_query import WorkQuery
from tests.world import serving

STEP_S = 0.25


class Counting(Work):
    """Counts to ``order["to"]``."""

    kind: ClassVar[str] = "counting"

    def steps(self, order: Mapping[str, Any]) -> Mapping[str, Step]:
        """See ``Work``."""
        return {"count": self.count}

    async def count(self, task: Task) -> None:
        """One number a step."""
        for number in range(task.memory.get("at", 0) + 1, task.order["to"] + 1):
            await asyncio.sleep(STEP_S)
            await task.advance(progress=number / task.order["to"], memory={"at": number})
            print(f"{task.claim} {number}", flush=True)


async def serve(url: str) -> None:
    """Work until standard input ends."""
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with serving(url) as ledger:
        runner = Runner(ledger, WorkQuery(ledger.database).open, [Counting()])
        await runner.start()
        print("works", flush=True)
        await ended
        await runner.stop()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
