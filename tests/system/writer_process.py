"""A server reduced to its ledger: appends as fast as it can until standard input ends, and writes down what was acknowledged.

Arguments: the database's URL, a prefix for names, a running job's id, and optionally ``stops``: its first command then stops this
process while it is decided, holding the head's lock; ``few``: with few callers.

Writes a line of JSON for each acknowledged event: ``{"position", "type", "data"}``.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import orjson

from jobledger.ledger.domain.command import Command, Outcome, UnitOfWork
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_commands import JobTransition, ReportProgress
from tests.world import ALICE, registration, serving

CALLERS, FEW_CALLERS = 12, 2
NUMBERS = count()


@dataclass(slots=True, kw_only=True, eq=False)
class StopOnce(JobTransition):
    """Stops the process in the middle of its transaction, the first time that it is decided."""

    capability: ClassVar[str] = "jobs.update"
    message: str

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Stop, and when continued report."""
        if next(NUMBERS) == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        job.report_progress(unit.now, message=self.message)


def write_down(outcome: Outcome) -> None:
    """One line an event, written at once: who is killed has told what it acknowledged, and at most half a line more."""
    lines = [
        orjson.dumps({"position": position, "type": event.type_name, "data": event.data}) + b"\n"
        for position, event in zip(outcome.positions, outcome.events, strict=True)
    ]
    os.write(sys.stdout.fileno(), b"".join(lines))


async def append(url: str, prefix: str, job_id: int, *, stops: bool, callers: int) -> None:
    """Append until standard input ends."""
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with serving(url) as ledger:
        if stops:
            write_down(await ledger.execute(StopOnce(caller=ALICE, job_id=job_id, message=f"{prefix} stopped")))

        async def call() -> None:
            while not ended.done():
                number = next(NUMBERS)
                name = f"{prefix} {number}"
                command: Command = registration(name=name)
                if number % 2:
                    command = ReportProgress(caller=ALICE, job_id=job_id, message=name)
                write_down(await ledger.execute(command))

        await asyncio.gather(*(call() for _ in range(callers)))


if __name__ == "__main__":
    options = sys.argv[4:]
    callers = FEW_CALLERS if "few" in options else CALLERS
    asyncio.run(append(sys.argv[1], sys.argv[2], int(sys.argv[3]), stops="stops" in options, callers=callers))
