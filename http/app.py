"""The application: what is shared by all handlers, put together."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from aiohttp import web

from jobledger.http.access import Access
from jobledger.http.admission import admit
from jobledger.http.context import (
    ACCESS,
    ARCHIVES,
    ATTACHMENTS,
    ATTESTATIONS,
    AUDIT,
    BEGUN,
    CATCH_UP,
    COPY_JOBS,
    CURSOR_KEY,
    DATA,
    DENIED,
    DIAGRAMS,
    DIALECT,
    DIALECTS,
    DOMAINS,
    EVIDENCE,
    FETCH_START_TIMEOUT_S,
    JOB_SEARCH,
    JOBS,
    KEEPING,
    LARGEST_ATTACHMENT_BYTES,
    LEDGER,
    MESSAGE_WAITING,
    MESSAGES,
    NUMBERED_JOBS,
    OWNER,
    PAST,
    PRINCIPALS,
    QUEUES_QUERY,
    READING_XML,
    REMOTE_HOSTS,
    REQUEST_ID,
    ROLLUPS,
    SCHEDULES,
    SECRETS,
)
from jobledger.http.copies import COPIES, COPIES_ROUTES
from jobledger.http.cursor import CursorKey
from jobledger.http.deadlines import TooSlowError
from jobledger.http.denied import note_refusal
from jobledger.http.dialect import Dialects
from jobledger.http.document import BODY, is_waiting, must_meet_expectation
from jobledger.http.documentation import DOCUMENTATION, Documentation, documentation_routes
from jobledger.http.exchange import XML_AT_ONCE, answer_refusal
from jobledger.http.fetches import FETCH_ROUTES, FETCHES
from jobledger.http.health import HEALTH, METRICS, Health, health_routes
from jobledger.http.in_flight import IN_FLIGHT, InFlight
from jobledger.http.maintenance import MAINTENANCE, MAINTENANCE_ROUTES
from jobledger.http.metrics import Metrics
from jobledger.http.native import (
    NATIVE,
    archive_routes,
    audit_routes,
    checkpoint_routes,
    command_routes,
    copy_routes,
    diagram_routes,
    event_routes,
    evidence_routes,
    export_routes,
    hold_routes,
    job_routes,
    policy_routes,
    principal_routes,
    queue_list_routes,
    rollup_routes,
    schedule_routes,
    token_routes,
    workflow_routes,
)
from jobledger.http.native.live import LIVE, LiveStreams
from jobledger.http.places import PLACE, PLACES, Places
from jobledger.http.request_id import new_request_id
from jobledger.http.response_headers import add_headers
from jobledger.http.space import SPACE, SPACE_ROUTES
from jobledger.http.standing import STOPPING, Stopping
from jobledger.http.urls import DIRECT, EDGE, Edge
from jobledger.http.workflow import WORKFLOW, WORKFLOW_ROUTES
from jobledger.ledger.domain.job_registration import FETCH_START_TIMEOUT_S as DEFAULT_FETCH_START_TIMEOUT_S
from jobledger.ledger.errors import CorruptLedgerError, LedgerError, UnavailableError
from jobledger.ledger.evidence.attaching import Attestations
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.store.attachments import AttachmentStore
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.message_waiting import MessageWaiting
from jobledger.ledger.store.messages import MessageStore
from jobledger.ledger.store.secret_store import SECRET_KEY_BYTES, SecretStore
from jobledger.ledger.store.survey import Surveyor
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.ledger.work.denied_attempts import DeniedAttempts
from jobledger.ledger.work.remote_host import RemoteHosts
from jobledger.projections.archive_query import ArchiveQuery
from jobledger.projections.audit_query import AuditQuery
from jobledger.projections.copy_query import CopyQuery
from jobledger.projections.diagram_query import DiagramQuery
from jobledger.projections.domain_query import DomainQuery
from jobledger.projections.job_query import JobQuery
from jobledger.projections.job_search import JobSearch
from jobledger.projections.keeping_query import KeepingQuery
from jobledger.projections.kind_query import KindQuery
from jobledger.projections.numbered_jobs import NumberedJobs
from jobledger.projections.past_query import PastQuery
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.projections.queue_query import QueueQuery
from jobledger.projections.rollup_query import RollupQuery
from jobledger.projections.schedule_query import ScheduleQuery

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# The first one answers on paths of nobody.
SPOKEN = (NATIVE, FETCHES, COPIES, WORKFLOW, MAINTENANCE, SPACE)
NO_TROUBLE: Mapping[str, Callable[[], str | None]] = MappingProxyType({})
# What may be attached to a job, each.
USUAL_ATTACHMENT_BYTES = 64 * 1024 * 1024

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
    trouble: Mapping[str, Callable[[], str | None]] = NO_TROUBLE,
    largest_attachment_bytes: int = USUAL_ATTACHMENT_BYTES,
    secrets: SecretStore | None = None,
    remote_hosts: RemoteHosts | None = None,
    denied: DeniedAttempts | None = None,
) -> web.Application:
    """The application over *ledger*. *cursor_key* is the installation's secret, the same in every server of it.

    *metrics*: those that the ledger tells of its appends; *places*: how many requests an org may have; *catch_up*: what
    moves on the projections that follow the ledger; *data*: the folder that archives lie in, and that must not run full;
    *trouble*: what else can keep it from being ready, each says why or None; *secrets*: where passwords of other hosts are kept;
    *remote_hosts*: which hosts those may be; *denied*: what records what is refused. Absent: new ones, the usual ones, one that
    does so when they are read, none, none, one that only this process can read, the usual ones, one that is not started.
    """
    # Bodies are bounded where they are read: each path has its own limit, and some stream.
    app = web.Application(middlewares=[answer_errors], client_max_size=0)
    app[IN_FLIGHT] = InFlight()
    app[READING_XML] = asyncio.Semaphore(XML_AT_ONCE)
    app[DIALECTS] = Dialects(SPOKEN)
    app[LEDGER] = ledger
    app[EVIDENCE] = EvidenceStore(ledger.database)
    app[ATTESTATIONS] = Attestations(ledger.database)
    app[JOBS] = JobQuery(ledger.database)
    app[AUDIT] = AuditQuery(ledger.database)
    app[PAST] = PastQuery(ledger.database, ledger.recorder)
    app[COPY_JOBS] = CopyQuery(ledger.database)
    app[KEEPING] = KeepingQuery(ledger.database)
    app[ROLLUPS] = RollupQuery(ledger.database)
    catching_up = app[CATCH_UP] = catch_up or CatchUp(ledger)
    app[NUMBERED_JOBS] = NumberedJobs(ledger.database)
    app[SCHEDULES] = ScheduleQuery(ledger.database)
    app[PRINCIPALS] = PrincipalQuery(ledger.database)
    app[DIAGRAMS] = DiagramQuery(ledger.database)
    app[DOMAINS] = DomainQuery(ledger.database)
    app[JOB_SEARCH] = JobSearch(ledger.database)
    app[QUEUES_QUERY] = QueueQuery(ledger.database)
    app[MESSAGES] = MessageStore(ledger.database)
    app[MESSAGE_WAITING] = MessageWaiting(ledger, app[MESSAGES])
    app[ARCHIVES] = ArchiveQuery(ledger.database)
    app[DATA] = data
    app[ATTACHMENTS] = AttachmentStore(ledger.database)
    app[SECRETS] = secrets or SecretStore(ledger.database, os.urandom(SECRET_KEY_BYTES))
    app[REMOTE_HOSTS] = remote_hosts or RemoteHosts()
    app[LARGEST_ATTACHMENT_BYTES] = largest_attachment_bytes
    app[CURSOR_KEY] = CursorKey(cursor_key)
    app[FETCH_START_TIMEOUT_S] = fetch_start_timeout_s
    app[LIVE] = LiveStreams()
    stopping = app[STOPPING] = Stopping()
    app.on_shutdown.append(stopping.begin)
    app[EDGE] = edge
    app[PLACES] = places or Places()
    app[METRICS] = metrics or Metrics()
    app[DENIED] = denied or DeniedAttempts(ledger, KindQuery(ledger.database).kinds)
    app[ACCESS] = Access(app[PRINCIPALS], ledger, app[METRICS].login_failed)
    app[HEALTH] = Health(Surveyor(ledger.database.url, ledger.projections, ledger.catch_up_projections), data, trouble)
    native = (
        audit_routes,
        *(job_routes, command_routes, event_routes, principal_routes, token_routes),
        *(hold_routes, policy_routes, copy_routes, diagram_routes, workflow_routes, schedule_routes, rollup_routes),
        evidence_routes,
        checkpoint_routes,
        archive_routes,
        export_routes,
        queue_list_routes,
    )
    spoken = (*FETCH_ROUTES, *COPIES_ROUTES, *WORKFLOW_ROUTES, *MAINTENANCE_ROUTES, *SPACE_ROUTES)
    for routes in (health_routes, documentation_routes, *native, *spoken):
        app.add_routes(routes)
    app[DOCUMENTATION] = Documentation(app.router, app[DIALECTS], edge.public_url)
    app.on_response_prepare.append(add_headers)
    app.on_cleanup.append(_close_health)
    if catch_up is None:
        app.on_cleanup.append(lambda _app: catching_up.stop())
    return app


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id and its dialect, let its caller in, and turn whatever it fails with into the dialect's document.

    The one middleware: each further one would cost every request another coroutine.
    """
    request[REQUEST_ID] = new_request_id()
    request[BODY] = None
    app = request.app
    dialects = app[DIALECTS]
    owner = request[OWNER] = dialects.owner(request.path)
    request[DIALECT] = owner or dialects.first
    in_flight = app[IN_FLIGHT]
    in_flight.enter()
    try:
        must_meet_expectation(request)
        response = await admit(request, handler)
        if in_flight.is_ending:
            response.force_close()
        return response
    except Exception as error:
        is_gone = request.transport is None or request.transport.is_closing()
        if is_gone and isinstance(error, ConnectionError):
            # The client went away: there is nobody to answer, and nothing to tell.
            return request.get(BEGUN) or web.Response()
        answer = answer_to(error, request)
        note_refusal(request, error)
        if in_flight.is_ending:
            answer.force_close()
        begun: web.StreamResponse | None = request.get(BEGUN)
        if begun is None:
            if isinstance(error, TooSlowError) or is_waiting(request) or request.content.exception() is not None:
                # Its body, or the rest of it, may still come, or could not be read, and is no next request: nor does the client
                # wait for the answer to one on a connection that ends.
                answer.force_close()
            return answer
        # A document in the midst of the answer would be taken for a part of it. Only by its breaking off can the client
        # see that it is not whole.
        if request.transport is not None:
            request.transport.close()
        return begun
    finally:
        if PLACE in request:
            request[PLACE].leave()
        in_flight.leave()


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
    if isinstance(error, web.HTTPRequestRangeNotSatisfiable):
        answer.headers["Content-Range"] = error.headers["Content-Range"]
    if answer.status == 401:
        answer.headers.setdefault("WWW-Authenticate", dialect.challenge)
    return answer


async def _close_health(app: web.Application) -> None:
    await app[HEALTH].close()
