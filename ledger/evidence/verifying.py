"""Verifying an org's whole ledger: each event, tile, checkpoint and attachment, in the database and in the witness."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from jobledger.ledger.errors import CorruptLedgerError, NotFoundError
from jobledger.ledger.evidence.checkpoint import Checkpoint
from jobledger.ledger.evidence.signed import DiffersError, Signed
from jobledger.ledger.evidence.store import PACKAGE, EvidenceStore
from jobledger.ledger.evidence.tree import HASH_BYTES, TILE_WIDTH, Edge, FullTile
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.store.attachments import AttachmentStore
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.recorder import Recorder
from jobledger.ledger.store.statement import statement

# What one statement reads, far less than a second; the next is read while these are looked at.
EVENTS_A_READ = 4_000
CHECKPOINTS_A_READ = 10_000
# After these the contents of a stream's events before may be gone.
REMOVING = frozenset({"job.purged", "job.deleted", "job.erased"})
ATTACHED, DETACHED = "job.attachment_added", "job.attachment_removed"


@dataclass(slots=True)
class Verified:
    """What was found to be as it must be, by number. *removed*: events whose contents are gone, by an event that says so.

    *noted*: what no rule forbids, and who reads this should know, as sentences.
    """

    size: int = 0
    contents: int = 0
    removed: int = 0
    tiles: int = 0
    checkpoints: int = 0
    witnessed: int = 0
    attachments: int = 0
    noted: list[str] = field(default_factory=list)


class Verification:
    """One look at an org's ledger, as far as it has come when this begins; ``verify`` raises DiffersError at what differs first."""

    def __init__(
        self,
        database: Database,
        org: str,
        witness: Witness | None = None,
        kept: Sequence[Checkpoint] = (),
        progress: Callable[[int, int], None] = lambda _done, _of: None,
    ) -> None:
        """*kept*: checkpoints from elsewhere, that the ledger must be the continuation of."""
        self._database = database
        self._org = org
        self._store = EvidenceStore(database)
        self._recorder = Recorder(database)
        self._witness = witness
        self._kept = kept
        self._progress = progress
        self._verified = Verified()
        self._edge = Edge()
        self._tiled = 0
        self._fork = 1
        self._versions: dict[str, int] = {}
        self._recorded_at = ""
        self._missing: dict[str, int] = {}
        self._removed_at: dict[str, int] = {}
        # By id the SHA-256 of what must be attached; by stream the ids.
        self._attached: dict[str, str] = {}
        self._attached_to: dict[str, list[str]] = defaultdict(list)
        # By the id of an attachment the stream and position whose private content named it, and is gone.
        self._unnamed: dict[str, tuple[str, int]] = {}
        # By size, what was signed of it: where that stands, and the root.
        self._signed: Mapping[int, Sequence[tuple[str, bytes]]] = {}
        # The first tile that is not as the events make it, and at which position.
        self._unlike_tile: tuple[str, str] | None = None

    async def verify(self) -> Verified:
        """All of it. Raises DiffersError, NotFoundError, DatabaseIsAwayError, OSError."""
        head = await self._recorder.head(self._org)
        lineage = await self._store.lineage(self._org)
        signed = Signed(self._database, self._org, lineage)
        await signed.gather(self._witness, self._kept, head.size)
        self._signed, self._fork = signed.roots, lineage.present
        # Tiles were committed before the checkpoint.
        tiled = await self._store.tiled(self._org, self._fork)
        self._tiled = max(tiled, signed.newest // TILE_WIDTH * TILE_WIDTH)
        self._verified.checkpoints, self._verified.witnessed = signed.checkpoints, signed.witnessed
        self._verified.noted = signed.noted
        sizes = iter([*sorted(self._signed), None])
        upcoming = next(sizes)
        if upcoming == 0:
            upcoming = next(sizes)
        leaf, start = b"", 0
        reading = asyncio.ensure_future(self._read(0, head.size))
        try:
            while start < head.size:
                records = await reading
                end = min(start + EVENTS_A_READ, head.size)
                reading = asyncio.ensure_future(self._read(end, head.size))
                leaves = self._look_at(records, start, end)
                at = start
                while at < end:
                    until = end if upcoming is None else min(end, upcoming)
                    full = list(self._edge.add(b"".join(leaves[at - start : until - start])))
                    await self._compare_tiles(full)
                    at = until
                    if at == upcoming:
                        self._compare_roots(at)
                        upcoming = next(sizes)
                leaf, start = leaves[-1], end
                self._progress(end, head.size)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        if leaf != head.last_leaf:
            raise DiffersError(f"position {head.size - 1}: it is not the one that the head names")
        if self._unlike_tile is not None:
            raise DiffersError(f"{self._unlike_tile[0]}: it is not the one that the events make")
        self._must_be_removed()
        await self._compare_attachments(head.size)
        self._verified.size = head.size
        return self._verified

    async def _read(self, start: int, size: int) -> Sequence[asyncpg.Record]:
        end = min(start + EVENTS_A_READ, size)
        if start >= end:
            return []
        return await self._database.fetch(statement(PACKAGE, "verify_events"), self._org, start, end)

    def _look_at(self, records: Sequence[asyncpg.Record], start: int, end: int) -> list[bytes]:
        """The leaves of these events, each of which is what it must be by itself and after the one before."""
        leaves: list[bytes] = []
        versions, org, recorded_at = self._versions, self._org, self._recorded_at
        verified = self._verified
        expected = start
        for position, stream, version, type_name, header, body, private in records:
            if position != expected:
                break
            try:
                named: Mapping[str, Any] = orjson.loads(header)
            except orjson.JSONDecodeError:
                raise DiffersError(f"position {position}: its header is no JSON") from None
            if (named.get("org"), named.get("position")) != (org, position):
                raise DiffersError(f"position {position}: its header is of another place")
            if (named["stream"], named["version"], named["type"]) != (stream, version, type_name):
                raise DiffersError(f"position {position}: its row says otherwise than its header")
            if version != versions.get(stream, 0) + 1:
                raise DiffersError(
                    f"position {position}: it is version {version} of {stream}, after {versions.get(stream, 0)}"
                )
            versions[stream] = version
            if named["recorded_at"] < recorded_at:
                raise DiffersError(f"position {position}: it was recorded before the one before it")
            recorded_at = named["recorded_at"]
            if body is None:
                self._missing[stream] = position
                verified.removed += 1
            elif sha256(body).hexdigest() != named["content"]:
                raise DiffersError(f"position {position}: its content is not the one that its header names")
            else:
                verified.contents += 1
            if private is not None:
                if sha256(private).hexdigest() != named.get("private"):
                    raise DiffersError(f"position {position}: its private content is not the one that its header names")
            elif "private" in named and type_name == ATTACHED and body is not None:
                self._unnamed[orjson.loads(body)["data"]["attachment_id"]] = (stream, position)
            elif "private" in named:
                self._missing[stream] = position
            if type_name in REMOVING:
                self._removed_at[stream] = position
            if type_name in REMOVING or type_name in (ATTACHED, DETACHED):
                self._note_attachment(stream, type_name, body)
            leaves.append(sha256(b"\0" + header).digest())
            expected += 1
        if expected != end:
            raise DiffersError(f"position {expected}: it is missing")
        self._recorded_at = recorded_at
        return leaves

    async def _compare_tiles(self, full: Sequence[FullTile]) -> None:
        """The tiles that the leaves make against those that are stored."""
        there = [it for it in full if (it.number + 1) << 8 * (it.level + 1) <= self._tiled]
        if not there:
            return
        levels, numbers = [it.level for it in there], [it.number for it in there]
        found = {
            (record["level"], record["number"]): record["hashes"]
            for record in await self._database.fetch(
                statement(PACKAGE, "full_tiles"), self._org, self._fork, levels, numbers
            )
        }
        for tile in there:
            stored = found.get((tile.level, tile.number))
            if stored is None:
                raise DiffersError(f"tile {tile.level}/{tile.number}: it is missing")
            if stored != tile.hashes:
                # Whether it is the tile or an event that was altered the next checkpoint tells.
                at = next(at for at in range(0, len(stored), HASH_BYTES) if stored[at:][:32] != tile.hashes[at:][:32])
                where = f"tile {tile.level}/{tile.number}"
                place = f"position {tile.number * 256 + at // HASH_BYTES}" if tile.level == 0 else where
                self._unlike_tile = self._unlike_tile or (where, place)
            self._verified.tiles += 1

    def _compare_roots(self, size: int) -> None:
        root = self._edge.root
        for where, signed in self._signed[size]:
            if signed != root and self._unlike_tile is not None:
                raise DiffersError(f"{self._unlike_tile[1]}: the tree that was built has another hash there")
            if signed != root:
                raise DiffersError(
                    f"{where}: it was signed of {size} other events: one before position {size} was altered"
                )

    def _must_be_removed(self) -> None:
        for stream, position in [*self._missing.items(), *self._unnamed.values()]:
            if self._removed_at.get(stream, -1) < position:
                raise DiffersError(
                    f"position {position}: its content is missing, and no event says that it was removed"
                )

    def _note_attachment(self, stream: str, type_name: str, body: bytes | None) -> None:
        """Of an event that attaches something, or removes it: the contents of a job take all with them that was attached."""
        if type_name in REMOVING:
            for attachment_id in self._attached_to.pop(stream, ()):
                self._attached.pop(attachment_id, None)
        elif body is not None:
            data = orjson.loads(body)["data"]
            if type_name == DETACHED:
                self._attached.pop(data["attachment_id"], None)
                self._unnamed.pop(data["attachment_id"], None)
            else:
                self._attached[data["attachment_id"]] = data["sha256"]
                self._attached_to[stream].append(data["attachment_id"])

    async def _compare_attachments(self, size: int) -> None:
        """Each is there and is what its event recorded, but for those that events from *size* on removed meanwhile."""
        store, after, missing = AttachmentStore(self._database), UUID(int=0), set(self._attached)
        while records := await self._database.fetch(statement(PACKAGE, "attachments_after"), self._org, after, 1_000):
            for record in records:
                expected = self._attached.get(str(record["id"]))
                if expected is not None:
                    missing.discard(str(record["id"]))
                    try:
                        async for _chunk in store.chunks(self._org, record["id"], record["size_bytes"], expected):
                            pass
                    except (CorruptLedgerError, NotFoundError) as error:
                        raise DiffersError(f"attachment {record['id']}: {str(error).rstrip('.')}") from None
                    self._verified.attachments += 1
            after = records[-1]["id"]
        if missing:
            newest = (await self._recorder.head(self._org)).size
            for start in range(size, newest, EVENTS_A_READ):
                for _position, stream, _version, type_name, _header, body, _private in await self._read(start, newest):
                    if type_name in REMOVING or type_name == DETACHED:
                        self._note_attachment(stream, type_name, body)
            for attachment_id in sorted(missing & self._attached.keys()):
                raise DiffersError(f"attachment {attachment_id}: it is missing")
