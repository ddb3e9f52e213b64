"""An org's queue: bounded, answered whatever happens, and emptied before the server stops."""

from __future__ import annotations

import asyncio

import pytest

from jobledger.ledger.errors import QueueIsFullError, UnavailableError
from jobledger.ledger.store import queue as queue_module
from jobledger.ledger.store import sequencer as sequencer_module
from jobledger.ledger.store.database import WRITER_SETTINGS
from jobledger.ledger.store.ledger import Ledger
from tests.world import ORG, held_head, ids, register, registration, serving


@pytest.mark.usefixtures("under_lock")
async def test_a_full_queue_refuses_and_what_is_in_it_is_answered(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "MOST_WAITING", 5)
    monkeypatch.setattr(queue_module, "LONGEST_WAIT_FOR_ROOM_S", 0.05)
    async with held_head(database_url):
        queued = [asyncio.ensure_future(ledger.execute(registration()))]
        await asyncio.sleep(0.01)  # the first is taken in hand, and waits for the lock
        queued += [asyncio.ensure_future(ledger.execute(registration())) for _ in range(5)]
        await asyncio.sleep(0)

        with pytest.raises(QueueIsFullError) as refusal:
            await ledger.execute(registration())

    assert refusal.value.retry_after_s > 0
    assert [ids(it)[0] for it in await asyncio.gather(*queued)] == [1, 2, 3, 4, 5, 6]
    assert await register(ledger) == 7


async def test_who_waits_for_room_gets_in_when_there_is_some(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many more callers than the queue holds are all answered."""
    monkeypatch.setattr(queue_module, "MOST_WAITING", 3)

    outcomes = await asyncio.gather(*(ledger.execute(registration()) for _ in range(60)))

    assert sorted(ids(it)[0] for it in outcomes) == list(range(1, 61))


async def test_a_ledger_that_closes_answers_what_is_queued_and_refuses_what_is_new(database_url: str) -> None:
    async with serving(database_url) as ledger:
        await ledger.create_org(ORG)
        queued = [asyncio.ensure_future(ledger.execute(registration())) for _ in range(1_500)]
        await asyncio.sleep(0)

        await ledger.close()

        assert all(it.done() for it in queued)
        assert [ids(it.result())[0] for it in queued] == list(range(1, 1_501))
        with pytest.raises(UnavailableError):
            await ledger.execute(registration())


@pytest.mark.usefixtures("ledger")
async def test_a_lock_that_is_held_for_longer_than_one_waits_is_waited_for_again(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is held longer than anybody's patience is told as such: nothing was appended."""
    monkeypatch.setitem(WRITER_SETTINGS, "lock_timeout", "50ms")
    async with serving(database_url) as impatient:
        async with held_head(database_url):
            waiting = asyncio.ensure_future(impatient.execute(registration()))
            done, _ = await asyncio.wait([waiting], timeout=0.4)
            assert not done
        assert ids(await waiting) == [1]

        monkeypatch.setattr(sequencer_module, "PATIENCE_S", 0.2)
        async with held_head(database_url):
            with pytest.raises(UnavailableError):
                await impatient.execute(registration())
        assert await register(impatient) == 2
