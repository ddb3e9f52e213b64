"""The evidence in the database: tiles, checkpoints, and what can be proved by them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import asyncpg

from jobledger.ledger.errors import CorruptLedgerError, UnavailableError
from jobledger.ledger.evidence import tree
from jobledger.ledger.evidence.checkpoint import Checkpoint, origin_of, read_checkpoint
from jobledger.ledger.evidence.lineage import Fork, Lineage
from jobledger.ledger.evidence.note import NoteError, VerifierKey, read_note, read_verifier_key
from jobledger.ledger.evidence.tree import TILE_WIDTH, Edge, TileAt
from jobledger.ledger.store.database import Connection, Database
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.ledger.evidence"
# One statement hashes so many headers: far less than a second.
LEAVES_A_READ = 64 * TILE_WIDTH
CHECKPOINTS_A_READ = 10_000


class NotSignedYetError(UnavailableError):
    """No checkpoint covers this yet."""

    code = "not_signed_yet"


@dataclass(frozen=True, slots=True)
class History:
    """Which of an org's histories is the one that goes on, from 1, and the public key that was last said to sign it, in hex."""

    fork: int
    public_key: str | None


class EvidenceStore:
    """Reads an org's tree by ranges that are each a transaction. Its calls raise DatabaseIsAwayError; CorruptLedgerError for what
    should be there and is not.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._installation: str | None = None

    async def installation(self) -> str:
        """The installation's id, by which origins begin."""
        if self._installation is None:
            self._installation = str((await self._database.fetch(statement(PACKAGE, "installation")))[0]["id"])
        return self._installation

    async def history(self, org: str) -> History:
        """The org's history, as its own stream tells."""
        lineage = await self.lineage(org)
        return History(lineage.present, lineage.public_key)

    async def lineage(self, org: str) -> Lineage:
        """All its histories, and its keys."""
        return Lineage(await self._database.fetch(statement(PACKAGE, "marks"), org))

    async def newest(self, org: str) -> Checkpoint | None:
        """The newest checkpoint, None before the first."""
        records = await self._database.fetch(statement(PACKAGE, "newest_checkpoint"), org)
        return read_checkpoint(records[0]["note"]) if records else None

    async def of_size(self, org: str, fork: int, size: int) -> Checkpoint | None:
        """The checkpoint of so many events of a history, None where there is none."""
        records = await self._database.fetch(statement(PACKAGE, "checkpoints_of"), org, fork, size - 1, 1)
        return read_checkpoint(records[0]["note"]) if records and records[0]["size"] == size else None

    async def checkpoints(self, org: str, fork: int) -> AsyncIterator[asyncpg.Record]:
        """The rows of a history's checkpoints, by size."""
        after = 0
        while records := await self._database.fetch(
            statement(PACKAGE, "checkpoints_of"), org, fork, after, CHECKPOINTS_A_READ
        ):
            for record in records:
                yield record
            after = records[-1]["size"]

    async def must_be_signed(self, org: str) -> Checkpoint:
        """The newest checkpoint. Raises NotSignedYetError before the first."""
        newest = await self.newest(org)
        if newest is None:
            raise NotSignedYetError("The ledger has no checkpoint yet.")
        return newest

    async def verifier_key(self, org: str) -> VerifierKey:
        """Who signed the newest checkpoint. Raises NotSignedYetError."""
        newest = await self.must_be_signed(org)
        records = await self._database.fetch(statement(PACKAGE, "newest_checkpoint"), org)
        return VerifierKey(newest.origin, records[0]["public_key"])

    async def verifier_keys(self, org: str) -> list[tuple[int, VerifierKey]]:
        """All that ever signed, as the org's own stream tells: each with the position of the event from which on checkpoints that
        cover it are signed by it. A history that begins anew has the key of the one before, under its own name.

        Raises NotSignedYetError, CorruptLedgerError.
        """
        newest, installation = await self.verifier_key(org), await self.installation()
        fork, public = 1, b""
        turns: list[tuple[int, int, bytes]] = [(0, fork, public)]
        for mark in (await self.lineage(org)).marks:
            if isinstance(mark, Fork):
                fork = mark.number
            else:
                try:
                    lines = read_note(mark.note.encode()).text.decode().split("\n")
                    before, after = (read_verifier_key(it) for it in lines[2:4])
                except (NoteError, ValueError) as error:
                    raise CorruptLedgerError(
                        f"Position {mark.position} of {org}: the change of its key is none."
                    ) from error
                # Until the first change no event says who signs.
                turns = [(at, of, signs or before.public) for at, of, signs in turns]
                public = after.public
            turns.append((mark.position, fork, public))
        return [(at, VerifierKey(origin_of(installation, org, of), signs or newest.public)) for at, of, signs in turns]

    async def headers(self, org: str, start: int, end: int) -> list[bytes]:
        """The headers from *start* to before *end*."""
        records = await self._database.fetch(statement(PACKAGE, "headers"), org, start, end)
        if len(records) != end - start:
            raise CorruptLedgerError(f"Of the positions {start} to {end - 1} of {org} some are missing.")
        return [record["header"] for record in records]

    async def headers_of(self, org: str, stream: str, after: int, limit: int) -> dict[int, bytes]:
        """Up to *limit* headers of a stream beyond the position *after*, by their positions in order."""
        records = await self._database.fetch(statement(PACKAGE, "headers_of"), org, stream, after, limit)
        return {record["position"]: record["header"] for record in records}

    async def leaves(self, org: str, start: int, end: int) -> bytes:
        """The leaves from *start* to before *end*, by the headers as they are stored."""
        record = (await self._database.fetch(statement(PACKAGE, "leaves"), org, start, end))[0]
        if record["count"] != end - start:
            raise CorruptLedgerError(f"Of the positions {start} to {end - 1} of {org} some are missing.")
        return record["leaves"] or b""

    async def tiled(self, org: str, fork: int) -> int:
        """How many leaves are in full tiles."""
        records = await self._database.fetch(statement(PACKAGE, "tiled"), org, fork)
        return int(records[0][0]) * TILE_WIDTH

    async def tiles(self, org: str, fork: int, wanted: Sequence[TileAt]) -> dict[tuple[int, int], bytes]:
        """The hashes of these tiles, which are as wide as they are there or less."""
        full = [it for it in wanted if it.width == TILE_WIDTH]
        found: dict[tuple[int, int], bytes] = {}
        if full:
            levels, numbers = [it.level for it in full], [it.number for it in full]
            for level, number, hashes in await self._database.fetch(
                statement(PACKAGE, "full_tiles"), org, fork, levels, numbers
            ):
                found[level, number] = hashes
        for it in wanted:
            if it.width < TILE_WIDTH:
                found[it.level, it.number] = await self._partial(org, fork, it)
            elif (it.level, it.number) not in found:
                raise CorruptLedgerError(f"Tile {it.level}/{it.number} of {org} is missing.")
        return found

    async def _partial(self, org: str, fork: int, tile: TileAt) -> bytes:
        start, end = tile.number * TILE_WIDTH, tile.number * TILE_WIDTH + tile.width
        if tile.level == 0:
            return await self.leaves(org, start, end)
        return await self._roots(org, fork, tile.level - 1, start, end)

    async def _roots(self, org: str, fork: int, level: int, start: int, end: int) -> bytes:
        records = await self._database.fetch(statement(PACKAGE, "tile_roots"), org, fork, level, start, end)
        if records[0]["count"] != end - start:
            raise CorruptLedgerError(f"Of the tiles {level}/{start} to {level}/{end - 1} of {org} some are missing.")
        return records[0]["roots"] or b""

    async def edge(self, org: str, fork: int, size: int | None = None) -> Edge:
        """The right edge of the tree of *size* leaves; None: of those that are in full tiles."""
        tiled = await self.tiled(org, fork)
        if size is not None:
            tiled = min(tiled, size // TILE_WIDTH * TILE_WIDTH)
        partial = {(it.level, it.number): await self._partial(org, fork, it) for it in tree.edge_tiles(tiled)}
        edge = Edge(tiled, partial)
        while size is not None and edge.size < size:
            for _tile in edge.add(await self.leaves(org, edge.size, min(size, edge.size + LEAVES_A_READ))):
                pass
        return edge

    async def root(self, org: str, fork: int, size: int) -> bytes:
        """The root of the first *size* leaves, by tiles as far as there are any."""
        return (await self.edge(org, fork, size)).root

    async def inclusion(self, org: str, fork: int, positions: Sequence[int], size: int) -> list[list[bytes]]:
        """The proofs that events are among the first *size* ones, which a checkpoint covers. Raises ValueError."""
        tiles = await self.tiles(org, fork, tree.tiles_for_inclusion(positions, size))
        return [tree.inclusion_proof(it, size, tiles) for it in positions]

    async def consistency(self, org: str, fork: int, old: int, new: int) -> list[bytes]:
        """The proof that the first *old* events are the beginning of the first *new* ones, which a checkpoint covers.

        Raises ValueError.
        """
        return tree.consistency_proof(old, new, await self.tiles(org, fork, tree.tiles_for_consistency(old, new)))

    async def last_leaf(self, org: str, size: int) -> bytes:
        """The leaf of the last of the first *size* events, nothing of none."""
        return await self.leaves(org, size - 1, size) if size else b""


async def write_tiles(connection: Connection, org: str, fork: int, tiles: Sequence[tree.FullTile]) -> None:
    """Write full tiles. Raises UniqueViolationError for one that is there."""
    await connection.execute(
        statement(PACKAGE, "write_tiles"),
        org,
        fork,
        [it.level for it in tiles],
        [it.number for it in tiles],
        [it.hashes for it in tiles],
        [it.root for it in tiles],
    )
