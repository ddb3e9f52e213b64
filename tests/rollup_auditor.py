"""What the rollups must come to, by a count of their own: of every job that ended, as its events or its residue tell of it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, timedelta
from typing import Any

import asyncpg

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.job import Job

FINAL_TYPES = frozenset({"job.succeeded", "job.failed", "job.cancelled", "job.discarded"})


def bucket(milliseconds: int) -> int:
    """The bucket as its bounds define it: a millisecond each below 128, then 64 for each doubling."""
    if milliseconds < 128:
        return milliseconds
    doubling = milliseconds.bit_length() - 8
    return 128 + 64 * doubling + (milliseconds - (128 << doubling)) // (2 << doubling)


async def audit_rollups(
    connection: asyncpg.Connection[asyncpg.Record],
    org: str,
    generation: int,
    aggregates: Mapping[str, Aggregate],
    finals: Mapping[str, int],
) -> None:
    """The live rollups count each job once whose final event lies before their tracking position, and nothing else."""
    position = await connection.fetchval(
        "SELECT position FROM tracking WHERE org = $1 AND gen = $2 AND projection = 'rollups'", org, generation
    )
    jobs: Counter[Any] = Counter()
    sums: dict[Any, list[int]] = {}
    for stream, final_at in finals.items():
        job: Any = aggregates[stream]
        assert isinstance(job, Job)
        if final_at >= (position or 0):
            continue
        assert job.ended_at is not None
        group = (job.ended_at.astimezone(UTC).date(), job.type, job.domain, str(job.state))
        timed = job.started_at is not None
        took_ms = 0
        if job.started_at is not None:
            took_ms = max(0, math.floor((job.ended_at - job.started_at) / timedelta(milliseconds=1)))
            jobs[*group, bucket(took_ms)] += 1
        told = (job.residue or {}).get("bytes") if job.gone else _bytes(job)
        known = sums.setdefault(group, [0, 0, 0, 0])
        for number, value in enumerate((1, int(timed), took_ms, int(told or 0))):
            known[number] += value
    rows = await connection.fetch(
        "SELECT day, type, domain, state, jobs, timed_jobs, duration_ms, bytes FROM rollup WHERE org = $1 AND gen = $2",
        org,
        generation,
    )
    assert {tuple(it)[:4]: [int(n) for n in tuple(it)[4:]] for it in rows} == sums, f"rollups of {org} are wrong"
    rows = await connection.fetch(
        "SELECT day, type, domain, state, bucket, jobs FROM rollup_duration WHERE org = $1 AND gen = $2",
        org,
        generation,
    )
    assert {tuple(it)[:5]: it["jobs"] for it in rows} == jobs, f"durations of {org} are wrong"


def _bytes(job: Job) -> int:
    for told in ((job.figures or {}).get("bytes"), (job.backup or {}).get("sizeOfApplication")):
        text = str(told)
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
            return int(text.partition(".")[0])
    return 0
