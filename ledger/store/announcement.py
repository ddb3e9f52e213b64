"""Appends told from one process to the others by NOTIFY: ``<org> <size>`` on one channel of the database.

A hint and no more. What is told may be lost, doubled or made up: who listens polls as well, and reads what there is.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable

import asyncpg

from jobledger.ledger.domain.access import ORG_NAME
from jobledger.ledger.store.database import LOST_CONNECTION_ERRORS, Connection, connect
from jobledger.ledger.store.statement import ledger_statement

log = logging.getLogger(__name__)

CHANNEL = "jobledger_appended"
PAYLOAD = re.compile(rf"({ORG_NAME.pattern}) ([0-9]{{1,18}})")
# However much is appended, it is told so often at most. The first append after a silence is told at once.
PAUSE_S = 0.05
PAUSE_AFTER_FAILURE_S = 1.0
REPLY_TIMEOUT_S = 5.0
# A connection that died without a word is found out after so long, and a reply's time.
PROBE_S = 20.0

# A transaction that notifies has a commit record. Nobody need wait until it is on the disk.
ANNOUNCER_SETTINGS = {"synchronous_commit": "off", "statement_timeout": "5s"}
LISTENER_SETTINGS = {"statement_timeout": "5s"}


class Announcer:
    """Tells other processes of this one's appends.

    On a connection of its own, as a COMMIT that notifies waits for every other one in the cluster that does: no append may.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._untold: dict[str, int] = {}
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    def announce(self, org: str, size: int) -> None:
        """Tell, soon, that the org's ledger has come to *size*."""
        self._untold[org] = size
        if self._task is None and not self._is_closed:
            self._task = asyncio.create_task(self._run(), name="announcer")

    async def close(self) -> None:
        """Tell nothing more. What was not told the others find by polling."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._drop()

    async def _run(self) -> None:
        try:
            while self._untold:
                payloads = [f"{org} {size}" for org, size in self._untold.items()]
                self._untold.clear()
                await asyncio.sleep(PAUSE_S if await self._tell(payloads) else PAUSE_AFTER_FAILURE_S)
        finally:
            self._task = None

    async def _tell(self, payloads: list[str]) -> bool:
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await connect(self._url, ANNOUNCER_SETTINGS, reply_timeout_s=REPLY_TIMEOUT_S)
            await self._connection.execute(ledger_statement("announce"), payloads)
        except (*LOST_CONNECTION_ERRORS, asyncpg.PostgresError) as error:
            log.info("Other servers were not told of appends, and find them by polling: %s", type(error).__name__)
            self._drop()
            return False
        return True

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class Listener:
    """Hears what other processes announce, and connects anew whenever its connection is lost.

    ``heard(org, size)`` is called for each announcement, ``listens()`` whenever listening begins: what was told before was missed.
    """

    def __init__(self, url: str, heard: Callable[[str, int], None], listens: Callable[[], None]) -> None:
        self._url = url
        self._heard = heard
        self._listens = listens

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            connection: Connection | None = None
            try:
                connection = await connect(self._url, LISTENER_SETTINGS, reply_timeout_s=REPLY_TIMEOUT_S)
                await self._listen(connection)
            except (*LOST_CONNECTION_ERRORS, asyncpg.PostgresError) as error:
                log.info("Appends of other servers are found by polling alone: %s", type(error).__name__)
            finally:
                if connection is not None:
                    connection.terminate()
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)

    async def _listen(self, connection: Connection) -> None:
        """Listen until the connection is lost. Raises what tells that it is."""
        is_lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: is_lost.set())
        await connection.add_listener(CHANNEL, self._hear)
        self._listens()
        while not is_lost.is_set():
            try:
                async with asyncio.timeout(PROBE_S):
                    await is_lost.wait()
            except TimeoutError:
                await connection.fetchval("SELECT 1")

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        # Whoever may connect to the database may say anything on the channel.
        match = PAYLOAD.fullmatch(str(payload))
        if match is not None:
            self._heard(match[1], int(match[2]))
