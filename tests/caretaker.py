"""Who audits and empties the database that tests share, by one connection: to make another for each test costs far more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import asyncpg

from jobledger.ledger.store.database import is_lost_connection
from tests.auditor import audit_by

# What a migration writes, and what stays.
KEPT = ("installation", "schema_migration")
# Beyond so many rows a table is truncated: to delete few costs less, and leaves nothing behind that counts.
FEW_ROWS = 500

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Caretaker:
    """Works in a thread with a loop of its own, so that no test's loop is bound to the connection."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: Connection | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="caretaker", daemon=True)
        self._thread.start()

    async def audit(self) -> None:
        """AssertionError where anything in the database is not as it must be."""
        await self._there(self._by(audit_by))

    async def empty(self) -> None:
        """Leave the database as it was migrated."""
        await self._there(self._by(_empty))

    async def close(self) -> None:
        """Close the connection, and end."""
        if self._connection is not None:
            await self._there(self._connection.close(timeout=10))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _there(self, work: Coroutine[Any, Any, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _by(self, work: Callable[[Connection], Awaitable[Any]]) -> Any:
        try:
            return await work(await self._connected())
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            # The test may have cut every connection, or stopped Postgres.
            if not is_lost_connection(error):
                raise
        return await work(await self._connected(anew=True))

    async def _connected(self, *, anew: bool = False) -> Connection:
        if anew or self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                self.url, server_settings={"timezone": "UTC", "lock_timeout": "10s"}
            )
        return self._connection


async def _empty(connection: Connection) -> None:
    tables = [
        it["tablename"]
        for it in await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL ($1)", KEPT
        )
    ]
    looks = (f"SELECT '{it}' AS name, count(*) FROM (SELECT FROM {it} LIMIT {FEW_ROWS + 1}) AS t" for it in tables)
    filled = {it["name"]: it["count"] for it in await connection.fetch(" UNION ALL ".join(looks)) if it["count"]}
    if not filled:
        return
    if max(filled.values()) > FEW_ROWS:
        await connection.execute(f"TRUNCATE {', '.join(filled)}")
    else:
        await connection.execute("; ".join(f"DELETE FROM {it}" for it in filled))
