"""Many jobs in one command: each judged by itself, or all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobledger.ledger.domain import manage_jobs
from jobledger.ledger.domain.command import Caller, Command, Idempotency, Outcome
from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_commands import JobTransition, ReportProgress
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.domain.job_keeping import MOST_RETAINED_COPIES, ReleaseJob, RetainJob, release, retain
from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.domain.manage_jobs import ManageJobs
from jobledger.ledger.errors import (
    IdempotencyKeyReusedError,
    InvalidCommandError,
    JobsRefusedError,
    NotAllowedError,
    OutcomeUnknownError,
    TooManyRetentionsError,
    UnavailableError,
)
from jobledger.ledger.store.ledger import Ledger
from tests.world import ALICE, CLIENT, ORG, idempotency, register, register_running, registration, spec


def manage(
    kind: type[JobTransition],
    job_ids: Iterable[int],
    *,
    caller: Caller = ALICE,
    all_or_none: bool = False,
    **members: Any,
) -> ManageJobs:
    key = members.pop("key", None)
    return ManageJobs(
        caller=caller,
        idempotency=None if key is None else idempotency(key),
        commands=[kind(caller=caller, job_id=it, **members) for it in job_ids],
        all_or_none=all_or_none,
    )


async def test_each_job_is_judged_by_itself(ledger: Ledger) -> None:
    await register(ledger)
    await register_running(ledger)
    await register(ledger)

    outcome = await ledger.execute(manage(CloseJob, [3, 2, 77, 1, 3], key="once"))

    assert [it["id"] for it in outcome.result["done"]] == [3, 1]
    assert [(it["id"], it["code"]) for it in outcome.result["refused"]] == [(2, "job_is_running"), (77, "not_found")]
    assert outcome.event_count == 2
    again = await ledger.execute(manage(CloseJob, [3, 2, 77, 1, 3]))
    assert again.event_count == 0
    assert (await ledger.execute(manage(CloseJob, [3, 2, 77, 1, 3], key="once"))).is_repeated


async def test_all_or_none_names_every_refused_job(ledger: Ledger) -> None:
    await register(ledger)
    await register_running(ledger)

    with pytest.raises(JobsRefusedError) as refusal:
        await ledger.execute(manage(CloseJob, [1, 2, 77], all_or_none=True))

    assert list(refusal.value.refused) == [2, 77]
    assert [(it["id"], it["code"]) for it in refusal.value.facts["refused"]] == [
        (2, "job_is_running"),
        (77, "not_found"),
    ]
    assert not (await ledger.job(ORG, 1)).is_closed
    done = await ledger.execute(manage(CloseJob, [1], all_or_none=True))
    assert done.event_count == 1


async def test_without_the_capability_each_job_is_refused_or_all_are(ledger: Ledger) -> None:
    await register(ledger)

    outcome = await ledger.execute(manage(CloseJob, [1], caller=CLIENT))
    assert [it["code"] for it in outcome.result["refused"]] == ["not_allowed"]
    with pytest.raises(NotAllowedError):
        await ledger.execute(manage(CloseJob, [1], caller=CLIENT, all_or_none=True))
    assert (await ledger.job(ORG, 1)).version == 1


async def test_what_is_malformed_is_so_for_all_jobs(ledger: Ledger) -> None:
    await register(ledger)
    await register(ledger)

    for kind, members in (
        (RetainJob, {"until": datetime(2001, 1, 1, tzinfo=UTC)}),
        (ReleaseJob, {"reason": " "}),
        (DeleteJob, {"reason": " "}),
        (EraseJob, {"reason": "asked for", "scope": "some"}),
    ):
        for all_or_none in (False, True):
            with pytest.raises(InvalidCommandError):
                await ledger.execute(manage(kind, [77, 1, 2], all_or_none=all_or_none, **members))

    assert [(await ledger.job(ORG, job_id)).version for job_id in (1, 2)] == [1, 1]


async def test_too_many_or_no_jobs_are_refused(ledger: Ledger) -> None:
    for job_ids in (range(0), range(1, 10_002)):
        with pytest.raises(InvalidCommandError):
            await ledger.execute(manage(CloseJob, job_ids))


async def test_a_refusal_in_the_midst_leaves_nothing_of_its_job(ledger: Ledger) -> None:
    """What is discarded behind a job that may be deleted is discarded; behind one that may not, nothing is."""
    await register(ledger)
    await register(ledger, preceding_job_id=1)
    await register(ledger)
    await register(ledger, preceding_job_id=3)
    await ledger.execute(RetainJob(caller=ALICE, job_id=3))

    outcome = await ledger.execute(manage(DeleteJob, [1, 2, 3], reason="asked for"))

    assert [it["id"] for it in outcome.result["done"]] == [1, 2]
    assert [it["code"] for it in outcome.result["refused"]] == ["job_is_retained"]
    assert (await ledger.job(ORG, 4)).state == "SCHEDULED"


@pytest.mark.slow
async def test_ten_thousand_jobs_are_managed_at_once(ledger: Ledger) -> None:
    await ledger.execute(registration(*[spec()] * 10_000))
    job_ids = range(1, 10_001)

    retained = await ledger.execute(
        manage(RetainJob, job_ids, all_or_none=True, until=datetime(2999, 1, 1, tzinfo=UTC))
    )
    assert retained.event_count == 10_000
    refused = await ledger.execute(manage(DeleteJob, job_ids, reason="asked for"))
    assert (refused.event_count, len(refused.result["refused"])) == (0, 10_000)
    await ledger.execute(manage(ReleaseJob, job_ids, reason="over"))
    deleted = await ledger.execute(manage(DeleteJob, job_ids, reason="asked for"))
    assert deleted.event_count == 10_000


def test_so_many_copies_of_a_job_are_retained() -> None:
    """Those that are over do not count, nor does the job itself; one that is retained can be for longer."""
    now, late = datetime(2026, 11, 21, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
    soon = now + timedelta(days=1)
    job = Job.begin(Job.Registered, "job-1", now, [], type="copy", name="nightly", domain="Global")
    retain(job, now, soon, copy_id=1_000)
    for copy_id in range(1, MOST_RETAINED_COPIES):
        retain(job, now, late, copy_id=copy_id)
    with pytest.raises(TooManyRetentionsError):
        retain(job, now, late, copy_id=1_001)

    retain(job, soon, late, copy_id=1_001)
    retain(job, soon)
    retain(job, soon, copy_id=1)
    with pytest.raises(TooManyRetentionsError):
        retain(job, soon, copy_id=1_000)
    release(job, soon, copy_id=5, reason="over")
    retain(job, soon, copy_id=1_000)

    assert len(job.retentions) == MOST_RETAINED_COPIES + 1


async def test_the_later_time_wins(ledger: Ledger) -> None:
    await ledger.execute(PutCopy(caller=ALICE, copy_id=9, name="c", storage_policy_id=1, storage_policy_name="p"))
    await register(ledger, copies=[{"id": 9}])

    async def retain(until: datetime | None, copy_id: int | None = None) -> tuple[int, Any]:
        outcome = await ledger.execute(RetainJob(caller=ALICE, job_id=1, until=until, copy_id=copy_id))
        return outcome.event_count, outcome.result["until"]

    early, late = datetime(2098, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)
    assert await retain(late) == (1, "2099-01-01T00:00:00Z")
    assert await retain(early) == (0, "2099-01-01T00:00:00Z")
    assert await retain(early, 9) == (1, "2098-01-01T00:00:00Z")
    assert await retain(None) == (1, None)
    assert await retain(late) == (0, None)
    with pytest.raises(InvalidCommandError):
        await retain(datetime(2001, 1, 1, tzinfo=UTC))
    released = await ledger.execute(ReleaseJob(caller=ALICE, job_id=1, reason="over"))
    assert "until" not in released.result
    assert (await ledger.execute(ReleaseJob(caller=ALICE, job_id=1, reason="over"))).event_count == 0
    with pytest.raises(InvalidCommandError):
        await ledger.execute(ReleaseJob(caller=replace(ALICE), job_id=1, copy_id=9))


@pytest.fixture
def few_an_append(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two jobs make an append."""
    monkeypatch.setattr(manage_jobs, "JOBS_AN_APPEND", 2)


