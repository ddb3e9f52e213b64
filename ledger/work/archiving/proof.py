"""An archive's proof: that its headers are those that a checkpoint was signed of, without asking the store.

The file is hashes of 32 bytes, one after another (see ``evidence.filling``); the checkpoint is in the manifest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, Final, Protocol

from jobledger.ledger.evidence.checkpoint import Checkpoint, origin_of, read_checkpoint
from jobledger.ledger.evidence.filling import Refolding, filling, node_root
from jobledger.ledger.evidence.note import NoteError
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.evidence.tree import HASH_BYTES, Node, TileAt, tile_width
from jobledger.ledger.work.runner import WorkFailedError

# Servers sign each second.
SIGNED_WITHIN_S: Final = 30.0
LOOK_AGAIN_S: Final = 0.2
TILES_A_READ: Final = 128
PIECE_BYTES: Final = 32 * 1024


class Written(Protocol):
    """What takes the file's bytes."""

    def write(self, piece: bytes) -> None:
        """Add to it. Raises OSError."""


async def covering(evidence: EvidenceStore, org: str, size: int) -> Checkpoint:
    """A checkpoint of at least so many events, which is signed soon after. Raises WorkFailedError where it is not."""
    deadline = monotonic() + SIGNED_WITHIN_S
    while True:
        history = await evidence.history(org)
        newest = await evidence.newest(org)
        origin = origin_of(await evidence.installation(), org, history.fork)
        if newest is not None and newest.size >= size and newest.origin == origin:
            return newest
        if monotonic() > deadline:
            raise WorkFailedError(f"The events that are to be archived were not signed within {SIGNED_WITHIN_S:g} s.")
        await asyncio.sleep(LOOK_AGAIN_S)


class ProofWriter:
    """Writes the hashes between the positions of an archive, as these come, in order."""

    def __init__(self, evidence: EvidenceStore, org: str, checkpoint: Checkpoint, output: Written) -> None:
        self._evidence, self._org = evidence, org
        self._checkpoint, self._output = checkpoint, output
        self._at = 0
        # What is to be written, and the tiles that it is made of.
        self._nodes: list[Node] = []
        self._tiles: dict[TileAt, None] = {}

    async def add(self, positions: Sequence[int]) -> None:
        """These are in the archive. Raises CorruptLedgerError, DatabaseIsAwayError, OSError."""
        for position in positions:
            if self._at < position:
                await self._fill(position)
            self._at = position + 1

    async def end(self) -> None:
        """No more are. Raises as ``add``."""
        await self._fill(self._checkpoint.size)
        await self._flush()

    async def _fill(self, end: int) -> None:
        for node in filling(self._at, end):
            self._nodes.append(node)
            self._tiles[tile_of(node, self._checkpoint.size)] = None
            if len(self._tiles) == TILES_A_READ:
                await self._flush()

    async def _flush(self) -> None:
        nodes, wanted = self._nodes, list(self._tiles)
        self._nodes, self._tiles = [], {}
        if nodes:
            tiles = await self._evidence.tiles(self._org, self._checkpoint.fork, wanted)
            await asyncio.to_thread(self._write, nodes, tiles)

    def _write(self, nodes: Iterable[Node], tiles: Any) -> None:
        self._output.write(b"".join([node_root(it, tiles) for it in nodes]))


def tile_of(node: Node, size: int) -> TileAt:
    """The tile, in a tree of *size* leaves, that a node's root is made of."""
    level, above = divmod(node.height, 8)
    number = (node.number << above) >> 8
    return TileAt(level, number, tile_width(level, number, size))


class Proving:
    """Whether an archive's headers, given in order, are those that its checkpoint was signed of. Raises WorkFailedError."""

    def __init__(self, path: Path, note: str) -> None:
        self._path = path
        try:
            self.checkpoint = read_checkpoint(note.encode())
        except NoteError as error:
            raise WorkFailedError(f"The checkpoint in the manifest is none: {error}") from error
        self._refolding = Refolding(self.checkpoint.size, _hashes(path))

    def add(self, positions: Sequence[int], headers: Sequence[bytes]) -> None:
        """Add some headers."""
        begin = 0
        try:
            for end, position in enumerate(positions, 1):
                # Those that stand one behind the other go together.
                if end == len(positions) or positions[end] != position + 1:
                    self._refolding.add(positions[begin], headers[begin:end])
                    begin = end
        except ValueError as error:
            self._differs(error)

    def end(self) -> None:
        """It was the last."""
        try:
            root = self._refolding.root()
        except ValueError as error:
            self._differs(error)
        if root != self.checkpoint.root:
            self._differs(None)

    def _differs(self, error: Exception | None) -> Any:
        raise WorkFailedError(
            f"The archive was read back and differs: by {self._path.name} its headers are not those that were signed."
        ) from error


def _hashes(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                for at in range(0, len(piece), HASH_BYTES):
                    yield piece[at : at + HASH_BYTES]
    except OSError as error:
        raise WorkFailedError(f"{path.name} cannot be read: {error.strerror}.") from error
