"""A job's own holds: each is called by one name, lists that job and no other, and is placed and released by the job's id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jobledger.ledger.domain.access_commands import must_see_all
from jobledger.ledger.domain.command import Command, UnitOfWork
from jobledger.ledger.domain.hold import Hold, hold_stream
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from jobledger.ledger.domain.job import job_stream


@dataclass(slots=True, kw_only=True, eq=False)
class JobHoldCommand(Command):
    """Base of what is asked of a job's own holds. *hold_ids*: the holds that list it, as it was when this was asked."""

    capability: ClassVar[str] = PlaceHold.capability
    job_id: int
    name: str
    hold_ids: Sequence[int]
    reason: str | None = None

    @property
    def least_events(self) -> int:
        """Two a hold."""
        return 2 * max(1, len(self.hold_ids))

    def streams(self) -> Iterable[str]:
        """The job, and these holds."""
        return [job_stream(self.job_id), *map(hold_stream, self.hold_ids)]

    def own(self, unit: UnitOfWork) -> list[Hold]:
        """Those of these holds that are the job's own, and not released."""
        must_see_all(self.caller)
        holds = [unit.see(Hold, hold_stream(it)) for it in self.hold_ids]
        return [
            it
            for it in holds
            if it is not None and not it.is_released and it.job_ids == (self.job_id,) and it.name == self.name
        ]


@dataclass(slots=True, kw_only=True, eq=False)
class HoldJob(JobHoldCommand):
    """Place a hold over the job alone. The result is ``{"hold_ids"}``. One that has its own is done, nothing appended."""

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, NotAllowedError."""
        hold_ids = [it.hold_id for it in self.own(unit)]
        if not hold_ids:
            place = PlaceHold(caller=self.caller, name=self.name, reason=self.reason, job_ids=[self.job_id])
            hold_ids = [place.decide(unit)["id"]]
        return {"hold_ids": hold_ids}


@dataclass(slots=True, kw_only=True, eq=False)
class ReleaseJobHolds(JobHoldCommand):
    """Release all of the job's own holds. The result is ``{"hold_ids"}``, those released now."""

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises InvalidCommandError without a reason, NotAllowedError."""
        hold_ids = [it.hold_id for it in self.own(unit)]
        for hold_id in hold_ids:
            ReleaseHold(caller=self.caller, hold_id=hold_id, reason=self.reason).decide(unit)
        return {"hold_ids": hold_ids}
