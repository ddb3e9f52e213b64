"""A server that is killed at any step of an archive: another goes on, and nothing is purged that is not archived, or twice."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from jobledger.ledger.domain.job import State
from jobledger.ledger.store.ledger import Ledger
from tests.ledger.archived import archive_of, ended, file_of, finished, folder, job_of, lines_of, request
from tests.system.archiving_process import PLACES
from tests.world import ORG, types_of

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
JOBS = 7


@contextmanager
def working(
    url: str, data: Path, *place: str, module: str = "tests.system.archiving_process"
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that archives, or does what the module's does, perhaps up to a place."""
    command = [sys.executable, "-m", module, url, str(data), *place]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == b"works\n"
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.mark.parametrize("place", PLACES)
async def test_an_archive_is_finished_by_another_server_wherever_the_first_was_killed(
    ledger: Ledger, database_url: str, tmp_path: Path, place: str
) -> None:
    """Every job is purged once, each is in the one verified archive, and no part of a file is left."""
    jobs = await ended(ledger, JOBS, is_located=True)
    archive_id = await request(ledger, purge=True)
    with working(database_url, tmp_path, place) as first:
        assert first.stdout is not None
        assert (await asyncio.to_thread(first.stdout.readline)).decode().strip() == place
        archive = await archive_of(ledger, archive_id)
        if archive.verified_at is None:
            assert [(await job_of(ledger, it)).gone for it in jobs] == [None] * JOBS
        first.kill()

    with working(database_url, tmp_path):
        job = await finished(ledger, archive_id, within=timedelta(seconds=60))

    assert job.state is State.SUCCESS, job.reason
    archive = await archive_of(ledger, archive_id)
    assert (archive.selected, archive.purged, dict(archive.not_purged)) == (JOBS, JOBS, {})
    lines = Counter(it["header"]["stream"] for it in lines_of(file_of(tmp_path)))
    assert lines == {f"job-{job_id}": 4 for job_id in jobs}
    for job_id in jobs:
        assert (await types_of(ledger, f"job-{job_id}")).count("job.purged") == 1
    types = await types_of(ledger, f"archive-{archive_id}")
    assert [types.count(it) for it in ("archive.written", "archive.verified", "archive.completed")] == [1, 1, 1]
    assert sorted(it.suffix for it in folder(tmp_path).iterdir()) == [".gz", ".gz", ".json"]
    assert (await ledger.recorder.head(ORG)).size > 0
