"""The watch: overdue jobs are judged by whichever server is alive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from time import monotonic

import pytest

from jobledger.ledger.domain.command import Command, Outcome
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_commands import JudgeOverdueJob, ReportProgress, SendHeartbeat
from jobledger.ledger.errors import CorruptLedgerError, NotAllowedError
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.work import watch as watch_module
from jobledger.ledger.work.watch import Watch
from jobledger.projections.job_query import JobQuery
from tests.cluster import session
from tests.world import (
    ALICE,
    CLIENT,
    ORG,
    ids,
    register,
    register_running,
    registration,
    serving,
    spec,
    start,
    types_of,
)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds and leases a tenth as long."""
    monkeypatch.setattr(watch_module, "ROUND_S", 0.1)
    monkeypatch.setattr(watch_module, "LEASE_LASTS_S", 0.5)


def watch_over(ledger: Ledger) -> Watch:
    """A watch as a server has it."""
    return Watch(ledger, JobQuery(ledger.database).overdue)


@asynccontextmanager
async def watching(ledger: Ledger) -> AsyncIterator[Watch]:
    """A watch at work."""
    watch = watch_over(ledger)
    await watch.start()
    try:
        yield watch
    finally:
        await watch.stop()


async def kill(watch: Watch) -> None:
    """End it as the death of its server would: the lease is not released."""
    assert watch._task is not None
    watch._task.cancel()
    await asyncio.wait([watch._task])
    watch._task = None


async def until(claim: Callable[[], Awaitable[bool]], *, within_s: float = 5.0) -> None:
    """Wait for *claim* to be true. AssertionError if it is not in time."""
    give_up_at = monotonic() + within_s
    while not await claim():
        assert monotonic() < give_up_at, "it did not become so"
        await asyncio.sleep(0.02)


async def comes_to(ledger: Ledger, job_id: int, state: State, *, org: str = ORG, within_s: float = 5.0) -> Job:
    """The job, once it is in *state*."""

    async def is_there() -> bool:
        return (await ledger.job(org, job_id)).state is state

    await until(is_there, within_s=within_s)
    return await ledger.job(org, job_id)


async def register_overdue(ledger: Ledger, url: str, *, org: str = ORG, **members: object) -> int:
    """A job that should have started an hour ago."""
    async with session(url) as owner:
        scheduled_at = await owner.fetchval("SELECT clock_timestamp() - interval '1 hour'")
    late = spec(**{"scheduled_at": scheduled_at, "start_timeout": 60, **members})
    [job_id] = ids(await ledger.execute(registration(late, caller=replace(ALICE, org=org))))
    return job_id


@pytest.mark.usefixtures("quick")
async def test_a_job_that_gives_no_sign_of_life_goes_stale_and_comes_back(ledger: Ledger) -> None:
    beating, reporting = [await register_running(ledger, heartbeat_timeout=1) for _ in range(2)]
    forgiven = await register_running(ledger)

    async with watching(ledger):
        await comes_to(ledger, beating, State.STALE)
        stale = await comes_to(ledger, reporting, State.STALE)
        await ledger.execute(SendHeartbeat(caller=ALICE, job_id=beating))
        await ledger.execute(ReportProgress(caller=ALICE, job_id=reporting, progress=0.5))
        resumed = [(await ledger.job(ORG, it)).state for it in (beating, reporting)]
        await comes_to(ledger, beating, State.STALE)

    assert resumed == [State.RUNNING, State.RUNNING]
    assert stale.last_report_at == stale.started_at
    assert (await ledger.job(ORG, forgiven)).state is State.RUNNING
    assert (await types_of(ledger, f"job-{beating}"))[:5] == [
        "job.registered", "job.started", "job.went_stale", "job.resumed", "job.went_stale",
    ]  # fmt: skip


