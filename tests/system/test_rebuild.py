"""Rebuilding while others write and read, and being killed in the midst of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import orjson
import pytest

from jobledger.ledger.errors import ConflictError
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.job_query import JobFilter, JobQuery
from jobledger.projections.rebuild.course import Rebuild
from jobledger.scripts import folding
from jobledger.scripts.folding import fold_in_processes
from tests.auditor import audit
from tests.cluster import session
from tests.ledger.histories import History
from tests.system.test_crashes import ROOT, writing
from tests.world import ORG, register_running, serving

pytestmark = pytest.mark.slow

# Readers show themselves by what they ask.
WAITING_READERS = """
SELECT query FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM job%' AND query NOT LIKE 'WITH %head%UPDATE%'
   AND query NOT ILIKE '%INSERT INTO%' AND query NOT ILIKE '%UPDATE %'
"""


async def test_nobody_who_reads_or_writes_meanwhile_sees_anything_of_it(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two servers append; whoever reads sees every job, none older than before, and waits for no lock; nothing is lost."""
    monkeypatch.setattr(folding, "EVENTS_A_PROCESS", 100)
    await History(ledger, 5).go_on(150)
    job_id = await register_running(ledger, name="shared")
    reads = waits = 0
    is_over = False

    async def read(query: JobQuery) -> None:
        nonlocal reads
        version, count = 0, 0
        while not is_over:
            seen = orjson.loads(await query.job(ORG, job_id, None))
            page = await query.page(ORG, JobFilter(type="copy"), None, limit=1000)
            assert seen["version"] >= version
            assert len(page.jobs) >= count or page.next_after is not None
            version, count = seen["version"], len(page.jobs)
            reads += 1

    async def look() -> None:
        nonlocal waits
        async with session(database_url) as connection:
            while not is_over:
                waits += len(await connection.fetch(WAITING_READERS))
                await asyncio.sleep(0.005)

    with writing(database_url, 2, job_id, "few") as writers:
        async with serving(database_url) as other:
            observers = [asyncio.create_task(it) for it in (read(JobQuery(other.database)), look())]
            for writer in writers:
                await asyncio.to_thread(writer.wait_for, 100)
            reports = [await Rebuild(other, fold_in_processes(other, 2)).rebuild(ORG) for _ in range(2)]
            is_over = True
            await asyncio.gather(*observers)
        for writer in writers:
            await asyncio.to_thread(writer.finish)
        lines = [line for writer in writers for line in writer.lines]

    assert [it.differences for it in reports] == [[], []]
    assert waits == 0
    assert reads > 10
    audited = (await audit(database_url))[ORG]
    own = {line["position"] for line in lines}
    assert max(own) > reports[0].position
    for line in lines:
        assert audited.data[line["position"]] == line["data"]


@contextmanager
def rebuilding(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that rebuilds, killed at the end."""
    command = [sys.executable, "-m", "tests.system.rebuild_process", url]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def test_whoever_is_killed_while_rebuilding_leaves_what_is_live(ledger: Ledger, database_url: str) -> None:
    """At any moment. The rows are those of a fold, the auditor says; what was left goes with the next rebuild."""
    chance = Random(1)
    history = History(ledger, 6)
    await history.go_on(150)
    for _ in range(5):
        with rebuilding(database_url) as process:
            assert process.stdout is not None
            line = await asyncio.to_thread(process.stdout.readline)
            told: dict[str, Any] = orjson.loads(line)
            assert told["differences"] == 0
            # Somewhere in the midst of the next.
            await asyncio.sleep(chance.uniform(0.0, 0.5))
        await audit(database_url)
        await history.go_on(5)
    async with asyncio.timeout(30):
        report = None
        while report is None:
            try:
                report = await Rebuild(ledger).rebuild(ORG)
            except ConflictError:
                # The killed one's connection may not be gone yet.
                await asyncio.sleep(0.1)

    assert report.differences == []
    async with session(database_url) as connection:
        for table in ("job", "job_residue", "job_work", "principal", "schedule", "rollup", "tracking"):
            gens = await connection.fetch(f"SELECT DISTINCT gen FROM {table} WHERE org = $1", ORG)
            assert {it["gen"] for it in gens} <= {report.projections[0].generation}, table
