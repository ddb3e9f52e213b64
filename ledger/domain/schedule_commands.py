"""What callers, and the ledger's own firing, ask of schedules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from jobledger.ledger.domain.access import Principal
from jobledger.ledger.domain.command import Caller, Command, UnitOfWork
from jobledger.ledger.domain.cron import CronExpression
from jobledger.ledger.domain.schedule import Schedule, schedule_stream
from jobledger.ledger.domain.schedule_action import MAINTENANCE, Occasion, do_action, needs_leave, read_action, settle
from jobledger.ledger.domain.timing import must_fire
from jobledger.ledger.errors import NotAllowedError, NotFoundError

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
        """Raises InvalidCommandError, InvalidExpressionError, also where it never fires; NotAllowedError where the caller may
        not do what it is to do.
        """
        must_fire(CronExpression.parse(self.expression), unit.now)
        occasion = Occasion(self.schedule_id, unit.now, None, None)
        action = settle(self.caller, read_action(self.action), occasion, unit.now)
        schedule = unit.begin(
            Schedule.Created,
            schedule_stream(self.schedule_id),
            number=unit.next_number("schedule"),
            expression=self.expression,
            action=action,
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
    """Let it never fire again. Where a *kind* of action is named, one of another is none."""

    reason: str | None = None
    kind: str | None = None

    def change(self, unit: UnitOfWork, schedule: Schedule) -> None:
        """Delete it. Raises NotFoundError."""
        if self.kind not in (None, schedule.action["kind"]):
            raise NotFoundError(f"There is no schedule {self.schedule_id}.", schedule_id=str(self.schedule_id))
        schedule.trigger_event(Schedule.Deleted, timestamp=unit.now, reason=self.reason)


@dataclass(slots=True, kw_only=True, eq=False)
class RunSchedule(ScheduleCommand):
    """Run it at once, paused or not, as the caller. The result also has ``job_id``."""

    def change(self, unit: UnitOfWork, schedule: Schedule) -> dict[str, Any]:
        """Register its job. Raises NotAllowedError."""
        occasion = Occasion(self.schedule_id, unit.now, None, schedule.last_due_at)
        job_id = do_action(unit, self.caller, schedule.action, occasion)
        schedule.trigger_event(Schedule.Run, timestamp=unit.now, job_id=job_id)
        return {"job_id": job_id}


@dataclass(slots=True, kw_only=True, eq=False)
class FireSchedule(Command):
    """The ledger's own firing found the schedule due at *due_at*. The result is ``{"fired"}``.

    Judged on the newest state, so that any number of servers may ask it: where that or a later time has been fired for, where
    the schedule is paused or deleted, or not due by the ledger's clock, nothing is appended. What needs a capability is done as
    the principal that made the schedule, *made_by*: where that may not any more, the schedule is paused.
    """

    capability: ClassVar[str] = "ledger.fire"
    schedule_id: UUID
    due_at: datetime
    made_by: str | None = None

    def streams(self) -> Iterable[str]:
        """The schedule, and who made it."""
        return (schedule_stream(self.schedule_id), *(() if self.made_by is None else (self.made_by,)))

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Fire, and register the job in the same append; or do nothing."""
        schedule = unit.get(Schedule, schedule_stream(self.schedule_id))
        # Whoever asks for a time that is not the next knows a state before this one.
        if schedule is None or schedule.next_at != self.due_at:
            return {"fired": False}
        if self.made_by != schedule.created_by and needs_leave(schedule.action):
            return {"fired": False}
        due = schedule.due(unit.now)
        if due is None:
            return {"fired": False}
        due_at, missed = due
        occasion = Occasion(self.schedule_id, due_at, due_at, schedule.last_due_at)
        try:
            doer = self._doer(unit, schedule)
            job_id = unit.attempt(lambda part: do_action(part, doer, schedule.action, occasion))
        except NotAllowedError as refusal:
            schedule.trigger_event(Schedule.Paused, timestamp=unit.now, reason=f"It may not fire: {refusal.detail}")
            return {"fired": False}
        schedule.trigger_event(Schedule.Fired, timestamp=unit.now, due_at=due_at, missed=missed, job_id=job_id)
        return {"fired": True}

    def _doer(self, unit: UnitOfWork, schedule: Schedule) -> Caller:
        """As whom it is done. Raises NotAllowedError."""
        if not needs_leave(schedule.action):
            return self.caller
        maker = unit.see(Principal, schedule.created_by)
        if maker is None or maker.is_disabled:
            raise NotAllowedError(f"{schedule.created_by} made it, and is not let in.")
        domains = None if maker.domains is None else frozenset(maker.domains)
        return replace(
            self.caller,
            principal=schedule.created_by,
            capabilities=maker.granted,
            home_domain=maker.home_domain,
            domains=domains,
        )


@dataclass(slots=True, kw_only=True, eq=False)
class RunMaintenance(Command):
    """Maintain the org's aggregates at once, by no schedule. The result is ``{"job_id"}``."""

    capability: ClassVar[str] = MANAGE_SCHEDULES
    full_build: bool = False

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Register the job."""
        action = read_action({"kind": MAINTENANCE, "full_build": self.full_build})
        return {"job_id": do_action(unit, self.caller, action, None)}


def _told(schedule: Schedule) -> dict[str, Any]:
    return {
        "id": str(schedule.schedule_id),
        "version": schedule.version,
        "created_at": schedule.created_at.isoformat(),
        "next_at": None if schedule.next_at is None else schedule.next_at.isoformat(),
    }
