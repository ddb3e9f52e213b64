"""One org's sequencer: a bounded queue, one writer task, batches that are appended once whatever the connection does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic

import asyncpg

from jobledger.ledger.domain.command import Command, Outcome
from jobledger.ledger.errors import (
    CorruptLedgerError,
    DatabaseIsAwayError,
    LedgerError,
    OutcomeUnknownError,
    UnavailableError,
)
from jobledger.ledger.store.batch import Batch
from jobledger.ledger.store.codec import leaf_of
from jobledger.ledger.store.database import (
    LOST_CONNECTION_ERRORS,
    Connection,
    Database,
    is_lack,
    is_lost_connection,
    is_passing,
)
from jobledger.ledger.store.deciding import Written
from jobledger.ledger.store.pipeline import Left, Pipeline
from jobledger.ledger.store.queue import LONGEST_WAIT_FOR_ROOM_S, MOST_CANDIDATES, CommandQueue, Waiting, refuse_all
from jobledger.ledger.store.statement import ledger_statement
from jobledger.ledger.store.writer import OrgWriter

log = logging.getLogger(__name__)

# How long a queued command outlives the database: longer than a paused writer keeps the head's lock.
PATIENCE_S = 20.0
# A full disk or too many connections (SQLSTATE class 53) may last: that is told sooner.
PATIENCE_WITH_LACK_S = 2.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 1.0


class Sequencer:
    """Appends one org's commands in order of arrival."""

    def __init__(self, writer: OrgWriter, database: Database) -> None:
        self._writer = writer
        self._database = database
        self._queue = CommandQueue()
        self._pipeline = Pipeline(writer, database, self._queue)
        self._in_hand: list[Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._corruption: CorruptLedgerError | None = None
        # Why nothing is taken until an operator has acted, which may be found out to have happened.
        self.refusal: LedgerError | None = None
        # The batch at hand: while its COMMIT is out, it is not known what became of it.
        self._written = Written()
        # Since when appends have been tried again and again.
        self._failing_since: float | None = None

    @property
    def waiting_count(self) -> int:
        """How many commands wait to be decided."""
        return len(self._queue)

    @property
    def access_at(self) -> int | None:
        """The ledger's size when who may do what was last changed, by the head that was last seen; None where none was."""
        head = self._writer.cache.head
        return None if head is None else head.access_at

    @property
    def is_stopped(self) -> bool:
        """Whether the org's writing has stopped until an operator acts."""
        return self._corruption is not None or self.refusal is not None

    async def enqueue(self, command: Command) -> asyncio.Future[Outcome]:
        """Queue *command*; the future tells what becomes of it. A caller's commands are decided in the order it queued them.

        Raises UnavailableError, CorruptLedgerError. The future raises LedgerError: a refusal; UnavailableError, nothing was
        appended; OutcomeUnknownError. Or CorruptLedgerError, where an operator must act first. Once queued a command is
        decided, whether or not its caller still waits.
        """
        if self._queue.is_full:
            await self._queue.wait_for_room()
        if self._corruption is not None:
            raise self._corruption
        if self.refusal is not None:
            raise self.refusal
        if self._failing_since is not None and monotonic() > self._failing_since + LONGEST_WAIT_FOR_ROOM_S:
            # What is queued goes on trying; to wait behind it would only be to learn the same later.
            raise DatabaseIsAwayError("The database cannot take this now.", retry_after_s=2)
        outcome = self._queue.put(command)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=f"sequencer of {self._writer.org}")
        return outcome

    async def drain(self) -> None:
        """Wait until all that is queued has been answered."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        """Write batches until nothing is queued."""
        try:
            while self._queue:
                left = await self._go_ahead()
                self._in_hand = left.waiting
                if self._corruption is not None:
                    refuse_all(left.waiting, self._corruption)
                elif left.waiting:
                    await self._write(left.waiting, left.unsure, is_key_answered=left.is_key_answered)
                self._in_hand = []
        finally:
            # With nothing left that tries, the next command is let in to find out.
            self._failing_since = None
            refuse_all(self._in_hand, self._stopping())
            self._in_hand = []
            # There is something queued only where this was cancelled.
            while self._queue:
                self._queue.take().refuse(UnavailableError("The server stopped before this was decided."))

    async def _go_ahead(self) -> Left:
        """Append what needs no lock; what is to be decided under it next."""
        if self._corruption is None and self._pipeline.is_worth_trying:
            try:
                left = await self._pipeline.run()
            except (*LOST_CONNECTION_ERRORS, asyncpg.PostgresError):
                # No connection: under the lock one is tried for again and again.
                pass
            else:
                self._failing_since = None
                return left
        return Left(self._take_candidates())

    def _take_candidates(self) -> list[Waiting]:
        candidates: list[Waiting] = []
        events = 0
        while self._queue and len(candidates) < MOST_CANDIDATES:
            events += self._queue.next_command.least_events
            if candidates and events > MOST_CANDIDATES:
                break
            candidates.append(self._queue.take())
        return candidates

    async def _write(
        self, waiting: list[Waiting], unsure: Written | None = None, *, is_key_answered: bool = False
    ) -> None:
        """Append a batch of these, answer it, and put the rest back into the queue.

        *unsure* is one of the first of them of which it is not known whether it was appended.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            connection: Connection | None = None
            written = Written()
            self._written = written if unsure is None else unsure
            try:
                connection = await self._database.take_writer()
                if unsure is not None and await self._is_appended(connection, unsure.batch):
                    # It did happen, the reply alone was lost. What is remembered is older than that.
                    self._writer.cache.clear()
                    written = unsure
                    assert written.batch is not None
                    self._writer.tell_appended(written.batch)
                else:
                    unsure = None
                    self._written = written
                    commands = [it.command for it in waiting]
                    await self._writer.write(connection, commands, written, is_key_answered=is_key_answered)
                self._database.give_back_writer(connection)
                self._failing_since = None
                self._answer(waiting, written)
                return
            except (LedgerError, CorruptLedgerError) as error:
                await self._roll_back(connection)
                if isinstance(error, CorruptLedgerError):
                    log.critical("The ledger of %s cannot be written: %s", self._writer.org, error)
                    self._corruption = error
                refuse_all(waiting, error)
                return
            except Exception as error:
                # While a COMMIT is in doubt nothing is written anew, whatever hinders us from finding out.
                # A statement that takes too long may do so for one command of the batch.
                is_too_long = isinstance(error, asyncpg.QueryCanceledError) and not written.is_commit_sent
                if unsure is None and (is_too_long or not is_passing(error)):
                    await self._roll_back(connection)
                    await self._write_apart(waiting, error)
                    return
                log.warning("An append to %s is tried again: %s", self._writer.org, type(error).__name__)
                self._writer.observer.tried_again()
                if connection is not None:
                    self._database.drop_writer(connection)
                if written.is_commit_sent:
                    unsure = written
                self._failing_since = self._failing_since or monotonic()
                patience_s = PATIENCE_WITH_LACK_S if is_lack(error) else PATIENCE_S
                if monotonic() >= waiting[-1].queued_at + patience_s:
                    self._give_up(waiting, error, unsure)
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _answer(self, waiting: list[Waiting], written: Written) -> None:
        self._queue.put_back(waiting[len(written.decisions) :])
        for one, decision in zip(waiting, written.decisions, strict=False):
            one.answer(decision)

    async def _write_apart(self, waiting: list[Waiting], error: Exception) -> None:
        """Write each alone, so that only the command for which *error* was raised fails."""
        if len(waiting) == 1:
            if isinstance(error, asyncpg.QueryCanceledError):
                error = UnavailableError("The database took too long.", retry_after_s=5)
            refuse_all(waiting, error)
            return
        for one in waiting:
            await self._write([one])

    async def _roll_back(self, connection: Connection | None) -> None:
        """Give the connection back, out of its transaction, or drop it."""
        if connection is None:
            return
        try:
            await connection.execute("ROLLBACK")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            self._database.drop_writer(connection)
        else:
            self._database.give_back_writer(connection)

    async def _is_appended(self, connection: Connection, batch: Batch | None) -> bool:
        """Whether *batch*, whose COMMIT went unanswered, is in the store; if not it never will be.

        The head's lock first: Postgres may still be committing for the connection that was lost. Or it may not have begun to
        write a batch that was decided without the lock: that one the fence shuts out.
        """
        assert batch is not None
        async with connection.transaction():
            await connection.fetchrow(ledger_statement("lock_head"), batch.org)
            header = await connection.fetchval(ledger_statement("header_at"), batch.org, batch.first_position)
            is_there = header is not None and leaf_of(header) == batch.first_leaf
            if not is_there:
                await connection.execute(ledger_statement("raise_fence"), batch.org)
        return is_there

    def _stopping(self) -> LedgerError:
        if self._written.is_commit_sent:
            return OutcomeUnknownError("The server stopped while this was being committed.")
        return UnavailableError("The server stopped before this was decided.")

    def _give_up(self, waiting: Sequence[Waiting], error: BaseException, unsure: Written | None) -> None:
        """Refuse them; of those in a batch whose COMMIT is in doubt it is not known what became."""
        sent = 0 if unsure is None else len(unsure.decisions)
        refuse_all(
            waiting[:sent],
            OutcomeUnknownError(
                "The database was lost while this was being committed. Repeat with the same Idempotency-Key."
            ),
        )
        if is_lost_connection(error):
            refusal: LedgerError = DatabaseIsAwayError("The database does not answer.", retry_after_s=5)
        else:
            refusal = UnavailableError("The database cannot take this now.", retry_after_s=5)
        refuse_all(waiting[sent:], refusal)
