"""Batches decided ahead: while Postgres writes one, the next is decided on what that one leaves.

Deciding does not hold the head's lock. What makes it safe is the statement that writes a batch: it counts only if the head is
still the one that the batch was decided on, so that nobody can have appended in between. Its being refused is the exception,
with several servers writing to one org; what must be decided under the lock is for ``OrgWriter``: a command that asks the
store a question, a large one, and all that failed here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from time import monotonic
from typing import Any

import asyncpg

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Command, Find
from jobledger.ledger.errors import DatabaseIsAwayError, OutcomeUnknownError, UnavailableError
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

log = logging.getLogger(__name__)

# So many commands are decided before it is looked whether the batch under way has been written.
SLICE = 16
# What has more events is written in parts while it is decided, which needs a transaction; a slice is no larger either.
MOST_EVENTS_A_SLICE = 64
# Where others append too, or something fails, it is for this long not worth trying without the lock.
PAUSE_S = 1.0
# So long a reader's connection is waited for; else the writer's own is used, once it is free.
PATIENCE_FOR_READER_S = 0.25


@dataclass(slots=True)
class Flight:
    """A batch and who waits for it: open while commands join it, then under way."""

    batch: Batch
    waiting: list[Waiting] = field(default_factory=list)
    written: Written = field(default_factory=Written)
    limits: Limits = field(default_factory=Limits)
    # Made ready, and for how many commands.
    statement: Statement | None = None
    prepared: int = 0
    sent_at: float = 0.0

    @property
    def commands(self) -> list[Command]:
        """Its commands in order."""
        return [it.command for it in self.waiting]

    @property
    def has_refused_keys(self) -> bool:
        """Whether it must be looked up if one of the refused was accepted before."""
        return bool(refused_with_key(self.commands, self.written.decisions))

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
        self._connection: Connection | None = None
        self._open: Flight | None = None
        self._under_way: Flight | None = None
        self._left = Left()
        self._has_sent = False
        self._paused_until = -inf

    @property
    def is_worth_trying(self) -> bool:
        """Whether the next command of the queue can be decided without the lock."""
        head = self._writer.cache.head
        return (
            head is not None
            and head.size > 0
            and all(head.is_of_fold(it.name, it.fold_version) for it in self._writer.appender.projections)
            and self._writer.clock.now() is not None
            and monotonic() > max(self._paused_until, self._writer.others_seen_at + PAUSE_S)
            and self._takes(self._queue.next_command)
        )

    async def run(self) -> Left:
        """Decide, write and answer what is queued until nothing is, or something must be decided under the lock.

        Raises what connecting raises, with nothing taken from the queue.
        """
        connection = self._connection = await self._database.take_writer()
        self._left = Left()
        self._has_sent = False
        try:
            await self._run()
        except BaseException:
            self._database.drop_writer(connection)
            self._refuse_unfinished()
            raise
        if self._left.unsure is None:
            self._database.give_back_writer(connection)
        else:
            self._database.drop_writer(connection)
        return self._left

    async def _run(self) -> None:
        while True:
            if self._under_way is None and self._open is not None:
                await self._send(self._open)
            elif self._may_take():
                await self._decide_slice()
            elif self._under_way is None:
                return
            else:
                await self._wait()

    def _takes(self, command: Command) -> bool:
        try:
            return not (command.least_events > MOST_EVENTS_A_SLICE or command.needs_lock or tuple(command.finds()))
        except Exception:
            # It is raised again where it is answered.
            return False

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

    def _take_slice(self) -> list[Waiting]:
        """The next few commands. At first half of what waits, so that the other half is decided while these are written."""
        most = SLICE if self._under_way is not None else max(1, min(SLICE, (len(self._queue) + 1) // 2))
        taken = [self._queue.take()]
        events = taken[0].command.least_events
        while len(taken) < most and self._queue and self._takes(self._queue.next_command):
            events += self._queue.next_command.least_events
            if events > MOST_EVENTS_A_SLICE:
                break
            taken.append(self._queue.take())
        return taken

    async def _decide_slice(self) -> None:
        """Let a few more commands join the open batch."""
        if self._open is None:
            self._open = Flight(self._begin())
        flight, under_way = self._open, self._under_way
        taken = self._left.waiting = self._take_slice()
        try:
            await self._load(flight.batch, [it.command for it in taken])
        except Exception:
            # It is raised again where it is answered.
            self._pause("loading")
            if self._open is flight and not flight.waiting:
                self._open = None
            return
        if self._open is not flight:
            # It was sent meanwhile, and these are for the next; or what it builds on was not written after all.
            if self._left.waiting is taken:
                self._left.waiting = []
                self._queue.put_back(taken)
            return
        self._left.waiting = []
        flight.statement = None
        answered = () if under_way is None else (under_way.batch.answered,)
        for number, one in enumerate(taken):
            if flight.limits.are_reached(flight.batch, one.command):
                self._queue.put_back(taken[number:])
                break
            began_at = monotonic()
            flight.written.decisions.append(decide(flight.batch, one.command, NO_ANSWERS, *answered))
            flight.waiting.append(one)
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
        if not missing:
            return
        if self._under_way is not None:
            try:
                async with self._database.reader(PATIENCE_FOR_READER_S) as reader:
                    await self._load_missing(reader, batch, missing)
                return
            except DatabaseIsAwayError:
                while self._under_way is not None:
                    await self._wait()
        assert self._connection is not None
        await self._load_missing(self._connection, batch, missing)

    async def _load_missing(self, connection: Connection, batch: Batch, missing: set[str]) -> None:
        projections = self._writer.appender.projections
        loaded = await load_aggregates(connection, batch.org, batch.first_head, projections, sorted(missing))
        batch.aggregates.update(loaded)
        self._writer.cache.put(loaded.values())

    async def _send(self, flight: Flight) -> None:
        """Start writing the open batch, with nothing under way."""
        assert self._connection is not None
        commands, decisions = flight.commands, flight.written.decisions
        refused = refused_with_key(commands, decisions)
        try:
            if refused:
                asked = [commands[number] for number in refused]
                known = await recall(self._connection, self._writer.org, flight.batch.now, asked)
                answer_as_remembered(commands, decisions, refused, known, flight.batch)
            self._start(flight)
        except Exception:
            # It is raised again where it is answered.
            self._pause("preparing")
            self._left.waiting[:0] = flight.waiting
            self._open = None
            return
        # Let it be sent before more is decided.
        await asyncio.sleep(0)

    def _start(self, flight: Flight) -> None:
        assert self._connection is not None
        sql, arguments = flight.statement or self._writer.appender.prepare_ahead(flight.batch)
        flight.written.batch = flight.batch
        flight.written.is_commit_sent = True
        flight.sent_at = monotonic()
        self._open, self._under_way, self._has_sent = None, flight, True
        task = asyncio.create_task(self._connection.fetchval(sql, *arguments))
        task.add_done_callback(self._settle)

    async def _wait(self) -> None:
        """Until the batch under way has been written, or a command arrives; the open one is made ready meanwhile."""
        self._queue.arrival.clear()
        flight = self._open
        # Not at each arrival: it would be made ready again and again.
        if flight is not None and len(flight.waiting) >= 2 * flight.prepared:
            flight.prepared = len(flight.waiting)
            with suppress(Exception):  # it is raised again where it is answered
                flight.statement = self._writer.appender.prepare_ahead(flight.batch)
        await self._queue.arrival.wait()

    def _settle(self, task: asyncio.Task[datetime]) -> None:
        """Take the batch that was under way for what is, and answer; where it failed, all that is not answered is left."""
        flight, self._under_way = self._under_way, None
        self._queue.arrival.set()
        error = None if task.cancelled() else task.exception()
        if flight is None:
            return
        if task.cancelled():
            refuse_all(flight.waiting, OutcomeUnknownError("The server stopped while this was being committed."))
            return
        if error is None:
            if flight.batch.event_count:
                self._writer.observer.appended(flight.batch.event_count, monotonic() - flight.sent_at)
            self._writer.clock.hear(task.result())
            self._writer.cache.put(flight.batch.accepted.values())
            self._writer.cache.head = flight.batch.head()
            following = self._open
            if following is not None and following.statement is not None and not following.has_refused_keys:
                # Postgres need not wait until the callers have been told.
                self._start(following)
            flight.answer()
            self._writer.tell_appended(flight.batch)
            return
        left = self._left
        left.waiting = [*flight.waiting, *(self._open.waiting if self._open is not None else ()), *left.waiting]
        self._open = None
        if isinstance(error, asyncpg.UniqueViolationError) and error.constraint_name == "idempotency_pkey":
            left.is_key_answered = True
        elif isinstance(error, asyncpg.PostgresError) and error.sqlstate == HEAD_HAS_MOVED:
            self._writer.others_seen_at = monotonic()
        elif is_lost_connection(error):
            left.unsure = flight.written
            self._writer.observer.tried_again()
        else:
            self._pause(f"writing: {type(error).__name__}")

    def _pause(self, what: str) -> None:
        log.warning("%s is decided under the lock for a while, after %s failed.", self._writer.org, what)
        self._paused_until = monotonic() + PAUSE_S

    def _refuse_unfinished(self) -> None:
        """Answer all who are not in the queue any more: the server stops."""
        undecided = [*(self._open.waiting if self._open is not None else ()), *self._left.waiting]
        refuse_all(undecided, UnavailableError("The server stopped before this was decided."))
        if self._under_way is not None:
            refuse_all(
                self._under_way.waiting, OutcomeUnknownError("The server stopped while this was being committed.")
            )
        self._open = self._under_way = None
