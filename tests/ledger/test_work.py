"""Work that the ledger does itself: claimed by number, done in steps that carry it, taken over, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_commands import CancelJob, ReportProgress, SendHeartbeat
from jobledger.ledger.domain.job_decisions import CloseJob
from jobledger.ledger.domain.job_work import (
    MOST_CLAIMS,
    AdvanceWork,
    BeatWork,
    ClaimIsLostError,
    ClaimWork,
    CompleteWork,
    FailWork,
)
from jobledger.ledger.errors import CorruptLedgerError, JobIsFinalError, JobIsTheLedgersError, NotAllowedError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work import runner as runner_module
from jobledger.ledger.work.runner import Runner, Step, Task, Work, WorkFailedError
from jobledger.projections.work_query import WorkQuery
from tests.ledger.test_watch import until
from tests.world import ALICE, CLIENT, ORG, fail, register, serving, start, succeed, types_of

NEVER, AT_ONCE = timedelta(hours=1), timedelta(0)


async def order(ledger: Ledger, kind: str = "counting", **order: Any) -> int:
    """A job of the ledger's own."""
    return await register(ledger, work={"kind": kind, "order": order})


async def claim(ledger: Ledger, job_id: int, known: int = 0, lapse: timedelta = NEVER) -> dict[str, Any]:
    command = ClaimWork(caller=ALICE, job_id=job_id, claim=known, server="s", lapse=lapse)
    return (await ledger.execute(command)).result


def advance(job_id: int, number: int, **members: Any) -> AdvanceWork:
    return AdvanceWork(caller=ALICE, job_id=job_id, claim=number, **members)


async def size(ledger: Ledger) -> int:
    return (await ledger.recorder.head(ORG)).size


async def test_work_is_claimed_once_and_goes_through_its_steps(ledger: Ledger) -> None:
    job_id = await order(ledger, to=3)

    first = await claim(ledger, job_id)
    second = await claim(ledger, job_id)
    await ledger.execute(advance(job_id, 1, stage="count", progress=0.5, figures={"counted": 1}, memory={"at": 1}))
    await ledger.execute(advance(job_id, 1, stage="count", memory={"at": 1}))
    await ledger.execute(CompleteWork(caller=ALICE, job_id=job_id, claim=1))

    assert (first["claimed"], first["claim"], first["work"]["order"]) == (True, 1, {"to": 3})
    assert (second["claimed"], second["claim"]) == (False, 1)
    job = await ledger.job(ORG, job_id)
    assert (job.state, job.stage, job.figures, job.work and job.work["memory"]) == (
        State.SUCCESS,
        "count",
        {"counted": 1},
        {"at": 1},
    )
    types = ["job.claimed", "job.started", "job.stage_entered", "job.progressed", "job.work_noted", "job.succeeded"]
    assert (await types_of(ledger, f"job-{job_id}"))[1:] == types


async def test_whoever_lost_its_claim_is_refused_at_its_next_step(ledger: Ledger) -> None:
    """Whatever that is, and nothing is appended."""
    job_id = await order(ledger)
    await claim(ledger, job_id)

    taken_over = await claim(ledger, job_id, known=1, lapse=AT_ONCE)
    before = await size(ledger)
    for step in (
        advance(job_id, 1, stage="other", memory={"at": 9}),
        BeatWork(caller=ALICE, job_id=job_id, claim=1),
        CompleteWork(caller=ALICE, job_id=job_id, claim=1),
        FailWork(caller=ALICE, job_id=job_id, claim=1, error="x"),
        # Nor is a number taken that was never given.
        advance(job_id, 3, stage="other"),
    ):
        with pytest.raises(ClaimIsLostError):
            await ledger.execute(step)

    assert (taken_over["claimed"], taken_over["claim"]) == (True, 2)
    assert await size(ledger) == before
    await ledger.execute(CompleteWork(caller=ALICE, job_id=job_id, claim=2))


async def test_work_is_not_taken_over_while_there_are_signs_of_life(ledger: Ledger) -> None:
    """By a heartbeat, which is no event, as by any step."""
    lapse = timedelta(seconds=0.5)
    job_id = await order(ledger)
    await claim(ledger, job_id)
    before = await size(ledger)

    await asyncio.sleep(0.6)
    await ledger.execute(BeatWork(caller=ALICE, job_id=job_id, claim=1))
    beaten = await claim(ledger, job_id, known=1, lapse=lapse)
    await asyncio.sleep(0.6)
    left = await claim(ledger, job_id, known=1, lapse=lapse)

    assert (beaten["claimed"], left["claimed"]) == (False, True)
    assert await size(ledger) == before + 1


