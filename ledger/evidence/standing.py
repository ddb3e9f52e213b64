"""Whether an org's ledger is still the one that was shown: the witness's newest checkpoint against what the store proves."""

from __future__ import annotations

from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.evidence.checkpoint import Checkpoint, origin_of
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.evidence.tree import HASH_BYTES, TILE_WIDTH, TileAt
from jobledger.ledger.store.recorder import Recorder

TILES_AT_ONCE = 16


async def difference(store: EvidenceStore, recorder: Recorder, org: str, seen: Checkpoint) -> str | None:
    """What a checkpoint that was *seen* says otherwise than the store does; None where the store has, or extends, what it says.

    Raises NotFoundError, DatabaseIsAwayError.
    """
    fork = (await store.history(org)).fork
    origins = [origin_of(await store.installation(), org, it) for it in range(1, fork + 1)]
    if seen.origin in origins[:-1]:
        # The ledger itself tells that this one is not gone on with.
        return None
    if seen.origin != origins[-1]:
        return f"a checkpoint of {seen.origin} was shown, and the store holds {origins[-1]}"
    size = (await recorder.head(org)).size
    if seen.size > size:
        return f"{seen.size} events were shown, and the store holds {size}"
    try:
        root = await store.root(org, fork, seen.size)
    except CorruptLedgerError as error:
        return f"what was shown cannot be proved: {error}"
    if root != seen.root:
        return f"the first {seen.size} events are not those that were shown"
    return None


async def verify_tree(store: EvidenceStore, org: str, start: int, end: int) -> None:
    """Compare the events from *start* to before *end* with the tree, as far as it was built, and that with the newest checkpoint.

    Raises CorruptLedgerError with the first position at fault; DatabaseIsAwayError.
    """
    newest = await store.newest(org)
    if newest is None:
        return
    first, last = -(-start // TILE_WIDTH), min(end, newest.size) // TILE_WIDTH
    for number in range(first, last, TILES_AT_ONCE):
        wanted = [TileAt(0, it) for it in range(number, min(number + TILES_AT_ONCE, last))]
        tiles = await store.tiles(org, newest.fork, wanted)
        built = b"".join(tiles[0, it.number] for it in wanted)
        leaves = await store.leaves(org, number * TILE_WIDTH, (number + len(wanted)) * TILE_WIDTH)
        if leaves != built:
            at = next(
                at for at in range(0, len(leaves), HASH_BYTES) if leaves[at:][:HASH_BYTES] != built[at:][:HASH_BYTES]
            )
            position = number * TILE_WIDTH + at // HASH_BYTES
            raise CorruptLedgerError(f"Position {position} of {org} is not the one that the tree was built of.")
    if await store.root(org, newest.fork, newest.size) != newest.root:
        raise CorruptLedgerError(f"The first {newest.size} events of {org} are not those that were signed.")
