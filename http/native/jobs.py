"""The native API's jobs."""

from __future__ import annotations

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, CURSOR_KEY, FETCH_START_TIMEOUT_S, FORM, JOBS, LEDGER
from jobledger.http.csv_rows import write_csv
from jobledger.http.exchange import answer, answer_json, read_document
from jobledger.http.members import instant, one_of, read_members, text
from jobledger.http.native.events import FORMS, event_page
from jobledger.http.native.job_members import (
    TRANSITIONS,
    listed_jobs,
    read_job,
    read_jobs,
    read_management,
    shown_registration,
    shown_transition,
)
from jobledger.http.native.parameters import DEFAULT_LIMIT, idempotency, limit, read_parameters
from jobledger.http.negotiation import CSV, JSON, XML, gives
from jobledger.ledger.domain.command import Outcome
from jobledger.ledger.domain.job import LARGEST_JOB_ID, State, job_stream
from jobledger.ledger.domain.job_registration import RegisterJobs
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.codec import wire_time
from jobledger.projections.job_query import JobFilter
from jobledger.projections.jobs import SHOWN

LARGEST_LIST_BODY_BYTES = 64 * 1024 * 1024
READ_JOBS = "jobs.read"

job_routes = web.RouteTableDef()

one_state = one_of(*State)
FILTERS = {
    "state": lambda values: [one_state(value) for value in values],
    "type": text(200),
    "domain": text(200),
    "datastream_id": text(200),
    "source": text(200),
    "external_id": text(500),
    **{f"{name}_{end}": instant for name in ("scheduled", "started", "ended") for end in ("from", "to")},
    "q": text(200),
    **{name: one_of("true", "false") for name in ("closed", "held", "retained")},
    "limit": limit,
    "cursor": text(100),
}


@job_routes.post("/ledger/v1/{org}/jobs")
async def register(request: web.Request) -> web.Response:
    """Register a job, or a list of them, all or none: 201 with ids and positions, 200 if all were there already."""
    read_parameters(request, {})
    document, body, _ = await read_document(request, LARGEST_LIST_BODY_BYTES)
    jobs = listed_jobs(document)
    is_list = jobs is not None
    outcome = await request.app[LEDGER].execute(
        RegisterJobs(
            caller=request[CALLER],
            idempotency=idempotency(request, body),
            jobs=read_jobs(jobs) if is_list else [read_job(document)],
            fetch_start_timeout_s=request.app[FETCH_START_TIMEOUT_S],
        )
    )
    status, shown = shown_registration(outcome, is_list=is_list)
    headers = told_of(outcome)
    if not is_list:
        headers["Location"] = f"{request.path}/{shown['id']}"
    return answer(request, shown, status, headers)


@job_routes.get("/ledger/v1/{org}/jobs")
@gives(JSON, XML, CSV)
async def list_jobs(request: web.Request) -> web.Response:
    """A page of the jobs that the caller may see and the filter lets through, by id."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    parameters = read_parameters(request, FILTERS, lists=frozenset({"state"}))
    size = parameters.pop("limit", DEFAULT_LIMIT)
    cursor = parameters.pop("cursor", None)
    states = parameters.pop("state", None)
    parameters |= {name: parameters[name] == "true" for name in ("closed", "held", "retained") if name in parameters}
    wanted = JobFilter(states=None if states is None else tuple(sorted(set(states))), **parameters)
    list_name = f"jobs of {caller.org}: {wanted!r}"
    keys = request.app[CURSOR_KEY]
    page = await request.app[JOBS].page(
        caller.org, wanted, caller.domains, after=0 if cursor is None else keys.read(cursor, list_name), limit=size
    )
    following = None if page.next_after is None else keys.cursor(page.next_after, list_name)
    headers = {}
    if following is not None:
        headers["Link"] = f'<{request.rel_url.update_query(cursor=following)}>; rel="next"'
    if request[FORM] is CSV:
        rows = write_csv(SHOWN.values(), map(orjson.loads, page.jobs))
        return web.Response(body=rows, headers={**headers, "Content-Type": CSV.content_type})
    body = b'{"jobs":[%b],"next":%b}' % (b",".join(page.jobs), orjson.dumps(following))
    return answer_json(request, body, headers=headers)


# "manage" is no job, and takes other methods.
@job_routes.get("/ledger/v1/{org}/jobs/{job_id:(?!manage$)[^{}/]+}")
async def get_job(request: web.Request) -> web.Response:
    """One job."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    read_parameters(request, {})
    job = await request.app[JOBS].job(caller.org, path_job_id(request), caller.domains)
    return answer_json(request, job)


@job_routes.get("/ledger/v1/{org}/jobs/{job_id}/retention")
async def get_retention(request: web.Request) -> web.Response:
    """Whether a job may be deleted or erased now, and every reason why not."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    read_parameters(request, {})
    return answer(request, await request.app[JOBS].retention(caller.org, path_job_id(request), caller.domains))


@job_routes.get("/ledger/v1/{org}/jobs/{job_id}/events")
@gives(*FORMS)
async def get_job_events(request: web.Request) -> web.StreamResponse:
    """A page of one job's events."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    job_id = path_job_id(request)
    await request.app[JOBS].job(caller.org, job_id, caller.domains)
    return await event_page(request, stream=job_stream(job_id))


@job_routes.post("/ledger/v1/{org}/jobs/{job_id}/{verb:" + "|".join(TRANSITIONS) + "}")
async def change_job(request: web.Request) -> web.Response:
    """One transition of a job."""
    read_parameters(request, {})
    transition = TRANSITIONS[request.match_info["verb"]]
    document, body, _ = await read_document(request)
    command = transition.command(
        caller=request[CALLER],
        idempotency=idempotency(request, body),
        job_id=path_job_id(request),
        **read_members(document, transition.readers, needed=transition.needed),
    )
    outcome = await request.app[LEDGER].execute(command)
    return answer(request, shown_transition(outcome), headers=told_of(outcome))


@job_routes.post("/ledger/v1/{org}/jobs/manage")
async def manage_jobs(request: web.Request) -> web.Response:
    """One verb on many jobs, in one append: each judged by itself, or, with ``all_or_none``, all or none of them."""
    read_parameters(request, {})
    document, body, _ = await read_document(request)
    command = read_management(document, request[CALLER], idempotency(request, body))
    outcome = await request.app[LEDGER].execute(command)
    shown = {
        **outcome.result,
        "first_position": outcome.first_position,
        "event_count": outcome.event_count,
        "recorded_at": wire_time(outcome.recorded_at) if outcome.event_count else None,
    }
    return answer(request, shown, headers=told_of(outcome))


def path_job_id(request: web.Request) -> int:
    """The job id in the path. NotFoundError for what can be no job's id."""
    given = request.match_info["job_id"]
    if not given.isdecimal() or not given.isascii() or len(given) > 10 or not 0 < int(given) <= LARGEST_JOB_ID:
        raise NotFoundError(f"There is no job {given[:40]}.")
    return int(given)


def told_of(outcome: Outcome) -> dict[str, str]:
    """The headers of the answer to a command."""
    return {"Idempotent-Replayed": "true"} if outcome.is_repeated else {}
