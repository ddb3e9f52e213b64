"""Asking for jobs: one, or a page of those that a filter lets through."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import orjson

from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.watch import Overdue
from jobledger.projections.jobs import shown_job

PACKAGE = "jobledger.projections"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs are wanted; None lets all through. A ``_from`` is included, a ``_to`` is not; ``q`` is looked for in the
    type, the name, the external id and the datastream's name, whatever the case.
    """

    states: tuple[str, ...] | None = None
    type: str | None = None
    domain: str | None = None
    datastream_id: str | None = None
    source: str | None = None
    external_id: str | None = None
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    started_from: datetime | None = None
    started_to: datetime | None = None
    ended_from: datetime | None = None
    ended_to: datetime | None = None
    q: str | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs by id, each as the JSON object that the API shows, and the id after which to go on; None at the end."""

    jobs: Sequence[bytes]
    next_after: int | None


class JobQuery:
    """The jobs of every org as the projection has them. *domains* are those that the asker may see, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def job(self, org: str, job_id: int, domains: frozenset[str] | None) -> bytes:
        """One job as a JSON object. Raises NotFoundError, DatabaseIsAwayError."""
        visible = None if domains is None else sorted(domains)
        records = await self._database.fetch(statement(PACKAGE, "get_job"), org, job_id, visible)
        if not records:
            raise NotFoundError(f"There is no job {job_id}.", job_id=job_id)
        return _shown(records[0])

    async def page(
        self, org: str, wanted: JobFilter, domains: frozenset[str] | None, *, after: int = 0, limit: int = 100
    ) -> JobPage:
        """Up to *limit* jobs with an id beyond *after*. Raises DatabaseIsAwayError."""
        states = wanted.states or ()
        records = await self._database.fetch(
            statement(PACKAGE, "list_jobs"),
            org,
            after,
            limit + 1,
            None if domains is None else sorted(domains),
            states[0] if len(states) == 1 else None,
            list(states) if len(states) > 1 else None,
            wanted.type,
            wanted.domain,
            wanted.datastream_id,
            wanted.source,
            wanted.external_id,
            wanted.scheduled_from,
            wanted.scheduled_to,
            wanted.started_from,
            wanted.started_to,
            wanted.ended_from,
            wanted.ended_to,
            None if wanted.q is None else wanted.q.lower(),
        )
        shown = records[:limit]
        return JobPage([_shown(it) for it in shown], shown[-1]["id"] if len(records) > limit else None)

    async def overdue(self, limit: int, passed_over: Collection[str] = ()) -> Sequence[Overdue]:
        """Jobs that are overdue, the longest first, of all orgs but those passed over. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "overdue_jobs"), limit, list(passed_over))
        return [Overdue(it["org"], it["id"], it["allowance"]) for it in records]


def _shown(record: asyncpg.Record) -> bytes:
    return orjson.dumps(shown_job(record))
