"""A ledger's checkpoints, as a server makes them, at once."""

from __future__ import annotations

import tempfile
from pathlib import Path

from jobledger.ledger.evidence.checkpoint import Checkpoint
from jobledger.ledger.evidence.keys import KeyRing
from jobledger.ledger.evidence.note import SigningKey
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.checkpointing import Checkpointing
from tests.world import ORG

KEY = SigningKey(b"k" * 32)


def ring(*keys: SigningKey) -> KeyRing:
    """These keys, or the usual one."""
    return KeyRing(lambda: keys or (KEY,))


async def sign(ledger: Ledger, org: str = ORG) -> Checkpoint:
    """Sign all that the org has appended."""
    with tempfile.TemporaryDirectory() as folder:
        signer = Checkpointing(ledger, Witness(Path(folder)), ring())
        await signer.sign(org)
        checkpoint = await signer.store.newest(org)
        assert checkpoint is not None
        return checkpoint
