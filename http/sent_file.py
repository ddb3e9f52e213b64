"""Files on their way out: whole, or one range of them. Source: RFC 9110, sections 13 and 14."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from jobledger.http.attachments import content_disposition
from jobledger.http.negotiation import OCTETS, Form, form_of_answer

GZIP = Form("gzip", "application/gzip")
ZIP = Form("zip", "application/zip")
PIECE_BYTES = 256 * 1024
# One range: from, to or to the end; or so many at the end.
RANGE = re.compile(r"bytes=[ \t]*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))[ \t]*", re.IGNORECASE | re.ASCII)
ENTITY_TAG = re.compile(r'(?:W/)?("[^"]*")')
STATUSES = {
    200: "The file.",
    206: "The range that was asked for.",
    304: "It is still the one that If-None-Match names.",
}
SAVED = {"Content-Disposition": "The name to save it under.", "ETag": "Of the file.", "Accept-Ranges": "bytes"}


async def send_file(
    request: web.Request, path: Path, form: Form | None = None, record: Callable[[], Awaitable[object]] | None = None
) -> web.StreamResponse:
    """The file, to be saved under its name; the range of it where one is asked for. It also may be asked for as *form*.

    Before anything that is in it is sent *record* is awaited.
    A ``Range`` of another unit, of several ranges or that is none is passed over. Raises FileNotFoundError,
    NotAcceptableError, HTTPRequestRangeNotSatisfiable, HTTPPreconditionFailed.
    """
    given = form_of_answer(request, (OCTETS,) if form is None else (OCTETS, form))
    file = await asyncio.to_thread(path.open, "rb")
    try:
        told = os.fstat(file.fileno())
        tag = f'"{told.st_mtime_ns:x}-{told.st_size:x}"'
        headers = {"ETag": tag, "Accept-Ranges": "bytes"}
        if _names(request, "If-Match", tag) is False:
            raise web.HTTPPreconditionFailed
        if _names(request, "If-None-Match", tag):
            return web.Response(status=304, headers=headers)
        begin, end = 0, told.st_size
        asked = _range(request, tag, told.st_size)
        if asked is not None:
            begin, end = asked
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{told.st_size}"
        headers |= {"Content-Type": given.media_type, "Content-Disposition": content_disposition(path.name)}
        if record is not None and request.method == "GET":
            await record()
        answer = web.StreamResponse(status=200 if asked is None else 206, headers=headers)
        answer.content_length = end - begin
        await answer.prepare(request)
        if request.method != "HEAD":
            await _copy(file, answer, begin, end)
        await answer.write_eof()
        return answer
    finally:
        file.close()


async def _copy(file: BinaryIO, answer: web.StreamResponse, begin: int, end: int) -> None:
    file.seek(begin)
    while begin < end:
        piece = await asyncio.to_thread(file.read, min(PIECE_BYTES, end - begin))
        if not piece:
            raise OSError("The file became shorter while it was sent.")
        await answer.write(piece)
        begin += len(piece)


def _range(request: web.Request, tag: str, size: int) -> tuple[int, int] | None:
    """From which byte to before which, None for all. Raises HTTPRequestRangeNotSatisfiable."""
    match = RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or request.method != "GET" or request.headers.get("If-Range", tag) != tag:
        return None
    if match[3] is not None:
        begin, end = max(0, size - int(match[3])), size
    else:
        begin, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < begin:
            return None
    if begin >= end:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
    return begin, end


def _names(request: web.Request, name: str, tag: str) -> bool | None:
    """Whether such a header names the tag; None where there is none."""
    said = request.headers.getall(name, None)
    if said is None:
        return None
    return any(it.strip() == "*" or tag in ENTITY_TAG.findall(it) for it in said)
