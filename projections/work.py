"""The projection of what the ledger has to do itself: a row for each such job, until it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_work import claim_of, is_open_work
from jobledger.ledger.store.columns import plain_array
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import AnswersNothing, Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
WRITES = ("write_work", "drop_work")


def work_row(job: Job) -> tuple[Any, ...]:
    """The row of a job that the ledger has to do, in the order of ``write_work``."""
    assert job.work is not None
    return job.job_id, job.work["kind"], claim_of(job), job.last_report_at or job.registered_at, job.scheduled_at


class WorkProjection(AnswersNothing):
    """See ``InlineProjection``. Most jobs are done by others: they have no row here."""

    name = "work"
    fold_version = 2
    aggregate_class: type[Aggregate] = Job
    write_statements = MappingProxyType({name: statement(PACKAGE, name) for name in WRITES})
    # Jobs are known by their own rows.
    loaded_by = "jobs"
    tables = (ProjectedTable("job_work"),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Job)
        return [("job_work", str(changed.after.job_id))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        rows: list[tuple[Any, ...]] = []
        dropped: list[int] = []
        for before, after in ((it.before, it.after) for it in changes):
            # A job that is gone has nothing of what it was.
            if isinstance(after, Job) and (after.work is not None or after.gone is not None):
                if is_open_work(after):
                    rows.append(work_row(after))
                elif isinstance(before, Job) and is_open_work(before):
                    dropped.append(after.job_id)
        writes: list[tuple[str, Sequence[Any]]] = []
        if rows:
            writes.append(("write_work", list(map(list, zip(*rows, strict=True)))))
        if dropped:
            writes.append(("drop_work", [plain_array(dropped)]))
        return writes

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``. Jobs are known by their own rows."""
        return {}
