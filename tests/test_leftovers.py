"""What a test leaves behind on what tests share is found, and fails it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
import uvloop

from jobledger.ledger.store.announcement import CHANNEL
from jobledger.ledger.store.database import WRITER_SETTINGS, connect
from tests import caretaker as caretaker_module
from tests import leftovers
from tests.caretaker import Caretaker

# For what is there to stay.
LITTLE_PATIENCE_S = 0.05

Leaving = Callable[[Caretaker], Awaitable[object]]


@pytest.fixture
async def keeper(own_url: str) -> AsyncIterator[Caretaker]:
    """A caretaker of another database."""
    keeper = Caretaker(own_url)
    await keeper.open()
    yield keeper
    await keeper.close()


async def take_writer(keeper: Caretaker) -> object:
    return await keeper.database.take_writer()


async def begin(keeper: Caretaker) -> object:
    """A writer given back in the midst of a transaction."""
    writer = await keeper.database.take_writer()
    await writer.execute("BEGIN")
    keeper.database.give_back_writer(writer)
    return writer


async def take_reader(keeper: Caretaker) -> object:
    assert keeper.database._pool is not None
    return await keeper.database._pool.acquire()


async def listen(keeper: Caretaker) -> object:
    connection = await connect(keeper.url, WRITER_SETTINGS)
    await connection.execute(f"LISTEN {CHANNEL}")
    return connection


async def close(keeper: Caretaker) -> object:
    await keeper.database.close()
    return None


@pytest.mark.parametrize("leave", [take_writer, begin, take_reader, listen, close])
async def test_what_is_left_on_connections_is_found_once(keeper: Caretaker, leave: Leaving) -> None:
    """And does not fail the tests that follow."""
    await keeper.must_be_alone()
    left = await leave(keeper)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(caretaker_module, "PATIENCE_S", LITTLE_PATIENCE_S)
        with pytest.raises(AssertionError):
            await keeper.must_be_alone()

    await keeper.must_be_alone()
    assert await keeper.database.fetch("SELECT 1")
    del left


async def test_connections_that_a_test_cut_are_made_again(keeper: Caretaker) -> None:
    writer = await keeper.database.take_writer()
    keeper.database.drop_writer(writer)
    async with keeper.database.reader() as reader:
        reader.terminate()

    await keeper.must_be_alone()

    assert await keeper.database.fetch("SELECT 1")


async def test_tasks_that_go_on_are_found_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "PATIENCE_S", LITTLE_PATIENCE_S)
    forever = asyncio.create_task(asyncio.Event().wait())
    soon = asyncio.create_task(asyncio.sleep(0))

    with pytest.raises(AssertionError, match=r"Event\.wait"):
        await leftovers.end({forever, soon})

    with suppress(asyncio.CancelledError):
        await forever
    assert forever.cancelled()
    assert not soon.cancelled()


async def test_tests_run_on_the_loop_that_servers_have() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
