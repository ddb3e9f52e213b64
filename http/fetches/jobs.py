"""``/api/jobs/…``: each path with or without a slash at its end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, JOBS, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.fetches.answers import IMPORT, JOB, JOB_PAGE, STOPPED
from jobledger.http.fetches.dialect import InvalidPageError
from jobledger.http.fetches.job_documents import shown_import, shown_job
from jobledger.http.fetches.job_lists import PARAMETERS, READ_JOBS, list_page
from jobledger.http.members import Members
from jobledger.http.native.jobs import path_job_id, told_of
from jobledger.http.native.parameters import idempotency
from jobledger.http.operation import operation, permitted, read_body_members, read_parameters
from jobledger.http.urls import public_url
from jobledger.ledger.domain.job_commands import StopJob
from jobledger.ledger.errors import JobCannotBeStoppedError

fetch_job_routes = web.RouteTableDef()


@fetch_job_routes.get("/api/jobs{slash:/?}")
@operation(JOB_PAGE, parameters=PARAMETERS, capability=READ_JOBS, may=(InvalidPageError,))
async def list_jobs(request: web.Request) -> web.Response:
    """A page of the jobs that the caller may see: those not final, or those of a time."""
    return await list_page(request)


@fetch_job_routes.get("/api/jobs/{job_id}{slash:/?}")
@operation(JOB, capability=READ_JOBS)
async def get_job(request: web.Request) -> web.Response:
    """One job."""
    job = await visible_job(request)
    return answer(request, shown_job(job, public_url(request), datetime.now(UTC)))


@fetch_job_routes.get("/api/jobs/{job_id}/imported{slash:/?}")
@operation(IMPORT, capability=READ_JOBS)
async def get_imported(request: web.Request) -> web.Response:
    """How far one job is."""
    return answer(request, shown_import(await visible_job(request), public_url(request)))


@fetch_job_routes.post("/api/jobs/{job_id}/stop{slash:/?}")
@operation(STOPPED, body=Members({}), capability=StopJob.capability, may=(JobCannotBeStoppedError,))
async def stop_job(request: web.Request) -> web.Response:
    """Stop a job that runs in the fetch stage."""
    read_parameters(request)
    _, body = await read_body_members(request)
    stop = StopJob(caller=request[CALLER], idempotency=idempotency(request, body), job_id=path_job_id(request))
    outcome = await request.app[LEDGER].execute(stop)
    return answer(request, {"status": "ok", "message": "Job stopped."}, headers=told_of(outcome))


async def visible_job(request: web.Request) -> dict[str, Any]:
    """The path's job as the native API shows it. Raises NotAllowedError, NotFoundError."""
    caller = permitted(request)
    read_parameters(request)
    job: dict[str, Any] = orjson.loads(await request.app[JOBS].job(caller.org, path_job_id(request), caller.domains))
    return job
