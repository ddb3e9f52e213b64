"""One process's connections: so many at once, none of them for ever.

aiohttp bounds a head's size and how long a silent connection is kept. What it does not bound is looked for here, in one round
over all connections about every second, so that a connection costs nothing between two rounds: a head that trickles in, a
body that does, an answer that nobody takes, a connection that the other side will not let go of.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, cast

from aiohttp import HttpVersion11, web

from jobledger.http.context import REQUEST_ID
from jobledger.http.deadlines import Deadlines, TooSlowError
from jobledger.http.dialect import Dialects
from jobledger.http.document import EXPECTED
from jobledger.http.metrics import Metrics
from jobledger.http.places import is_stream
from jobledger.http.request_id import new_request_id
from jobledger.http.request_log import BEGAN_AT
from jobledger.http.response_headers import HEADERS, SERVER
from jobledger.http.unreadable import (
    KEPT_BYTES,
    LONGEST_HEADER,
    LONGEST_LINE,
    Fault,
    fault_of,
    path_of,
    refused,
)
from jobledger.ledger.store.ledger import Ledger

TOO_SLOW = Fault(408, "Request Timeout", TooSlowError.code, "The request's headers took too long.")
TOO_MANY = Fault(503, "Service Unavailable", "too_many_connections", "Too many connections are open.")
# A client that is one too many is told so once it has said what path it asks for, or for so long has not; but for so many
# of them, who are told at once. They count for none of those that there may be.
REFUSED_AFTER_S = 0.5
MOST_REFUSED = 256


class BoundedServer(web.Server):
    """Makes the connections of one process, and looks after them."""

    def __init__(
        self,
        server: web.Server,
        ledger: Ledger,
        metrics: Metrics,
        dialects: Dialects,
        deadlines: Deadlines,
        most: int,
        **options: Any,
    ) -> None:
        super().__init__(server.request_handler, request_factory=self._begin_request)
        self._factory = server.request_factory
        self.deadlines = deadlines
        self.metrics = metrics
        self.dialects = dialects
        self._ledger = ledger
        self._most = most
        self._options = options
        self._round = self._loop.call_later(deadlines.look_every_s, self._go_round)
        # Those that are to be refused, and have yet to say what they ask for.
        self.to_be_refused: set[Connection] = set()

    def __call__(self) -> web.RequestHandler:
        """A connection's protocol."""
        return Connection(self, self._loop, **self._options)

    def _begin_request(self, message: Any, *arguments: Any) -> web.BaseRequest:
        expected: str | None = None
        if "Expect" in message.headers:
            expected = ",".join(message.headers.getall("Expect")).strip().lower()
            others = message.headers.copy()
            del others["Expect"]
            message = message._replace(headers=type(message.headers)(others))
        request = self._factory(message, *arguments)
        # A client of HTTP/1.0 expects nothing. Source: RFC 9110, section 10.1.1.
        request[EXPECTED] = expected if message.version >= HttpVersion11 else None
        request[BEGAN_AT] = monotonic()
        return request

    @property
    def is_full(self) -> bool:
        """Whether there are as many connections as there may be."""
        return len(self._connections) >= self._most

    def close(self) -> None:
        """Look no more."""
        self._round.cancel()
        for connection in [*self.to_be_refused]:
            connection.refuse()

    def _go_round(self) -> None:
        now = self._loop.time()
        connections = self.connections
        for connection in connections:
            if isinstance(connection, Connection):
                connection.look(now)
        self.metrics.stands(
            waiting=self._ledger.waiting_count, stopped=self._ledger.stopped_count, connections=len(connections)
        )
        self._round = self._loop.call_later(self.deadlines.look_every_s, self._go_round)


