"""The messages of queues, and who takes them: rows beside the ledger, each step a transaction of its own.

A consumer stands behind the message that it was given last, its *position* (-1 before the first), and holds it until it is
acknowledged: by asking for what follows, or, where it acknowledges by itself, by saying so. Asked again from where it stood
before, it gives the same message once more: so an answer that was lost loses no message. What a consumer holds that nobody has used
for 300 seconds is to be had by others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import asyncpg

from jobledger.ledger.domain.queue import TooManyConsumersError
from jobledger.ledger.errors import DatabaseIsAwayError
from jobledger.ledger.store.database import Connection, Database, is_passing
from jobledger.ledger.store.statement import ledger_statement

MOST_CONSUMERS = 100
FIRST = -1

T = TypeVar("T")


class Message(NamedTuple):
    """A message; *body* is what was put, as JSON."""

    message_id: int
    body: str


class Given(NamedTuple):
    """What a consumer was given, None for nothing, and where it stands by now. ``is_stale``: it did not ask from there."""

    message: Message | None
    position: int
    is_stale: bool = False


class Consumer(NamedTuple):
    """A consumer: whether taking the next message acknowledges the one before, its position, and what it holds."""

    auto_acknowledge: bool
    position: int
    held: int | None


class MessageStore:
    """The messages of every org. Each raises DatabaseIsAwayError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def use(self, org: str, queue_id: int) -> None:
        """Note that somebody uses the queue."""
        await self._write(lambda connection: connection.execute(ledger_statement("use_queue"), org, queue_id))

    async def create_consumer(self, org: str, queue_id: int, consumer: UUID, *, auto_acknowledge: bool) -> None:
        """Add a consumer. Raises TooManyConsumersError."""
        await self._write(partial(_create, org, queue_id, consumer, auto_acknowledge, FIRST))

    async def consumer(self, org: str, queue_id: int, consumer: UUID) -> Consumer | None:
        """A consumer, None where there is none, or nobody has used it for 300 seconds."""
        records = await self._database.fetch(ledger_statement("see_consumer"), org, queue_id, consumer)
        return Consumer(*records[0]) if records else None

    async def drop_consumer(self, org: str, queue_id: int, consumer: UUID) -> bool:
        """Drop a consumer; whether there was one. A message that it had yet to acknowledge by itself is put back."""
        return await self._write(partial(_drop, org, queue_id, consumer))

    async def consume(self, org: str, queue_id: int, consumer: UUID, position: int, *, auto_acknowledge: bool) -> Given:
        """The message behind *position* for that consumer, made again where it was dropped. Raises TooManyConsumersError."""
        return await self._write(partial(_consume, org, queue_id, consumer, position, auto_acknowledge))

    async def acknowledge(self, org: str, queue_id: int, consumer: UUID, message_id: int, *, is_taken: bool) -> bool:
        """Acknowledge the message that the consumer holds, or put it back; whether that is so now, also of the one held last."""
        return await self._write(partial(_acknowledge, org, queue_id, consumer, message_id, is_taken))

    async def with_messages(self, queues: Collection[tuple[str, int]]) -> Sequence[tuple[str, int]]:
        """Those of some queues in which there is a message to be had."""
        orgs, ids = zip(*queues, strict=True)
        records = await self._database.fetch(ledger_statement("queues_with_messages"), list(orgs), list(ids))
        return [(it["org"], it["queue_id"]) for it in records]

    async def _write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async def in_transaction(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        try:
            return await self._database.write(in_transaction)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            if is_passing(error):
                raise DatabaseIsAwayError("The database does not answer.", retry_after_s=2) from error
            raise


async def _create(
    org: str, queue_id: int, consumer: UUID, auto_acknowledge: bool, position: int, connection: Connection
) -> asyncpg.Record:
    await connection.execute(ledger_statement("use_queue"), org, queue_id)
    await connection.execute(ledger_statement("drop_idle_consumers"), org, queue_id)
    sql = ledger_statement("create_consumer")
    row = await connection.fetchrow(sql, org, queue_id, consumer, auto_acknowledge, position, MOST_CONSUMERS)
    if row is None:
        raise TooManyConsumersError(f"The queue has {MOST_CONSUMERS} consumers already.", limit=MOST_CONSUMERS)
    return row


async def _drop(org: str, queue_id: int, consumer: UUID, connection: Connection) -> bool:
    row = await connection.fetchrow(ledger_statement("drop_consumer"), org, queue_id, consumer)
    if row is None:
        return False
    if row["held"] is not None:
        # Who says that it is done has what it was given, unless it was yet to say so of the message.
        name = "remove_message" if row["auto_acknowledge"] else "put_back_message"
        await connection.execute(ledger_statement(name), org, queue_id, row["held"], consumer)
    return True


async def _consume(
    org: str, queue_id: int, consumer: UUID, position: int, auto_acknowledge: bool, connection: Connection
) -> Given:
    await connection.execute(ledger_statement("use_queue"), org, queue_id)
    await connection.execute(ledger_statement("drop_idle_consumers"), org, queue_id)
    row = await connection.fetchrow(ledger_statement("lock_consumer"), org, queue_id, consumer)
    if row is None:
        row = await _create(org, queue_id, consumer, auto_acknowledge, position, connection)
        # It has what it asks to go on behind.
        await connection.execute(ledger_statement("remove_message"), org, queue_id, position, None)
    stands, previous, held = row["position"], row["previous"], row["held"]
    if row["auto_acknowledge"] is not auto_acknowledge:
        return Given(None, stands, is_stale=True)
    if held is not None and position == (previous if auto_acknowledge else stands):
        again = await connection.fetchrow(ledger_statement("held_message"), org, queue_id, held, consumer)
        if again is not None:
            return Given(Message(*again), stands)
        # It was dropped meanwhile, as the oldest of too many.
    elif position != stands:
        return Given(None, stands, is_stale=True)
    elif held is not None:
        await connection.execute(ledger_statement("remove_message"), org, queue_id, held, consumer)
    taken = await connection.fetchrow(ledger_statement("take_message"), org, queue_id, consumer)
    move: list[Any] = [stands, None, None]
    if taken is not None:
        move = [taken["id"], stands, taken["id"]] if auto_acknowledge else [stands, None, taken["id"]]
    await connection.execute(ledger_statement("move_consumer"), org, queue_id, consumer, *move)
    return Given(None if taken is None else Message(*taken), move[0])


async def _acknowledge(
    org: str, queue_id: int, consumer: UUID, message_id: int, is_taken: bool, connection: Connection
) -> bool:
    await connection.execute(ledger_statement("use_queue"), org, queue_id)
    row = await connection.fetchrow(ledger_statement("lock_consumer"), org, queue_id, consumer)
    if row is None or row["auto_acknowledge"]:
        return False
    if row["held"] is None and row["position"] == message_id:
        # Said once more, as its answer was lost. What was put back is not acknowledged by it, nor what is gone put back.
        is_there: bool = await connection.fetchval(ledger_statement("has_message"), org, queue_id, message_id)
        return is_there is not is_taken
    if row["held"] != message_id:
        return False
    name = "remove_message" if is_taken else "put_back_message"
    await connection.execute(ledger_statement(name), org, queue_id, message_id, consumer)
    await connection.execute(ledger_statement("move_consumer"), org, queue_id, consumer, message_id, None, None)
    return True