async def test_a_cancelled_job_is_refused_its_next_step(ledger: Ledger) -> None:
    job_id = await order(ledger)
    await claim(ledger, job_id)
    await ledger.execute(CancelJob(caller=CLIENT, job_id=job_id))

    with pytest.raises(JobIsFinalError):
        await ledger.execute(advance(job_id, 1, stage="count"))
    assert not (await claim(ledger, job_id, known=1, lapse=AT_ONCE))["claimed"]


async def test_nobody_else_does_what_the_ledger_does_itself(ledger: Ledger) -> None:
    """Nor claims it: that is a capability of the ledger's alone."""
    job_id = await order(ledger)
    for command in (
        start(job_id),
        SendHeartbeat(caller=ALICE, job_id=job_id),
        ReportProgress(caller=ALICE, job_id=job_id, progress=0.5),
        succeed(job_id),
        fail(job_id),
    ):
        with pytest.raises(JobIsTheLedgersError):
            await ledger.execute(command)
    with pytest.raises(NotAllowedError):
        await ledger.execute(ClaimWork(caller=CLIENT, job_id=job_id, claim=0, server="s", lapse=AT_ONCE))

    assert await types_of(ledger, f"job-{job_id}") == ["job.registered"]


async def test_a_job_that_was_not_ordered_is_claimed_by_nobody(ledger: Ledger) -> None:
    """Whatever its type says."""
    job_id = await register(ledger, type="Aggregate Maintenance")

    assert not (await claim(ledger, job_id))["claimed"]
    assert not await WorkQuery(ledger.database).open(["maintenance"], AT_ONCE, 9, ())


