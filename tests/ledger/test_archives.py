"""Archives: what is selected is written as it is stored, read back, verified, and only then purged."""

from __future__ import annotations

import errno
import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import asyncpg
import orjson
import pytest

from jobledger.ledger.domain.archive import Archive, ArchiveIsNotVerifiedError
from jobledger.ledger.domain.archive_commands import PurgeArchive, RequestArchive
from jobledger.ledger.domain.archive_work import HeldJob, PurgeJobs
from jobledger.ledger.domain.hold_commands import PlaceHold
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_decisions import CloseJob
from jobledger.ledger.domain.job_keeping import RetainJob
from jobledger.ledger.domain.job_removal import DeleteJob
from jobledger.ledger.domain.job_work import ClaimWork
from jobledger.ledger.errors import InvalidCommandError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.archiving import writing
from jobledger.ledger.work.archiving.reading import read_job
from jobledger.ledger.work.archiving.writing import Output
from jobledger.ledger.work.runner import Task
from tests.ledger.archived import (
    archive_of,
    archived,
    archiver,
    archiving,
    ended,
    file_of,
    finished,
    folder,
    job_of,
    lines_of,
    request,
)
from tests.world import ALICE, ORG, register_running


async def test_an_archive_holds_what_is_stored_byte_for_byte_in_the_order_of_positions(
    ledger: Ledger, tmp_path: Path
) -> None:
    """zcat reads it; every event of each selected job is there, and none of another."""
    jobs = await ended(ledger, 3, is_located=True)
    await register_running(ledger)
    stored = [
        it async for it in ledger.recorder.scan(ORG) if it.envelope()["stream"] in {f"job-{job_id}" for job_id in jobs}
    ]

    archive = await archived(ledger, tmp_path)

    lines = lines_of(file_of(tmp_path))
    raw = b"".join(b'{"header":%b,"content":%b}\n' % (it.header, it.content or b"null") for it in stored)
    assert lines == [orjson.loads(it) for it in raw.splitlines()]
    assert gzip.decompress(file_of(tmp_path).read_bytes()) == raw
    assert (archive.selected, archive.selected_events, archive.archived, archive.purged) == (3, 12, 3, 0)
    assert folder(tmp_path).stat().st_mode & 0o777 == 0o700
    for job_id in jobs:
        assert (await job_of(ledger, job_id)).archives is not None
        assert (await ledger.job(ORG, job_id)).state is State.SUCCESS


@pytest.mark.parametrize("purge", [True, False])
async def test_the_message_of_its_job_tells_the_step_it_is_in(ledger: Ledger, tmp_path: Path, purge: bool) -> None:
    """Also of a small one, of which no step tells how far it is; at last what became of the jobs."""
    await ended(ledger, 3)

    archive = await archived(ledger, tmp_path, purge=purge)

    told = []
    job: Job | None = None
    async for stored in ledger.recorder.scan(ORG, stream=f"job-{archive.archive_id}"):
        job = cast("Job", stored.event().mutate(job))
        if isinstance(stored.event(), Job.Progressed):
            told.append((job.stage, job.message))
    last = "Of 3 jobs: 3 purged" if purge else "Of 3 jobs: 3 archived and not purged"
    begun = [
        ("select", "Selecting the jobs"),
        ("archive", "Writing the archive"),
        ("archive", "Archived: 0 of 9 events"),
        ("verify", "Reading the archive back"),
        ("purge", "Purging the jobs") if purge else ("record", "Noting which jobs are archived"),
    ]
    assert list(dict.fromkeys(told)) == [*begun, (begun[-1][0], last)]


