"""Asking for what the ledger has to do itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.runner import OpenWork

PACKAGE = "jobledger.projections"


class WorkQuery:
    """The work of every org, as the projection has it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(
        self, kinds: Collection[str], lapse: timedelta, limit: int, passed_over: Collection[str]
    ) -> Sequence[OpenWork]:
        """See ``FindOpen``. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(
            statement(PACKAGE, "open_work"), list(kinds), lapse, limit, list(passed_over)
        )
        return [OpenWork(it["org"], it["id"], it["kind"], it["claim"]) for it in records]
