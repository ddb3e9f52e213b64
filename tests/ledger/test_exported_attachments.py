"""Exports of jobs that something was attached to, and removed from."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from jobledger.ledger.domain.job_removal import EraseJob
from jobledger.ledger.domain.job_workflow_commands import AddAttachment, RemoveAttachment
from jobledger.ledger.store.attachments import AttachmentStore, Upload
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.exporting.zipped import unpack
from jobledger.scripts import verify
from tests.ledger.archived import archived, archiver, ended, finished
from tests.ledger.archived import file_of as archive_file_of
from tests.ledger.exported import exported, key_of, read, verified
from tests.ledger.test_tampering import Tamperer, checked, names
from tests.signing import KEY, sign
from tests.world import ALICE, ORG, register_running, succeed

PLAN = b"a plan" * 60_000


async def attach(ledger: Ledger, job_id: int, content: bytes = b"a plan") -> str:
    """The id of something that is attached to the job."""
    store, upload = AttachmentStore(ledger.database), Upload(ORG)
    await store.add(upload, content)
    await store.finish(upload)
    members: dict[str, Any] = {"size_bytes": upload.size_bytes, "chunk_count": upload.chunk_count, "name": "plan.txt"}
    members["sha256"] = upload.sha256
    await ledger.execute(AddAttachment(caller=ALICE, job_id=job_id, attachment_id=str(upload.id), **members))
    return str(upload.id)


async def detach(ledger: Ledger, job_id: int, attachment_id: str) -> None:
    await ledger.execute(
        RemoveAttachment(caller=ALICE, job_id=job_id, attachment_id=attachment_id, reason="not needed")
    )


def privates(path: Path) -> list[Any]:
    """What an export gives of the private contents, in order."""
    return [json.loads(it)["private"] for it in read(path, "private.ndjson").splitlines()]


async def test_the_name_of_an_attachment_that_was_removed_is_gone_by_an_event_that_says_so(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where that event lies behind the range; what else is private of the job is there."""
    job_id = await register_running(ledger)
    ids = [await attach(ledger, job_id) for _ in range(2)]
    size = (await sign(ledger)).size
    await detach(ledger, job_id, ids[0])

    whole = await exported(ledger, tmp_path, private=True)
    part = await exported(ledger, tmp_path, private=True, to_position=size)

    for path in (whole, part):
        assert verified(path) == 0, capsys.readouterr().out
        assert [it and it["data"]["name"] for it in privates(path)] == [None, "plan.txt"]
    assert b"job.attachment_removed" in read(part, "removals.ndjson")


