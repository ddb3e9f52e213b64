"""Ledgers that have grown: the rows of many jobs, decided by the ledger's own code, the events written by COPY.

Each job has EVENTS_A_JOB events; which state it is in can be told from its id. Several processes each make a range of jobs:
``python -m jobledger.scripts.benchmarks.population``, told as JSON on its input which.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, ClassVar

import orjson
import uvloop

from jobledger.ledger.domain.command import Caller, Command, UnitOfWork
from jobledger.ledger.domain.job import Job, State, job_stream
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.store.batch import Batch
from jobledger.ledger.store.database import Connection, connect
from jobledger.ledger.store.head import Head
from jobledger.projections.jobs import JobsProjection
from jobledger.scripts.benchmarks.bed import Bed, anyone, tell

EVENTS_A_JOB = 5
JOBS_A_BATCH = 2_000
# When the first job started, and how long after each the next.
FIRST_START = datetime(2026, 1, 1, tzinfo=UTC)
START_EVERY = timedelta(seconds=2.6)
STATES = (State.SUCCESS,) * 6 + (State.RUNNING,) * 3 + (State.FAILED,)
EVENT_COLUMNS = ("org", "position", "stream", "version", "type", "recorded_at", "header")
CONTENT_COLUMNS = ("org", "position", "body")


def state_of(job_id: int) -> State:
    """The state that the job of this id is in; states lie among each other as if by chance."""
    return STATES[(job_id * 2_654_435_761 >> 7) % len(STATES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A range of an org's jobs, for one process to make. The events before it were recorded before *recorded_at*."""

    url: str
    org: str
    gen: int
    first_job: int
    end_job: int
    first_position: int
    recorded_at: str
    is_ended: bool = False


async def write_part(part: Part) -> Head:
    """Write the part's rows; the head that they come to, but for the projections."""
    caller = anyone(part.org)
    recorded_at = datetime.fromisoformat(part.recorded_at)
    head = Head(part.first_position, b"", recorded_at, {"job": part.first_job - 1}, {}, fence=0)
    connection = await connect(part.url, {}, role=None)
    try:
        for first in range(part.first_job, part.end_job, JOBS_A_BATCH):
            ids = range(first, min(first + JOBS_A_BATCH, part.end_job))
            recorded_at += timedelta(microseconds=1)
            batch = Batch(part.org, head, recorded_at, {})
            batch.execute(LiveJobs(caller=caller, ids=ids, is_ended=part.is_ended), {})
            await _write_rows(connection, batch, part.gen)
            head = batch.head()
    finally:
        await connection.close()
    return head


@dataclass(slots=True, kw_only=True, eq=False)
class LiveJobs(Command):
    """Register the jobs of these ids, the org's next, and let them live until they are in their state."""

    capability: ClassVar[str] = "jobs.register"
    ids: Sequence[int]
    # Whether those that would still run have succeeded.
    is_ended: bool = False

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Decide EVENTS_A_JOB events for each."""
        jobs = [JobSpec(type="backup", name=f"nightly {job_id}") for job_id in self.ids]
        RegisterJobs(caller=self.caller, jobs=jobs).decide(unit)
        for job_id in self.ids:
            job = unit.get(Job, job_stream(job_id))
            assert job is not None
            job.start(unit.now, stage="copying", started_at=FIRST_START + job_id * START_EVERY)
            job.report_progress(unit.now, 0.25)
            job.report_progress(unit.now, 0.5)
            match state_of(job_id):
                case State.SUCCESS:
                    job.succeed(unit.now)
                case State.FAILED:
                    job.fail(unit.now, error="the disk is full")
                case _ if self.is_ended:
                    job.succeed(unit.now)
                case _:
                    job.report_progress(unit.now, 0.75)
        return {}


async def _write_rows(connection: Connection, batch: Batch, gen: int) -> None:
    rows = batch.take_rows(batch.event_count)
    org, positions = batch.org, range(rows.first_position, rows.first_position + len(rows.events))
    headers, bodies, _, streams, versions, types = zip(*rows.events, strict=True)
    events = zip(positions, streams, versions, types, headers, strict=True)
    contents = zip(positions, bodies, strict=True)
    for table, columns, records in (
        (
            "event",
            EVENT_COLUMNS,
            (
                (org, position, stream, version, kind, batch.now, header)
                for position, stream, version, kind, header in events
            ),
        ),
        ("content", CONTENT_COLUMNS, ((org, position, body) for position, body in contents)),
    ):
        await connection.copy_records_to_table(table, records=records, columns=columns)
    projection = JobsProjection()
    for name, written in projection.writes(list(rows.changed.values())):
        await connection.execute(projection.write_statements[name], org, gen, *written)


async def grown_org(bed: Bed, kind: str, jobs: int, *, is_ended: bool = False) -> Caller:
    """An org with so many jobs and EVENTS_A_JOB times as many events, its head as if they had been appended.

    With *is_ended* none of them runs any more.
    """
    began = perf_counter()
    caller = await bed.new_org(kind)
    head = await bed.ledger.recorder.head(caller.org)
    processes = os.cpu_count() or 1
    bounds = [1 + jobs * n // processes for n in range(processes + 1)]
    parts = [
        Part(
            url=bed.url,
            org=caller.org,
            gen=head.generation("jobs"),
            first_job=first,
            end_job=end,
            first_position=head.size + (first - 1) * EVENTS_A_JOB,
            recorded_at=(head.recorded_at + timedelta(seconds=n)).isoformat(),
            is_ended=is_ended,
        )
        for n, (first, end) in enumerate(itertools.pairwise(bounds))
    ]
    last = (await asyncio.gather(*map(_in_a_process, parts)))[-1]
    connection = await connect(bed.url, {}, role=None)
    try:
        await connection.execute(
            "UPDATE ledger_head SET size = $2, last_leaf = $3, recorded_at = $4, numbers = $5 WHERE org = $1",
            caller.org,
            last["size"],
            bytes.fromhex(last["last_leaf"]),
            datetime.fromisoformat(last["recorded_at"]),
            orjson.dumps({**head.numbers, **last["numbers"]}).decode(),
        )
        # As the database itself would by and by.
        for table in ("event", "content", "job", "job_count"):
            await connection.execute(f"VACUUM (ANALYZE) {table}")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
    tell(f"{caller.org}: {jobs:,} jobs, {jobs * EVENTS_A_JOB:,} events by COPY in {perf_counter() - began:.0f} s")
    return caller


async def _in_a_process(part: Part) -> Mapping[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "jobledger.scripts.benchmarks.population",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(json.dumps(asdict(part)).encode())
    if process.returncode:
        raise RuntimeError("the jobs could not be written")
    head: Mapping[str, Any] = json.loads(output)
    return head


def main() -> None:
    """Write one part; its head goes to the output."""
    head = uvloop.run(write_part(Part(**json.load(sys.stdin))))
    shown = {
        "size": head.size,
        "last_leaf": head.last_leaf.hex(),
        "recorded_at": head.recorded_at.isoformat(),
        "numbers": dict(head.numbers),
    }
    json.dump(shown, sys.stdout)


if __name__ == "__main__":
    main()
