"""How statements find their rows: in tables that nobody has analysed yet, and as an org that the statistics know nothing of."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from jobledger.ledger.store.columns import packed, plain_array
from jobledger.ledger.store.database import READER_SETTINGS, WRITER_SETTINGS, connect
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.statement import ledger_statement, statement
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.projections.numbered_jobs import ALL_STATES, Span, parts_of
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
    "rewrite_jobs": (
        "jobledger.projections",
        [
            *(ORG, 1, plain_array(ASKED), plain_array([9] * len(ASKED)), plain_array(["RUNNING"] * len(ASKED))),
            *([NOW] * len(ASKED), [], [], [NOW] * len(ASKED), [], [], [], [], [], []),
            *(it for _ in range(3) for it in packed([b"{}"] * len(ASKED))),
        ],
    ),
    "ancestors": ("jobledger.projections", [ORG, 1, ASKED]),
    "last_erasures": ("jobledger.projections", [ORG, ASKED]),
    "diagrams_of_jobs": ("jobledger.projections", [ORG, 1, ASKED]),
    "remove_jobs": ("jobledger.projections", [ORG, 1, plain_array(ASKED)]),
    "load_jobs": ("jobledger.projections", [ORG, 1, ASKED]),
    "jobs_by_external_id": ("jobledger.projections", [ORG, 1, ["cron"] * len(ASKED), NAMES]),
    "follow_ups": ("jobledger.projections", [ORG, 1, ASKED]),
    "last_heartbeats": ("jobledger.projections", [ORG, ASKED]),
    "stream_after": ("jobledger.ledger.store", [ORG, STREAMS, [0] * len(ASKED)]),
    "recall_answers": ("jobledger.ledger.store", [ORG, NOW, ["principal-1"] * len(ASKED), NAMES]),
}


@pytest.fixture
def unaudited_url(own_url: str) -> str:
    """A database of the test's own: its tables are set up and counted otherwise."""
    return own_url


