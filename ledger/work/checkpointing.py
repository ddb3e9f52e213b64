"""Checkpoints are signed, at most one a second for an org, and each server looks whether what was shown still stands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

import asyncpg

from jobledger.ledger.errors import CorruptLedgerError, HistoryDiffersError, LedgerError
from jobledger.ledger.evidence.checkpoint import Checkpoint, origin_of, sign_checkpoint
from jobledger.ledger.evidence.keys import KeyRing
from jobledger.ledger.evidence.note import SigningKey
from jobledger.ledger.evidence.standing import difference
from jobledger.ledger.evidence.store import LEAVES_A_READ, PACKAGE, EvidenceStore, History, write_tiles
from jobledger.ledger.evidence.tree import HASH_BYTES, TILE_BYTES, Edge, FullTile
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.lease import Lease
from jobledger.ledger.work.rounds import LeasedRounds

log = logging.getLogger(__name__)

ROUND_S = 1.0
LEASE_LASTS_S = 5.0
# Between so many leaves others have a turn: some milliseconds.
SLICE_BYTES = 8 * TILE_BYTES


class NoKeyError(Exception):
    """The key by which a ledger is to be signed is not here."""


@dataclass(slots=True)
class Growing:
    """A tree as far as its tiles were written."""

    fork: int
    edge: Edge
    last_leaf: bytes


class Checkpointing(LeasedRounds):
    """Signs what was appended, and stops an org's writing where the store is not what the witness has seen.

    Whoever has the lease signs; that it is one at a time for an org a lock of the transaction makes sure. The other part each
    server does for itself.
    """

    title = "Checkpointing"

    def __init__(self, ledger: Ledger, witness: Witness, keys: KeyRing) -> None:
        super().__init__(ledger, Lease("checkpointing", LEASE_LASTS_S))
        self.store = EvidenceStore(ledger.database)
        self.witness = witness
        self._keys = keys
        self._growing: dict[str, Growing] = {}
        # Of each org the checkpoint that was last found to stand.
        self._standing: dict[str, Checkpoint] = {}
        self._differing: dict[str, str] = {}
        self._altered: dict[str, str] = {}
        self._failing: dict[str, str] = {}
        self._missed: str | None = None
        # The orgs of which it was said that their witness has seen nothing.
        self._unseen: set[str] = set()
        self._next_at = monotonic()

    @property
    def differing(self) -> Mapping[str, str]:
        """The orgs whose writing has stopped, and what differs."""
        return self._differing

    @property
    def failing(self) -> Mapping[str, str]:
        """The orgs of which the last try to sign failed, and why."""
        return self._failing

    def trouble(self) -> str | None:
        """Why the witness does not stand by what is written here, or cannot; None where it does. It names no org."""
        if stopped := self._differing | self._altered:
            return (
                f"the ledger of {_orgs(stopped)} is not the one that was shown, and is not written: "
                "run jobledger verify, and see the runbook in docs/evidence.md"
            )
        if self._missed is not None:
            return f"it could not be looked at: {self._missed}"
        return f"{_orgs(self._failing)} could not be signed: see the log" if self._failing else None

    async def start(self) -> None:
        """Look once, before anything is written; then go on."""
        try:
            await self.look()
        except (OSError, LedgerError) as error:
            self._missed = type(error).__name__
            log.warning("The witness could not be looked at: %s", error)
        await super().start()

    async def look(self) -> None:
        """Compare all orgs with what the witness has seen; stop their writing, or let them write again.

        Raises OSError, DatabaseIsAwayError.
        """
        await self._compare(await self._survey())

    async def _go_round(self) -> None:
        self._next_at = max(self._next_at + ROUND_S, monotonic())
        try:
            found = await self._survey()
            await self._compare(found)
        except Exception as error:
            self._missed = type(error).__name__
            raise
        self._missed = None
        if not await self._ledger.database.write(self._take):
            self._growing.clear()
            self._failing.clear()
            return
        for record in found:
            await self._see_to(record)

    async def _pause(self) -> None:
        await asyncio.sleep(max(0.05, self._next_at - monotonic()))

    async def _take(self, connection: Connection) -> bool:
        async with connection.transaction():
            return await self._lease.take(connection) is not None

    async def _survey(self) -> Sequence[asyncpg.Record]:
        return await self._ledger.database.fetch(statement(PACKAGE, "survey_evidence"))

    async def _compare(self, found: Sequence[asyncpg.Record]) -> None:
        orgs = [record["org"] for record in found]
        seen = await asyncio.to_thread(lambda: [self.witness.newest(org) for org in orgs])
        for record, newest in zip(found, seen, strict=True):
            org = record["org"]
            if newest is None:
                self._warn_of_nothing_seen(org, record["signed_size"])
                continue
            if self._stands(record, newest):
                continue
            what = await difference(self.store, self._ledger.recorder, org, newest)
            if what is None:
                self._standing[org] = newest
            self._tell(self._differing, org, what)

    def _warn_of_nothing_seen(self, org: str, signed: int | None) -> None:
        if signed and org not in self._unseen:
            self._unseen.add(org)
            log.warning(
                "The witness has seen nothing of %s, of which %d events are signed: a database that went back is not noticed."
                " Is it another folder?",
                org,
                signed,
            )

    @property
    def altered(self) -> Mapping[str, str]:
        """The orgs whose writing has stopped as a row was altered, and which."""
        return self._altered

    def tell_altered(self, org: str, what: str | None) -> None:
        """Stop an org's writing, as its rows are not those that were signed: *what* differs; None: they are (again)."""
        self._tell(self._altered, org, what)

    def _tell(self, found: dict[str, str], org: str, what: str | None) -> None:
        if what is None:
            if found.pop(org, None) is not None and org not in self._differing and org not in self._altered:
                log.warning("The ledger of %s is written again.", org)
                self._ledger.refuse_writing(org, None)
        elif found.get(org) != what:
            found[org] = what
            log.critical("The ledger of %s is not written any more: %s. See: jobledger verify --org %s", org, what, org)
            self._ledger.refuse_writing(
                org,
                HistoryDiffersError(
                    "The ledger is not the one that was shown: nothing is appended until an operator has acted.",
                    retry_after_s=30,
                ),
            )

    def _stands(self, record: asyncpg.Record, newest: Checkpoint) -> bool:
        """Whether the store has the very checkpoint, of which it was found that it stands: its events were committed before it."""
        return (
            record["org"] not in self._differing
            and self._standing.get(record["org"]) == newest
            and record["size"] >= newest.size
            and (record["fork"], record["signed_size"], record["root"]) == (newest.fork, newest.size, newest.root)
        )

    async def _see_to(self, record: asyncpg.Record) -> None:
        """Sign what an org has appended since; what fails is tried again with the next round."""
        org, signed, stands = record["org"], record["signed_size"], self._standing.get(record["org"])
        is_signed = record["size"] == signed and stands is not None and stands.size == signed
        if org in self._differing or org in self._altered or is_signed:
            return
        try:
            await self.sign(org)
        except Exception as error:
            if self._failing.get(org) != str(error):
                log.warning("The ledger of %s was not signed: %s: %s", org, type(error).__name__, error)
            self._failing[org] = str(error)
            # What was added to the edge may not have been written.
            self._growing.pop(org, None)
        else:
            self._failing.pop(org, None)

    async def sign(self, org: str) -> None:
        """Sign what an org has appended by now, whoever has the lease. Raises what fails."""
        history = await self.store.history(org)
        size = (await self._ledger.recorder.head(org)).size
        growing = self._growing.get(org)
        if growing is None or growing.fork != history.fork or growing.edge.size > size:
            edge = await self.store.edge(org, history.fork)
            growing = Growing(history.fork, edge, await self.store.last_leaf(org, edge.size))
        self._growing[org] = growing
        while growing.edge.size < size:
            await self._grow(org, growing, min(size, growing.edge.size + LEAVES_A_READ))
        await self._ledger.database.write(lambda connection: self._write(connection, org, history, growing.edge))

    async def _grow(self, org: str, growing: Growing, end: int) -> None:
        """Add the leaves to before *end*, and write the tiles that became full, in a transaction of their own."""
        edge = growing.edge
        start = max(0, edge.size - 1)
        leaves = await self.store.leaves(org, start, end)
        if edge.size:
            # A database that went back, and on: what we know is of no use.
            if leaves[:HASH_BYTES] != growing.last_leaf:
                raise CorruptLedgerError(f"Position {edge.size - 1} of {org} is not the one that was there.")
            leaves = leaves[HASH_BYTES:]
        growing.last_leaf = leaves[-HASH_BYTES:]
        full: list[FullTile] = []
        for at in range(0, len(leaves), SLICE_BYTES):
            full += edge.add(leaves[at : at + SLICE_BYTES])
            await asyncio.sleep(0)
        if full:
            await self._ledger.database.write(lambda connection: self._write_tiles(connection, org, growing.fork, full))

    async def _write_tiles(self, connection: Connection, org: str, fork: int, full: list[FullTile]) -> None:
        async with connection.transaction():
            await self._lock(connection, org)
            await write_tiles(connection, org, fork, full)

    async def _write(self, connection: Connection, org: str, history: History, edge: Edge) -> None:
        """Sign the tree's head. Its tiles are committed."""
        origin = origin_of(await self.store.installation(), org, history.fork)
        async with connection.transaction():
            await self._lock(connection, org)
            before = await self.store.newest(org)
            if before is not None and before.origin == origin and before.size >= edge.size:
                # Only of a witness that has not kept it: another folder.
                await asyncio.to_thread(self.witness.append, org, before)
                return
            key = key_of(self._keys, history, before)
            checkpoint = sign_checkpoint(origin, edge.size, edge.root, key)
            # If we die after this line the witness has one more than the store: what that one says the store can prove.
            await asyncio.to_thread(self.witness.append, org, checkpoint)
            await connection.execute(
                statement(PACKAGE, "write_checkpoint"),
                org,
                history.fork,
                edge.size,
                edge.root,
                checkpoint.note,
                key.public,
            )

    async def _lock(self, connection: Connection, org: str) -> None:
        if not await connection.fetchval(statement(PACKAGE, "lock_checkpoints"), org):
            raise RuntimeError("another server does so just now")


def _orgs(orgs: Mapping[str, str]) -> str:
    return "1 org" if len(orgs) == 1 else f"{len(orgs)} orgs"


def key_of(keys: KeyRing, history: History, before: Checkpoint | None) -> SigningKey:
    """By what a history is signed: the key that was last said to, else that of the checkpoint before, else the newest.

    Raises NoKeyError.
    """
    if history.public_key is not None:
        key = keys.with_public(bytes.fromhex(history.public_key))
    elif before is not None:
        key = keys.named(before.origin, before.signed.signatures[0].key_id)
    else:
        key = keys.newest
    if key is None:
        raise NoKeyError("the key by which it is to be signed is not here")
    return key
