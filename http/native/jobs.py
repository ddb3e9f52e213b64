"""The native API's jobs."""

from __future__ import annotations

from datetime import datetime

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, CURSOR_KEY, FETCH_START_TIMEOUT_S, FORM, JOBS, LEDGER, PAST
from jobledger.http.denied import note_told_refusals
from jobledger.http.exchange import answer, answer_json, read_document
from jobledger.http.members import instant, one_of, text
from jobledger.http.native.answers import JOB_PAGE, MANAGED_JOBS, REGISTRATION_ANSWER, RETENTION
from jobledger.http.native.archive_answers import JOB_OR_RESIDUE
from jobledger.http.native.as_of import as_of, moment_of, past_cursor, read_past_cursor
from jobledger.http.native.event_answers import EVENT_PAGE
from jobledger.http.native.events import EVENTS_IN, FORMS, PARAMETERS, SEEN, event_page
from jobledger.http.native.job_members import (
    JOBS_BODY,
    MANAGEMENT,
    TRANSITIONS,
    listed_jobs,
    read_job,
    read_jobs,
    read_management,
    shown_registration,
    shown_transition,
)
from jobledger.http.native.lists import csv_answer, listing
from jobledger.http.native.parameters import DEFAULT_LIMIT, LINK, cursor, idempotency, limit
from jobledger.http.negotiation import CSV, gives
from jobledger.http.operation import (
    Parameters,
    operation,
    operations,
    permitted,
    read_body_members,
    read_parameters,
    read_variable,
    several,
)
from jobledger.ledger.domain.command import Caller, Outcome
from jobledger.ledger.domain.job import State, job_stream
from jobledger.ledger.domain.job_registration import RegisterJobs
from jobledger.ledger.errors import ConflictError, GoneError, JobExistsError, NotAllowedError, ProjectionIsBehindError
from jobledger.ledger.store.codec import wire_time
from jobledger.projections.job_query import JobFilter, JobPage
from jobledger.projections.jobs import SHOWN

LARGEST_LIST_BODY_BYTES = 64 * 1024 * 1024
READ_JOBS = "jobs.read"

job_routes = web.RouteTableDef()

FILTERS = Parameters(
    {
        "state": several(one_of(*State)),
        "type": text(200),
        "domain": text(200),
        "datastream_id": text(200),
        "source": text(200),
        "external_id": text(500),
        **{
            f"{name}_{end}": instant.about(told)
            for name in ("scheduled", "started", "ended")
            for end, told in (("from", "Included."), ("to", "Not included."))
        },
        "q": text(200).about(
            "Looked for in the type, the name, the external id and the datastream's name, whatever the case."
        ),
        **{name: one_of("true", "false") for name in ("closed", "held", "retained")},
        "as_of": as_of,
        "limit": limit,
        "cursor": cursor,
    },
    lists=frozenset({"state"}),
)
AS_OF = Parameters({"as_of": as_of})
JOB_EVENTS = Parameters({**PARAMETERS, **AS_OF})


# The first, as it is asked for most and routes are looked through in their order.
@job_routes.post("/ledger/v1/{org}/jobs/{job_id}/{verb:" + "|".join(TRANSITIONS) + "}")
@operations("verb", {verb: it.operation for verb, it in TRANSITIONS.items()})
async def change_job(request: web.Request) -> web.Response:
    """One transition of a job."""
    read_parameters(request)
    transition = TRANSITIONS[request.match_info["verb"]]
    members, body = await read_body_members(request)
    command = transition.command(
        caller=request[CALLER],
        idempotency=idempotency(request, body),
        job_id=path_job_id(request),
        **members,
    )
    outcome = await request.app[LEDGER].execute(command)
    return answer(request, shown_transition(outcome), headers=told_of(outcome))


@job_routes.post("/ledger/v1/{org}/jobs")
@operation(
    REGISTRATION_ANSWER,
    statuses={201: "Registered.", 200: "All of them were there already."},
    body=JOBS_BODY,
    capability=RegisterJobs.capability,
    may=(JobExistsError,),
    gives_headers={"Location": "Where the job is, of one."},
)
async def register(request: web.Request) -> web.Response:
    """Register a job, or a list of them, all or none: 201 with ids and positions, 200 if all were there already."""
    read_parameters(request)
    document, body, _ = await read_document(request, LARGEST_LIST_BODY_BYTES)
    jobs = listed_jobs(document)
    is_list = jobs is not None
    outcome = await request.app[LEDGER].execute(
        RegisterJobs(
            caller=request[CALLER],
            idempotency=idempotency(request, body),
            jobs=await read_jobs(jobs) if is_list else [read_job(document)],
            fetch_start_timeout_s=request.app[FETCH_START_TIMEOUT_S],
        )
    )
    status, shown = shown_registration(outcome, is_list=is_list)
    headers = told_of(outcome)
    if not is_list:
        headers["Location"] = f"{request.path}/{shown['id']}"
    return answer(request, shown, status, headers)