@pytest.mark.usefixtures("few_an_append")
async def test_others_append_between_the_parts_of_many_jobs(ledger: Ledger) -> None:
    ids = [await register(ledger) for _ in range(9)]
    running = await register_running(ledger)

    async def report() -> list[int]:
        command = ReportProgress(caller=ALICE, job_id=running, progress=0.5)
        return [(await ledger.execute(command)).positions[0] for _ in range(5)]

    outcome, reported = await asyncio.gather(ledger.execute(manage(CloseJob, [*ids, ids[0]])), report())

    assert [it["id"] for it in outcome.result["done"]] == ids
    closed = [event.originator_id for event in outcome.events]
    assert closed == [job_stream(it) for it in ids]
    assert outcome.event_count == 9
    assert outcome.first_position is not None
    last = (await ledger.recorder.head(ORG)).size - 1
    assert any(outcome.first_position < it < last for it in reported)


@pytest.mark.usefixtures("few_an_append")
async def test_all_or_none_of_many_jobs_is_one_append(ledger: Ledger) -> None:
    ids = [await register(ledger) for _ in range(5)]
    await register_running(ledger)

    with pytest.raises(JobsRefusedError):
        await ledger.execute(manage(CloseJob, [*ids, 6], all_or_none=True))

    assert [(await ledger.job(ORG, it)).is_closed for it in ids] == [False] * 5


