"""Another ledger's checkpoint and tiles, as C2SP tlog-tiles names them: below a URL, or in a folder that holds a copy of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from jobledger.ledger.evidence.tree import HASH_BYTES, TILE_WIDTH, TileAt
from jobledger.scripts.failure import FailedError

LARGEST_ANSWER_BYTES = 256 * 1024
PATIENCE = aiohttp.ClientTimeout(total=60, sock_connect=10)


class LogSource(Protocol):
    """Where a log is read. Its calls raise FailedError."""

    async def read(self, path: str) -> bytes:
        """What lies at this path below it."""

    async def attach(self, size: int, cosignature: str, key: str) -> None:
        """Give the log a cosignature of its checkpoint of this size."""


class FolderSource:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, path: str) -> bytes:
        """See ``LogSource``."""
        try:
            return await asyncio.to_thread((self._folder / path).read_bytes)
        except OSError as error:
            raise FailedError(f"{self._folder / path}: {error.strerror}.") from None

    async def attach(self, size: int, cosignature: str, key: str) -> None:
        """A folder takes none."""
        raise FailedError("A folder takes no cosignatures: --attach is for a URL.")


class UrlSource:
    """A server: *url* ends before ``/checkpoint``. *token*: what is shown to be let in."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def read(self, path: str) -> bytes:
        """See ``LogSource``."""
        return await self._send("GET", path, 200)

    async def attach(self, size: int, cosignature: str, key: str) -> None:
        """See ``LogSource``."""
        await self._send("POST", f"checkpoint/{size}/cosignatures", 200, {"cosignature": cosignature, "key": key})

    async def _send(self, method: str, path: str, wanted: int, document: Any = None) -> bytes:
        url = f"{self._url}/{path}"
        try:
            async with self._session.request(
                method, url, json=document, headers=self._headers, timeout=PATIENCE, allow_redirects=False
            ) as reply:
                body = await reply.content.read(LARGEST_ANSWER_BYTES)
                while not reply.content.at_eof() and len(body) < LARGEST_ANSWER_BYTES:
                    body += await reply.content.read(LARGEST_ANSWER_BYTES - len(body))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise FailedError(f"{url}: {error or type(error).__name__}.") from None
        if reply.status != wanted:
            raise FailedError(f"{url} answers {reply.status}: {body[:300].decode(errors='replace')}")
        return body


async def read_tiles(source: LogSource, wanted: list[TileAt]) -> dict[tuple[int, int], bytes]:
    """The hashes of tiles. A partial one may have been given up for the full one. Raises FailedError."""
    found: dict[tuple[int, int], bytes] = {}
    for tile in wanted:
        path = tile_path(tile)
        hashes = await source.read(path)
        if len(hashes) != tile.width * HASH_BYTES:
            raise FailedError(f"{path} has {len(hashes)} bytes, not {tile.width * HASH_BYTES}.")
        found[tile.level, tile.number] = hashes
    return found


def tile_path(tile: TileAt) -> str:
    """A tile's path. Source: C2SP tlog-tiles."""
    digits, number = f"{tile.number % 1000:03}", tile.number // 1000
    while number:
        digits, number = f"x{number % 1000:03}/{digits}", number // 1000
    partial = "" if tile.width == TILE_WIDTH else f".p/{tile.width}"
    return f"tile/{tile.level}/{digits}{partial}"
