"""Writing a batch: one statement for all it comes to, or a few for a large one, as it is being decided."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import orjson

from jobledger.ledger.store.array_literal import plain_array
from jobledger.ledger.store.batch import Batch, Rows
from jobledger.ledger.store.codec import leaf_of
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import InlineProjection
from jobledger.ledger.store.statement import ledger_statement, parameter_count, shift_parameters

# From so many decided events on, writing them beside deciding the next outweighs the cost of another statement.
EVENTS_A_PART = 64
# The rows of a large request go in several statements: putting one together holds up everybody else in this process.
MOST_EVENTS_A_PART = 1_000


# SQL with its arguments.
Statement: TypeAlias = tuple[str, list[Any]]


class Appender:
    """Puts together the one statement that writes a batch, or a part of one."""

    def __init__(self, projections: Sequence[InlineProjection]) -> None:
        self.projections = projections
        self._parts = {name: ledger_statement(name) for name in ("remember_answers", "replace_answers")}
        for projection in projections:
            self._parts |= projection.write_statements
        self._statements: dict[tuple[str, ...], str] = {}

    def prepare(self, batch: Batch) -> list[Statement]:
        """The statements that write the next part of what the batch has decided and not yet written."""
        rows = batch.take_rows(MOST_EVENTS_A_PART)
        statements: list[Statement] = []
        if rows.streams:
            statements.append(self._append(batch, rows))
        elif rows.answers:
            statements.append((self._parts[batch.answers_statement], self._answer_arguments(batch, rows)))
        for kind, effects in rows.effects.items():
            statements.append((ledger_statement(kind), [batch.org, *map(list, zip(*effects, strict=True))]))
        return statements

    def _append(self, batch: Batch, rows: Rows) -> Statement:
        arguments: list[Any] = [
            batch.org,
            rows.end,
            leaf_of(rows.headers[-1]),
            batch.now,
            orjson.dumps(batch.numbers).decode(),
            rows.first_position,
            plain_array(rows.streams),
            plain_array(rows.versions),
            plain_array(rows.types),
            rows.headers,
            rows.bodies,
        ]
        parts: list[str] = []
        for projection in self.projections:
            changes = [it for it in rows.changed.values() if type(it.after) is projection.aggregate_class]
            for name, columns in projection.writes(changes) if changes else ():
                parts.append(name)
                arguments += [batch.org, batch.projections[projection.name]["gen"], *columns]
        if rows.answers:
            parts.append(batch.answers_statement)
            arguments += self._answer_arguments(batch, rows)
        return self._statement(tuple(parts)), arguments

    def _answer_arguments(self, batch: Batch, rows: Rows) -> list[Any]:
        return [batch.org, batch.now, *map(list, zip(*rows.answers, strict=True))]

    def _statement(self, parts: tuple[str, ...]) -> str:
        """The append, joined by those statements of the projections, and of the answers, that have rows."""
        if parts not in self._statements:
            sql = ledger_statement("append").rstrip()
            used = parameter_count(sql)
            for name in parts:
                part = self._parts[name]
                sql += f", {name} AS (\n{shift_parameters(part, used)})"
                used += parameter_count(part)
            self._statements[parts] = sql + "\nSELECT"
        return self._statements[parts]


class Writing:
    """A batch being written while it is being decided: Postgres works on one part as the next is made.

    ``go_on`` sends what has become enough for a statement of its own, ``finish`` all there is; on leaving it is finished, or,
    after an error, the statement under way is waited for.
    """

    def __init__(self, appender: Appender, connection: Connection, batch: Batch) -> None:
        self.connection = connection
        self.batch = batch
        self._appender = appender
        self._under_way: asyncio.Task[None] | None = None

    @property
    def is_worth_a_part(self) -> bool:
        """Whether enough has been decided for a statement of its own."""
        return len(self.batch.rows.streams) >= EVENTS_A_PART

    async def go_on(self) -> None:
        """Start writing what has been decided since the last part."""
        while self.is_worth_a_part:
            await self._start(self._appender.prepare(self.batch))

    async def finish(self) -> None:
        """Write everything decided so far. Raises what the database raises."""
        while not self.batch.rows.is_empty:
            statements = self._appender.prepare(self.batch)
            if self.batch.rows.is_empty:
                await self._wait()
                await self._execute(statements)
            else:
                await self._start(statements)
        await self._wait()

    async def _start(self, statements: list[Statement]) -> None:
        await self._wait()
        self._under_way = asyncio.create_task(self._execute(statements))
        # Let it send before the next is decided, or prepared.
        await asyncio.sleep(0)

    async def _execute(self, statements: list[Statement]) -> None:
        for sql, arguments in statements:
            await self.connection.execute(sql, *arguments)

    async def _wait(self) -> None:
        if self._under_way is not None:
            under_way, self._under_way = self._under_way, None
            await under_way

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.finish()
        elif self._under_way is not None:
            # The error that is being raised is the one to tell; the connection must be quiet for the rollback.
            await asyncio.wait([self._under_way])
            self._under_way.exception()
