"""Contents that have left the store: those of purged jobs are read from the archives; what was erased stays erased."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import orjson

from jobledger.ledger.domain.archive import Archive, archive_stream
from jobledger.ledger.domain.job_removal import ALL
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.archiving.files import ATTACHMENTS, EVENTS, MANIFEST, PRIVATE, ArchiveFiles
from jobledger.ledger.work.archiving.manifest import Manifest
from jobledger.ledger.work.archiving.reading import LINE, PRIVATE_LINE, decompressed
from jobledger.ledger.work.lease import PACKAGE

# Members are read in the order of positions: each is decompressed about once.
MEMBERS_KEPT = 4
DETACHED = "job.attachment_removed"
MOST_STREAMS_KNOWN = 50_000
POSITIONS = 2**63 - 1


class Gone(NamedTuple):
    """What became of a stream's contents: which archive holds them, None for none; whether all, or what is private, was erased."""

    archive_id: int | None
    is_erased: bool
    is_private_erased: bool


NOT_GONE = Gone(None, False, False)


class Parts(NamedTuple):
    """Content and private content of an event, None where there is none."""

    content: bytes | None
    private: bytes | None


class OpenArchive:
    """An archive's files, of which the members that were read last are kept."""

    def __init__(self, files: ArchiveFiles, manifest: Manifest) -> None:
        self._files = files
        self._manifest = manifest
        self._firsts = [member[2] for member in manifest.members]
        self._kept: OrderedDict[int, dict[int, Parts]] = OrderedDict()
        self._attached: dict[str, str] | None = None

    def parts(self, position: int) -> Parts:
        """Those of an event, none where the archive has it not. Raises OSError, WorkFailedError."""
        number = bisect_right(self._firsts, position) - 1
        if number < 0:
            return Parts(None, None)
        if number not in self._kept:
            self._kept[number] = self._read(number)
            if len(self._kept) > MEMBERS_KEPT:
                self._kept.popitem(last=False)
        return self._kept[number].get(position, Parts(None, None))

    def attachment(self, attachment_id: str) -> Path | None:
        """The file of an attachment, None where the archive has none."""
        if self._attached is None:
            self._attached = {it["id"]: it["file"] for it in self._manifest.attachments if not it.get("erased")}
        file = self._attached.get(attachment_id)
        return None if file is None else self._files.path(ATTACHMENTS) / file

    def _read(self, number: int) -> dict[int, Parts]:
        offset, length, _first, _last, _events, private_offset, private_length = self._manifest.members[number]
        privates: dict[int, bytes] = {}
        if private_length:
            lines = _slice(self._files.path(PRIVATE), private_offset, private_length)
            privates = {int(it[1]): it[2] for it in PRIVATE_LINE.finditer(decompressed(lines, number))}
        lines = decompressed(_slice(self._files.path(EVENTS), offset, length), number)
        return {
            int(it[2]): Parts(None if it[7] == b"null" else it[7], privates.get(int(it[2])))
            for it in LINE.finditer(lines)
        }


def _slice(path: Path, offset: int, length: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(length)


class RemovedContents:
    """Looks for what the store does not have any more."""

    def __init__(self, ledger: Ledger, org: str, data: Path) -> None:
        self._ledger = ledger
        self._org = org
        self._data = data
        self._gone: dict[str, Gone] = {}
        self._archives: dict[int, OpenArchive | None] = {}

    async def learn(self, streams: Collection[str]) -> None:
        """Find out what became of the contents of these streams."""
        unknown = {it for it in streams if it not in self._gone}
        if not unknown:
            return
        if len(self._gone) > MOST_STREAMS_KNOWN:
            self._gone.clear()
            unknown = set(streams)
        found = dict.fromkeys(unknown, NOT_GONE)
        for record in await self._ledger.database.fetch(
            statement(PACKAGE, "removals"), self._org, sorted(unknown), POSITIONS
        ):
            if record["type"] == DETACHED:
                # It took what one attachment brought; an archive from which the job was purged was written later.
                continue
            gone = found[record["stream"]]
            data: Mapping[str, object] = {} if record["body"] is None else orjson.loads(record["body"])["data"]
            if record["type"] == "job.purged":
                archive_id = data.get("archive_id")
                gone = gone._replace(archive_id=archive_id if isinstance(archive_id, int) else gone.archive_id)
            elif record["type"] == "job.erased":
                gone = gone._replace(is_erased=gone.is_erased or data.get("scope") == ALL, is_private_erased=True)
            else:
                gone = gone._replace(is_private_erased=True)
            found[record["stream"]] = gone
        self._gone |= found
        for archive_id in sorted({it.archive_id for it in found.values() if it.archive_id is not None}):
            if archive_id not in self._archives:
                self._archives[archive_id] = await self._open(archive_id)

    def parts(self, stream: str, position: int) -> Parts:
        """What an archive holds of an event, and was not erased since; its stream was learnt. Raises OSError, WorkFailedError."""
        gone = self._gone[stream]
        archive = None if gone.archive_id is None or gone.is_erased else self._archives[gone.archive_id]
        if archive is None:
            return Parts(None, None)
        found = archive.parts(position)
        return Parts(found.content, None) if gone.is_private_erased else found

    def attachment(self, stream: str, attachment_id: str) -> Path | None:
        """Where an archive has what was attached to a purged job, None where it is not in one; its stream was learnt."""
        gone = self._gone[stream]
        archive = None if gone.archive_id is None or gone.is_private_erased else self._archives[gone.archive_id]
        return None if archive is None else archive.attachment(attachment_id)

    async def _open(self, archive_id: int) -> OpenArchive | None:
        archive = await self._ledger.aggregate(self._org, archive_stream(archive_id))
        if not isinstance(archive, Archive) or archive.deleted_at is not None:
            return None
        files = ArchiveFiles.of(self._data, self._org, archive.requested_at, archive_id)
        manifest = await asyncio.to_thread(Manifest, files.path(MANIFEST))
        return OpenArchive(files, manifest)