async def test_what_is_purged_leaves_a_residue_its_headers_and_nothing_else(ledger: Ledger, tmp_path: Path) -> None:
    jobs = await ended(ledger, 3, is_located=True)
    running = await register_running(ledger)

    archive = await archived(ledger, tmp_path, purge=True)

    assert (archive.purged, archive.archived, dict(archive.not_purged)) == (3, 0, {})
    for job_id in jobs:
        job = await job_of(ledger, job_id)
        assert (job.gone, job.state) == ("purged", State.SUCCESS)
        stored = [it async for it in ledger.recorder.scan(ORG, stream=f"job-{job_id}")]
        assert [it.content is None for it in stored] == [True] * (len(stored) - 1) + [False]
        assert all(it.private is None for it in stored)
    assert (await ledger.job(ORG, running)).state is State.RUNNING


async def test_each_job_is_judged_anew_when_it_is_to_be_purged(ledger: Ledger, tmp_path: Path) -> None:
    """One that was held, retained, changed or deleted since the archive was made is skipped, counted, and says where it is held."""
    plain, held, retained, changed, deleted = await ended(ledger, 5, is_located=True)
    archive = await archived(ledger, tmp_path)
    assert archive.archived == 5
    await ledger.execute(PlaceHold(caller=ALICE, name="case", job_ids=[held]))
    await ledger.execute(RetainJob(caller=ALICE, job_id=retained))
    await ledger.execute(CloseJob(caller=ALICE, job_id=changed))
    await ledger.execute(DeleteJob(caller=ALICE, job_id=deleted, reason="law"))

    async with archiver(ledger, tmp_path):
        command = PurgeArchive(caller=ALICE, archive_id=archive.archive_id, reason="space")
        purger = (await ledger.execute(command)).result["id"]
        job = await finished(ledger, purger)

    assert job.state is State.SUCCESS, job.reason
    assert job.message == "Of 5 jobs: 1 purged, 4 not purged (1 changed, 1 gone, 1 held, 1 retained)"
    archive = await archive_of(ledger, archive.archive_id)
    assert (archive.purged, dict(archive.not_purged)) == (1, {"held": 1, "retained": 1, "changed": 1, "gone": 1})
    gone = [(await job_of(ledger, it)).gone for it in (plain, held, retained, changed, deleted)]
    assert gone == ["purged", None, None, None, "deleted"]


async def test_what_is_kept_is_not_selected_and_is_counted(ledger: Ledger, tmp_path: Path) -> None:
    held, retained, other, plain = [
        job_id for kind in ("copy", "copy", "etl", "copy") for job_id in await ended(ledger, type=kind)
    ]
    await ledger.execute(PlaceHold(caller=ALICE, name="case", job_ids=[held]))
    await ledger.execute(RetainJob(caller=ALICE, job_id=retained))

    archive = await archived(ledger, tmp_path, purge=True, job_type="copy")

    assert (archive.selected, dict(archive.skipped), archive.purged) == (1, {"held": 1, "retained": 1}, 1)
    summary = (await ledger.job(ORG, archive.archive_id)).message
    assert summary == "Of 1 jobs: 1 purged; skipped: 1 held, 1 retained"
    assert (await job_of(ledger, plain)).gone == "purged"
    assert (await ledger.job(ORG, other)).archives is None


async def test_what_ends_later_is_not_asked_for(ledger: Ledger) -> None:
    """But by as much as clocks may differ: whoever asks for what ended until now need not have the ledger's."""
    ahead = datetime.now(UTC) + timedelta(seconds=3)
    await ledger.execute(RequestArchive(caller=ALICE, ended_before=ahead))

    with pytest.raises(InvalidCommandError, match="have ended"):
        await ledger.execute(RequestArchive(caller=ALICE, ended_before=ahead + timedelta(minutes=1)))


async def test_an_archive_of_nothing_is_made_and_says_so(ledger: Ledger, tmp_path: Path) -> None:
    archive = await archived(ledger, tmp_path, purge=True, job_type="none of this")

    assert (archive.selected, archive.purged) == (0, 0)
    assert lines_of(file_of(tmp_path)) == []
    assert (await ledger.job(ORG, archive.archive_id)).message == "No job was to be archived"


