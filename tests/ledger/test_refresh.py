"""Maintenance refreshes what is read: rollups catch up, or everything is rebuilt and put in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_commands import CancelJob
from jobledger.ledger.domain.schedule_commands import CreateSchedule, RunMaintenance
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work import runner as runner_module
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.ledger.work.firing import Firing
from jobledger.ledger.work.maintenance import Maintenance
from jobledger.projections.rebuild import refresh as refresh_module
from jobledger.projections.rebuild import streams
from jobledger.projections.rebuild.refresh import Refresh
from jobledger.projections.rebuild.streams import Folded, FoldStreams, fold_here
from jobledger.projections.schedule_query import ScheduleQuery
from jobledger.scripts.folding import fold_in_processes
from tests.cluster import session
from tests.ledger.histories import History
from tests.ledger.test_rebuild import NAMES, live, nothing_is_left
from tests.ledger.test_watch import until
from tests.ledger.test_work import is_over, running
from tests.world import ALICE, ORG, register_running, succeed

SCHEDULE = UUID("0d5a51f2-5b0e-4d0c-8f5e-6a1f4f6f2a10")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds, beats and reports come at once."""
    monkeypatch.setattr(runner_module, "ROUND_S", 0.05)
    monkeypatch.setattr(runner_module, "BEAT_S", 0.05)
    # What histories claimed by hand is soon left.
    monkeypatch.setattr(runner_module, "LAPSE", timedelta(seconds=2))
    monkeypatch.setattr(refresh_module, "PROGRESS_S", 0.02)


@pytest.fixture
async def catch_up(ledger: Ledger) -> AsyncIterator[CatchUp]:
    """What counts, when it is asked."""
    catch_up = CatchUp(ledger)
    yield catch_up
    await catch_up.stop()


async def run(ledger: Ledger, *, full_build: bool = False) -> int:
    job_id: int = (await ledger.execute(RunMaintenance(caller=ALICE, full_build=full_build))).result["job_id"]
    return job_id


async def refreshed(ledger: Ledger, refresh: Refresh, job_id: int, state: State = State.SUCCESS) -> Job:
    async with running(ledger, Maintenance(refresh=refresh)):
        await is_over(ledger, job_id, state, within_s=60)
    return await ledger.job(ORG, job_id)


async def test_a_fire_of_maintenance_refreshes_the_rollups(
    ledger: Ledger, database_url: str, catch_up: CatchUp
) -> None:
    """All that happened before it is counted, and it tells up to where."""
    await ledger.execute(succeed(await register_running(ledger)))
    action = {"kind": "maintenance", "full_build": False}
    await ledger.execute(CreateSchedule(caller=ALICE, schedule_id=SCHEDULE, expression="0/1 * * * * ?", action=action))
    firing = Firing(ledger, ScheduleQuery(ledger.database).due)
    await firing.start()
    try:

        async def has_fired() -> bool:
            return bool((await ScheduleQuery(ledger.database).schedule(ORG, SCHEDULE))["fires"])

        await until(has_fired)
    finally:
        await firing.stop()
    job_id = (await ScheduleQuery(ledger.database).schedule(ORG, SCHEDULE))["last_job_id"]
    size = (await ledger.recorder.head(ORG)).size

    job = await refreshed(ledger, Refresh(catch_up, fold_in_processes), job_id)

    assert job.figures is not None
    assert job.figures["rollups_counted_to"] >= size
    async with session(database_url) as connection:
        assert await connection.fetchval("SELECT sum(jobs) FROM rollup WHERE type <> 'Aggregate Maintenance'") == 1
    assert {it["gen"] for it in (await live(database_url)).values()} == {1}


async def test_a_full_build_rebuilds_everything_and_puts_it_in_place(
    ledger: Ledger, database_url: str, catch_up: CatchUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While others append; it tells how far it is, never more than its part of the whole, and is rebuilt itself."""
    monkeypatch.setattr(streams, "EVENTS_A_RANGE", 40)
    history = History(ledger, 5)
    await history.go_on(120)
    job_id = await run(ledger, full_build=True)
    size = (await ledger.recorder.head(ORG)).size
    told: list[float] = []

    def folding(ledger: Ledger) -> FoldStreams:
        fold_all = fold_here(ledger.projections, ledger.catch_up_projections)

        async def fold_streams(filling: Any, ranges: Any, tell: Callable[[Folded], None]) -> None:
            half = len(ranges) // 2
            await fold_all(filling, ranges[:half], tell)

            async def is_told() -> bool:
                return (await ledger.job(ORG, job_id)).progress > 0

            await until(is_told)
            told.append((await ledger.job(ORG, job_id)).progress)
            await history.go_on(30)
            await fold_all(filling, ranges[half:], tell)

        return fold_streams

    job = await refreshed(ledger, Refresh(catch_up, folding), job_id)

    # One that took so long that its claim was lost is begun anew.
    generations = {it["gen"] for it in (await live(database_url)).values()}
    assert len(generations) == 1
    assert min(generations) >= 2
    assert job.figures is not None
    assert job.figures["projections_rebuilt"] == len(NAMES)
    assert job.figures["events_folded"] > size
    assert told
    assert all(0 < it <= 1 / 3 for it in told)
    await nothing_is_left(database_url)


async def test_a_full_build_that_is_cancelled_ends_at_its_next_step(
    ledger: Ledger, database_url: str, catch_up: CatchUp
) -> None:
    """Nothing is put in place, nothing goes on, and the next one deletes what it made."""
    await History(ledger, 6).go_on(60)
    job_id = await run(ledger, full_build=True)
    begun, ended = asyncio.Event(), asyncio.Event()

    def folding(ledger: Ledger) -> FoldStreams:
        fold_all = fold_here(ledger.projections, ledger.catch_up_projections)

        async def fold_streams(filling: Any, ranges: Any, tell: Callable[[Folded], None]) -> None:
            await fold_all(filling, ranges, tell)
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        return fold_streams

    async with running(ledger, Maintenance(refresh=Refresh(catch_up, folding))):
        async with asyncio.timeout(30):
            await begun.wait()
            await ledger.execute(CancelJob(caller=ALICE, job_id=job_id))
            await ended.wait()

    assert (await ledger.job(ORG, job_id)).state is State.CANCELLED
    assert {it["gen"] for it in (await live(database_url)).values()} == {1}
    await refreshed(ledger, Refresh(catch_up, fold_in_processes), await run(ledger, full_build=True))
    assert {it["gen"] for it in (await live(database_url)).values()} == {3}
    await nothing_is_left(database_url)


async def test_a_full_build_that_finds_other_rows_fails_and_says_so(
    database_url: str, ledger: Ledger, catch_up: CatchUp
) -> None:
    """The tables and how many, nothing of what they hold; what was live stays so."""
    await register_running(ledger)
    async with session(database_url) as connection:
        was = await connection.fetchval("SELECT q FROM job WHERE id = 1")
        await connection.execute("UPDATE job SET q = 'other' WHERE id = 1")

        job = await refreshed(
            ledger, Refresh(catch_up, fold_in_processes), await run(ledger, full_build=True), State.FAILED
        )

        await connection.execute("UPDATE job SET q = $1 WHERE id = 1", was)
    assert job.reason is not None
    assert job.reason.endswith("live rows are not what the events make: 1 of job.")
    assert {it["gen"] for it in (await live(database_url)).values()} == {1}
