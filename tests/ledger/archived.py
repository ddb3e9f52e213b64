"""An org's jobs, archived: what the tests of archives share."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson

from jobledger.ledger.domain.archive import Archive, archive_stream
from jobledger.ledger.domain.archive_commands import RequestArchive
from jobledger.ledger.domain.job import FINAL_STATES, Job, State, job_stream
from jobledger.ledger.domain.job_workflow_commands import UpdateJob
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.archiving.work import Archiving
from jobledger.ledger.work.runner import Runner
from jobledger.projections.archive_query import ArchiveQuery
from jobledger.projections.work_query import WorkQuery
from tests.world import ALICE, ORG, register_running, succeed


async def ended(ledger: Ledger, number: int = 1, *, is_located: bool = False, **members: Any) -> list[int]:
    """Jobs that ended well, perhaps with something private."""
    ids = []
    for _ in range(number):
        job_id = await register_running(ledger, **members)
        if is_located:
            told = {"location": {"geometryType": "Point", "geometry": f"place-{job_id}"}}
            await ledger.execute(UpdateJob(caller=ALICE, job_id=job_id, members=told))
        await ledger.execute(succeed(job_id))
        ids.append(job_id)
    return ids


async def request(ledger: Ledger, *, purge: bool = False, **members: Any) -> int:
    """The id of an archive that is asked for."""
    # What has ended by now has ended before; and it is not ahead of the ledger's clock.
    before = (await ledger.recorder.head(ORG)).recorded_at + timedelta(microseconds=1)
    await asyncio.sleep(0.002)
    members = {"caller": ALICE, "ended_before": before, "purge": purge, **members}
    archive_id: int = (await ledger.execute(RequestArchive(**members))).result["id"]
    return archive_id


def archiving(ledger: Ledger, data: Path) -> Archiving:
    """The work, with its files below *data*."""
    return Archiving(data, ArchiveQuery(ledger.database).to_archive)


@asynccontextmanager
async def archiver(ledger: Ledger, data: Path, work: Archiving | None = None) -> AsyncIterator[None]:
    """A runner that archives."""
    runner = Runner(ledger, WorkQuery(ledger.database).open, [work or archiving(ledger, data)])
    await runner.start()
    try:
        yield
    finally:
        await runner.stop()


async def finished(ledger: Ledger, job_id: int, within: timedelta = timedelta(seconds=30)) -> Job:
    """The job once it is over."""
    end = asyncio.get_running_loop().time() + within.total_seconds()
    while (job := await ledger.job(ORG, job_id)).state not in FINAL_STATES:
        assert asyncio.get_running_loop().time() < end, f"job {job_id} is not over"
        await asyncio.sleep(0.01)
    return job


async def archived(ledger: Ledger, data: Path, **members: Any) -> Archive:
    """An archive, made well."""
    async with archiver(ledger, data):
        job_id = await request(ledger, **members)
        job = await finished(ledger, job_id)
    assert job.state is State.SUCCESS, job.reason
    return await archive_of(ledger, job_id)


async def archive_of(ledger: Ledger, archive_id: int) -> Archive:
    archive = await ledger.aggregate(ORG, archive_stream(archive_id))
    assert isinstance(archive, Archive)
    return archive


async def job_of(ledger: Ledger, job_id: int) -> Job:
    """The job, also one that is gone."""
    job = await ledger.aggregate(ORG, job_stream(job_id))
    assert isinstance(job, Job)
    return job


def folder(data: Path) -> Path:
    return data / "archive" / ORG


def file_of(data: Path, suffix: str = ".ndjson.gz") -> Path:
    """The one archive's file of this kind."""
    [path] = [it for it in folder(data).iterdir() if it.name.endswith(suffix) and ".private" not in it.name]
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    """As zcat gives them."""
    return [orjson.loads(it) for it in gzip.decompress(path.read_bytes()).splitlines()]
