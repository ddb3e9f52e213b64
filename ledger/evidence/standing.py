"""Whether an org's ledger is still the one that was shown: the witness's newest checkpoint against what the store proves."""

from __future__ import annotations

from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.evidence.checkpoint import Checkpoint, origin_of
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.store.recorder import Recorder


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
