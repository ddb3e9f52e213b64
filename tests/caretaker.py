"""Who keeps the database that tests share, and the connections to it: to make others for each test costs far more.

After each test it looks for what the test left behind, audits what was stored, and empties the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

import asyncpg

from jobledger.ledger.store.announcement import Announcer
from jobledger.ledger.store.database import Database, is_lost_connection
from tests.auditor import audit_by

# What a migration writes, and what stays.
KEPT = ("installation", "schema_migration")
# Beyond so many rows a table is truncated: to delete few costs less, and leaves nothing behind that counts.
FEW_ROWS = 500
# A backend ends a moment after its connection was cut, and after the statement that it was at.
PATIENCE_S = 6.0
READERS = WRITERS = 4

# Who else is connected; of those that are kept, who is not idle.
OTHERS = """
SELECT pid, application_name, state, wait_event, now() - state_change AS since, query FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND (state IS DISTINCT FROM 'idle' OR pid <> ALL ($1))
"""

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class KeptAnnouncer(Announcer):
    """One whose connection the announcer of the next test's ledger has."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._telling = asyncio.Lock()

    @property
    def connection(self) -> Any:
        """The connection, once something was told."""
        return self._connection

    async def close(self) -> None:
        """Tell nothing more, but to the end what is being told."""
        async with self._telling:
            self._untold.clear()
            task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def end(self) -> None:
        """Close the connection."""
        await super().close()

    async def _tell(self, payloads: list[str]) -> bool:
        async with self._telling:
            return await super()._tell(payloads)


class Caretaker:
    """``database`` is open, and stays so from test to test; ``announcer`` is for one ledger after the other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.database = Database(url, readers=READERS, writers=WRITERS)
        self.announcer = KeptAnnouncer(url)
        self._connection: Connection | None = None

    async def open(self) -> None:
        """Connect."""
        await self.database.open()

    async def close(self) -> None:
        """Close every connection."""
        await self.announcer.end()
        await self.database.close()
        if self._connection is not None:
            await self._connection.close(timeout=10)

    async def audit(self) -> None:
        """AssertionError where anything in the database is not as it must be."""
        await self._by(audit_by)

    async def empty(self) -> None:
        """Leave the database as it was migrated."""
        await self._by(_empty)

    async def must_be_alone(self) -> None:
        """AssertionError where a test left a connection open, or one that is kept held, listening or in a transaction.

        It is so no more afterwards.
        """
        held = self._held()
        strays: Sequence[asyncpg.Record] = [] if held else await self._by(self._strays)
        if held or strays:
            await self._by(self._begin_anew)
        assert not held, held
        assert not strays, f"connections that the test left: {[dict(it) for it in strays]}"

    def _held(self) -> list[str]:
        """What is held of the connections that are kept."""
        pool = self.database._pool
        if pool is None:
            return ["the test closed the database that is kept"]
        readers = pool.get_size() - pool.get_idle_size()
        writers = WRITERS - self.database._writers_free._value
        found = {f"{readers} readers held": readers, f"{writers} writers held": writers}
        found["a writer asked for"] = self.database.are_writers_wanted
        found["a connection that listens"] = any(it._listeners or it._log_listeners for it in self._kept())
        return [said for said, is_so in found.items() if is_so]

    def _kept(self) -> list[Any]:
        """The connections that are kept, but for those that were lost."""
        pool: Any = self.database._pool
        readers = [it._con for it in pool._holders if it._con is not None]
        kept = (*readers, *self.database._idle_writers, self.announcer.connection)
        return [it for it in kept if it is not None and not it.is_closed()]

    async def _strays(self, connection: Connection) -> Sequence[asyncpg.Record]:
        """Who else is connected, after a while in which they may go."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        pause_s = 0.001
        while strays := await connection.fetch(OTHERS, [it.get_server_pid() for it in self._kept()]):
            if asyncio.get_running_loop().time() > deadline:
                break
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.1)
        return strays

    async def _begin_anew(self, connection: Connection) -> None:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        if self.database._pool is not None:
            self.database._pool.terminate()
        await self.announcer.end()
        self.announcer = KeptAnnouncer(self.url)
        self.database = Database(self.url, readers=READERS, writers=WRITERS)
        await self.database.open()

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
    await connection.execute("UPDATE installation SET secret_key_mark = NULL WHERE secret_key_mark IS NOT NULL")
    filled = {it["name"]: it["count"] for it in await connection.fetch(" UNION ALL ".join(looks)) if it["count"]}
    if not filled:
        return
    if max(filled.values()) > FEW_ROWS:
        await connection.execute(f"TRUNCATE {', '.join(filled)}")
    else:
        await connection.execute("; ".join(f"DELETE FROM {it}" for it in filled))
