"""A legal hold: over jobs that it lists, or over all that a filter lets through, now and later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import ClassVar

from jobledger.ledger.domain.aggregate import USUAL_WEIGHT_BYTES, Aggregate
from jobledger.ledger.domain.job import FINAL_STATES, Job
from jobledger.ledger.errors import InvalidCommandError

PREFIX = "hold-"


def hold_stream(number: int) -> str:
    """The stream of a hold."""
    return f"{PREFIX}{number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFilter:
    """Which jobs a hold covers. Only by what never changes once it is so: no job leaves it. From is included, to is not.

    ``registered`` is when the ledger recorded the registration; a job that has not started, or ended, or was never to be
    scheduled is not in any such time.
    """

    type: str | None = None
    domain: str | None = None
    datastream_id: str | None = None
    source: str | None = None
    external_id: str | None = None
    state: str | None = None
    registered_from: datetime | None = None
    registered_to: datetime | None = None
    scheduled_from: datetime | None = None
    scheduled_to: datetime | None = None
    started_from: datetime | None = None
    started_to: datetime | None = None
    ended_from: datetime | None = None
    ended_to: datetime | None = None

    def check(self) -> None:
        """Raise InvalidCommandError for a filter without a criterion, or by a state that a job can leave."""
        if not self.data:
            raise InvalidCommandError("A hold's filter has at least one criterion.", members=list(FILTER_MEMBERS))
        if self.state is not None and self.state not in FINAL_STATES:
            raise InvalidCommandError(
                "A hold's filter takes final states alone: no job may leave it.", state=self.state
            )

    @property
    def data(self) -> dict[str, str]:
        """The criteria that are set, as plain members."""
        given = {name: value for name in FILTER_MEMBERS if (value := getattr(self, name)) is not None}
        return {name: _instant_text(it) if isinstance(it, datetime) else str(it) for name, it in given.items()}

    @classmethod
    def read(cls, data: Mapping[str, str]) -> HoldFilter:
        """The filter that ``data`` was made of."""
        return cls(
            **{name: datetime.fromisoformat(it) if name in FILTER_TIMES else it for name, it in data.items()}  # type: ignore[arg-type]
        )

    def covers(self, job: Job) -> bool:
        """Whether the job is one of them. Of one that is gone, what is no longer known counts as matching."""
        is_gone = job.gone is not None
        if self.type not in (None, job.type) or self.domain not in (None, job.domain):
            return False
        if self.state not in (None, job.state):
            return False
        if not is_gone:
            datastream_id = None if job.datastream is None else str(job.datastream["id"])
            if self.datastream_id not in (None, datastream_id) or self.source not in (None, job.source):
                return False
            if self.external_id not in (None, job.external_id):
                return False
        return (
            _is_within(job.registered_at, self.registered_from, self.registered_to)
            and _is_within(job.scheduled_at, self.scheduled_from, self.scheduled_to)
            and _is_within(job.started_at, self.started_from, self.started_to)
            and _is_within(job.ended_at, self.ended_from, self.ended_to)
        )


FILTER_MEMBERS = tuple(field.name for field in fields(HoldFilter))
FILTER_TIMES = frozenset(name for name in FILTER_MEMBERS if name.endswith(("_from", "_to")))


def _is_within(instant: datetime | None, begin: datetime | None, end: datetime | None) -> bool:
    if begin is None and end is None:
        return True
    if instant is None:
        return False
    return (begin is None or instant >= begin) and (end is None or instant < end)


def _instant_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class FilterHold:
    """An active hold over a filter, as far as it tells which jobs it covers."""

    hold_id: int
    name: str
    filter: HoldFilter

    def covers(self, job: Job) -> bool:
        """Whether it holds the job."""
        return self.filter.covers(job)


class Hold(Aggregate):
    """A legal hold, from when it was placed."""

    hold_id: int
    name: str
    reason: str | None
    job_ids: tuple[int, ...] | None
    filter: HoldFilter | None
    placed_at: datetime
    released_at: datetime | None
    release_reason: str | None

    @property
    def weight_bytes(self) -> int:
        """See ``Aggregate``."""
        return USUAL_WEIGHT_BYTES + 40 * len(self.job_ids or ())

    @property
    def is_released(self) -> bool:
        """Whether it holds nothing any more."""
        return self.released_at is not None

    def covers(self, job: Job) -> bool:
        """Whether it holds the job by its filter; a hold over a list stands with each of its jobs."""
        return self.released_at is None and self.filter is not None and self.filter.covers(job)

    class Event(Aggregate.Event):
        """Base of a hold's events."""

    class Placed(Event, Aggregate.Created):
        """The hold was placed, over *job_ids* or over what *filter* lets through: its criteria, instants as text."""

        type_name: ClassVar[str] = "hold.placed"
        name: str
        reason: str | None = None
        job_ids: list[int] | None = None
        filter: dict[str, str] | None = None

        def apply(self, aggregate: Hold) -> None:
            """Begin."""
            aggregate.hold_id = int(self.originator_id.removeprefix(PREFIX))
            aggregate.name = self.name
            aggregate.reason = self.reason
            aggregate.job_ids = None if self.job_ids is None else tuple(self.job_ids)
            aggregate.filter = None if self.filter is None else HoldFilter.read(self.filter)
            aggregate.placed_at = self.timestamp
            aggregate.released_at = aggregate.release_reason = None

    class Released(Event):
        """The hold holds nothing any more."""

        type_name: ClassVar[str] = "hold.released"
        reason: str | None = None

        def apply(self, aggregate: Hold) -> None:
            """Be released."""
            aggregate.released_at = self.timestamp
            aggregate.release_reason = self.reason


Hold.Placed.aggregate_class = Hold
