"""``jobledger key``: by which key checkpoints are signed, and signing by another from now on."""

from __future__ import annotations

import sys

from jobledger.ledger.domain.evidence import ChangeSigningKey
from jobledger.ledger.evidence.checkpoint import origin_of
from jobledger.ledger.evidence.note import SigningKey, sign_note
from jobledger.ledger.evidence.store import EvidenceStore, NotSignedYetError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.checkpointing import key_of
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.scripts.evidence_place import evidence_place
from jobledger.scripts.opening import command_line_caller, open_ledger
from jobledger.scripts.settings import Settings


async def show_keys(settings: Settings, org: str | None, *, shows_all: bool = False) -> None:
    """Print each org's verifier key: what an auditor keeps. Or all that ever signed, with the position from which each does.

    Raises CorruptLedgerError.
    """
    async with open_ledger(settings) as ledger:
        store = EvidenceStore(ledger.database)
        for name in await _orgs(ledger, org):
            try:
                if shows_all:
                    for position, key in await store.verifier_keys(name):
                        print(f"from position {position}: {key}")
                else:
                    print(await store.verifier_key(name))
            except NotSignedYetError:
                # Apart from the keys: these go into a file.
                print(f"{name}: no checkpoint yet", file=sys.stderr)


async def rotate_key(settings: Settings, org: str | None) -> None:
    """Sign an org's ledger, or all, by a new key from now on: an event, signed by both. Raises FailedError."""
    async with open_ledger(settings) as ledger:
        store, place = EvidenceStore(ledger.database), evidence_place(settings)
        orgs, keys = await _orgs(ledger, org), place.keys()
        current = {}
        for name in orgs:
            history, newest = await store.history(name), await store.newest(name)
            current[name] = (history, key_of(keys, history, newest))
        # A key that none of them has yet signed by is the new one: of the environment, or of a rotation that died.
        new = keys.newest
        if any(key == new for _history, key in current.values()):
            new = place.add_key()
        for name, (history, before) in current.items():
            origin = origin_of(await store.installation(), name, history.fork)
            note = change_note(origin, before, new)
            await ledger.execute(
                ChangeSigningKey(
                    caller=command_line_caller(name),
                    before=history.public_key,
                    public_key=new.public.hex(),
                    note=note.decode(),
                )
            )
            print(new.named(origin))


def change_note(origin: str, before: SigningKey, after: SigningKey) -> bytes:
    """The note by which one key gives its place to another, signed by both."""
    text = f"{origin}\nkey changed\n{before.named(origin)}\n{after.named(origin)}\n"
    return sign_note(text.encode(), origin, [before, after])


async def _orgs(ledger: Ledger, org: str | None) -> list[str]:
    return [org] if org is not None else [name for name, *_ in await PrincipalQuery(ledger.database).orgs()]
