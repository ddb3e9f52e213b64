"""The native API's jobs in workflows: what is said of them, the way through their diagrams, and what is attached to them."""

from __future__ import annotations

import orjson
from aiohttp import web

from jobledger.http.attachments import attach, attachments_of, path_attachment, send_attachment
from jobledger.http.context import CALLER, JOBS, LEDGER
from jobledger.http.exchange import answer, read_document
from jobledger.http.members import Reader, one_of, read_members, text
from jobledger.http.native.jobs import READ_JOBS, path_job_id
from jobledger.http.native.parameters import read_parameters
from jobledger.http.native.principals import outcome_answer, sealed_idempotency
from jobledger.http.native.workflow_members import JOB_MEMBERS, step_ids, workflow_members
from jobledger.ledger.domain.job_workflow_commands import (
    STEP_ACTIONS,
    AddAttachment,
    RemoveAttachment,
    TakeSteps,
    UpdateJob,
    UpgradeJob,
)

JOB_PATH = "/ledger/v1/{org}/jobs/{job_id}"
STEPS: dict[str, Reader] = {"action": one_of(*STEP_ACTIONS), "step_ids": step_ids, "following": step_ids}

workflow_routes = web.RouteTableDef()


@workflow_routes.post(JOB_PATH + "/update")
async def update_job(request: web.Request) -> web.Response:
    """Say something else of a job; only what differs is recorded."""
    read_parameters(request, {})
    document, body, _ = await read_document(request)
    command = UpdateJob(
        caller=request[CALLER],
        idempotency=sealed_idempotency(request, body),
        job_id=path_job_id(request),
        members=workflow_members(read_members(document, JOB_MEMBERS)),
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@workflow_routes.post(JOB_PATH + "/upgrade")
async def upgrade_job(request: web.Request) -> web.Response:
    """Let a job go through the active version of its diagram."""
    read_parameters(request, {})
    document, body, _ = await read_document(request)
    read_members(document, {})
    command = UpgradeJob(
        caller=request[CALLER], idempotency=sealed_idempotency(request, body), job_id=path_job_id(request)
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@workflow_routes.post(JOB_PATH + "/steps")
async def take_steps(request: web.Request) -> web.Response:
    """Run, stop or finish current steps, or say which they are; each is judged by itself."""
    read_parameters(request, {})
    document, body, _ = await read_document(request)
    command = TakeSteps(
        caller=request[CALLER],
        idempotency=sealed_idempotency(request, body),
        job_id=path_job_id(request),
        **read_members(document, STEPS, needed=("action",)),
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))


@workflow_routes.get(JOB_PATH + "/attachments")
async def list_attachments(request: web.Request) -> web.Response:
    """What is attached to a job, the oldest first."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    read_parameters(request, {})
    job = orjson.loads(await request.app[JOBS].job(caller.org, path_job_id(request), caller.domains))
    return answer(request, {"attachments": list(attachments_of(job).values())})


@workflow_routes.post(JOB_PATH + "/attachments")
async def add_attachment(request: web.Request) -> web.Response:
    """Attach the part ``attachment`` of a form, or, with ``name`` in the query, the body as it is: 201."""
    caller = request[CALLER]
    caller.must(AddAttachment.capability)
    name = read_parameters(request, {"name": text(1_000)}).get("name")
    job_id = path_job_id(request)
    # Before any of it is taken.
    await request.app[JOBS].job(caller.org, job_id, caller.domains)
    attached = await attach(request, caller, job_id, name)
    location = f"{request.path}/{attached.attachment_id}"
    return outcome_answer(request, attached.outcome, 201, location=location, name=attached.name)


@workflow_routes.get(JOB_PATH + "/attachments/{attachment_id}")
async def get_attachment(request: web.Request) -> web.StreamResponse:
    """An attachment's bytes."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    read_parameters(request, {})
    job = orjson.loads(await request.app[JOBS].job(caller.org, path_job_id(request), caller.domains))
    attachment_id, attachment = path_attachment(request, job)
    return await send_attachment(request, caller.org, attachment_id, attachment)


@workflow_routes.delete(JOB_PATH + "/attachments/{attachment_id}")
async def delete_attachment(request: web.Request) -> web.Response:
    """Remove an attachment: its bytes and its name."""
    reason = read_parameters(request, {"reason": text(10_000)}).get("reason")
    command = RemoveAttachment(
        caller=request[CALLER],
        job_id=path_job_id(request),
        attachment_id=request.match_info["attachment_id"][:40],
        reason=reason,
    )
    return outcome_answer(request, await request.app[LEDGER].execute(command))
