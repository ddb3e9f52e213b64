"""The native API's audit view: who did what to which job, when, by which dialect, from which address; and what was refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import orjson
from aiohttp import web

from jobledger.http.context import AUDIT, CURSOR_KEY, LEDGER
from jobledger.http.members import instant, integer, job_id, one_of
from jobledger.http.native.answers import NEXT
from jobledger.http.native.events import FILTERS as EVENT_FILTERS
from jobledger.http.native.lists import list_answer, listing
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, limit
from jobledger.http.operation import Parameters, permitted, read_parameters
from jobledger.http.schema import INTEGER, STRING, TIME, Named, array_of, nullable, object_of
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.errors import NotAllowedError
from jobledger.projections.audit_query import DENIED, DONE, SHOWN, AuditFilter

audit_routes = web.RouteTableDef()

FILTERS = Parameters(
    {
        "principal_id": integer(1, 2**31 - 1).about("Done by this principal, or refused to it."),
        "job_id": job_id.about("Done to this job, or refused."),
        "outcome": one_of(DONE, DENIED).about("What was done, or what was refused; both without this."),
        "type": EVENT_FILTERS["type"],
        "from": instant.about("Recorded at this time or later."),
        "to": instant.about("Recorded before this time."),
        "limit": limit,
        "cursor": replace(cursor),
    }
)
ASKED = object_of(
    {
        "what": STRING,
        "job_id": INTEGER,
        "needs": STRING,
        "via": STRING,
        "from": STRING,
        "count": INTEGER,
    },
    without=("job_id", "needs", "via", "from"),
)
ENTRY = Named(
    "AuditEntry",
    object_of(
        {
            "position": INTEGER,
            "recorded_at": TIME,
            "type": STRING,
            "stream": STRING,
            "job_id": nullable(INTEGER),
            "version": INTEGER,
            "by": STRING,
            "principal_id": nullable(INTEGER),
            "principal": nullable(STRING),
            "via": nullable(STRING),
            "from": nullable(STRING),
            "request": nullable(STRING),
            "reason": nullable(STRING),
            "outcome": {**STRING, "enum": [DONE, DENIED]},
            "kind": nullable(STRING),
            "count": nullable(INTEGER),
            "asked": nullable(array_of(ASKED)),
        }
    ),
)
AUDIT_PAGE = Named("AuditPage", object_of({"audit": array_of(ENTRY), "next": NEXT, "position": INTEGER}))


@audit_routes.get("/ledger/v1/{org}/audit")
@listing(AUDIT_PAGE, parameters=FILTERS, capability="access.read")
async def get_audit(request: web.Request) -> web.Response:
    """A page of what was done in the org and what was refused, in the order of the ledger. It may hold none and have a next one."""
    caller = permitted(request)
    if caller.domains is not None:
        raise NotAllowedError("The ledger's events are of all domains, and you may see only some.")
    parameters = read_parameters(request)
    size, following_of = parameters.pop("limit", DEFAULT_LIMIT), parameters.pop("cursor", None)
    begin_at, end_at = parameters.pop("from", None), parameters.pop("to", None)
    wanted = AuditFilter(**parameters)
    list_name = f"audit of {caller.org}: {wanted!r} {begin_at} {end_at}"
    keys = request.app[CURSOR_KEY]
    if following_of is None:
        begin, end = await _range(request, caller, begin_at, end_at)
    else:
        # The ledger as it stood when the first page was asked for.
        begin, end = orjson.loads(keys.read_place(following_of, list_name))
    page = await request.app[AUDIT].page(caller.org, wanted, begin=begin, end=end, limit=size)
    following = None
    if page.next_after is not None:
        following = keys.place_cursor(orjson.dumps([page.next_after + 1, end]), list_name)
    return list_answer(request, "audit", page.documents, following, columns=SHOWN, position=end - 1)


async def _range(
    request: web.Request, caller: Caller, begin_at: datetime | None, end_at: datetime | None
) -> tuple[int, int]:
    """The positions from the first to before the last that were recorded in that time."""
    recorder = request.app[LEDGER].recorder
    begin = 0 if begin_at is None else await recorder.position_before(caller.org, begin_at) + 1
    size = (await recorder.head(caller.org)).size
    end = size if end_at is None else await recorder.position_before(caller.org, end_at) + 1
    return begin, max(begin, end)
