"""Asking for queues."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.queue_commands import MANAGE_QUEUES
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.projections.page import Page

PACKAGE = "jobledger.projections"


class FoundQueue(NamedTuple):
    """A queue that somebody may use."""

    org: str
    queue_id: int
    name: str


class QueueQuery:
    """The queues of every org, as the projection has them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, caller: Caller, name: str) -> FoundQueue:
        """The queue of that name which the caller may use. Raises NotFoundError, DatabaseIsAwayError."""
        sql = statement(PACKAGE, "find_queues")
        manages = MANAGE_QUEUES in caller.capabilities
        for record in await self._database.fetch(sql, caller.org, name, caller.principal, manages):
            if not record["is_unused"]:
                return FoundQueue(caller.org, record["id"], record["name"])
        raise NotFoundError("Queue does not exist.")

    async def queue(self, caller: Caller, queue_id: int) -> dict[str, Any]:
        """One queue that the caller may use, as a document. Raises NotFoundError, DatabaseIsAwayError."""
        page = await self.queues(caller, queue_id=queue_id, limit=1)
        if not page.documents:
            raise NotFoundError(f"There is no queue {queue_id}.", queue_id=queue_id)
        return page.documents[0]

    async def queues(self, caller: Caller, *, after: int = 0, limit: int, queue_id: int | None = None) -> Page:
        """Up to *limit* queues with an id beyond *after*: the caller's, to who manages them all. Raises DatabaseIsAwayError."""
        owner = None if MANAGE_QUEUES in caller.capabilities else caller.principal
        sql = statement(PACKAGE, "list_queues")
        records = await self._database.fetch(sql, caller.org, after, limit + 1, owner, queue_id)
        shown = records[:limit]
        return Page([dict(it) for it in shown], shown[-1]["id"] if len(records) > limit else None)

    async def unused(self, org: str, limit: int) -> Sequence[int]:
        """The ids of up to *limit* queues that nobody has used for as long as they are kept. Raises DatabaseIsAwayError."""
        return [it["id"] for it in await self._database.fetch(statement(PACKAGE, "unused_queues"), org, limit)]
