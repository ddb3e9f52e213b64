"""Jobs and holds as the rules have them, beside which random histories go."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.histories import DAY

SCHEDULED, RUNNING, SUCCESS, FAILED = "SCHEDULED", "RUNNING", "SUCCESS", "FAILED"
CANCELLED, DISCARDED = "CANCELLED", "DISCARDED"
FINAL = (SUCCESS, FAILED, CANCELLED, DISCARDED)
BROKEN = FINAL[1:]
LONG_AGO = -100 * DAY


@dataclass(eq=False)
class Modelled:
    """A job, as the rules have it. Times are minutes; ``days`` are those of basic and extended retention that it got."""

    number: int
    type: str = "copy"
    state: str = SCHEDULED
    preceding: int | None = None
    scheduled_at: int | None = None
    registered_at: int = 0
    ended_at: float | None = None
    counted_from: float = 0
    days: tuple[int, int] = (0, 0)
    # What users retain, by the copy, None for the whole job, and until when.
    retentions: dict[int | None, float] = field(default_factory=dict)
    is_closed: bool = False
    gone: str | None = None
    # Where it is, and all that was ever said of it in private and not removed.
    place: str | None = None
    secrets: list[str] = field(default_factory=list)
    # Whether what is private of it was erased, and nothing was said in private since.
    is_clear: bool = False

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


@dataclass
class ModelledHold:
    """A hold, as the rules have it: over the jobs listed, or over those that meet all criteria."""

    name: str
    listed: set[int] = field(default_factory=set)
    criteria: dict[str, Any] | None = None
    is_released: bool = False

    def holds(self, job: Modelled) -> bool:
        if self.is_released or self.criteria is None:
            return not self.is_released and job.number in self.listed
        begins = {"scheduled_from": job.scheduled_at, "ended_from": job.ended_at, "registered_from": job.registered_at}
        return all(
            value == getattr(job, name)
            if name in ("type", "state")
            else (begun := begins[name]) is not None and begun >= value
            for name, value in self.criteria.items()
        )
