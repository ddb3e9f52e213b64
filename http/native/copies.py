"""The native API's copies: those of storage policies, the jobs on them, and what is asked of many jobs on one at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from aiohttp import web

from jobledger.http.context import CALLER, COPY_JOBS, CURSOR_KEY, LEDGER
from jobledger.http.exchange import answer, read_document
from jobledger.http.members import Reader, boolean, instant, integer, job_id, list_of, read_members, text
from jobledger.http.native.parameters import DEFAULT_LIMIT, idempotency, limit, read_parameters
from jobledger.http.native.principals import outcome_answer, read_cursor
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
from jobledger.ledger.errors import NotFoundError

READ_JOBS = "jobs.read"

copy_id: Reader = integer(1, LARGEST_COPY_ID)
small_number: Reader = integer(0, LARGEST_COPY_ID)
NEW_COPY: dict[str, Reader] = {
    "name": text(200),
    "storage_policy_id": copy_id,
    "storage_policy_name": text(200),
    "commcell_id": copy_id,
    "copy_type": small_number,
    "precedence": small_number,
    "is_default": boolean,
    "is_snap": boolean,
    "is_active": boolean,
}
FILTERS: dict[str, Reader] = {"storage_policy_id": copy_id, "limit": limit, "cursor": text(100)}
JOB_IDS: dict[str, Reader] = {"job_ids": list_of(job_id, MOST_JOBS)}
REASON: dict[str, Reader] = {"reason": text(10_000)}

copy_routes = web.RouteTableDef()


class Operation(NamedTuple):
    """A verb on jobs of a copy: its command, and the members of its body."""

    command: type[CopyOperation]
    readers: Mapping[str, Reader]
    needed: tuple[str, ...] = ("job_ids",)


OPERATIONS: dict[str, Operation] = {
    "retain": Operation(RetainOnCopy, {**JOB_IDS, "until": instant, **REASON}),
    "release": Operation(ReleaseOnCopy, {**JOB_IDS, **REASON}, ("job_ids", "reason")),
    "disallow": Operation(DisallowCopy, JOB_IDS),
    "disallow_all": Operation(DisallowAllCopies, JOB_IDS),
    "allow": Operation(AllowCopy, JOB_IDS),
    "delete": Operation(DeleteFromCopy, {**JOB_IDS, **REASON}, ("job_ids", "reason")),
}


@copy_routes.get("/ledger/v1/{org}/copies")
async def list_copies(request: web.Request) -> web.Response:
    """A page of the org's copies, by id."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    parameters = read_parameters(request, FILTERS)
    policy, size = parameters.get("storage_policy_id"), parameters.get("limit", DEFAULT_LIMIT)
    list_name = f"copies of {caller.org}: {policy!r}"
    after = read_cursor(request, parameters, list_name)
    found = await request.app[COPY_JOBS].copies(caller.org, after=after, limit=size + 1, policy=policy)
    shown, headers, following = found[:size], {}, None
    if len(found) > size:
        following = request.app[CURSOR_KEY].cursor(shown[-1]["id"], list_name)
        headers["Link"] = f'<{request.rel_url.update_query(cursor=following)}>; rel="next"'
    return answer(request, {"copies": shown, "next": following}, headers=headers)


@copy_routes.get("/ledger/v1/{org}/copies/{copy_id}")
async def get_copy(request: web.Request) -> web.Response:
    """One copy."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    read_parameters(request, {})
    return answer(request, await request.app[COPY_JOBS].copy(caller.org, path_copy_id(request)))


@copy_routes.put("/ledger/v1/{org}/copies/{copy_id}")
async def put_copy(request: web.Request) -> web.Response:
    """Register a copy under its own id, 201, or change it: what is not given becomes what it is for a new one."""
    read_parameters(request, {})
    number = path_copy_id(request)
    document, body, _ = await read_document(request)
    members = read_members(document, NEW_COPY, needed=("name", "storage_policy_id", "storage_policy_name"))
    outcome = await request.app[LEDGER].execute(
        PutCopy(caller=request[CALLER], idempotency=idempotency(request, body), copy_id=number, **members)
    )
    is_new = outcome.result["version"] == 1 and outcome.event_count > 0
    return outcome_answer(request, outcome, 201 if is_new else 200, location=request.path if is_new else None)


@copy_routes.post("/ledger/v1/{org}/copies/{copy_id}/{verb:" + "|".join(OPERATIONS) + "}")
async def operate_on_jobs(request: web.Request) -> web.Response:
    """Do it to all of the jobs on the copy, or to none."""
    read_parameters(request, {})
    operation, number = OPERATIONS[request.match_info["verb"]], path_copy_id(request)
    document, body, _ = await read_document(request)
    members: dict[str, Any] = read_members(document, operation.readers, needed=operation.needed)
    command = operation.command(
        caller=request[CALLER], idempotency=idempotency(request, body), copy_id=number, **members
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


def path_copy_id(request: web.Request) -> int:
    """The copy's id in the path. NotFoundError for what can be none."""
    given = request.match_info["copy_id"]
    if not (given.isascii() and given.isdecimal()) or len(given) > 10 or not 0 < int(given) <= LARGEST_COPY_ID:
        raise NotFoundError(f"There is no copy {given[:40]}.")
    return int(given)
