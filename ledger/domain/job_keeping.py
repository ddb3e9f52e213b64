"""What keeps a job from being removed and is said of it alone: a user's retention, and the holds that list it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.command import UnitOfWork
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_commands import JobTransition
from jobledger.ledger.domain.job_copies import must_not_be_deleted_from
from jobledger.ledger.domain.policy import WITHOUT_END
from jobledger.ledger.domain.policy_commands import must_give_reason
from jobledger.ledger.domain.retention import WHOLE_JOB, retained_until
from jobledger.ledger.errors import InvalidCommandError, TooManyRetentionsError

# Each stands in the job's row, and is looked at whenever the job is.
MOST_RETAINED_COPIES = 100


class Retained(Job.Decision):
    """A user retains the job, or its copy ``copy_id``, until then; ``until`` absent: until released."""

    type_name: ClassVar[str] = "job.retained"
    times: ClassVar[tuple[str, ...]] = ("until",)
    copy_id: int | None = None
    until: datetime | None = None
    reason: str | None = None

    def apply(self, aggregate: Job) -> None:
        """It takes the place of an earlier one; those that are over need not be known any longer."""
        super().apply(aggregate)
        told = {"until": None if self.until is None else _instant_text(self.until), "reason": self.reason}
        retention = {name: it for name, it in told.items() if it is not None}
        aggregate.retentions = {**retentions_at(aggregate, self.timestamp), _name_of(self.copy_id): retention}


class RetentionReleased(Job.Decision):
    """The user's retention of the job, or of its copy ``copy_id``, is over."""

    type_name: ClassVar[str] = "job.retention_released"
    copy_id: int | None = None
    reason: str | None = None

    def apply(self, aggregate: Job) -> None:
        """Retain it no more; what else keeps it stays."""
        super().apply(aggregate)
        name = _name_of(self.copy_id)
        aggregate.retentions = {it: value for it, value in aggregate.retentions.items() if it != name}


class HoldPlaced(Job.Decision):
    """A legal hold that lists the job was placed."""

    type_name: ClassVar[str] = "job.hold_placed"
    hold_id: int
    name: str

    def apply(self, aggregate: Job) -> None:
        """Be held."""
        super().apply(aggregate)
        aggregate.holds = {**aggregate.holds, str(self.hold_id): self.name}


class HoldReleased(Job.Decision):
    """A legal hold that listed the job was released."""

    type_name: ClassVar[str] = "job.hold_released"
    hold_id: int
    reason: str | None = None

    def apply(self, aggregate: Job) -> None:
        """Be held by it no more."""
        super().apply(aggregate)
        aggregate.holds = {it: name for it, name in aggregate.holds.items() if it != str(self.hold_id)}


def _name_of(copy_id: int | None) -> str:
    return WHOLE_JOB if copy_id is None else str(copy_id)


def _instant_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def retentions_at(job: Job, at: datetime) -> dict[str, Mapping[str, str]]:
    """The users' retentions that are not over at that instant."""
    untils = {name: retained_until(job, name) for name in job.retentions}
    return {name: job.retentions[name] for name, until in untils.items() if until is not None and until > at}


def retain(
    job: Job, at: datetime, until: datetime | None = None, copy_id: int | None = None, reason: str | None = None
) -> None:
    """Retain the job, or a copy of it: the later time wins, never shorter. Raises InvalidCommandError for a time not to come,
    TooManyRetentionsError.
    """
    if until is not None and until <= at:
        raise InvalidCommandError("A job is retained until a time to come.", until=_instant_text(until))
    known = retained_until(job, _name_of(copy_id))
    if known is None or known < (until or WITHOUT_END):
        others = retentions_at(job, at).keys() - {WHOLE_JOB, _name_of(copy_id)}
        if copy_id is not None and len(others) >= MOST_RETAINED_COPIES:
            raise TooManyRetentionsError(
                f"At most {MOST_RETAINED_COPIES} copies of a job are retained.",
                job_id=job.job_id,
                limit=MOST_RETAINED_COPIES,
            )
        job.trigger_event(Retained, timestamp=at, copy_id=copy_id, until=until, reason=reason)


def release(job: Job, at: datetime, copy_id: int | None = None, reason: str | None = None) -> None:
    """End the user's retention of the job, or of a copy of it; one that is over already stays so."""
    known = retained_until(job, _name_of(copy_id))
    if known is not None and known > at:
        job.trigger_event(RetentionReleased, timestamp=at, copy_id=copy_id, reason=reason)


@dataclass(slots=True, kw_only=True, eq=False)
class RetentionDecision(JobTransition):
    """Base of what a user says of a job's retention. The result is that of a transition, and ``until``: how long the job, or
    the copy, is retained by users from now on; null for until released, absent for not at all.
    """

    capability: ClassVar[str] = "jobs.retain"
    copy_id: int | None = None
    reason: str | None = None

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, GoneError, InvalidCommandError, TooManyRetentionsError."""
        result = super(RetentionDecision, self).decide(unit)
        job = unit.get(Job, job_stream(self.job_id))
        assert job is not None
        until = retained_until(job, _name_of(self.copy_id))
        if until is not None and until > unit.now:
            result["until"] = None if until == WITHOUT_END else _instant_text(until)
        return result


@dataclass(slots=True, kw_only=True, eq=False)
class RetainJob(RetentionDecision):
    """Retain the job, or its data on a copy that it is on; ``until`` None: until released."""

    until: datetime | None = None

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Raises NotFoundError where it is not on the copy, JobCopyIsDeletedError."""
        if self.copy_id is not None:
            must_not_be_deleted_from(job, self.copy_id)
        retain(job, unit.now, self.until, self.copy_id, self.reason)


@dataclass(slots=True, kw_only=True, eq=False)
class ReleaseJob(RetentionDecision):
    """Let the user's retention of the job, or of a copy of it, end. Holds and the org's policy stay."""

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Release it."""
        must_give_reason(self.reason)
        release(job, unit.now, self.copy_id, self.reason)
