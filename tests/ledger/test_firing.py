"""Firing: whichever servers are alive fire what is due, on time, each due time once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from jobledger.ledger.domain.cron import CronExpression
from jobledger.ledger.domain.schedule import schedule_stream
from jobledger.ledger.domain.schedule_commands import CreateSchedule, PauseSchedule
from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work import firing as firing_module
from jobledger.ledger.work.firing import Firing
from jobledger.projections.schedule_query import ScheduleQuery
from tests.ledger.test_watch import until
from tests.world import ALICE, ORG, serving

EACH_SECOND = "* * * ? * *"


async def create(ledger: Ledger, expression: str = EACH_SECOND, *, org: str = ORG) -> UUID:
    schedule_id = uuid4()
    caller = replace(ALICE, org=org)
    await ledger.execute(
        CreateSchedule(caller=caller, schedule_id=schedule_id, expression=expression, action={"kind": "maintenance"})
    )
    return schedule_id


@asynccontextmanager
async def firing(ledger: Ledger) -> AsyncIterator[Firing]:
    """Firing as a server does it."""
    firing = Firing(ledger, ScheduleQuery(ledger.database).due)
    await firing.start()
    try:
        yield firing
    finally:
        await firing.stop()


async def kill(firing: Firing) -> None:
    """End it as the death of its server would: the lease is not released."""
    assert firing._task is not None
    tasks = [firing._task, *firing._under_way.values()]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    firing._task = None


async def fired(ledger: Ledger, schedule_id: UUID, org: str = ORG) -> list[dict[str, Any]]:
    """The fires of a schedule: their data, and when they were recorded."""
    return [
        {**stored.event().data, "at": stored.event().timestamp}
        async for stored in ledger.recorder.scan(org, stream=schedule_stream(schedule_id))
        if stored.envelope()["type"] == "schedule.fired"
    ]


async def until_fired(ledger: Ledger, schedule_ids: Sequence[UUID], times: int, *, within_s: float = 20.0) -> None:
    async def are_fired() -> bool:
        return all([len(await fired(ledger, it)) >= times for it in schedule_ids])

    await until(are_fired, within_s=within_s)


def must_cover(created_at: datetime, fires: Sequence[dict[str, Any]], expression: str = EACH_SECOND) -> None:
    """Each due time up to the last fire was fired for once, or counted."""
    cron, covered = CronExpression.parse(expression), created_at
    for it in fires:
        assert it["due_at"] <= it["at"]
        assert cron.count_between(covered, it["due_at"]) == 1 + it["missed"]
        covered = it["due_at"]


async def created_at(ledger: Ledger, schedule_id: UUID) -> datetime:
    async for stored in ledger.recorder.scan(ORG, stream=schedule_stream(schedule_id)):
        return stored.event().timestamp
    raise AssertionError


async def test_a_schedule_fires_each_time_that_it_is_due(ledger: Ledger) -> None:
    """Also one that is made while firing goes on, and no longer once it is paused."""
    async with firing(ledger):
        schedule_id = await create(ledger)
        await until_fired(ledger, [schedule_id], 3)
        await ledger.execute(PauseSchedule(caller=ALICE, schedule_id=schedule_id))
        fires = await fired(ledger, schedule_id)
        await asyncio.sleep(1.5)
        assert await fired(ledger, schedule_id) == fires

    must_cover(await created_at(ledger, schedule_id), fires)
    assert sorted(it["job_id"] for it in fires) == list(range(1, len(fires) + 1))


@pytest.mark.slow
async def test_several_servers_fire_each_due_time_once_though_the_one_that_leads_dies(
    ledger: Ledger, database_url: str
) -> None:
    """The others need no lease of it."""
    schedules = [await create(ledger) for _ in range(5)]
    async with AsyncExitStack() as stack:
        ledgers = [await stack.enter_async_context(serving(database_url)) for _ in range(3)]
        firings = [await stack.enter_async_context(firing(it)) for it in ledgers]
        await until_fired(ledger, schedules, 2)
        [leader] = [it for it in firings if it._is_held]

        await kill(leader)
        await until_fired(ledger, schedules, 4)

    for schedule_id in schedules:
        must_cover(await created_at(ledger, schedule_id), await fired(ledger, schedule_id))


async def test_what_was_missed_while_no_server_ran_is_one_fire(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobledger.ledger.domain.schedule.LATE", timedelta(seconds=1))
    schedule_id = await create(ledger)
    await asyncio.sleep(2.6)

    async with firing(ledger):
        await until_fired(ledger, [schedule_id], 1)

    fires = await fired(ledger, schedule_id)
    assert fires[0]["missed"] >= 1
    must_cover(await created_at(ledger, schedule_id), fires)


async def test_an_org_that_cannot_be_written_keeps_no_other_from_its_turn(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.create_org("stopped")
    for _ in range(3):
        await create(ledger, org="stopped")
    schedule_id = await create(ledger)
    execute = Ledger.execute

    async def stopped(self: Ledger, command: Any) -> Any:
        if command.caller.org == "stopped":
            raise CorruptLedgerError("broken")
        return await execute(self, command)

    monkeypatch.setattr(Ledger, "execute", stopped)
    monkeypatch.setattr(firing_module, "MOST_AT_ONCE", 3)

    async with firing(ledger):
        await until_fired(ledger, [schedule_id], 2)


async def test_firing_that_stops_is_handed_over_at_once(ledger: Ledger, database_url: str) -> None:
    async with serving(database_url) as other, firing(other) as second:
        async with firing(ledger) as first:

            async def is_one_held() -> bool:
                return first._is_held or second._is_held

            await until(is_one_held)
        await first.stop()

        async def is_second_held() -> bool:
            return second._is_held

        await until(is_second_held, within_s=4.0)
