"""The application: what is shared by all handlers, put together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from aiohttp import web

from jobledger.http.access import DEFAULT_ORG, Access
from jobledger.http.context import (
    ACCESS,
    BEGUN,
    CALLER,
    CATCH_UP,
    CURSOR_KEY,
    DIALECT,
    DIALECTS,
    FETCH_START_TIMEOUT_S,
    FORM,
    JOBS,
    KEEPING,
    LEDGER,
    NUMBERED_JOBS,
    PRINCIPALS,
    READING_XML,
    REQUEST_ID,
    ROLLUPS,
)
from jobledger.http.cursor import CursorKey
from jobledger.http.deadlines import TooSlowError
from jobledger.http.dialect import Dialects
from jobledger.http.exchange import XML_AT_ONCE, answer_refusal
from jobledger.http.fetches import FETCH_ROUTES, FETCHES
from jobledger.http.health import HEALTH, METRICS, Health, health_routes
from jobledger.http.metrics import Metrics
from jobledger.http.native import (
    NATIVE,
    command_routes,
    event_routes,
    hold_routes,
    job_routes,
    policy_routes,
    principal_routes,
    rollup_routes,
    token_routes,
)
from jobledger.http.native.live import LIVE, LiveStreams
from jobledger.http.negotiation import form_of_answer, forms_of
from jobledger.http.places import PLACES, Places, take_place
from jobledger.http.response_headers import add_headers
from jobledger.http.urls import DIRECT, EDGE, Edge, client_address
from jobledger.ledger.domain.job_registration import FETCH_START_TIMEOUT_S as DEFAULT_FETCH_START_TIMEOUT_S
from jobledger.ledger.errors import CorruptLedgerError, LedgerError, NotFoundError, UnavailableError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.survey import Surveyor
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.projections.job_query import JobQuery
from jobledger.projections.keeping_query import KeepingQuery
from jobledger.projections.numbered_jobs import NumberedJobs
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.projections.rollup_query import RollupQuery

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# The first one answers on paths of nobody.
SPOKEN = (NATIVE, FETCHES)

log = logging.getLogger(__name__)


def make_app(
    ledger: Ledger,
    *,
    cursor_key: bytes,
    fetch_start_timeout_s: int = DEFAULT_FETCH_START_TIMEOUT_S,
    edge: Edge = DIRECT,
    metrics: Metrics | None = None,
    places: Places | None = None,
    catch_up: CatchUp | None = None,
    data: Path | None = None,
) -> web.Application:
    """The application over *ledger*. *cursor_key* is the installation's secret, the same in every server of it.

    *metrics*: those that the ledger tells of its appends; *places*: how many requests an org may have; *catch_up*: what
    moves on the projections that follow the ledger; *data*: the folder that must not run full. Absent: new ones, the usual
    ones, one that does so when they are read, none.
    """
    # Bodies are bounded where they are read: each path has its own limit, and some stream.
    app = web.Application(middlewares=[answer_errors, authenticate, negotiate, take_place], client_max_size=0)
    app[READING_XML] = asyncio.Semaphore(XML_AT_ONCE)
    app[DIALECTS] = Dialects(SPOKEN)
    app[LEDGER] = ledger
    app[JOBS] = JobQuery(ledger.database)
    app[KEEPING] = KeepingQuery(ledger.database)
    app[ROLLUPS] = RollupQuery(ledger.database)
    catching_up = app[CATCH_UP] = catch_up or CatchUp(ledger)
    app[NUMBERED_JOBS] = NumberedJobs(ledger.database)
    app[PRINCIPALS] = PrincipalQuery(ledger.database)
    app[ACCESS] = Access(app[PRINCIPALS], ledger)
    app[CURSOR_KEY] = CursorKey(cursor_key)
    app[FETCH_START_TIMEOUT_S] = fetch_start_timeout_s
    live = app[LIVE] = LiveStreams()
    app.on_shutdown.append(live.stop)
    app[EDGE] = edge
    app[PLACES] = places or Places()
    app[METRICS] = metrics or Metrics()
    app[HEALTH] = Health(Surveyor(ledger.database.url, ledger.projections, ledger.catch_up_projections), data)
    native = (
        *(job_routes, command_routes, event_routes, principal_routes, token_routes),
        *(hold_routes, policy_routes, rollup_routes),
    )
    for routes in (health_routes, *native, *FETCH_ROUTES):
        app.add_routes(routes)
    app.on_response_prepare.append(add_headers)
    app.on_cleanup.append(_close_health)
    if catch_up is None:
        app.on_cleanup.append(lambda _app: catching_up.stop())
    return app


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id and its dialect, and turn whatever it fails with into the dialect's document."""
    request[REQUEST_ID] = str(uuid4())
    dialects = request.app[DIALECTS]
    request[DIALECT] = dialects.owner(request.path) or dialects.first
    try:
        return await handler(request)
    except Exception as error:
        if request.transport is None and isinstance(error, ConnectionError):
            # The client went away: there is nobody to answer, and nothing to tell.
            return request.get(BEGUN) or web.Response()
        answer = answer_to(error, request)
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


def answer_to(error: BaseException, request: web.Request) -> web.Response:
    """The answer to a request that failed so, as its dialect says it. What nobody expected is logged."""
    dialect = request[DIALECT]
    if not isinstance(error, LedgerError | CorruptLedgerError | web.HTTPException):
        log.error("Request %s failed", request[REQUEST_ID], exc_info=error)
    answer = answer_refusal(request, dialect.refuse(error, request), dialect)
    if isinstance(error, UnavailableError):
        answer.headers.setdefault("Retry-After", str(error.retry_after_s))
    if isinstance(error, web.HTTPMethodNotAllowed):
        answer.headers["Allow"] = error.headers["Allow"]
    if answer.status == 401:
        answer.headers.setdefault("WWW-Authenticate", dialect.challenge)
    return answer


@web.middleware
async def authenticate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let only callers of the path's org in: 401 without valid credentials, whether the org exists or not, else 404."""
    dialect = request.app[DIALECTS].owner(request.path)
    if dialect is None or request.path in dialect.open_paths:
        return await handler(request)
    org = dialect.org(request)
    address = client_address(request, request.app[EDGE])
    shown_address = None if address is None else str(address)
    caller = await request.app[ACCESS].caller(
        dialect.credentials(request), DEFAULT_ORG if org is None else org, shown_address
    )
    if caller is None:
        raise web.HTTPUnauthorized
    if org is not None and caller.org != org:
        raise NotFoundError("There is nothing at this path.")
    request[CALLER] = replace(caller, via=dialect.name, address=shown_address, request=request[REQUEST_ID])
    return await handler(request)


@web.middleware
async def negotiate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find the form of the answer before anything is done: a request whose answer could not be given changes nothing."""
    if request.match_info.http_exception is None and request.app[DIALECTS].owner(request.path) is not None:
        forms = forms_of(request.match_info.handler) or request[DIALECT].forms
        request[FORM] = form_of_answer(request, forms)
    return await handler(request)


async def _close_health(app: web.Application) -> None:
    await app[HEALTH].close()