@pytest.mark.usefixtures("few_an_append")
async def test_many_jobs_under_a_key_are_managed_once(ledger: Ledger) -> None:
    ids = [await register(ledger) for _ in range(5)]
    first = await ledger.execute(manage(CloseJob, ids, key="once"))
    size = (await ledger.recorder.head(ORG)).size

    again = await ledger.execute(manage(CloseJob, ids, key="once"))

    assert again.is_repeated
    assert again.result == first.result
    assert (again.first_position, again.event_count) == (first.first_position, 5)
    for other in (
        replace(manage(ReopenJob, ids), idempotency=Idempotency("once", b"o" * 32)),
        replace(manage(ReopenJob, ids[:1]), idempotency=Idempotency("once", b"o" * 32)),
    ):
        with pytest.raises(IdempotencyKeyReusedError):
            await ledger.execute(other)
    assert (await ledger.recorder.head(ORG)).size == size


@pytest.mark.usefixtures("few_an_append")
@pytest.mark.parametrize("key", [None, "once"])
async def test_what_broke_off_among_many_jobs_is_done_when_it_is_repeated(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    ids = [await register(ledger) for _ in range(9)]
    enqueue, asked = ledger.enqueue, 0

    async def break_off(command: Command) -> asyncio.Future[Outcome]:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise UnavailableError("The server is stopping.")
        return await enqueue(command)

    with monkeypatch.context() as broken:
        broken.setattr(ledger, "enqueue", break_off)
        with pytest.raises(OutcomeUnknownError, match="of 5 parts"):
            await ledger.execute(manage(CloseJob, ids, key=key))
    await ledger.execute(ReportProgress(caller=ALICE, job_id=await register_running(ledger), progress=0.5))
    assert [(await ledger.job(ORG, it)).is_closed for it in ids] == [True] * 6 + [False] * 3

    outcome = await ledger.execute(manage(CloseJob, ids, key=key))

    assert [it["id"] for it in outcome.result["done"]] == ids
    assert not outcome.is_repeated
    assert outcome.event_count == (3 if key is None else 9)
    assert [(await ledger.job(ORG, it)).version for it in ids] == [2] * 9


@pytest.mark.usefixtures("few_an_append")
async def test_what_is_malformed_changes_none_of_many_jobs(ledger: Ledger) -> None:
    ids = [await register(ledger) for _ in range(5)]
    size = (await ledger.recorder.head(ORG)).size

    with pytest.raises(InvalidCommandError):
        await ledger.execute(manage(DeleteJob, ids, reason=""))

    assert (await ledger.recorder.head(ORG)).size == size
