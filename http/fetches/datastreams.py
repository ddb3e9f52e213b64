"""``/api/datastreams/…``: a datastream is what jobs name as theirs; each path with or without a slash at its end."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, FETCH_START_TIMEOUT_S, LEDGER, NUMBERED_JOBS
from jobledger.http.exchange import answer
from jobledger.http.fetches.answers import DATASTREAM, JOB_PAGE, SCHEDULED
from jobledger.http.fetches.dialect import InvalidPageError
from jobledger.http.fetches.job_documents import job_url, shown_datastream
from jobledger.http.fetches.job_lists import PARAMETERS, READ_JOBS, list_page, read_span
from jobledger.http.fetches.times import read_end, read_start, shown_time
from jobledger.http.members import Members
from jobledger.http.native.jobs import told_of
from jobledger.http.native.parameters import idempotency
from jobledger.http.operation import operation, permitted, read_body_members, read_parameters, read_variable
from jobledger.http.urls import public_url
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.errors import NotFoundError

FETCH_TYPE = "fetch"
RANGE = Members({"start": read_start, "end": read_end}, needed=("start", "end"))

datastream_routes = web.RouteTableDef()


@datastream_routes.get("/api/datastreams/{datastream_id}{slash:/?}")
@operation(DATASTREAM, capability=READ_JOBS)
async def get_datastream(request: web.Request) -> web.Response:
    """What is known of a datastream: what its last job said."""
    permitted(request)
    read_parameters(request)
    last = await last_job(request)
    return answer(request, shown_datastream(last["datastream"], public_url(request)))


@datastream_routes.get("/api/datastreams/{datastream_id}/jobs{slash:/?}")
@operation(JOB_PAGE, parameters=PARAMETERS, capability=READ_JOBS, may=(InvalidPageError,))
async def list_datastream_jobs(request: web.Request) -> web.Response:
    """A page of one datastream's jobs, as ``/api/jobs/`` lists them; of one that no job named it is empty."""
    return await list_page(request, path_datastream_id(request))


@datastream_routes.post("/api/datastreams/{datastream_id}/fetch_fixed{slash:/?}")
@operation(SCHEDULED, body=RANGE, capability=RegisterJobs.capability)
async def fetch_fixed(request: web.Request) -> web.Response:
    """Register the one job that fetches a range of days or times."""
    caller = permitted(request)
    read_parameters(request)
    given, body = await read_body_members(request)
    read_span(given["start"], given["end"])
    start, end = shown_time(given["start"]), shown_time(given["end"].last)
    last = await last_job(request)
    datastream = last["datastream"]
    fetch = JobSpec(
        type=FETCH_TYPE,
        name=datastream.get("name") or f"Datastream {datastream['id']}",
        domain=last["domain"],
        datastream=datastream,
        attributes={"range_start": start, "range_end": end, "manual": True},
    )
    outcome = await request.app[LEDGER].execute(
        RegisterJobs(
            caller=caller,
            idempotency=idempotency(request, body),
            jobs=[fetch],
            fetch_start_timeout_s=request.app[FETCH_START_TIMEOUT_S],
        )
    )
    base = public_url(request)
    jobs = [{"id": it["id"], "url": job_url(base, it["id"])} for it in outcome.result["jobs"]]
    shown = {"status": "ok", "message": "Fetch scheduled.", "start": start, "end": end, "jobs": jobs}
    return answer(request, shown, headers=told_of(outcome))


async def last_job(request: web.Request) -> dict[str, Any]:
    """The last job of the path's datastream that the caller may see. Raises NotFoundError."""
    caller, datastream_id = request[CALLER], path_datastream_id(request)
    last = await request.app[NUMBERED_JOBS].last_of_datastream(caller.org, datastream_id, caller.domains)
    if last is None:
        raise NotFoundError(f"No job ever named the datastream {datastream_id}.")
    return last


def path_datastream_id(request: web.Request) -> str:
    """The datastream's id in the path. NotFoundError for what can be none."""
    datastream_id: str = read_variable(request, "datastream_id")
    return datastream_id
