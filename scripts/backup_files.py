"""The files of a backup: copied whole, with what is known of each, and durable."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.postgres.data_folder import synchronize
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.statement import statement
from jobledger.ledger.store.table_copy import PIECE_BYTES, HashedFile
from jobledger.ledger.work.archiving.files import ATTACHMENTS, MANIFEST, ArchiveFiles

PROJECTIONS = "jobledger.projections"


@dataclass(slots=True)
class BackupFiles:
    """The files of a backup that is being written in *folder*. *progress* is told of bytes."""

    folder: Path
    progress: Callable[[int], None]
    known: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def make_folder_of(self, name: str) -> Path:
        """Where the file of this name is to be."""
        path = self.folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def copy(self, source: Path, name: str) -> Mapping[str, Any]:
        """Copy a file; what is known of it. One that is no file, but a link or a device, is none. Raises OSError."""
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as given:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileNotFoundError(f"{source} is no file.")
            copied = HashedFile(self.make_folder_of(name))
            try:
                while piece := given.read(PIECE_BYTES):
                    copied.write(piece)
                    self.progress(len(piece))
                self.known[name] = copied.finish()
            finally:
                copied.close()
        return self.known[name]

    def write(self, content: bytes, name: str) -> None:
        """Write a small file."""
        file = HashedFile(self.make_folder_of(name))
        file.write(content)
        self.known[name] = file.finish()

    def remove(self, name: str) -> None:
        """Take a file out again; one that is not there is none."""
        (self.folder / name).unlink(missing_ok=True)
        self.known.pop(name, None)

    def synchronize(self) -> None:
        """Make all names durable."""
        for path, _folders, _files in os.walk(self.folder, topdown=False):
            synchronize(Path(path))


@dataclass(frozen=True, slots=True)
class WrittenArchive:
    """An archive whose files were written, as the database tells. ``files``: by name ``{"size_bytes", "sha256"}``."""

    files: ArchiveFiles
    claim: int
    written: Mapping[str, Mapping[str, Any]]
    is_deleted: bool

    def wanted(self) -> Iterator[str]:
        """The names of the files that must be there: of one that was deleted the manifest alone."""
        manifest = self.files.path(MANIFEST).name
        yield from (it for it in self.written if not self.is_deleted or it == manifest)

    def find(self, name: str) -> Path:
        """Where the file of this name is: it may not have been given its name yet."""
        path = self.files.folder / name
        return path if path.exists() else self.files.folder / f".{name}.{self.claim}.part"

    def attachments(self) -> Iterator[Path]:
        """What was attached to its jobs."""
        for folder in (self.files.path(ATTACHMENTS), self.files.part(ATTACHMENTS, self.claim)):
            if not self.is_deleted and folder.is_dir():
                yield from sorted(folder.iterdir())
                return


class ArchiveCopies:
    """The archives' files in a backup. They are copied before the database's moment, and what came since after it: so a
    file that the database of that moment names is there, though its archive be deleted meanwhile, and no other is.
    """

    def __init__(self, data: Path, files: BackupFiles, below: str) -> None:
        self._data = data
        self._files = files
        self._below = below

    async def copy(self, connection: Connection) -> list[str]:
        """Copy what the archives of the connection's moment name and is not copied yet; drop the rest. What is missing."""
        archives = [self._read(it) for it in await connection.fetch(statement(PROJECTIONS, "written_archives"))]
        return await asyncio.to_thread(self._copy, archives)

    async def wanted(self, connection: Connection) -> set[str]:
        """The names, in the backup, of what must be there by the connection's moment."""
        archives = [self._read(it) for it in await connection.fetch(statement(PROJECTIONS, "written_archives"))]
        return {self._place(it, name) for it in archives for name in it.wanted()}

    def _read(self, record: asyncpg.Record) -> WrittenArchive:
        written = orjson.loads(record["written"])
        files = ArchiveFiles.of(self._data, record["org"], record["requested_at"], record["id"])
        return WrittenArchive(files, written["claim"], written["files"], record["is_deleted"])

    def _copy(self, archives: list[WrittenArchive]) -> list[str]:
        kept: set[str] = set()
        missing = []
        for archive in archives:
            for name in archive.wanted():
                place = self._place(archive, name)
                kept.add(place)
                if not self._is_copied(archive, name, place):
                    missing.append(place)
            for path in archive.attachments():
                place = self._place(archive, f"{archive.files.path(ATTACHMENTS).name}/{path.name}")
                # Between looking and opening the folder was given its name.
                named = archive.files.path(ATTACHMENTS) / path.name
                if place in self._files.known or (self._try(path, place) or self._try(named, place)) is not None:
                    kept.add(place)
            if not archive.is_deleted:
                folder = self._place(archive, f"{archive.files.path(ATTACHMENTS).name}/")
                kept.update(it for it in self._files.known if it.startswith(folder))
        for name in [it for it in self._files.known if it.startswith(f"{self._below}/") and it not in kept]:
            self._files.remove(name)
        return missing

    def _place(self, archive: WrittenArchive, name: str) -> str:
        return f"{self._below}/{archive.files.folder.name}/{name}"

    def _is_copied(self, archive: WrittenArchive, name: str, place: str) -> bool:
        known = self._files.known.get(place) or self._try(archive.find(name), place)
        if known is None:
            # Between looking and opening it was given its name.
            known = self._try(archive.find(name), place)
        if known is not None and dict(known) != dict(archive.written[name]):
            self._files.remove(place)
            return False
        return known is not None

    def _try(self, path: Path, place: str) -> Mapping[str, Any] | None:
        try:
            return self._files.copy(path, place)
        except FileNotFoundError:
            self._files.remove(place)
            return None
