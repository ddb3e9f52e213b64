"""How the statements of archiving and purging find their rows: what a batch costs does not depend on how many jobs there are."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from jobledger.ledger.store.columns import plain_array
from jobledger.ledger.store.database import WRITER_SETTINGS, connect
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.projections.job_history import JobHistoryProjection
from tests.cluster import session
from tests.world import ORG, registration, spec

JOBS = 2_000
BATCH = 50
LONG_S = 60.0
ASKED = plain_array(range(700, 700 + BATCH))
STATEMENTS = {
    "forget_past": ("jobledger.projections", (ORG, 1, ASKED)),
    "forget_history": ("jobledger.projections", (ORG, 1, ASKED)),
    "forget_snapshots": ("jobledger.projections", (ORG, 1, ASKED)),
    "remove_jobs": ("jobledger.projections", (ORG, 1, ASKED)),
    "lines_of_events": ("jobledger.ledger.work", (ORG, ASKED, 512 * 1024)),
    "digest_of_headers": ("jobledger.ledger.work", (ORG, ASKED)),
}


@pytest.fixture
def unaudited_url(own_url: str) -> str:
    """A database of the test's own: its tables are counted otherwise."""
    return own_url


@pytest.fixture(params=["auto", "force_generic_plan"])
async def writer(
    ledger: Ledger, database_url: str, request: pytest.FixtureRequest
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection that plans for what is asked, or for whatever may be asked, and knows no statistics."""
    async with session(database_url) as owner:
        for table in ("event", "content", "job", "job_past", "job_history", "job_snapshot"):
            await owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    writer = await connect(database_url, {**WRITER_SETTINGS, "plan_cache_mode": request.param})
    yield writer
    await writer.close()


async def test_a_batch_reads_the_rows_of_its_own_jobs(
    ledger: Ledger, writer: asyncpg.Connection[asyncpg.Record]
) -> None:
    """No step goes through many more rows than the batch has, nor compares each of them with each."""
    for begin in range(0, JOBS, 500):
        await ledger.execute(registration(*[spec() for _ in range(500)], key=str(begin)))
    await CatchUp(ledger).wait_for(ORG, JobHistoryProjection.name, LONG_S)

    for name, (package, arguments) in STATEMENTS.items():
        explain = f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {statement(package, name)}"
        transaction = writer.transaction()
        await transaction.start()
        plan = "\n".join(record[0] for record in await writer.fetch(explain, *arguments))
        await transaction.rollback()
        read = [float(rows) * int(loops) for rows, loops in re.findall(r"rows=([0-9.]+) loops=(\d+)", plan)]
        assert max(read) <= 2 * BATCH, (name, plan)
        assert "Removed by Join Filter" not in plan, (name, plan)
