"""Maintenance: what expired is pruned, and the newest range is verified."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_commands import SendHeartbeat
from jobledger.ledger.domain.schedule_commands import RunMaintenance
from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.verification import verify_range
from jobledger.ledger.work import maintenance as maintenance_module
from jobledger.ledger.work.maintenance import Maintenance
from jobledger.ledger.work.runner import Task
from jobledger.projections.pruning import forget_heartbeats
from tests.cluster import session
from tests.ledger.test_work import is_over, running
from tests.world import ALICE, ORG, register_running, registration, serving, spec, succeed


async def maintained(ledger: Ledger, work: Maintenance, *, full_build: bool = False) -> Job:
    """The job of a maintenance that is over."""
    command = RunMaintenance(caller=ALICE, full_build=full_build)
    job_id: int = (await ledger.execute(command)).result["job_id"]
    async with running(ledger, work):
        await is_over(ledger, job_id, State.SUCCESS)
    return await ledger.job(ORG, job_id)


async def test_what_expired_in_the_org_is_pruned_and_nothing_else(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts, of which what was counted is remembered."""
    monkeypatch.setattr(maintenance_module, "MOST_FORGOTTEN", 2)
    for key in range(5):
        await ledger.execute(registration(spec(), key=f"old-{key}"))
    running_job, ended = [await register_running(ledger) for _ in range(2)]
    for job_id in (running_job, ended):
        await ledger.execute(SendHeartbeat(caller=ALICE, job_id=job_id))
    await ledger.execute(succeed(ended))
    async with session(database_url) as owner:
        await owner.execute("UPDATE idempotency SET recorded_at = recorded_at - interval '25 hours'")
        await ledger.execute(registration(spec(), key="new"))

        job = await maintained(ledger, Maintenance({"heartbeats_pruned": forget_heartbeats}))

        assert [it["key"] for it in await owner.fetch("SELECT key FROM idempotency")] == ["new"]
        beats = await owner.fetch("SELECT job_id FROM heartbeat WHERE job_id = ANY($1)", [running_job, ended])
        assert [it["job_id"] for it in beats] == [running_job]
    assert job.figures is not None
    assert (job.figures["idempotency_keys_pruned"], job.figures["heartbeats_pruned"]) == (5, 1)
    assert job.figures["events_verified"] > 10


async def test_what_brings_reading_up_to_date_comes_first_and_knows_the_order(ledger: Ledger) -> None:
    orders: list[Mapping[str, Any]] = []

    async def refresh(task: Task) -> None:
        assert task.stage == "refresh"
        orders.append(task.order)

    job = await maintained(ledger, Maintenance(refresh=refresh), full_build=True)

    assert (orders, job.stage) == ([{"full_build": True}], "prune")


TAMPERED = {
    "content": ("UPDATE content SET body = body || ' '::bytea WHERE position = 1", "The content of position 1 of acme"),
    "leaf": ("UPDATE event SET header = header || ' '::bytea WHERE position = 2", "Position 2 of acme is not the one"),
    "place": (
        "UPDATE event SET header = replace(encode(header, 'escape'), ':1,', ':7,')::bytea WHERE position = 1",
        "Position 1",
    ),
    "missing": ("DELETE FROM event WHERE position = 1", "Position 1 of acme is not where it belongs"),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_a_range_that_was_altered_is_noticed(own_url: str, what: str) -> None:
    """And the maintenance that finds it fails, saying where."""
    sql, told = TAMPERED[what]
    async with serving(own_url) as ledger:
        await ledger.create_org(ORG)
        await register_running(ledger)
        size = (await ledger.recorder.head(ORG)).size
        await verify_range(ledger.recorder, ORG, 0, size)
        async with session(own_url) as owner:
            await owner.execute("SET session_replication_role = replica")
            await owner.execute(sql)

        with pytest.raises(CorruptLedgerError, match=told):
            await verify_range(ledger.recorder, ORG, 0, size)


async def test_a_whole_range_is_verified(ledger: Ledger) -> None:
    await register_running(ledger)
    size = (await ledger.recorder.head(ORG)).size

    assert await verify_range(ledger.recorder, ORG, 0, size) == size
    assert await verify_range(ledger.recorder, ORG, size, size) == 0
    with pytest.raises(CorruptLedgerError, match=f"Position {size} of acme is missing"):
        await verify_range(ledger.recorder, ORG, 0, size + 1)
