"""The projection of queues: one row a queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import asyncpg

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Find
from jobledger.ledger.domain.queue import PREFIX, Queue, queue_stream
from jobledger.ledger.domain.queue_commands import QUEUE_USE, QUEUES_OF_OWNER
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
# Those that a row has as the aggregate has them.
PLAIN = ("name", "owner", "durable", "created_at", "deleted_at")


def queue_from_row(row: asyncpg.Record) -> Queue:
    """The aggregate that the row was rendered from."""
    queue = Queue.__new__(Queue)
    queue.__base_init__(queue_stream(row["id"]), row["version"], row["created_at"])
    queue.queue_id = row["id"]
    for name in PLAIN:
        setattr(queue, name, row[name])
    return queue


class QueuesProjection:
    """See ``InlineProjection``."""

    name = "queues"
    fold_version = 1
    aggregate_class: type[Aggregate] = Queue
    write_statements = MappingProxyType({"write_queues": statement(PACKAGE, "write_queues")})
    finds = frozenset({QUEUES_OF_OWNER, QUEUE_USE})
    loaded_by = None
    tables = (ProjectedTable("queue"),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Queue)
        return [("queue", str(changed.after.queue_id))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        queues = [it.after for it in changes if isinstance(it.after, Queue)]
        rows = [(it.queue_id, it.version, *(getattr(it, name) for name in PLAIN)) for it in queues]
        return [("write_queues", list(zip(*rows, strict=True)))]

    async def answer(
        self, connection: Connection, org: str, generation: int, kind: str, finds: Sequence[Find]
    ) -> Sequence[Any]:
        """See ``InlineProjection``. Each with ``[(id, used_at)]``."""
        asked = [subject for find in finds for subject in find.subjects]
        of_owners = kind == QUEUES_OF_OWNER
        sql = statement(PACKAGE, "queues_of_owners" if of_owners else "uses_of_queues")
        records = await connection.fetch(sql, *((org, generation, asked) if of_owners else (org, asked)))
        found: dict[Any, list[tuple[int, Any]]] = {}
        for record in records:
            found.setdefault(record["subject"], []).append((record["id"], record["used_at"]))
        return [found.get(find.subjects[0], []) for find in finds]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``."""
        ids = [int(it.removeprefix(PREFIX)) for it in streams if it.startswith(PREFIX)]
        if not ids:
            return {}
        queues = map(queue_from_row, await connection.fetch(statement(PACKAGE, "load_queues"), org, generation, ids))
        return {it.id: it for it in queues}
