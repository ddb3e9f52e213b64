"""Jobs that say nothing for too long, judged by the ledger's own watch on their newest state."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_commands import JudgeOverdueJob, SendHeartbeat
from jobledger.ledger.errors import JobIsFinalError, JobIsNotRunningError, NotAllowedError
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from tests.cluster import session
from tests.world import ALICE, CLIENT, ORG, register, register_running, start, succeed, types_of


async def judge(ledger: Ledger, job_id: int, **members: Any) -> Outcome:
    return await ledger.execute(JudgeOverdueJob(caller=ledger_itself(ORG), job_id=job_id, **members))


def heartbeat(job_id: int) -> SendHeartbeat:
    return SendHeartbeat(caller=ALICE, job_id=job_id)


async def test_a_job_that_says_nothing_goes_stale_and_comes_back_with_a_sign_of_life(ledger: Ledger) -> None:
    job_id = await register_running(ledger, heartbeat_timeout=0)

    stale = await judge(ledger, job_id)
    again = await judge(ledger, job_id)
    alive = await ledger.execute(heartbeat(job_id))

    assert [it.result["state"] for it in (stale, again, alive)] == ["STALE", "STALE", "RUNNING"]
    assert (await types_of(ledger, f"job-{job_id}"))[2:] == ["job.went_stale", "job.resumed"]


async def test_a_job_that_is_not_overdue_stays_as_it_is(ledger: Ledger) -> None:
    """Nor one without a timeout, nor a final one, nor one for whom the time did not run."""
    patient = await register_running(ledger, heartbeat_timeout=3_600)
    timeless = await register_running(ledger)
    ended = await register_running(ledger, heartbeat_timeout=0)
    await ledger.execute(succeed(ended))
    excused = await register_running(ledger, heartbeat_timeout=0)
    waiting = await register(ledger, start_timeout=3_600)

    outcomes = [await judge(ledger, it) for it in (patient, timeless, ended, waiting)]
    outcomes.append(await judge(ledger, excused, allowance=timedelta(hours=1)))

    assert [it.event_count for it in outcomes] == [0] * 5


async def test_a_job_that_does_not_start_in_time_is_discarded(ledger: Ledger) -> None:
    job_id = await register(ledger, start_timeout=0)

    await judge(ledger, job_id)

    job = await ledger.job(ORG, job_id)
    assert job.state is State.DISCARDED
    assert job.reason == "not started within 0 s of its scheduled start"
    with pytest.raises(JobIsFinalError):
        await ledger.execute(start(job_id))


async def test_a_heartbeat_that_is_no_event_counts(ledger: Ledger, database_url: str) -> None:
    """The deadline runs from the last one."""
    job_id = await register_running(ledger, heartbeat_timeout=0)
    await ledger.execute(heartbeat(job_id))
    async with session(database_url) as owner:
        await owner.execute("UPDATE heartbeat SET beat_at = clock_timestamp() + interval '1 hour'")
    assert (await judge(ledger, job_id)).event_count == 0

    async with session(database_url) as owner:
        beat_at = await owner.fetchval("UPDATE heartbeat SET beat_at = clock_timestamp() RETURNING beat_at")
    outcome = await judge(ledger, job_id)
    assert outcome.events[0].data == {"last_seen_at": beat_at}


@pytest.mark.usefixtures("under_lock")
async def test_the_last_heartbeat_of_a_batch_is_kept(ledger: Ledger, database_url: str) -> None:
    """It is no event. A judge in the same batch sees it."""
    job_id = await register_running(ledger, heartbeat_timeout=0)

    results = await asyncio.gather(
        *(ledger.execute(heartbeat(job_id)) for _ in range(3)),
        judge(ledger, job_id),
    )

    assert [it.event_count for it in results] == [0, 0, 0, 1]
    async with session(database_url) as owner:
        beats = [tuple(it) for it in await owner.fetch("SELECT job_id, beat_at FROM heartbeat")]
    assert beats == [(job_id, results[0].recorded_at)]
    assert results[3].events[0].data == {"last_seen_at": results[0].recorded_at}


async def test_a_heartbeat_of_a_job_that_does_not_run_is_refused(ledger: Ledger) -> None:
    """So its worker learns that it was stopped."""
    scheduled = await register(ledger)
    ended = await register_running(ledger)
    await ledger.execute(succeed(ended))

    with pytest.raises(JobIsNotRunningError):
        await ledger.execute(heartbeat(scheduled))
    with pytest.raises(JobIsFinalError) as refusal:
        await ledger.execute(heartbeat(ended))
    assert refusal.value.facts["state"] == "SUCCESS"


async def test_only_the_ledger_judges(ledger: Ledger) -> None:
    with pytest.raises(NotAllowedError):
        await ledger.execute(JudgeOverdueJob(caller=CLIENT, job_id=1))
