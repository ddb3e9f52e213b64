"""Asking for jobs: one, or a page of those that a filter lets through."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.job_removal import PURGED
from jobledger.ledger.errors import GoneError, NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.watch import Overdue
from jobledger.projections.keeping import Keeping

PACKAGE = "jobledger.projections"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs are wanted; None lets all through. A ``_from`` is included, a ``_to`` is not; ``q`` is looked for in the
    type, the name, the external id and the datastream's name, whatever the case. ``held``, ``retained``: what may not be
    removed, because of a hold or of any reason, at ``now``; absent: by the database's clock.
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
    closed: bool | None = None
    held: bool | None = None
    retained: bool | None = None
    now: datetime | None = None


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
        """One job as a JSON object. Raises NotFoundError, GoneError, DatabaseIsAwayError."""
        return orjson.dumps(await self.document(org, job_id, domains), option=orjson.OPT_UTC_Z)

    async def document(self, org: str, job_id: int, domains: frozenset[str] | None) -> dict[str, Any]:
        """As ``job``, not yet written."""
        row = await self._row(org, job_id, domains)
        return Keeping.read(row).shown(row)

    async def purged(self, org: str, job_id: int, domains: frozenset[str] | None) -> dict[str, Any] | None:
        """What is left of a job that was purged, and which archive holds it, or held it; None where it was not.

        Raises DatabaseIsAwayError.
        """
        visible = None if domains is None else sorted(domains)
        records = await self._database.fetch(statement(PACKAGE, "get_residue"), org, job_id, visible)
        if not records or records[0]["gone"] != PURGED:
            return None
        residue = orjson.loads(records[0]["residue"])
        archives = residue.pop("archives")
        [archive_id] = [it for it, held in archives.items() if held.get("purged")]
        there = await self._database.fetch(statement(PACKAGE, "archives_there"), org, [int(archive_id)])
        archive = {
            "id": int(archive_id),
            "version": archives[archive_id]["version"],
            "places": archives[archive_id]["places"],
            "deleted": not there,
        }
        return {**residue, "version": records[0]["version"], "purged": True, "archive": archive}

    async def retention(self, org: str, job_id: int, domains: frozenset[str] | None) -> dict[str, Any]:
        """Whether the job may be removed, and every reason why not. Raises NotFoundError, GoneError, DatabaseIsAwayError."""
        row = await self._row(org, job_id, domains)
        return Keeping.read(row).answer(row)

    async def keeping(self, org: str) -> Keeping:
        """What is said in the org of how long jobs are kept. Raises NotFoundError, DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "keeping"), org)
        if not records:
            raise NotFoundError(f"There is no org {org}.", org=org)
        return Keeping.read(records[0])

    async def _row(self, org: str, job_id: int, domains: frozenset[str] | None) -> asyncpg.Record:
        visible = None if domains is None else sorted(domains)
        records = await self._database.fetch(statement(PACKAGE, "get_job"), org, job_id, visible)
        if records:
            return records[0]
        residues = await self._database.fetch(statement(PACKAGE, "get_residue"), org, job_id, visible)
        for residue in residues:
            raise GoneError(
                f"Job {job_id} was {residue['gone']}.", job_id=job_id, gone=residue["gone"], gone_at=residue["gone_at"]
            )
        raise NotFoundError(f"There is no job {job_id}.", job_id=job_id)

    async def types(self, org: str, domains: frozenset[str] | None) -> list[str]:
        """The types of jobs that there are. Raises DatabaseIsAwayError."""
        visible = None if domains is None else sorted(domains)
        return [it["type"] for it in await self._database.fetch(statement(PACKAGE, "types_of_jobs"), org, visible)]

    async def registered_by(self, org: str, job_ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
        """Of some jobs who registered them, as the stream of a principal, and what the ledger is to do: ``by`` and ``work``.

        Raises DatabaseIsAwayError.
        """
        records = await self._database.fetch(statement(PACKAGE, "registered_by"), org, list(job_ids))
        return {
            it["id"]: {"by": it["by"], "work": None if it["work"] is None else orjson.loads(it["work"])}
            for it in records
        }

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
            wanted.closed,
            wanted.held,
            wanted.retained,
            wanted.now,
        )
        shown = records[:limit]
        if not shown:
            return JobPage([], None)
        keeping = await self.keeping(org)
        return JobPage([_written(keeping.shown(it)) for it in shown], shown[-1]["id"] if len(records) > limit else None)

    async def overdue(self, limit: int, passed_over: Collection[str] = ()) -> Sequence[Overdue]:
        """Jobs that are overdue, the longest first, of all orgs but those passed over. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(statement(PACKAGE, "overdue_jobs"), limit, list(passed_over))
        return [Overdue(it["org"], it["id"], it["allowance"]) for it in records]


def _written(job: dict[str, Any]) -> bytes:
    return orjson.dumps(job, option=orjson.OPT_UTC_Z)
