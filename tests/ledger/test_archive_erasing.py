"""Erasing a job reaches the archives that hold it: what is erased is in none of their files, and the rest stays as it was."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobledger.ledger.domain.archive import Archive
from jobledger.ledger.domain.archive_commands import PurgeArchive
from jobledger.ledger.domain.archive_work import NoteErased, NoteVerified
from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_removal import ALL, PRIVATE, EraseJob
from jobledger.ledger.domain.job_workflow_commands import AddAttachment
from jobledger.ledger.store.attachments import AttachmentStore, Upload
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.archiving import work, writing
from jobledger.ledger.work.archiving.erasing import member_of
from jobledger.ledger.work.archiving.reading import digest_of_file, read_job
from jobledger.ledger.work.runner import WorkFailedError
from tests.examples import quick_or_slow
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
    request,
)
from tests.world import ALICE, ORG, types_of

WHY = "asked for by whom it is about"


def files_of(data: Path) -> dict[str, bytes]:
    """What the archive's files hold, unpacked."""
    found = {it.name: it.read_bytes() for it in folder(data).iterdir()}
    return {name: gzip.decompress(it) if name.endswith(".gz") else it for name, it in found.items()}


async def erased(ledger: Ledger, job_id: int, scope: str) -> dict[str, Any]:
    """What the one who erases is told."""
    return (await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope=scope, reason=WHY))).result


@pytest.mark.parametrize("purge", quick_or_slow([True, False], 1))
@pytest.mark.parametrize("scope", [PRIVATE, ALL])
async def test_what_is_erased_is_in_no_file_of_the_archive(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, purge: bool
) -> None:
    """Headers and all other jobs are there, where they were; the event has old and new SHA-256; asking again does nothing."""
    monkeypatch.setattr(writing, "MEMBER_BYTES", 3_000)
    jobs = await ended(ledger, 6, is_located=True, attributes={"Filler": "nobody-else" * 9})
    archive = await archived(ledger, tmp_path, purge=purge)
    before, job_id = files_of(tmp_path), jobs[2]
    events, lengths = file_of(tmp_path), {it.name: it.stat().st_size for it in folder(tmp_path).iterdir()}
    held = (await job_of(ledger, job_id)).archives or {}
    headers = [it.split(b',"content"')[0] for it in before[events.name].splitlines()]

    async with archiver(ledger, tmp_path):
        told = await erased(ledger, job_id, scope)
        assert (await finished(ledger, told["erasing_job_id"])).state is State.SUCCESS
        again = await erased(ledger, job_id, scope)

    assert told["archives"] == [archive.archive_id]
    assert "archives" not in again
    after = files_of(tmp_path)
    assert after.keys() == before.keys()
    assert not any(f"place-{job_id}".encode() in it for it in after.values())
    assert all(any(f"place-{other}".encode() in it for it in after.values()) for other in jobs if other != job_id)
    assert [it.split(b',"content"')[0] for it in after[events.name].splitlines()] == headers
    lines = read_job(events, job_id, held[str(archive.archive_id)]["places"])
    assert len(lines) == 4
    assert all(it.endswith(b',"content":null}\n') is (scope == ALL) for it in lines)
    assert (after[events.name] == before[events.name]) is (scope == PRIVATE)
    for path in folder(tmp_path).iterdir():
        assert path.name.endswith(".json") or path.stat().st_size == lengths[path.name]
    await check_the_event(ledger, tmp_path, archive, job_id, scope)


async def check_the_event(ledger: Ledger, data: Path, before: Archive, job_id: int, scope: str) -> None:
    """``archive.erased`` says what was before and is now; an archive of it is still what it should be."""
    [*_, stored] = [it async for it in ledger.recorder.scan(ORG, stream=before.id)]
    event = stored.event()
    assert isinstance(event, Archive.Erased)
    assert (event.job_id, event.scope) == (job_id, scope)
    number = 2 if scope == PRIVATE else 3
    assert len(event.files) == number
    for name, it in event.files.items():
        assert (before.written or {})["files"][name]["sha256"] == it["before"] != it["sha256"]
    async with archiver(ledger, data):
        purging = (
            await ledger.execute(PurgeArchive(caller=ALICE, archive_id=before.archive_id, reason="space"))
        ).result["id"]
        job = await finished(ledger, purging)
    assert job.state is State.SUCCESS, job.reason


