"""Clients that send what they are told to, byte by byte, when they are told to."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.http.serving import Api, Server

TRICKLE_S = 0.1
PATIENCE_S = 5.0


class Peer:
    """A client, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def trickle(self, data: bytes, every_s: float = TRICKLE_S) -> bytes:
        """Send a byte at a time until the server closes; all that it said."""
        said = asyncio.create_task(self.rest())
        for number in range(len(data)):
            if said.done():
                break
            self.writer.write(data[number : number + 1])
            await asyncio.wait([said], timeout=every_s)
        return await said

    async def rest(self) -> bytes:
        """All that the server says until it closes."""
        said = b""
        async with asyncio.timeout(PATIENCE_S):
            try:
                while piece := await self.reader.read(65536):
                    said += piece
            except ConnectionError:
                pass
        return said

    def send(self, *parts: bytes) -> None:
        """Send all of it."""
        self.writer.write(b"".join(parts))


def head(api: Api, path: str, *headers: str, method: str = "POST") -> bytes:
    """The head of a request."""
    lines = [
        f"{method} /ledger/v1/acme/{path} HTTP/1.1",
        "Host: x",
        f"Authorization: {api.headers['Authorization']}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


class Peers:
    """Those of one test."""

    def __init__(self) -> None:
        self._all: list[Peer] = []

    async def connect(self, server: Server, *, limit: int = 2**16) -> Peer:
        """A new one."""
        peer = Peer(*await asyncio.open_connection("127.0.0.1", server.port, limit=limit))
        self._all.append(peer)
        return peer

    async def close(self) -> None:
        """Let all go."""
        for peer in self._all:
            peer.writer.transport.abort()
            with suppress(ConnectionError):
                await peer.writer.wait_closed()
