"""Archives while Postgres is killed under them, and what a month of them leaves of the database's size."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobledger.ledger.domain.archive_work import ConcludeArchive, NoteVerified, NoteWritten, PurgeJobs, SelectJobs
from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_work import AdvanceWork
from jobledger.ledger.errors import UnavailableError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.migration import migrate
from jobledger.ledger.work import runner
from jobledger.ledger.work.archiving import work
from tests.auditor import audit
from tests.cluster import running_cluster, session
from tests.ledger.archived import archive_of, archiver, ended, file_of, finished, folder, lines_of, request
from tests.system.test_crashes import postmaster_of
from tests.world import ORG, ids, registration, serving, spec, start, succeed, types_of

pytestmark = [pytest.mark.slow, pytest.mark.alone]

JOBS = 6
STEPS = (SelectJobs, AdvanceWork, NoteWritten, NoteVerified, PurgeJobs, ConcludeArchive)
DAYS, JOBS_A_DAY = 30, 40


@pytest.fixture
def own_cluster_url() -> Iterator[str]:
    """A Postgres of the test's own, migrated."""
    with running_cluster() as url:
        asyncio.run(migrate(url))
        yield url


async def test_a_postgres_that_is_killed_at_every_step_loses_no_archive(
    own_cluster_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before and after each step of one archive: it is verified once, and every job purged once."""
    monkeypatch.setattr(runner, "LAPSE", timedelta(seconds=1))
    monkeypatch.setattr(work.Pace, "jobs", 2)
    left: set[tuple[type[Command], str]] = {(kind, when) for kind in STEPS for when in ("before", "after")}
    enqueue = Ledger.enqueue

    def kill(command: Command, when: str) -> None:
        if (type(command), when) in left:
            left.remove((type(command), when))
            os.kill(postmaster_of(own_cluster_url), signal.SIGKILL)

    async def enqueue_and_kill(ledger: Ledger, command: Command) -> Any:
        kill(command, "before")
        future = await enqueue(ledger, command)
        kill(command, "after")
        return future

    async with serving(own_cluster_url) as ledger:
        await ledger.create_org(ORG)
        jobs = await ended(ledger, JOBS, is_located=True)
        monkeypatch.setattr(Ledger, "enqueue", enqueue_and_kill)
        async with archiver(ledger, tmp_path):
            archive_id = await request(ledger, purge=True)
            job = await over(ledger, archive_id)

        assert not left
        assert job.state is State.SUCCESS, job.reason
        archive = await archive_of(ledger, archive_id)
        assert (archive.selected, archive.purged, dict(archive.not_purged)) == (JOBS, JOBS, {})
        lines = Counter(it["header"]["stream"] for it in lines_of(file_of(tmp_path)))
        assert lines == {f"job-{job_id}": 4 for job_id in jobs}
        for job_id in jobs:
            assert (await types_of(ledger, f"job-{job_id}")).count("job.purged") == 1
        types = await types_of(ledger, f"archive-{archive_id}")
        assert [types.count(it) for it in ("archive.written", "archive.verified", "archive.completed")] == [1, 1, 1]
        assert not [it for it in folder(tmp_path).iterdir() if it.name.startswith(".")]
    await audit(own_cluster_url)


async def over(ledger: Ledger, job_id: int) -> Job:
    """The job once it has ended, however often the database was away meanwhile."""
    async with asyncio.timeout(150):
        while True:
            with suppress(UnavailableError):
                return await finished(ledger, job_id, within=timedelta(seconds=150))
            await asyncio.sleep(0.1)


async def test_a_month_of_daily_purges_leaves_headers_and_residues_alone(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    """Under constant load what contents and jobs take is what a day or two of it takes, whatever the day; the rest grows by less
    than a kilobyte for each event: its header, and what is known of a job that was purged.
    """
    of_what_goes: list[int] = []
    of_all: list[int] = []
    events: list[int] = []
    async with archiver(ledger, tmp_path), session(database_url) as owner:
        for _ in range(DAYS):
            filler = {"Filler": os.urandom(5_000).hex()}
            jobs = ids(await ledger.execute(registration(*(spec(attributes=filler) for _ in range(JOBS_A_DAY)))))
            for step in (start, succeed):
                await asyncio.gather(*(ledger.execute(step(it)) for it in jobs))
            job = await finished(ledger, await request(ledger, purge=True))
            assert job.state is State.SUCCESS, job.reason
            # As autovacuum does it, which looks once a minute.
            await owner.execute("VACUUM")
            # But for what stays: residues, in the contents of the purges.
            of_what_goes.append(
                await owner.fetchval(
                    "SELECT pg_total_relation_size('content') + pg_total_relation_size('job') - sum(pg_column_size(c.*) + 48)"
                    " FROM content AS c"
                )
            )
            of_all.append(await owner.fetchval("SELECT pg_database_size(current_database())"))
            events.append((await ledger.recorder.head(ORG)).size)

    assert max(of_what_goes[5:]) <= 2 * max(of_what_goes[:5])
    grown, appended = of_all[-1] - of_all[9], events[-1] - events[9]
    assert grown < 1_024 * appended
    assert grown < 20 * JOBS_A_DAY * 10_000 / 2
