"""A type of event with private content, for tests of what becomes of that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from jobledger.ledger.domain.aggregate import WithPrivateMembers
from jobledger.ledger.domain.command import UnitOfWork
from jobledger.ledger.domain.event_types import CLASS_BY_TYPE
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_commands import JobTransition

SECRET = "Jane Doe, 5 Elm Street"


class Located(WithPrivateMembers, Job.Decision):
    """Somebody says where the job is: what is private here."""

    type_name: ClassVar[str] = "job.located"
    private: ClassVar[tuple[str, ...]] = ("location",)
    location: dict[str, Any] | None = None

    def apply(self, aggregate: Job) -> None:
        """Be there."""
        super().apply(aggregate)
        if self.location is not None:
            aggregate.location = self.location


@dataclass(slots=True, kw_only=True, eq=False)
class LocateJob(JobTransition):
    """Say where the job is."""

    capability: ClassVar[str] = "jobs.update"
    place: str = SECRET

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Record it."""
        job.trigger_event(Located, timestamp=unit.now, location={"place": self.place})


@contextmanager
def located_events() -> Iterator[None]:
    """Such events are known until this ends, which is to be after the last audit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLASS_BY_TYPE, Located.type_name, Located)
        yield
