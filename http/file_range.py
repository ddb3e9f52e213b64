"""Ranges of files that are given. Source: RFC 9110, section 14."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from jobledger.ledger.errors import InvalidCommandError

CONDITIONS = ("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range")


class RangeNotSatisfiableError(InvalidCommandError):
    """The file has no such range."""

    code = "range_not_satisfiable"


async def must_have_range(request: web.Request, path: Path) -> None:
    """Raise RangeNotSatisfiableError where aiohttp would answer 416 once nobody can say any more why: before anything of it is
    recorded or sent.
    """
    if "Range" not in request.headers or any(name in request.headers for name in CONDITIONS):
        # What a client has already is compared first, and may come to another answer.
        return
    status = await asyncio.to_thread(path.stat)
    try:
        begin = request.http_range.start
    except ValueError:
        begin = status.st_size
    if begin is not None and begin >= status.st_size:
        raise RangeNotSatisfiableError(
            f"The file has {status.st_size} bytes, and no such range of them.", size_bytes=status.st_size
        )
