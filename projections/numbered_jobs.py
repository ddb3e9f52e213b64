"""Asking for jobs by the number of a page: with how many there are in all, and without reading those before the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from jobledger.ledger.domain.job import State
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.statement import statement
from jobledger.projections.jobs import shown_job

PACKAGE = "jobledger.projections"
DAY = timedelta(days=1)
# So many are sorted sooner than their page is looked for.
FEW_JOBS = 5_000
ALL_STATES = [it.value for it in State]
# No job begins before or after.
EARLIEST, LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


class Span(NamedTuple):
    """A time: *begin* is in it, *end* is not."""

    begin: datetime = EARLIEST
    end: datetime = LATEST


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedFilter:
    """Which jobs are wanted; None lets all through. *span*: in which time they began, are to begin, or else were registered.

    By id, or, ``by_begin``, by that time; ``is_reversed``: the largest id, the latest, first.
    """

    states: tuple[str, ...] | None = None
    datastream_id: str | None = None
    span: Span | None = None
    by_begin: bool = False
    is_reversed: bool = False


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """Some jobs, as the native API shows them, and how many there are in all."""

    jobs: Sequence[dict[str, Any]]
    count: int


class NumberedJobs:
    """The jobs of every org by pages. *domains* are those that the asker may see, None for all.

    In the order of their ids no job comes before one that is there: whoever follows the pages while jobs are added misses none.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, org: str, wanted: NumberedFilter, domains: frozenset[str] | None, *, number: int, size: int
    ) -> NumberedPage:
        """Page *number*, from 1; the count and the jobs are of one moment. Raises DatabaseIsAwayError."""
        return await self.slice(org, wanted, domains, offset=(number - 1) * size, size=size)

    async def slice(
        self, org: str, wanted: NumberedFilter, domains: frozenset[str] | None, *, offset: int, size: int
    ) -> NumberedPage:
        """As ``page``, of the jobs from any one on."""
        visible = None if domains is None else sorted(domains)
        direction = -1 if wanted.is_reversed else 1
        span, states = wanted.span or Span(), wanted.states or ()
        counted = ALL_STATES if wanted.states is None else list(states)
        if wanted.datastream_id is None and wanted.by_begin:
            name = "jobs_by_time"
            arguments: list[Any] = [*span, *parts_of(span), visible, direction, offset, size, counted]
        elif wanted.datastream_id is None:
            name = "jobs_in_time"
            others = None if wanted.states is None else ALL_STATES
            arguments = [*span, *parts_of(span), visible, direction, offset, size, FEW_JOBS, counted, others]
        else:
            name = "numbered_jobs"
            arguments = [
                states[0] if len(states) == 1 else None,
                list(states) if len(states) != 1 and wanted.states is not None else None,
                wanted.datastream_id,
                *(wanted.span or (None, None)),
                visible,
                wanted.by_begin,
                direction,
                offset,
                size,
            ]
        records = await self._database.fetch(statement(PACKAGE, name), org, *arguments)
        shown = [shown_job(it) for it in records if it["id"] is not None]
        return NumberedPage(shown, records[0]["count"])

    async def last_of_datastream(
        self, org: str, datastream_id: str, domains: frozenset[str] | None
    ) -> dict[str, Any] | None:
        """The last job registered with that datastream; None where there was never one. Raises DatabaseIsAwayError."""
        visible = None if domains is None else sorted(domains)
        sql = statement(PACKAGE, "last_job_of_datastream")
        records = await self._database.fetch(sql, org, datastream_id, visible)
        return shown_job(records[0]) if records else None


def parts_of(span: Span) -> tuple[date, date, datetime, datetime, datetime, datetime]:
    """The first whole day in it and the day after the last, in UTC, the time before these, and the time after."""
    first = _midnight(span.begin) if span.begin == _midnight(span.begin) else _midnight(span.begin) + DAY
    last = _midnight(span.end)
    if first >= last:
        return span.begin.date(), span.begin.date(), *span, span.end, span.end
    return first.date(), last.date(), span.begin, first, last, span.end


def _midnight(instant: datetime) -> datetime:
    return datetime.combine(instant.astimezone(UTC).date(), time(), UTC)