async def test_work_that_was_taken_over_again_and_again_fails(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobledger.ledger.domain.job_work.MOST_CLAIMS", 3)
    assert MOST_CLAIMS > 3
    job_id = await order(ledger)
    claimed = [(await claim(ledger, job_id, known, AT_ONCE))["claimed"] for known in range(4)]

    assert claimed == [True, True, True, False]
    assert (await ledger.job(ORG, job_id)).state is State.FAILED


async def test_of_each_kind_and_org_one_is_open_at_a_time(ledger: Ledger) -> None:
    """What was left comes first; what is closed before it began, or over, not at all."""
    jobs = [await order(ledger) for _ in range(4)]
    other = await order(ledger, kind="other")
    query = WorkQuery(ledger.database)

    async def opened(lapse: timedelta = NEVER) -> list[tuple[int, int]]:
        return [(it.job_id, it.claim) for it in await query.open(["counting", "other"], lapse, 9, ())]

    assert await opened() == [(jobs[0], 0), (other, 0)]
    await claim(ledger, jobs[1])
    assert await opened() == [(other, 0)]
    assert await opened(AT_ONCE) == [(jobs[1], 1), (other, 0)]
    await ledger.execute(CompleteWork(caller=ALICE, job_id=jobs[1], claim=1))
    await ledger.execute(CloseJob(caller=ALICE, job_id=jobs[0]))
    await ledger.execute(CancelJob(caller=ALICE, job_id=jobs[2]))
    assert await opened() == [(jobs[3], 0), (other, 0)]
    assert not await query.open(["counting"], NEVER, 9, [ORG])


class Counting(Work):
    """Counts to ``order["to"]`` and remembers how far it came; ``taken`` is what it counted in this server."""

    kind: ClassVar[str] = "counting"

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.may_go_on = asyncio.Semaphore(0)

    def steps(self, order: Mapping[str, Any]) -> Mapping[str, Step]:
        """See ``Work``."""
        return {"first": self.begin, "count": self.count}

    async def begin(self, task: Task) -> None:
        """Do nothing."""

    async def count(self, task: Task) -> None:
        """Count as often as it may go on."""
        for number in range(task.memory.get("at", 0) + 1, task.order["to"] + 1):
            await self.may_go_on.acquire()
            if task.order.get("fails"):
                raise WorkFailedError("It cannot be counted.")
            self.taken.append(number)
            await task.advance(progress=number / task.order["to"], memory={"at": number})


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth as long."""
    monkeypatch.setattr(runner_module, "ROUND_S", 0.1)
    monkeypatch.setattr(runner_module, "BEAT_S", 0.2)
    monkeypatch.setattr(runner_module, "LAPSE", timedelta(seconds=1.0))


@asynccontextmanager
async def running(ledger: Ledger, work: Work) -> AsyncIterator[Runner]:
    """A runner at work."""
    runner = Runner(ledger, WorkQuery(ledger.database).open, [work])
    await runner.start()
    try:
        yield runner
    finally:
        await runner.stop()


async def is_over(ledger: Ledger, job_id: int, state: State, *, within_s: float = 5.0) -> None:
    async def ended() -> bool:
        return (await ledger.job(ORG, job_id)).state is state

    await until(ended, within_s=within_s)


async def test_a_runner_that_is_woken_as_it_is_to_stop_stops(ledger: Ledger) -> None:
    """What is over wakes it, and whoever waited for that may stop it at once."""
    runner = Runner(ledger, WorkQuery(ledger.database).open, [Counting()])
    await runner.start()
    while not runner._wake._waiters:  # type: ignore[attr-defined]  # that it pauses is told by nothing else
        await asyncio.sleep(0.01)
    runner._wake.set()

    async with asyncio.timeout(5):
        await runner.stop()


@pytest.mark.usefixtures("quick")
async def test_a_runner_does_what_is_ordered_one_after_the_other(ledger: Ledger) -> None:
    work = Counting()
    async with running(ledger, work):
        jobs = [await order(ledger, to=2) for _ in range(3)]
        for _ in range(6):
            work.may_go_on.release()
        for job_id in jobs:
            await is_over(ledger, job_id, State.SUCCESS)

    assert work.taken == [1, 2] * 3
    assert (await ledger.job(ORG, jobs[0])).progress == 1


@pytest.mark.usefixtures("quick")
async def test_a_runner_that_stopped_is_taken_over_where_it_was(ledger: Ledger, database_url: str) -> None:
    first, second = Counting(), Counting()
    job_id = await order(ledger, to=4)
    async with running(ledger, first):
        first.may_go_on.release()
        first.may_go_on.release()

        async def is_half_done() -> bool:
            work = (await ledger.job(ORG, job_id)).work
            return bool(work and work.get("memory") == {"at": 2})

        await until(is_half_done)
    async with serving(database_url) as other, running(other, second):
        second.may_go_on.release()
        second.may_go_on.release()
        await is_over(ledger, job_id, State.SUCCESS)

    assert (first.taken, second.taken) == ([1, 2], [3, 4])
    assert (await types_of(ledger, f"job-{job_id}")).count("job.claimed") == 2


@pytest.mark.usefixtures("quick")
async def test_a_long_step_is_kept_by_heartbeats_and_ended_by_cancelling(ledger: Ledger, database_url: str) -> None:
    """Nobody takes it over meanwhile; cancelled, it is told by the next heartbeat."""
    first, second = Counting(), Counting()
    job_id = await order(ledger, to=1)
    async with running(ledger, first) as runner, serving(database_url) as other:

        async def is_claimed() -> bool:
            return "job.stage_entered" in await types_of(ledger, f"job-{job_id}")

        await until(is_claimed)
        async with running(other, second):
            await asyncio.sleep(1.5)
            assert (await types_of(ledger, f"job-{job_id}")).count("job.claimed") == 1
            await ledger.execute(CancelJob(caller=CLIENT, job_id=job_id))

            async def is_left() -> bool:
                return not runner._under_way

            await until(is_left)

    assert first.taken == second.taken == []
    assert (await ledger.job(ORG, job_id)).state is State.CANCELLED


@pytest.mark.usefixtures("quick")
async def test_work_that_cannot_be_done_fails_and_says_why(ledger: Ledger) -> None:
    work = Counting()
    async with running(ledger, work):
        said = await order(ledger, to=1, fails=True)
        work.may_go_on.release()
        await is_over(ledger, said, State.FAILED)
        unsaid = await order(ledger)
        await is_over(ledger, unsaid, State.FAILED)

    assert (await ledger.job(ORG, said)).reason == "It cannot be counted."
    assert (await ledger.job(ORG, unsaid)).reason == "The server failed: KeyError."


@pytest.mark.usefixtures("quick")
async def test_an_org_that_cannot_be_written_is_tried_once_a_round_and_keeps_no_other_from_its_turn(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.create_org("stopped")
    await register(ledger, caller=replace(ALICE, org="stopped"), work={"kind": "counting", "order": {"to": 1}})
    execute, tried = Ledger.execute, []

    async def stopped(self: Ledger, command: Any) -> Any:
        if command.caller.org == "stopped":
            tried.append(command)
            raise CorruptLedgerError("broken")
        return await execute(self, command)

    monkeypatch.setattr(Ledger, "execute", stopped)
    work = Counting()
    async with running(ledger, work):
        for _ in range(3):
            job_id = await order(ledger, to=1)
            work.may_go_on.release()
            await is_over(ledger, job_id, State.SUCCESS)
        await asyncio.sleep(0.5)

    assert work.taken == [1, 1, 1]
    assert 1 <= len(tried) < 50
