"""The rollups: each job that ended is counted once, whoever counts, in whatever pieces, whatever becomes of it later."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_commands import ReportProgress, StopJob
from jobledger.ledger.domain.job_registration import RegisterJobs
from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.errors import NotFoundError, ProjectionIsBehindError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.projection import Happened
from jobledger.ledger.work import catch_up
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.projections.durations import bounds_of, bucket_of, milliseconds, percentile_s
from jobledger.projections.rollups import RollupsProjection
from tests.cluster import session
from tests.ledger.histories import History, history_of
from tests.rollup_auditor import bucket
from tests.world import ALICE, ORG, cancel, fail, register, register_running, serving, spec, start, succeed

NUMBERS = count(1)


async def rows(url: str, org: str = ORG) -> list[tuple[Any, ...]]:
    """All that is counted."""
    async with session(url) as connection:
        return [
            tuple(it)
            for table in ("rollup", "rollup_duration")
            for it in await connection.fetch(f"SELECT * FROM {table} WHERE org = $1 ORDER BY 3, 4, 5, 6, 7", org)
        ]


@given(st.integers(0, 2**50), st.integers(0, 2**50))
def test_a_bucket_holds_what_lies_within_its_bounds(one: int, other: int) -> None:
    """Buckets are in the order of what they hold, without a gap, and as narrow as is said."""
    first, end = bounds_of(bucket_of(one))

    assert first <= one < end
    assert bucket_of(first) == bucket_of(end - 1) == bucket_of(end) - 1 == bucket(one)
    assert end - first == 1 or 64 * (end - first) <= first
    assert (one <= other) <= (bucket_of(one) <= bucket_of(other))


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200), st.integers(1, 100))
def test_a_percentile_is_as_near_as_is_said(durations_ms: list[int], percent: int) -> None:
    fraction = Fraction(percent, 100)
    buckets = Counter(map(bucket_of, durations_ms))
    ordered = sorted(durations_ms)
    rank = -(-fraction * len(ordered) // 1)
    true_s = ordered[int(rank) - 1] / 1000

    told_s = percentile_s(buckets, fraction)

    assert told_s is not None
    assert abs(told_s - true_s) <= true_s / 128 + 0.0005
    assert percentile_s({}, fraction) is None
    assert milliseconds(timedelta(seconds=-1)) == 0


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**7), st.integers(0, 2**62)), max_size=30), st.data())
def test_counted_in_pieces_or_in_one_go_it_is_the_same(told: list[tuple[int, int, int]], data: st.DataObject) -> None:
    """Whatever the pieces: nothing that is counted depends on what was before it."""
    projection = RollupsProjection()
    events = [Happened("job.succeeded", ended_job(*it)) for it in told]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(events)), max_size=5)))
    pieces = [events[a:b] for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]

    in_pieces: Counter[tuple[str, ...]] = sum((added(projection.counts(it)) for it in pieces), Counter())

    assert in_pieces == added(projection.counts(events))


def added(writes: Sequence[tuple[str, Sequence[Any]]]) -> Counter[tuple[str, ...]]:
    """What these statements would add to, number by number."""
    sums: Counter[tuple[str, ...]] = Counter()
    for name, (days, types, domains, states, *numbers) in writes:
        groups = zip(words(days), types, domains, words(states), strict=True)
        columns = [words(it) for it in numbers]
        for n, group in enumerate(groups):
            if name == "count_durations":
                sums[(*group, f"bucket {columns[0][n]}")] += int(columns[1][n])
            else:
                for number, column in enumerate(columns):
                    sums[(*group, f"number {number}")] += int(column[n])
    return sums


def words(literal: str) -> list[str]:
    """The elements of an array's literal."""
    return literal.strip("{}").split(",")


def ended_job(kind: int, took_ms: int, moved: int) -> Aggregate:
    """A job that ended well."""
    job = Job.__new__(Job)
    ended_at = datetime(2026, 11, 21, 12, tzinfo=UTC) + timedelta(days=kind % 2)
    job.__dict__.update(
        type=f"type {kind}",
        domain="Global",
        state=State.SUCCESS,
        ended_at=ended_at,
        figures={"bytes": moved},
        backup=None,
    )
    job.started_at = ended_at - timedelta(milliseconds=took_ms)
    return job


async def test_what_is_counted(ledger: Ledger, database_url: str) -> None:
    """By the day it ended on, its type, domain and final state; once, also one that was stopped by hand."""
    begun = datetime(2025, 3, 1, 23, 59, 59, tzinfo=UTC)
    past = spec(
        type="ETL", domain="Sales", state=State.SUCCESS, started_at=begun, ended_at=begun + timedelta(seconds=2)
    )
    await ledger.execute(RegisterJobs(caller=ALICE, jobs=[past, past]))
    stopped = await register(ledger)
    await ledger.execute(start(stopped, stage="fetch"))
    await ledger.execute(StopJob(caller=ALICE, job_id=stopped))
    moved = await register_running(ledger)
    await ledger.execute(ReportProgress(caller=ALICE, job_id=moved, figures={"bytes": 12}))
    await ledger.execute(fail(moved))
    await ledger.execute(cancel(await register(ledger)))
    await register_running(ledger)

    await CatchUp(ledger).wait_for(ORG, "rollups")

    counted = {it[4:6] + it[3:4]: it[6:] for it in await rows(database_url) if len(it) == 10}
    told = {key: (jobs, timed, size) for key, (jobs, timed, _ms, size) in counted.items()}
    [etl] = [it for it in await rows(database_url) if len(it) == 10 and it[3] == "ETL"]
    assert (etl[2].isoformat(), etl[6:]) == ("2025-03-02", (2, 2, 4000, 0))
    assert {(domain, state): numbers for (domain, state, kind), numbers in told.items() if kind != "ETL"} == {
        ("Global", "DISCARDED"): (1, 1, 0),
        ("Global", "FAILED"): (1, 1, 12),
        ("Global", "CANCELLED"): (1, 0, 0),
    }


