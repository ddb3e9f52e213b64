"""Appending one event a command, by many callers in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import urandom
from time import perf_counter

from eventsourcing.postgres import PostgresAggregateRecorder, PostgresApplicationRecorder

from jobledger.ledger.domain.command import Caller, Idempotency
from jobledger.ledger.domain.job_commands import ReportProgress
from jobledger.ledger.store.ledger import Ledger
from jobledger.scripts.benchmarks.bed import Bed, tell
from jobledger.scripts.benchmarks.costs import measured_costs
from jobledger.scripts.benchmarks.peer import Peer
from jobledger.scripts.benchmarks.table import Row, percentile

# How many times the peer's rate, by callers.
MUST_REACH = {16: 8.0, 64: 11.0, 256: 14.0}
LATENCY_CALLERS = 16
LONGEST_LATENCY_MS = 8.0
REQUEST_HASH = bytes(32)


@dataclass(slots=True)
class Appended:
    """What callers did, and how long each of their calls took, in milliseconds."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Commands a second."""
        return len(self.latencies_ms) / self.seconds


async def append_for(
    ledger: Ledger, caller: Caller, callers: int, next_job: Callable[[int], int], seconds: float
) -> Appended:
    """Let *callers* report progress, each command as soon as its last is answered; ``next_job(n)`` names the nth's next job."""
    done = Appended()
    began = perf_counter()
    end = began + seconds

    async def call(number: int) -> None:
        count = 0
        asked_at = began
        while asked_at < end:
            count += 1
            command = ReportProgress(
                caller=caller,
                idempotency=Idempotency(urandom(16).hex(), REQUEST_HASH),
                job_id=next_job(number),
                progress=count % 1000 / 1000,
            )
            await ledger.execute(command)
            answered_at = perf_counter()
            done.latencies_ms.append(1000 * (answered_at - asked_at))
            asked_at = answered_at

    await asyncio.gather(*map(call, range(callers)))
    done.seconds = perf_counter() - began
    return done


async def measure_append(bed: Bed) -> list[Row]:
    """Ours at each number of callers against the peer's, in turn."""
    plan = bed.plan
    caller = await bed.new_org("append")
    ids = await bed.running_jobs(caller, max(MUST_REACH))
    content = await _content_of_one_event(bed, caller, ids[0])
    peer, unordered = Peer(bed.url, PostgresApplicationRecorder), Peer(bed.url, PostgresAggregateRecorder)
    unordered_rates: list[float] = []
    if plan.is_profiled:
        for callers in MUST_REACH:
            await _tell_costs(bed, caller, callers, ids)
    rates: dict[int, list[float]] = {callers: [] for callers in MUST_REACH}
    peers: dict[int, list[float]] = {callers: [] for callers in MUST_REACH}
    p99_ms: list[float] = []
    try:
        await append_for(bed.ledger, caller, LATENCY_CALLERS, ids.__getitem__, plan.round_s / 2)
        for number in range(plan.rounds):
            for callers in MUST_REACH:
                done = await append_for(bed.ledger, caller, callers, ids.__getitem__, plan.round_s)
                rates[callers].append(done.rate)
                if callers == LATENCY_CALLERS:
                    p99_ms.append(percentile(done.latencies_ms, 0.99))
                peers[callers].append(await asyncio.to_thread(peer.append, content, plan.round_s))
            unordered_rates.append(await asyncio.to_thread(unordered.append, content, plan.round_s))
            told = ", ".join(f"{rates[it][-1]:,.0f} at {it} (peer {peers[it][-1]:,.0f})" for it in MUST_REACH)
            tell(f"append, round {number + 1}: {told} events/s, p99 at {LATENCY_CALLERS} {p99_ms[-1]:.1f} ms")
    finally:
        peer.close()
        unordered.close()
    rows = [
        Row(
            what=f"append, {callers} callers",
            unit="events/s",
            ours=rates[callers],
            others=peers[callers],
            other_name=peer.name,
            least=least,
        )
        for callers, least in MUST_REACH.items()
    ]
    rows.append(Row(what=f"append, {LATENCY_CALLERS} callers, p99", unit="ms", ours=p99_ms, most=LONGEST_LATENCY_MS))
    most = max(MUST_REACH)
    rows.append(
        Row(
            what=f"append, {most} callers",
            unit="events/s",
            ours=rates[most],
            others=unordered_rates,
            other_name=f"{unordered.name}, no order among streams",
        )
    )
    return rows


async def _tell_costs(bed: Bed, caller: Caller, callers: int, ids: Sequence[int]) -> None:
    assert bed.postgres.pid is not None
    with measured_costs(bed.postgres.pid) as costs:
        done = await append_for(bed.ledger, caller, callers, ids.__getitem__, bed.plan.round_s)
    tell(f"append, {callers} callers, {done.rate:,.0f} events/s while each step is timed:")
    tell(costs.text(len(done.latencies_ms)))


async def _content_of_one_event(bed: Bed, caller: Caller, job_id: int) -> bytes:
    """What the peer stores as its events' state: the content of one of ours."""
    outcome = await bed.ledger.execute(ReportProgress(caller=caller, job_id=job_id, progress=0.123))
    page = await bed.ledger.recorder.page(caller.org, outcome.positions[0] - 1, 1)
    content = page.events[0].content
    assert content is not None
    return content