@pytest.mark.usefixtures("quick")
async def test_heartbeats_keep_a_job_running_and_are_no_events(ledger: Ledger) -> None:
    job_id = await register_running(ledger, heartbeat_timeout=1)

    async with watching(ledger):
        for _ in range(8):
            await ledger.execute(SendHeartbeat(caller=ALICE, job_id=job_id))
            await asyncio.sleep(0.2)
        job = await ledger.job(ORG, job_id)

    assert (job.state, job.version) == (State.RUNNING, 2)


@pytest.mark.usefixtures("quick")
async def test_a_job_that_was_not_started_in_time_is_discarded_with_its_follow_ups(
    ledger: Ledger, database_url: str
) -> None:
    late = await register_overdue(ledger, database_url)
    behind = await register(ledger, preceding_job_id=late)
    last = await register(ledger, preceding_job_id=behind)
    patient = await register_overdue(ledger, database_url, start_timeout=7200)
    started = await register_overdue(ledger, database_url)
    await ledger.execute(start(started))

    async with watching(ledger):
        await comes_to(ledger, late, State.DISCARDED)

    assert [(await ledger.job(ORG, it)).state for it in (late, behind, last, patient, started)] == [
        State.DISCARDED, State.DISCARDED, State.DISCARDED, State.SCHEDULED, State.RUNNING,
    ]  # fmt: skip
    assert (await ledger.job(ORG, late)).reason == "not started within 60 s of its scheduled start"
    assert (await ledger.job(ORG, last)).reason == f"preceding job {behind} was discarded"
    events = [it.envelope() async for it in ledger.recorder.scan(ORG)]
    discards = [it for it in events if it["type"] == "job.discarded"]
    assert [it["stream"] for it in discards] == [f"job-{it}" for it in (late, behind, last)]
    assert {it["by"] for it in discards} == {"ledger"}
    assert len({it["recorded_at"] for it in discards}) == 1


async def test_a_fetch_has_a_start_timeout_of_its_own(ledger: Ledger) -> None:
    """Two days, where none is given; other jobs may wait for ever."""
    fetch = await register(ledger, datastream={"id": 1})
    given = await register(ledger, datastream={"id": 1}, start_timeout=5)
    other = await register(ledger)

    assert [(await ledger.job(ORG, it)).start_timeout for it in (fetch, given, other)] == [172_800, 5, None]


async def test_a_heartbeat_on_its_way_saves_a_job_that_was_found_overdue(ledger: Ledger) -> None:
    """It is judged on the newest state, not on what was found."""
    job_id = await register_running(ledger, heartbeat_timeout=1)
    jobs = JobQuery(ledger.database)

    async def is_overdue() -> bool:
        return [it.job_id for it in await jobs.overdue(10)] == [job_id]

    await until(is_overdue)
    await ledger.execute(SendHeartbeat(caller=ALICE, job_id=job_id))
    judged = await ledger.execute(JudgeOverdueJob(caller=ledger_itself(ORG), job_id=job_id))

    assert judged.event_count == 0
    assert (await ledger.job(ORG, job_id)).state is State.RUNNING
    assert not await is_overdue()
    await until(is_overdue)
    judged = await ledger.execute(JudgeOverdueJob(caller=ledger_itself(ORG), job_id=job_id))
    assert (await ledger.job(ORG, job_id)).state is State.STALE
    assert [it.type_name for it in judged.events] == ["job.went_stale"]


async def test_a_start_on_its_way_saves_a_job_that_was_found_overdue(ledger: Ledger, database_url: str) -> None:
    job_id = await register_overdue(ledger, database_url)
    assert [it.job_id for it in await JobQuery(ledger.database).overdue(10)] == [job_id]

    await ledger.execute(start(job_id))
    judged = await ledger.execute(JudgeOverdueJob(caller=ledger_itself(ORG), job_id=job_id))

    assert judged.event_count == 0


