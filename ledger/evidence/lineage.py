"""An org's histories: where each began, and with how much of those before it goes on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import asyncpg
import orjson

from jobledger.ledger.evidence.checkpoint import Checkpoint, read_checkpoint
from jobledger.ledger.evidence.note import NoteError
from jobledger.ledger.evidence.store import LEAVES_A_READ, PACKAGE, EvidenceStore
from jobledger.ledger.evidence.tree import Edge
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.recorder import Recorder
from jobledger.ledger.store.statement import statement

CHECKPOINTS_A_READ = 10_000


@dataclass(frozen=True, slots=True)
class Fork:
    """That the history *number* began with an event at *position*, and why.

    *kept*: of how many of its first events holds what was signed of the histories before, as it was found then.
    """

    position: int
    number: int
    reason: str
    kept: int


class Lineage:
    """The histories of an org, by the marks in its own stream."""

    def __init__(self, marks: Iterable[asyncpg.Record]) -> None:
        self.forks: list[Fork] = []
        for position, type_name, body in marks:
            if type_name == "org.forked":
                data = orjson.loads(body)["data"]
                self.forks.append(Fork(position, data["fork"], data["reason"], data.get("kept") or 0))

    @property
    def present(self) -> int:
        """The number of the one that goes on."""
        return self.forks[-1].number if self.forks else 1

    def kept_of(self, number: int) -> int | None:
        """Up to which size what was signed of a history holds in the present one; None for the present one: all of it."""
        return min((it.kept for it in self.forks if it.number > number), default=None)


async def kept_until(database: Database, org: str, witnessed: Iterable[Checkpoint]) -> int:
    """Of how many of the first events what was signed holds: the largest size up to which each checkpoint fits, of those in the
    store and those *witnessed*, but for what an earlier fork gave up. Raises CorruptLedgerError, DatabaseIsAwayError.
    """
    store = EvidenceStore(database)
    lineage = Lineage(await database.fetch(statement(PACKAGE, "marks"), org))
    roots: defaultdict[int, set[bytes]] = defaultdict(set)
    for checkpoint in [*witnessed, *await _stored(database, org, [1, *(it.number for it in lineage.forks)])]:
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


async def _stored(database: Database, org: str, forks: Sequence[int]) -> list[Checkpoint]:
    found: list[Checkpoint] = []
    for fork in forks:
        after = 0
        while records := await database.fetch(
            statement(PACKAGE, "checkpoints_of"), org, fork, after, CHECKPOINTS_A_READ
        ):
            for record in records:
                try:
                    found.append(read_checkpoint(record["note"]))
                except NoteError:
                    # It says nothing: ``verify`` names it.
                    continue
            after = records[-1]["size"]
    return found
