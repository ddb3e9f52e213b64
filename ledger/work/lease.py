"""Leases: which of several servers does a piece of the ledger's own work. They spare effort; what is done is decided elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.ledger.work"


@dataclass(frozen=True, slots=True)
class Gap:
    """From when to when nobody held a lease."""

    began_at: datetime
    ended_at: datetime

    @property
    def seconds(self) -> float:
        """How long that was."""
        return (self.ended_at - self.began_at).total_seconds()


class Lease:
    """One server's claim to a piece of work by *name*; lapses *lasts_s* seconds after it was last renewed."""

    def __init__(self, name: str, lasts_s: float) -> None:
        self.name = name
        self.lasts_s = lasts_s
        self.holder: UUID = uuid4()

    async def take(self, connection: Connection) -> Gap | None:
        """Take it or renew it: the time since it was last renewed, by whomever; None while another server holds it.

        To be called in a transaction. Of length zero where it was never held.
        """
        known = await connection.fetchrow(statement(PACKAGE, "lock_lease"), self.name)
        if known is not None and known["holder"] != self.holder and not known["is_expired"]:
            return None
        if not await connection.fetch(statement(PACKAGE, "take_lease"), self.name, self.holder, self.lasts_s):
            return None
        if known is None:
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
            return Gap(now, now)
        return Gap(known["renewed_at"], known["clock"])

    async def release(self, connection: Connection) -> None:
        """Let another server have it at once."""
        await connection.execute(statement(PACKAGE, "release_lease"), self.name, self.holder)
