"""Servers that are killed while they fire: each due second of each schedule is fired for once, or counted in one fire."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jobledger.ledger.domain.cron import CronExpression
from jobledger.ledger.domain.schedule import Schedule
from jobledger.ledger.domain.schedule_commands import CreateSchedule, PauseSchedule
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.schedule_query import ScheduleQuery
from tests.auditor import audit
from tests.ledger.test_access import add
from tests.ledger.test_watch import until
from tests.world import ALICE, ORG

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ACTIONS: list[dict[str, Any]] = [
    {"kind": "maintenance"},
    {"kind": "archive", "older_than_days": 90, "purge": True},
    {"kind": "export"},
]
SCHEDULES, SERVERS, KILL_EVERY_S = 200, 3, 5.0
LATEST = timedelta(seconds=5)


def started(url: str) -> subprocess.Popen[bytes]:
    """A server that fires, or is about to."""
    command = [sys.executable, "-m", "tests.system.firing_process", url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)


def killed(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


@pytest.mark.parametrize("seconds", [15, pytest.param(60, marks=pytest.mark.alone)])
async def test_servers_that_are_killed_fire_for_each_due_second_once(
    ledger: Ledger, database_url: str, seconds: int
) -> None:
    schedules = [uuid4() for _ in range(SCHEDULES)]
    servers = [started(database_url) for _ in range(SERVERS)]
    try:
        for server in servers:
            assert server.stdout is not None
            assert await asyncio.to_thread(server.stdout.readline) == b"fires\n"
        # Who made them is looked at whenever archives and exports fire.
        await ledger.execute(add("alice", roles=("operator", "compliance")))
        for schedule_id, action in zip(schedules, cycle(ACTIONS), strict=False):
            await ledger.execute(
                CreateSchedule(caller=ALICE, schedule_id=schedule_id, expression="* * * ? * *", action=action)
            )
        for _ in range(int(seconds / KILL_EVERY_S)):
            await asyncio.sleep(KILL_EVERY_S)
            victim = random.randrange(SERVERS)
            killed(servers[victim])
            servers[victim] = started(database_url)
        query = ScheduleQuery(ledger.database)

        async def is_caught_up() -> bool:
            return not await query.due(-LATEST, 1, ())

        await until(is_caught_up, within_s=60)
        for schedule_id in schedules:
            await ledger.execute(PauseSchedule(caller=ALICE, schedule_id=schedule_id))
    finally:
        for server in servers:
            killed(server)

    audited = (await audit(database_url))[ORG]
    each_second = CronExpression.parse("* * * ? * *")
    covered: dict[str, datetime] = {}
    dues: defaultdict[str, list[datetime]] = defaultdict(list)
    late: list[float] = []
    async for stored in ledger.recorder.scan(ORG):
        event = stored.event()
        stream = event.originator_id
        if isinstance(event, Schedule.Created):
            covered[stream] = event.timestamp
        elif isinstance(event, Schedule.Fired):
            assert each_second.count_between(covered[stream], event.due_at) == 1 + event.missed
            covered[stream] = event.due_at
            dues[stream].append(event.due_at)
            late.append((event.timestamp - event.due_at).total_seconds())
        elif isinstance(event, Schedule.Paused):
            # Nothing before it was left out but what was not fired for yet.
            assert event.timestamp - covered[stream] < 6 * LATEST
    assert len(dues) == SCHEDULES
    assert audited.types.count("schedule.fired") == sum(map(len, dues.values())) == len(late)
    assert all(len(it) > seconds / 10 for it in dues.values())
    # Each fire has asked for one archive or export, or for neither.
    asked = [sum(len(dues[it]) for it in list(covered)[number::3]) for number in range(3)]
    assert [audited.types.count(f"{it}.requested") for it in ("archive", "export")] == asked[1:]
    late.sort()
    print(f"{len(late)} fires, late by p50 {late[len(late) // 2]:.3f} s, p99 {late[int(len(late) * 0.99)]:.3f} s")
