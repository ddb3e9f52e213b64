"""How connections are served, beneath the application: what runs it, and on which socket."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from socket import socket
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from jobledger.http.bounded_server import BoundedServer
from jobledger.http.context import DIALECTS, LEDGER
from jobledger.http.deadlines import DEADLINES, Deadlines, TooSlowError
from jobledger.http.health import METRICS
from jobledger.http.request_log import RequestLog, RequestSink
from jobledger.http.urls import EDGE

log = logging.getLogger(__name__)

MOST_CONNECTIONS = 4_096


class QuotesNothing(logging.Filter):
    """Takes from the log what aiohttp quotes of a request that it cannot read: a token may stand in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, those with the kind of the error alone."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | web.RequestPayloadError | TooSlowError):
            record.msg, record.args = "A request could not be read: %s", (type(error).__name__,)
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


class BoundedRunner(web.AppRunner):
    """Runs an application whose connections are bounded."""

    __slots__ = ("_bounded", "_deadlines", "_most", "_sink")

    def __init__(
        self, app: web.Application, deadlines: Deadlines, most: int, sink: RequestSink, **options: Any
    ) -> None:
        super().__init__(app, **options)
        self._deadlines = deadlines
        self._most = most
        self._sink = sink
        self._bounded: BoundedServer | None = None

    async def _make_server(self) -> web.Server:
        self._bounded = BoundedServer(
            await super()._make_server(),
            self.app[LEDGER],
            self.app[METRICS],
            self.app[DIALECTS],
            self._deadlines,
            self._most,
            logger=log,
            access_log=self._sink,
            access_log_class=RequestLog,
        )
        return self._bounded

    async def _cleanup_server(self) -> None:
        if self._bounded is not None:
            self._bounded.close()
        await super()._cleanup_server()


class BoundedSite(web.SockSite):
    """A listening socket; with TLS, one whose handshakes are bounded too."""

    __slots__ = ("_handshake_s", "_listener")

    def __init__(
        self, runner: web.BaseRunner, listener: socket, *, tls: ssl.SSLContext | None, backlog: int, handshake_s: float
    ) -> None:
        super().__init__(runner, listener, ssl_context=tls, backlog=backlog)
        self._listener = listener
        self._handshake_s = handshake_s

    async def start(self) -> None:
        """Listen."""
        self._runner._reg_site(self)
        server = self._runner.server
        assert server is not None
        self._server = await asyncio.get_running_loop().create_server(
            server,
            sock=self._listener,
            ssl=self._ssl_context,
            backlog=self._backlog,
            ssl_handshake_timeout=None if self._ssl_context is None else self._handshake_s,
        )


def make_runner(
    app: web.Application,
    *,
    deadlines: Deadlines = DEADLINES,
    most_connections: int = MOST_CONNECTIONS,
    write_line: Callable[[bytes], object] | None = None,
    **options: Any,
) -> web.AppRunner:
    """The application's runner. *write_line* takes a line for each request; *options* as aiohttp's runner has them."""
    if not log.filters:
        log.addFilter(QuotesNothing())
    sink = RequestSink(app[METRICS], app[EDGE], write_line)
    return BoundedRunner(app, deadlines, most_connections, sink, **options)
