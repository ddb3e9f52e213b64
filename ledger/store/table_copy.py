"""Whole tables into files and back, in Postgres's own binary form: the same for every release of Postgres that is supported.

By hand: gunzip -c event.copy.gz | psql -c "COPY event FROM STDIN (FORMAT binary)"
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from isal import igzip

from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.ledger.store"
PIECE_BYTES = 1024 * 1024
SUFFIX = ".copy.gz"

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Table:
    """A table and its columns in their order."""

    name: str
    columns: tuple[str, ...]
    size_bytes: int


class HashedFile:
    """A new file that is only its owner's, whose ``size_bytes`` and ``sha256`` are known as it is written. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
        self._digest = sha256()
        self._size_bytes = 0

    def write(self, piece: bytes) -> int:
        """Add to it."""
        self._file.write(piece)
        self._digest.update(piece)
        self._size_bytes += len(piece)
        return len(piece)

    def flush(self) -> None:
        """Nothing: ``finish`` makes it durable."""

    def finish(self) -> dict[str, Any]:
        """Make it durable; its ``{"size_bytes", "sha256"}``."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return {"size_bytes": self._size_bytes, "sha256": self._digest.hexdigest()}

    def close(self) -> None:
        """Leave it as it is."""
        self._file.close()


async def tables(connection: Connection) -> list[Table]:
    """The schema's tables."""
    records = await connection.fetch(statement(PACKAGE, "stored_tables"))
    return [Table(it["name"], tuple(it["columns"]), it["size_bytes"]) for it in records]


async def sequences(connection: Connection) -> dict[str, list[Any]]:
    """Where each of the schema's sequences is: ``[last_value, is_called]``."""
    found: dict[str, list[Any]] = {}
    for record in await connection.fetch(statement(PACKAGE, "stored_sequences")):
        # The name is the database's own.
        state = await connection.fetchrow(f"SELECT last_value, is_called FROM {quoted(record['name'])}")  # noqa: S608
        assert state is not None
        found[record["name"]] = list(state)
    return found


async def copy_out(connection: Connection, table: Table, path: Path, progress: Progress) -> dict[str, Any]:
    """Write a table to a file: ``{"size_bytes", "sha256", "rows"}``. Raises OSError and asyncpg's errors."""
    file = HashedFile(path)
    try:
        zipped = _compressing(file)
        pieces = bytearray()

        async def take(piece: bytes) -> None:
            pieces.extend(piece)
            if len(pieces) >= PIECE_BYTES:
                await asyncio.to_thread(zipped.write, bytes(pieces))
                progress(len(pieces))
                pieces.clear()

        columns = ", ".join(map(quoted, table.columns))
        query = f"SELECT {columns} FROM {quoted(table.name)}"  # noqa: S608 - the names are the database's own
        status = await connection.copy_from_query(query, output=take, format="binary")
        zipped.write(bytes(pieces))
        progress(len(pieces))
        zipped.close()
        known = await asyncio.to_thread(file.finish)
    finally:
        file.close()
    return {**known, "rows": int(status.split()[-1])}


async def copy_in(connection: Connection, name: str, columns: Sequence[str], path: Path, progress: Progress) -> int:
    """Add the rows of such a file to a table: how many. Raises OSError and asyncpg's errors."""

    async def pieces() -> AsyncIterator[bytes]:
        opened: Any = igzip.open(path, "rb")  # type: ignore[no-untyped-call]  # the package does not say
        with opened as file:
            while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
                progress(len(piece))
                yield piece

    status = await connection.copy_to_table(name, source=pieces(), columns=list(columns), format="binary")
    return int(status.split()[-1])


def _compressing(file: HashedFile) -> Any:
    return igzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=1, mtime=0)  # type: ignore[no-untyped-call]


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
