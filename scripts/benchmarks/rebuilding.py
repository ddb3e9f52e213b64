"""How long it takes to make all that is read anew from the events, and to bring the rollups up to date."""

from __future__ import annotations

import asyncio
from time import perf_counter

from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job_commands import SucceedJob
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.projections.rebuild.course import Rebuild
from jobledger.projections.rollups import RollupsProjection
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.population import EVENTS_A_JOB, grown_org
from jobledger.scripts.benchmarks.table import Row
from jobledger.scripts.folding import fold_in_processes

LEAST_RATE = 60_000.0
NEW_EVENTS = 10_000
LONGEST_REFRESH_S = 1.0
LONG_S = 3_600.0


async def measure_rebuild(bed: Bed) -> list[Row]:
    """Rebuild all projections, compared and put in place, and scan the same events by their positions, in turn."""
    plan = bed.plan
    caller = await grown_org(bed, "rebuilt", plan.rebuilt_jobs)
    await CatchUp(bed.ledger).wait_for(caller.org, RollupsProjection.name, LONG_S)
    rates: list[float] = []
    scan_rates: list[float] = []
    for number in range(min(plan.rounds, 3)):
        began = perf_counter()
        scanned = 0
        async for _ in bed.ledger.recorder.scan(caller.org):
            scanned += 1
        scan_rates.append(scanned / (perf_counter() - began))
        report = await Rebuild(bed.ledger, fold_in_processes(bed.ledger)).rebuild(caller.org)
        if report.differences:
            raise RuntimeError(f"what was rebuilt differs: {report.differences}")
        rates.append(report.events / report.took_s)
        steps = f"{report.folding_s:.1f} of {report.took_s:.1f} s folding, last step {1000 * report.last_step_s:.0f} ms"
        tell(
            f"rebuild, round {number + 1}: {rates[-1]:,.0f} events/s, {steps}; plain scan {scan_rates[-1]:,.0f} events/s"
        )
    events = f"{plan.rebuilt_jobs * EVENTS_A_JOB:,} events"
    return [
        Row(what=f"rebuild of all projections, {events}", unit="events/s", ours=rates, least=LEAST_RATE),
        Row(
            what=f"the same beside a plain scan, {events}",
            unit="events/s",
            ours=rates,
            others=scan_rates,
            other_name="plain scan, one process",
        ),
        await _measure_refresh(bed, caller),
    ]


async def _measure_refresh(bed: Bed, caller: Caller) -> Row:
    took_s: list[float] = []
    catch_up = CatchUp(bed.ledger)
    for _ in range(min(bed.plan.rounds, 3)):
        ids = await bed.running_jobs(caller, NEW_EVENTS // 3)
        for begin in range(0, len(ids), 1_000):
            ended = [SucceedJob(caller=caller, job_id=it) for it in ids[begin : begin + 1_000]]
            await asyncio.gather(*map(bed.ledger.execute, ended))
        began = perf_counter()
        await catch_up.wait_for(caller.org, RollupsProjection.name, LONG_S)
        took_s.append(perf_counter() - began)
    return Row(what=f"rollups refreshed after {NEW_EVENTS:,} new events", unit="s", ours=took_s, most=LONGEST_REFRESH_S)
