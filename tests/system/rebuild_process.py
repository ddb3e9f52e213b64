"""A process that rebuilds an org's projections again and again: its argument is the database's URL.

A line of JSON for each time: ``{"generation", "differences"}``.
"""

from __future__ import annotations

import asyncio
import sys

import orjson

from jobledger.projections.rebuild.course import Rebuild
from jobledger.scripts.folding import fold_in_processes
from tests.world import ORG, serving


async def rebuild(url: str) -> None:
    """Rebuild until killed."""
    async with serving(url) as ledger:
        while True:
            report = await Rebuild(ledger, fold_in_processes(ledger, 2)).rebuild(ORG)
            told = {"generation": report.projections[0].generation, "differences": len(report.differences)}
            sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    asyncio.run(rebuild(sys.argv[1]))
