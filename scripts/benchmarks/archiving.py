"""Archiving and purging a million events while others go on: how fast, how much memory, what the others wait, what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import aiohttp

from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job import FINAL_STATES, State
from jobledger.ledger.work.archiving.reading import read_job
from jobledger.scripts.benchmarks.bed import Bed, Server, tell
from jobledger.scripts.benchmarks.costs import children_s, process_s
from jobledger.scripts.benchmarks.million import copy_and_gzip, follow, new_million
from jobledger.scripts.benchmarks.population import EVENTS_A_JOB
from jobledger.scripts.benchmarks.table import Row, percentile

LEAST_EVENTS_A_SECOND = 15_000.0
MOST_MIB = 64.0
LONGEST_OTHERS_MS = 150.0
LONGEST_READ_MS = 20.0
MOST_ROUNDS = 3
LOOK_EVERY_S = 0.05
# Others: so many callers, each of whom asks so often.
CALLERS = 8
ASK_EVERY_S = 0.1
RUNNING_JOBS = 100


@dataclass(slots=True)
class Archived:
    """What one archive came to."""

    took_s: float
    stages_s: Mapping[str, float]
    more_mib: float
    others_ms: Sequence[float]
    read_ms: Sequence[float]
    size_bytes: int


@dataclass(slots=True)
class Others:
    """Callers of the same org, who read jobs and lists and report progress, at their own pace."""

    session: aiohttp.ClientSession
    ids: range
    latencies_ms: list[float] = field(default_factory=list)

    async def call(self, number: int) -> None:
        """Be one of them, until cancelled."""
        await asyncio.sleep(ASK_EVERY_S * number / CALLERS)
        for turn in count():
            job_id = self.ids[(number * 13 + turn) % len(self.ids)]
            began = perf_counter()
            match turn % 3:
                case 0:
                    await answer_of(self.session, "POST", f"jobs/{job_id}/progress", {"progress": turn % 100 / 100})
                case 1:
                    await answer_of(self.session, "GET", f"jobs/{job_id}")
                case _:
                    await answer_of(self.session, "GET", "jobs?state=RUNNING&limit=100")
            took_s = perf_counter() - began
            self.latencies_ms.append(1000 * took_s)
            await asyncio.sleep(max(0.0, ASK_EVERY_S - took_s))


async def answer_of(session: aiohttp.ClientSession, method: str, path: str, body: Any = None) -> Any:
    """What is answered. Raises aiohttp's errors for what is refused."""
    async with session.request(method, path, json=body, raise_for_status=True) as response:
        return await response.json()


async def measure_archive(bed: Bed) -> list[Row]:
    """A round is an org of its own: everything in it is archived and purged."""
    rounds: list[Archived] = []
    copied: list[tuple[float, int]] = []
    for number in range(min(bed.plan.rounds, MOST_ROUNDS)):
        # What others have read of it before they need no more.
        shared = bed.orgs.pop("million", None)
        caller = shared or await new_million(bed)
        ids = await bed.running_jobs(caller, RUNNING_JOBS)
        await follow(bed, caller)
        copied.append(await copy_and_gzip(bed, caller, (await bed.ledger.recorder.head(caller.org)).size))
        rounds.append(await _archive(bed, caller, ids))
        tell(
            f"archive, round {number + 1}: {rounds[-1].took_s:.1f} s, {rounds[-1].more_mib:.0f} MiB more, others' p99 "
            f"{percentile(rounds[-1].others_ms, 0.99):.0f} ms, reading one {median(rounds[-1].read_ms):.1f} ms, "
            f"{rounds[-1].size_bytes / 2**20:.1f} MiB"
        )
    events = bed.plan.ended_jobs * EVENTS_A_JOB
    name = f"archive and purge of {events:,} events"
    return [
        Row(what=name, unit="events/s", ours=[events / it.took_s for it in rounds], least=LEAST_EVENTS_A_SECOND),
        Row(what=f"{name}, memory more", unit="MiB", ours=[it.more_mib for it in rounds], most=MOST_MIB),
        Row(
            what=f"{name}, others' requests, p99",
            unit="ms",
            ours=[percentile(it.others_ms, 0.99) for it in rounds],
            most=LONGEST_OTHERS_MS,
        ),
        Row(
            what="archive: writing it",
            unit="s",
            ours=[it.stages_s.get("archive", 0.0) for it in rounds],
            others=[took_s for took_s, _ in copied],
            other_name="COPY … | gzip",
        ),
        Row(
            what="archive: size",
            unit="bytes an event",
            ours=[it.size_bytes / events for it in rounds],
            others=[length / events for _, length in copied],
            other_name="COPY … | gzip",
        ),
        Row(
            what="GET jobs/{id} of a purged job, and its events from the archive, p99",
            unit="ms",
            ours=[percentile(it.read_ms, 0.99) for it in rounds],
            most=LONGEST_READ_MS,
        ),
    ]


