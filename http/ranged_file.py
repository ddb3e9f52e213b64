"""A file as an answer, or a range of it: of the file that the client has begun with, or else whole."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest


class RangedFile(web.FileResponse):
    """aiohttp's, which takes ``If-Range`` for a time alone, and passes over an entity tag.

    By that a client that goes on with a file which was written anew meanwhile, as erasing does, would put two files together.
    """

    def __init__(self, path: Path, headers: dict[str, str]) -> None:
        super().__init__(path, headers=headers)
        self._asked_for = path

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Send it. Source: RFC 9110, section 13.1.5."""
        wanted = request.headers.get("If-Range", "")
        if wanted.startswith(('"', "W/")) and wanted != self._entity_tag():
            headers = request.headers.copy()
            headers.popall("Range", None)
            request = request.clone(headers=headers)
        return await super().prepare(request)

    def _entity_tag(self) -> str | None:
        """As aiohttp makes it; None where there is no file any more."""
        try:
            told = self._asked_for.stat()
        except OSError:
            return None
        return f'"{told.st_mtime_ns:x}-{told.st_size:x}"'
