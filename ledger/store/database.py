"""Connections to Postgres: as the owner to migrate, as the serving role for everything else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import asyncpg

from jobledger.ledger.errors import DatabaseIsAwayError

log = logging.getLogger(__name__)

SERVING_ROLE = "jobledger_app"
CONNECT_TIMEOUT_S = 5.0
# A client's answer to a peer that is silent, longer than the server's own statement_timeout.
REPLY_TIMEOUT_S = 35.0
# Likewise longer than what readers are given: who asks is told soon, and not many pile up.
READER_REPLY_TIMEOUT_S = 6.0

# Every statement looks up keys or reads along an index. On a table that grew since it was last analysed the planner takes it
# for small and reads all of it, each time anew; told so, it goes by the index.
BY_INDEX = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"}
# One that was paused holding the head's lock is cut off by Postgres, and one that waits for the lock gives up and asks anew.
WRITER_SETTINGS = {
    **BY_INDEX,
    "enable_bitmapscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "10s",
    "statement_timeout": "30s",
    "synchronous_commit": "on",
}
# No transaction but a writer's lasts longer: an old snapshot would slow every update of the head's row.
READER_SETTINGS = {
    **BY_INDEX,
    # A list's statement names every filter; planned for the values at hand it finds the index of those that are set.
    "plan_cache_mode": "force_custom_plan",
    "statement_timeout": "5s",
    "idle_in_transaction_session_timeout": "5s",
    "default_transaction_read_only": "on",
}

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# What tells that a connection, not a statement, failed. SQLSTATE classes: 08 connection, 25P03 idle in transaction,
# 57P01–57P05 shut down or starting.
LOST_CONNECTION_ERRORS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    OSError,
    asyncio.TimeoutError,
)
# 40 serialization and deadlock, 53 resources, 55 lock not to be had, 57 operator: worth another try as it was.
# 25 a node that became read-only, 58 a system that fails: so too, on another connection.
PASSING_CLASSES = frozenset({"25", "40", "53", "55", "57", "58"})


def is_lost_connection(error: BaseException) -> bool:
    """Whether *error* tells that the connection is gone, or never came."""
    # asyncpg says InterfaceError, and ValueError too, of an argument that it cannot encode.
    return isinstance(error, LOST_CONNECTION_ERRORS) and not isinstance(error, ValueError)


def is_passing(error: BaseException) -> bool:
    """Whether the same statements may well succeed later."""
    return is_lost_connection(error) or (
        isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] in PASSING_CLASSES
    )


def is_lack(error: BaseException) -> bool:
    """Whether *error* tells that the database lacks room: disk, memory, connections."""
    return isinstance(error, asyncpg.PostgresError) and (error.sqlstate or "")[:2] == "53"


async def connect(
    url: str, settings: dict[str, str], *, role: str | None = SERVING_ROLE, reply_timeout_s: float | None = None
) -> Connection:
    """A connection with these session settings, in the serving role and with the usual timeout unless told otherwise."""
    if role is not None:
        settings = {**settings, "role": role}
    return await asyncpg.connect(
        url,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=REPLY_TIMEOUT_S if reply_timeout_s is None else reply_timeout_s,
        server_settings={"application_name": "jobledger", "timezone": "UTC", **settings},
    )


class Database:
    """Where the ledger is stored: readers by the pool, writers one connection each.

    ``reader()`` gives a connection that can only read, for one short piece of work. Raises DatabaseIsAwayError.
    """

    def __init__(self, url: str, *, readers: int = 8, writers: int = 8) -> None:
        self.url = url
        self._readers = readers
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._writers_free = asyncio.Semaphore(writers)
        self._writers_asked_for = 0
        self._idle_writers: list[Connection] = []

    async def open(self) -> None:
        """Connect. Raises DatabaseIsAwayError."""
        try:
            self._pool = await asyncpg.create_pool(
                self.url,
                min_size=1,
                max_size=self._readers,
                timeout=CONNECT_TIMEOUT_S,
                command_timeout=READER_REPLY_TIMEOUT_S,
                reset=_leave_as_it_is,
                server_settings={
                    "application_name": "jobledger",
                    "timezone": "UTC",
                    "role": SERVING_ROLE,
                    **READER_SETTINGS,
                },
            )
        except (*LOST_CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            raise DatabaseIsAwayError(f"The database does not answer: {type(error).__name__}.") from error

    async def close(self) -> None:
        """Close every connection."""
        while self._idle_writers:
            await _close(self._idle_writers.pop())
        if self._pool is not None:
            await self._pool.close()
            self._pool = None

    @asynccontextmanager
    async def reader(self, timeout_s: float = CONNECT_TIMEOUT_S) -> AsyncIterator[Connection]:
        """A read-only connection. Raises DatabaseIsAwayError, also when it is lost in between, or none is free in time."""
        if self._pool is None:
            raise DatabaseIsAwayError("The database is not open.")
        try:
            async with self._pool.acquire(timeout=timeout_s) as connection:
                try:
                    yield connection  # type: ignore[misc]  # a pool's proxy behaves as the connection it stands for
                except (TimeoutError, asyncio.CancelledError):
                    # It would be asked to cancel, and waited for as long again; cut off between a statement's preparation and
                    # its execution it would stay in the midst of a transaction, with its locks.
                    connection.terminate()
                    raise
        except asyncpg.QueryCanceledError as error:
            raise DatabaseIsAwayError("The database took too long.", retry_after_s=5) from error
        except LOST_CONNECTION_ERRORS as error:
            raise DatabaseIsAwayError("The database does not answer.", retry_after_s=2) from error

    async def fetch(self, sql: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        """The rows of one reading statement. Raises DatabaseIsAwayError."""
        async with self.reader() as connection:
            return await connection.fetch(sql, *arguments)

    @property
    def are_writers_wanted(self) -> bool:
        """Whether somebody waits for a writer's connection."""
        return self._writers_asked_for > 0

    async def take_writer(self) -> Connection:
        """A writer's connection; give it back, or drop it. Raises what connecting raises."""
        self._writers_asked_for += 1
        try:
            await self._writers_free.acquire()
        finally:
            self._writers_asked_for -= 1
        try:
            while self._idle_writers:
                connection = self._idle_writers.pop()
                if not connection.is_closed():
                    return connection
            return await connect(self.url, WRITER_SETTINGS)
        except BaseException:
            self._writers_free.release()
            raise

    async def write(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What *work* returns, done on a writer's connection that it leaves in no transaction. Raises what it raises."""
        connection = await self.take_writer()
        try:
            result = await work(connection)
        except BaseException:
            self.drop_writer(connection)
            raise
        self.give_back_writer(connection)
        return result

    def give_back_writer(self, connection: Connection) -> None:
        """Return a connection that is in no transaction."""
        self._idle_writers.append(connection)
        self._writers_free.release()

    def drop_writer(self, connection: Connection) -> None:
        """Cut a connection whose state is not known."""
        connection.terminate()
        self._writers_free.release()


async def _leave_as_it_is(_connection: Connection) -> None:
    """Nothing is set on a reader, so nothing need be reset: a round trip saved for each read."""


async def _close(connection: Connection) -> None:
    try:
        await connection.close(timeout=2)
    except LOST_CONNECTION_ERRORS:
        connection.terminate()
