"""Verifying an org's archives: what their folder holds, against what the ledger says that it must hold."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jobledger.ledger.domain.archive import Archive
from jobledger.ledger.evidence.signed import DiffersError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.archiving.files import ATTACHMENTS, EVENTS, MANIFEST, PRIVATE, PROOF, ArchiveFiles
from jobledger.ledger.work.archiving.manifest import Manifest
from jobledger.ledger.work.archiving.reading import digest_of_file
from jobledger.ledger.work.runner import WorkFailedError

VERIFIED = "archive.verified"
EVENTS_A_READ = 500
# Files get their names, or go, after the event that says so: who does that just now is given the time.
LOOKS, LOOK_S = 5, 1.0


async def verify_archives(ledger: Ledger, org: str, data: Path) -> int:
    """How many archives have their files below *data*, each as the ledger has verified it, or rewritten it since.

    Raises DiffersError for the first file that is missing, differs, or should be gone; NotFoundError, DatabaseIsAwayError, OSError.
    """
    number, after = 0, -1
    while True:
        page = await ledger.recorder.page(org, after, EVENTS_A_READ, type_name=VERIFIED)
        for it in page.events:
            number += await _verify(ledger, org, data, it.envelope()["stream"])
        if page.next_after is None:
            return number
        after = page.next_after


async def _verify(ledger: Ledger, org: str, data: Path, stream: str) -> bool:
    """Whether its files are there, which they are not once it was deleted. Raises DiffersError."""
    for look in range(1, LOOKS + 1):
        archive = await ledger.aggregate(org, stream)
        assert isinstance(archive, Archive)
        files = ArchiveFiles.of(data, org, archive.requested_at, archive.archive_id)
        try:
            if archive.deleted_at is not None:
                await asyncio.to_thread(_must_be_gone, files)
                return False
            await asyncio.to_thread(_must_be_there, files, archive.manifest_sha256 or "")
            return True
        except DiffersError:
            if look == LOOKS:
                raise
            await asyncio.sleep(LOOK_S)
    raise AssertionError("the last look returns, or raises")


def _must_be_there(files: ArchiveFiles, manifest_sha256: str) -> None:
    path = files.path(MANIFEST)
    _must_be(files, path, manifest_sha256, "the manifest that the ledger verified")
    try:
        manifest = Manifest(path)
    except WorkFailedError as error:
        raise DiffersError(f"archive file {path.name}: {error}") from None
    for name, told in manifest.head["files"].items():
        _must_be(files, files.folder / name, told["sha256"], "the file that its manifest names")
    for attachment in manifest.attachments:
        path = files.path(ATTACHMENTS) / attachment["file"]
        if not attachment.get("erased"):
            _must_be(files, path, attachment["sha256"], "what was attached")
        elif path.exists():
            raise DiffersError(f"archive file {_name(path, files)}: it was erased, and is there")


def _must_be(files: ArchiveFiles, path: Path, sha256: str, what: str) -> None:
    if not path.exists():
        raise DiffersError(f"archive file {_name(path, files)}: it is missing")
    try:
        found = digest_of_file(path)[1]
    except WorkFailedError as error:
        raise DiffersError(f"archive file {_name(path, files)}: {error}") from None
    if found != sha256:
        raise DiffersError(f"archive file {_name(path, files)}: it is not {what}")


def _must_be_gone(files: ArchiveFiles) -> None:
    for path in map(files.path, (EVENTS, PRIVATE, ATTACHMENTS, PROOF)):
        if path.exists():
            raise DiffersError(f"archive file {_name(path, files)}: its archive was deleted, and it is there")


def _name(path: Path, files: ArchiveFiles) -> str:
    return str(path.relative_to(files.folder))
