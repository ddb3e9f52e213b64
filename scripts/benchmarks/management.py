"""Managing, upgrading and retaining many jobs in one request, while others append to the same org."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from math import inf
from time import perf_counter
from typing import Any

from jobledger.ledger.domain.command import Caller, Command
from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.domain.copy_operations import RetainOnCopy
from jobledger.ledger.domain.diagram_commands import CreateDiagram, SaveDiagram
from jobledger.ledger.domain.job_commands import JobTransition, ReportProgress
from jobledger.ledger.domain.job_decisions import CloseJob
from jobledger.ledger.domain.job_keeping import RetainJob
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.domain.job_removal import DeleteJob
from jobledger.ledger.domain.job_workflow_commands import MOST_JOBS_CREATED, CreateJobs, UpgradeJob
from jobledger.ledger.domain.manage_jobs import ManageJobs
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.table import Row, percentile
from jobledger.scripts.memory import settle_memory

OTHER_CALLERS = 16
LONGEST_S = 2.0
LONGEST_LATENCY_MS = 150.0
STEPS = [{"id": "a", "name": "Survey", "next": ["b"]}, {"id": "b", "name": "Check", "next": []}]

# What is done to each of the jobs, as one request.
REQUESTS: dict[str, tuple[type[JobTransition], dict[str, Any]]] = {
    "manage (close)": (CloseJob, {}),
    "retain": (RetainJob, {}),
    "manage (upgrade)": (UpgradeJob, {}),
    "manage (delete)": (DeleteJob, {"reason": "measured"}),
}
# All of them or none, in one append.
RETAIN_ON_COPY = "retain on a copy"
NAMES = (*REQUESTS, RETAIN_ON_COPY)
COPY_ID = 9


async def measure_management(bed: Bed) -> list[Row]:
    """Seconds of each request beside 16 others that append one event a command, and what these wait meanwhile."""
    # As servers do.
    settle_memory()
    count = bed.plan.registrations
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    p99_ms: dict[str, list[float]] = {name: [] for name in NAMES}
    for number in range(bed.plan.rounds):
        for name in NAMES:
            caller = await bed.new_org("manage")
            running = await bed.running_jobs(caller, OTHER_CALLERS)
            command = await _request(bed, caller, name, count)
            took_s, latencies_ms = await _beside_others(bed, caller, running, command)
            seconds[name].append(took_s)
            p99_ms[name].append(percentile(latencies_ms, 0.99))
        told = ", ".join(f"{name} {seconds[name][-1]:.2f} s (others' p99 {p99_ms[name][-1]:.0f} ms)" for name in NAMES)
        tell(f"manage {count:,} jobs, round {number + 1}: {told}")
    rows = []
    for name in NAMES:
        what = f"{name} {count:,} jobs, one request"
        rows.append(Row(what=what, unit="s", ours=seconds[name], most=LONGEST_S))
        rows.append(
            Row(
                what=f"{what}: others' p99 meanwhile",
                unit="ms",
                ours=p99_ms[name],
                # Others wait for one append as long as it takes: what is decided whole has no parts to go between.
                most=None if name == RETAIN_ON_COPY else LONGEST_LATENCY_MS,
            )
        )
    return rows


async def _request(bed: Bed, caller: Caller, name: str, count: int) -> Command:
    """One request about so many new jobs."""
    if name == RETAIN_ON_COPY:
        members: dict[str, Any] = {"storage_policy_id": 7, "storage_policy_name": "nightly"}
        await bed.ledger.execute(PutCopy(caller=caller, copy_id=COPY_ID, name="primary", **members))
        job_ids = await _registered(bed, caller, count, copies=[{"id": COPY_ID}])
        return RetainOnCopy(caller=caller, copy_id=COPY_ID, job_ids=job_ids)
    kind, members = REQUESTS[name]
    job_ids = await (_in_a_diagram if kind is UpgradeJob else _registered)(bed, caller, count)
    return ManageJobs(caller=caller, commands=[kind(caller=caller, job_id=it, **members) for it in job_ids])


async def _registered(bed: Bed, caller: Caller, count: int, **members: Any) -> list[int]:
    """The ids of so many jobs."""
    jobs = [JobSpec(type="backup", name=f"nightly {it}", **members) for it in range(count)]
    registered = await bed.ledger.execute(RegisterJobs(caller=caller, jobs=jobs))
    return [it["id"] for it in registered.result["jobs"]]


async def _in_a_diagram(bed: Bed, caller: Caller, count: int) -> list[int]:
    """The ids of so many jobs that go through a version of a diagram which is the active one no more."""
    content = {"steps": STEPS}
    made = await bed.ledger.execute(CreateDiagram(caller=caller, name="Permit", content=content, is_active=True))
    diagram_id: int = made.result["id"]
    job_ids: list[int] = []
    while len(job_ids) < count:
        number = min(MOST_JOBS_CREATED, count - len(job_ids))
        created = await bed.ledger.execute(
            CreateJobs(
                caller=caller, template_id=diagram_id, diagram_id=diagram_id, domain="Global", number_of_jobs=number
            )
        )
        job_ids += created.result["job_ids"]
    further = {"steps": [*STEPS[:1], {**STEPS[1], "name": "Check well"}]}
    await bed.ledger.execute(SaveDiagram(caller=caller, diagram_id=diagram_id, content=further, is_active=True))
    return job_ids


async def _beside_others(
    bed: Bed, caller: Caller, running: Sequence[int], command: Command
) -> tuple[float, list[float]]:
    """Seconds of the one request, and what each command of others took, in milliseconds, that was under way while it was."""
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
    outcome = await bed.ledger.execute(command)
    took_s = perf_counter() - began_at
    is_over = True
    await others
    if outcome.result.get("refused"):
        raise RuntimeError("a job was refused")
    return took_s, latencies_ms