async def _archive(bed: Bed, caller: Caller, running: range) -> Archived:
    token = await bed.new_token(caller.org, "operator", "compliance")
    async with bed.server(is_signed=True) as server:
        url = f"http://127.0.0.1:{server.port}/ledger/v1/{caller.org}/"
        async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {token}"}) as session:
            return await _archive_by(bed, server, session, running)


async def _archive_by(bed: Bed, server: Server, session: aiohttp.ClientSession, running: range) -> Archived:
    await answer_of(session, "GET", "jobs?limit=1")
    ended_before = (await answer_of(session, "GET", f"jobs/{running[0]}"))["updated_at"]
    before = server.memory_mib()
    others = Others(session, running)
    calling = [asyncio.create_task(others.call(it)) for it in range(CALLERS)]
    most, began = before, perf_counter()
    stages_s: dict[str, float] = {}
    stage, since, spent = "wait", began, _spent(bed, server)
    try:
        order = {"ended_before": ended_before, "purge": True}
        archive_id = (await answer_of(session, "POST", "archives", order))["id"]
        while True:
            job = await answer_of(session, "GET", f"jobs/{archive_id}")
            is_over = job["state"] in FINAL_STATES
            most = max(most, server.memory_mib())
            if is_over or (job["stage"] or stage) != stage:
                now, after = perf_counter(), _spent(bed, server)
                stages_s[stage] = now - since
                own, postgres = (it - was for it, was in zip(after, spent, strict=True))
                tell(f"  {stage}: {now - since:.1f} s; processor {own:.1f} s here, {postgres:.1f} s in Postgres")
                stage, since, spent = job["stage"] or stage, now, after
            if is_over:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        took_s = perf_counter() - began
    finally:
        for it in calling:
            it.cancel()
        ended = await asyncio.gather(*calling, return_exceptions=True)
    errors = [it for it in ended if not isinstance(it, asyncio.CancelledError)]
    if errors or job["state"] != State.SUCCESS:
        raise RuntimeError(f"The archive was not made as it should: {job['reason']} {errors[:1]}")
    archive = await answer_of(session, "GET", f"archives/{archive_id}")
    if archive["purged"] != bed.plan.ended_jobs:
        raise RuntimeError(f"{archive['purged']} jobs were purged, and not {bed.plan.ended_jobs}")
    [path] = await asyncio.to_thread(lambda name: list(bed.data.rglob(name)), f"JobArchive_*_{archive_id}.ndjson.gz")
    read_ms = await _read(session, path, bed.plan.ended_jobs, bed.plan.samples)
    size_bytes = (await asyncio.to_thread(path.stat)).st_size
    return Archived(took_s, stages_s, most - before, others.latencies_ms, read_ms, size_bytes)


async def _read(session: aiohttp.ClientSession, path: Path, jobs: int, samples: int) -> list[float]:
    """What is left of a job says where its events are: these are read, and nothing else of the file."""
    latencies_ms = []
    for number in range(samples):
        job_id = 1 + number * 7_919 % jobs
        began = perf_counter()
        left = await answer_of(session, "GET", f"jobs/{job_id}")
        lines = read_job(path, job_id, left["archive"]["places"])
        latencies_ms.append(1000 * (perf_counter() - began))
        if len(lines) < EVENTS_A_JOB:
            raise RuntimeError(f"Job {job_id} is not read from its archive")
    return latencies_ms


def _spent(bed: Bed, server: Server) -> tuple[float, float]:
    assert bed.postgres.pid is not None
    return process_s(server.pid), children_s(bed.postgres.pid)
