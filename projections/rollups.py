"""The projection of rollups: the jobs that ended, counted by day, type, domain and final state. It follows the ledger.

A job is counted once, with its final event, on the day on which it ended (in UTC). What is counted never changes by what is decided
about the job later: when it is deleted, erased or purged its residue tells the same type, domain, state, times and bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from types import MappingProxyType
from typing import Any, TypeAlias

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_bytes import moved_bytes
from jobledger.ledger.store.columns import plain_array
from jobledger.ledger.store.projection import Changed, Happened, Key, ProjectedTable
from jobledger.ledger.store.statement import statement
from jobledger.projections.durations import bucket_of, milliseconds

PACKAGE = "jobledger.projections"
STATE_BY_TYPE: Mapping[str, State] = {
    it.type_name: it.state for it in (Job.Succeeded, Job.Failed, Job.Cancelled, Job.Discarded)
}
# What jobs are counted by: day, type, domain, state.
Group: TypeAlias = tuple[date, str, str, str]
ROW = ("type", "domain", "state")


@dataclass(slots=True)
class Sums:
    """What the jobs of one group come to."""

    jobs: int = 0
    timed_jobs: int = 0
    duration_ms: int = 0
    size_bytes: int = 0


def group_of(job: Job) -> Group:
    """What a final job is counted by."""
    assert job.ended_at is not None
    return job.ended_at.astimezone(UTC).date(), job.type, job.domain, job.state.value


def is_counted(event: Happened) -> bool:
    """Whether this event is the one that the job is counted with: a job stopped by hand is cancelled and with it discarded."""
    job = event.aggregate
    return isinstance(job, Job) and STATE_BY_TYPE[event.type_name] is job.state


def summed(events: Sequence[Happened]) -> tuple[dict[Group, Sums], Counter[tuple[Any, ...]]]:
    """What these events come to, and how many of the jobs fell into which bucket: ``(*group, bucket)``."""
    sums: dict[Group, Sums] = {}
    durations: Counter[tuple[Any, ...]] = Counter()
    for event in events:
        job = event.aggregate
        if not isinstance(job, Job) or not is_counted(event):
            continue
        group = group_of(job)
        known = sums.setdefault(group, Sums())
        known.jobs += 1
        known.size_bytes += moved_bytes(job) or 0
        if job.started_at is not None and job.ended_at is not None:
            took_ms = milliseconds(job.ended_at - job.started_at)
            known.timed_jobs += 1
            known.duration_ms += took_ms
            durations[*group, bucket_of(took_ms)] += 1
    return sums, durations


class RollupsProjection:
    """See ``CatchUpProjection``."""

    name = "rollups"
    fold_version = 1
    aggregate_class: type[Aggregate] = Job
    event_types = frozenset(STATE_BY_TYPE)
    tables = (
        ProjectedTable("rollup", key=("day",), key_types=("date",), row=ROW),
        ProjectedTable("rollup_duration", key=("day",), key_types=("date",), row=(*ROW, "bucket")),
    )
    write_statements = MappingProxyType({it: statement(PACKAGE, it) for it in ("count_rollups", "count_durations")})

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        job = changed.after
        if not isinstance(job, Job) or not job.is_final:
            return ()
        day = group_of(job)[0].isoformat()
        return [("rollup", day), ("rollup_duration", day)]

    def counts(self, events: Sequence[Happened]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``CatchUpProjection``: rows are locked in the order of their keys."""
        sums, durations = summed(events)
        if not sums:
            return []
        rows = sorted((*group, it.jobs, it.timed_jobs, it.duration_ms, it.size_bytes) for group, it in sums.items())
        writes = [("count_rollups", _columns(rows))]
        if durations:
            writes.append(("count_durations", _columns(sorted((*key, jobs) for key, jobs in durations.items()))))
        return writes


def _columns(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    days, types, domains, states, *numbers = zip(*rows, strict=True)
    return [plain_array(days), list(types), list(domains), plain_array(states), *map(plain_array, numbers)]
