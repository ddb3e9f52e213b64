"""Servers that are killed or paused while they do the ledger's own work: another goes on where they were, and they do no more."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from jobledger.ledger.domain.job import State, job_stream
from jobledger.ledger.domain.job_commands import CancelJob
from jobledger.ledger.store.ledger import Ledger
from tests.ledger.test_watch import until
from tests.world import ALICE, ORG, register, types_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
TAKEN_OVER_WITHIN_S = 30.0


@contextmanager
def working(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server that works."""
    command = [sys.executable, "-m", "tests.system.working_process", url]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == b"works\n"
        yield process
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGCONT)
            process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


async def order(ledger: Ledger, to: int) -> int:
    return await register(ledger, work={"kind": "counting", "order": {"to": to}})


async def work_of(ledger: Ledger, job_id: int) -> dict[str, Any]:
    return (await ledger.job(ORG, job_id)).work or {}


async def until_at(ledger: Ledger, job_id: int, number: int, *, claim: int, within_s: float) -> None:
    async def is_there() -> bool:
        work = await work_of(ledger, job_id)
        return work.get("claim") == claim and work.get("memory", {}).get("at", 0) >= number

    await until(is_there, within_s=within_s)


async def counted(ledger: Ledger, job_id: int) -> list[tuple[int, int]]:
    """What was counted, in the order of the ledger, each with the number of the claim it was counted under."""
    return [
        (data["claim"], data["memory"]["at"])
        async for stored in ledger.recorder.scan(ORG, stream=job_stream(job_id))
        if stored.envelope()["type"] == "job.work_noted"
        for data in [stored.event().data]
    ]


async def test_the_work_of_a_server_that_was_killed_is_taken_over_where_it_was(
    ledger: Ledger, database_url: str
) -> None:
    """Within 30 seconds; nothing is done twice, and nothing left out."""
    job_id = await order(ledger, to=60)
    with working(database_url) as first:
        await until_at(ledger, job_id, 3, claim=1, within_s=20)
        with working(database_url):
            first.kill()
            at = len(await counted(ledger, job_id))
            # It was not done by then.
            assert at < 60
            killed_at = monotonic()
            await until_at(ledger, job_id, at + 1, claim=2, within_s=TAKEN_OVER_WITHIN_S)
            assert monotonic() - killed_at < TAKEN_OVER_WITHIN_S

            async def is_over() -> bool:
                return (await ledger.job(ORG, job_id)).state is State.SUCCESS

            await until(is_over, within_s=40)

    steps = await counted(ledger, job_id)
    assert [number for _, number in steps] == list(range(1, 61))
    assert sorted(steps) == steps
    assert {claim for claim, _ in steps} == {1, 2}


async def test_a_server_that_was_paused_and_wakes_is_refused_at_its_next_step(
    ledger: Ledger, database_url: str
) -> None:
    """Another has taken over meanwhile, and goes on as if nothing were; the paused one works on with the next job."""
    job_id = await order(ledger, to=150)
    with working(database_url) as first:
        await until_at(ledger, job_id, 3, claim=1, within_s=20)
        os.kill(first.pid, signal.SIGSTOP)
        with working(database_url):
            await until_at(ledger, job_id, 6, claim=2, within_s=TAKEN_OVER_WITHIN_S)
            os.kill(first.pid, signal.SIGCONT)
            await until_at(ledger, job_id, 20, claim=2, within_s=20)
            await ledger.execute(CancelJob(caller=ALICE, job_id=job_id))
            await asyncio.sleep(1)
            end = len(await counted(ledger, job_id))
            # Cancelled, it is stopped at its next step by whoever does it.
            await asyncio.sleep(1)
            assert len(await counted(ledger, job_id)) == end

    steps = await counted(ledger, job_id)
    assert [number for _, number in steps] == list(range(1, len(steps) + 1))
    assert sorted(steps) == steps
    types = await types_of(ledger, job_stream(job_id))
    assert (types.count("job.claimed"), types[-1]) == (2, "job.cancelled")
