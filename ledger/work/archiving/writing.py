"""Writing an archive: the selected events as they are stored, in the order of positions, a gzip member at a time.

Whatever the number of jobs, what is remembered of them is a few numbers each. Postgres joins the lines; here they are compressed
and written, by a thread, while it joins the next.
"""

from __future__ import annotations

import asyncio
import os
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, BinaryIO
from uuid import UUID

import asyncpg
from isal import igzip

from jobledger.ledger.domain.archive import Archive
from jobledger.ledger.errors import CorruptLedgerError, NotFoundError
from jobledger.ledger.evidence.checkpoint import Checkpoint
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.store.attachments import AttachmentStore
from jobledger.ledger.store.columns import plain_array
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.archiving.files import (
    ATTACHMENTS,
    EVENTS,
    MANIFEST,
    PRIVATE,
    PROOF,
    ArchiveFiles,
    sync_folder,
)
from jobledger.ledger.work.archiving.manifest import FORMAT, Members, write_manifest
from jobledger.ledger.work.archiving.proof import ProofWriter, covering
from jobledger.ledger.work.archiving.selection import Selection
from jobledger.ledger.work.lease import PACKAGE
from jobledger.ledger.work.runner import Task

# What a member holds before it is compressed: one job's is read without the rest, in a few milliseconds.
MEMBER_BYTES = 512 * 1024
MOST_EVENTS_A_MEMBER = 1_000
COMPRESSION = 1
JOBS_A_LOOKUP = 1_000
# Events are put in order by windows of so many positions, so that not all of them are sorted at once.
WINDOW_BITS = 16
NUMBER_BITS = 40
MEMBERS_A_REPORT = 200


