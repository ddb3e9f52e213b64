"""Asking for copies, the policies they are of, and the jobs on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.projections.copies import MEMBERS

PACKAGE = "jobledger.projections"


class Place(NamedTuple):
    """Where a list of a copy's jobs goes on: after the job of this id, which begins then."""

    begins_at: datetime
    job_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyJobsFilter:
    """Which jobs of a copy are wanted; None lets all through. ``begins_from`` is included, ``begins_to`` is not.

    ``is_deleted``: whether those that were deleted from the copy, or all others.
    """

    begins_from: datetime | None = None
    begins_to: datetime | None = None
    states: tuple[str, ...] | None = None
    is_deleted: bool | None = None
    levels: tuple[str, ...] | None = None
    client_ids: tuple[int, ...] | None = None


class CopyQuery:
    """The copies of every org. *domains* are those whose jobs the asker may see, None for all. All raise DatabaseIsAwayError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def copy(self, org: str, copy_id: int) -> dict[str, Any]:
        """One copy as the native API shows it. Raises NotFoundError."""
        copies = await self.copies(org, copy_id=copy_id)
        if not copies:
            raise NotFoundError(f"There is no copy {copy_id}.", copy_id=copy_id)
        return copies[0]

    async def copies(
        self, org: str, *, after: int = 0, limit: int = 1000, policy: int | None = None, copy_id: int | None = None
    ) -> list[dict[str, Any]]:
        """Up to *limit* copies with an id beyond *after*, by id."""
        records = await self._database.fetch(statement(PACKAGE, "list_copies"), org, after, limit, policy, copy_id)
        return [_shown_copy(it) for it in records]

    async def policies(self, org: str) -> list[tuple[int, str]]:
        """Each storage policy's id and name, by id."""
        return [
            (it["id"], it["name"])
            for it in await self._database.fetch(statement(PACKAGE, "list_storage_policies"), org)
        ]

    async def jobs(self, org: str, job_ids: Sequence[int], domains: frozenset[str] | None) -> dict[int, asyncpg.Record]:
        """The rows of the jobs of these ids, by id; those that are not there, or not to be seen, are left out."""
        records = await self._database.fetch(statement(PACKAGE, "jobs_of_ids"), org, list(job_ids), _sorted(domains))
        return {it["id"]: it for it in records}

    async def page(
        self,
        org: str,
        copy_id: int,
        wanted: CopyJobsFilter,
        domains: frozenset[str] | None,
        *,
        after: Place | None = None,
        limit: int = 1000,
    ) -> tuple[Sequence[asyncpg.Record], Place | None]:
        """The rows of up to *limit* of the copy's jobs in the order in which they begin, and where to go on; None at the end."""
        records = await self._database.fetch(
            statement(PACKAGE, "jobs_of_copy"),
            org,
            copy_id,
            limit + 1,
            None if after is None else after.begins_at,
            None if after is None else after.job_id,
            _sorted(domains),
            wanted.begins_from,
            wanted.begins_to,
            None if wanted.states is None else list(wanted.states),
            wanted.is_deleted,
            None if wanted.levels is None else list(wanted.levels),
            None if wanted.client_ids is None else list(wanted.client_ids),
        )
        shown = records[:limit]
        following = Place(shown[-1]["begins_at"], shown[-1]["id"]) if len(records) > limit else None
        return shown, following

    async def required_by(
        self,
        org: str,
        copy_id: int,
        job_ids: Sequence[int],
        domains: frozenset[str] | None,
        undeleted: Iterable[int] = (),
    ) -> dict[int, str]:
        """Of jobs that others on the copy require: the ids of those, at most 1,000, with commas between them.

        Those *undeleted* count, too, where they were deleted there.
        """
        records = await self._database.fetch(
            statement(PACKAGE, "required_by"), org, copy_id, list(job_ids), _sorted(domains), sorted(undeleted)
        )
        return {it["id"]: it["required_by"] for it in records}

    async def dependents(
        self, org: str, copy_id: int, job_ids: Sequence[int], domains: frozenset[str] | None
    ) -> dict[int, bool]:
        """The jobs on the copy that require one of these jobs, directly or not, by id: whether each is deleted there."""
        return await self._related("dependents_on_copy", org, copy_id, job_ids, domains)

    async def archivers(
        self, org: str, copy_id: int, job_ids: Sequence[int], domains: frozenset[str] | None
    ) -> dict[int, bool]:
        """The archiver jobs on the copy of the same subclient as another of these jobs, as ``dependents``."""
        return await self._related("archivers_on_copy", org, copy_id, job_ids, domains)

    async def _related(
        self, name: str, org: str, copy_id: int, job_ids: Sequence[int], domains: frozenset[str] | None
    ) -> dict[int, bool]:
        records = await self._database.fetch(statement(PACKAGE, name), org, copy_id, list(job_ids), _sorted(domains))
        return {it["id"]: it["is_deleted"] for it in records}


def _sorted(domains: frozenset[str] | None) -> list[str] | None:
    return None if domains is None else sorted(domains)


def _shown_copy(record: asyncpg.Record) -> dict[str, Any]:
    members = {name: record[name] for name in MEMBERS}
    return {
        "id": record["id"],
        **members,
        "version": record["version"],
        "registered_at": record["registered_at"],
        "updated_at": record["updated_at"],
    }
