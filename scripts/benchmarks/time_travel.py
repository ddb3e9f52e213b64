"""How long a page of jobs as they stood takes, anywhere in a long ledger; and how fast what tells of it follows the ledger."""

from __future__ import annotations

from random import Random
from statistics import median
from time import perf_counter

from jobledger.ledger.domain.job import State
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.projections.job_history import JobHistoryProjection
from jobledger.projections.job_query import JobFilter
from jobledger.projections.past_query import PastQuery
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.million import million_org
from jobledger.scripts.benchmarks.table import Row, percentile

LONGEST_PAGE_MS = 50.0
LONG_S = 3_600.0


async def measure_time_travel(bed: Bed) -> list[Row]:
    """Random pages, of all jobs and by state, at random positions."""
    plan = bed.plan
    caller = await million_org(bed)
    head = await bed.ledger.recorder.head(caller.org)
    began = perf_counter()
    await CatchUp(bed.ledger).wait_for(caller.org, JobHistoryProjection.name, LONG_S)
    rate = head.size / (perf_counter() - began)
    past = PastQuery(bed.ledger.database, bed.ledger.recorder)
    chance = Random(7)  # noqa: S311  # chooses pages, no secrets
    filters = [JobFilter(), *(JobFilter(states=(it,)) for it in (State.SUCCESS, State.RUNNING, State.FAILED))]
    p99_ms: list[float] = []
    for _ in range(plan.rounds):
        latencies_ms = []
        for n in range(plan.pages):
            position, wanted = chance.randrange(head.size), filters[n % len(filters)]
            after = chance.randrange(plan.ended_jobs)
            began = perf_counter()
            moment = await past.moment(caller.org, position)
            await past.page(caller.org, wanted, moment, None, after=after, limit=100)
            latencies_ms.append(1000 * (perf_counter() - began))
        p99_ms.append(percentile(latencies_ms, 0.99))
        tell(f"time travel: median {median(latencies_ms):.1f} ms, p99 {p99_ms[-1]:.1f} ms")
    return [
        Row(
            what=f"GET jobs?as_of=…&limit=100 of {plan.ended_jobs:,}, p99", unit="ms", ours=p99_ms, most=LONGEST_PAGE_MS
        ),
        Row(what=f"job_history follows a ledger of {head.size:,} events", unit="events/s", ours=[rate]),
    ]
