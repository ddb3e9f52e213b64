"""Batches decided ahead of the head's lock: on the newest state all the same, or decided again (invariants 2, 3, 9)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from jobledger.ledger.domain.command import Caller
from jobledger.ledger.errors import JobIsFinalError, NotFoundError, OutcomeUnknownError, UnavailableError
from jobledger.ledger.store import pipeline as pipeline_module
from jobledger.ledger.store.ledger import Ledger
from tests.cluster import session
from tests.world import (
    ALICE,
    ORG,
    fail,
    held_head,
    idempotency,
    ids,
    register,
    register_running,
    registration,
    serving,
    start,
    succeed,
)


@pytest.fixture
def _undeterred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server's append is met again and again, not avoided for a second."""
    monkeypatch.setattr(pipeline_module, "PAUSE_AFTER_OTHERS_S", 0.0)


async def test_commands_are_decided_while_a_batch_is_being_written(ledger: Ledger, database_url: str) -> None:
    """They are answered all the same, in the order of their calls, when it has been."""
    await register(ledger)
    queue = ledger._sequencer(ORG)._queue
    async with held_head(database_url):
        waiting = [asyncio.ensure_future(ledger.execute(registration())) for _ in range(100)]
        async with asyncio.timeout(5):
            await asyncio.sleep(0)
            while queue:
                await asyncio.sleep(0)
        assert not any(it.done() for it in waiting)

    assert [ids(it)[0] for it in await asyncio.gather(*waiting)] == list(range(2, 102))


@pytest.mark.usefixtures("_undeterred")
async def test_what_others_append_after_deciding_is_decided_on(ledger: Ledger, database_url: str) -> None:
    """A batch that was decided on an older head does not count, nor the one behind it."""
    job_id = await register_running(ledger)
    async with serving(database_url) as other:
        for n in range(10):
            await other.execute(registration())
            results = await asyncio.gather(
                *(ledger.execute(registration()) for _ in range(40)),
                *(other.execute(registration()) for _ in range(3)),
            )
            assert len({ids(it)[0] for it in results}) == 43, n
        await other.execute(succeed(job_id))
        with pytest.raises(JobIsFinalError):
            await ledger.execute(fail(job_id))


@pytest.mark.usefixtures("_undeterred")
async def test_a_refusal_too_is_decided_on_the_newest_state(ledger: Ledger, database_url: str) -> None:
    """A job that another server registered a moment ago is there."""
    await register(ledger)
    async with serving(database_url) as other:
        for _ in range(10):
            job_id = await register(other)
            assert (await ledger.execute(start(job_id))).event_count == 1
    with pytest.raises(NotFoundError):
        await ledger.execute(start(job_id + 1))


async def test_a_repeat_of_what_is_being_written_gets_its_answer(ledger: Ledger, database_url: str) -> None:
    await register(ledger)
    async with held_head(database_url):
        waiting = [asyncio.ensure_future(ledger.execute(registration(key="k"))) for _ in range(40)]
        await asyncio.sleep(0.01)

    outcomes = await asyncio.gather(*waiting)

    assert [it.is_repeated for it in outcomes] == [False] + [True] * 39
    assert {ids(it)[0] for it in outcomes} == {2}


@pytest.mark.parametrize("wrong", [timedelta(hours=1), timedelta(hours=-1), timedelta(seconds=-6)])
async def test_recorded_at_is_the_databases_clock_whatever_this_process_takes_it_for(
    ledger: Ledger, database_url: str, wrong: timedelta
) -> None:
    await register(ledger)
    told = ledger._clock.now()
    assert told is not None
    ledger._clock.hear(told + wrong)

    outcome = await ledger.execute(registration())

    async with session(database_url) as connection:
        now = await connection.fetchval("SELECT clock_timestamp()")
    assert timedelta(0) <= now - outcome.recorded_at < timedelta(seconds=2)


async def test_recorded_at_stays_where_the_databases_clock_went_back(ledger: Ledger, database_url: str) -> None:
    """Until the clock has caught up every append has the head's own instant."""
    await register(ledger)
    async with session(database_url) as owner:
        ahead = await owner.fetchval(
            "UPDATE ledger_head SET recorded_at = clock_timestamp() + interval '1 hour' RETURNING recorded_at"
        )

    outcomes = [await ledger.execute(registration()) for _ in range(3)]

    assert [it.recorded_at for it in outcomes] == [ahead] * 3


async def test_rows_go_to_the_generation_that_is_live_when_they_are_written(ledger: Ledger, database_url: str) -> None:
    """A rebuild that ends makes another one live, without an event."""
    await register(ledger)
    async with session(database_url) as owner:
        await owner.execute("UPDATE job SET gen = 2; UPDATE job_count SET gen = 2")
        await owner.execute("UPDATE ledger_head SET projections = jsonb_set(projections, '{jobs,gen}', '2')")

    job_id = await register(ledger)

    async with session(database_url) as owner:
        assert await owner.fetchval("SELECT gen FROM job WHERE id = $1", job_id) == 2


async def test_a_server_that_is_stopped_at_once_says_what_it_knows(ledger: Ledger, database_url: str) -> None:
    """Of what was sent, that the outcome is unknown; of what was not, that nothing was appended."""
    await register(ledger)
    async with held_head(database_url):
        waiting = [asyncio.ensure_future(ledger.execute(registration())) for _ in range(40)]
        await asyncio.sleep(0.01)
        task = ledger._sequencer(ORG)._task
        assert task is not None
        task.cancel()
        results = await asyncio.gather(*waiting, return_exceptions=True)

    kinds = [type(it) for it in results]
    assert set(kinds) == {OutcomeUnknownError, UnavailableError}
    assert kinds == sorted(kinds, key=[OutcomeUnknownError, UnavailableError].index)


async def test_more_busy_orgs_than_connections_all_go_on(database_url: str) -> None:
    """Whoever has written a batch leaves the connection to who waits for one."""
    async with serving(database_url) as ledger:
        callers = []
        for n in range(7):
            org = f"org-{n}"
            await ledger.create_org(org)
            callers.append(replace(ALICE, org=org))

        async def work(caller: Caller) -> int:
            for n in range(20):
                key = idempotency(f"{n}")
                command = registration(caller=caller)
                command.idempotency = key
                await ledger.execute(command)
            return (await ledger.recorder.head(caller.org)).size

        async with asyncio.timeout(30):
            sizes = await asyncio.gather(*map(work, callers))
    assert len(set(sizes)) == 1