@pytest.mark.parametrize("what", ["lines", "private", "manifest", "header", "content"])
async def test_an_archive_that_is_not_what_the_store_holds_fails_and_nothing_is_purged(
    ledger: Ledger, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Whatever of it was altered between writing and reading back."""
    jobs = await ended(ledger, 2, is_located=True)
    work = archiving(ledger, tmp_path)
    write = work._write

    async def alter(task: Task) -> None:
        if what == "content":
            fetch = ledger.database.fetch

            async def altered(sql: str, *arguments: Any) -> Any:
                rows = await fetch(sql, *arguments)
                if "AS lines" in sql:
                    return [{**dict(rows[0]), "lines": rows[0]["lines"].replace(b'"nightly"', b'"daily"')}]
                return rows

            monkeypatch.setattr(ledger.database, "fetch", altered)
        elif what == "header":
            fetch = ledger.database.fetch

            async def other(sql: str, *arguments: Any) -> Any:
                rows = await fetch(sql, *arguments)
                if "AS lines" in sql:
                    return [{**dict(rows[0]), "lines": rows[0]["lines"].replace(b"principal-1", b"principal-7")}]
                return rows

            monkeypatch.setattr(ledger.database, "fetch", other)
        await write(task)
        monkeypatch.undo()
        suffix = {"lines": ".ndjson.gz", "private": ".private.ndjson.gz", "manifest": ".manifest.json"}.get(what)
        if suffix is not None:
            [path] = [
                it
                for it in folder(tmp_path).iterdir()
                if it.name.endswith(suffix) and (".private" in it.name) == (what == "private")
            ]
            raw = bytearray(path.read_bytes())
            raw[len(raw) // 2] ^= 1
            path.write_bytes(raw)

    monkeypatch.setattr(work, "_write", alter)
    async with archiver(ledger, tmp_path, work):
        archive_id = await request(ledger, purge=True)
        job = await finished(ledger, archive_id)

    assert job.state is State.FAILED
    assert "was read back and differs" in (job.reason or "")
    assert [(await job_of(ledger, it)).gone for it in jobs] == [None, None]
    assert (await archive_of(ledger, archive_id)).verified_at is None


async def test_a_full_disk_fails_the_job_and_leaves_no_part_of_a_file(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ended(ledger, 2)

    def write(self: Output, piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Output, "write", write)
    async with archiver(ledger, tmp_path):
        job = await finished(ledger, await request(ledger, purge=True))

    assert (job.state, job.reason) == (State.FAILED, "The archive cannot be written: No space left on device.")
    assert list(folder(tmp_path).iterdir()) == []


async def test_one_job_is_read_without_the_rest(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MEMBER_BYTES", 1_000)
    jobs = await ended(ledger, 5)
    stored = [it.envelope() async for it in ledger.recorder.scan(ORG, stream=f"job-{jobs[2]}")]

    archive = await archived(ledger, tmp_path, purge=True)

    held = (await job_of(ledger, jobs[2])).archives
    assert held is not None
    places = held[str(archive.archive_id)]["places"]
    lines = [orjson.loads(it) for it in read_job(file_of(tmp_path), jobs[2], places)]
    assert [it["header"] for it in lines] == stored[: len(lines)]
    assert len(lines) == 3


async def test_contents_stay_where_the_archive_that_a_purge_names_is_not_verified(
    ledger: Ledger, database: Database
) -> None:
    """The database itself sees to it: invariant 7."""
    [job_id] = await ended(ledger)
    archive_id = await request(ledger)
    held = [HeldJob(job_id, 3, [[0, 1]])]
    claim = ClaimWork(caller=ALICE, job_id=archive_id, claim=0, server="s", lapse=timedelta(0))
    await ledger.execute(claim)
    command = PurgeJobs(caller=ALICE, job_id=archive_id, claim=1, archive_id=archive_id, jobs=held)

    with pytest.raises(ArchiveIsNotVerifiedError):
        await ledger.execute(command)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Archive, "must_be_verified", lambda _: None)
        with pytest.raises(asyncpg.PostgresError, match="contents are removed only where an event covers it"):
            await ledger.execute(command)

    assert (await ledger.job(ORG, job_id)).gone is None
