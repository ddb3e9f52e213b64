"""Registering jobs."""

from __future__ import annotations

from jobledger.ledger.store.ledger import Ledger

from tests.world import ids, registration, start, succeed, types_of


async def test_a_job_is_registered_started_and_ends(ledger: Ledger) -> None:
    outcome = await ledger.execute(registration())
    [job_id] = ids(outcome)
    await ledger.execute(start(job_id))
    await ledger.execute(succeed(job_id))
    assert await types_of(ledger, f"job-{job_id}") == ["job.registered", "job.started", "job.succeeded"]
