"""One transaction of the append path: lock the head, decide, write, commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from math import inf
from time import monotonic
from typing import Any

import asyncpg

from jobledger.ledger.domain.aggregate import Aggregate
from jobledger.ledger.domain.command import Command, Find
from jobledger.ledger.domain.event_types import must_know
from jobledger.ledger.errors import NotFoundError, ReleaseDiffersError
from jobledger.ledger.store.appender import EVENTS_A_PART, Appender, Writing
from jobledger.ledger.store.batch import Batch
from jobledger.ledger.store.cache import Cache
from jobledger.ledger.store.clock import DatabaseClock
from jobledger.ledger.store.codec import StoredEvent, leaf_of
from jobledger.ledger.store.database import Connection
from jobledger.ledger.store.deciding import (
    Answers,
    Limits,
    Written,
    answer_as_remembered,
    decide,
    decide_at_length,
    recall,
    refused_with_key,
)
from jobledger.ledger.store.head import Head, read_head
from jobledger.ledger.store.loading import Fold, load_aggregates
from jobledger.ledger.store.observer import UNOBSERVED, AppendObserver
from jobledger.ledger.store.statement import ledger_statement

# Beyond so many events of others it is cheaper to forget what was remembered than to bring it up to date.
MOST_EVENTS_OF_OTHERS = 5_000
# What keeps Postgres busy for long, each for itself, joins a batch only while the lock was held no longer than this.
LONGEST_HELD_S = 0.040


class OrgWriter:
    """Writes batches of one org, on any connection, with what it remembers of the org's aggregates."""

    def __init__(
        self,
        org: str,
        appender: Appender,
        cache: Cache,
        clock: DatabaseClock,
        observer: AppendObserver = UNOBSERVED,
        tell_appended: Callable[[str, int], None] = lambda _org, _size: None,
    ) -> None:
        self.org = org
        self.observer = observer
        self._tell_appended = tell_appended
        self.cache = cache
        self.clock = clock
        self.appender = appender
        # When it was last noticed that another process appends to this org too.
        self.others_seen_at = -inf
        self._projections = appender.projections

    async def write(
        self, connection: Connection, commands: Sequence[Command], written: Written, *, is_key_answered: bool = False
    ) -> None:
        """Decide as many of *commands*, from the first, as make a batch, and commit them.

        That no Idempotency-Key was answered before is taken for granted, and found out by their being unique when the
        batch is written; if one was, the batch is rolled back and decided anew with what was answered. Of those refused it
        is asked. *written* is filled as it goes, so that a caller whose connection is lost knows how far it came; each
        decision in it counts only once this returns. Raises what the database raises, NotFoundError for an unknown org,
        ReleaseDiffersError, CorruptLedgerError.
        """
        try:
            await self._write(connection, commands, written, is_key_answered=is_key_answered)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name != "idempotency_pkey":
                raise
            await connection.execute("ROLLBACK")
            written.decisions = []
            await self._write(connection, commands, written, is_key_answered=True)

    async def _write(
        self, connection: Connection, commands: Sequence[Command], written: Written, *, is_key_answered: bool
    ) -> None:
        if self.cache.head is None:
            self.cache.head = await self._read_head(connection)
        aggregates = await self._load(connection, {s for command in commands for s in command.streams()})
        # From here others wait. If we die before COMMIT is sent nothing was appended.
        await connection.execute("BEGIN")
        locking_at = monotonic()
        head, clock = await self._lock_head(connection)
        locked_at = monotonic()
        await self._catch_up(connection, head, aggregates)
        batch = written.batch = Batch(self.org, head, max(clock, head.recorded_at), aggregates)
        answers = await self._answer(connection, batch, [find for command in commands for find in command.finds()])
        await self._load_found(connection, batch, commands, answers)
        remembered: Answers = {}
        if is_key_answered:
            remembered = await recall(connection, self.org, batch.now, commands)
            batch.answers_statement = "replace_answers"
        limits = Limits()
        async with Writing(self.appender, connection, batch) as writing:
            for command in commands:
                is_held_long = command.needs_lock and monotonic() > locked_at + LONGEST_HELD_S
                if limits.are_reached(batch, command) or (is_held_long and batch.event_count):
                    break
                if batch.outdated and any(batch.is_outdated(find) for find in command.finds()):
                    await self._ask_anew(writing, commands, answers)
                began_at = monotonic()
                if command.least_events < EVENTS_A_PART:
                    written.decisions.append(decide(batch, command, answers, remembered))
                else:
                    written.decisions.append(await decide_at_length(batch, command, answers, remembered))
                limits.decided_s += monotonic() - began_at
                if writing.is_worth_a_part:
                    await writing.go_on()
        refused = {} if is_key_answered else refused_with_key(commands, written.decisions)
        if refused:
            known = await recall(connection, self.org, batch.now, [commands[number] for number in refused])
            answer_as_remembered(commands, written.decisions, refused, known, batch)
        # If we die after the next line it is for the database to say whether the batch was appended.
        written.is_commit_sent = True
        if await connection.execute("COMMIT") != "COMMIT":
            # Postgres answers so, without an error, to the COMMIT of a transaction that had failed.
            raise asyncpg.TransactionRollbackError("The batch was rolled back.")
        if batch.event_count:
            self.observer.appended(batch.event_count, monotonic() - locking_at - limits.decided_s)
        self.cache.put(batch.accepted.values())
        self.cache.head = batch.head()
        self.tell_appended(batch)

    def tell_appended(self, batch: Batch) -> None:
        """Wake who reads: *batch* was committed."""
        if batch.event_count:
            self._tell_appended(self.org, batch.size)

    async def _ask_anew(self, writing: Writing, commands: Sequence[Command], answers: dict[Find, Any]) -> None:
        """Bring the answers to finds up to date with what the batch has decided: write that, same transaction, and ask."""
        batch = writing.batch
        await writing.finish()
        outdated = [find for find in answers if batch.is_outdated(find)]
        batch.outdated.clear()
        answers.update(await self._answer(writing.connection, batch, outdated))
        await self._load_found(writing.connection, batch, commands, answers)

    async def _read_head(self, connection: Connection) -> Head:
        record = await connection.fetchrow(ledger_statement("read_head"), self.org)
        if record is None:
            raise NotFoundError(f"There is no org {self.org}.", org=self.org)
        return read_head(record)

    async def _lock_head(self, connection: Connection) -> tuple[Head, Any]:
        record = await connection.fetchrow(ledger_statement("lock_head"), self.org)
        if record is None:
            raise NotFoundError(f"There is no org {self.org}.", org=self.org)
        self.clock.hear(record["clock"])
        head = read_head(record)
        for projection in self._projections:
            if not head.is_of_fold(projection.name, projection.fold_version):
                raise ReleaseDiffersError(
                    f"The ledger's projection {projection.name} is of another release than this server.",
                    retry_after_s=30,
                    projection=projection.name,
                )
        return head, record["clock"]

    async def _catch_up(self, connection: Connection, head: Head, aggregates: dict[str, Aggregate | None]) -> None:
        """Bring the cache and *aggregates* up to what others appended since."""
        known = self.cache.head
        if known is not None and head.is_same_history_as(known):
            return
        if known is not None:
            self.others_seen_at = monotonic()
        others: list[StoredEvent] | None = None
        if known is not None and 0 <= head.size - known.size <= MOST_EVENTS_OF_OTHERS:
            others = await self._events_since(connection, known)
        if others is None:
            # Too many, or not the history we knew: a database that went back. Nothing remembered holds.
            self.cache.clear()
            aggregates.update(await self._load(connection, aggregates))
        else:
            changed: dict[str, Aggregate] = {}
            fold = Fold(changed)
            for stored in others:
                self._apply(stored, aggregates, fold)
            fold.finish()
            for after in changed.values():
                after.settle()
            aggregates.update((stream, after) for stream, after in changed.items() if stream in aggregates)
            self.cache.put(changed.values())
        self.cache.head = head

    async def _events_since(self, connection: Connection, known: Head) -> list[StoredEvent] | None:
        """What was appended after *known*; None if *known* is not in this history."""
        records = await connection.fetch(
            ledger_statement("events_after"), self.org, max(0, known.size - 1), MOST_EVENTS_OF_OTHERS + 1
        )
        events = [StoredEvent(*record) for record in records]
        if known.size == 0:
            return events
        if not events or leaf_of(events[0].header) != known.last_leaf:
            return None
        return events[1:]

    def _apply(self, stored: StoredEvent, aggregates: Mapping[str, Aggregate | None], fold: Fold) -> None:
        header = stored.envelope()
        stream, version = header["stream"], header["version"]
        must_know(header["type"], header["schema"])
        before = fold.aggregates.get(stream)
        if before is None:
            known = aggregates.get(stream) or self.cache.get(stream)
            if known is None and stream not in aggregates:
                return
            if known is not None:
                if known.version >= version:
                    return
                fold.aggregates[stream] = before = known.working_copy([])
        if before is None or before.version < version:
            fold.add(stored, stream)

    async def _load(self, connection: Connection, streams: Iterable[str]) -> dict[str, Aggregate | None]:
        """The newest state of each stream, from the cache, else from the store; None for one that has not begun."""
        aggregates: dict[str, Aggregate | None] = {stream: self.cache.get(stream) for stream in streams}
        missing = [stream for stream, aggregate in aggregates.items() if aggregate is None]
        if missing:
            head = self.cache.head or await self._read_head(connection)
            loaded = await load_aggregates(connection, self.org, head, self._projections, missing)
            aggregates.update(loaded)
            self.cache.put(loaded.values())
        return aggregates

    async def _load_found(
        self, connection: Connection, batch: Batch, commands: Sequence[Command], answers: Mapping[Find, Any]
    ) -> None:
        """Add to the batch the streams that the answers to the commands' finds named."""
        streams = {
            stream
            for command in commands
            for stream in command.found_streams([answers[find] for find in command.finds()])
            if stream not in batch.aggregates
        }
        if streams:
            batch.aggregates.update(await self._load(connection, streams))

    async def _answer(self, connection: Connection, batch: Batch, finds: Sequence[Find]) -> dict[Find, Any]:
        """The answers to *finds*, those of one kind from one statement."""
        answers: dict[Find, Any] = {}
        for kind, same in groupby(sorted(set(finds), key=lambda find: find.kind), key=lambda find: find.kind):
            asked = list(same)
            projection = next(it for it in self._projections if kind in it.finds)
            generation = batch.projections[projection.name]["gen"]
            given = await projection.answer(connection, self.org, generation, kind, asked)
            answers.update(zip(asked, given, strict=True))
        return answers
