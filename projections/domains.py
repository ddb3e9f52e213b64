"""The projection of domains: which of its jobs was the first of each, by which domains are numbered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.job import DEFAULT_DOMAIN, Job
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import AnswersNothing, Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"


class DomainsProjection(AnswersNothing):
    """See ``InlineProjection``. A domain keeps its place also when none of its jobs is left."""

    name = "domains"
    fold_version = 1
    aggregate_class: type[Aggregate] = Job
    write_statements = MappingProxyType({"write_domains": statement(PACKAGE, "write_domains")})
    # Jobs are known by their own rows.
    loaded_by = "jobs"
    tables = (ProjectedTable("job_domain", key=("name",), key_types=("text",)),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Job)
        return [] if changed.after.domain == DEFAULT_DOMAIN else [("job_domain", changed.after.domain)]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        first: dict[str, tuple[Any, int]] = {}
        for before, job in ((it.before, it.after) for it in changes):
            assert isinstance(job, Job)
            if before is None and job.domain != DEFAULT_DOMAIN:
                known = first.get(job.domain)
                place = (job.registered_at, job.job_id)
                first[job.domain] = place if known is None else min(known, place)
        if not first:
            return []
        moments, ids = zip(*first.values(), strict=True)
        return [("write_domains", [list(first), list(moments), list(ids)])]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``. Jobs are known by their own rows."""
        return {}
