"""Managing and retaining many jobs in one request, while others append to the same org."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf
from time import perf_counter
from typing import Any

from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job_commands import JobTransition, ReportProgress
from jobledger.ledger.domain.job_decisions import CloseJob
from jobledger.ledger.domain.job_keeping import RetainJob
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.domain.job_removal import DeleteJob
from jobledger.ledger.domain.manage_jobs import ManageJobs
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.table import Row, percentile

OTHER_CALLERS = 16
LONGEST_S = 2.0
LONGEST_LATENCY_MS = 150.0

# What is done to the jobs in turn, each as one request.
REQUESTS: dict[str, tuple[type[JobTransition], dict[str, Any]]] = {
    "manage (close)": (CloseJob, {}),
    "retain": (RetainJob, {}),
    "manage (delete)": (DeleteJob, {"reason": "measured"}),
}


async def measure_management(bed: Bed) -> list[Row]:
    """Seconds of each request beside 16 others that append one event a command, and what these wait meanwhile."""
    count = bed.plan.registrations
    seconds: dict[str, list[float]] = {name: [] for name in REQUESTS}
    p99_ms: dict[str, list[float]] = {name: [] for name in REQUESTS}
    for number in range(bed.plan.rounds):
        for name, (kind, members) in REQUESTS.items():
            caller = await bed.new_org("manage")
            running = await bed.running_jobs(caller, OTHER_CALLERS)
            jobs = [JobSpec(type="backup", name=f"nightly {it}") for it in range(count)]
            registered = await bed.ledger.execute(RegisterJobs(caller=caller, jobs=jobs))
            job_ids = [it["id"] for it in registered.result["jobs"]]
            commands = [kind(caller=caller, job_id=it, **members) for it in job_ids]
            took_s, latencies_ms = await _beside_others(bed, caller, running, commands)
            seconds[name].append(took_s)
            p99_ms[name].append(percentile(latencies_ms, 0.99))
        told = ", ".join(
            f"{name} {seconds[name][-1]:.2f} s (others' p99 {p99_ms[name][-1]:.0f} ms)" for name in REQUESTS
        )
        tell(f"manage {count:,} jobs, round {number + 1}: {told}")
    rows = []
    for name in REQUESTS:
        what = f"{name} {count:,} jobs, one request"
        rows.append(Row(what=what, unit="s", ours=seconds[name], most=LONGEST_S))
        rows.append(Row(what=f"{what}: others' p99 meanwhile", unit="ms", ours=p99_ms[name], most=LONGEST_LATENCY_MS))
    return rows


async def _beside_others(
    bed: Bed, caller: Caller, running: Sequence[int], commands: Sequence[JobTransition]
) -> tuple[float, list[float]]:
    """Seconds of the one request, and what each command of others took that was under way meanwhile, in milliseconds."""
    began_at = inf
    is_over = False
    latencies_ms: list[float] = []

    async def go_on(job_id: int) -> None:
        number = 0
        while not is_over:
            number += 1
            asked_at = perf_counter()
            await bed.ledger.execute(ReportProgress(caller=caller, job_id=job_id, progress=number % 1000 / 1000))
            answered_at = perf_counter()
            if answered_at > began_at:
                latencies_ms.append(1000 * (answered_at - asked_at))

    others = asyncio.gather(*map(go_on, running))
    # They run by now.
    await asyncio.sleep(bed.plan.round_s / 5)
    began_at = perf_counter()
    outcome = await bed.ledger.execute(ManageJobs(caller=caller, commands=commands))
    took_s = perf_counter() - began_at
    is_over = True
    await others
    if outcome.result["refused"]:
        raise RuntimeError("a job was refused")
    return took_s, latencies_ms