@pytest.mark.parametrize("remove", [DeleteJob, EraseJob])
async def test_what_was_done_stays_counted_when_the_job_is_gone(
    ledger: Ledger, database_url: str, remove: type[Any]
) -> None:
    """Whether it went before it was counted or after: the same rows."""
    members = {"scope": "all"} if remove is EraseJob else {}
    follow = CatchUp(ledger)
    both = []
    for is_counted_first in (True, False):
        org = f"org-{is_counted_first:d}"
        await ledger.create_org(org)
        history = history_of(ledger, org, 1)
        begun = datetime(2025, 3, 1, tzinfo=UTC)
        past = spec(state=State.FAILED, started_at=begun, ended_at=begun, backup={"sizeOfApplication": 2**40})
        await ledger.execute(RegisterJobs(caller=history.caller, jobs=[past]))
        if is_counted_first:
            await follow.wait_for(org, "rollups")
        await ledger.execute(remove(caller=history.caller, job_id=1, reason="asked for", **members))
        await follow.wait_for(org, "rollups")
        both.append([it[2:] for it in await rows(database_url, org)])

    assert both[0] == both[1]
    assert both[0][0][-1] == 2**40


@pytest.mark.parametrize("seed", range(2))
async def test_servers_that_count_at_once_count_each_event_once(
    ledger: Ledger, database_url: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However small their pieces. The auditor counts for itself."""
    monkeypatch.setattr(catch_up, "EVENTS_A_PASS", 3)
    monkeypatch.setattr(catch_up, "GATHERING_S", 0.0)
    async with serving(database_url) as other:
        followers = [CatchUp(ledger), CatchUp(other)]
        for it in followers:
            await it.start()
        await asyncio.gather(*(History(server, seed + n).go_on(60) for n, server in enumerate((ledger, other))))
        await asyncio.gather(*(it.wait_for(ORG, "rollups", 20) for it in followers))
        for it in followers:
            await it.stop()
    async with session(database_url) as connection:
        of_rollups = "SELECT position FROM tracking WHERE org = $1 AND projection = 'rollups'"
        position = await connection.fetchval(of_rollups, ORG)
    assert position == (await ledger.recorder.head(ORG)).size


async def test_what_is_counted_is_moved_in_one_transaction(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the server dies before the position is moved, nothing was counted."""
    await ledger.execute(succeed(await register_running(ledger)))
    real = RollupsProjection.write_statements

    with monkeypatch.context() as patch:
        patch.setattr(RollupsProjection, "write_statements", {**real, "count_durations": "SELECT 1 / 0, $1, $2"})
        catch_up = CatchUp(ledger)
        with pytest.raises(ProjectionIsBehindError):
            await catch_up.wait_for(ORG, "rollups", 0.3)
        # It goes on trying for others who may wait.
        await catch_up.stop()
    assert await rows(database_url) == []

    await CatchUp(ledger).wait_for(ORG, "rollups")
    assert [it[6] for it in await rows(database_url) if len(it) == 10] == [1]


async def test_an_append_wakes_who_follows(ledger: Ledger, database_url: str) -> None:
    """Nobody need ask for it; what another server left behind is found too."""
    await ledger.execute(succeed(await register_running(ledger)))
    follow = CatchUp(ledger)
    await follow.start()
    try:
        async with asyncio.timeout(10):
            while not await rows(database_url):
                await asyncio.sleep(0.02)
            await ledger.execute(fail(await register_running(ledger)))
            while len([it for it in await rows(database_url) if len(it) == 10]) < 2:
                await asyncio.sleep(0.02)
    finally:
        await follow.stop()


async def test_an_org_that_is_not_there_is_not_waited_for(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError):
        await CatchUp(ledger).wait_for("nowhere", "rollups")


async def test_an_org_of_an_earlier_release_is_followed_from_its_beginning(ledger: Ledger, database_url: str) -> None:
    """Its head knows nothing of the projection."""
    await ledger.execute(succeed(await register_running(ledger)))
    async with session(database_url) as connection:
        await connection.execute("UPDATE ledger_head SET projections = projections - 'rollups'")

    await CatchUp(ledger).wait_for(ORG, "rollups")
    await ledger.execute(succeed(await register_running(ledger)))

    assert [it[6] for it in await rows(database_url) if len(it) == 10] == [1]