class Connection(web.RequestHandler):
    """One client's connection."""

    __slots__ = (
        "_head",
        "_head_of",
        "_is_refused",
        "_last_at",
        "_last_mark",
        "_received",
        "_refused_at",
        "_seen",
        "_server",
        "_stage",
        "_stage_at",
        "_stage_mark",
        "_wire",
    )

    def __init__(self, server: BoundedServer, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(
            server,
            loop=loop,
            keepalive_timeout=server.deadlines.keep_alive_s,
            max_line_size=LONGEST_LINE,
            max_field_size=LONGEST_HEADER,
            **options,
        )
        self._server = server
        self._is_refused = False
        self._refused_at: asyncio.TimerHandle | None = None
        self._received = 0
        # How the head begins that comes, or came last, and how many requests there were before it.
        self._head, self._head_of = b"", -1
        # aiohttp lets go of its own reference when it closes, which is when the other side may still hold on.
        self._wire: asyncio.Transport | None = None
        # How many requests, and how many bytes, there were when it was last seen between two requests.
        self._seen = (0, 0)
        # What it was last seen at, since when, and how far it had come then; how far it was last seen to have come, and when.
        self._stage: tuple[str, int] = ("", 0)
        self._stage_at = self._last_at = 0.0
        self._stage_mark = self._last_mark = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or tell a client that is one too many to come again."""
        wire = cast("asyncio.Transport", transport)
        if not self._server.is_full:
            self._wire = wire
            super().connection_made(transport)
            return
        self._is_refused = True
        self._wire = wire
        self._server.metrics.connection_refused()
        if len(self._server.to_be_refused) < MOST_REFUSED:
            self._server.to_be_refused.add(self)
            self._refused_at = self._loop.call_later(REFUSED_AFTER_S, self.refuse)
        else:
            self.refuse()

    def refuse(self) -> None:
        """Tell the client that it is one too many; in the words of the dialect whose path it asks for, if that is known."""
        self._server.to_be_refused.discard(self)
        if self._refused_at is not None:
            self._refused_at.cancel()
        if self._wire is not None and not self._wire.is_closing():
            self._wire.write(self._bare_answer(TOO_MANY))
            self._wire.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._wire = None
        if self._is_refused:
            self.refuse()
        if not self._is_refused:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if not self._is_refused:
            self._received += len(data)
            if self._current_request is None and not self._messages:
                self._keep_head(data)
            super().data_received(data)
        elif self in self._server.to_be_refused:
            self._keep_head(data)
            if b"\n" in self._head or len(self._head) >= KEPT_BYTES:
                self.refuse()

    def _keep_head(self, data: bytes) -> None:
        """Remember where a head begins: should it not be one, that is all there is to know of it."""
        if self._head_of != self._request_count:
            self._head_of, self._head = self._request_count, b""
        if len(self._head) < KEPT_BYTES:
            self._head += data[:KEPT_BYTES]

    def resume_reading(self, resume_parser: bool = True) -> None:  # aiohttp's own
        """Go on where reading was paused. aiohttp asks for it with each part of a body that is taken, and would parse anew."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what cannot be read as a request: as the dialect says it that its path is of, and quoting nothing."""
        super().handle_error(request, status, exc, message)
        request_id = request.setdefault(REQUEST_ID, new_request_id())
        fault = fault_of(status, exc)
        media_type, body = refused(fault, request_id, self._server.dialects, path_of(self._head))
        response = web.Response(
            status=fault.status,
            body=body,
            headers={"Content-Type": media_type, "Server": SERVER, **HEADERS, "X-Request-Id": request_id},
        )
        response.force_close()
        return response

    def look(self, now: float) -> None:
        """Give the client up where it is too slow."""
        transport = self._wire
        request = self._current_request
        if transport is None:
            return
        if transport.is_closing():
            if self._lasts(("closing", 0), now, 0) > self._server.deadlines.closing_s:
                transport.abort()
        elif self.writing_paused:
            self._look_at_answer(transport, now)
        elif request is not None:
            # While we do not read, it is not the client who is slow.
            if not request.content.is_eof() and not self._reading_paused:
                self._look_at_body(request, now)
            else:
                self._lasts(("deciding", self._request_count), now, 0)
        elif self._waiter is not None:
            self._look_at_head(transport, now)

    def _look_at_head(self, transport: asyncio.Transport, now: float) -> None:
        count, received = self._seen
        if count != self._request_count:
            self._seen = (self._request_count, self._received)
        elif (received != self._received or count == 0) and (
            self._lasts(("head", count), now, 0) > self._server.deadlines.head_s
        ):
            self._server.metrics.gave_up("head")
            if self._head_of != self._request_count:
                # Of the request before.
                self._head = b""
            transport.write(self._bare_answer(TOO_SLOW))
            self.force_close()

    def _look_at_body(self, request: web.BaseRequest, now: float) -> None:
        deadlines = self._server.deadlines
        lasted_s = self._lasts(("body", self._request_count), now, self._received)
        if self._received != self._last_mark:
            self._last_mark, self._last_at = self._received, now
        is_streamed = is_stream(request)
        idle_s = deadlines.stream_idle_s if is_streamed else deadlines.idle_s
        is_slow = now - self._last_at > idle_s
        if not is_streamed and lasted_s > deadlines.rate_s:
            is_slow = is_slow or self._received - self._stage_mark < deadlines.least_rate * deadlines.rate_s
            self._stage_at, self._stage_mark = now, self._received
        if is_slow and request.content.exception() is None:
            self._server.metrics.gave_up("body")
            request.content.set_exception(TooSlowError("The request's body took too long to arrive."))

    def _look_at_answer(self, transport: asyncio.Transport, now: float) -> None:
        deadlines = self._server.deadlines
        left = transport.get_write_buffer_size()
        if self._lasts(("answer", self._request_count), now, left) > deadlines.rate_s:
            if self._stage_mark - left < deadlines.least_rate * deadlines.rate_s:
                self._server.metrics.gave_up("answer")
                transport.abort()
            self._stage_at, self._stage_mark = now, left

    def _lasts(self, stage: tuple[str, int], now: float, mark: int) -> float:
        """How long it has been at this stage, in seconds; at a new one, begun with *mark*."""
        if stage != self._stage:
            self._stage, self._stage_at, self._stage_mark = stage, now, mark
            self._last_at, self._last_mark = now, mark
        return now - self._stage_at

    def _bare_answer(self, fault: Fault) -> bytes:
        """A whole answer, for a client whose request is not read: its connection closes after it."""
        request_id = new_request_id()
        media_type, body = refused(fault, request_id, self._server.dialects, path_of(self._head))
        head = [
            f"HTTP/1.1 {fault.status} {fault.title}",
            f"Content-Type: {media_type}",
            f"Content-Length: {len(body)}",
            "Connection: close",
            f"Server: {SERVER}",
            *(f"{name}: {value}" for name, value in HEADERS.items()),
            f"X-Request-Id: {request_id}",
            *(["Retry-After: 1"] if fault.status == 503 else []),
        ]
        return "\r\n".join([*head, "", ""]).encode() + body
