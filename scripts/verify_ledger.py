"""``jobledger verify``: everything that is stored of an org, and its archives, against all that was ever signed of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from jobledger.ledger.evidence.checkpoint import Checkpoint, read_checkpoint
from jobledger.ledger.evidence.note import NoteError
from jobledger.ledger.evidence.signed import DiffersError
from jobledger.ledger.evidence.verifying import Verification, Verified
from jobledger.ledger.work.archiving.verifying import verify_archives
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.scripts.evidence_place import evidence_place
from jobledger.scripts.failure import FailedError, UsageError
from jobledger.scripts.opening import open_ledger
from jobledger.scripts.settings import Settings


async def verify_ledger(settings: Settings, org: str | None, checkpoint: Path | None) -> int:
    """Verify an org, or all; 1 if one of them differs. Raises UsageError, FailedError, NotFoundError."""
    if checkpoint is not None and org is None:
        raise UsageError("--checkpoint is one org's: say which, by --org.")
    kept = [] if checkpoint is None else [_read(checkpoint)]
    code = 0
    async with open_ledger(settings) as ledger:
        witness = evidence_place(settings).witness
        orgs = [name for name, *_ in await PrincipalQuery(ledger.database).orgs()]
        if org is None:
            for lost in sorted(set(witness.orgs()) - set(orgs)):
                print(f"{lost}: the witness has checkpoints of it, and the store has no such org.")
                code = 1
        for name in orgs if org is None else [org]:
            began_at = monotonic()
            try:
                with _progress_bar(name) as progress:
                    verified = await Verification(ledger.database, name, witness, kept, progress).verify()
                archives = await verify_archives(ledger, name, settings.data)
            except DiffersError as error:
                print(f"{name}: {error}.", flush=True)
                code = 1
            else:
                print(told(name, verified, archives, monotonic() - began_at), flush=True)
                for note in verified.noted:
                    print(f"{name}: {note}.", flush=True)
    return code


def told(org: str, verified: Verified, archives: int, took_s: float) -> str:
    """What was found to be as it must be, as a sentence."""
    removed = f" ({verified.removed} contents removed by events that say so)" if verified.removed else ""
    return (
        f"{org}: nothing differs in {verified.size} events{removed}, {verified.tiles} tiles, {verified.checkpoints} checkpoints, "
        f"{verified.witnessed} in the witness, {verified.attachments} attachments, {archives} archives; {took_s:.1f} s."
    )


def _read(path: Path) -> Checkpoint:
    try:
        return read_checkpoint(path.read_bytes())
    except NoteError as error:
        raise FailedError(f"{path}: {error}") from None


@contextmanager
def _progress_bar(org: str) -> Iterator[Callable[[int, int], None]]:
    """What shows how far it is: a bar, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda _done, _of: None
        return
    from tqdm import tqdm

    with tqdm(desc=org, unit=" events", unit_scale=True) as bar:

        def show(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        yield show
