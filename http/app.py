"""The application: what is shared by all handlers, put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from aiohttp import web

from jobledger.http.access import Access
from jobledger.http.context import ACCESS, BEGUN, CALLER, CURSOR_KEY, FETCH_START_TIMEOUT_S, JOBS, LEDGER, REQUEST_ID
from jobledger.http.cursor import CursorKey
from jobledger.http.deadlines import TooSlowError
from jobledger.http.health import HEALTH, METRICS, Health, health_routes
from jobledger.http.metrics import Metrics
from jobledger.http.native import command_routes, event_routes, job_routes
from jobledger.http.places import PLACES, Places, take_place
from jobledger.http.problem import answer_to
from jobledger.http.response_headers import add_headers
from jobledger.http.urls import DIRECT, EDGE, Edge, client_address
from jobledger.ledger.domain.job_registration import FETCH_START_TIMEOUT_S as DEFAULT_FETCH_START_TIMEOUT_S
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.survey import Surveyor
from jobledger.projections.job_query import JobQuery
from jobledger.projections.principal_query import PrincipalQuery

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

NATIVE_PREFIX = "/ledger/v1/"


def make_app(
    ledger: Ledger,
    *,
    cursor_key: bytes,
    fetch_start_timeout_s: int = DEFAULT_FETCH_START_TIMEOUT_S,
    edge: Edge = DIRECT,
    metrics: Metrics | None = None,
    places: Places | None = None,
    data: Path | None = None,
) -> web.Application:
    """The application over *ledger*. *cursor_key* is the installation's secret, the same in every server of it.

    *metrics*: those that the ledger tells of its appends; *places*: how many requests an org may have; *data*: the folder that
    must not run full. Absent: new ones, the usual ones, none.
    """
    # Bodies are bounded where they are read: each path has its own limit, and some stream.
    app = web.Application(middlewares=[answer_errors, authenticate, take_place], client_max_size=0)
    app[LEDGER] = ledger
    app[JOBS] = JobQuery(ledger.database)
    app[ACCESS] = Access(PrincipalQuery(ledger.database))
    app[CURSOR_KEY] = CursorKey(cursor_key)
    app[FETCH_START_TIMEOUT_S] = fetch_start_timeout_s
    app[EDGE] = edge
    app[PLACES] = places or Places()
    app[METRICS] = metrics or Metrics()
    app[HEALTH] = Health(Surveyor(ledger.database.url, ledger.projections), data)
    for routes in (health_routes, job_routes, command_routes, event_routes):
        app.add_routes(routes)
    app.on_response_prepare.append(add_headers)
    app.on_cleanup.append(_close_health)
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
            if isinstance(error, TooSlowError):
                # The rest of its body may still come, and is no next request.
                answer.force_close()
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
    caller = await request.app[ACCESS].caller(request.headers.get("Authorization"), org)
    if caller is None:
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Bearer realm="job ledger", Basic realm="job ledger"'})
    if caller.org != org:
        raise NotFoundError("There is nothing at this path.")
    address = client_address(request, request.app[EDGE])
    request[CALLER] = replace(
        caller, via="native", address=None if address is None else str(address), request=request[REQUEST_ID]
    )
    return await handler(request)


async def _close_health(app: web.Application) -> None:
    await app[HEALTH].close()
