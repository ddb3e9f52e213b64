"""Removing what tells nothing any more because of what the projections know."""

from __future__ import annotations

from datetime import timedelta

from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"


async def forget_heartbeats(connection: Connection, org: str, limit: int) -> int:
    """Remove up to *limit* heartbeats of jobs that have ended; how many there were."""
    return len(await connection.fetch(statement(PACKAGE, "forget_heartbeats"), org, limit))


async def sweep_secrets(connection: Connection, cut_off_after: timedelta) -> int:
    """Delete the secrets of all orgs that nothing ahead needs, and those not wanted for so long; how many there were."""
    return len(await connection.fetch(statement(PACKAGE, "sweep_secrets"), cut_off_after))
