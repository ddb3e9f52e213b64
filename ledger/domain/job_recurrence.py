"""Work that recurs: each occurrence is a job, and the claim of one registers the next in the same append.

``work`` of such a job has ``recurrence``, a cron expression, and ``owner``, the stream of the principal that asked for it first.
Whatever becomes of one occurrence, the next is there; who cancels the one that is scheduled ends the series. Runs that were
missed while no server ran are one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

from jobledger.ledger.domain.archive_commands import ARCHIVE, request_next
from jobledger.ledger.domain.command import Caller, UnitOfWork
from jobledger.ledger.domain.cron import CronExpression
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_notification import OWNER, work_member

RECURRENCE = "recurrence"

# What registers the next occurrence of a kind of work, at that instant.
Request: TypeAlias = Callable[[UnitOfWork, Caller, Job, datetime], Job]
NEXT: Mapping[str, Request] = MappingProxyType({ARCHIVE: request_next})


def register_next(unit: UnitOfWork, caller: Caller, job: Job) -> Job | None:
    """Register the occurrence after *job*, which has just been claimed; None where there is none any more."""
    expression = work_member(job, RECURRENCE)
    if expression is None or job.work is None:
        return None
    next_at = CronExpression.parse(expression).next_after(max(unit.now, job.scheduled_at or unit.now))
    if next_at is None:
        return None
    request = NEXT.get(job.work["kind"])
    return None if request is None else request(unit, caller, job, next_at)


def owner_of(work: Mapping[str, Any] | None) -> str | None:
    """The stream of the principal that asked for the work first; None where nothing is said: then who registered it."""
    owner = (work or {}).get(OWNER) or ((work or {}).get("order") or {}).get(OWNER)
    return owner if isinstance(owner, str) else None
