"""Batches decided ahead of the head's lock: on the newest state all the same, or decided again (invariants 2, 3, 9)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest

from jobledger.ledger.domain.command import Caller, Find
from jobledger.ledger.domain.job_commands import ReportProgress, SendHeartbeat
from jobledger.ledger.domain.job_registration import RegisterJobs
from jobledger.ledger.errors import (
    DatabaseIsAwayError,
    JobIsFinalError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
)
from jobledger.ledger.store import database as database_module
from jobledger.ledger.store import pipeline as pipeline_module
from jobledger.ledger.store.appender import Appender
from jobledger.ledger.store.batch import Batch
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
    spec,
    start,
    succeed,
)


@pytest.fixture
def _undeterred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another server's append is met again and again, not avoided for a second."""
    monkeypatch.setattr(pipeline_module, "PAUSE_S", 0.0)


async def under_way(ledger: Ledger, *, is_next_open: bool = False) -> None:
    """Wait until a batch is under way; and, where asked, commands stand in the next."""
    pipeline = ledger._sequencer(ORG)._pipeline
    async with asyncio.timeout(10):
        while pipeline._under_way is None or (is_next_open and (pipeline._open is None or not pipeline._open.waiting)):
            await asyncio.sleep(0)


async def test_commands_are_decided_while_a_batch_is_being_written(ledger: Ledger, database_url: str) -> None:
    """They are answered all the same, in the order of their calls, when it has been."""
    await register(ledger)
    async with held_head(database_url):
        waiting = [asyncio.ensure_future(ledger.execute(registration())) for _ in range(100)]
        await under_way(ledger, is_next_open=True)
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
            remembered = await register(ledger)
            await other.execute(start(remembered))
            assert (await ledger.execute(ReportProgress(caller=ALICE, job_id=remembered))).event_count == 1
    with pytest.raises(NotFoundError):
        await ledger.execute(start(remembered + 1))


async def test_a_repeat_of_what_is_being_written_gets_its_answer(ledger: Ledger, database_url: str) -> None:
    await register(ledger)
    async with held_head(database_url):
        waiting = [asyncio.ensure_future(ledger.execute(registration(key="k"))) for _ in range(40)]
        await under_way(ledger, is_next_open=True)

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
        await under_way(ledger, is_next_open=True)
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


def forget(ledger: Ledger) -> None:
    """Nothing is remembered but the head, as after many other jobs."""
    cache = ledger._sequencer(ORG)._writer.cache
    head = cache.head
    cache.clear()
    cache.head = head


