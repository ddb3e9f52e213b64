"""The native API's copies: those of storage policies, the jobs on them, and what is asked of many jobs on one at once."""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import web

from jobledger.http.context import CALLER, COPY_JOBS, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.members import Members, boolean, instant, integer, job_id, list_of, text
from jobledger.http.native.copy_answers import CHANGED_COPY, CHANGED_ON_COPY, COPY, COPY_PAGE
from jobledger.http.native.dialect import copy_id
from jobledger.http.native.lists import listing, page_answer
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, idempotency, limit
from jobledger.http.native.principals import outcome_answer, read_cursor
from jobledger.http.operation import (
    Operation,
    Parameters,
    operation,
    operations,
    permitted,
    read_body_members,
    read_parameters,
    read_variable,
)
from jobledger.ledger.domain.copy import LARGEST_COPY_ID, PutCopy
from jobledger.ledger.domain.copy_operations import (
    MOST_JOBS,
    AllowCopy,
    CopyOperation,
    DeleteFromCopy,
    DisallowAllCopies,
    DisallowCopy,
    ReleaseOnCopy,
    RetainOnCopy,
)
from jobledger.ledger.errors import CopyStaysError, JobsNotFoundError, JobsRefusedError, NameIsTakenError
from jobledger.projections.page import Page

READ_JOBS = "jobs.read"

small_number = integer(0, LARGEST_COPY_ID)
NEW_COPY = Members(
    {
        "name": text(200),
        "storage_policy_id": copy_id,
        "storage_policy_name": text(200),
        "commcell_id": copy_id,
        "copy_type": small_number,
        "precedence": small_number,
        "is_default": boolean,
        "is_snap": boolean,
        "is_active": boolean,
    },
    needed=("name", "storage_policy_id", "storage_policy_name"),
)
FILTERS = Parameters({"storage_policy_id": copy_id, "limit": limit, "cursor": cursor})
JOB_IDS = {"job_ids": list_of(job_id, MOST_JOBS)}
REASON = {"reason": text(10_000)}

copy_routes = web.RouteTableDef()


class Verb(NamedTuple):
    """A verb on jobs of a copy: its command, and the members of its body."""

    command: type[CopyOperation]
    readers: Members

    @property
    def operation(self) -> Operation:
        """What it takes and gives."""
        return Operation(
            summary=self.command.__doc__,
            answer=CHANGED_ON_COPY,
            body=self.readers,
            capability=self.command.capability,
            may=(JobsNotFoundError, JobsRefusedError),
        )


VERBS: dict[str, Verb] = {
    "retain": Verb(RetainOnCopy, Members({**JOB_IDS, "until": instant, **REASON}, needed=("job_ids",))),
    "release": Verb(ReleaseOnCopy, Members({**JOB_IDS, **REASON}, needed=("job_ids", "reason"))),
    "disallow": Verb(DisallowCopy, Members(JOB_IDS, needed=("job_ids",))),
    "disallow_all": Verb(DisallowAllCopies, Members(JOB_IDS, needed=("job_ids",))),
    "allow": Verb(AllowCopy, Members(JOB_IDS, needed=("job_ids",))),
    "delete": Verb(DeleteFromCopy, Members({**JOB_IDS, **REASON}, needed=("job_ids", "reason"))),
}


@copy_routes.get("/ledger/v1/{org}/copies")
@listing(COPY_PAGE, parameters=FILTERS, capability=READ_JOBS)
async def list_copies(request: web.Request) -> web.Response:
    """A page of the org's copies, by id."""
    caller = permitted(request)
    parameters = read_parameters(request)
    policy, size = parameters.get("storage_policy_id"), parameters.get("limit", DEFAULT_LIMIT)
    list_name = f"copies of {caller.org}: {policy!r}"
    after = read_cursor(request, parameters, list_name)
    found = await request.app[COPY_JOBS].copies(caller.org, after=after, limit=size + 1, policy=policy)
    shown = found[:size]
    page = Page(shown, shown[-1]["id"] if len(found) > size else None)
    return page_answer(request, "copies", page, list_name)


@copy_routes.get("/ledger/v1/{org}/copies/{copy_id}")
@operation(COPY, capability=READ_JOBS)
async def get_copy(request: web.Request) -> web.Response:
    """One copy."""
    caller = permitted(request)
    read_parameters(request)
    return answer(request, await request.app[COPY_JOBS].copy(caller.org, path_copy_id(request)))


@copy_routes.put("/ledger/v1/{org}/copies/{copy_id}")
@operation(
    CHANGED_COPY,
    statuses={201: "Registered.", 200: "Changed, or so already."},
    body=NEW_COPY,
    capability=PutCopy.capability,
    may=(CopyStaysError, NameIsTakenError),
    gives_headers={"Location": "Where the copy is, of a new one."},
)
async def put_copy(request: web.Request) -> web.Response:
    """Register a copy under its own id, 201, or change it: what is not given becomes what it is for a new one."""
    read_parameters(request)
    number = path_copy_id(request)
    members, body = await read_body_members(request)
    outcome = await request.app[LEDGER].execute(
        PutCopy(caller=request[CALLER], idempotency=idempotency(request, body), copy_id=number, **members)
    )
    is_new = outcome.result["version"] == 1 and outcome.event_count > 0
    return outcome_answer(request, outcome, 201 if is_new else 200, location=request.path if is_new else None)


@copy_routes.post("/ledger/v1/{org}/copies/{copy_id}/{verb:" + "|".join(VERBS) + "}")
@operations("verb", {verb: it.operation for verb, it in VERBS.items()})
async def operate_on_jobs(request: web.Request) -> web.Response:
    """Do it to all of the jobs on the copy, or to none."""
    read_parameters(request)
    verb, number = VERBS[request.match_info["verb"]], path_copy_id(request)
    members, body = await read_body_members(request)
    command = verb.command(caller=request[CALLER], idempotency=idempotency(request, body), copy_id=number, **members)
    return outcome_answer(request, await request.app[LEDGER].execute(command))


def path_copy_id(request: web.Request) -> int:
    """The copy's id in the path. NotFoundError for what can be none."""
    number: int = read_variable(request, "copy_id")
    return number
