"""A ledger of a million events of ended jobs, with all that follows it: shared by what reads, checks and archives one."""

from __future__ import annotations

import asyncio
from time import perf_counter

from jobledger.ledger.domain.command import Caller
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.projections.job_history import JobHistoryProjection
from jobledger.projections.rollups import RollupsProjection
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.population import grown_org

FOLLOWING = (RollupsProjection.name, JobHistoryProjection.name)
LONG_S = 3_600.0
GZIP = ("gzip", "-c")
# The same rows as an archive's, as somebody would take them out by hand.
ROWS = """
SELECT convert_from(e.header, 'UTF8'), convert_from(c.body, 'UTF8')
  FROM event AS e JOIN content AS c USING (org, position)
 WHERE e.org = $1 AND e.stream LIKE 'job-%' AND e.position < $2
 ORDER BY position"""


async def million_org(bed: Bed) -> Caller:
    """The org with a million events of ended jobs, made once for all that need it; it is read, not changed."""
    if "million" not in bed.orgs:
        bed.orgs["million"] = await new_million(bed)
    return bed.orgs["million"]


async def new_million(bed: Bed) -> Caller:
    """Another such org."""
    return await grown_org(bed, "million", bed.plan.ended_jobs, is_ended=True)


async def follow(bed: Bed, caller: Caller) -> float:
    """Bring what follows the ledger up to its head, and sign it; the events a second at which its history was told."""
    size = (await bed.ledger.recorder.head(caller.org)).size
    catch_up = CatchUp(bed.ledger)
    rate = 0.0
    for name in FOLLOWING:
        began = perf_counter()
        await catch_up.wait_for(caller.org, name, LONG_S)
        rate = size / (perf_counter() - began)
    await bed.sign_all()
    return rate


async def copy_and_gzip(bed: Bed, caller: Caller, size: int) -> tuple[float, int]:
    """``COPY … | gzip`` of the events before position *size*: the seconds it takes, the bytes it comes to."""
    zipped = bed.data / "copy.gz"
    began = perf_counter()
    with zipped.open("wb") as file:
        process = await asyncio.create_subprocess_exec(*GZIP, stdin=asyncio.subprocess.PIPE, stdout=file)
        pipe = process.stdin
        assert pipe is not None

        async def take(piece: bytes) -> None:
            pipe.write(piece)
            await pipe.drain()

        async with bed.owner() as connection:
            await connection.copy_from_query(ROWS, caller.org, size, output=take, timeout=LONG_S)
        pipe.close()
        await process.wait()
    took_s, length = perf_counter() - began, zipped.stat().st_size
    zipped.unlink()
    tell(f"COPY … | gzip of {size:,} events: {took_s:.1f} s, {length / 2**20:.1f} MiB")
    return took_s, length
