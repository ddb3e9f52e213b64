"""Who requires a full backup: a chain and a star of incrementals on one copy."""

from __future__ import annotations

from time import perf_counter

from jobledger.ledger.domain.copy import PutCopy
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.projections.copy_query import CopyQuery
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.table import Row

COPY_ID = 9
ON_COPY = [{"id": COPY_ID}]
LONGEST_MS = 200.0
JOBS_A_REQUEST = 1_000


async def measure_dependents(bed: Bed) -> list[Row]:
    """All jobs that require a full backup, directly or through one another, as an operation asks for them."""
    plan = bed.plan
    caller = await bed.new_org("dependents")
    await bed.ledger.execute(
        PutCopy(caller=caller, copy_id=COPY_ID, name="primary", storage_policy_id=7, storage_policy_name="nightly")
    )
    query = CopyQuery(bed.ledger.database)
    rows: list[Row] = []
    last = 0
    for shape in ("star", "chain"):
        full = last + 1
        specs = [JobSpec(type="backup", name="full", copies=ON_COPY)]
        for number in range(1, plan.incrementals + 1):
            required = full if shape == "star" else full + number - 1
            specs.append(JobSpec(type="backup", name="incremental", required_job_ids=[required], copies=ON_COPY))
        for begin in range(0, len(specs), JOBS_A_REQUEST):
            await bed.ledger.execute(RegisterJobs(caller=caller, jobs=specs[begin : begin + JOBS_A_REQUEST]))
        last += len(specs)
        latencies_ms = []
        for _ in range(plan.rounds):
            began = perf_counter()
            found = await query.dependents(caller.org, COPY_ID, [full], None)
            latencies_ms.append(1000 * (perf_counter() - began))
            assert len(found) == plan.incrementals
        tell(f"dependents, {shape}: {', '.join(f'{it:.0f}' for it in latencies_ms)} ms")
        what = f"dependents of a full backup with {plan.incrementals:,} incrementals, {shape}"
        rows.append(Row(what=what, unit="ms", ours=latencies_ms, most=LONGEST_MS))
    return rows
