"""The projection of copies: one row a copy of a storage policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import asyncpg

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Find
from jobledger.ledger.domain.copy import COPIES_OF_POLICY, SIBLING_COPIES, Copy, copy_id_of, copy_stream
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
MEMBERS = (
    *("name", "storage_policy_id", "storage_policy_name", "commcell_id", "copy_type", "precedence"),
    *("is_default", "is_snap", "is_active"),
)


def copy_row(copy: Copy) -> tuple[Any, ...]:
    """The row of a copy, in the order of ``write_copies``."""
    members = (getattr(copy, name) for name in MEMBERS)
    return (copy.copy_id, copy.version, *members, copy.created_on, copy.modified_on)


def copy_from_row(row: asyncpg.Record) -> Copy:
    """The aggregate that the row was rendered from."""
    copy = Copy.__new__(Copy)
    copy.__base_init__(copy_stream(row["id"]), row["version"], row["registered_at"])
    copy.copy_id = row["id"]
    copy.__dict__.update({name: row[name] for name in MEMBERS})
    copy._modified_on = row["updated_at"]
    return copy


class CopiesProjection:
    """See ``InlineProjection``."""

    name = "copies"
    fold_version = 1
    aggregate_class: type[Aggregate] = Copy
    write_statements = MappingProxyType({"write_copies": statement(PACKAGE, "write_copies")})
    finds = frozenset({COPIES_OF_POLICY, SIBLING_COPIES})
    loaded_by = None
    tables = (ProjectedTable("storage_copy"),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Copy)
        return [("storage_copy", str(changed.after.copy_id))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        rows = [copy_row(it.after) for it in changes if isinstance(it.after, Copy)]
        return [("write_copies", list(zip(*rows, strict=True)))]

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """See ``InlineProjection``. Copies of a policy: ``[(id, name)]``; siblings of a copy, itself among them: ``[id]``."""
        subjects = [find.subjects[0] for find in finds]
        found: dict[Any, list[Any]] = {it: [] for it in subjects}
        if kind == COPIES_OF_POLICY:
            for record in await connection.fetch(statement(PACKAGE, "copies_of_policies"), org, generation, subjects):
                found[record["storage_policy_id"]].append((record["id"], record["name"]))
        else:
            for record in await connection.fetch(statement(PACKAGE, "sibling_copies"), org, generation, subjects):
                found[record["copy_id"]].append(record["id"])
        return [found[it] for it in subjects]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``."""
        ids = [copy_id for copy_id in map(copy_id_of, streams) if copy_id is not None]
        if not ids:
            return {}
        records = await connection.fetch(statement(PACKAGE, "load_copies"), org, generation, ids)
        return {it.id: it for it in map(copy_from_row, records)}
