"""The projection of legal holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import asyncpg
import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Find
from jobledger.ledger.domain.hold import PREFIX, Hold, HoldFilter, hold_stream
from jobledger.ledger.domain.hold_commands import FILTER_HOLDS, JOBS_OF_HOLD
from jobledger.ledger.store.columns import plain_array
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"


def hold_row(hold: Hold) -> tuple[Any, ...]:
    """The row of a hold, in the order of ``write_holds``."""
    return (
        hold.hold_id,
        hold.version,
        hold.name,
        hold.reason,
        hold.placed_at,
        hold.released_at,
        hold.release_reason,
        None if hold.job_ids is None else plain_array(hold.job_ids),
        None if hold.filter is None else orjson.dumps(hold.filter.data).decode(),
    )


def hold_from_row(row: asyncpg.Record) -> Hold:
    """The aggregate that the row was rendered from."""
    hold = Hold.__new__(Hold)
    hold.__base_init__(hold_stream(row["id"]), row["version"], row["placed_at"])
    hold.hold_id = row["id"]
    hold.name = row["name"]
    hold.reason = row["reason"]
    hold.placed_at = row["placed_at"]
    hold.released_at = row["released_at"]
    hold.release_reason = row["release_reason"]
    hold.job_ids = None if row["job_ids"] is None else tuple(row["job_ids"])
    hold.filter = None if row["filter"] is None else HoldFilter.read(orjson.loads(row["filter"]))
    return hold


class HoldsProjection:
    """See ``InlineProjection``."""

    name = "holds"
    fold_version = 1
    aggregate_class: type[Aggregate] = Hold
    write_statements = MappingProxyType({"write_holds": statement(PACKAGE, "write_holds")})
    finds = frozenset({FILTER_HOLDS, JOBS_OF_HOLD})
    loaded_by = None
    tables = (ProjectedTable("hold"),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Hold)
        return [("hold", str(changed.after.hold_id))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        rows = [hold_row(it.after) for it in changes if isinstance(it.after, Hold)]
        return [("write_holds", list(zip(*rows, strict=True)))]

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """See ``InlineProjection``. Active holds over filters: ``[id]``; the jobs of a hold: ``[job id]``."""
        if kind == FILTER_HOLDS:
            records = await connection.fetch(statement(PACKAGE, "filter_holds"), org, generation)
            return [[record["id"] for record in records]] * len(finds)
        asked = [subject for find in finds for subject in find.subjects]
        records = await connection.fetch(statement(PACKAGE, "jobs_of_holds"), org, generation, asked)
        listed = {record["id"]: record["job_ids"] for record in records}
        return [listed.get(find.subjects[0], []) for find in finds]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``."""
        ids = [int(it.removeprefix(PREFIX)) for it in streams if it.startswith(PREFIX)]
        if not ids:
            return {}
        holds = map(hold_from_row, await connection.fetch(statement(PACKAGE, "load_holds"), org, generation, ids))
        return {it.id: it for it in holds}
