"""What is attached to the jobs of an export, as files in it: ``attachment-<position>-<sha256>``, of the event that attached it.

The bytes are in the store, or, of a purged job, in the archive that its contents are read from. What was removed is not there, and
the events say so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from jobledger.ledger.domain.job import job_id_of
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.attachments import CHUNK_BYTES, AttachmentStore
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.exporting.removed import RemovedContents
from jobledger.ledger.work.exporting.zipped import STORED, Entry
from jobledger.ledger.work.lease import PACKAGE
from jobledger.ledger.work.runner import WorkFailedError

NAMES_ATTACHED = b',"type":"job.attachment_added",'
# As many as a zip's directory can count, but for the other files.
MOST_ATTACHMENTS = 65_000

Open = Callable[[str, int], Entry]


class AttachedFiles:
    """Writes what is attached into an export, a file each; *open_entry* makes one of a name and a method."""

    def __init__(self, database: Database, org: str, removed: RemovedContents, open_entry: Open) -> None:
        self._database = database
        self._store = AttachmentStore(database)
        self._org = org
        self._removed = removed
        self._open = open_entry
        self._number = 0

    async def write(self, stream: str, position: int, content: bytes) -> bool:
        """Write what an event attached, by its content; whether it is still there. The stream was learnt.

        Raises OSError, DatabaseIsAwayError, CorruptLedgerError, WorkFailedError.
        """
        data: dict[str, Any] = orjson.loads(content)["data"]
        chunks = self._chunks(stream, data)
        # Nothing of what is not there is written.
        try:
            first = await anext(chunks, b"")
        except NotFoundError:
            return False
        self._number += 1
        if self._number > MOST_ATTACHMENTS:
            raise WorkFailedError(f"More than {MOST_ATTACHMENTS} attachments: select less.")
        entry = self._open(f"attachment-{position}-{data['sha256']}", STORED)
        await asyncio.to_thread(entry.write, first)
        try:
            async for chunk in chunks:
                await asyncio.to_thread(entry.write, chunk)
        except NotFoundError as error:
            raise WorkFailedError(f"Attachment {data['attachment_id']} was removed while it was exported.") from error
        # Closed, as there may be many.
        await asyncio.to_thread(entry.finish)
        return True

    async def _chunks(self, stream: str, data: dict[str, Any]) -> AsyncIterator[bytes]:
        """The bytes. Raises NotFoundError where there are none, and as ``write``."""
        path = self._removed.attachment(stream, data["attachment_id"])
        if path is None:
            if not data["size_bytes"]:
                await self._must_be_there(stream, UUID(data["attachment_id"]))
            chunks = self._store.chunks(self._org, UUID(data["attachment_id"]), data["size_bytes"], data["sha256"])
            async for chunk in chunks:
                yield chunk
            return
        digest, at = sha256(), 0
        while chunk := await asyncio.to_thread(_slice, path, at):
            digest.update(chunk)
            at += len(chunk)
            yield chunk
        if digest.hexdigest() != data["sha256"]:
            raise WorkFailedError(f"{path.name} in an archive is not what was attached.")

    async def _must_be_there(self, stream: str, attachment_id: UUID) -> None:
        """What is empty has no chunk that would be missed. Raises NotFoundError."""
        rows = await self._database.fetch(statement(PACKAGE, "attachments_of_jobs"), self._org, [job_id_of(stream)])
        if attachment_id not in {it["id"] for it in rows}:
            raise NotFoundError(f"There is no attachment {attachment_id}.", attachment_id=str(attachment_id))


def attaching(rows: Sequence[asyncpg.Record]) -> list[asyncpg.Record]:
    """Those events that attached something."""
    return [it for it in rows if NAMES_ATTACHED in it["header"]]


def _slice(path: Path, at: int) -> bytes:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(CHUNK_BYTES)
