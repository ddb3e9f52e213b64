"""Load over HTTP: connections that each send a request as soon as the last is answered.

Written to take little of the machine that it shares with the server: requests are bytes made before, and of an answer only
its status, its length and its end are looked at. Source: RFC 9112.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from time import perf_counter
from typing import Any, cast

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(slots=True)
class Measured:
    """What became of the requests of a round; latencies in milliseconds."""

    seconds: float = 0.0
    latencies_ms: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


class Loading(asyncio.Protocol):
    """One connection: sends until *end*, then closes. ``closed`` is done when it has."""

    def __init__(self, requests: Sequence[bytes], measured: Measured, end: float) -> None:
        self._requests = cycle(requests)
        self._measured = measured
        self._end = end
        self._buffer = b""
        self._due = -1
        self._sent_at = 0.0
        self._transport: asyncio.Transport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer, and at its end send the next request."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._due < 0:
            head_end = self._buffer.find(b"\r\n\r\n")
            if head_end < 0:
                return
            length = LENGTH.search(self._buffer, 0, head_end + 2)
            if length is None:
                raise ValueError("an answer of no stated length")
            self._due = head_end + 4 + int(length[1])
        if len(self._buffer) >= self._due:
            self._finish()

    def _finish(self) -> None:
        assert self._transport is not None
        now = perf_counter()
        self._measured.latencies_ms.append(1000 * (now - self._sent_at))
        self._measured.statuses[int(self._buffer[9:12])] += 1
        self._buffer, self._due = b"", -1
        if now < self._end:
            self._send()
        else:
            self._transport.close()

    def _send(self) -> None:
        assert self._transport is not None
        self._sent_at = perf_counter()
        self._transport.write(next(self._requests))

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so."""
        if not self.closed.done():
            self.closed.set_result(None)


def request_bytes(method: str, path: str, headers: Mapping[str, str], body: str = "") -> bytes:
    """A request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body.encode())}"]
    return "\r\n".join([*lines, "", body]).encode()


async def load(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Send ``requests`` (``[method, path, body]``, in turn) with ``headers`` over ``connections`` for ``seconds``.

    Returns seconds, latencies_ms, and how many answers there were of each status.
    """
    requests = [request_bytes(method, path, spec["headers"], body) for method, path, body in spec["requests"]]
    measured = Measured()
    loop = asyncio.get_running_loop()
    began = perf_counter()
    end = began + spec["seconds"]
    connections = []
    for number in range(spec["connections"]):
        # Each begins elsewhere in the list.
        first = number * len(requests) // spec["connections"]
        own = [*requests[first:], *requests[:first]]
        _, loading = await loop.create_connection(
            lambda own=own: Loading(own, measured, end),  # type: ignore[misc]  # a default says which
            "127.0.0.1",
            spec["port"],
        )
        connections.append(loading)
    await asyncio.gather(*(it.closed for it in connections))
    measured.seconds = perf_counter() - began
    return {
        "seconds": measured.seconds,
        "latencies_ms": measured.latencies_ms,
        "statuses": {str(status): count for status, count in measured.statuses.items()},
    }