async def test_what_is_erased_while_the_archive_is_made_is_not_in_it(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of a job that is still there, nor of one that was erased whole, and so is in no archive that it knows of."""
    jobs = await ended(ledger, 3, is_located=True)
    enqueue = Ledger.enqueue

    async def erase_first(ledger: Ledger, command: Command) -> Any:
        if isinstance(command, NoteVerified):
            await erased(ledger, jobs[0], PRIVATE)
            await erased(ledger, jobs[1], ALL)
        return await enqueue(ledger, command)

    monkeypatch.setattr(Ledger, "enqueue", erase_first)
    archive = await archived(ledger, tmp_path, purge=True)

    assert dict(archive.not_purged) == {"changed": 1, "gone": 1}
    after = files_of(tmp_path)
    for job_id in jobs[:2]:
        assert not any(f"place-{job_id}".encode() in it for it in after.values())
    assert any(f"place-{jobs[2]}".encode() in it for it in after.values())
    assert all(b'"content":null' in it for it in read_job(file_of(tmp_path), jobs[1], [[0, 10**6]]))
    assert (await types_of(ledger, archive.id)).count("archive.erased") == 2


async def test_a_copy_elsewhere_is_named(ledger: Ledger, tmp_path: Path) -> None:
    """Nothing here reaches it."""

    class Sent:
        async def send(self, *_: Any) -> None:
            """It is there."""

    [job_id] = await ended(ledger, is_located=True)
    work_with_copy = archiving(ledger, tmp_path)
    work_with_copy._remote = Sent()
    destination = {"host": "192.0.2.7", "port": 22, "path": "/srv", "user": "u", "secret": "s"}
    async with archiver(ledger, tmp_path, work_with_copy):
        archive_id = await request(ledger, purge=True, destination=destination)
        assert (await finished(ledger, archive_id)).state is State.SUCCESS
        told = await erased(ledger, job_id, PRIVATE)
        await finished(ledger, told["erasing_job_id"])

    assert told["copies_elsewhere"] == [{"archive_id": archive_id, "host": "192.0.2.7", "port": 22, "path": "/srv"}]


@pytest.mark.slow
@pytest.mark.parametrize("place", ["before", "after"])
async def test_erasing_that_breaks_off_is_finished_by_whoever_takes_it_over(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Right before it is accepted what it was to be replaced by, and right after."""
    jobs = await ended(ledger, 3, is_located=True)
    archive = await archived(ledger, tmp_path)
    broken: list[int] = []
    execute = work.Archiving._execute

    async def break_off(self: Any, task: Any, kind: Any, *arguments: Any, **members: Any) -> Mapping[str, Any]:
        result: Mapping[str, Any] = {}
        if place == "after" or broken:
            result = await execute(self, task, kind, *arguments, **members)
        if kind is NoteErased and not broken:
            broken.append(1)
            raise ConnectionError
        return result

    monkeypatch.setattr(work.Archiving, "_execute", break_off)
    monkeypatch.setattr("jobledger.ledger.work.runner.LAPSE", timedelta(seconds=0.5))
    async with archiver(ledger, tmp_path):
        told = await erased(ledger, jobs[0], ALL)
        assert (await finished(ledger, told["erasing_job_id"])).state is State.SUCCESS

    assert broken
    after = files_of(tmp_path)
    assert not any(f"place-{jobs[0]}".encode() in it for it in after.values())
    assert (await types_of(ledger, archive.id)).count("archive.erased") == 1
    assert all(not name.startswith(".") for name in after)
    assert (await archive_of(ledger, archive.archive_id)).manifest_sha256 == digest_of_file(
        file_of(tmp_path, ".manifest.json")
    )[1]


async def attach(ledger: Ledger, job_id: int, content: bytes) -> None:
    """Attach something to a job."""
    store, upload = AttachmentStore(ledger.database), Upload(ORG)
    await store.add(upload, content)
    await store.finish(upload)
    members: dict[str, Any] = {
        "attachment_id": str(upload.id),
        "size_bytes": len(content),
        "chunk_count": 1,
        "sha256": upload.sha256,
    }
    await ledger.execute(AddAttachment(caller=ALICE, job_id=job_id, name="plan", **members))


async def test_several_are_erased_with_what_was_attached_to_them(ledger: Ledger, tmp_path: Path) -> None:
    """None of them undoes what another did; what is attached to others stays."""
    jobs = await ended(ledger, 5, is_located=True)
    for job_id in jobs:
        await attach(ledger, job_id, b"plan of %d" % job_id)
    archive = await archived(ledger, tmp_path, purge=True)

    async with archiver(ledger, tmp_path):
        told = await asyncio.gather(*(erased(ledger, it, PRIVATE) for it in jobs[:4]))
        for it in told:
            assert (await finished(ledger, it["erasing_job_id"])).state is State.SUCCESS
        purging = PurgeArchive(caller=ALICE, archive_id=archive.archive_id, reason="space")
        checked = await finished(ledger, (await ledger.execute(purging)).result["id"])

    assert checked.state is State.SUCCESS, checked.reason
    [attached] = [it for it in folder(tmp_path).iterdir() if it.is_dir()]
    assert [it.read_bytes() for it in attached.iterdir()] == [b"plan of %d" % jobs[4]]
    text = gzip.decompress(next(folder(tmp_path).glob("*.private.ndjson.gz")).read_bytes())
    assert [f"place-{it}".encode() in text for it in jobs] == [False] * 4 + [True]
    assert (await types_of(ledger, archive.id)).count("archive.erased") == 4


def test_a_member_is_as_long_as_it_is_told() -> None:
    lines = b"".join(b"line %d\n" % it for it in range(500))

    for length in (10**4, 10**4 + 1, 3_000):
        member = member_of(lines, length)
        assert (len(member), gzip.decompress(member)) == (length, lines)
    with pytest.raises(WorkFailedError, match="does not become smaller"):
        member_of(lines, 100)
