"""What callers, and the ledger's own watch, ask of one job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from jobledger.ledger.domain.command import Caller, Command, Effect, Find, UnitOfWork
from jobledger.ledger.domain.job import Job, State, job_stream
from jobledger.ledger.domain.job_notification import notify
from jobledger.ledger.errors import GoneError, JobHasBegunError, JobIsTheLedgersError, NotFoundError

# What a preceding job ends in for its follow-ups to be discarded, and how the reason says it.
BROKEN_STATES = {State.FAILED: "failed", State.CANCELLED: "was cancelled", State.DISCARDED: "was discarded"}
FOLLOW_UPS = "follow_ups"
LAST_HEARTBEAT = "last_heartbeat"


def visible_job(unit: UnitOfWork, caller: Caller, job_id: int) -> Job:
    """The job, if there is one that *caller* may see. Raises NotFoundError, GoneError."""
    job = unit.get(Job, job_stream(job_id))
    if job is None or not caller.sees(job.domain):
        raise NotFoundError(f"There is no job {job_id}.", job_id=job_id)
    must_be_here(job)
    return job


def must_be_here(job: Job) -> None:
    """Raise GoneError if it was deleted or erased."""
    if job.gone is not None:
        raise GoneError(f"Job {job.job_id} was {job.gone}.", job_id=job.job_id, gone=job.gone)


@dataclass(slots=True, kw_only=True, eq=False)
class JobTransition(Command):
    """Base of what is asked of one job. The result is ``{"id", "state", "version"}`` after it.

    ``is_of_workers``: whether it is asked by who works on the job, and nobody may of one that the ledger does itself.
    """

    is_of_workers: ClassVar[bool] = False
    # Whether what it changes of a job that the ledger does itself is told to the queue, if there is one.
    is_told: ClassVar[bool] = False
    job_id: int

    def streams(self) -> Iterable[str]:
        """The job."""
        return (job_stream(self.job_id),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, JobIsTheLedgersError, and what the transition raises."""
        job = visible_job(unit, self.caller, self.job_id)
        if self.is_of_workers and job.work is not None:
            raise JobIsTheLedgersError(f"The ledger does job {self.job_id} itself.", job_id=self.job_id)
        self.change(unit, job)
        if self.is_told and job.work is not None and unit.events:
            notify(unit, job)
        return {"id": self.job_id, "state": str(job.state), "version": job.version}

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Make the transition."""


@dataclass(slots=True, kw_only=True, eq=False)
class StartJob(JobTransition):
    """The job began to run."""

    capability: ClassVar[str] = "jobs.update"
    is_of_workers: ClassVar[bool] = True
    stage: str | None = None
    started_at: datetime | None = None

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Start it."""
        job.start(unit.now, self.stage, self.started_at)


@dataclass(slots=True, kw_only=True, eq=False)
class EnterStage(JobTransition):
    """The job went on to a stage."""

    capability: ClassVar[str] = "jobs.update"
    is_of_workers: ClassVar[bool] = True
    stage: str

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Enter it."""
        job.enter_stage(unit.now, self.stage)


@dataclass(slots=True, kw_only=True, eq=False)
class ReportProgress(JobTransition):
    """The job reports how far it is."""

    capability: ClassVar[str] = "jobs.update"
    is_of_workers: ClassVar[bool] = True
    progress: float | None = None
    figures: dict[str, int | float] | None = None
    message: str | None = None

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Record it."""
        job.report_progress(unit.now, self.progress, self.figures, self.message)


@dataclass(slots=True, kw_only=True, eq=False)
class SendHeartbeat(JobTransition):
    """The job's worker is alive. An event only where the job was stale."""

    capability: ClassVar[str] = "jobs.update"
    is_of_workers: ClassVar[bool] = True

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Note it beside the ledger."""
        job.give_sign_of_life(unit.now)
        unit.affect(Effect("heartbeat", (self.job_id, unit.now)))
        unit.outdate(LAST_HEARTBEAT, self.job_id)


@dataclass(slots=True, kw_only=True, eq=False)
class SucceedJob(JobTransition):
    """The job ended well."""

    capability: ClassVar[str] = "jobs.update"
    is_of_workers: ClassVar[bool] = True
    ended_at: datetime | None = None
    message: str | None = None

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """End it."""
        job.succeed(unit.now, self.ended_at, self.message)


@dataclass(slots=True, kw_only=True, eq=False)
class BreakJob(JobTransition):
    """Base of what ends a job so that its follow-ups are discarded in the same append.

    The result's ``discarded`` are the ids of those that the caller may see.
    """

    is_counted: ClassVar[bool] = False
    is_told: ClassVar[bool] = True

    def finds(self) -> Iterable[Find]:
        """Its follow-ups, theirs, and so on."""
        return (Find(FOLLOW_UPS, (self.job_id,)),)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """All of them."""
        return (job_stream(job_id) for follow_ups in answers for job_id, _preceding in follow_ups)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Make the transition, then discard what waited for the job. Raises as JobTransition."""
        result = super(BreakJob, self).decide(unit)
        job = unit.get(Job, job_stream(self.job_id))
        if job is not None and job.state in BROKEN_STATES:
            discarded = discard_follow_ups(unit, job)
            result["discarded"] = [it.job_id for it in discarded if self.caller.sees(it.domain)]
        return result


