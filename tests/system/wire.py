"""A proxy between a ledger and Postgres that reads the messages of both, and fails where it is told to.

frontend  startup: int32 size, int32 3.0, parameters; then each message: byte kind, int32 size, body
backend   each message: byte kind, int32 size, body
                                                Source: Postgres documentation, Frontend/Backend Protocol
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

SOCKET_NAME = ".s.PGSQL.5432"
# Only a writer's session sets it, by which it is known.
WRITERS_SETTING = b"lock_timeout"


class Direction(StrEnum):
    """Who sends a message."""

    FRONTEND = "frontend"
    BACKEND = "backend"


class Failure(StrEnum):
    """What becomes of the connection, before the message was passed on or after."""

    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"
    SILENT_BEFORE = "silent before"
    SILENT_AFTER = "silent after"


@dataclass(frozen=True)
class Fault:
    """Let the connection fail at the *number*-th message, from 1, of that direction."""

    direction: Direction
    number: int
    failure: Failure


@dataclass
class Proxy:
    """Passes writers' messages on, counting those since the last ``arm``. ``stays_away``: after a fault nobody connects."""

    upstream: Path
    faults: list[Fault] = field(default_factory=list)
    counts: dict[Direction, int] = field(default_factory=lambda: dict.fromkeys(Direction, 0))
    frontend_kinds: bytes = b""
    happened: list[Fault] = field(default_factory=list)
    stays_away: bool = False
    is_away: bool = False
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    links: list[Link] = field(default_factory=list)

    def arm(self, faults: Sequence[Fault] = ()) -> None:
        """Count from 1 again; each fault happens once, the next on the connections after it."""
        self.faults = list(faults)
        self.is_away = False
        self.happened = []
        self.frontend_kinds = b""
        self.counts = dict.fromkeys(Direction, 0)

    def fault_at(self, direction: Direction) -> Failure | None:
        """Count a writer's message; what is to happen at it."""
        self.counts[direction] += 1
        if not self.faults:
            return None
        fault = self.faults[0]
        if fault.direction is not direction or fault.number != self.counts[direction]:
            return None
        self.happened.append(self.faults.pop(0))
        self.is_away = self.stays_away
        self.counts = dict.fromkeys(Direction, 0)
        return fault.failure

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        if self.is_away:
            writer.transport.abort()
            return
        upstream = await asyncio.open_unix_connection(str(self.upstream))
        link = Link(self, (reader, writer), upstream)
        self.links.append(link)
        for direction in Direction:
            task = asyncio.create_task(link.pass_on(direction))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)


class Link:
    """One connection, both ways."""

    def __init__(
        self,
        proxy: Proxy,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.proxy = proxy
        self.client = client
        self.server = server
        self.is_writers = False
        self.is_silent = False

    def cut(self) -> None:
        """Close both ends at once, as if the cable were pulled and both noticed."""
        for _, writer in (self.client, self.server):
            writer.transport.abort()

    async def pass_on(self, direction: Direction) -> None:
        """Pass on what comes from one end until either closes."""
        (reader, _), (_, writer) = (
            (self.client, self.server) if direction is Direction.FRONTEND else (self.server, self.client)
        )
        try:
            if direction is Direction.FRONTEND:
                message = await self._read(reader, b"")
                self.is_writers = WRITERS_SETTING in message
                await self._pass(message, direction, writer)
            while True:
                await self._pass(await self._read(reader, await reader.readexactly(1)), direction, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            if not self.is_silent:
                # What the other end has not read yet, it shall still read: it closed, it was not cut.
                for _, end in (self.client, self.server):
                    end.close()

    async def _read(self, reader: asyncio.StreamReader, kind: bytes) -> bytes:
        size = await reader.readexactly(4)
        return kind + size + await reader.readexactly(int.from_bytes(size, "big") - 4)

    async def _pass(self, message: bytes, direction: Direction, writer: asyncio.StreamWriter) -> None:
        if self.is_silent:
            return
        failure = None
        if self.is_writers:
            failure = self.proxy.fault_at(direction)
            if direction is Direction.FRONTEND:
                self.proxy.frontend_kinds += message[:1]
        if failure is Failure.SILENT_BEFORE:
            self.is_silent = True
        if failure is Failure.CUT_BEFORE:
            self.cut()
        if failure in (Failure.SILENT_BEFORE, Failure.CUT_BEFORE):
            return
        writer.write(message)
        await writer.drain()
        if failure is Failure.SILENT_AFTER:
            self.is_silent = True
        elif failure is Failure.CUT_AFTER:
            if direction is Direction.FRONTEND:
                # Until Postgres has read it: it closes by itself what it cannot answer any more.
                self.client[1].transport.abort()
                writer.write_eof()
            else:
                self.cut()


@asynccontextmanager
async def proxied(url: str, folder: Path) -> AsyncIterator[tuple[str, Proxy]]:
    """A proxy before the database of *url*, with its socket in *folder*, and the URL through it."""
    [socket] = parse_qs(urlsplit(url).query)["host"]
    proxy = Proxy(Path(socket) / SOCKET_NAME)
    server = await asyncio.start_unix_server(proxy.accept, folder / SOCKET_NAME)
    try:
        yield url.replace(quote(socket, safe="/"), quote(str(folder), safe="/")), proxy
    finally:
        server.close()
        for link in proxy.links:
            link.cut()
        for task in list(proxy.tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
