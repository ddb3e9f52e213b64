"""The native API's legal holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, KEEPING, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.members import Members, instant, job_id, list_of, one_of, reads, text
from jobledger.http.native.answers import CHANGED_HOLD, HOLD, HOLD_PAGE
from jobledger.http.native.lists import listing, page_answer
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, idempotency, limit
from jobledger.http.native.principals import outcome_answer, read_cursor
from jobledger.http.operation import (
    Parameters,
    operation,
    permitted,
    read_body_members,
    read_parameters,
    read_variable,
)
from jobledger.ledger.domain.access_commands import must_see_all
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.hold import FILTER_TIMES, HoldFilter
from jobledger.ledger.domain.hold_commands import LONGEST_NAME, MOST_LISTED_JOBS, PlaceHold, ReleaseHold
from jobledger.ledger.domain.job import FINAL_STATES
from jobledger.ledger.errors import GoneError, InvalidCommandError, TooManyHoldsError

READ_JOBS = "jobs.read"

hold_routes = web.RouteTableDef()

CRITERIA = Members(
    {
        "type": text(200),
        "domain": text(200),
        "datastream_id": text(200),
        "source": text(200),
        "external_id": text(500),
        "state": one_of(*sorted(FINAL_STATES)),
        **dict.fromkeys(sorted(FILTER_TIMES), instant),
    }
)


@reads({**CRITERIA.schema, "minProperties": 1})
def criteria(value: Any) -> HoldFilter:
    """A filter as it is given; what is wrong in it is told as wrong in it."""
    if not isinstance(value, Mapping):
        raise ValueError("is not an object of criteria")
    try:
        return HoldFilter(**CRITERIA.read(value))
    except InvalidCommandError as error:
        raise ValueError(f"is no filter: {error.detail.rstrip('.')}") from None


NEW_HOLD = Members(
    {
        "name": text(LONGEST_NAME),
        "reason": text(10_000),
        "job_ids": list_of(job_id, MOST_LISTED_JOBS),
        "filter": criteria,
    },
    needed=("name", "reason"),
)
RELEASE = Members({"reason": text(10_000)}, needed=("reason",))
FILTERS = Parameters({"active": one_of("true", "false"), "limit": limit, "cursor": cursor})


@hold_routes.get("/ledger/v1/{org}/holds")
@listing(HOLD_PAGE, parameters=FILTERS, capability=READ_JOBS)
async def list_holds(request: web.Request) -> web.Response:
    """A page of the org's holds, by number."""
    caller = may_read(request)
    parameters = read_parameters(request)
    given = parameters.get("active")
    active = None if given is None else given == "true"
    list_name = f"holds of {caller.org}: {active!r}"
    after = read_cursor(request, parameters, list_name)
    size = parameters.get("limit", DEFAULT_LIMIT)
    page = await request.app[KEEPING].holds(caller.org, after=after, limit=size, active=active)
    return page_answer(request, "holds", page, list_name)


@hold_routes.post("/ledger/v1/{org}/holds")
@operation(
    CHANGED_HOLD,
    statuses={201: "Placed."},
    body=NEW_HOLD,
    capability=PlaceHold.capability,
    may=(GoneError, TooManyHoldsError),
    gives_headers={"Location": "Where the hold is."},
)
async def place_hold(request: web.Request) -> web.Response:
    """Place a hold: 201 with its number."""
    read_parameters(request)
    members, body = await read_body_members(request)
    command = PlaceHold(caller=request[CALLER], idempotency=idempotency(request, body), **members)
    outcome = await request.app[LEDGER].execute(command)
    return outcome_answer(request, outcome, 201, location=f"{request.path}/{outcome.result['id']}")


@hold_routes.get("/ledger/v1/{org}/holds/{hold_id}")
@operation(HOLD, capability=READ_JOBS)
async def get_hold(request: web.Request) -> web.Response:
    """One hold."""
    caller = may_read(request)
    read_parameters(request)
    return answer(request, await request.app[KEEPING].hold(caller.org, path_hold_id(request)))


@hold_routes.post("/ledger/v1/{org}/holds/{hold_id}/release")
@operation(CHANGED_HOLD, body=RELEASE, capability=ReleaseHold.capability)
async def release_hold(request: web.Request) -> web.Response:
    """Release a hold."""
    read_parameters(request)
    number = path_hold_id(request)
    members, body = await read_body_members(request)
    command = ReleaseHold(caller=request[CALLER], idempotency=idempotency(request, body), hold_id=number, **members)
    return outcome_answer(request, await request.app[LEDGER].execute(command))


def may_read(request: web.Request) -> Caller:
    """The caller, if it may read holds, which tell of jobs of all domains. Raises NotAllowedError."""
    caller = permitted(request)
    must_see_all(caller)
    return caller


def path_hold_id(request: web.Request) -> int:
    """The hold's number in the path. NotFoundError for what can be none."""
    number: int = read_variable(request, "hold_id")
    return number
