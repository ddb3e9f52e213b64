"""A client of server-sent events, by the rules that browsers follow.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, 9.2.5 and 9.2.6.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from tests.http.serving import Api

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class Message:
    """What was dispatched."""

    type: str
    data: str
    last_event_id: str

    @property
    def document(self) -> Any:
        """The JSON document in the data."""
        return orjson.loads(self.data)


@dataclass
class Parser:
    """Interprets a stream as it comes. ``last_event_id`` is what a reconnect sends."""

    last_event_id: str = ""
    retry_ms: int | None = None
    comments: int = 0
    _rest: bytes = b""
    _has_begun: bool = False
    _data: list[str] = field(default_factory=list)
    _type: str = ""
    _id: str | None = None

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that this chunk completes."""
        text = self._rest + chunk
        if not self._has_begun:
            if BYTE_ORDER_MARK.startswith(text):
                self._rest = text
                return []
            self._has_begun, text = True, text.removeprefix(BYTE_ORDER_MARK)
        # A line ends with CR LF, LF or CR; a CR at the end of a chunk may be half of one.
        whole = text.replace(b"\r\n", b"\n")
        if whole.endswith(b"\r"):
            whole, held = whole[:-1], b"\r"
        else:
            held = b""
        *lines, self._rest = whole.replace(b"\r", b"\n").split(b"\n")
        self._rest += held
        return [message for line in lines for message in self._line(line.decode("utf-8", "replace"))]

    def _line(self, line: str) -> list[Message]:
        if not line:
            return self._dispatch()
        if line.startswith(":"):
            self.comments += 1
            return []
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._type = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = int(value)
        return []

    def _dispatch(self) -> list[Message]:
        if self._id is not None:
            self.last_event_id = self._id
        data, self._data = self._data, []
        type_name, self._type = self._type, ""
        if not data:
            return []
        return [Message(type_name or "message", "\n".join(data), self.last_event_id)]


class EventStream:
    """One connection, and the messages that come by it."""

    def __init__(self, response: aiohttp.ClientResponse, parser: Parser) -> None:
        self.response = response
        self.parser = parser

    async def some(self) -> list[Message]:
        """All messages that have come, at least one; none at the end. Raises what a connection that breaks off raises."""
        while chunk := await self.response.content.readany():
            if messages := self.parser.feed(chunk):
                return messages
        return []

    async def take(self, count: int, patience_s: float = 20) -> list[Message]:
        """At least so many messages."""
        taken: list[Message] = []
        async with asyncio.timeout(patience_s):
            while len(taken) < count:
                more = await self.some()
                assert more, f"the stream ended after {len(taken)} messages"
                taken += more
        return taken

    async def rest(self, patience_s: float = 20) -> list[Message]:
        """All messages up to the end."""
        taken: list[Message] = []
        async with asyncio.timeout(patience_s):
            while more := await self.some():
                taken += more
        return taken


@asynccontextmanager
async def event_stream(
    api: Api, params: dict[str, str] | None = None, *, path: str = "events", last_event_id: str = ""
) -> AsyncIterator[EventStream]:
    """A connection that was accepted, as an EventSource makes it."""
    headers = {"Accept": EVENT_STREAM, **api.headers}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    async with api.session.get(api.path(path), params=params, headers=headers, timeout=timeout) as response:
        assert response.status == 200, await response.read()
        assert response.content_type == EVENT_STREAM
        yield EventStream(response, Parser(last_event_id))
