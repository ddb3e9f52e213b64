"""Work that recurs: each occurrence is a job, and the claim of one registers the next in the same append.

``work`` of such a job has ``recurrence``, a cron expression, and ``owner``, the stream of the principal that asked for it first.
Whatever becomes of one occurrence, the next is there; who cancels the one that is scheduled ends the series. Runs that were
missed while no server ran are one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from jobledger.ledger.domain.command import Caller, UnitOfWork
from jobledger.ledger.domain.cron import CronExpression
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_notification import work_member
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs

RECURRENCE, OWNER = "recurrence", "owner"
# What only the occurrence that is under way has.
OF_THE_RUN = frozenset({"claim", "memory"})

# What else begins with an occurrence of some kind of work: called with the unit, the occurrence before and the next one.
Begins = Callable[[UnitOfWork, Job, Job], None]
FURTHER: dict[str, Begins] = {}


def register_next(unit: UnitOfWork, caller: Caller, job: Job) -> Job | None:
    """Register the occurrence after *job*, which has just been claimed; None where there is none any more."""
    expression = work_member(job, RECURRENCE)
    if expression is None or job.work is None:
        return None
    next_at = CronExpression.parse(expression).next_after(max(unit.now, job.scheduled_at or unit.now))
    if next_at is None:
        return None
    work = {name: value for name, value in job.work.items() if name not in OF_THE_RUN}
    spec = JobSpec(
        type=job.type,
        name=job.name,
        domain=job.domain,
        priority=job.priority,
        attributes=job.attributes,
        scheduled_at=next_at,
        work=work,
    )
    [registered] = RegisterJobs(caller=replace(caller, domains=None), jobs=[spec]).decide(unit)["jobs"]
    following = unit.get(Job, job_stream(registered["id"]))
    assert following is not None
    begin: Begins | None = FURTHER.get(job.work["kind"])
    if begin is not None:
        begin(unit, job, following)
    return following


def owner_of(work: Mapping[str, Any] | None) -> str | None:
    """The stream of the principal that asked for the work first; None where nothing is said: then who registered it."""
    owner = (work or {}).get(OWNER) or ((work or {}).get("order") or {}).get(OWNER)
    return owner if isinstance(owner, str) else None
