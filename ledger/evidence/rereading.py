"""Reading an org's events again, from the first: whether they are still those that were signed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from time import monotonic

import asyncpg
import orjson

from jobledger.ledger.evidence.store import PACKAGE, EvidenceStore
from jobledger.ledger.evidence.tree import TILE_WIDTH, Edge, FullTile
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement

# What is read, and looked at in one go, some milliseconds.
EVENTS_A_READ = 4 * TILE_WIDTH


async def go_on(_took_s: float) -> None:
    """Rest not at all."""


class Reread:
    """Reads an org's events again; ``fault`` says what is not as it was signed.

    What lies before the last ``org.forked`` is held against the tree alone: that somebody altered it is recorded by that.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._store = EvidenceStore(database)

    async def fault(self, org: str, rest: Callable[[float], Awaitable[None]] = go_on) -> str | None:
        """The first event or tile that is not as the newest checkpoint says, and what differs; None where none is.

        After each read *rest* is awaited, with the seconds that it took. Raises NotFoundError, DatabaseIsAwayError.
        """
        newest, lineage = await self._store.newest(org), await self._store.lineage(org)
        if newest is None or newest.fork != lineage.present:
            return None
        admitted = max((it.position for it in lineage.forks), default=0)
        edge, start = Edge(), 0
        while start < newest.size:
            began_at = monotonic()
            end = min(start + EVENTS_A_READ, newest.size)
            records = await self._database.fetch(statement(PACKAGE, "verify_events"), org, start, end)
            what = _unlike(org, records, start, end, admitted) or await self._not_removed(org, records, admitted)
            if what is None:
                full = list(edge.add(b"".join(sha256(b"\0" + it["header"]).digest() for it in records)))
                what = await self._not_built(org, newest.fork, full)
            if what is not None:
                return what
            start = end
            await rest(monotonic() - began_at)
        if edge.root != newest.root:
            return f"the first {newest.size} events are not those that were signed"
        return None

    async def _not_removed(self, org: str, records: Sequence[asyncpg.Record], admitted: int) -> str | None:
        """The first of these whose content is gone, though no event says that it was removed."""
        gone = [
            it
            for it in records
            if it["position"] >= admitted
            and (it["body"] is None or (it["private"] is None and b'"private":"' in it["header"]))
        ]
        if not gone:
            return None
        streams = list({it["stream"] for it in gone})
        found = await self._database.fetch(statement(PACKAGE, "removed_at"), org, streams)
        removed = {it["stream"]: (it["whole"], it["private"]) for it in found}
        for it in gone:
            whole, private = removed.get(it["stream"], (None, None))
            covering = whole if it["body"] is None else private
            if covering is None or covering < it["position"]:
                return f"position {it['position']}: its content is missing, and no event says that it was removed"
        return None

    async def _not_built(self, org: str, fork: int, full: Sequence[FullTile]) -> str | None:
        """The first of these tiles that is stored otherwise."""
        if not full:
            return None
        levels, numbers = [it.level for it in full], [it.number for it in full]
        found = await self._database.fetch(statement(PACKAGE, "full_tiles"), org, fork, levels, numbers)
        stored = {(it["level"], it["number"]): it["hashes"] for it in found}
        for it in full:
            if stored.get((it.level, it.number)) != it.hashes:
                where = f"tile {it.level}/{it.number}"
                return f"{where}: it is not the one that the events from {it.number << 8 * (it.level + 1)} on make"
        return None


def _unlike(org: str, records: Sequence[asyncpg.Record], start: int, end: int, admitted: int) -> str | None:
    """The first of the events from *start* to before *end* that is missing, or is not what its header says."""
    for position, record in zip(range(start, end), records, strict=False):
        if record["position"] != position:
            return f"position {position}: it is missing"
        if position < admitted:
            continue
        try:
            named = orjson.loads(record["header"])
            told = named["org"], named["position"], named["stream"], named["version"], named["type"], named["content"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return f"position {position}: its header cannot be read"
        if told[:-1] != (org, position, record["stream"], record["version"], record["type"]):
            return f"position {position}: its row says otherwise than its header"
        if record["body"] is not None and sha256(record["body"]).hexdigest() != told[-1]:
            return f"position {position}: its content is not the one that its header names"
        if record["private"] is not None and sha256(record["private"]).hexdigest() != named.get("private"):
            return f"position {position}: its private content is not the one that its header names"
    return None if len(records) == end - start else f"position {start + len(records)}: it is missing"