async def test_nobody_else_may_judge(ledger: Ledger) -> None:
    job_id = await register_running(ledger, heartbeat_timeout=1)

    with pytest.raises(NotAllowedError):
        await ledger.execute(JudgeOverdueJob(caller=CLIENT, job_id=job_id))


@pytest.mark.usefixtures("quick")
async def test_time_without_any_server_counts_for_nobodys_deadline(ledger: Ledger, database_url: str) -> None:
    """A job scheduled an hour ago with ten minutes to start, in an installation that was down for 55 minutes of them."""
    async with session(database_url) as owner:
        await owner.execute(
            "INSERT INTO lease VALUES ('watch', gen_random_uuid(), clock_timestamp() - interval '55 minutes',"
            " clock_timestamp() - interval '54 minutes')"
        )
    saved = await register_overdue(ledger, database_url, start_timeout=600)
    lost = await register_overdue(ledger, database_url, start_timeout=60)

    async with watching(ledger):
        await comes_to(ledger, lost, State.DISCARDED)
        assert (await ledger.job(ORG, saved)).state is State.SCHEDULED
        async with session(database_url) as owner:
            [outage] = await owner.fetch("DELETE FROM outage RETURNING ended_at - began_at AS lasted")
        # It was the outage alone that held it.
        await comes_to(ledger, saved, State.DISCARDED)

    assert timedelta(minutes=55) <= outage["lasted"] < timedelta(minutes=56)


@pytest.mark.usefixtures("quick")
async def test_an_outage_before_a_deadline_began_spares_nobody(ledger: Ledger, database_url: str) -> None:
    async with session(database_url) as owner:
        await owner.execute(
            "INSERT INTO outage VALUES (clock_timestamp() - interval '9 hours', clock_timestamp() - interval '2 hours')"
        )
    job_id = await register_overdue(ledger, database_url)

    async with watching(ledger):
        await comes_to(ledger, job_id, State.DISCARDED)


@pytest.mark.usefixtures("quick")
async def test_a_watch_that_goes_on_notes_no_outage(ledger: Ledger, database_url: str) -> None:
    async with watching(ledger):
        await asyncio.sleep(0.5)
    async with watching(ledger):
        await asyncio.sleep(0.3)

    async with session(database_url) as owner:
        assert await owner.fetchval("SELECT count(*) FROM outage") == 0


async def holder(url: str) -> object:
    """Who has the watch."""
    async with session(url) as owner:
        return await owner.fetchval("SELECT holder FROM lease WHERE name = 'watch' AND expires_at > clock_timestamp()")


@pytest.mark.usefixtures("quick")
async def test_of_two_watches_one_works(ledger: Ledger, database_url: str) -> None:
    async with serving(database_url) as other, watching(ledger) as first, watching(other) as second:
        await asyncio.sleep(0.3)
        holders = {await holder(database_url) for _ in range(20) if await asyncio.sleep(0.02, result=True)}

        assert len(holders) == 1
        assert holders <= {first._lease.holder, second._lease.holder}


async def test_a_watch_that_stops_hands_over_at_once(ledger: Ledger, database_url: str) -> None:
    """Within a round, at its real length."""
    async with serving(database_url) as other, watching(ledger) as first:

        async def is_held_by_first() -> bool:
            return await holder(database_url) == first._lease.holder

        await until(is_held_by_first)
        async with watching(other) as second:

            async def is_held_by_second() -> bool:
                return await holder(database_url) == second._lease.holder

            await first.stop()
            await until(is_held_by_second, within_s=2 * watch_module.ROUND_S + 0.5)


@pytest.mark.slow
@pytest.mark.alone
async def test_a_dead_servers_watch_is_taken_over_within_ten_seconds(ledger: Ledger, database_url: str) -> None:
    async with serving(database_url) as other:
        first, second = watch_over(ledger), watch_over(other)
        await first.start()

        async def is_held_by_first() -> bool:
            return await holder(database_url) == first._lease.holder

        await until(is_held_by_first)
        await second.start()
        await asyncio.sleep(1.5)
        assert await is_held_by_first()
        await kill(first)
        job_id = await register_overdue(ledger, database_url)
        await comes_to(ledger, job_id, State.DISCARDED, within_s=10)
        assert await holder(database_url) == second._lease.holder
        await second.stop()