def discard_follow_ups(unit: UnitOfWork, broken: Job) -> list[Job]:
    """Discard the scheduled jobs behind *broken*, nearest first; those jobs. A job that is gone breaks them whatever its state."""
    broken_by_id = {broken.job_id: broken}
    for job_id, preceding_id in unit.found(Find(FOLLOW_UPS, (broken.job_id,))):
        follow_up = unit.get(Job, job_stream(job_id))
        preceding = broken_by_id.get(preceding_id)
        is_waiting = follow_up is not None and follow_up.state is State.SCHEDULED and follow_up.gone is None
        if preceding is not None and follow_up is not None and is_waiting:
            discard_after(unit, follow_up, preceding)
            broken_by_id[job_id] = follow_up
    return list(broken_by_id.values())[1:]


def discard_after(unit: UnitOfWork, job: Job, preceding: Job) -> None:
    """Discard the job with *preceding*, which has broken, or is gone. Raises JobIsFinalError."""
    why = BROKEN_STATES[preceding.state] if preceding.gone is None else f"was {preceding.gone}"
    job.discard(unit.now, f"preceding job {preceding.job_id} {why}", because_of_job_id=preceding.job_id)


@dataclass(slots=True, kw_only=True, eq=False)
class FailJob(BreakJob):
    """The job ended badly."""

    capability: ClassVar[str] = "jobs.update"
    is_of_workers: ClassVar[bool] = True
    ended_at: datetime | None = None
    error: str | None = None

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """End it."""
        job.fail(unit.now, self.ended_at, self.error)


@dataclass(slots=True, kw_only=True, eq=False)
class CancelJob(BreakJob):
    """Somebody ends the job, started or not."""

    capability: ClassVar[str] = "jobs.cancel"
    reason: str | None = None

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """End it."""
        job.cancel(unit.now, reason=self.reason)


@dataclass(slots=True, kw_only=True, eq=False)
class CancelScheduledJob(CancelJob):
    """Somebody wants the job not to begin."""

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """End it. Raises JobHasBegunError."""
        if job.state is not State.SCHEDULED:
            raise JobHasBegunError(
                f"Job {job.job_id} is {job.state}; only a job that is scheduled and has not started can be cancelled.",
                job_id=job.job_id,
                state=str(job.state),
            )
        super(CancelScheduledJob, self).change(unit, job)


@dataclass(slots=True, kw_only=True, eq=False)
class StopJob(BreakJob):
    """Somebody stops the job while it runs in the fetch stage: it is cancelled and discarded."""

    capability: ClassVar[str] = "jobs.stop"

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Stop it."""
        job.stop(unit.now)


@dataclass(slots=True, kw_only=True, eq=False)
class JudgeOverdueJob(BreakJob):
    """The ledger's own watch found the job overdue: it goes stale, or is discarded because it never started.

    *allowance* is the time since the deadline began to run in which no server did. Judged on the newest state, so that two
    watches, or a heartbeat on its way, do no harm.
    """

    capability: ClassVar[str] = "ledger.watch"
    allowance: timedelta = timedelta(0)

    def finds(self) -> Iterable[Find]:
        """Its follow-ups, and its last heartbeat."""
        return (Find(FOLLOW_UPS, (self.job_id,)), Find(LAST_HEARTBEAT, (self.job_id,)))

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """The follow-ups."""
        follow_ups, _heartbeat = answers
        return [job_stream(job_id) for job_id, _preceding in follow_ups]

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Let it go stale, or discard it, unless it is not overdue after all."""
        due_at = job.due_at
        if due_at is None:
            return
        if job.state is State.SCHEDULED:
            if unit.now >= due_at + self.allowance:
                job.discard(unit.now, f"not started within {job.start_timeout} s of its scheduled start")
            return
        beat_at: datetime | None = unit.found(Find(LAST_HEARTBEAT, (self.job_id,)))
        last_seen_at = job.last_report_at or job.registered_at
        if beat_at is not None and beat_at > last_seen_at:
            due_at, last_seen_at = due_at + (beat_at - last_seen_at), beat_at
        if unit.now >= due_at + self.allowance:
            job.go_stale(unit.now, last_seen_at)