@pytest.mark.usefixtures("own_connections")
async def test_a_batch_in_doubt_that_comes_late_is_shut_out(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres may read the statement of a connection that was lost only after it was found not to be in the store."""
    await register(ledger)
    await register(ledger)
    [connection] = ledger.database._idle_writers
    backend = connection.get_server_pid()
    writer = ledger._sequencer(ORG)._writer
    write = writer.write

    async def write_late(*arguments: Any, **options: Any) -> None:
        os.kill(backend, signal.SIGCONT)
        async with session(database_url) as observer:
            while await observer.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", backend):
                await asyncio.sleep(0.01)
        await write(*arguments, **options)

    monkeypatch.setattr(writer, "write", write_late)
    os.kill(backend, signal.SIGSTOP)
    try:
        waiting = asyncio.ensure_future(ledger.execute(registration(name="once")))
        await under_way(ledger)
        await asyncio.sleep(0.05)  # it is written into the socket of a backend that does not read
        connection.terminate()
        async with asyncio.timeout(10):
            await waiting
    finally:
        with suppress(ProcessLookupError):
            os.kill(backend, signal.SIGCONT)

    names = [it.event().data.get("name") async for it in ledger.recorder.scan(ORG)]
    assert names.count("once") == 1


@pytest.mark.usefixtures("own_connections")
async def test_of_a_batch_in_doubt_a_stopping_server_does_not_say_that_it_was_not_decided(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(ledger)
    await register(ledger)
    sequencer = ledger._sequencer(ORG)
    [connection] = ledger.database._idle_writers
    is_asked = asyncio.Event()

    async def away(*_arguments: Any, **_options: Any) -> None:
        is_asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(database_module, "connect", away)
    waiting = asyncio.ensure_future(ledger.execute(registration()))
    await under_way(ledger)
    connection.terminate()
    async with asyncio.timeout(5):
        await is_asked.wait()
    assert sequencer._task is not None
    sequencer._task.cancel()

    with pytest.raises(OutcomeUnknownError):
        await waiting


class Poison(RegisterJobs):
    """A command that fails before it can be decided."""

    def finds(self) -> Iterable[Find]:
        raise TypeError("poison")


@pytest.mark.usefixtures("either_way")
async def test_a_command_that_cannot_even_be_looked_at_fails_alone(ledger: Ledger) -> None:
    await register(ledger)

    async with asyncio.timeout(5):
        results = await asyncio.gather(
            ledger.execute(registration()),
            ledger.execute(Poison(caller=ALICE, jobs=[spec()])),
            ledger.execute(registration()),
            return_exceptions=True,
        )

    assert [isinstance(it, Exception) for it in results] == [False, True, False]


async def test_writing_goes_on_while_readers_have_all_their_connections(ledger: Ledger) -> None:
    """What is not remembered is then loaded by the writer; nobody waits for a reader who has been written."""
    jobs = [await register(ledger) for _ in range(40)]
    forget(ledger)
    async with AsyncExitStack() as stack:
        for _ in range(8):
            with suppress(DatabaseIsAwayError):
                await stack.enter_async_context(ledger.database.reader(0.1))
        began_at = monotonic()
        await asyncio.gather(*(ledger.execute(start(job_id)) for job_id in jobs))
        with pytest.raises(NotFoundError):
            await ledger.execute(start(10**6, idempotency=idempotency("k")))
    assert monotonic() - began_at < 3


async def test_large_commands_do_not_make_batches_beyond_measure(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(ledger)
    sizes: list[int] = []
    prepare = Appender.prepare_ahead

    def prepared(appender: Appender, batch: Batch) -> Any:
        sizes.append(batch.size_bytes)
        return prepare(appender, batch)

    monkeypatch.setattr(Appender, "prepare_ahead", prepared)
    large = [spec(attributes={"text": "x" * 60_000}) for _ in range(32)]

    await asyncio.gather(*(ledger.execute(registration(*large)) for _ in range(12)))

    assert 0 < max(sizes) < 8 * 1024 * 1024


async def test_a_batch_is_not_made_ready_at_each_arrival(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(ledger)
    made = 0
    prepare = Appender.prepare_ahead

    def prepared(appender: Appender, batch: Batch) -> Any:
        nonlocal made
        made += 1
        return prepare(appender, batch)

    monkeypatch.setattr(Appender, "prepare_ahead", prepared)
    waiting = []
    async with held_head(database_url):
        for _ in range(300):
            waiting.append(asyncio.ensure_future(ledger.execute(registration())))
            for _ in range(6):
                await asyncio.sleep(0)
    await asyncio.gather(*waiting)

    assert made < 20


async def test_a_heartbeat_counts_by_the_databases_clock(ledger: Ledger, database_url: str) -> None:
    """Not by what this process takes it for; and one that comes late does not undo a later one."""
    job_id = await register_running(ledger)
    told = ledger._clock.now()
    assert told is not None
    ledger._clock.hear(told + timedelta(hours=1))

    await ledger.execute(SendHeartbeat(caller=ALICE, job_id=job_id))

    async with session(database_url) as owner:
        assert await owner.fetchval("SELECT beat_at <= clock_timestamp() FROM heartbeat")
        later = await owner.fetchval(
            "UPDATE heartbeat SET beat_at = clock_timestamp() + interval '9 s' RETURNING beat_at"
        )
        await ledger.execute(SendHeartbeat(caller=ALICE, job_id=job_id))
        assert await owner.fetchval("SELECT beat_at FROM heartbeat") == later
