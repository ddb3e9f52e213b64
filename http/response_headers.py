"""The headers that every answer has."""

from __future__ import annotations

from aiohttp import web

from jobledger.http.context import BEGUN, REQUEST_ID
from jobledger.http.urls import is_https

# An answer that needs another policy, a page for people, has set its own.
SERVER = "Job Ledger"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT_TRANSPORT = "max-age=31536000"


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add them to an answer that is about to begin."""
    headers = response.headers
    # aiohttp has named itself and its version by now.
    headers["Server"] = SERVER
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    if is_https(request):
        headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    headers["X-Request-Id"] = request[REQUEST_ID]
    request[BEGUN] = response
