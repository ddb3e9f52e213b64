"""Batches decided ahead: while Postgres writes one, the next is decided on what that one leaves.

Deciding does not hold the head's lock. What makes it safe is the statement that writes a batch: it counts only if the head is
still the one that the batch was decided on, so that nobody can have appended in between. Its being refused is the exception,
with several servers writing to one org; what must be decided under the lock is for ``OrgWriter``: a command that asks the
store a question, a large one, and all that failed here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import Any

import asyncpg

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Command, Find
from jobledger.ledger.errors import OutcomeUnknownError, UnavailableError
from jobledger.ledger.store.appender import HEAD_HAS_MOVED, Statement
from jobledger.ledger.store.batch import Batch
from jobledger.ledger.store.database import Connection, Database, is_lost_connection
from jobledger.ledger.store.deciding import (
    Limits,
    Written,
    answer_as_remembered,
    decide,
    recall,
    refused_with_key,
)
from jobledger.ledger.store.loading import load_aggregates
from jobledger.ledger.store.queue import MOST_CANDIDATES, CommandQueue, Waiting, refuse_all
from jobledger.ledger.store.writer import OrgWriter

# So many commands are decided before it is looked whether the batch under way has been written.
SLICE = 16
# A larger command is written in parts while it is decided, which needs a transaction.
MOST_EVENTS_A_COMMAND = 64
# Where others append too, it is for this long not worth trying without the lock.
PAUSE_AFTER_OTHERS_S = 1.0


@dataclass(slots=True)
class Flight:
    """A batch and who waits for it: open while commands join it, then under way."""

    batch: Batch
    waiting: list[Waiting] = field(default_factory=list)
    written: Written = field(default_factory=Written)
    limits: Limits = field(default_factory=Limits)
    statement: Statement | None = None
    task: asyncio.Task[datetime] | None = None
    sent_at: float = 0.0

    @property
    def commands(self) -> list[Command]:
        """Its commands in order."""
        return [it.command for it in self.waiting]

    def answer(self) -> None:
        """Tell all who wait; only once it is written."""
        for one, decision in zip(self.waiting, self.written.decisions, strict=True):
            one.answer(decision)


@dataclass(slots=True)
class Left:
    """What is to be decided under the lock before anything else, in order of arrival.

    ``unsure`` is a batch of the first of them of which it is not known whether it was written; ``is_key_answered`` says that an
    Idempotency-Key among them was answered before.
    """

    waiting: list[Waiting] = field(default_factory=list)
    unsure: Written | None = None
    is_key_answered: bool = False


NO_ANSWERS: Mapping[Find, Any] = {}


class Pipeline:
    """Appends one org's commands for as long as that needs no lock."""

    def __init__(self, writer: OrgWriter, database: Database, queue: CommandQueue) -> None:
        self._writer = writer
        self._database = database
        self._queue = queue
        self._open: Flight | None = None
        self._under_way: Flight | None = None
        self._left = Left()
        self._has_sent = False

    @property
    def is_worth_trying(self) -> bool:
        """Whether the next command of the queue can be decided without the lock."""
        head = self._writer.cache.head
        return (
            head is not None
            and head.size > 0
            and all(head.is_of_fold(it.name, it.fold_version) for it in self._writer.appender.projections)
            and self._writer.clock.now() is not None
            and monotonic() > self._writer.others_seen_at + PAUSE_AFTER_OTHERS_S
            and self._takes(self._queue.next_command)
        )

    async def run(self) -> Left:
        """Decide, write and answer what is queued until nothing is, or something must be decided under the lock.

        Raises what connecting raises, with nothing taken from the queue.
        """
        connection = await self._database.take_writer()
        self._left = Left()
        self._has_sent = False
        try:
            await self._run(connection)
        except BaseException:
            self._database.drop_writer(connection)
            self._refuse_unfinished()
            raise
        if self._left.unsure is None:
            self._database.give_back_writer(connection)
        else:
            self._database.drop_writer(connection)
        return self._left

    async def _run(self, connection: Connection) -> None:
        while True:
            written = None
            if self._under_way is not None and self._under_way.task is not None and self._under_way.task.done():
                written, self._under_way = self._under_way, None
                if not self._settle(written):
                    return
            try:
                is_sent = self._under_way is not None or self._open is None or await self._send(connection, self._open)
            finally:
                if written is not None:
                    written.answer()
            if not is_sent:
                return
            if written is not None:
                # Who is answered may ask again at once.
                await asyncio.sleep(0)
            if self._may_take():
                await self._decide_slice()
            elif self._under_way is None:
                return
            else:
                await self._wait()

    def _takes(self, command: Command) -> bool:
        return command.least_events <= MOST_EVENTS_A_COMMAND and not any(True for _ in command.finds())

    def _may_take(self) -> bool:
        if not self._queue or self._left.waiting or (self._has_sent and self._database.are_writers_wanted):
            return False
        command = self._queue.next_command
        if not self._takes(command):
            return False
        if self._open is None:
            return True
        return len(self._open.waiting) < MOST_CANDIDATES and not self._open.limits.are_reached(
            self._open.batch, command
        )

    async def _decide_slice(self) -> None:
        """Let a few more commands join the open batch."""
        under_way = self._under_way
        if self._open is None:
            self._open = Flight(self._begin())
        flight = self._open
        batch = flight.batch
        taken: list[Waiting] = []
        most = SLICE if under_way is not None else max(1, min(SLICE, (len(self._queue) + 1) // 2))
        while len(taken) < most and self._queue and self._takes(self._queue.next_command):
            taken.append(self._queue.take())
        self._left.waiting = taken
        try:
            await self._load(batch, [it.command for it in taken])
        except Exception:
            # It is raised again where it is answered.
            if not flight.waiting:
                self._open = None
            return
        self._left.waiting = []
        flight.statement = None
        earlier = () if under_way is None else (under_way.batch.answered,)
        began_at = monotonic()
        flight.waiting += taken
        flight.written.decisions += [decide(batch, it.command, NO_ANSWERS, *earlier) for it in taken]
        flight.limits.decided_s += monotonic() - began_at
        # The reply to the batch under way may have come.
        await asyncio.sleep(0)

    def _begin(self) -> Batch:
        """A batch that follows the one under way, else what is written."""
        head = self._writer.cache.head if self._under_way is None else self._under_way.batch.head()
        now = self._writer.clock.now()
        assert head is not None
        assert now is not None
        return Batch(self._writer.org, head, max(now, head.recorded_at), {})

    async def _load(self, batch: Batch, commands: Sequence[Command]) -> None:
        """Add the streams that the commands decide on, as they are after the batch under way."""
        aggregates = batch.aggregates
        earlier: Mapping[str, Aggregate | None] = {} if self._under_way is None else self._under_way.batch.aggregates
        missing: set[str] = set()
        for command in commands:
            for stream in command.streams():
                if stream in aggregates:
                    continue
                known = aggregates[stream] = earlier[stream] if stream in earlier else self._writer.cache.get(stream)
                if known is None and stream not in earlier:
                    missing.add(stream)
        if missing:
            async with self._database.reader() as connection:
                loaded = await load_aggregates(
                    connection, batch.org, batch.first_head, self._writer.appender.projections, sorted(missing)
                )
            aggregates.update(loaded)
            self._writer.cache.put(loaded.values())

    async def _send(self, connection: Connection, flight: Flight) -> bool:
        """Start writing the open batch; False where it must be decided under the lock."""
        try:
            await self._recall_refused(flight)
            sql, arguments = flight.statement or self._writer.appender.prepare_ahead(flight.batch)
        except Exception:
            # It is raised again where it is answered.
            self._left.waiting[:0] = flight.waiting
            self._open = None
            return False
        flight.written.batch = flight.batch
        flight.written.is_commit_sent = True
        flight.sent_at = monotonic()
        flight.task = asyncio.create_task(connection.fetchval(sql, *arguments))
        flight.task.add_done_callback(self._wake)
        self._open, self._under_way, self._has_sent = None, flight, True
        # Let it be sent before more is decided.
        await asyncio.sleep(0)
        return True

    async def _recall_refused(self, flight: Flight) -> None:
        commands = flight.commands
        refused = refused_with_key(commands, flight.written.decisions)
        if not refused:
            return
        async with self._database.reader() as connection:
            asked = [commands[number] for number in refused]
            known = await recall(connection, self._writer.org, flight.batch.now, asked)
        answer_as_remembered(commands, flight.written.decisions, refused, known, flight.batch)

    def _wake(self, task: asyncio.Task[datetime]) -> None:
        if not task.cancelled():
            task.exception()  # is looked at here, should nobody be left to look
        self._queue.arrival.set()

    async def _wait(self) -> None:
        """Until the batch under way has been written, or a command arrives; the open one is made ready meanwhile."""
        self._queue.arrival.clear()
        flight = self._open
        if flight is not None and flight.statement is None:
            with suppress(Exception):  # it is raised again where it is answered
                flight.statement = self._writer.appender.prepare_ahead(flight.batch)
        assert self._under_way is not None
        assert self._under_way.task is not None
        if not self._under_way.task.done():
            await self._queue.arrival.wait()

    def _settle(self, flight: Flight) -> bool:
        """Take the written batch for what is; False where it failed, and all that is not answered is left."""
        assert flight.task is not None
        error = flight.task.exception()
        if error is None:
            if flight.batch.event_count:
                self._writer.observer.appended(flight.batch.event_count, monotonic() - flight.sent_at)
            self._writer.clock.hear(flight.task.result())
            self._writer.cache.put(flight.batch.accepted.values())
            self._writer.cache.head = flight.batch.head()
            return True
        left = self._left
        left.waiting[:0] = [*flight.waiting, *(self._open.waiting if self._open is not None else ())]
        self._open = None
        if isinstance(error, asyncpg.UniqueViolationError):
            left.is_key_answered = error.constraint_name == "idempotency_pkey"
        elif isinstance(error, asyncpg.PostgresError) and error.sqlstate == HEAD_HAS_MOVED:
            self._writer.others_seen_at = monotonic()
        elif is_lost_connection(error):
            left.unsure = flight.written
            self._writer.observer.tried_again()
        return False

    def _refuse_unfinished(self) -> None:
        """Answer all who are not in the queue any more: the server stops."""
        undecided = [*(self._open.waiting if self._open is not None else ()), *self._left.waiting]
        refuse_all(undecided, UnavailableError("The server stopped before this was decided."))
        if self._under_way is not None:
            refuse_all(
                self._under_way.waiting, OutcomeUnknownError("The server stopped while this was being committed.")
            )
        self._open = self._under_way = None
