"""One line a request, and its numbers: written when the answer has been sent, or its client has gone.

{"time":"2026-11-22T05:21:14.123Z","request":"<uuid>","method":"GET","route":"/ledger/v1/{org}/jobs","path":"/ledger/v1/acme/jobs",
 "status":200,"ms":3.1,"bytes":512,"org":"acme","principal":"principal-7","address":"192.0.2.9"}

``ms``: from the end of the request's head to the end of the answer; ``bytes``: all that was sent, the answer's head with it.

Never a header, a body, a query. What looks like a token is blotted out of the path too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic, time_ns
from typing import Any, NamedTuple

import orjson
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from jobledger.http.context import CALLER, OWNER, REQUEST_ID
from jobledger.http.metrics import Metrics
from jobledger.http.urls import Edge, shown_address

# Wherever one ends up. Its beginning alone is no secret.
SECRET = re.compile(r"(jl_[a-z][a-z0-9-]{0,40}_)[A-Za-z0-9_-]+|((?:^|[?&;\s])token=)[^&\s\"']+", re.IGNORECASE)
LONGEST_PATH = 300
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# What no dialect owns.
OPERATIONS = dict.fromkeys(("/healthz", "/readyz", "/metrics"), "operations")


def without_secrets(text: str) -> str:
    """*text* with each token blotted out."""
    lower = text.lower()
    if "jl_" not in lower and "token=" not in lower:
        # As nearly always.
        return text
    return SECRET.sub(lambda match: f"{match[1] or match[2]}…", text)


# When its headers had been read, by the clock that never goes back.
BEGAN_AT = web.RequestKey("began_at", float)


class RequestSink(NamedTuple):
    """Where what is told of requests goes; ``write`` takes a line, None: no lines."""

    metrics: Metrics
    edge: Edge
    write: Callable[[bytes], object] | None


class RequestLog(AbstractAccessLogger):
    """Tells of each request, as aiohttp's access log. Its "logger" is a ``RequestSink``."""

    def __init__(self, logger: Any, log_format: str) -> None:
        super().__init__(logger, log_format)
        self._sink: RequestSink = logger

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Tell of one request. *time* is that of the event loop, which may stand still for long: it is told by ``BEGAN_AT``."""
        sink = self._sink
        began_at = request.get(BEGAN_AT)
        took_s = time if began_at is None else monotonic() - began_at
        route = route_of(request)
        caller = request.get(CALLER)
        status = response.status
        method = request.method if request.method in METHODS else "other"
        owner = request.get(OWNER)
        dialect = OPERATIONS.get(request.path, "other") if owner is None else owner.name
        sink.metrics.answered(dialect, method, route or "none", status, took_s)
        if sink.write is None:
            return
        # Some clients' addresses are gone with their connection.
        line = {
            "time": wire_now(),
            "request": request.get(REQUEST_ID),
            "method": method if method != "other" else request.method[:20],
            "route": route,
            "path": without_secrets(request.path)[:LONGEST_PATH],
            "status": status,
            "ms": round(took_s * 1000, 1),
            "bytes": response.body_length,
            "org": None if caller is None else caller.org,
            "principal": None if caller is None else caller.principal,
            "address": shown_address(request, sink.edge) if caller is None else caller.address,
        }
        sink.write(orjson.dumps(line) + b"\n")


def route_of(request: web.BaseRequest) -> str | None:
    """The template of the request's route; None where it has none."""
    # What could not be read as a request was never matched, and aiohttp has no other way to ask.
    match = getattr(request, "_match_info", None)
    resource = None if match is None else match.route.resource
    return None if resource is None else str(resource.canonical)


def wire_now() -> str:
    """The time, RFC 3339 in UTC, to the millisecond."""
    ms = time_ns() // 1_000_000
    return f"{_wire_second(ms // 1_000)}.{ms % 1_000:03}Z"


@lru_cache(maxsize=4)
def _wire_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")
