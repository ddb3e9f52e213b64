"""``/{orgId}/{itemId}/jobs/{id}/attachments/…``."""

from __future__ import annotations

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
from jobledger.http.context import JOBS, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.native.jobs import told_of
from jobledger.http.native.workflow import path_attachment_id
from jobledger.http.negotiation import OCTETS, gives
from jobledger.http.operation import Body, operation, read_parameters
from jobledger.http.urls import public_url
from jobledger.http.workflow.answers import ATTACHED, ATTACHMENTS, DONE
from jobledger.http.workflow.dialect import ITEM
from jobledger.http.workflow.items import READ_JOBS, item_caller, path_job_id, visible_job
from jobledger.ledger.domain.job_workflow_commands import AddAttachment, RemoveAttachment
from jobledger.ledger.errors import JobIsClosedError, JobIsRetainedError

attachment_routes = web.RouteTableDef()


def url_of(request: web.Request, attachment_id: str) -> str:
    """Where an attachment of the path's job is."""
    path = request.rel_url.raw_path.partition("/attachments")[0]
    return f"{public_url(request)}{path}/attachments/{attachment_id}"


@attachment_routes.get(ITEM + "/jobs/{job_id}/attachments")
@operation(ATTACHMENTS, capability=READ_JOBS)
async def list_attachments(request: web.Request) -> web.Response:
    """What is attached to the job."""
    caller = await item_caller(request)
    read_parameters(request)
    job = await visible_job(request, caller)
    shown = [
        {
            "id": it["id"],
            "alias": it["name"],
            "name": it["name"],
            "url": url_of(request, it["id"]),
            "size": it["size_bytes"],
            "contentType": it.get("media_type"),
            "sha256": it["sha256"],
            "createdDate": it["added_at"],
        }
        for it in attachments_of(job).values()
    ]
    return answer(request, {"attachments": shown})


@attachment_routes.post(ITEM + "/jobs/{job_id}/attachments")
@operation(
    ATTACHED,
    body=Body(media_types={FORM_TYPE: FORM_BODY}),
    capability=AddAttachment.capability,
    may=(JobIsClosedError,),
)
async def add_attachment(request: web.Request) -> web.Response:
    """Attach the part ``attachment`` of a form."""
    caller = await item_caller(request)
    read_parameters(request)
    # Before any of it is taken.
    job_id = path_job_id(request)
    await request.app[JOBS].job(caller.org, job_id, caller.domains)
    attached = await attach(request, caller, job_id)
    shown = {"url": url_of(request, attached.attachment_id), "alias": attached.name}
    return answer(request, shown, headers=told_of(attached.outcome))


@attachment_routes.get(ITEM + "/jobs/{job_id}/attachments/{attachment_id}")
@gives(OCTETS)
@operation(FILE, capability=READ_JOBS, gives_headers=SAVED)
async def get_attachment(request: web.Request) -> web.StreamResponse:
    """An attachment's bytes."""
    caller = await item_caller(request)
    read_parameters(request)
    job, attachment_id = await visible_job(request, caller), path_attachment_id(request)
    return await send_attachment(request, caller.org, attachment_id, found_attachment(job, attachment_id))


@attachment_routes.delete(ITEM + "/jobs/{job_id}/attachments/{attachment_id}")
@operation(DONE, capability=RemoveAttachment.capability, may=(JobIsClosedError, JobIsRetainedError))
async def delete_attachment(request: web.Request) -> web.Response:
    """Remove an attachment: its bytes and its name."""
    caller = await item_caller(request)
    read_parameters(request)
    outcome = await request.app[LEDGER].execute(
        RemoveAttachment(caller=caller, job_id=path_job_id(request), attachment_id=str(path_attachment_id(request)))
    )
    return answer(request, {"success": True}, headers=told_of(outcome))
