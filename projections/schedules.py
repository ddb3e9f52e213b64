"""The projection of schedules: one row a schedule, with when it fires next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.schedule import PREFIX, Schedule, schedule_stream
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import AnswersNothing, Changed, Key, ProjectedTable
from jobledger.ledger.store.statement import statement

PACKAGE = "jobledger.projections"
# Those that a row has as the aggregate has them.
PLAIN = (
    *("created_by", "created_at", "since", "next_at", "paused_at", "deleted_at"),
    *("last_due_at", "last_executed_at", "last_job_id", "fires", "missed"),
)


def schedule_row(schedule: Schedule) -> tuple[Any, ...]:
    """The row of a schedule, in the order of ``write_schedules``."""
    return (
        schedule.schedule_id,
        schedule.version,
        schedule.number,
        schedule.action["kind"],
        schedule.expression,
        orjson.dumps(schedule.action).decode(),
        *(getattr(schedule, name) for name in PLAIN),
    )


def schedule_from_row(row: asyncpg.Record) -> Schedule:
    """The aggregate that the row was rendered from."""
    schedule = Schedule.__new__(Schedule)
    schedule.__base_init__(schedule_stream(row["id"]), row["version"], row["created_at"])
    # asyncpg gives UUIDs of its own class.
    schedule.schedule_id = UUID(bytes=row["id"].bytes)
    schedule.number = row["number"]
    schedule.expression = row["expression"]
    schedule.action = orjson.loads(row["action"])
    for name in PLAIN:
        setattr(schedule, name, row[name])
    return schedule


def schedule_id_of(stream: str) -> UUID | None:
    """The id of the schedule whose stream this is, None for another kind of stream."""
    if not stream.startswith(PREFIX):
        return None
    try:
        return UUID(stream.removeprefix(PREFIX))
    except ValueError:
        return None


class SchedulesProjection(AnswersNothing):
    """See ``InlineProjection``."""

    name = "schedules"
    fold_version = 1
    aggregate_class: type[Aggregate] = Schedule
    write_statements = MappingProxyType({"write_schedules": statement(PACKAGE, "write_schedules")})
    loaded_by = None
    tables = (ProjectedTable("schedule", key_types=("uuid",)),)

    def keys(self, changed: Changed) -> Iterable[Key]:
        """See ``Projection``."""
        assert isinstance(changed.after, Schedule)
        return [("schedule", str(changed.after.schedule_id))]

    def writes(self, changes: Sequence[Changed]) -> Sequence[tuple[str, Sequence[Any]]]:
        """See ``InlineProjection``."""
        rows = [schedule_row(it.after) for it in changes if isinstance(it.after, Schedule)]
        return [("write_schedules", list(zip(*rows, strict=True)))]

    async def load(
        self, connection: Connection, org: str, generation: int, streams: Sequence[str]
    ) -> Mapping[str, Aggregate]:
        """See ``InlineProjection``. A schedule that fires each second has a long stream."""
        ids = [it for it in map(schedule_id_of, streams) if it is not None]
        if not ids:
            return {}
        records = await connection.fetch(statement(PACKAGE, "load_schedules"), org, generation, ids)
        return {it.id: it for it in map(schedule_from_row, records)}
