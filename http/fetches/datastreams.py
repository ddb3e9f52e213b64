"""``/api/datastreams/…``: a datastream is what jobs name as theirs; each path with or without a slash at its end."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, FETCH_START_TIMEOUT_S, LEDGER, NUMBERED_JOBS
from jobledger.http.exchange import answer, read_document
from jobledger.http.fetches.job_documents import job_url, shown_datastream
from jobledger.http.fetches.job_lists import READ_JOBS, datastream_name, list_page, read_span
from jobledger.http.fetches.times import read_end, read_start, shown_time
from jobledger.http.members import read_members
from jobledger.http.native.jobs import told_of
from jobledger.http.native.parameters import idempotency, read_parameters
from jobledger.http.urls import public_url
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.errors import NotFoundError

FETCH_TYPE = "fetch"
RANGE = {"start": read_start, "end": read_end}

datastream_routes = web.RouteTableDef()


@datastream_routes.get("/api/datastreams/{datastream_id}{slash:/?}")
async def get_datastream(request: web.Request) -> web.Response:
    """What is known of a datastream: what its last job said."""
    request[CALLER].must(READ_JOBS)
    read_parameters(request, {})
    last = await last_job(request)
    return answer(request, shown_datastream(last["datastream"], public_url(request)))


@datastream_routes.get("/api/datastreams/{datastream_id}/jobs{slash:/?}")
async def list_datastream_jobs(request: web.Request) -> web.Response:
    """A page of one datastream's jobs, as ``/api/jobs/`` lists them; of one that no job named it is empty."""
    return await list_page(request, path_datastream_id(request))


@datastream_routes.post("/api/datastreams/{datastream_id}/fetch_fixed{slash:/?}")
async def fetch_fixed(request: web.Request) -> web.Response:
    """Register the one job that fetches a range of days or times."""
    caller = request[CALLER]
    caller.must(RegisterJobs.capability)
    read_parameters(request, {})
    document, body, _ = await read_document(request)
    given = read_members(document, RANGE, needed=("start", "end"))
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
    try:
        datastream_id: str = datastream_name(request.match_info["datastream_id"])
    except ValueError:
        raise NotFoundError("There is no such datastream.") from None
    return datastream_id
