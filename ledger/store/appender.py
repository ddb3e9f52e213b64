"""Writing a batch: one statement for all it comes to, or a few for a large one, as it is being decided."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self, TypeAlias

import orjson

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.store.batch import Batch, Rows
from jobledger.ledger.store.codec import leaf_of
from jobledger.ledger.store.columns import packed, plain_array, sparse_array
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.projection import Changed, InlineProjection
from jobledger.ledger.store.statement import ledger_statement, parameter_count, shift_parameters

# From so many decided events on, writing them beside deciding the next outweighs the cost of another statement.
EVENTS_A_PART = 64
# The rows of a large request go in several statements: putting one together holds up everybody else in this process.
MOST_EVENTS_A_PART = 1_000


# The SQLSTATE by which a batch decided ahead of the head's lock learns that it does not count.
HEAD_HAS_MOVED = "JL001"
STORE_PARTS = (
    *("write_head", "move_head", "insert_headers", "insert_contents"),
    *("remember_answers", "replace_answers", "credential", "heartbeat", "drop_credentials", "drop_oldest_messages"),
    "message",
    *("attachment", "drop_uploads"),
)
# What must find this batch's events written: statements of their own, which the one statement of a batch decided ahead is not.
AFTER_EVENTS = ("remove_private", "remove_contents", "remove_attachments")

# SQL with its arguments; and a part of such: its name instead of the SQL.
Statement: TypeAlias = tuple[str, list[Any]]
Part: TypeAlias = tuple[str, list[Any]]


class Appender:
    """Puts together the one statement that writes a batch, or a part of one."""

    def __init__(self, projections: Sequence[InlineProjection]) -> None:
        self.projections = projections
        self._parts = {name: ledger_statement(name).rstrip().rstrip(";") for name in STORE_PARTS}
        for projection in projections:
            self._parts |= projection.write_statements
        self._statements: dict[tuple[str, ...], str] = {}

    def prepare(self, batch: Batch) -> list[Statement]:
        """The statements that write the next part of what the batch has decided and not yet written."""
        rows = batch.take_rows(MOST_EVENTS_A_PART)
        statements: list[Statement] = []
        answers = self._answers(batch, rows)
        if rows.events:
            head = [batch.org, rows.end, leaf_of(rows.events[-1][0]), batch.now, _json(batch.numbers)]
            parts = [("write_head", head), *self._events(batch, rows), *answers]
            statements.append(self._joined(parts, "SELECT"))
        elif answers:
            ((name, arguments),) = answers
            statements.append((self._parts[name], arguments))
        for kind, arguments in self._effects(batch, rows):
            statements.append((ledger_statement(kind), arguments))
        return statements

    def prepare_ahead(self, batch: Batch) -> Statement:
        """The one statement that writes all the batch has decided if the head is still the one it was decided on.

        It returns the database's clock, or fails with HEAD_HAS_MOVED. The batch goes on as if nothing had been prepared.
        RuntimeError for a batch that one statement cannot write.
        """
        rows, before, after = batch.rows, batch.first_head, batch.head()
        if not rows.effects.keys().isdisjoint(AFTER_EVENTS):
            raise RuntimeError("This is to be written under the lock.")
        move = [batch.org, after.size, after.last_leaf, after.recorded_at, _json(after.numbers)]
        move += [before.size, before.last_leaf, _json(before.projections), before.fence, batch.now]
        parts = [("move_head", move), *self._events(batch, rows), *self._answers(batch, rows)]
        parts += self._effects(batch, rows)
        # The head before all else, so that nothing is locked by who does not hold it.
        return self._joined(parts, "SELECT coalesce((SELECT clock FROM move_head), head_has_moved())")

    def _events(self, batch: Batch, rows: Rows) -> Iterator[Part]:
        """Headers, contents and the rows of the projections."""
        if not rows.events:
            return
        org, first = batch.org, rows.first_position
        headers, bodies, privates, streams, versions, types = zip(*rows.events, strict=True)
        columns = [plain_array(streams), plain_array(versions), plain_array(types), *packed(headers)]
        yield "insert_headers", [org, first, batch.now, *columns]
        yield "insert_contents", [org, first, *packed(bodies), sparse_array(privates)]
        changed: dict[type[Aggregate], list[Changed]] = {}
        for it in rows.changed.values():
            changed.setdefault(type(it.after), []).append(it)
        for projection in self.projections:
            changes = changed.get(projection.aggregate_class)
            for name, written in projection.writes(changes) if changes else ():
                yield name, [org, batch.projections[projection.name]["gen"], *written]

    def _answers(self, batch: Batch, rows: Rows) -> list[Part]:
        if not rows.answers:
            return []
        principals, keys, hashes, answers = zip(*rows.answers, strict=True)
        arguments = [batch.org, batch.now, principals, keys, *packed(hashes), *packed(answers)]
        return [(batch.answers_statement, arguments)]

    def _effects(self, batch: Batch, rows: Rows) -> list[Part]:
        # In the order of STORE_PARTS: a credential that the batch writes and drops is not there at its end.
        kinds = sorted(rows.effects, key=(*STORE_PARTS, *AFTER_EVENTS).index)
        return [(kind, [batch.org, *map(list, zip(*rows.effects[kind], strict=True))]) for kind in kinds]

    def _joined(self, parts: Sequence[Part], result: str) -> Statement:
        """The parts as one statement, each a data-modifying query of its own, and what it returns."""
        names = tuple(name for name, _ in parts)
        if names not in self._statements:
            used = 0
            queries = []
            for name in names:
                queries.append(f"{name} AS (\n{shift_parameters(self._parts[name], used)}\n)")
                used += parameter_count(self._parts[name])
            self._statements[names] = f"WITH {', '.join(queries)}\n{result}"
        return self._statements[names], [argument for _, arguments in parts for argument in arguments]


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(value).decode()


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
        return len(self.batch.rows.events) >= EVENTS_A_PART

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
