"""Placing and releasing legal holds.

A hold over a list says so in the stream of each of its jobs, in the same append. One over a filter is one event however many
jobs it covers: whether it covers a job is computed where it is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jobledger.ledger.domain.access_commands import must_see_all
from jobledger.ledger.domain.command import Command, Find, UnitOfWork
from jobledger.ledger.domain.hold import Hold, HoldFilter, hold_stream
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_keeping import HoldPlaced, HoldReleased
from jobledger.ledger.domain.policy_commands import can_be_seen, must_give_reason
from jobledger.ledger.errors import InvalidCommandError, NotFoundError, TooManyHoldsError

# Questions: the numbers of the active holds over filters, and the jobs that a hold lists.
FILTER_HOLDS = "filter_holds"
JOBS_OF_HOLD = "jobs_of_hold"
ALL_FILTER_HOLDS = Find(FILTER_HOLDS, ())
# Each is asked of every job that is to be removed.
MOST_FILTER_HOLDS = 100
MOST_LISTED_JOBS = 10_000
LONGEST_NAME = 200


def active_holds(unit: UnitOfWork) -> list[Hold]:
    """The active holds over filters, of a command that asked for FILTER_HOLDS."""
    numbers = unit.found(ALL_FILTER_HOLDS)
    if not numbers:
        return []
    holds = (unit.see(Hold, hold_stream(number)) for number in numbers)
    return [it for it in holds if it is not None and not it.is_released]


@dataclass(slots=True, kw_only=True, eq=False)
class PlaceHold(Command):
    """Place a hold over *job_ids*, all or none, or over a filter. The result is ``{"id", "name", "version"}``."""

    capability: ClassVar[str] = "holds.manage"
    is_counted: ClassVar[bool] = False
    name: str
    reason: str | None = None
    job_ids: Sequence[int] | None = None
    filter: HoldFilter | None = None

    @property
    def least_events(self) -> int:
        """Its own, and one of each listed job."""
        return 1 + len(self.job_ids or ())

    def streams(self) -> Iterable[str]:
        """The jobs."""
        return map(job_stream, self.job_ids or ())

    def finds(self) -> Iterable[Find]:
        """For one over a filter, which others there are."""
        return () if self.filter is None else (ALL_FILTER_HOLDS,)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises InvalidCommandError, NotFoundError naming all jobs that are not there, TooManyHoldsError, NotAllowedError."""
        must_see_all(self.caller)
        if self.reason is not None:
            must_give_reason(self.reason)
        if not can_be_seen(self.name) or len(self.name) > LONGEST_NAME:
            raise InvalidCommandError(f"A hold's name has 1 to {LONGEST_NAME} characters.", member="name")
        if (self.job_ids is None) == (self.filter is None):
            raise InvalidCommandError("A hold is over job_ids or over a filter.", member="job_ids")
        jobs = []
        if self.filter is not None:
            self.filter.check()
            if len(unit.found(ALL_FILTER_HOLDS)) >= MOST_FILTER_HOLDS:
                raise TooManyHoldsError(f"At most {MOST_FILTER_HOLDS} are.", limit=MOST_FILTER_HOLDS)
            unit.outdate(FILTER_HOLDS)
        else:
            jobs = self._jobs(unit)
        number = unit.next_number("hold")
        unit.outdate(JOBS_OF_HOLD, number)
        hold = unit.begin(
            Hold.Placed,
            hold_stream(number),
            name=self.name,
            reason=self.reason,
            job_ids=[it.job_id for it in jobs] or None,
            filter=None if self.filter is None else self.filter.data,
        )
        for job in jobs:
            job.trigger_event(HoldPlaced, timestamp=unit.now, hold_id=number, name=self.name)
        return {"id": number, "name": self.name, "version": hold.version}

    def _jobs(self, unit: UnitOfWork) -> list[Job]:
        job_ids = dict.fromkeys(self.job_ids or ())
        if not 0 < len(job_ids) <= MOST_LISTED_JOBS:
            raise InvalidCommandError(f"A hold lists 1 to {MOST_LISTED_JOBS} jobs.", limit=MOST_LISTED_JOBS)
        jobs = {job_id: unit.get(Job, job_stream(job_id)) for job_id in job_ids}
        missing = [job_id for job_id, job in jobs.items() if job is None or job.gone is not None]
        if missing:
            raise NotFoundError(f"{len(missing)} of the jobs are not there.", job_ids=missing)
        return [job for job in jobs.values() if job is not None]


@dataclass(slots=True, kw_only=True, eq=False)
class ReleaseHold(Command):
    """Release a hold. The result is ``{"id", "name", "version"}``. One that was released is done, nothing appended."""

    capability: ClassVar[str] = "holds.manage"
    is_counted: ClassVar[bool] = False
    hold_id: int
    reason: str | None = None

    def streams(self) -> Iterable[str]:
        """The hold."""
        return (hold_stream(self.hold_id),)

    def finds(self) -> Iterable[Find]:
        """Its jobs."""
        return (Find(JOBS_OF_HOLD, (self.hold_id,)),)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """Those of its jobs."""
        return (job_stream(job_id) for job_ids in answers for job_id in job_ids)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, InvalidCommandError, NotAllowedError."""
        must_see_all(self.caller)
        must_give_reason(self.reason)
        hold = unit.get(Hold, hold_stream(self.hold_id))
        if hold is None:
            raise NotFoundError(f"There is no hold {self.hold_id}.", hold_id=self.hold_id)
        result = {"id": self.hold_id, "name": hold.name}
        if hold.is_released:
            return {**result, "version": hold.version}
        hold.trigger_event(Hold.Released, timestamp=unit.now, reason=self.reason)
        for job_id in hold.job_ids or ():
            job = unit.get(Job, job_stream(job_id))
            if job is not None and str(self.hold_id) in job.holds:
                job.trigger_event(HoldReleased, timestamp=unit.now, hold_id=self.hold_id, reason=self.reason)
        if hold.filter is not None:
            unit.outdate(FILTER_HOLDS)
        return {**result, "version": hold.version}
