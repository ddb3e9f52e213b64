"""What callers, and the ledger's own firing, ask of schedules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from jobledger.ledger.domain.command import Caller, Command, UnitOfWork
from jobledger.ledger.domain.cron import CronExpression
from jobledger.ledger.domain.job import DEFAULT_DOMAIN
from jobledger.ledger.domain.job_registration import RegisterJobs
from jobledger.ledger.domain.schedule import Schedule, schedule_stream
from jobledger.ledger.domain.schedule_action import MAINTENANCE, job_of, read_action
from jobledger.ledger.domain.timing import must_fire
from jobledger.ledger.errors import NotFoundError

READ_SCHEDULES = "schedules.read"
MANAGE_SCHEDULES = "schedules.manage"


@dataclass(slots=True, kw_only=True, eq=False)
class CreateSchedule(Command):
    """Let an action recur. The result is ``{"id", "version", "created_at", "next_at"}``, times as text.

    *schedule_id* is one that nobody has.
    """

    capability: ClassVar[str] = MANAGE_SCHEDULES
    schedule_id: UUID
    expression: str
    action: Mapping[str, Any]

    def streams(self) -> Iterable[str]:
        """The schedule."""
        return (schedule_stream(self.schedule_id),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises InvalidCommandError, InvalidExpressionError, also where it never fires."""
        must_fire(CronExpression.parse(self.expression), unit.now)
        schedule = unit.begin(
            Schedule.Created,
            schedule_stream(self.schedule_id),
            number=unit.next_number("schedule"),
            expression=self.expression,
            action=read_action(self.action),
            created_by=self.caller.principal,
        )
        assert isinstance(schedule, Schedule)
        return _told(schedule)


@dataclass(slots=True, kw_only=True, eq=False)
class ScheduleCommand(Command):
    """Base of what is asked of one schedule. The result is ``{"id", "version", "created_at", "next_at"}``."""

    capability: ClassVar[str] = MANAGE_SCHEDULES
    schedule_id: UUID

    def streams(self) -> Iterable[str]:
        """The schedule."""
        return (schedule_stream(self.schedule_id),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, GoneError."""
        schedule = unit.get(Schedule, schedule_stream(self.schedule_id))
        if schedule is None:
            raise NotFoundError(f"There is no schedule {self.schedule_id}.", schedule_id=str(self.schedule_id))
        schedule.must_be_here()
        changed = self.change(unit, schedule)
        return {**_told(schedule), **(changed or {})}

    def change(self, unit: UnitOfWork, schedule: Schedule) -> dict[str, Any] | None:
        """Change it; what is told beside the usual."""


@dataclass(slots=True, kw_only=True, eq=False)
class PauseSchedule(ScheduleCommand):
    """Let it not fire until it is resumed. One that is paused is so already."""

    reason: str | None = None

    def change(self, unit: UnitOfWork, schedule: Schedule) -> None:
        """Pause it."""
        if schedule.paused_at is None:
            schedule.trigger_event(Schedule.Paused, timestamp=unit.now, reason=self.reason)


@dataclass(slots=True, kw_only=True, eq=False)
class ResumeSchedule(ScheduleCommand):
    """Let it fire again. One that is not paused does so already."""

    reason: str | None = None

    def change(self, unit: UnitOfWork, schedule: Schedule) -> None:
        """Resume it."""
        if schedule.paused_at is not None:
            schedule.trigger_event(Schedule.Resumed, timestamp=unit.now, reason=self.reason)


@dataclass(slots=True, kw_only=True, eq=False)
class DeleteSchedule(ScheduleCommand):
    """Let it never fire again."""

    reason: str | None = None

    def change(self, unit: UnitOfWork, schedule: Schedule) -> None:
        """Delete it."""
        schedule.trigger_event(Schedule.Deleted, timestamp=unit.now, reason=self.reason)


@dataclass(slots=True, kw_only=True, eq=False)
class RunSchedule(ScheduleCommand):
    """Run it at once, paused or not. The result also has ``job_id``."""

    def change(self, unit: UnitOfWork, schedule: Schedule) -> dict[str, Any]:
        """Register its job."""
        job_id = _register_job(unit, self.caller, schedule, None)
        schedule.trigger_event(Schedule.Run, timestamp=unit.now, job_id=job_id)
        return {"job_id": job_id}


@dataclass(slots=True, kw_only=True, eq=False)
class FireSchedule(Command):
    """The ledger's own firing found the schedule due at *due_at*. The result is ``{"fired"}``.

    Judged on the newest state, so that any number of servers may ask it: where that or a later time has been fired for, where
    the schedule is paused or deleted, or not due by the ledger's clock, nothing is appended.
    """

    capability: ClassVar[str] = "ledger.fire"
    schedule_id: UUID
    due_at: datetime

    def streams(self) -> Iterable[str]:
        """The schedule."""
        return (schedule_stream(self.schedule_id),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Fire, and register the job in the same append; or do nothing."""
        schedule = unit.get(Schedule, schedule_stream(self.schedule_id))
        # Whoever asks for a time that is not the next knows a state before this one.
        if schedule is None or schedule.next_at != self.due_at:
            return {"fired": False}
        due = schedule.due(unit.now)
        if due is None:
            return {"fired": False}
        due_at, missed = due
        job_id = _register_job(unit, self.caller, schedule, due_at)
        schedule.trigger_event(Schedule.Fired, timestamp=unit.now, due_at=due_at, missed=missed, job_id=job_id)
        return {"fired": True}


@dataclass(slots=True, kw_only=True, eq=False)
class RunMaintenance(Command):
    """Maintain the org's aggregates at once, by no schedule. The result is ``{"job_id"}``."""

    capability: ClassVar[str] = MANAGE_SCHEDULES
    full_build: bool = False

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Register the job."""
        spec = job_of(read_action({"kind": MAINTENANCE, "full_build": self.full_build}))
        [job] = RegisterJobs(caller=_all_seeing(self.caller), jobs=[spec]).decide(unit)["jobs"]
        return {"job_id": job["id"]}


def _register_job(unit: UnitOfWork, caller: Caller, schedule: Schedule, due_at: datetime | None) -> int:
    spec = job_of(schedule.action)
    spec.attributes = {**(spec.attributes or {}), "schedule": str(schedule.schedule_id)}
    spec.scheduled_at = due_at
    [job] = RegisterJobs(caller=_all_seeing(caller), jobs=[spec]).decide(unit)["jobs"]
    job_id: int = job["id"]
    return job_id


def _all_seeing(caller: Caller) -> Caller:
    """The caller as one who registers what concerns the org as a whole: it lies in the domain that jobs lie in by default."""
    return replace(caller, domains=None, home_domain=DEFAULT_DOMAIN)


def _told(schedule: Schedule) -> dict[str, Any]:
    return {
        "id": str(schedule.schedule_id),
        "version": schedule.version,
        "created_at": schedule.created_at.isoformat(),
        "next_at": None if schedule.next_at is None else schedule.next_at.isoformat(),
    }
