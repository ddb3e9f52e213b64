"""Asking for schedules, and for what they are due to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from jobledger.ledger.domain.cron import CronExpression
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.firing import Due
from jobledger.projections.jobs import shown_job
from jobledger.projections.page import ROWS_A_PAGE, Page, every

PACKAGE = "jobledger.projections"
NEXT_FIRES = 5


class ScheduleQuery:
    """The schedules of every org, as the projection has them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def schedule(self, org: str, schedule_id: UUID) -> dict[str, Any]:
        """One schedule as a document, with its next fires. Raises NotFoundError, DatabaseIsAwayError."""
        page = await self.schedules(org, schedule_id=schedule_id, limit=1)
        if not page.documents:
            raise NotFoundError(f"There is no schedule {schedule_id}.", schedule_id=str(schedule_id))
        document = page.documents[0]
        return {**document, "next_fires": next_fires(document["expression"], document["next_at"])}

    async def schedules(
        self,
        org: str,
        *,
        after: int = 0,
        limit: int,
        schedule_id: UUID | None = None,
        kind: str | None = None,
        active: bool | None = None,
        deleted: bool | None = None,
    ) -> Page:
        """Up to *limit* schedules with a number beyond *after*, in order of creation. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(
            statement(PACKAGE, "list_schedules"), org, after, limit + 1, schedule_id, kind, active, deleted
        )
        shown = records[:limit]
        return Page([_shown(it) for it in shown], shown[-1]["number"] if len(records) > limit else None)

    def every(self, org: str, *, kind: str, active: bool | None) -> AsyncIterator[dict[str, Any]]:
        """All schedules of a kind that were not deleted, in order of creation. Raises DatabaseIsAwayError."""
        return every(
            lambda after: self.schedules(org, after=after, limit=ROWS_A_PAGE, kind=kind, active=active, deleted=False)
        )

    async def last_job_of_type(self, org: str, job_type: str) -> dict[str, Any] | None:
        """The job of a type that runs, else its last one, as the native API shows it. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "last_of_type"), org, job_type)
        return shown_job(records[0]) if records else None

    async def due(self, within: timedelta, limit: int, passed_over: Collection[str]) -> Sequence[Due]:
        """Up to *limit* schedules of any org that are due within so long, the longest due first. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "due_schedules"), within, limit, list(passed_over))
        return [
            Due(it["org"], UUID(bytes=it["id"].bytes), it["next_at"], it["wait_s"], it["created_by"]) for it in records
        ]


def next_fires(expression: str, next_at: datetime | None) -> list[datetime]:
    """The next times that it fires at, as many as there are; none of one that is paused or deleted."""
    cron = CronExpression.parse(expression)
    fires: list[datetime] = []
    while next_at is not None and len(fires) < NEXT_FIRES:
        fires.append(next_at)
        next_at = cron.next_after(next_at)
    return fires


def _shown(record: asyncpg.Record) -> dict[str, Any]:
    is_paused, is_deleted = record["paused_at"] is not None, record["deleted_at"] is not None
    return {
        "id": str(record["id"]),
        "expression": record["expression"],
        "action": orjson.loads(record["action"]),
        "state": "DELETED" if is_deleted else "PAUSED" if is_paused else "ACTIVE",
        "version": record["version"],
        "created_by": record["creator"],
        "created_at": record["created_at"],
        "next_at": record["next_at"],
        "last_due_at": record["last_due_at"],
        "last_executed_at": record["last_executed_at"],
        "last_job_id": record["last_job_id"],
        "fires": record["fires"],
        "missed": record["missed"],
        "paused_at": record["paused_at"],
        "deleted_at": record["deleted_at"],
    }
