"""An answer that is there whole, as nearly all are: its head and its body go out at once, in few steps where aiohttp takes many.

What goes out is what aiohttp would write, with the headers that ``http/response_headers.py`` would add.
"""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from time import time
from typing import cast

from aiohttp import ClientConnectionResetError, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from jobledger.http.context import REQUEST_ID
from jobledger.http.response_headers import HEADERS, SERVER, STRICT_TRANSPORT
from jobledger.http.urls import is_https

BY_ALL = f"Server: {SERVER}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
BY_ALL_OVER_TLS = f"{BY_ALL}Strict-Transport-Security: {STRICT_TRANSPORT}\r\n"
CLOSING = "Connection: close\r\n"
# What is larger aiohttp writes, which does not put it together with its head first.
LARGEST_BYTES = 64 * 1024
BODILESS = frozenset({204, 304})


class WholeAnswer(web.Response):
    """A response whose body is bytes. It sets no cookies, and is not compressed."""

    _sent_bytes = 0
    _ends_connection = False

    def force_close(self) -> None:
        """See ``web.StreamResponse``."""
        super().force_close()
        self._ends_connection = True

    @property
    def keep_alive(self) -> bool | None:
        """See ``web.StreamResponse``."""
        return not self._ends_connection if self._sent_bytes else super().keep_alive

    @property
    def body_length(self) -> int:
        """See ``web.StreamResponse``: all that was sent."""
        return self._sent_bytes or super().body_length

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Write all of it; or begin to, as aiohttp does, where more is to be thought of. Raises ConnectionResetError."""
        headers = self.headers
        status = self.status
        body = cast("bytes", self.body or b"")
        if (
            len(body) > LARGEST_BYTES
            or request.version != HttpVersion11
            or request.method == "HEAD"
            or status in BODILESS
            or (len(headers) > 1 and not headers.keys().isdisjoint(HEADERS))
        ):
            return await super().prepare(request)
        if self._sent_bytes:
            return None
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ClientConnectionResetError("The client went away.")
        if not request.keep_alive:
            self._ends_connection = True
        own = "".join([_line(name, value) for name, value in headers.items()])
        by_all = BY_ALL_OVER_TLS if is_https(cast("web.Request", request)) else BY_ALL
        head = (
            f"HTTP/1.1 {status} {self.reason}\r\n{own}Content-Length: {len(body)}\r\nDate: {_http_date(int(time()))}\r\n"
            f"{CLOSING if self._ends_connection else ''}{by_all}X-Request-Id: {request[REQUEST_ID]}\r\n\r\n"
        )
        whole = head.encode() + body
        transport.write(whole)
        self._sent_bytes = len(whole)
        if request.protocol.writing_paused:
            # The connection's next request waits until its client takes what it has asked for.
            await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """See ``web.StreamResponse``."""
        if not self._sent_bytes:
            await super().write_eof(data)


@lru_cache(maxsize=64)  # nearly all have one, of a few types
def _line(name: str, value: str) -> str:
    if "\n" in value or "\r" in value:
        raise ValueError(f"The value of {name} holds a line break.")
    return f"{name}: {value}\r\n"


@lru_cache(maxsize=2)
def _http_date(second: int) -> str:
    """Source: RFC 9110, section 5.6.7."""
    return formatdate(second, usegmt=True)
