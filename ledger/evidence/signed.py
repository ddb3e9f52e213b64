"""All that was ever signed of an org: the checkpoints in the store, those that the witness has, those that were kept elsewhere."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from hashlib import sha256

from jobledger.ledger.evidence.checkpoint import Checkpoint, origin_of, read_checkpoint
from jobledger.ledger.evidence.lineage import Lineage
from jobledger.ledger.evidence.note import NoteError, VerifierKey, read_note, read_verifier_key
from jobledger.ledger.evidence.store import LEAVES_A_READ, EvidenceStore
from jobledger.ledger.evidence.tree import Edge
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.recorder import Recorder


class DiffersError(Exception):
    """The first that is not as it must be: the message names the place, and what differs."""


class Signed:
    """What was signed of an org, each by whom it must be; ``gather`` raises DiffersError at the first that was not.

    ``roots`` are by size, each with where it stands: of histories that were left, those that the present one goes on from.
    ``noted`` is what no rule forbids, and who reads this should know, as sentences.
    """

    def __init__(self, database: Database, org: str, lineage: Lineage) -> None:
        self._store, self._org, self._lineage = EvidenceStore(database), org, lineage
        self.roots: defaultdict[int, list[tuple[str, bytes]]] = defaultdict(list)
        self.newest = 0
        self.checkpoints = 0
        self.witnessed = 0
        self.noted: list[str] = []
        # By origin the number of the history, and the keys that signed in it.
        self._histories: dict[str, int] = {}
        self._publics: defaultdict[str, set[bytes]] = defaultdict(set)
        # The SHA-256 of each note in the store, with its size.
        self._stored: dict[bytes, int] = {}

    async def gather(self, witness: Witness | None, kept: Sequence[Checkpoint], size: int) -> None:
        """All of it, for a ledger of *size* events. Raises DiffersError, DatabaseIsAwayError, OSError."""
        installation = await self._store.installation()
        numbers = [1, *(it.number for it in self._lineage.forks)]
        self._histories = {origin_of(installation, self._org, it): it for it in numbers}
        keys = self._keys()
        for origin, number in self._histories.items():
            async for where, checkpoint, public in self._in_store(origin, number):
                if number == self._lineage.present:
                    if not _is_turn_of(keys, checkpoint.size, public):
                        raise DiffersError(f"{where}: it is signed by another key than the ledger says")
                    self.newest = checkpoint.size
                self._publics[origin].add(public)
                self._stored[sha256(checkpoint.note).digest()] = checkpoint.size
                self._must_fit(where, checkpoint, size)
                self.checkpoints += 1
        if witness is not None:
            await self._compare_witness(witness, size)
        for checkpoint in kept:
            self._must_be_continued(checkpoint, size)
        for fork in self._lineage.forks:
            self.noted.append(
                f"its history {fork.number} began at position {fork.position}, as was said: {fork.reason}. Of what was signed"
                f" before it goes on from the first {fork.kept} events; what was signed of more is given up"
            )

    async def _compare_witness(self, witness: Witness, size: int) -> None:
        missing, only_there = dict(self._stored), []
        for checkpoint in await asyncio.to_thread(list, witness.every(self._org)):
            where = f"witness, checkpoint of {checkpoint.size}"
            self._must_be_ours(where, checkpoint)
            if missing.pop(sha256(checkpoint.note).digest(), None) is None:
                self._must_be_signed(where, checkpoint)
                only_there.append(checkpoint.size)
            self._must_fit(where, checkpoint, size)
            self.witnessed += 1
        if only_there:
            # A crash between the two leaves one; somebody who removes rows leaves the others.
            self.noted.append(f"the store lacks {_told(only_there)} that the witness has")
        if missing:
            self.noted.append(
                f"the witness lacks {_told(list(missing.values()))} that the store has: is it another folder?"
            )

    def _must_be_continued(self, checkpoint: Checkpoint, size: int) -> None:
        where = f"the checkpoint given, of {checkpoint.size}"
        self._must_be_ours(where, checkpoint)
        if sha256(checkpoint.note).digest() not in self._stored:
            self._must_be_signed(where, checkpoint)
        kept = self._lineage.kept_of(self._histories[checkpoint.origin])
        if kept is not None and checkpoint.size > kept:
            raise DiffersError(
                f"{where}: the ledger is not its continuation: it forked, and goes on from the first {kept} events"
            )
        self._must_fit(where, checkpoint, size)

    def _must_be_ours(self, where: str, checkpoint: Checkpoint) -> None:
        if checkpoint.origin not in self._histories:
            raise DiffersError(f"{where}: it is of {checkpoint.origin}, and the ledger is {list(self._histories)[-1]}")

    def _must_be_signed(self, where: str, checkpoint: Checkpoint) -> None:
        """By a key that signed in its history; where the store has nothing of that, nobody knows by which."""
        publics = self._publics[checkpoint.origin]
        for public in publics:
            try:
                checkpoint.signed.must_be_signed_by(VerifierKey(checkpoint.origin, public))
            except NoteError:
                continue
            return
        if publics:
            raise DiffersError(f"{where}: its signature is false, or of a key that never signed the ledger")

    def _must_fit(self, where: str, checkpoint: Checkpoint, size: int) -> None:
        kept = self._lineage.kept_of(self._histories[checkpoint.origin])
        if kept is not None and checkpoint.size > kept:
            return
        if checkpoint.size > size:
            raise DiffersError(f"{where}: {checkpoint.size - size} events are missing, from position {size} on")
        self.roots[checkpoint.size].append((where, checkpoint.root))

    async def _in_store(self, origin: str, number: int) -> AsyncIterator[tuple[str, Checkpoint, bytes]]:
        """Those in the store, by size: where each stands, and the key by which it is signed."""
        of = "" if number == self._lineage.present else f" of the history {number}"
        async for record in self._store.checkpoints(self._org, number):
            where = f"checkpoint of {record['size']}{of}"
            try:
                checkpoint = read_checkpoint(record["note"])
                checkpoint.signed.must_be_signed_by(VerifierKey(origin, record["public_key"]))
            except NoteError as error:
                raise DiffersError(f"{where}: {error}") from None
            if (checkpoint.origin, checkpoint.size, checkpoint.root) != (origin, record["size"], record["root"]):
                raise DiffersError(f"{where}: its row says otherwise than what was signed")
            yield where, checkpoint, record["public_key"]

    def _keys(self) -> list[tuple[int, bytes]]:
        """From which size on another public key signs."""
        keys = []
        for it in self._lineage.key_changes:
            public = bytes.fromhex(it.public_key)
            try:
                must_be_change(it.note.encode(), public)
            except NoteError as error:
                raise DiffersError(f"position {it.position}: the change of the key: {error}") from None
            keys.append((it.position + 1, public))
        return keys


def must_be_change(note: bytes, public: bytes) -> None:
    """Raise NoteError unless a note says that a key signs from now on, and is signed by it and by the one before.

    The text is the origin, ``key changed``, and the verifier keys before and after.
    """
    read = read_note(note)
    lines = read.text.decode().split("\n")
    if len(lines) != 5 or lines[1] != "key changed":
        raise NoteError("It does not say so.")
    before, after = read_verifier_key(lines[2]), read_verifier_key(lines[3])
    if after.public != public:
        raise NoteError("It is of another key.")
    read.must_be_signed_by(before)
    read.must_be_signed_by(after)


def _is_turn_of(keys: Sequence[tuple[int, bytes]], size: int, public: bytes) -> bool:
    turns = [it for since, it in keys if size >= since]
    return not turns or turns[-1] == public


def _told(sizes: Sequence[int]) -> str:
    if len(sizes) == 1:
        return f"the checkpoint of {sizes[0]}"
    return f"{len(sizes)} checkpoints, of {min(sizes)} to {max(sizes)},"


async def kept_until(database: Database, org: str, witnessed: Iterable[Checkpoint]) -> int:
    """Of how many of the first events what was signed holds: the largest size up to which each checkpoint fits, of those in the
    store and those *witnessed*, but for what an earlier fork gave up. Raises CorruptLedgerError, DatabaseIsAwayError.
    """
    store = EvidenceStore(database)
    lineage = await store.lineage(org)
    roots: defaultdict[int, set[bytes]] = defaultdict(set)
    for checkpoint in [*witnessed, *await _stored(store, org, [1, *(it.number for it in lineage.forks)])]:
        kept = lineage.kept_of(checkpoint.fork)
        if kept is None or checkpoint.size <= kept:
            roots[checkpoint.size].add(checkpoint.root)
    edge, until = Edge(), 0
    size = (await Recorder(database).head(org)).size
    for signed in sorted(it for it in roots if it <= size):
        while edge.size < signed:
            for _tile in edge.add(await store.leaves(org, edge.size, min(signed, edge.size + LEAVES_A_READ))):
                pass
        if roots[signed] != {edge.root}:
            break
        until = signed
    return until


async def _stored(store: EvidenceStore, org: str, forks: Sequence[int]) -> list[Checkpoint]:
    found: list[Checkpoint] = []
    for fork in forks:
        async for record in store.checkpoints(org, fork):
            # One that does not read says nothing: ``verify`` names it.
            with suppress(NoteError):
                found.append(read_checkpoint(record["note"]))
    return found
