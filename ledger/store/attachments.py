"""What is attached to jobs: bytes beside the ledger, in chunks, so that nobody ever holds all of them.

Chunks are written before the event that records them. Those of an upload that was cut off are removed at once, or, after a
crash, by the watch.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from jobledger.ledger.errors import CorruptLedgerError, NotFoundError
from jobledger.ledger.store.database import Connection, Database
from jobledger.ledger.store.statement import ledger_statement

CHUNK_BYTES = 256 * 1024


@dataclass(slots=True)
class Upload:
    """Bytes on their way in."""

    org: str
    id: UUID = field(default_factory=uuid4)
    size_bytes: int = 0
    chunk_count: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _rest: bytearray = field(default_factory=bytearray)

    @property
    def sha256(self) -> str:
        """The SHA-256 (hex) of all that came."""
        return self._digest.hexdigest()


class AttachmentStore:
    """The attachments of every org."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, upload: Upload, piece: bytes) -> None:
        """Add some bytes to an upload; returns when whole chunks of them are written. Raises what the database raises."""
        upload.size_bytes += len(piece)
        upload._digest.update(piece)
        upload._rest += piece
        while len(upload._rest) >= CHUNK_BYTES:
            chunk = bytes(upload._rest[:CHUNK_BYTES])
            del upload._rest[:CHUNK_BYTES]
            await self._write(upload, chunk)

    async def finish(self, upload: Upload) -> None:
        """Write the last chunk. Raises what the database raises."""
        if upload._rest:
            await self._write(upload, bytes(upload._rest))
            upload._rest.clear()

    async def discard(self, upload: Upload) -> None:
        """Remove what was written of an upload, unless an event records it. Raises what the database raises."""
        if upload.chunk_count:
            await self._execute("discard_upload", upload.org, upload.id)

    async def chunks(self, org: str, attachment_id: UUID, size_bytes: int, sha256: str) -> AsyncIterator[bytes]:
        """All of an attachment's bytes. The last chunk is given only if all are those that the event recorded.

        Raises NotFoundError, CorruptLedgerError, DatabaseIsAwayError.
        """
        digest = hashlib.sha256()
        read = 0
        for number in range(1, -(-size_bytes // CHUNK_BYTES) + 1):
            records = await self._database.fetch(ledger_statement("read_chunk"), org, attachment_id, number)
            if not records:
                raise NotFoundError(f"There is no attachment {attachment_id}.", attachment_id=str(attachment_id))
            body: bytes = records[0]["body"]
            digest.update(body)
            read += len(body)
            if number * CHUNK_BYTES >= size_bytes and (read, digest.hexdigest()) != (size_bytes, sha256):
                raise CorruptLedgerError(f"Attachment {attachment_id} of {org} is not what its event recorded.")
            yield body

    async def _write(self, upload: Upload, chunk: bytes) -> None:
        upload.chunk_count += 1
        await self._execute("write_chunk", upload.org, upload.id, upload.chunk_count, chunk)

    async def _execute(self, name: str, *arguments: object) -> None:
        async def execute(connection: Connection) -> None:
            await connection.execute(ledger_statement(name), *arguments)

        await self._database.write(execute)
