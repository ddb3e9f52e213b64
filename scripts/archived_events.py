"""An archive's files by themselves: what they hold, and whether that is what was signed. No database is asked."""

from __future__ import annotations

import re
from array import array
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from jobledger.ledger.domain.job import job_id_of, job_stream
from jobledger.ledger.evidence.checkpoint import Checkpoint, read_checkpoint
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.work.archiving.files import EVENTS, MANIFEST, PRIVATE, PROOF, ArchiveFiles
from jobledger.ledger.work.archiving.manifest import Manifest
from jobledger.ledger.work.archiving.reading import LINE, PRIVATE_LINE, Verification, decompressed, digest_of_file
from jobledger.ledger.work.archiving.selection import Selection
from jobledger.ledger.work.runner import WorkFailedError
from jobledger.scripts.failure import FailedError

SHA256 = re.compile(r"[0-9a-f]{64}")
# What comes of reading a manifest that still is JSON, and no manifest any more.
UNREADABLE = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
SUFFIXES = (MANIFEST, PRIVATE, EVENTS, PROOF)


class ArchivedEvents:
    """The archive of which *path* is one file, the others beside it. Its calls raise FailedError."""

    def __init__(self, path: Path) -> None:
        suffix = next((it for it in SUFFIXES if path.name.endswith(it)), None)
        if suffix is None:
            raise FailedError(f"{path} is no file of an archive.")
        self.files = ArchiveFiles(path.parent, path.name.removesuffix(suffix))
        try:
            self.manifest = Manifest(self.files.path(MANIFEST))
        except WorkFailedError as error:
            raise FailedError(str(error)) from error

    @property
    def org(self) -> str:
        """Whose it is."""
        org: str = self.manifest.head["org"]
        return org

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The one that covers it. Raises NoteError."""
        note = self.manifest.head.get("checkpoint")
        return None if note is None else read_checkpoint(note.encode())

    def verify(self) -> dict[str, Any]:
        """Read all of it back, every header up to the checkpoint's root; its counts. Who signed that is not asked."""
        selection = Selection(array("i"), array("i"))
        name, digest = self.manifest.path.name, ""
        try:
            self._must_name_files()
            for job_id, version, _ in self.manifest.jobs():
                selection.ids.append(job_id)
                selection.versions.append(version)
            if any(later <= earlier for earlier, later in zip(selection.ids, selection.ids[1:], strict=False)):
                raise FailedError(f"The jobs of the manifest {name} are not in order.")
            digest = digest_of_file(self.manifest.path)[1]
            verification = Verification(self.files, selection, digest)
            manifest = verification.open_manifest()
        except (WorkFailedError, OSError) as error:
            is_differing = digest and not isinstance(error.__cause__ or error, OSError)
            unless = f" Or {name} is not, if the ledger recorded another SHA-256 of it than {digest}."
            raise FailedError(f"{error}{unless if is_differing else ''}") from error
        except UNREADABLE as error:
            raise FailedError(f"{name} is not what was written: {type(error).__name__}.") from error
        try:
            for _member in verification.read_members(manifest):
                pass
            verification.compare_jobs(manifest)
            counts: dict[str, Any] = manifest.head["counts"]
        except (WorkFailedError, OSError, *UNREADABLE) as error:
            # The files are byte for byte those that the manifest names: what they are not is what it says of them.
            raise FailedError(f"{name} is not what was written, its files are those that it names. {error}") from error
        return counts

    def _must_name_files(self) -> None:
        """Raise FailedError where the manifest itself cannot be what was written."""
        named, attachments = self.manifest.head["files"], self.manifest.attachments
        there = {self.files.path(it).name for it in (EVENTS, PRIVATE, PROOF) if self.files.path(it).exists()}
        if unknown := named.keys() - {self.files.path(it).name for it in (EVENTS, PRIVATE, PROOF)}:
            raise FailedError(f"{self.manifest.path.name} is not what was written: it names {min(unknown)}.")
        if unnamed := there - named.keys():
            raise FailedError(f"{self.manifest.path.name} is not what was written: it does not name {min(unnamed)}.")
        for told in [*named.values(), *(it for it in attachments if not it.get("erased"))]:
            if not SHA256.fullmatch(told["sha256"]):
                raise FailedError(
                    f"{self.manifest.path.name} is not what was written: {told['sha256']!r} is no SHA-256."
                )

    def events(self, job_id: int | None = None) -> Iterator[StoredEvent]:
        """Its events, or a job's, as they were stored; those that were erased have no content."""
        numbers: Iterable[int] = range(len(self.manifest.members))
        wanted = None
        if job_id is not None:
            numbers, wanted = self._members_of(job_id), job_stream(job_id).encode()
        try:
            for number in numbers:
                yield from self._read(number, wanted)
        except (OSError, WorkFailedError) as error:
            raise FailedError(str(error)) from error

    async def scan(self, _org: str, *, stream: str, end: int) -> AsyncIterator[StoredEvent]:
        """As a recorder does it: the events of a stream before a position."""
        for stored in self.events(job_id_of(stream)):
            if stored.position < end:
                yield stored

    def _members_of(self, job_id: int) -> Sequence[int]:
        try:
            found = next((it[2] for it in self.manifest.jobs() if it[0] == job_id), None)
        except WorkFailedError as error:
            raise FailedError(str(error)) from error
        if found is None:
            raise FailedError(f"The archive holds no job {job_id}.")
        return found

    def _read(self, number: int, wanted: bytes | None) -> Iterator[StoredEvent]:
        offset, length, _, _, _, private_offset, private_length = self.manifest.members[number]
        privates: dict[int, bytes] = {}
        if private_length:
            lines = self._member(PRIVATE, private_offset, private_length, number)
            privates = {int(it[1]): it[2] for it in PRIVATE_LINE.finditer(lines) if it[2] != b"null"}
        for line in LINE.finditer(self._member(EVENTS, offset, length, number)):
            if wanted is None or line[3] == wanted:
                content = None if line[7] == b"null" else line[7]
                yield StoredEvent(int(line[2]), line[1], content, privates.get(int(line[2])))

    def _member(self, suffix: str, offset: int, length: int, number: int) -> bytes:
        with self.files.path(suffix).open("rb") as file:
            file.seek(offset)
            return decompressed(file.read(length), number)
