"""How the statements of copies find their rows: in tables that nobody has analysed, and beside an org that is far larger."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.domain.job_registration import RegisterJobs
from jobledger.ledger.store.columns import plain_array
from jobledger.ledger.store.database import READER_SETTINGS, WRITER_SETTINGS, connect
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.statement import statement
from tests.cluster import session
from tests.world import ALICE, ORG, spec

# Rows of another org, of which alone the statistics tell.
MANY = """
INSERT INTO job (org, gen, id, version, state, type, domain, begins_at, q, registration, course)
SELECT 'large', 1, n, 5, 'SCHEDULED', 'copy', 'Global', to_timestamp(n), 'q', '{}', '{}' FROM generate_series(1, 20000) AS n;
INSERT INTO job_copy (org, gen, copy_id, job_id, state, is_deleted, domain, begins_at, level, client_id, subclient_id)
SELECT 'large', 1, 9, n, 'available', false, 'Global', to_timestamp(n), 'Archive', n % 50, 3 FROM generate_series(1, 20000) AS n;
INSERT INTO job_requirement (org, gen, required_id, job_id)
SELECT 'large', 1, n - 1, n FROM generate_series(2, 20000) AS n;
INSERT INTO storage_copy (org, gen, id, version, name, storage_policy_id, storage_policy_name, commcell_id, copy_type, precedence,
                          is_default, is_snap, is_active, registered_at, updated_at)
SELECT 'large', 1, n, 1, 'name-' || n, n % 20, 'name', 2, 1, 1, false, false, true, to_timestamp(n), to_timestamp(n)
  FROM generate_series(1, 5000) AS n;
"""
TABLES = ("job", "job_copy", "job_requirement", "storage_copy")
JOBS = 300
FEW = [1, 2, 3]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASKED: dict[str, list[Any]] = {
    "dependents": [ORG, 1, 9, [JOBS - 20]],
    "copies_of_policies": [ORG, 1, [7]],
    "sibling_copies": [ORG, 1, [9]],
    "load_copies": [ORG, 1, [9]],
    "drop_job_copies": [ORG, 1, plain_array([9, 9, 9]), plain_array(FEW)],
    "dependents_on_copy": [ORG, 9, [JOBS - 20], None],
    "archivers_on_copy": [ORG, 9, [1], None],
    "required_by": [ORG, 9, FEW, None, FEW],
    "jobs_of_ids": [ORG, FEW, None],
    "jobs_of_copy": [ORG, 9, 20, *[None] * 9],
    "list_copies": [ORG, 0, 20, None, 9],
    "list_storage_policies": [ORG],
}
WRITES = {"drop_job_copies"}


@pytest.fixture
def unaudited_url(own_url: str) -> str:
    """A database of the test's own: nobody else analyses its tables."""
    return own_url


@pytest.mark.parametrize("is_analysed", [False, True])
async def test_the_rows_of_an_org_are_found_by_its_keys(ledger: Ledger, database_url: str, is_analysed: bool) -> None:
    """No table is read through, and few rows are read to be thrown away."""
    put = PutCopy(caller=ALICE, copy_id=9, name="primary", storage_policy_id=7, storage_policy_name="nightly")
    await ledger.execute(put)
    chain = [spec(copies=[{"id": 9}], required_job_ids=[it - 1] if it > 1 else None) for it in range(1, JOBS + 1)]
    await ledger.execute(RegisterJobs(caller=ALICE, jobs=chain))
    async with session(database_url) as owner:
        for table in TABLES:
            await owner.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        await owner.execute(MANY)
        if is_analysed:
            await owner.execute("ANALYZE")

    plans: dict[str, str] = {}
    for name, arguments in ASKED.items():
        connection = await connect(database_url, WRITER_SETTINGS if name in WRITES else READER_SETTINGS)
        transaction = connection.transaction()
        await transaction.start()
        explain = f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {statement('jobledger.projections', name)}"
        plans[name] = "\n".join(it[0] for it in await connection.fetch(explain, *arguments))
        await transaction.rollback()
        await connection.close()

    async with session(database_url) as owner:
        for table in TABLES:
            await owner.execute(f"DELETE FROM {table} WHERE org = 'large'")

    for name, plan in plans.items():
        assert not re.search("Seq Scan on (job|storage_copy)", plan), (name, plan)
        assert sum(map(int, re.findall(r"Rows Removed by [^:]+: (\d+)", plan))) <= 2, (name, plan)
        rows = [float(rows) * int(loops) for rows, loops in re.findall(r"actual rows=([\d.]+) loops=(\d+)", plan)]
        assert max(rows) <= 100, (name, plan)
