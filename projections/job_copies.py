"""The projection of which jobs are on which copies, and of which jobs require which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Find
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_copies import DEPENDENTS
from jobledger.ledger.store.columns import plain_array
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
WRITES = ("write_job_copies", "require_jobs", "drop_job_copies")
LARGEST_INT32 = 2**31 - 1


def integer_of(value: Any) -> int | None:
    """The integer that a free member holds, also as text; None for anything else, and beyond int32."""
    if isinstance(value, str) and 0 < len(value) <= 11 and value.removeprefix("-").isdecimal() and value.isascii():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -LARGEST_INT32 <= value <= LARGEST_INT32:
        return None
    return value


def identified(backup: Mapping[str, Any], name: str) -> int | None:
    """The id of what a backup member names; None for nothing."""
    member = backup.get(name)
    return integer_of(member.get("id")) if isinstance(member, dict) else None


def job_copy_rows(job: Job) -> Iterator[tuple[Any, ...]]:
    """A row for each copy that something is known of, in the order of ``write_job_copies``."""
    if not job.copies:
        return
    backup = job.backup or {}
    level = backup.get("jobType")
    for it in job.copies:
        yield (
            it["id"],
            job.job_id,
            it["state"],
            it["deleted_at"] is not None,
            job.domain,
            job.begins_at,
            level if isinstance(level, str) else None,
            identified(backup, "server"),
            identified(backup, "subClient"),
        )


def changed_rows(before: Aggregate | None, after: Job) -> list[tuple[Any, ...]]:
    """The rows of *after* that are not those of *before*."""
    if not isinstance(before, Job):
        return list(job_copy_rows(after))
    # Replaced, never changed: it is the same list where nothing was said of its copies.
    if before.copies is after.copies and before.begins_at == after.begins_at:
        return []
    known = set(job_copy_rows(before))
    return [it for it in job_copy_rows(after) if it not in known]


def requirement_rows(job: Job) -> Iterator[tuple[int, int]]:
    """The ids that the job requires, each with its own."""
    for required_id in dict.fromkeys(job.required_job_ids or ()):
        yield required_id, job.job_id


class JobCopiesProjection:
    """See ``InlineProjection``. Most jobs are on no copy and require nothing: they have no row here."""

    name = "job_copies"
    fold_version = 1
    aggregate_class: type[Aggregate] = Job
    write_statements = MappingProxyType({name: statement(PACKAGE, name) for name in WRITES})
    finds = frozenset({DEPENDENTS})
    loaded_by = "jobs"
    tables = (
        ProjectedTable("job_copy", key=("copy_id", "job_id"), key_types=("integer", "integer")),
        ProjectedTable("job_requirement", key=("required_id", "job_id"), key_types=("integer", "integer")),
    )

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        for job in (changed.before, changed.after):
            if isinstance(job, Job):
                for it in job.copies or ():
                    yield "job_copy", f"{it['id']},{job.job_id}"
                for required_id in job.required_job_ids or ():
                    yield "job_requirement", f"{required_id},{job.job_id}"

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``. A job's rows are written again only where they come out otherwise."""
        copies: list[tuple[Any, ...]] = []
        requirements: list[tuple[int, int]] = []
        dropped: list[tuple[int, int]] = []
        for change in changes:
            before, after = change.before, change.after
            if isinstance(after, Job):
                if after.copies:
                    copies += changed_rows(before, after)
                elif isinstance(before, Job) and before.copies:
                    dropped += [(it["id"], after.job_id) for it in before.copies]
                if before is None and after.required_job_ids:
                    requirements += requirement_rows(after)
        writes: list[tuple[str, Sequence[Any]]] = []
        if copies:
            writes.append(("write_job_copies", list(map(list, zip(*copies, strict=True)))))
        if requirements:
            writes.append(("require_jobs", list(map(plain_array, zip(*requirements, strict=True)))))
        if dropped:
            # Those of jobs that are gone. What they required they still name: it tells who required what through them.
            writes.append(("drop_job_copies", list(map(plain_array, zip(*dropped, strict=True)))))
        return writes

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """See ``InlineProjection``. Dependents, of a copy's id and jobs' ids: ``[(required id, id, its domain on the copy)]``."""
        answers = []
        for find in finds:
            copy_id, *job_ids = find.subjects
            records = await connection.fetch(statement(PACKAGE, "dependents"), org, generation, copy_id, job_ids)
            answers.append([(it["required_id"], it["job_id"], it["domain"]) for it in records])
        return answers

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``: a job is loaded from the projection of jobs."""
        return {}
