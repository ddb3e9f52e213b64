"""Jobs that the ledger does itself.

``Job.work``, of such a job:

    {"kind":"maintenance","order":{"full_build":false},"claim":2,"memory":{"pruned":5000}}

``order`` says what is to be done, as registered. A server that does the job has claimed it: ``claim`` is the number of the newest
claim. Each of its steps is a command that carries the number it was given and is refused where there is a newer one, so that a
server that was paused, and wakes when another has long taken over, changes nothing any more. ``memory`` is what whoever takes the
work over must know of how far it came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from jobledger.ledger.domain.command import Effect, Find, UnitOfWork
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_commands import LAST_HEARTBEAT, BreakJob, JobTransition
from jobledger.ledger.domain.job_notification import notify
from jobledger.ledger.domain.job_recurrence import register_next
from jobledger.ledger.errors import ConflictError

WORK = "ledger.work"
# Work that was taken over so often ends whoever does it.
MOST_CLAIMS = 100


class ClaimIsLostError(ConflictError):
    """Another server has taken the work over."""

    code = "claim_is_lost"


class Claimed(Job.Decision):
    """A server does the work from here on: ``claim`` is the number that its steps carry, ``server`` an id made at its start."""

    type_name: ClassVar[str] = "job.claimed"
    claim: int
    server: str

    def apply(self, aggregate: Job) -> None:
        """Be claimed anew."""
        super().apply(aggregate)
        aggregate.work = {**(aggregate.work or {}), "claim": self.claim}
        aggregate.last_report_at = self.timestamp


class WorkNoted(Job.Decision):
    """How far the work came: ``memory`` takes the place of what was remembered before."""

    type_name: ClassVar[str] = "job.work_noted"
    claim: int
    memory: dict[str, Any]

    def apply(self, aggregate: Job) -> None:
        """Remember it."""
        super().apply(aggregate)
        aggregate.work = {**(aggregate.work or {}), "memory": self.memory}
        aggregate.last_report_at = self.timestamp


def claim_of(job: Job) -> int:
    """The number of the newest claim, 0 before the first."""
    number: int = (job.work or {}).get("claim", 0)
    return number


def is_open_work(job: Job) -> bool:
    """Whether the ledger has this job to do: neither over, nor closed before it began."""
    if job.work is None or job.gone is not None or job.is_final:
        return False
    return not (job.is_closed and job.state is State.SCHEDULED)


def must_hold(job: Job, claim: int) -> None:
    """Raise JobIsFinalError, as of a job that was cancelled, or ClaimIsLostError, unless *claim* is its newest one."""
    job.must_not_be_final()
    if job.work is None or claim_of(job) != claim:
        raise ClaimIsLostError(
            f"Job {job.job_id} was taken over by claim {claim_of(job)}.", job_id=job.job_id, claim=claim_of(job)
        )


@dataclass(slots=True, kw_only=True, eq=False)
class ClaimWork(BreakJob):
    """A server wants to do the job. ``claim`` is the newest claim that it knows of, 0 for none.

    The result is that of a transition with ``claimed``; where it was, ``claim`` is the number for each step, and ``work`` and
    ``stage`` say what is to be done and how far it came. Judged on the newest state: nothing is appended where another has claimed
    it since, or where who did so gave a sign of life within *lapse*.
    """

    capability: ClassVar[str] = WORK
    claim: int
    server: str
    lapse: timedelta

    def finds(self) -> Iterable[Find]:
        """Its follow-ups, and its last heartbeat."""
        return (*super(ClaimWork, self).finds(), Find(LAST_HEARTBEAT, (self.job_id,)))

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """The follow-ups."""
        follow_ups, _heartbeat = answers
        return super(ClaimWork, self).found_streams((follow_ups,))

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, GoneError."""
        result = super(ClaimWork, self).decide(unit)
        job = unit.get(Job, f"job-{self.job_id}")
        assert job is not None
        is_claimed = not job.is_final and any(isinstance(it, Claimed) for it in unit.events)
        return {**result, "claimed": is_claimed, "claim": claim_of(job), "work": job.work, "stage": job.stage}

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Claim it, if it is free; end it where that leads nowhere."""
        if not is_open_work(job) or claim_of(job) != self.claim or (self.claim and not self._has_lapsed(unit, job)):
            return
        if not self.claim and job.scheduled_at is not None and job.scheduled_at > unit.now:
            # Its time has not come, by the ledger's clock.
            return
        if self.claim >= MOST_CLAIMS:
            job.fail(unit.now, error=f"Given up after it was taken over {MOST_CLAIMS} times.")
            return
        job.trigger_event(Claimed, timestamp=unit.now, claim=self.claim + 1, server=self.server)
        job.start(unit.now)
        if not self.claim:
            register_next(unit, self.caller, job)

    def _has_lapsed(self, unit: UnitOfWork, job: Job) -> bool:
        beat_at = unit.found(Find(LAST_HEARTBEAT, (self.job_id,)))
        seen_at = job.last_report_at or job.registered_at
        return bool(unit.now - max(seen_at, beat_at or seen_at) >= self.lapse)


@dataclass(slots=True, kw_only=True, eq=False)
class WorkStep(JobTransition):
    """Base of the steps of work. Each raises ClaimIsLostError, JobIsFinalError; further ones are to be below it too."""

    capability: ClassVar[str] = WORK
    is_told: ClassVar[bool] = True
    claim: int

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Take the step, if the claim is the newest."""
        must_hold(job, self.claim)
        self.take(unit, job)

    def take(self, unit: UnitOfWork, job: Job) -> None:
        """What the step comes to."""


@dataclass(slots=True, kw_only=True, eq=False)
class AdvanceWork(WorkStep):
    """The work came so far."""

    stage: str | None = None
    progress: float | None = None
    figures: dict[str, int | float] | None = None
    message: str | None = None
    memory: Mapping[str, Any] | None = None

    def take(self, unit: UnitOfWork, job: Job) -> None:
        """Record what is told."""
        if self.stage is not None:
            job.enter_stage(unit.now, self.stage)
        if (self.progress, self.figures, self.message) != (None, None, None):
            job.report_progress(unit.now, self.progress, self.figures, self.message)
        if self.memory is not None and self.memory != (job.work or {}).get("memory"):
            job.trigger_event(WorkNoted, timestamp=unit.now, claim=self.claim, memory=dict(self.memory))


@dataclass(slots=True, kw_only=True, eq=False)
class BeatWork(WorkStep):
    """Whoever does the work is alive. No event."""

    def take(self, unit: UnitOfWork, job: Job) -> None:
        """Note it beside the ledger, and tell the queue where the job stands."""
        notify(unit, job)
        unit.affect(Effect("heartbeat", (self.job_id, unit.now)))
        unit.outdate(LAST_HEARTBEAT, self.job_id)


@dataclass(slots=True, kw_only=True, eq=False)
class CompleteWork(WorkStep):
    """The work is done."""

    message: str | None = None

    def take(self, unit: UnitOfWork, job: Job) -> None:
        """End it well."""
        job.succeed(unit.now, message=self.message)


@dataclass(slots=True, kw_only=True, eq=False)
class FailWork(BreakJob):
    """The work cannot be done. A step as any other."""

    capability: ClassVar[str] = WORK
    claim: int
    error: str

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """End it badly."""
        must_hold(job, self.claim)
        job.fail(unit.now, error=self.error)
