"""The native API's jobs in workflows: what is said of them, the way through their diagrams, and what is attached to them."""

from __future__ import annotations

from uuid import UUID

import orjson
from aiohttp import web

from jobledger.http.attachments import (
    FILE,
    FORM_BODY,
    FORM_TYPE,
    SAVED,
    attach,
    attachments_of,
    found_attachment,
    send_attachment,
)
from jobledger.http.context import CALLER, JOBS, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.members import Members, one_of, text
from jobledger.http.native.answers import CHANGED_JOB
from jobledger.http.native.jobs import READ_JOBS, path_job_id
from jobledger.http.native.principals import outcome_answer, sealed_idempotency
from jobledger.http.native.workflow_answers import (
    ADDED_ATTACHMENT,
    ATTACHMENTS,
    REMOVED_ATTACHMENT,
    STEPS_TAKEN,
    UPDATED_JOB,
)
from jobledger.http.native.workflow_members import JOB_MEMBERS, LONGEST_REASON, step_ids, workflow_members
from jobledger.http.negotiation import OCTETS, gives
from jobledger.http.operation import (
    Body,
    Parameters,
    operation,
    permitted,
    read_body_members,
    read_parameters,
    read_variable,
)
from jobledger.ledger.domain.job_workflow_commands import (
    STEP_ACTIONS,
    AddAttachment,
    RemoveAttachment,
    TakeSteps,
    UpdateJob,
    UpgradeJob,
)
from jobledger.ledger.errors import ConflictError, GoneError, JobIsClosedError, JobIsRetainedError

JOB_PATH = "/ledger/v1/{org}/jobs/{job_id}"
STEPS = Members(
    {
        "action": one_of(*STEP_ACTIONS),
        "step_ids": step_ids.about("Else all current ones."),
        "following": step_ids.about("Which to go on to, of those that the finished ones lead to; else all."),
    },
    needed=("action",),
)
NAMED = Parameters({"name": text(1_000).about("Makes the body the file, as it is.")})
REASON = Parameters({"reason": text(LONGEST_REASON)})

workflow_routes = web.RouteTableDef()


@workflow_routes.post(JOB_PATH + "/update")
@operation(UPDATED_JOB, body=JOB_MEMBERS, capability=UpdateJob.capability, may=(GoneError, ConflictError))
async def update_job(request: web.Request) -> web.Response:
    """Say something else of a job; only what differs is recorded."""
    read_parameters(request)
    members, body = await read_body_members(request)
    command = UpdateJob(
        caller=request[CALLER],
        idempotency=sealed_idempotency(request, body),
        job_id=path_job_id(request),
        members=workflow_members(members),
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@workflow_routes.post(JOB_PATH + "/upgrade")
@operation(CHANGED_JOB, body=Members({}), capability=UpgradeJob.capability, may=(GoneError, ConflictError))
async def upgrade_job(request: web.Request) -> web.Response:
    """Let a job go through the active version of its diagram."""
    read_parameters(request)
    _, body = await read_body_members(request)
    command = UpgradeJob(
        caller=request[CALLER], idempotency=sealed_idempotency(request, body), job_id=path_job_id(request)
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@workflow_routes.post(JOB_PATH + "/steps")
@operation(STEPS_TAKEN, body=STEPS, capability=TakeSteps.capability, may=(GoneError, ConflictError))
async def take_steps(request: web.Request) -> web.Response:
    """Run, stop or finish current steps, or say which they are; each is judged by itself."""
    read_parameters(request)
    members, body = await read_body_members(request)
    command = TakeSteps(
        caller=request[CALLER],
        idempotency=sealed_idempotency(request, body),
        job_id=path_job_id(request),
        **members,
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@workflow_routes.get(JOB_PATH + "/attachments")
@operation(ATTACHMENTS, capability=READ_JOBS, may=(GoneError,))
async def list_attachments(request: web.Request) -> web.Response:
    """What is attached to a job, the oldest first."""
    caller = permitted(request)
    read_parameters(request)
    job = orjson.loads(await request.app[JOBS].job(caller.org, path_job_id(request), caller.domains))
    return answer(request, {"attachments": list(attachments_of(job).values())})


@workflow_routes.post(JOB_PATH + "/attachments")
@operation(
    ADDED_ATTACHMENT,
    statuses={201: "Attached."},
    parameters=NAMED,
    body=Body(media_types={FORM_TYPE: FORM_BODY, OCTETS.media_type: FILE}),
    capability=AddAttachment.capability,
    may=(GoneError, JobIsClosedError),
    gives_headers={"Location": "Where the attachment is."},
)
async def add_attachment(request: web.Request) -> web.Response:
    """Attach the part ``attachment`` of a form, or, with ``name`` in the query, the body as it is: 201."""
    caller = permitted(request)
    name = read_parameters(request).get("name")
    job_id = path_job_id(request)
    # Before any of it is taken.
    await request.app[JOBS].job(caller.org, job_id, caller.domains)
    attached = await attach(request, caller, job_id, name)
    location = f"{request.path}/{attached.attachment_id}"
    return outcome_answer(request, attached.outcome, 201, location=location, name=attached.name)


@workflow_routes.get(JOB_PATH + "/attachments/{attachment_id}")
@gives(OCTETS)
@operation(FILE, capability=READ_JOBS, may=(GoneError,), gives_headers=SAVED)
async def get_attachment(request: web.Request) -> web.StreamResponse:
    """An attachment's bytes."""
    caller = permitted(request)
    read_parameters(request)
    job = orjson.loads(await request.app[JOBS].job(caller.org, path_job_id(request), caller.domains))
    attachment_id = path_attachment_id(request)
    return await send_attachment(request, caller.org, attachment_id, found_attachment(job, attachment_id))


@workflow_routes.delete(JOB_PATH + "/attachments/{attachment_id}")
@operation(
    REMOVED_ATTACHMENT,
    parameters=REASON,
    capability=RemoveAttachment.capability,
    may=(GoneError, JobIsClosedError, JobIsRetainedError),
)
async def delete_attachment(request: web.Request) -> web.Response:
    """Remove an attachment: its bytes and its name."""
    reason = read_parameters(request).get("reason")
    command = RemoveAttachment(
        caller=request[CALLER],
        job_id=path_job_id(request),
        attachment_id=str(path_attachment_id(request)),
        reason=reason,
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


def path_attachment_id(request: web.Request) -> UUID:
    """The attachment's id in the path. NotFoundError for what can be none."""
    attachment_id: UUID = read_variable(request, "attachment_id")
    return attachment_id
