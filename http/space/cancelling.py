"""Cancelling jobs that have not started: one, or many."""

from __future__ import annotations

import re
from typing import Any

from aiohttp import web

from jobledger.http.context import CALLER, JOBS, LEDGER
from jobledger.http.denied import note_told_refusals
from jobledger.http.members import Members, Reader, list_of, reads
from jobledger.http.native.jobs import told_of
from jobledger.http.native.parameters import idempotency
from jobledger.http.operation import operation, permitted, read_body_members, read_parameters, read_variable
from jobledger.http.schema import STRING
from jobledger.http.space.answers import JOB_DOCUMENT, JOBS_DOCUMENT
from jobledger.http.space.bodies import must_be_sent_as, whole
from jobledger.http.space.dialect import JOB_MANAGEMENT
from jobledger.http.space.documents import VENDOR, reply, speaks
from jobledger.http.space.job_documents import JOBS_HREF, href_of, shown_jobs
from jobledger.http.space.jobs import answer_job
from jobledger.ledger.domain.job import LARGEST_JOB_ID
from jobledger.ledger.domain.job_commands import CancelScheduledJob
from jobledger.ledger.domain.manage_jobs import ManageJobs
from jobledger.ledger.errors import JobHasBegunError, NotFoundError

CANCEL_JOBS = "jobs.cancel"
MOST_JOBS = 1_000
# Whatever server, and whatever path before it, a reference says.
HREF = re.compile(r"(?:[^?#]*/)?jobs/([1-9][0-9]{0,9})", re.ASCII)
REQUEST = f"{VENDOR}cancel-jobs-request"

cancel_routes = web.RouteTableDef()


@reads({**STRING, "pattern": r"jobs/[1-9][0-9]{0,9}$"})
def job_href(value: Any) -> int:
    """The id of the job that a reference names."""
    match = HREF.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[1]) > LARGEST_JOB_ID:
        raise ValueError("is not a reference to a job")
    return int(match[1])


job_reference: Reader[int] = whole(Members({"@href": job_href}, needed=("@href",)), lambda given: given["@href"])
references = list_of(job_reference, MOST_JOBS)


@reads({"anyOf": [references.schema, job_reference.schema]})
def one_or_many(value: Any) -> list[int]:
    """A list, of which one may be a bare object, or an element."""
    return references.read(value if isinstance(value, list) else [value])


listed: Reader[list[int]] = whole(Members({"job": one_or_many}, needed=("job",)), lambda given: given["job"])
jobs_to_cancel: Reader[list[int]] = whole(Members({"jobs": listed}, needed=("jobs",)), lambda given: given["jobs"])
MANY = Members({"cancel-jobs-request": jobs_to_cancel}, needed=("cancel-jobs-request",))


@cancel_routes.post(f"{JOB_MANAGEMENT}/jobs/{{job_id}}/cancel")
@speaks("job", 3)
@operation(JOB_DOCUMENT, capability=CANCEL_JOBS, body=Members({}), may=(JobHasBegunError,))
async def cancel_job(request: web.Request) -> web.Response:
    """Cancel a job that is scheduled and has not started."""
    caller = permitted(request)
    read_parameters(request)
    _, body = await read_body_members(request)
    job_id = read_variable(request, "job_id")
    command = CancelScheduledJob(caller=caller, idempotency=idempotency(request, body), job_id=job_id)
    outcome = await request.app[LEDGER].execute(command)
    return await answer_job(request, job_id, told_of(outcome))


@cancel_routes.post(f"{JOB_MANAGEMENT}/cancel-jobs")
@speaks("jobs", 3)
@operation(JOBS_DOCUMENT, capability=CANCEL_JOBS, body=MANY)
async def cancel_jobs(request: web.Request) -> web.Response:
    """Cancel those of some jobs that are scheduled and have not started; the others are shown."""
    caller = permitted(request)
    read_parameters(request)
    must_be_sent_as(request, REQUEST)
    given, body = await read_body_members(request)
    ids = list(dict.fromkeys(given["cancel-jobs-request"]))
    shown: list[dict[str, Any]] = []
    headers: dict[str, str] = {}
    if ids:
        commands = [CancelScheduledJob(caller=caller, job_id=it) for it in ids]
        outcome = await request.app[LEDGER].execute(
            ManageJobs(caller=caller, idempotency=idempotency(request, body), commands=commands)
        )
        headers = told_of(outcome)
        note_told_refusals(request, outcome)
        shown = [await _refused(request, it["id"]) for it in outcome.result["refused"]]
    return reply(request, {"jobs": {"@total": len(shown), "@uri": JOBS_HREF, "job": shown}}, headers=headers)


async def _refused(request: web.Request, job_id: int) -> dict[str, Any]:
    """A job that could not be cancelled; of one that is not there no more than what was asked for."""
    caller = request[CALLER]
    try:
        job = await request.app[JOBS].document(caller.org, job_id, caller.domains)
    except NotFoundError:
        return {"@href": href_of(job_id), "@uri": href_of(job_id), "id": job_id}
    [shown] = await shown_jobs(request, caller.org, [job])
    return shown
