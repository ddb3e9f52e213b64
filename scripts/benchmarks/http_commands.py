"""Commands over one HTTP connection, and what a server's memory comes to after many."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from jobledger.scripts.benchmarks.bed import Bed, Server, tell
from jobledger.scripts.benchmarks.table import Row

LEAST_RATE = 10_000.0
JOBS = 1_000
MOST_MEMORY_MIB = 300.0
# Of the events whose memory is asked for, this part registers jobs and as many start; the rest are of those jobs' course.
REGISTERED_PART = 0.2
ROUNDS_OF_MEMORY = 5


async def send(bed: Bed, server: Server, **spec: Any) -> float:
    """Have a client send commands: commands a second. Raises RuntimeError if any was refused."""
    answer = await bed.client("commands", server, **spec)
    if answer["refused"] or answer["answers"] != spec["count"]:
        raise RuntimeError(
            f"of {spec['count']} commands {answer['answers']} were answered, {answer['refused']} refused"
        )
    return float(answer["answers"] / answer["seconds"])


async def measure_commands(bed: Bed) -> list[Row]:
    """Progress of many jobs, the same with keys, and registrations, each one streamed request."""
    plan = bed.plan
    caller = await bed.new_org("http")
    ids = await bed.running_jobs(caller, JOBS)
    spec = {"org": caller.org, "token": await bed.new_token(caller.org), "first": ids.start, "end": ids.stop}
    kinds = ("progress", "progress with keys", "register")
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    async with bed.server() as server:
        await send(bed, server, kind="progress", count=plan.commands // 10, **spec)
        for number in range(plan.rounds):
            for kind in kinds:
                verb, _, has_keys = kind.partition(" ")
                key = uuid4().hex if has_keys else None
                rates[kind].append(await send(bed, server, kind=verb, count=plan.commands, key=key, **spec))
            told = ", ".join(f"{kind} {rates[kind][-1]:,.0f}" for kind in kinds)
            tell(f"commands, round {number + 1}: {told} commands/s")
    return [
        Row(
            what=f"POST commands, one connection: {kind}",
            unit="commands/s",
            ours=rates[kind],
            least=None if "keys" in kind else LEAST_RATE,
        )
        for kind in kinds
    ]


async def measure_memory(bed: Bed) -> list[Row]:
    """A server's memory while a million events, of far more jobs than it remembers, are appended through it."""
    plan = bed.plan
    caller = await bed.new_org("memory")
    token = await bed.new_token(caller.org)
    registered = int(plan.memory_events * REGISTERED_PART / ROUNDS_OF_MEMORY)
    course = plan.memory_events // ROUNDS_OF_MEMORY - 2 * registered
    resident: list[float] = []
    async with bed.server() as server:
        spec = {"org": caller.org, "token": token}
        tell(f"memory: {server.memory_mib():.0f} MiB at the start")
        for number in range(ROUNDS_OF_MEMORY):
            first = 1 + number * registered
            jobs = {"first": first, "end": first + registered}
            await send(bed, server, kind="register", count=registered, **spec)
            await send(bed, server, kind="start", count=registered, **spec, **jobs)
            rate = await send(bed, server, kind="progress", count=course, **spec, **{**jobs, "first": 1})
            resident.append(server.memory_mib())
            tell(f"memory: {resident[-1]:.0f} MiB after part {number + 1} (the last at {rate:,.0f} events/s)")
        peak = server.memory_mib("VmHWM")
    tell(f"memory: {peak:.0f} MiB at most, hashing of passwords included")
    what = f"server's memory after {plan.memory_events:,} events"
    return [Row(what=what, unit="MiB", ours=resident[-1:], most=MOST_MEMORY_MIB)]
