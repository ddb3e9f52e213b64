"""Asking for archives, for what they hold, and for what is to be archived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.archive import HELD, RETAINED
from jobledger.ledger.domain.policy import NO_POLICY
from jobledger.ledger.domain.retention import HOLD
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.ledger.work.archiving.selection import Found
from jobledger.projections.jobs import job_from_row
from jobledger.projections.keeping import Keeping
from jobledger.projections.page import Page

PACKAGE = "jobledger.projections"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedJobFilter:
    """Which of an archive's jobs are wanted; None lets all through. A ``_from`` is included, a ``_to`` is not."""

    states: tuple[str, ...] | None = None
    type: str | None = None
    domain: str | None = None
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    started_from: datetime | None = None
    started_to: datetime | None = None
    ended_from: datetime | None = None
    ended_to: datetime | None = None
    purged: bool | None = None


class ArchiveQuery:
    """The archives of every org, as the projections have them. *domains* are those that the asker may see, None for all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def archive(self, org: str, archive_id: int, domains: frozenset[str] | None) -> dict[str, Any]:
        """One archive as a document. Raises NotFoundError, DatabaseIsAwayError."""
        page = await self.archives(org, domains, archive_id=archive_id, limit=1)
        if not page.documents:
            raise NotFoundError(f"There is no archive {archive_id}.", archive_id=archive_id)
        return page.documents[0]

    async def archives(
        self, org: str, domains: frozenset[str] | None, *, after: int = 0, limit: int, archive_id: int | None = None
    ) -> Page:
        """Up to *limit* archives with an id beyond *after*. Raises DatabaseIsAwayError."""
        visible = None if domains is None else sorted(domains)
        records = await self._database.fetch(
            statement(PACKAGE, "list_archives"), org, after, limit + 1, archive_id, visible
        )
        shown = records[:limit]
        return Page([_shown(it) for it in shown], shown[-1]["id"] if len(records) > limit else None)

    async def jobs(self, org: str, archive_id: int, wanted: ArchivedJobFilter, *, after: int = 0, limit: int) -> Page:
        """Up to *limit* of the jobs that an archive holds, with an id beyond *after*. Raises DatabaseIsAwayError."""
        records = await self._database.fetch(
            statement(PACKAGE, "archived_jobs"),
            *(org, archive_id, after, limit + 1),
            None if wanted.states is None else list(wanted.states),
            *(wanted.type, wanted.domain, wanted.scheduled_from, wanted.scheduled_to),
            *(wanted.started_from, wanted.started_to, wanted.ended_from, wanted.ended_to, wanted.purged),
        )
        shown = records[:limit]
        return Page([_shown_job(it) for it in shown], shown[-1]["job_id"] if len(records) > limit else None)

    async def to_archive(
        self,
        org: str,
        after: int,
        limit: int,
        ended_before: datetime,
        job_type: str | None,
        domains: Sequence[str] | None,
    ) -> Found:
        """See ``FindJobs``. Raises NotFoundError, DatabaseIsAwayError."""
        kept = await self._database.fetch(statement(PACKAGE, "keeping"), org)
        if not kept:
            raise NotFoundError(f"There is no org {org}.", org=org)
        keeping = Keeping.read(kept[0])
        keeps_any = keeping.policy is not NO_POLICY or bool(keeping.filter_holds)
        found, *rows = await self._database.fetch(
            statement(PACKAGE, "jobs_to_archive"), org, after, limit, ended_before, job_type, domains, keeps_any
        )
        ids, versions = [], []
        skipped: Counter[str] = Counter()
        for row in rows:
            # Nothing keeps one of which nothing was decided, where nothing keeps jobs as such.
            if keeps_any or row["decisions"] is not None:
                reasons = keeping.reasons(job_from_row(row))
                if reasons:
                    skipped[HELD if reasons[0].kind == HOLD else RETAINED] += 1
                    continue
            ids.append(row["id"])
            versions.append(row["version"])
        return Found(ids, versions, dict(skipped), found["version"])


def _shown(record: asyncpg.Record) -> dict[str, Any]:
    told = orjson.loads(record["told"])
    order, written = told["order"], told["written"] or {}
    state = (
        *("DELETED" if record["deleted_at"] else None, "COMPLETED" if record["completed_at"] else None),
        *("VERIFIED" if record["verified_at"] else None, "FAILED" if record["job_state"] not in OPEN else None),
        "UNDER WAY",
    )
    return {
        "id": record["id"],
        "state": next(it for it in state if it is not None),
        "version": record["version"],
        "job_state": record["job_state"],
        "job_reason": record["job_reason"],
        "ended_before": order["ended_before"],
        "type": order.get("type"),
        "domains": order.get("domains"),
        "purge": order["purge"],
        "reason": order.get("reason"),
        "requested_by": record["requester"],
        "requested_at": record["requested_at"],
        "selected": told["selected"],
        "skipped": told["skipped"],
        "counts": written.get("counts"),
        "files": [{"name": name, **it} for name, it in written.get("files", {}).items()],
        "manifest_sha256": told["manifest_sha256"],
        "verified_at": record["verified_at"],
        "copied_at": told["copied_at"],
        "completed_at": record["completed_at"],
        "purge_job_id": told["purge_job_id"],
        "purged": told["purged"],
        "archived": told["archived"],
        "not_purged": told["not_purged"],
        "deleted_at": record["deleted_at"],
        "delete_reason": told["delete_reason"],
    }


OPEN = ("SCHEDULED", "RUNNING", "STALE")


def _shown_job(record: asyncpg.Record) -> dict[str, Any]:
    return {
        "id": record["job_id"],
        **{name: record[name] for name in ("type", "domain", "state")},
        **{name: record[name] for name in ("registered_at", "scheduled_at", "started_at", "ended_at")},
        "archived_version": record["held_version"],
        "gone": record["gone"],
        "purged": record["is_purged"],
        "places": orjson.loads(record["places"]),
    }
