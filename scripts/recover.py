"""``jobledger recover``: going on with a ledger that is not the one that was shown."""

from __future__ import annotations

from jobledger.ledger.domain.evidence import RecordFork
from jobledger.ledger.evidence.rereading import Reread
from jobledger.ledger.evidence.signed import kept_until
from jobledger.ledger.evidence.standing import difference
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.scripts.evidence_place import evidence_place
from jobledger.scripts.failure import FailedError
from jobledger.scripts.opening import command_line_caller, open_ledger
from jobledger.scripts.settings import Settings


async def recover(settings: Settings, org: str, reason: str) -> None:
    """Record that the history that was shown is lost, and begin another origin. Raises FailedError where nothing differs."""
    async with open_ledger(settings) as ledger:
        store, witness = EvidenceStore(ledger.database), evidence_place(settings).witness
        seen = witness.newest(org)
        what = None if seen is None else await difference(store, ledger.recorder, org, seen)
        if seen is not None and what is None:
            what = await Reread(ledger.database).fault(org)
        if seen is None or what is None:
            raise FailedError(f"The ledger of {org} is the one that was shown: there is nothing to recover from.")
        # Also of a fork that the store has lost.
        fork = max((await store.history(org)).fork, seen.fork) + 1
        kept = await kept_until(ledger.database, org, witness.every(org))
        note = seen.note.decode()
        await ledger.execute(
            RecordFork(caller=command_line_caller(org), fork=fork, note=note, reason=reason, kept=kept)
        )
    print(f"{org}: {what}. That is recorded; its checkpoints are of another origin from now on, its history {fork}.")
    print(
        f"{org}: of what was signed before it goes on from the first {kept} events; what was signed of more is given up."
    )
