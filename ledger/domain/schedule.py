"""A schedule: what recurs when, and how far it has fired."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid5

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.cron import CronExpression
from jobledger.ledger.errors import GoneError

PREFIX = "schedule-"
# A fire that is later than this is a catch-up: one for all that are due by then.
LATE = timedelta(seconds=10)


def schedule_stream(schedule_id: UUID) -> str:
    """The stream of a schedule."""
    return f"{PREFIX}{schedule_id}"


def execution_id(schedule_id: UUID, job_id: int) -> UUID:
    """What names one execution of a schedule: the same for ever, made of what it is."""
    return uuid5(schedule_id, str(job_id))


class Schedule(Aggregate):
    """An action that recurs.

    ``since`` is the instant after which its due times count: when it was created or resumed, or what it fired for last. Every
    fire lies later than the one before, whatever a clock says.
    """

    schedule_id: UUID
    number: int
    expression: str
    action: Mapping[str, Any]
    created_by: str
    created_at: datetime
    since: datetime
    # When it fires next, if nothing is done about it before.
    next_at: datetime | None
    paused_at: datetime | None
    deleted_at: datetime | None
    # Of its last fire, or of its being run by hand; ``missed`` of all its fires.
    last_due_at: datetime | None
    last_executed_at: datetime | None
    last_job_id: int | None
    fires: int
    missed: int

    @property
    def cron(self) -> CronExpression:
        """When it recurs."""
        return CronExpression.parse(self.expression)

    def must_be_here(self) -> None:
        """Raise GoneError for one that was deleted."""
        if self.deleted_at is not None:
            raise GoneError("The schedule was deleted.", schedule_id=str(self.schedule_id))

    def due(self, now: datetime) -> tuple[datetime, int] | None:
        """What it is to fire for at *now*: a due time, and how many before it were missed; None for nothing.

        The first that is due; where that is late by more than LATE, the last that is due, those before it missed.
        """
        if self.next_at is None or self.next_at > now:
            return None
        if now - self.next_at <= LATE:
            return self.next_at, 0
        cron = self.cron
        return cron.last_until(self.next_at, now) or self.next_at, cron.count_between(self.next_at, now)

    def _count_from(self, since: datetime) -> None:
        self.since = since
        is_active = self.paused_at is None and self.deleted_at is None
        self.next_at = self.cron.next_after(since) if is_active else None

    class Event(Aggregate.Event):
        """Base of a schedule's events."""

    class Created(Event, Aggregate.Created):
        """The schedule began. ``created_by`` is the principal's stream."""

        type_name: ClassVar[str] = "schedule.created"
        number: int
        expression: str
        action: dict[str, Any]
        created_by: str

        def apply(self, aggregate: Schedule) -> None:
            """Begin."""
            aggregate.schedule_id = UUID(self.originator_id.removeprefix(PREFIX))
            aggregate.number = self.number
            aggregate.expression = self.expression
            aggregate.action = self.action
            aggregate.created_by = self.created_by
            aggregate.created_at = self.timestamp
            aggregate.paused_at = aggregate.deleted_at = None
            aggregate.last_due_at = aggregate.last_executed_at = aggregate.last_job_id = None
            aggregate.fires = aggregate.missed = 0
            aggregate._count_from(self.timestamp)

    class Paused(Event):
        """It fires no more until it is resumed; what falls due meanwhile was not missed."""

        type_name: ClassVar[str] = "schedule.paused"
        reason: str | None = None

        def apply(self, aggregate: Schedule) -> None:
            """Fire no more."""
            aggregate.paused_at = self.timestamp
            aggregate.next_at = None

    class Resumed(Event):
        """It fires again, from what falls due after now."""

        type_name: ClassVar[str] = "schedule.resumed"
        reason: str | None = None

        def apply(self, aggregate: Schedule) -> None:
            """Fire again. What it fired for stays fired for, also where that lies ahead of this event's time."""
            aggregate.paused_at = None
            aggregate._count_from(max(self.timestamp, aggregate.since))

    class Fired(Event):
        """It fired for ``due_at``, and registered the job; ``missed`` due times between that and the fire before it were not
        fired for.
        """

        type_name: ClassVar[str] = "schedule.fired"
        times: ClassVar[tuple[str, ...]] = ("due_at",)
        due_at: datetime
        missed: int
        job_id: int

        def apply(self, aggregate: Schedule) -> None:
            """Go on to the next."""
            aggregate.last_due_at = self.due_at
            aggregate.last_executed_at = self.timestamp
            aggregate.last_job_id = self.job_id
            aggregate.fires += 1
            aggregate.missed += self.missed
            aggregate._count_from(self.due_at)

    class Run(Event):
        """Somebody ran it at once, and it registered the job; its due times stay as they are."""

        type_name: ClassVar[str] = "schedule.run"
        job_id: int

        def apply(self, aggregate: Schedule) -> None:
            """Note the execution."""
            aggregate.last_executed_at = self.timestamp
            aggregate.last_job_id = self.job_id

    class Deleted(Event):
        """It never fires again."""

        type_name: ClassVar[str] = "schedule.deleted"
        reason: str | None = None

        def apply(self, aggregate: Schedule) -> None:
            """Fire no more."""
            aggregate.deleted_at = self.timestamp
            aggregate.next_at = None


Schedule.Created.aggregate_class = Schedule