@dataclass(slots=True)
class Output:
    """A file that is being written, and what is known of it."""

    file: BinaryIO
    size: int = 0
    digest: Any = field(default_factory=sha256)

    def write(self, piece: bytes) -> None:
        """Add to it. Raises OSError."""
        self.file.write(piece)
        self.digest.update(piece)
        self.size += len(piece)

    def finish(self) -> dict[str, Any]:
        """Make it durable; its ``{"size_bytes", "sha256"}``. Raises OSError."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
        return {"size_bytes": self.size, "sha256": self.digest.hexdigest()}


class ArchiveWriter:
    """Writes an archive's files under the names of a claim. Each event has a number, job by job in the order of the selection."""

    def __init__(
        self,
        task: Task,
        archive: Archive,
        selection: Selection,
        files: ArchiveFiles,
        evidence: EvidenceStore | None = None,
    ) -> None:
        self._task = task
        self._archive = archive
        self._selection = selection
        self._files = files
        # Of an installation that signs nothing there is none.
        self._evidence = evidence
        self._checkpoint: Checkpoint | None = None
        self._windows: dict[int, array[int]] = {}
        self._members = Members()
        # The member of each event, and how many events there are.
        self._member_of = array("i")
        self._private: Output | None = None
        self._private_number = 0
        self._attachments: list[dict[str, Any]] = []

    async def write(self) -> tuple[dict[str, dict[str, Any]], dict[str, int]]:
        """Write them all, durably; by name what each file is, and how many there are of what. Raises OSError, DatabaseIsAwayError,
        CorruptLedgerError.
        """
        await self._find_positions()
        events = Output(self._part(EVENTS).open("xb"))
        proof: Output | None = None
        try:
            proof, proving = await self._begin_proof()
            await self._write_events(events, proving)
            written = {EVENTS: await asyncio.to_thread(events.finish)}
            if self._private is not None:
                written[PRIVATE] = await asyncio.to_thread(self._private.finish)
            if proof is not None and proving is not None:
                await proving.end()
                written[PROOF] = await asyncio.to_thread(proof.finish)
        finally:
            for it in (events, self._private, proof):
                if it is not None:
                    it.file.close()
        await self._write_attachments()
        counts = {
            "jobs": len(self._selection),
            "events": len(self._member_of),
            "private": self._private_number,
            "attachments": len(self._attachments),
        }
        named = {self._files.path(suffix).name: it for suffix, it in written.items()}
        manifest = await asyncio.to_thread(self._write_manifest, named, counts)
        await asyncio.to_thread(sync_folder, self._files.folder)
        return {**named, self._files.path(MANIFEST).name: manifest}, counts

    def _part(self, suffix: str) -> Any:
        return self._files.part(suffix, self._task.claim)

    async def _fetch_row(self, name: str, *arguments: Any) -> asyncpg.Record:
        [row] = await self._task.ledger.database.fetch(statement(PACKAGE, name), *arguments)
        return row

    async def _find_positions(self) -> None:
        """Note in each window of positions which events stand there: place in the window and number, in one integer."""
        total = 0
        for ids, versions in self._selection.slices(JOBS_A_LOOKUP):
            row = await self._fetch_row("positions_of_jobs", self._task.org, ids, versions)
            # Versions are gapless from 1.
            if row["counts"] != versions:
                raise CorruptLedgerError(f"Events of selected jobs of {self._task.org} are missing.")
            positions = array("q")
            positions.frombytes(row["positions"])
            if sys.byteorder == "little":
                positions.byteswap()
            windows = self._windows
            for number, position in enumerate(positions, total):
                window = windows.get(position >> WINDOW_BITS)
                if window is None:
                    window = windows[position >> WINDOW_BITS] = array("q")
                window.append((position & ((1 << WINDOW_BITS) - 1)) << NUMBER_BITS | number)
            total += len(positions)
        self._member_of = array("i", bytes(4 * total))

    async def _begin_proof(self) -> tuple[Output, ProofWriter] | tuple[None, None]:
        """What proves the headers, once all of them are signed. Raises WorkFailedError."""
        if self._evidence is None or not self._windows:
            return None, None
        window = max(self._windows)
        last = (window << WINDOW_BITS) + (max(self._windows[window]) >> NUMBER_BITS)
        self._checkpoint = await covering(self._evidence, self._task.org, last + 1)
        output = Output(self._part(PROOF).open("xb"))
        return output, ProofWriter(self._evidence, self._task.org, self._checkpoint, output)

    async def _write_events(self, events: Output, proving: ProofWriter | None) -> None:
        following: asyncio.Task[None] | None = None
        try:
            for window in sorted(self._windows):
                entries = sorted(self._windows.pop(window))
                first = window << WINDOW_BITS
                begin = 0
                while begin < len(entries):
                    some = entries[begin : begin + MOST_EVENTS_A_MEMBER]
                    positions = [first + (it >> NUMBER_BITS) for it in some]
                    row = await self._fetch_row("lines_of_events", self._task.org, plain_array(positions), MEMBER_BYTES)
                    taken = row["number"]
                    if not taken:
                        raise CorruptLedgerError(f"Position {positions[0]} of {self._task.org} is missing.")
                    if following is not None:
                        await following
                    if len(self._members) % MEMBERS_A_REPORT == 0:
                        await self._report()
                    numbers = [it & ((1 << NUMBER_BITS) - 1) for it in some[:taken]]
                    # Compressed while Postgres joins the next.
                    following = asyncio.create_task(
                        asyncio.to_thread(self._write_member, events, row, positions[0], positions[taken - 1], numbers)
                    )
                    if proving is not None:
                        await proving.add(positions[:taken])
                    begin += taken
        finally:
            if following is not None:
                # Never leave a thread behind that writes.
                await asyncio.shield(following)
        if not self._members:
            # Even then a file that gzip reads.
            events.write(igzip.compress(b"", COMPRESSION, mtime=0))

    def _write_member(self, events: Output, row: asyncpg.Record, first: int, last: int, numbers: list[int]) -> None:
        offset = events.size
        events.write(igzip.compress(row["lines"], COMPRESSION, mtime=0))
        private_offset = private_length = 0
        if row["private_number"]:
            if self._private is None:
                self._private = Output(self._part(PRIVATE).open("xb"))
            private_offset = self._private.size
            self._private.write(igzip.compress(row["privates"], COMPRESSION, mtime=0))
            private_length = self._private.size - private_offset
            self._private_number += row["private_number"]
        place = len(self._members)
        for number in numbers:
            self._member_of[number] = place
        self._members.add(offset, events.size - offset, first, last, len(numbers), private_offset, private_length)

    async def _report(self) -> None:
        """Say how far it is. It tells, too, whether the claim still counts."""
        written = sum(it[4] for it in self._members)
        total = len(self._member_of)
        await self._task.advance(
            progress=self._task.part(written / total if total else 0.0),
            message=f"Archived: {written} of {total} events",
        )

    async def _write_attachments(self) -> None:
        store = AttachmentStore(self._task.ledger.database)
        for ids, _ in self._selection.slices(JOBS_A_LOOKUP):
            for row in await self._task.ledger.database.fetch(
                statement(PACKAGE, "attachments_of_jobs"), self._task.org, ids
            ):
                attachment_id = UUID(bytes=row["id"].bytes)
                name = f"{row['job_id']}-{attachment_id}"
                folder = self._part(ATTACHMENTS)
                folder.mkdir(exist_ok=True, mode=0o700)
                output = Output((folder / name).open("xb"))
                try:
                    chunks = store.chunks(self._task.org, attachment_id, row["size_bytes"], row["sha256"])
                    async for chunk in chunks:
                        await asyncio.to_thread(output.write, chunk)
                    known = await asyncio.to_thread(output.finish)
                except NotFoundError:
                    # It was removed meanwhile: the job has changed, and is not purged.
                    (folder / name).unlink()
                    continue
                finally:
                    output.file.close()
                self._attachments.append({"job_id": row["job_id"], "id": str(attachment_id), "file": name, **known})
        if self._attachments:
            await asyncio.to_thread(sync_folder, self._part(ATTACHMENTS))

    def _write_manifest(self, files: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
        archive, members = self._archive, self._members
        head = {
            "format": FORMAT,
            "org": self._task.org,
            "archive_id": archive.archive_id,
            "requested_at": archive.requested_at.isoformat().replace("+00:00", "Z"),
            "requested_by": archive.requested_by,
            "selection": {it: archive.order[it] for it in ("ended_before", "type", "domains") if it in archive.order},
            "counts": counts,
            "skipped": dict(archive.skipped),
            "first_position": members[0][2] if len(members) else None,
            "last_position": members[len(members) - 1][3] if len(members) else None,
            "files": files,
            "checkpoint": None if self._checkpoint is None else self._checkpoint.note.decode(),
        }
        path = self._part(MANIFEST)
        return write_manifest(path, head, self._attachments, members, self._job_lines())

    def _job_lines(self) -> Iterator[bytes]:
        end = 0
        for job_id, version in zip(self._selection.ids, self._selection.versions, strict=True):
            begin, end = end, end + version
            places = sorted(set(self._member_of[begin:end]))
            yield b"[%d,%d,[%b]]" % (job_id, version, b",".join(b"%d" % it for it in places))
