"""How statements find their rows: in tables that nobody has analysed yet, and as an org that the statistics know nothing of."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import asyncpg
import pytest

from jobledger.ledger.store.columns import packed, plain_array
from jobledger.ledger.store.database import READER_SETTINGS, WRITER_SETTINGS, connect
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.statement import ledger_statement, statement
from jobledger.projections.numbered_jobs import Span, parts_of
from tests.cluster import session
from tests.world import ORG, ids, registration, spec

JOBS = 2_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = list(range(1, 61))
STREAMS = [f"job-{it}" for it in ASKED]
NAMES = [str(it) for it in ASKED]

STATEMENTS: dict[str, tuple[str, list[Any]]] = {
    "update_jobs": (
        "jobledger.projections",
        [
            *(ORG, 1, plain_array(ASKED), plain_array([9] * len(ASKED)), plain_array(["RUNNING"] * len(ASKED))),
            *([NOW] * len(ASKED), [], [], [NOW] * len(ASKED), [], [], [], [], [], []),
            *packed([b"{}"] * len(ASKED)),
        ],
    ),
    "remove_jobs": ("jobledger.projections", [ORG, 1, plain_array(ASKED)]),
    "load_jobs": ("jobledger.projections", [ORG, 1, ASKED]),
    "jobs_by_external_id": ("jobledger.projections", [ORG, 1, ["cron"] * len(ASKED), NAMES]),
    "follow_ups": ("jobledger.projections", [ORG, 1, ASKED]),
    "last_heartbeats": ("jobledger.projections", [ORG, ASKED]),
    "stream_after": ("jobledger.ledger.store", [ORG, STREAMS, [0] * len(ASKED)]),
    "recall_answers": ("jobledger.ledger.store", [ORG, NOW, ["principal-1"] * len(ASKED), NAMES]),
}


@pytest.fixture
async def writer(ledger: Ledger, database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A writer's connection that knew the tables when they were empty."""
    async with session(database_url) as owner:
        await owner.execute("ALTER TABLE job SET (autovacuum_enabled = off)")
        await owner.execute("ALTER TABLE event SET (autovacuum_enabled = off)")
    writer = await connect(database_url, WRITER_SETTINGS)
    yield writer
    await writer.close()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_a_lookup_by_keys_reads_no_more_than_it_gives(
    ledger: Ledger, writer: asyncpg.Connection[asyncpg.Record], name: str
) -> None:
    """Its cost is that of the keys asked for, not of all that the org has: no row is read to be thrown away."""
    package, arguments = STATEMENTS[name]
    sql = ledger_statement(name) if package == "jobledger.ledger.store" else statement(package, name)
    explain = f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {sql}"
    for job_id in range(1, JOBS + 1):
        behind = job_id - 1 if job_id > 1 else None
        command = registration(spec(source="cron", external_id=str(job_id), preceding_job_id=behind), key=str(job_id))
        outcome = await ledger.enqueue(command)
    assert ids(await outcome) == [JOBS]

    transaction = writer.transaction()
    await transaction.start()
    plan = "\n".join(record[0] for record in await writer.fetch(explain, *arguments))
    await transaction.rollback()

    assert "Removed by Join Filter" not in plan, plan
    assert "Seq Scan" not in plan, plan


# Rows of another org, of which alone the statistics tell.
MANY = """
INSERT INTO event (org, position, stream, version, type, recorded_at, header)
SELECT 'large', n, 'job-' || n / 5, 1 + n % 5, 'job.progressed', to_timestamp(n), '' FROM generate_series(0, 59999) AS n;
INSERT INTO content (org, position, body) SELECT 'large', n, '' FROM generate_series(0, 59999) AS n;
INSERT INTO job (org, gen, id, version, state, type, domain, preceding_job_id, datastream_id, begins_at, q, registration, course)
SELECT 'large', 1, n, 5, 'SCHEDULED', 'copy', 'Global', nullif(n - 1, 0), n % 9, '2026-01-01'::timestamptz + n * interval '1 min',
       'q', '{}', '{}' FROM generate_series(1, 10000) AS n;
INSERT INTO job_count (org, gen, day, domain, block, jobs)
SELECT 'large', 1, begins_at::date, domain, id >> 12, count(*) FROM job WHERE org = 'large' GROUP BY 1, 2, 3, 4, 5;
INSERT INTO idempotency (org, principal, key, request_hash, answer, recorded_at)
SELECT 'large', 'principal-1', n, '', '', to_timestamp(n) FROM generate_series(1, 10000) AS n;
"""
MANY_PRINCIPALS = """
INSERT INTO principal (org, gen, id, version, name, roles, home_domain, is_administrator)
SELECT o, 1, n, 1, 'name-' || n, '{}', 'Global', false FROM generate_series(1, 3000) AS n, unnest(ARRAY['large', 'acme']) AS o;
INSERT INTO credential (org, id, principal_id, kind, hash, created_at)
SELECT o, gen_random_uuid(), n, 'token', sha256(convert_to(o || n, 'UTF8')), now()
  FROM generate_series(1, 3000) AS n, unnest(ARRAY['large', 'acme']) AS o;
"""
AUTHENTICATION: dict[str, list[Any]] = {
    "principal_by_token": [ORG, sha256(b"acme7").digest()],
    "principal_by_name": [ORG, "name-7"],
}