async def test_the_removal_of_an_attachment_says_nothing_of_what_else_was_private(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an erasure took is proved by the erasure, though an attachment was removed since: both events are given."""
    job_id = await register_running(ledger)
    await attach(ledger, job_id)
    size = (await sign(ledger)).size
    await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope="private", reason="asked for"))
    await detach(ledger, job_id, await attach(ledger, job_id))

    path = await exported(ledger, tmp_path, private=True, to_position=size)

    assert verified(path) == 0, capsys.readouterr().out
    removals = read(path, "removals.ndjson").splitlines()
    assert [json.loads(json.loads(it)["header"])["type"] for it in removals] == ["job.erased", "job.attachment_removed"]


@pytest.mark.slow
async def test_what_is_private_of_other_jobs_events_is_read_from_the_archive_though_an_attachment_was_removed(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The removal of one attachment is no erasure: the other's name is still given once the job was purged."""
    job_id = await register_running(ledger)
    ids = [await attach(ledger, job_id) for _ in range(2)]
    await detach(ledger, job_id, ids[0])
    await ledger.execute(succeed(job_id))
    size = (await sign(ledger)).size
    before = await exported(ledger, tmp_path, private=True, checkpoint=size)
    await archived(ledger, tmp_path, purge=True, reason="space")

    after = await exported(ledger, tmp_path, private=True, checkpoint=size)

    assert verified(after) == 0, capsys.readouterr().out
    assert [it and it["data"]["name"] for it in privates(after)] == [None, "plan.txt"]
    assert before.read_bytes() == after.read_bytes()


async def test_other_contents_that_are_gone_are_missed_though_an_attachment_was_removed(
    ledger: Ledger, tmp_path: Path
) -> None:
    """Whoever takes a location, or the attachment's public content, out of an export is found, also with the ledger's key."""
    [job_id] = await ended(ledger, is_located=True)
    await detach(ledger, job_id, await attach(ledger, job_id))
    path = await exported(ledger, tmp_path, private=True)
    (tmp_path / "scratch").mkdir()
    tamperer, key = Tamperer(path, path, tmp_path / "scratch"), key_of(path)
    headers = [json.loads(it) for it in read(path, "headers.ndjson").splitlines()]
    for name, member, type_name in (
        ("private.ndjson", "private", "job.updated"),
        ("contents.ndjson", "content", "job.attachment_added"),
    ):
        [position] = [it["position"] for it in headers if it["type"] == type_name]
        lines = tamperer.files[name].splitlines(keepends=True)
        without = b'{"position":%d,"%b":null}\n' % (position, member.encode())
        changed = b"".join(without if json.loads(it)["position"] == position else it for it in lines)
        assert changed != tamperer.files[name]
        tamperer.removed = int(member == "content")

        tamperer.path.write_bytes(tamperer.packed({**tamperer.files, name: changed}, is_told=True, key=KEY))

        code, text = checked(str(tamperer.path), "--key", key)
        assert (code, f"position {position}: content of job-{job_id} is gone" in text) == (1, True), text


async def files_of_jobs(ledger: Ledger) -> tuple[int, dict[str, bytes]]:
    """The id of an ended job with three attachments, one of which was removed; of the others the files in an export."""
    job_id = await register_running(ledger)
    files = {}
    for number, content in enumerate((PLAN, b"", b"gone")):
        attachment_id = await attach(ledger, job_id, content)
        position = (await ledger.recorder.head(ORG)).size - 1
        files[f"attachment-{position}-{sha256(content).hexdigest()}"] = content
        if number == 2:
            await detach(ledger, job_id, attachment_id)
            files.popitem()
    await ledger.execute(succeed(job_id))
    return job_id, files


def attached(path: Path) -> dict[str, bytes]:
    return {name: read(path, name) for name in names(path) if name.startswith("attachment-")}


async def test_what_is_attached_is_exported_as_files_the_same_from_the_store_and_from_an_archive(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the jobs selected, and of no other; what was removed is gone by its event; twice the same, byte for byte."""
    job_id, files = await files_of_jobs(ledger)
    await files_of_jobs(ledger)
    size = (await sign(ledger)).size
    asked = {"checkpoint": size, "job_ids": [job_id], "attachments": True}

    first = await exported(ledger, tmp_path, **asked)
    await archived(ledger, tmp_path, purge=True, reason="space")
    second = await exported(ledger, tmp_path, **asked)

    assert attached(first) == files
    assert first.read_bytes() == second.read_bytes()
    assert verified(second) == 0
    assert "Proved: 2 attachments are as attached" in capsys.readouterr().out
    unpack(second, tmp_path / "unpacked")
    assert verified(tmp_path / "unpacked") == 0
    assert attached(await exported(ledger, tmp_path, job_ids=[job_id])) == {}


@pytest.mark.slow
async def test_attachments_go_with_what_an_erasure_took(ledger: Ledger, tmp_path: Path) -> None:
    """From the store and from archives."""
    live, _ = await files_of_jobs(ledger)
    await archived(ledger, tmp_path, purge=True, reason="space")
    other, files = await files_of_jobs(ledger)
    for job_id in (live, other):
        assert len(attached(await exported(ledger, tmp_path, job_ids=[job_id], attachments=True))) == len(files)
        await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope="private", reason="asked for"))

    path = await exported(ledger, tmp_path, job_ids=[live, other], attachments=True)

    assert attached(path) == {}
    assert verified(path) == 0


async def test_an_attachment_that_was_altered_left_out_or_put_in_is_found(ledger: Ledger, tmp_path: Path) -> None:
    """Also by whoever has the ledger's key: the event says what was attached."""
    job_id = await register_running(ledger)
    await attach(ledger, job_id)
    path = await exported(ledger, tmp_path, private=True, attachments=True)
    (tmp_path / "scratch").mkdir()
    tamperer, key = Tamperer(path, path, tmp_path / "scratch"), key_of(path)
    first, *_ = sorted(attached(path))
    position = first.split("-")[1]
    further = f"attachment-{position}-{sha256(b'x').hexdigest()}"

    def packed(**changed: bytes | None) -> tuple[int, str]:
        files = {**{it: tamperer.files[it] for it in names(path)[:-2]}, **changed}
        last = {it: tamperer.files[it] for it in names(path)[-2:]}
        there = {it: content for it, content in sorted(files.items()) if content is not None}
        tamperer.path.write_bytes(tamperer.packed({**there, **last}, is_told=True, key=KEY))
        return checked(str(tamperer.path), "--key", key)

    assert packed()[0] == 0
    for changed, told in (
        ({first: b"another"}, "manifest.json: it names a file that such exports do not have"),
        ({first: b"another", further: b"x"}, "manifest.json: it names a file that such exports do not have"),
        ({first: None}, f"position {position}: content of job-{job_id} is gone"),
        ({further: b"x"}, f"{further}: no event that was selected attached it"),
        ({"attachment-x": b"x"}, "manifest.json: it names a file that such exports do not have"),
    ):
        code, text = packed(**changed)
        assert (code, told in text) == (1, True), text


@pytest.mark.slow
async def test_an_archive_that_was_rewritten_for_an_erasure_verifies_as_it_is_now(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its attachments are gone, and the export names the manifest that it has since."""
    job_id, _ = await files_of_jobs(ledger)
    await archived(ledger, tmp_path, purge=True, reason="space")
    async with archiver(ledger, tmp_path):
        erased = await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope="private", reason="asked for"))
        await finished(ledger, erased.result["erasing_job_id"])

    path = await exported(ledger, tmp_path)

    arguments = [str(archive_file_of(tmp_path)), "--export", str(path), "--key", key_of(path)]
    assert verify.main(arguments) == 0, capsys.readouterr().out
