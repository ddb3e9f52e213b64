"""How late schedules fire while a server is up."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

from jobledger.ledger.domain.schedule import Schedule
from jobledger.ledger.domain.schedule_commands import CreateSchedule, PauseSchedule
from jobledger.ledger.work.firing import Firing
from jobledger.projections.schedule_query import ScheduleQuery
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.table import Row, percentile

LATEST_MS = 1_000.0


async def measure_firing(bed: Bed) -> list[Row]:
    """Of schedules that all fire once a minute: spread over its seconds, and all in one second, which is the worst."""
    count = bed.plan.schedules
    rows: list[Row] = []
    for how in ("spread over the minute", "all in the same second"):
        late_ms: list[float] = []
        caller = await bed.new_org("firing")
        started_at = datetime.now(UTC)
        # Made within the minute before the one that is measured.
        second = (started_at.second + 30) % 60
        schedules = [uuid4() for _ in range(count)]
        commands = [
            CreateSchedule(
                caller=caller,
                schedule_id=schedule_id,
                expression=f"{number % 60 if how.startswith('spread') else second} * * ? * *",
                action={"kind": "maintenance"},
            )
            for number, schedule_id in enumerate(schedules)
        ]
        await asyncio.gather(*map(bed.ledger.execute, commands))
        # What fell due before all of them were there is not counted.
        begun_at = datetime.now(UTC)
        firing = Firing(bed.ledger, ScheduleQuery(bed.ledger.database).due)
        await firing.start()
        while len(late_ms) < count * bed.plan.firing_minutes:
            await asyncio.sleep(2)
            late_ms = [
                1000 * (event.timestamp - event.due_at).total_seconds()
                async for stored in bed.ledger.recorder.scan(caller.org)
                if isinstance(event := stored.event(), Schedule.Fired) and event.due_at > begun_at
            ]
        await firing.stop()
        await asyncio.gather(
            *(bed.ledger.execute(PauseSchedule(caller=caller, schedule_id=schedule_id)) for schedule_id in schedules)
        )
        tell(f"firing, {how}: {len(late_ms)} fires, p50 {percentile(late_ms, 0.5):.0f} ms, worst {max(late_ms):.0f} ms")
        what = f"lateness of {count:,} schedules a minute, {how}, p99"
        rows.append(Row(what=what, unit="ms", ours=[percentile(late_ms, 0.99)], most=LATEST_MS))
    return rows
