"""The projections of archives: one row an archive, and one for each job that an archive holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.archive import Archive, archive_id_of, archive_stream
from jobledger.ledger.domain.archive_commands import KEPT_IN_ARCHIVE
from jobledger.ledger.domain.command import Find
from jobledger.ledger.domain.job import Job
from jobledger.ledger.store.columns import null_array, plain_array, quoted_array, sparse_array
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import AnswersNothing, Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
# What a row has of an archive as JSON, and of these what are instants.
TOLD = (
    *("order", "selected", "selected_events", "skipped", "last_selected_id", "is_selected", "written"),
    *(
        "manifest_sha256",
        "rewritten",
        "copied_at",
        "purge_job_id",
        "purge_reason",
        "purged",
        "archived",
        "not_purged",
        "delete_reason",
    ),
)
TOLD_TIMES = ("copied_at",)
COLUMNS = ("requested_at", "requested_by", "verified_at", "completed_at", "deleted_at")
MOST_KEPT_TOLD = 20


def archive_row(archive: Archive) -> tuple[Any, ...]:
    """The row of an archive, in the order of ``write_archives``."""
    told = {name: getattr(archive, name) for name in TOLD}
    return (
        archive.archive_id,
        archive.version,
        archive.requested_at,
        archive.requested_by,
        orjson.dumps(archive.order.get("domains")).decode(),
        orjson.dumps(told, option=orjson.OPT_UTC_Z).decode(),
        archive.verified_at,
        archive.completed_at,
        archive.deleted_at,
    )


def archive_from_row(row: asyncpg.Record) -> Archive:
    """The aggregate that the row was rendered from."""
    archive = Archive.__new__(Archive)
    archive.__base_init__(archive_stream(row["id"]), row["version"], row["requested_at"])
    archive.archive_id = row["id"]
    archive.__dict__.update(orjson.loads(row["told"]))
    for name in TOLD_TIMES:
        if (told := archive.__dict__[name]) is not None:
            archive.__dict__[name] = datetime.fromisoformat(told)
    for name in COLUMNS:
        archive.__dict__[name] = row[name]
    return archive


class ArchivesProjection(AnswersNothing):
    """See ``InlineProjection``."""

    name = "archives"
    fold_version = 1
    aggregate_class: type[Aggregate] = Archive
    write_statements = MappingProxyType({"write_archives": statement(PACKAGE, "write_archives")})
    loaded_by = None
    tables = (ProjectedTable("archive"),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Archive)
        return [("archive", str(changed.after.archive_id))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        rows = [archive_row(it.after) for it in changes if isinstance(it.after, Archive)]
        return [("write_archives", list(map(list, zip(*rows, strict=True))))]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``. An archive of many jobs has large events."""
        ids = [it for it in map(archive_id_of, streams) if it is not None]
        if not ids:
            return {}
        records = await connection.fetch(statement(PACKAGE, "load_archives"), org, generation, ids)
        return {it.id: it for it in map(archive_from_row, records)}


def archived_job_rows(job: Job) -> Iterator[tuple[Any, ...]]:
    """A row for each archive that holds the job, in the order of ``write_archived_jobs``."""
    for archive_id, held in (job.archives or {}).items():
        yield (
            int(archive_id),
            job.job_id,
            held["version"],
            job.type,
            job.domain,
            job.state.value,
            job.registered_at,
            job.scheduled_at,
            job.started_at,
            job.ended_at,
            job.final_at,
            job.imported,
            job.gone,
            bool(held.get("purged")),
            orjson.dumps(held["places"]).decode(),
        )


class ArchivedJobsProjection:
    """See ``InlineProjection``. A job that no archive holds has no row here."""

    name = "archived_jobs"
    fold_version = 1
    aggregate_class: type[Aggregate] = Job
    write_statements = MappingProxyType({"write_archived_jobs": statement(PACKAGE, "write_archived_jobs")})
    finds = frozenset({KEPT_IN_ARCHIVE})
    # Jobs are known by their own rows.
    loaded_by = "jobs"
    tables = (ProjectedTable("archived_job", key=("archive_id", "job_id"), key_types=("integer", "integer")),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Job)
        return [("archived_job", f"{it},{changed.after.job_id}") for it in changed.after.archives or ()]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``. Its rows are written again only where they come out otherwise."""
        rows: list[tuple[Any, ...]] = []
        for before, after in ((it.before, it.after) for it in changes):
            if isinstance(after, Job) and after.archives:
                is_same = isinstance(before, Job) and before.archives is after.archives and before.gone == after.gone
                if not is_same:
                    rows += archived_job_rows(after)
        if not rows:
            return []
        ids, job_ids, versions, types, domains, states, *times, imported, gone, are_purged, places = zip(
            *rows, strict=True
        )
        literals = [
            *map(plain_array, (ids, job_ids, versions)),
            *map(quoted_array, (types, domains)),
            plain_array(states),
            *map(null_array, times),
        ]
        kept = [sparse_array(imported), null_array(gone), plain_array(are_purged), quoted_array(places)]
        return [("write_archived_jobs", [*literals, *kept])]

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """See ``InlineProjection``. Kept in an archive: some ids of jobs that something keeps, in order."""
        answers = []
        for find in finds:
            records = await connection.fetch(
                statement(PACKAGE, "kept_in_archive"), org, generation, find.subjects[0], MOST_KEPT_TOLD
            )
            answers.append([it["job_id"] for it in records])
        return answers

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``: a job is loaded from the projection of jobs."""
        return {}