@job_routes.get("/ledger/v1/{org}/jobs")
@listing(
    JOB_PAGE,
    parameters=FILTERS,
    capability=READ_JOBS,
    may=(ProjectionIsBehindError,),
)
async def list_jobs(request: web.Request) -> web.Response:
    """A page of the jobs that the caller may see and the filter lets through, by id."""
    caller = permitted(request)
    parameters = read_parameters(request)
    size = parameters.pop("limit", DEFAULT_LIMIT)
    following_of, asked = parameters.pop("cursor", None), parameters.pop("as_of", None)
    states = parameters.pop("state", None)
    parameters |= {name: parameters[name] == "true" for name in ("closed", "held", "retained") if name in parameters}
    wanted = JobFilter(states=None if states is None else tuple(sorted(set(states))), **parameters)
    list_name = f"jobs of {caller.org}: {wanted!r}"
    if asked is not None:
        page, following = await _past_page(request, caller, wanted, asked, following_of, size, list_name)
    else:
        keys = request.app[CURSOR_KEY]
        page = await request.app[JOBS].page(
            caller.org,
            wanted,
            caller.domains,
            after=0 if following_of is None else keys.read(following_of, list_name),
            limit=size,
        )
        following = None if page.next_after is None else keys.cursor(page.next_after, list_name)
    headers = {}
    if following is not None:
        headers["Link"] = f'<{request.rel_url.update_query(cursor=following)}>; rel="next"'
    if request[FORM] is CSV:
        return csv_answer(SHOWN.values(), map(orjson.loads, page.jobs), headers)
    body = b'{"jobs":[%b],"next":%b}' % (b",".join(page.jobs), orjson.dumps(following))
    return answer_json(request, body, headers=headers)


async def _past_page(
    request: web.Request,
    caller: Caller,
    wanted: JobFilter,
    asked: int | datetime,
    following_of: str | None,
    size: int,
    list_name: str,
) -> tuple[JobPage, str | None]:
    """A page of the jobs as they stood, and the cursor of the next."""
    list_name = f"{list_name} as of {asked}"
    if following_of is None:
        after, moment = 0, await moment_of(request, caller, asked)
    else:
        after, moment = read_past_cursor(request, following_of, list_name)
    page = await request.app[PAST].page(caller.org, wanted, moment, caller.domains, after=after, limit=size)
    return page, None if page.next_after is None else past_cursor(request, page.next_after, moment, list_name)


# "manage" is no job, and takes other methods.
@job_routes.get("/ledger/v1/{org}/jobs/{job_id:(?!manage$)[^{}/]+}")
@operation(JOB_OR_RESIDUE, parameters=AS_OF, capability=READ_JOBS, may=(GoneError, ProjectionIsBehindError))
async def get_job(request: web.Request) -> web.Response:
    """One job; of one that was purged what is left of it, and the archive that holds it."""
    caller = permitted(request)
    asked = read_parameters(request).get("as_of")
    job_id = path_job_id(request)
    if asked is not None:
        moment = await moment_of(request, caller, asked)
        return answer_json(request, await request.app[PAST].job(caller.org, job_id, moment, caller.domains))
    try:
        return answer_json(request, await request.app[JOBS].job(caller.org, job_id, caller.domains))
    except GoneError:
        residue = await request.app[JOBS].purged(caller.org, job_id, caller.domains)
        if residue is None:
            raise
        return answer(request, residue)


@job_routes.get("/ledger/v1/{org}/jobs/{job_id}/retention")
@operation(RETENTION, capability=READ_JOBS, may=(GoneError,))
async def get_retention(request: web.Request) -> web.Response:
    """Whether a job may be deleted or erased now, and every reason why not."""
    caller = permitted(request)
    read_parameters(request)
    return answer(request, await request.app[JOBS].retention(caller.org, path_job_id(request), caller.domains))


@job_routes.get("/ledger/v1/{org}/jobs/{job_id}/events")
@gives(*FORMS)
@operation(
    EVENT_PAGE,
    forms=EVENTS_IN,
    parameters=JOB_EVENTS,
    headers=SEEN,
    capability=READ_JOBS,
    may=(GoneError, ProjectionIsBehindError),
    gives_headers=LINK,
)
async def get_job_events(request: web.Request) -> web.StreamResponse:
    """A page of one job's events."""
    caller = permitted(request)
    job_id = path_job_id(request)
    asked = read_parameters(request).get("as_of")
    if asked is None:
        await request.app[JOBS].job(caller.org, job_id, caller.domains)
        return await event_page(request, stream=job_stream(job_id))
    moment = await moment_of(request, caller, asked)
    await request.app[PAST].job(caller.org, job_id, moment, caller.domains)
    return await event_page(request, stream=job_stream(job_id), until=moment.position)


@job_routes.post("/ledger/v1/{org}/jobs/manage")
@operation(MANAGED_JOBS, body=MANAGEMENT, may=(NotAllowedError, ConflictError))
async def manage_jobs(request: web.Request) -> web.Response:
    """One verb on many jobs: each judged by itself, or, with ``all_or_none``, all or none of them."""
    read_parameters(request)
    members, body = await read_body_members(request)
    command = read_management(members, request[CALLER], idempotency(request, body))
    outcome = await request.app[LEDGER].execute(command)
    note_told_refusals(request, outcome)
    shown = {
        **outcome.result,
        "first_position": outcome.first_position,
        "event_count": outcome.event_count,
        "recorded_at": wire_time(outcome.recorded_at) if outcome.event_count else None,
    }
    return answer(request, shown, headers=told_of(outcome))


def path_job_id(request: web.Request) -> int:
    """The job id in the path. NotFoundError for what can be no job's id."""
    job_id: int = read_variable(request, "job_id")
    return job_id


def told_of(outcome: Outcome) -> dict[str, str]:
    """The headers of the answer to a command."""
    return {"Idempotent-Replayed": "true"} if outcome.is_repeated else {}
