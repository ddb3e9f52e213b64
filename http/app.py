"""The application: what is shared by all handlers, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from uuid import uuid4

from aiohttp import web

from jobledger.http.access import Access
from jobledger.http.context import (
    ACCESS,
    BEGUN,
    CALLER,
    CURSOR_KEY,
    FETCH_START_TIMEOUT_S,
    JOBS,
    LEDGER,
    PRINCIPALS,
    REQUEST_ID,
)
from jobledger.http.cursor import CursorKey
from jobledger.http.native import command_routes, event_routes, job_routes, principal_routes, token_routes
from jobledger.http.problem import answer_to
from jobledger.ledger.domain.job_registration import FETCH_START_TIMEOUT_S as DEFAULT_FETCH_START_TIMEOUT_S
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.job_query import JobQuery
from jobledger.projections.principal_query import PrincipalQuery

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NATIVE_PREFIX = "/ledger/v1/"
HEADERS = {
    "Server": "Job Ledger",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def make_app(
    ledger: Ledger, *, cursor_key: bytes, fetch_start_timeout_s: int = DEFAULT_FETCH_START_TIMEOUT_S
) -> web.Application:
    """The application over *ledger*. *cursor_key* is the installation's secret, the same in every server of it."""
    # Bodies are bounded where they are read: each path has its own limit, and some stream.
    app = web.Application(middlewares=[answer_errors, authenticate], client_max_size=0)
    app[LEDGER] = ledger
    app[JOBS] = JobQuery(ledger.database)
    app[PRINCIPALS] = PrincipalQuery(ledger.database)
    app[ACCESS] = Access(app[PRINCIPALS], ledger)
    app[CURSOR_KEY] = CursorKey(cursor_key)
    app[FETCH_START_TIMEOUT_S] = fetch_start_timeout_s
    for routes in (job_routes, command_routes, event_routes, principal_routes, token_routes):
        app.add_routes(routes)
    app.on_response_prepare.append(_add_headers)
    return app


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id, and turn whatever it fails with into the dialect's document."""
    request[REQUEST_ID] = str(uuid4())
    try:
        return await handler(request)
    except Exception as error:
        if request.transport is None and isinstance(error, ConnectionError):
            # The client went away: there is nobody to answer, and nothing to tell.
            return request.get(BEGUN) or web.Response()
        answer = answer_to(error, request[REQUEST_ID])
        begun: web.StreamResponse | None = request.get(BEGUN)
        if begun is None:
            return answer
        # A document in the midst of the answer would be taken for a part of it. Only by its breaking off can the client
        # see that it is not whole.
        if request.transport is not None:
            request.transport.close()
        return begun


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let only callers of the path's org in: 401 without valid credentials, whether the org exists or not, else 404."""
    if not request.path.startswith(NATIVE_PREFIX):
        return await handler(request)
    org = request.path.removeprefix(NATIVE_PREFIX).partition("/")[0]
    caller = await request.app[ACCESS].caller(request.headers.get("Authorization"), org, request.remote or None)
    if caller is None:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer realm="job ledger", Basic realm="job ledger"'})
    if caller.org != org:
        raise NotFoundError("There is nothing at this path.")
    request[CALLER] = replace(caller, via="native", address=request.remote or None, request=request[REQUEST_ID])
    return await handler(request)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    if REQUEST_ID in request:
        response.headers["X-Request-Id"] = request[REQUEST_ID]
        request[BEGUN] = response