@pytest.mark.usefixtures("quick")
async def test_a_lost_lease_is_not_taken_back(ledger: Ledger, database_url: str) -> None:
    """A server that was paused finds that another watches now, and leaves it to that one."""
    paused = watch_over(ledger)
    assert await paused._hold()
    async with session(database_url) as owner:
        await owner.execute("UPDATE lease SET expires_at = clock_timestamp()")
    async with serving(database_url) as other, watching(other) as second:

        async def is_taken() -> bool:
            return await holder(database_url) == second._lease.holder

        await until(is_taken)
        assert not await paused._hold()
        await paused.stop()
        assert await is_taken()


@pytest.mark.usefixtures("quick")
async def test_an_org_that_cannot_be_written_holds_up_no_other(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it has more overdue jobs, and longer so, than one round takes."""
    monkeypatch.setattr(watch_module, "MOST_OVERDUE", 3)
    await ledger.create_org("broken")
    broken = [await register_overdue(ledger, database_url, org="broken", start_timeout=1) for _ in range(5)]
    sound = [await register_overdue(ledger, database_url) for _ in range(5)]
    execute = ledger.execute

    async def refuse(command: Command) -> Outcome:
        if command.caller.org == "broken":
            raise CorruptLedgerError("Events of a type that is not known.")
        return await execute(command)

    monkeypatch.setattr(ledger, "execute", refuse)
    async with watching(ledger):
        for job_id in sound:
            await comes_to(ledger, job_id, State.DISCARDED)
        assert (await ledger.job("broken", broken[0])).state is State.SCHEDULED
        # Once an operator has acted its turn comes again.
        monkeypatch.setattr(ledger, "execute", execute)
        for job_id in broken:
            await comes_to(ledger, job_id, State.DISCARDED, org="broken")


@pytest.mark.usefixtures("quick")
async def test_a_round_that_fails_is_not_the_last(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = await register_overdue(ledger, database_url)
    failures = iter([OSError("the network is gone"), RuntimeError("unforeseen")])
    find = JobQuery(ledger.database).overdue

    async def fail_at_first(limit: int, passed_over: object) -> object:
        for error in failures:
            raise error
        return await find(limit)

    watch = Watch(ledger, fail_at_first)  # type: ignore[arg-type]
    await watch.start()
    await comes_to(ledger, job_id, State.DISCARDED)
    await watch.stop()

    assert [it.getMessage() for it in caplog.records if "missed a round" in it.getMessage()] == [
        "The watch missed a round: OSError: the network is gone",
        "The watch missed a round: RuntimeError: unforeseen",
    ]


@pytest.mark.usefixtures("quick")
async def test_more_overdue_jobs_than_a_round_takes_are_taken_in_turn(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_module, "MOST_OVERDUE", 7)
    jobs = [await register_overdue(ledger, database_url) for _ in range(30)]

    async with watching(ledger):
        for job_id in jobs:
            await comes_to(ledger, job_id, State.DISCARDED)


@pytest.mark.usefixtures("quick")
async def test_answers_are_forgotten_after_a_day(ledger: Ledger, database_url: str) -> None:
    for number in range(5):
        await ledger.execute(registration(key=str(number)))
    async with session(database_url) as owner:
        await owner.execute("UPDATE idempotency SET recorded_at = recorded_at - interval '25 hours' WHERE key < '3'")

    async def are_forgotten() -> bool:
        async with session(database_url) as owner:
            kept: int = await owner.fetchval("SELECT count(*) FROM idempotency")
        return kept == 2

    async with watching(ledger):
        await until(are_forgotten)
