"""``/{orgId}/{itemId}/jobs/{id}/attachments/…``."""

from __future__ import annotations

from aiohttp import web

from jobledger.http.attachments import attach, attachments_of, path_attachment, send_attachment
from jobledger.http.context import JOBS, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.native.jobs import told_of
from jobledger.http.urls import public_url
from jobledger.http.workflow.dialect import ITEM
from jobledger.http.workflow.items import item_caller, parameters, path_job_id, visible_job
from jobledger.ledger.domain.job_workflow_commands import AddAttachment, RemoveAttachment

attachment_routes = web.RouteTableDef()


def url_of(request: web.Request, attachment_id: str) -> str:
    """Where an attachment of the path's job is."""
    path = request.rel_url.raw_path.partition("/attachments")[0]
    return f"{public_url(request)}{path}/attachments/{attachment_id}"


@attachment_routes.get(ITEM + "/jobs/{job_id}/attachments")
async def list_attachments(request: web.Request) -> web.Response:
    """What is attached to the job."""
    caller = await item_caller(request)
    parameters(request)
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
async def add_attachment(request: web.Request) -> web.Response:
    """Attach the part ``attachment`` of a form."""
    caller = await item_caller(request)
    caller.must(AddAttachment.capability)
    parameters(request)
    # Before any of it is taken.
    job_id = path_job_id(request)
    await request.app[JOBS].job(caller.org, job_id, caller.domains)
    attached = await attach(request, caller, job_id)
    shown = {"url": url_of(request, attached.attachment_id), "alias": attached.name}
    return answer(request, shown, headers=told_of(attached.outcome))


@attachment_routes.get(ITEM + "/jobs/{job_id}/attachments/{attachment_id}")
async def get_attachment(request: web.Request) -> web.StreamResponse:
    """An attachment's bytes."""
    caller = await item_caller(request)
    parameters(request)
    attachment_id, attachment = path_attachment(request, await visible_job(request, caller))
    return await send_attachment(request, caller.org, attachment_id, attachment)


@attachment_routes.delete(ITEM + "/jobs/{job_id}/attachments/{attachment_id}")
async def delete_attachment(request: web.Request) -> web.Response:
    """Remove an attachment: its bytes and its name."""
    caller = await item_caller(request)
    parameters(request)
    outcome = await request.app[LEDGER].execute(
        RemoveAttachment(
            caller=caller, job_id=path_job_id(request), attachment_id=request.match_info["attachment_id"][:40]
        )
    )
    return answer(request, {"success": True}, headers=told_of(outcome))
