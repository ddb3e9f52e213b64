"""What a ledger that has grown costs: its lists, its appends, and commands on jobs with a long past."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from statistics import median
from time import perf_counter

from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_commands import ReportProgress
from jobledger.ledger.store.ledger import Ledger
from jobledger.scripts.benchmarks.append import append_for
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.population import EVENTS_A_JOB, grown_org, state_of
from jobledger.scripts.benchmarks.table import Row, percentile

CALLERS = 16
LEAST_RATE_RATIO = 0.8
MOST_LATENCY_RATIO = 1.25
LONGEST_PAGE_MS = 15.0
JOBS_AT_WORK = 1_000
SHORT_STREAM = 10
MOST_LONG_STREAM_RATIO = 2.0


async def large_org(bed: Bed) -> Caller:
    """The org with many jobs, made once for all that need it."""
    if "large" not in bed.orgs:
        bed.orgs["large"] = await grown_org(bed, "large", bed.plan.large_jobs)
    return bed.orgs["large"]


async def measure_list(bed: Bed) -> list[Row]:
    """Random pages of lists by state, each reached by the cursor of the page before it."""
    plan = bed.plan
    caller = await large_org(bed)
    token = await bed.new_token(caller.org)
    states = [State.SUCCESS, State.RUNNING, State.FAILED]
    async with bed.server() as server:
        spec = {"org": caller.org, "token": token, "states": states, "count": plan.pages, "rounds": plan.rounds}
        answer = await bed.client("pages", server, **spec)
    rounds: Sequence[Sequence[float]] = answer["latencies_ms"]
    p99_ms = [percentile(latencies, 0.99) for latencies in rounds]
    p50_ms = median(median(latencies) for latencies in rounds)
    tell(f"list: {plan.pages} of {answer['places']} places a round, median {p50_ms:.1f} ms")
    what = f"GET jobs?state=…&limit=100 of {plan.large_jobs:,}, p99"
    return [Row(what=what, unit="ms", ours=p99_ms, most=LONGEST_PAGE_MS)]


async def measure_growth(bed: Bed) -> list[Row]:
    """Appends to a large ledger and to a small one in turn: to random jobs of all, and to those at work."""
    plan = bed.plan
    orgs = (await grown_org(bed, "small", plan.small_jobs), await large_org(bed))
    running = [
        [job_id for job_id in range(1, jobs + 1) if state_of(job_id) is State.RUNNING]
        for jobs in (plan.small_jobs, plan.large_jobs)
    ]
    rows: list[Row] = []
    for what, jobs in (("random jobs", running), (f"{JOBS_AT_WORK:,} jobs", [it[:JOBS_AT_WORK] for it in running])):
        rows += await _measure_growth(bed, what, orgs, jobs)
    return rows


async def _measure_growth(bed: Bed, what: str, orgs: Sequence[Caller], jobs: Sequence[Sequence[int]]) -> list[Row]:
    plan = bed.plan
    chance = Random(2)  # noqa: S311  # chooses jobs, no secrets
    rates: tuple[list[float], list[float]] = ([], [])
    latencies_ms: tuple[list[float], list[float]] = ([], [])
    for number in range(plan.rounds):
        for size in (0, 1):
            # It remembers nothing: each round begins cold.
            ledger = Ledger(bed.ledger.database, bed.ledger.projections)
            ids = jobs[size]
            one = await append_for(ledger, orgs[size], 1, lambda _n, ids=ids: chance.choice(ids), plan.round_s / 2)  # type: ignore[misc]  # the default binds the loop's value
            latencies_ms[size].append(median(one.latencies_ms))
            many = await append_for(ledger, orgs[size], CALLERS, lambda _n, ids=ids: chance.choice(ids), plan.round_s)  # type: ignore[misc]  # as above
            rates[size].append(many.rate)
            await ledger.close()
        tell(
            f"growth, {what}, round {number + 1}: {rates[1][-1]:,.0f} events/s against {rates[0][-1]:,.0f}, "
            f"latency {latencies_ms[1][-1]:.2f} ms against {latencies_ms[0][-1]:.2f}"
        )
    grown = f"{plan.large_jobs * EVENTS_A_JOB:,} events, {what}"
    small = f"{plan.small_jobs * EVENTS_A_JOB:,} events"
    return [
        Row(
            what=f"append rate at {grown}",
            unit="events/s",
            ours=rates[1],
            others=rates[0],
            other_name=small,
            least=LEAST_RATE_RATIO,
        ),
        Row(
            what=f"command latency at {grown}",
            unit="ms",
            ours=latencies_ms[1],
            others=latencies_ms[0],
            other_name=small,
            most=MOST_LATENCY_RATIO,
        ),
    ]


async def measure_streams(bed: Bed) -> list[Row]:
    """A command on a job with a long past and on one with a short one, in turn; cold, where nothing is remembered, and warm."""
    plan = bed.plan
    caller = await bed.new_org("streams")
    # A short one is used once, so that it stays short.
    long, *short = await bed.running_jobs(caller, 1 + plan.rounds * plan.samples)
    for job_id, events in ((long, plan.long_stream), *((it, SHORT_STREAM) for it in short)):
        await _report(bed.ledger, caller, job_id, events - 2)
    measured: dict[str, tuple[list[float], list[float]]] = {"cold": ([], []), "warm": ([], [])}
    for number in range(plan.rounds):
        samples: dict[str, tuple[list[float], list[float]]] = {"cold": ([], []), "warm": ([], [])}
        for job_id in short[number * plan.samples : (number + 1) * plan.samples]:
            for index, it in enumerate((long, job_id)):
                ledger = Ledger(bed.ledger.database, bed.ledger.projections)
                for kind in ("cold", "warm"):
                    began = perf_counter()
                    await ledger.execute(ReportProgress(caller=caller, job_id=it, progress=0.5))
                    samples[kind][index].append(1000 * (perf_counter() - began))
                await ledger.close()
        for kind, both in samples.items():
            for index in (0, 1):
                measured[kind][index].append(median(both[index]))
        told = ", ".join(
            f"{kind} {long[-1]:.2f} ms against {short[-1]:.2f}" for kind, (long, short) in measured.items()
        )
        tell(f"streams, round {number + 1}: {told}")
    return [
        Row(
            what=f"command latency, job of {plan.long_stream:,} events, {kind}",
            unit="ms",
            ours=long_ms,
            others=short_ms,
            other_name=f"{SHORT_STREAM} events",
            most=MOST_LONG_STREAM_RATIO,
        )
        for kind, (long_ms, short_ms) in measured.items()
    ]


async def _report(ledger: Ledger, caller: Caller, job_id: int, count: int) -> None:
    for begin in range(0, count, 1_000):
        commands = [
            ReportProgress(caller=caller, job_id=job_id, progress=0.1) for _ in range(begin, min(begin + 1_000, count))
        ]
        await asyncio.gather(*map(ledger.execute, commands))
