"""Reading what was recorded: by position, stream, type and time; beside writers (invariant 2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from jobledger.ledger.errors import InvalidCommandError, NotFoundError
from jobledger.ledger.store import recorder as recorder_module
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.recorder import Recorder
from tests.cluster import session
from tests.world import ORG, register, register_running, registration, serving, spec, start, succeed


async def positions(recorder: Recorder, after: int, limit: int, **filters: str) -> tuple[list[int], int | None]:
    page = await recorder.page(ORG, after, limit, **filters)
    return [it.position for it in page.events], page.next_after


async def test_pages_follow_each_other_without_a_gap(ledger: Ledger) -> None:
    await ledger.execute(registration(*(spec() for _ in range(9))))

    assert await positions(ledger.recorder, -1, 4) == ([0, 1, 2, 3], 3)
    assert await positions(ledger.recorder, 3, 4) == ([4, 5, 6, 7], 7)
    assert await positions(ledger.recorder, 7, 4) == ([8, 9], None)
    assert await positions(ledger.recorder, 5, 4) == ([6, 7, 8, 9], 9)
    assert await positions(ledger.recorder, 9, 4) == ([], None)


async def test_a_position_beyond_the_head_is_refused(ledger: Ledger) -> None:
    """A reader that knows more than the ledger holds has read another history."""
    with pytest.raises(InvalidCommandError):
        await ledger.recorder.page(ORG, 1, 10)
    with pytest.raises(NotFoundError):
        await ledger.recorder.page("nobody", -1, 10)


async def test_a_stream_is_read_in_its_order(ledger: Ledger) -> None:
    first = await register_running(ledger)
    await register_running(ledger)
    await ledger.execute(succeed(first))

    assert await positions(ledger.recorder, -1, 10, stream="job-1") == ([1, 2, 5], None)
    assert await positions(ledger.recorder, 1, 1, stream="job-1") == ([2], 2)
    assert await positions(ledger.recorder, -1, 10, stream="job-99") == ([], None)
    assert [it.position async for it in ledger.recorder.scan(ORG, start=2, end=5, stream="job-1")] == [2]


async def test_a_type_is_looked_for_range_by_range(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that found little says how far it looked, and going on from there misses nothing."""
    monkeypatch.setattr(recorder_module, "TYPE_RANGE", 3)
    monkeypatch.setattr(recorder_module, "RANGES_A_PAGE", 2)
    await ledger.execute(registration(*(spec() for _ in range(20))))
    for job_id in (1, 20):
        await ledger.execute(start(job_id))

    found: list[int] = []
    after: int | None = -1
    pages = 0
    while after is not None:
        some, after = await positions(ledger.recorder, after, 10, type_name="job.started")
        found += some
        pages += 1

    assert found == [21, 22]
    assert pages == 4
    assert await positions(ledger.recorder, 20, 1, type_name="job.started") == ([21], 21)
    assert await positions(ledger.recorder, 20, 9, type_name="job.started", stream="job-20") == ([22], None)


async def test_a_scan_reads_ranges(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "SCAN_EVENTS", 3)
    await ledger.execute(registration(*(spec() for _ in range(10))))

    for start_at, end in ((0, None), (2, 9), (3, 3), (5, 6), (0, 6)):
        scanned = [it.position async for it in ledger.recorder.scan(ORG, start=start_at, end=end)]
        assert scanned == list(range(start_at, 11 if end is None else end))


async def test_a_time_is_the_last_position_recorded_by_then(ledger: Ledger) -> None:
    for _ in range(5):
        await register(ledger)
    times = [it.event().timestamp async for it in ledger.recorder.scan(ORG)]

    assert [await ledger.recorder.position_at(ORG, it) for it in times] == list(range(6))
    assert await ledger.recorder.position_at(ORG, times[0].replace(year=2000)) == -1
    assert await ledger.recorder.position_at(ORG, times[0].replace(year=2100)) == 5


async def tail(recorder: Recorder, size: int) -> list[int]:
    """The positions as a follower sees them that asks again and again for what comes after the last."""
    seen: list[int] = []
    async with asyncio.timeout(30):
        while len(seen) < size:
            page = await recorder.page(ORG, seen[-1] if seen else -1, 50)
            seen += [it.position for it in page.events]
            assert seen == list(range(len(seen)))
            await asyncio.sleep(0)
    return seen


@asynccontextmanager
async def idle_in_transaction(url: str, *statements: str) -> AsyncIterator[None]:
    """A transaction that has run *statements* and stays open."""
    async with session(url) as connection, connection.transaction(isolation="repeatable_read"):
        for statement in statements:
            await connection.execute(statement)
        yield


@pytest.mark.parametrize(
    "statements",
    [
        [],
        ["INSERT INTO lease VALUES ('other', gen_random_uuid(), now(), now())"],
        ["SELECT count(*) FROM event", "SELECT pg_current_xact_id()"],
    ],
)
async def test_a_follower_never_skips_an_event(ledger: Ledger, database_url: str, statements: list[str]) -> None:
    """Beside two servers that append, and a transaction that stays open having written, or holding a snapshot."""
    async with (
        idle_in_transaction(database_url, *statements),
        serving(database_url) as other,
        serving(database_url) as reading,
    ):

        async def write(server: Ledger) -> None:
            for n in range(40):
                await asyncio.gather(*(server.execute(registration()) for _ in range(1 + n % 4)))

        _, _, *followers = await asyncio.gather(
            write(ledger), write(other), *(tail(it, 201) for it in (reading.recorder, ledger.recorder))
        )

    assert followers == [list(range(201))] * 2


async def test_an_answered_write_is_seen_by_every_server(ledger: Ledger, database_url: str) -> None:
    """The next read, by whichever server, sees it: invariant 6, as far as the ledger goes."""
    async with serving(database_url) as other:
        for n in range(20):
            writer, reader = (ledger, other) if n % 2 else (other, ledger)
            outcome = await writer.execute(registration())
            assert (await reader.recorder.head(ORG)).size == outcome.positions.stop
            assert (await reader.job(ORG, n + 1)).version == 1
