"""The projection of how jobs were: from which position to which each stood so, as far as lists look at it. It follows the ledger.

A row is written for each event that changes what a list filters by, so a report of progress writes none; of a long stream the whole
job is kept after each 64th event, so that at most 63 are folded to see a job as it stood. Nothing private is in any of it: who
asks folds that from the events, if it is still there. When a job's contents leave the store, all that is told of it goes, in the
same append.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.event_types import EVENT_CLASSES
from jobledger.ledger.domain.job import Job, job_id_of
from jobledger.ledger.domain.job_archive import Purged
from jobledger.ledger.domain.job_copies import CopyDecision
from jobledger.ledger.domain.job_work import Claimed, WorkNoted
from jobledger.ledger.domain.job_workflow import (
    AttachmentAdded,
    AttachmentRemoved,
    CurrentStepsSet,
    StepEvent,
    StepFinished,
    Upgraded,
)
from jobledger.ledger.store.columns import packed, plain_array, sparse_array
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import Changed, Key, ProjectedTable, Tale
from jobledger.ledger.store.statement import statement
from jobledger.projections.jobs import (
    COURSE,
    DECISIONS,
    FORGETTING,
    REGISTRATION,
    decided_columns,
    is_wholly_gone,
    job_from_row,
    render,
    render_decided,
    search_text,
)

PACKAGE = "jobledger.projections"
WRITES = ("write_past", "end_history", "write_history", "write_snapshots")
EVENTS_A_SNAPSHOT = 64
# What no list filters by: all else might change its rows.
QUIET = (
    *(Job.StageEntered, Job.Progressed, Claimed, WorkNoted, StepEvent, StepFinished, CurrentStepsSet),
    *(AttachmentAdded, AttachmentRemoved, CopyDecision, Upgraded),
)
# Without end, in a column of positions; and the level of such a row.
OPEN, OPEN_LEVEL = 2**63 - 1, 63
# How a job stands: state, started_at, ended_at, final_at, is_closed, is_held, retained_until, q.
Standing: TypeAlias = tuple[Any, ...]


def standing_of(job: Job) -> Standing | None:
    """What lists filter by; None of a job that is in none any more."""
    if job.gone is not None:
        return None
    ended = (job.started_at, job.ended_at, job.final_at)
    return (job.state.value, *ended, *decided_columns(job), search_text(job).encode())


def past_row(job: Job, position: int) -> tuple[Any, ...]:
    """What never changes of it, in the order of ``write_past``."""
    return (
        *(job.job_id, position, job.registered_at, job.type, job.domain),
        None if job.datastream is None else str(job.datastream["id"]),
        *(job.source, job.external_id, job.scheduled_at, job.imported),
    )


def render_snapshot(job: Job) -> str:
    """The whole job as JSON, without what is private; ``job_from_snapshot`` makes it again."""
    members = {
        "registration": render(job, REGISTRATION).decode(),
        "course": render(job, COURSE).decode(),
        "decisions": render_decided(job, DECISIONS),
        "body_hash": job.body_hash,
        "final_at": job.final_at,
        "imported": job.imported,
        "is_decided": job.is_decided,
    }
    return orjson.dumps(members, option=orjson.OPT_UTC_Z).decode()


def job_from_snapshot(job_id: int, version: int, text: str) -> Job:
    """The aggregate that the snapshot was rendered from, without what is private."""
    members: dict[str, Any] = orjson.loads(text)
    final_at = members["final_at"]
    known = {"id": job_id, "version": version, "private": None}
    job = job_from_row(members | known | {"final_at": None if final_at is None else datetime.fromisoformat(final_at)})
    if members["is_decided"]:
        job.is_decided = True
    return job


class JobTale:
    """How one job stood, event after event; rows are made of those from *begin* on."""

    def __init__(
        self, stream: str, begin: int = 0, aggregate: Job | None = None, version: int = 0, *, has_private: bool = False
    ) -> None:
        job_id = job_id_of(stream)
        assert job_id is not None
        self.job_id = job_id
        self.aggregate: Aggregate | None = aggregate
        self.version = version
        # How it stood at its last event, from which position on; before *begin* it is in the rows.
        self._standing = None if aggregate is None else standing_of(aggregate)
        self._since = -1
        self._begin = begin
        self._has_private = has_private
        self.is_forgotten = False
        self.past: tuple[Any, ...] | None = None
        self.ended_at: int | None = None
        self.rows: list[tuple[Any, ...]] = []
        self.snapshots: list[tuple[Any, ...]] = []

    def take(self, position: int, header: Mapping[str, Any], aggregate: Aggregate | None) -> None:
        """See ``Tale``."""
        if aggregate is None:
            self._forget()
            return
        assert isinstance(aggregate, Job)
        is_new = position >= self._begin
        self._has_private |= "private" in header
        if is_wholly_gone(aggregate):
            self._forget()
            return
        if header["type"] in EVENT_TYPES:
            standing = standing_of(aggregate)
            if standing != self._standing:
                self._stand(standing, position, is_new=is_new)
            if is_new and header["version"] == 1:
                self.past = past_row(aggregate, position)
        if is_new and header["version"] % EVENTS_A_SNAPSHOT == 0 and aggregate.gone is None:
            shown = render_snapshot(aggregate)
            self.snapshots.append((self.job_id, header["version"], position, self._has_private, shown))

    def finish(self) -> None:
        """The rows are all that they come to: the last one is without end."""
        if self._standing is not None and self._since >= self._begin:
            self.rows.append((self.job_id, self._since, OPEN, OPEN_LEVEL, *self._standing))
            self._since = -1

    def _stand(self, standing: Standing | None, position: int, *, is_new: bool) -> None:
        if is_new and self._standing is not None:
            if self._since >= self._begin:
                level = (position - self._since).bit_length() - 1
                self.rows.append((self.job_id, self._since, position, level, *self._standing))
            else:
                self.ended_at = position
        self._standing, self._since = standing, position

    def _forget(self) -> None:
        self.is_forgotten = True
        self._standing, self.past, self.ended_at = None, None, None
        self.rows.clear()
        self.snapshots.clear()


class JobHistoryProjection:
    """See ``TellingProjection``."""

    name = "job_history"
    fold_version = 1
    aggregate_class: type[Aggregate] = Job
    event_types = frozenset(
        it.type_name for it in EVENT_CLASSES if issubclass(it, Job.Event) and not issubclass(it, QUIET)
    )
    every = EVENTS_A_SNAPSHOT
    stream_prefix = "job-"
    last_types = frozenset({Purged.type_name})
    tables = (
        ProjectedTable("job_past"),
        ProjectedTable("job_history", row=("from_position",)),
        ProjectedTable("job_snapshot", row=("version",)),
    )
    write_statements = MappingProxyType({it: statement(PACKAGE, it) for it in (*WRITES, *FORGETTING)})

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Job)
        return [(table.name, str(changed.after.job_id)) for table in self.tables]

    def begin(self, stream: str) -> JobTale:
        """See ``TellingProjection``."""
        return JobTale(stream)

    async def go_on(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str], position: int
    ) -> Mapping[str, JobTale]:
        """See ``TellingProjection``: from their last snapshots on."""
        streams_by_id = {job_id_of(it): it for it in streams}
        tales = {stream: JobTale(stream, position) for stream in streams}
        records = await connection.fetch(
            statement(PACKAGE, "last_snapshots"), org, generation, [it for it in streams_by_id if it is not None]
        )
        for record in records:
            stream = streams_by_id[record["id"]]
            job = job_from_snapshot(record["id"], record["version"], record["job"])
            tales[stream] = JobTale(stream, position, job, record["version"], has_private=record["has_private"])
        return tales

    def forgets(self, streams: Sequence[str]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``TellingProjection``."""
        ids = plain_array(job_id for it in streams if (job_id := job_id_of(it)) is not None)
        return [(name, [ids]) for name in FORGETTING]

    def tells(self, tales: Sequence[Tale]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``TellingProjection``."""
        told = [it for it in tales if isinstance(it, JobTale)]
        for tale in told:
            tale.finish()
        writes: list[tuple[str, Sequence[Any]]] = []
        forgotten = plain_array(it.job_id for it in told if it.is_forgotten)
        if forgotten != "{}":
            writes += [(name, [forgotten]) for name in FORGETTING]
        pasts = [it.past for it in told if it.past is not None]
        if pasts:
            ids, positions, *rest = zip(*pasts, strict=True)
            writes.append(
                ("write_past", [plain_array(ids), plain_array(positions), *rest[:3], *map(sparse_array, rest[3:])])
            )
        ended = [(it.job_id, it.ended_at) for it in told if it.ended_at is not None]
        if ended:
            writes.append(("end_history", list(map(plain_array, zip(*ended, strict=True)))))
        rows = [row for it in told for row in it.rows]
        if rows:
            columns = list(zip(*rows, strict=True))
            written = [*map(plain_array, columns[:5]), *map(sparse_array, columns[5:-1]), *packed(columns[-1])]
            writes.append(("write_history", written))
        snapshots = [row for it in told for row in it.snapshots]
        if snapshots:
            *numbers, private, shown = zip(*snapshots, strict=True)
            writes.append(("write_snapshots", [*map(plain_array, numbers), plain_array(map(str, private)), shown]))
        return writes


EVENT_TYPES = JobHistoryProjection.event_types