@pytest.fixture
async def writer(ledger: Ledger, database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A writer's connection that knew the tables when they were empty."""
    async with session(database_url) as owner:
        await owner.execute("ALTER TABLE job SET (autovacuum_enabled = off)")
        await owner.execute("ALTER TABLE event SET (autovacuum_enabled = off)")
    writer = await connect(database_url, WRITER_SETTINGS)
    yield writer
    await writer.close()


@pytest.mark.slow
async def test_a_lookup_by_keys_reads_no_more_than_it_gives(
    ledger: Ledger, writer: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Its cost is that of the keys asked for, not of all that the org has: no row is read to be thrown away."""
    for job_id in range(1, JOBS + 1):
        behind = job_id - 1 if job_id > 1 else None
        command = registration(spec(source="cron", external_id=str(job_id), preceding_job_id=behind), key=str(job_id))
        outcome = await ledger.enqueue(command)
    assert ids(await outcome) == [JOBS]

    for name, (package, arguments) in STATEMENTS.items():
        sql = ledger_statement(name) if package == "jobledger.ledger.store" else statement(package, name)
        explain = f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, BUFFERS OFF) {sql}"
        transaction = writer.transaction()
        await transaction.start()
        plan = "\n".join(record[0] for record in await writer.fetch(explain, *arguments))
        await transaction.rollback()
        assert "Removed by Join Filter" not in plan, (name, plan)
        assert "Seq Scan" not in plan, (name, plan)


# Rows of another org, of which alone the statistics tell.
MANY = """
INSERT INTO event (org, position, stream, version, type, recorded_at, header)
SELECT 'large', n, 'job-' || n / 5, 1 + n % 5, 'job.progressed', to_timestamp(n), '' FROM generate_series(0, 59999) AS n;
INSERT INTO content (org, position, body) SELECT 'large', n, '' FROM generate_series(0, 59999) AS n;
INSERT INTO job (org, gen, id, version, state, type, domain, preceding_job_id, datastream_id, begins_at, q, registration, course)
SELECT 'large', 1, n, 5, 'SCHEDULED', 'copy', 'Global', nullif(n - 1, 0), n % 9, '2026-01-01'::timestamptz + n * interval '1 min',
       'q', '{}', '{}' FROM generate_series(1, 10000) AS n;
INSERT INTO job_count (org, gen, state, day, domain, block, jobs)
SELECT 'large', 1, state, begins_at::date, domain, id >> 12, count(*) FROM job WHERE org = 'large' GROUP BY 1, 2, 3, 4, 5, 6;
INSERT INTO idempotency (org, principal, key, request_hash, answer, recorded_at)
SELECT 'large', 'principal-1', n, '', '', to_timestamp(n) FROM generate_series(1, 10000) AS n;
"""
# Likewise, of what jobs go through and what is attached to them; our own has a thousand diagrams.
MANY_DIAGRAMS = """
INSERT INTO diagram (org, gen, id, version, name, active, is_deleted, created_at, updated_at)
SELECT o, 1, n, 1, 'd', 1, false, now(), now() FROM generate_series(1, 1000) AS n, unnest(ARRAY['large', 'acme']) AS o;
INSERT INTO diagram_version (org, gen, id, number, content, saved_at, is_deleted)
SELECT org, 1, id, number, '{}', now(), false FROM diagram, generate_series(1, 5) AS number;
INSERT INTO template (org, gen, id, version, name, diagram_id, defaults, is_deleted, created_at, updated_at)
SELECT org, 1, 1000 + id, 1, 't', id, '{}', false, now(), now() FROM diagram;
INSERT INTO attachment (org, id, job_id, size_bytes, chunk_count)
SELECT 'large', gen_random_uuid(), n, 9, 3 FROM generate_series(1, 3000) AS n;
INSERT INTO attachment_chunk (org, id, number, body) SELECT org, id, number, '' FROM attachment, generate_series(1, 3) AS number;
"""
# Likewise, of how jobs were; and of our own, as what follows the ledger has it.
MANY_PASTS = """
INSERT INTO job_past (org, gen, id, registered_position, registered_at, type, domain)
SELECT 'large', 1, n, n * 5, to_timestamp(n), 'copy', 'Global' FROM generate_series(1, 10000) AS n;
INSERT INTO job_history (org, gen, id, from_position, until_position, level, state, q)
SELECT 'large', 1, n / 5, n, n + 1, 0, 'RUNNING', 'q' FROM generate_series(5, 50000) AS n;
INSERT INTO job_snapshot (org, gen, id, version, position, has_private, job)
SELECT 'large', 1, n, 64, n, false, '{}' FROM generate_series(1, 3000) AS n;
"""
MANY_PRINCIPALS = """
INSERT INTO principal (org, gen, id, version, name, roles, home_domain, is_administrator)
SELECT o, 1, n, 1, 'name-' || n, '{}', 'Global', false FROM generate_series(1, 3000) AS n, unnest(ARRAY['large', 'acme']) AS o;
INSERT INTO credential (org, id, principal_id, kind, hash, created_at)
SELECT o, gen_random_uuid(), n, 'token', sha256(convert_to(o || n, 'UTF8')), now()
  FROM generate_series(1, 3000) AS n, unnest(ARRAY['large', 'acme']) AS o;
"""
AUTHENTICATION: dict[str, list[Any]] = {
    "principal_by_token": [[ORG] * 3, [sha256(it).digest() for it in (b"acme7", b"acme8", b"acme9")]],
    "principal_by_name": [[ORG] * 3, ["name-7", "name-8", "name-9"]],
}


@pytest.mark.parametrize("name", AUTHENTICATION)
@pytest.mark.parametrize("is_analysed", [False, True])
async def test_a_credential_is_looked_up_by_its_index(
    ledger: Ledger, unaudited_url: str, name: str, is_analysed: bool
) -> None:
    """One statement, which reads a row of each table for each that is asked, however many there are."""
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
    # Three are asked for; of each table no more is read.
    rows = [float(rows) * int(loops) for rows, loops in re.findall(r"actual rows=([\d.]+) loops=(\d+)", plan)]
    assert max(rows) <= 3, plan


NONE = (None,) * 19
NOON_TO_NOON = Span(NOW + timedelta(hours=12), NOW + timedelta(days=9, hours=12))
READ: dict[str, tuple[str, list[Any]]] = {
    "load_jobs": STATEMENTS["load_jobs"],
    "get_job": ("jobledger.projections", [ORG, 1, None]),
    "numbered_jobs": ("jobledger.projections", [ORG, None, None, "7", None, None, None, False, 1, 0, 20]),
    "jobs_in_time": (
        "jobledger.projections",
        [ORG, *NOON_TO_NOON, *parts_of(NOON_TO_NOON), None, 1, 0, 20, 0, ["SUCCESS"], ALL_STATES],
    ),
    "jobs_by_time": (
        "jobledger.projections",
        [ORG, *NOON_TO_NOON, *parts_of(NOON_TO_NOON), None, 1, 0, 20, ["SUCCESS"]],
    ),
    "get_residue": ("jobledger.projections", [ORG, 1, None]),
    "keeping": ("jobledger.projections", [ORG]),
    "list_holds": ("jobledger.projections", [ORG, 0, 20, None, True]),
    "search_jobs": ("jobledger.projections", [ORG, ["Global"], 5, 20, None, None]),
    "domains_of_org": ("jobledger.projections", [ORG]),
    "names_of_principals": ("jobledger.projections", [ORG, [1, 2]]),
    "list_diagrams": ("jobledger.projections", [ORG, 7, 20, None]),
    "list_templates": ("jobledger.projections", [ORG, 1, 20, 7]),
    "get_diagram_version": ("jobledger.projections", [ORG, 7, None]),
    "load_diagrams": ("jobledger.projections", [ORG, 1, [7, 8]]),
    "load_diagram_versions": ("jobledger.projections", [ORG, 1, [7, 8]]),
    "load_templates": ("jobledger.projections", [ORG, 1, [1007, 1008]]),
    "diagrams_of_jobs": ("jobledger.projections", [ORG, 1, [7, 8]]),
    "stream_page": ("jobledger.ledger.store", [ORG, "job-7", 0, 100]),
    "first_headers": ("jobledger.ledger.store", [ORG, ["job-7", "job-8"]]),
    "read_chunk": ("jobledger.ledger.store", [ORG, UUID(int=7), 1]),
    "last_job_of_datastream": ("jobledger.projections", [ORG, "7", None]),
    "list_jobs": ("jobledger.projections", [ORG, 1, 20, *NONE]),
    "list_past_jobs": ("jobledger.projections", [ORG, 200, 1, 20, *(None,) * 18, NOW, "[]", "[]"]),
    "past_jobs_in_states": ("jobledger.projections", [ORG, 200, ["RUNNING", "SUCCESS"], 100, 5, 20]),
    "past_bases": ("jobledger.projections", [ORG, 200, [7, 8]]),
    "past_events": ("jobledger.projections", [ORG, ["job-7", "job-8"], [0, 0], [64, 64], 200]),
    "past_streams": ("jobledger.projections", [ORG, "hold-", "hold.", 200]),
    "past_residue": ("jobledger.projections", [ORG, 1, None]),
    "last_snapshots": ("jobledger.projections", [ORG, 1, [7, 8]]),
    "events_to_tell": ("jobledger.ledger.work", [ORG, ["job-7", "job-8"], [0, 0], 200]),
    "streams_to_tell": ("jobledger.ledger.work", [ORG, 10, 60, ["job.registered"], 64, "job-", ["job.purged"]]),
    "audit_events": ("jobledger.projections", [ORG, 1, 300, 20, None, "job-7", None, None, None]),
    "audit_denied": ("jobledger.projections", [ORG, 1, 300, 20, None]),
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
        await owner.execute(MANY + MANY_DIAGRAMS + MANY_PASTS)
        await owner.execute("ANALYZE")
    for job_id in range(1, FEW_JOBS + 1):
        outcome = await ledger.enqueue(registration(spec(), key=str(job_id)))
    assert ids(await outcome) == [FEW_JOBS]
    await CatchUp(ledger).wait_for(ORG, "job_history")

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
        await owner.execute("DELETE FROM job_past WHERE org = 'large'; DELETE FROM job_history WHERE org = 'large'")
        await owner.execute("DELETE FROM job_snapshot WHERE org = 'large'")
        await owner.execute("TRUNCATE diagram, diagram_version, template, attachment, attachment_chunk")

    for plan in plans.values():
        # But for what was counted of the parts of a time that the page is not in.
        assert sum(map(int, re.findall(r"Rows Removed by [^:]+: (\d+)", plan))) <= 2, plan
        assert max(float(it) for it in re.findall(r"actual rows=([\d.]+) loops=\d+", plan)) <= 100, plan
