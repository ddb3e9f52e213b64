"""The documents of jobs on one copy, with what keeps them and who requires them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Self

import asyncpg
import orjson
from aiohttp import web

from jobledger.http.context import CALLER, COPY_JOBS, KEEPING
from jobledger.http.copies.job_info import job_info
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_copies import TO_BE_COPIED, is_held_on
from jobledger.ledger.domain.policy import NO_POLICY
from jobledger.ledger.domain.retention import WHOLE_JOB, Reason, counted_from, policy_retention, retained_until
from jobledger.projections.copy_query import CopyQuery
from jobledger.projections.jobs import job_from_row
from jobledger.projections.keeping import Keeping

# So many are made before others of this process have a turn.
JOBS_A_TURN = 100


class JobDocuments:
    """Shows jobs as they stand on one copy now."""

    def __init__(self, jobs: CopyQuery, keeping: Keeping, caller: Caller, copy_id: int) -> None:
        self._jobs = jobs
        self._keeping = keeping
        self._caller = caller
        self._copy_id = copy_id
        self._undeleted: frozenset[int] = frozenset()

    @classmethod
    async def of(cls, request: web.Request, copy_id: int) -> Self:
        """Those of a copy, for who asks."""
        keeping = await request.app[KEEPING].keeping(request[CALLER].org)
        return cls(request.app[COPY_JOBS], keeping, request[CALLER], copy_id)

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
        required_by = await self._jobs.required_by(caller.org, self._copy_id, ids, caller.domains, self._undeleted)
        documents = []
        for number, row in enumerate(rows, 1):
            document = self._of_row(row, required_by.get(row["id"], ""), takes)
            if document is not None:
                documents.append(document)
            if number % JOBS_A_TURN == 0:
                await asyncio.sleep(0)
        return documents

    def _of_row(
        self, row: asyncpg.Record, required_by: str, takes: Callable[[str, set[str]], bool]
    ) -> dict[str, Any] | None:
        members, keeping = members_of(row), self._keeping
        entry = next((it for it in members.get("copies") or () if it["id"] == self._copy_id), None)
        if entry is None:
            # It is on another copy of the policy, and of nothing here.
            entry = {"copied_at": None, "deleted_at": None, "state": TO_BE_COPIED}
        elif row["id"] in self._undeleted:
            entry = {**entry, "deleted_at": None}
        reasons: list[Reason] = []
        is_soft_aged = False
        has_policy = keeping.policy is not NO_POLICY and "ended_at" in members
        if has_policy or keeping.filter_holds or "retention" in members or "holds" in members:
            job = job_from_row(row) if keeping.filter_holds else kept_job(row, members)
            reasons = keeping.reasons(job, self._copy_id)
            is_soft_aged = not reasons and is_held_on(entry) and was_kept(job, keeping, self._copy_id)
        if not takes(entry["state"], {it.kind for it in reasons}):
            return None
        return job_info(
            members, entry, reasons, required_by=required_by, is_soft_aged=is_soft_aged, now=self._keeping.now
        )


def members_of(row: asyncpg.Record) -> dict[str, Any]:
    """The job's members as they stand in its row, those left out that are as in any other."""
    members: dict[str, Any] = orjson.loads(row["registration"]) | orjson.loads(row["course"])
    return members if row["decisions"] is None else members | orjson.loads(row["decisions"])


def kept_job(row: asyncpg.Record, members: Mapping[str, Any]) -> Job:
    """The job with no more than what tells why it is kept, but by a hold over a filter: of 10,000, that is felt."""
    ended_at = members.get("ended_at")
    job = Job.__new__(Job)
    job.__dict__.update(
        type=members["type"],
        state=State(members["state"]),
        ended_at=None if ended_at is None else datetime.fromisoformat(ended_at),
        final_at=row["final_at"],
        imported=row["imported"],
        holds=members.get("holds") or {},
        retentions=members.get("retention") or {},
    )
    return job


def was_kept(job: Job, keeping: Keeping, copy_id: int) -> bool:
    """Whether a user, or the org's policy, retained the job's data on the copy at any time, but for what was released."""
    if any(retained_until(job, name) is not None for name in (WHOLE_JOB, str(copy_id))):
        return True
    begin = counted_from(job)
    return begin is not None and any(it is not None and it > begin for it in policy_retention(job, keeping.policy))