@pytest.mark.parametrize("name", AUTHENTICATION)
@pytest.mark.parametrize("is_analysed", [False, True])
async def test_a_credential_is_looked_up_by_its_index(
    ledger: Ledger, unaudited_url: str, name: str, is_analysed: bool
) -> None:
    """One statement, which reads a row of each table however many there are."""
    async with session(unaudited_url) as owner:
        await owner.execute(MANY_PRINCIPALS)
        if is_analysed:
            await owner.execute("ANALYZE")
    reader = await connect(unaudited_url, READER_SETTINGS)
    explain = f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {statement('jobledger.projections', name)}"
    plan = "\n".join(it[0] for it in await reader.fetch(explain, *AUTHENTICATION[name]))
    await reader.close()
    async with session(unaudited_url) as owner:
        await owner.execute("DELETE FROM principal; DELETE FROM credential")

    assert "Seq Scan" not in plan, plan
    assert "Rows Removed by Join Filter" not in plan, plan
    assert max(float(it) for it in re.findall(r"actual rows=([\d.]+) loops=\d+", plan)) <= 1, plan


NONE = (None,) * 15
NOON_TO_NOON = Span(NOW + timedelta(hours=12), NOW + timedelta(days=9, hours=12))
READ: dict[str, tuple[str, list[Any]]] = {
    "load_jobs": STATEMENTS["load_jobs"],
    "get_job": ("jobledger.projections", [ORG, 1, None]),
    "numbered_jobs": ("jobledger.projections", [ORG, "RUNNING", None, None, None, None, None, False, 1, 0, 20]),
    "jobs_in_time": ("jobledger.projections", [ORG, *NOON_TO_NOON, *parts_of(NOON_TO_NOON), None, 1, 0, 20, 0]),
    "last_job_of_datastream": ("jobledger.projections", [ORG, "7", None]),
    "list_jobs": ("jobledger.projections", [ORG, 1, 20, *NONE]),
    "overdue_jobs": ("jobledger.projections", [100, []]),
    "stream_after": STATEMENTS["stream_after"],
    "recall_answers": STATEMENTS["recall_answers"],
    "stream_events": ("jobledger.ledger.store", [ORG, "job-7", 0, 100]),
    "events_after": ("jobledger.ledger.store", [ORG, 100, 20]),
    "events_of_size": ("jobledger.ledger.store", [ORG, 100, 20, 1_000_000]),
    "sizes": ("jobledger.ledger.store", [[ORG]]),
    "header_at": ("jobledger.ledger.store", [ORG, 100]),
    "recorded_at": ("jobledger.ledger.store", [ORG, 100]),
}
FEW_JOBS = 300


async def test_a_reader_finds_what_it_asks_for_beside_an_org_that_is_far_larger(
    ledger: Ledger, database_url: str
) -> None:
    """A new org is in no statistics: each index that begins with org seems as good as the right one."""
    async with session(database_url) as owner:
        await owner.execute(MANY)
        await owner.execute("ANALYZE")
    for job_id in range(1, FEW_JOBS + 1):
        outcome = await ledger.enqueue(registration(spec(), key=str(job_id)))
    assert ids(await outcome) == [FEW_JOBS]

    plans: dict[str, str] = {}
    reader = await connect(database_url, READER_SETTINGS)
    for name, (package, arguments) in READ.items():
        sql = ledger_statement(name) if package == "jobledger.ledger.store" else statement(package, name)
        explain = f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {sql}"
        plans[name] = "\n".join(it[0] for it in await reader.fetch(explain, *arguments))
    await reader.close()
    async with session(database_url) as owner:
        for table in ("event", "content", "job", "job_count", "idempotency"):
            await owner.execute(f"DELETE FROM {table} WHERE org = 'large'")

    for plan in plans.values():
        assert "Rows Removed by" not in plan, plan
        assert max(float(it) for it in re.findall(r"actual rows=([\d.]+) loops=\d+", plan)) <= 100, plan
