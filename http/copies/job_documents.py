"""The documents of jobs on one copy, with what keeps them and who requires them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Self

import asyncpg
from aiohttp import web

from jobledger.http.context import CALLER, COPY_JOBS
from jobledger.http.copies.job_info import job_info
from jobledger.ledger.domain.command import Caller
from jobledger.projections.copy_query import CopyQuery
from jobledger.projections.jobs import shown_job

# So many are made before others of this process have a turn.
JOBS_A_TURN = 100


class JobDocuments:
    """Shows jobs as they stand on one copy now."""

    def __init__(self, jobs: CopyQuery, caller: Caller, copy_id: int) -> None:
        self._jobs = jobs
        self._caller = caller
        self._copy_id = copy_id
        self._now = datetime.now(UTC)
        self._undeleted: frozenset[int] = frozenset()

    @classmethod
    async def of(cls, request: web.Request, copy_id: int) -> Self:
        """Those of a copy, for who asks."""
        return cls(request.app[COPY_JOBS], request[CALLER], copy_id)

    def show_undeleted(self, job_ids: Iterable[int]) -> None:
        """Show these as they were before they were deleted from the copy."""
        self._undeleted = frozenset(job_ids)

    async def of_ids(self, job_ids: Sequence[int]) -> list[dict[str, Any]]:
        """The documents of these jobs, in this order; one that is not there any more is left out."""
        rows = await self._jobs.jobs(self._caller.org, list(dict.fromkeys(job_ids)), self._caller.domains)
        shown = await self.of_rows(list(rows.values()))
        by_id = {it["jobId"]: it for it in shown}
        return [by_id[job_id] for job_id in job_ids if job_id in by_id]

    async def of_rows(
        self, rows: Sequence[asyncpg.Record], takes: Callable[[str, set[str]], bool] = lambda _state, _kinds: True
    ) -> list[dict[str, Any]]:
        """The documents of the jobs that these rows are of, in their order: those that *takes* lets through, by how the job
        stands on the copy and by the kinds of reasons why it is kept.
        """
        caller = self._caller
        ids = [row["id"] for row in rows]
        required_by = await self._jobs.required_by(caller.org, self._copy_id, ids, caller.domains)
        documents = []
        for number, row in enumerate(rows, 1):
            documents.append(self._of_row(row, required_by.get(row["id"], "")))
            if number % JOBS_A_TURN == 0:
                await asyncio.sleep(0)
        return documents

    def _of_row(self, row: asyncpg.Record, required_by: str) -> dict[str, Any]:
        job = shown_job(row)
        entry = next((it for it in job["copies"] or () if it["id"] == self._copy_id), None)
        if entry is None:
            # It is on another copy of the policy, and is about nothing here.
            entry = {"copied_at": None, "deleted_at": None, "state": None}
        elif row["id"] in self._undeleted:
            entry = {**entry, "deleted_at": None}
        return job_info(job, entry, [], required_by=required_by, now=self._now)
