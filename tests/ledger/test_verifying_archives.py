"""Verifying archives: each file is what the ledger says, or its name is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jobledger.ledger.domain.archive_commands import DeleteArchive
from jobledger.ledger.domain.job_removal import EraseJob
from jobledger.ledger.evidence.signed import DiffersError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.archiving import verifying
from jobledger.ledger.work.archiving.files import ATTACHMENTS, EVENTS, MANIFEST, PRIVATE
from jobledger.ledger.work.archiving.verifying import verify_archives
from tests.ledger.archived import archived, archiver, ended, file_of, finished
from tests.ledger.test_exported_attachments import attach
from tests.world import ALICE, ORG, register_running, succeed


@pytest.fixture(autouse=True)
def looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works on these."""
    monkeypatch.setattr(verifying, "LOOKS", 1)


def flip(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))


ALTERATIONS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "events": (EVENTS, flip, "it is not the file that its manifest names"),
    "no events": (EVENTS, Path.unlink, "it is missing"),
    "private": (PRIVATE, flip, "it is not the file that its manifest names"),
    "no private": (PRIVATE, Path.unlink, "it is missing"),
    "manifest": (MANIFEST, flip, "it is not the manifest that the ledger verified"),
    "no manifest": (MANIFEST, Path.unlink, "it is missing"),
    "attachment": (ATTACHMENTS, flip, "it is not what was attached"),
    "no attachment": (ATTACHMENTS, Path.unlink, "it is missing"),
}


async def test_whatever_is_altered_or_missing_of_an_archive_is_named(ledger: Ledger, tmp_path: Path) -> None:
    await ended(ledger, 2, is_located=True)
    job_id = await register_running(ledger)
    await attach(ledger, job_id)
    await ledger.execute(succeed(job_id))
    await archived(ledger, tmp_path)
    assert await verify_archives(ledger, ORG, tmp_path) == 1

    for suffix, alter, told in ALTERATIONS.values():
        folder = file_of(tmp_path, MANIFEST).parent
        path = next(it for it in folder.iterdir() if it.name == file_of(tmp_path).name.replace(EVENTS, suffix))
        path = next(path.iterdir()) if suffix == ATTACHMENTS else path
        name, raw = str(path.relative_to(folder)), path.read_bytes()
        alter(path)
        with pytest.raises(DiffersError, match=re.escape(f"archive file {name}: {told}")):
            await verify_archives(ledger, ORG, tmp_path)
        path.write_bytes(raw)
    assert await verify_archives(ledger, ORG, tmp_path) == 1


async def test_what_was_erased_or_deleted_of_archives_must_not_be_there(ledger: Ledger, tmp_path: Path) -> None:
    """A file that somebody puts back is named; an archive that was rewritten is compared with what it is now."""
    job_id = await register_running(ledger)
    await attach(ledger, job_id)
    await ledger.execute(succeed(job_id))
    archive = await archived(ledger, tmp_path, purge=True, reason="space")
    [attachment] = file_of(tmp_path, ATTACHMENTS).iterdir()
    kept, raw = file_of(tmp_path), attachment.read_bytes()
    async with archiver(ledger, tmp_path):
        erasing = await ledger.execute(EraseJob(caller=ALICE, job_id=job_id, scope="private", reason="asked for"))
        await finished(ledger, erasing.result["erasing_job_id"])
    assert await verify_archives(ledger, ORG, tmp_path) == 1
    attachment.write_bytes(raw)
    with pytest.raises(DiffersError, match=f"{attachment.name}: it was erased, and is there"):
        await verify_archives(ledger, ORG, tmp_path)
    attachment.unlink()

    raw = kept.read_bytes()
    await ledger.execute(DeleteArchive(caller=ALICE, archive_id=archive.archive_id, reason="old"))
    for path in kept.parent.iterdir():
        if path.is_file() and not path.name.endswith(MANIFEST):
            path.unlink()
    file_of(tmp_path, ATTACHMENTS).rmdir()
    assert await verify_archives(ledger, ORG, tmp_path) == 0
    kept.write_bytes(raw)
    with pytest.raises(DiffersError, match=re.escape(f"{kept.name}: its archive was deleted, and it is there")):
        await verify_archives(ledger, ORG, tmp_path)
