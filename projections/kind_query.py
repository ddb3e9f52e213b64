"""Asking of which type and domain jobs are, also those that are gone."""

from __future__ import annotations

from collections.abc import Collection

from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"


class KindQuery:
    """The kinds of jobs of every org. Both never change once a job is registered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def kinds(self, org: str, job_ids: Collection[int]) -> dict[int, tuple[str, str]]:
        """Type and domain by id, of those that there are. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "kinds_of_jobs"), org, list(job_ids))
        return {it["id"]: (it["type"], it["domain"]) for it in records}
