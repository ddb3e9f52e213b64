"""What is decided about a job apart from its course: whether it is open.

Each decision is a function that decides and an event that says so. A job already where a decision would bring it stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.command import UnitOfWork
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_commands import JobTransition
from jobledger.ledger.errors import JobIsOpenError, JobIsRunningError

RUNNING_STATES = frozenset({State.RUNNING, State.STALE})


class Closed(Job.Decision):
    """The job was closed: it is not to be started, updated or upgraded."""

    type_name: ClassVar[str] = "job.closed"
    reason: str | None = None

    def apply(self, aggregate: Job) -> None:
        """Be closed."""
        super().apply(aggregate)
        aggregate.is_closed = True


class Reopened(Job.Decision):
    """The job was opened again."""

    type_name: ClassVar[str] = "job.reopened"
    reason: str | None = None

    def apply(self, aggregate: Job) -> None:
        """Be open."""
        super().apply(aggregate)
        aggregate.is_closed = False


def must_not_be_running(job: Job) -> None:
    """Raise JobIsRunningError if it is RUNNING or STALE."""
    if job.state in RUNNING_STATES:
        raise JobIsRunningError(f"Job {job.job_id} is running.", job_id=job.job_id, state=str(job.state))


def close(job: Job, at: datetime, reason: str | None = None) -> None:
    """Close it. Raises JobIsRunningError."""
    if not job.is_closed:
        must_not_be_running(job)
        job.trigger_event(Closed, timestamp=at, reason=reason)


def reopen(job: Job, at: datetime, reason: str | None = None) -> None:
    """Open it again. Raises JobIsOpenError, as the vendor's workflow manager does: the one decision that is refused where it
    would change nothing.
    """
    if not job.is_closed:
        raise JobIsOpenError(f"Job {job.job_id} is open.", job_id=job.job_id)
    job.trigger_event(Reopened, timestamp=at, reason=reason)


@dataclass(slots=True, kw_only=True, eq=False)
class JobDecision(JobTransition):
    """Base of the decisions about one job. The result is that of a transition, and ``closed``."""

    reason: str | None = None

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, and what the decision raises."""
        result = super(JobDecision, self).decide(unit)
        job = unit.get(Job, f"job-{self.job_id}")
        assert job is not None
        return {**result, "closed": job.is_closed}


@dataclass(slots=True, kw_only=True, eq=False)
class CloseJob(JobDecision):
    """Close the job."""

    capability: ClassVar[str] = "jobs.close"

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Close it."""
        close(job, unit.now, self.reason)


@dataclass(slots=True, kw_only=True, eq=False)
class ReopenJob(JobDecision):
    """Open the job again."""

    capability: ClassVar[str] = "jobs.reopen"

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Open it."""
        reopen(job, unit.now, self.reason)
