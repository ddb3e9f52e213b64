"""The native API's exports: ranges of events with what proves them, made by a job, and given as files."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from jobledger.http.attachments import FILE
from jobledger.http.context import CALLER, DATA, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.members import Members, boolean, instant, integer, list_of, one_of, text
from jobledger.http.native.answers import A_STATE, HASH, NEXT, RECORDED
from jobledger.http.native.dialect import LARGEST_POSITION
from jobledger.http.native.lists import listing, page_answer
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, idempotency, limit
from jobledger.http.native.principals import outcome_answer, read_cursor
from jobledger.http.negotiation import OCTETS, gives
from jobledger.http.operation import (
    Parameters,
    operation,
    permitted,
    read_body_members,
    read_parameters,
    read_variable,
)
from jobledger.http.schema import INTEGER, OBJECT, STRING, TIME, Named, Schema, array_of, nullable, object_of
from jobledger.http.sent_file import SAVED, STATUSES, ZIP, send_file
from jobledger.ledger.domain.access_commands import must_see_all
from jobledger.ledger.domain.archive import instant_text
from jobledger.ledger.domain.export import Export, export_stream
from jobledger.ledger.domain.export_commands import (
    CREATE_EXPORTS,
    MOST_JOBS,
    RENDERINGS,
    RecordDownload,
    RequestExport,
)
from jobledger.ledger.domain.job import LARGEST_JOB_ID, Job, job_stream
from jobledger.ledger.errors import NotFoundError
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.exporting.files import ExportFile
from jobledger.projections.page import Page

EXPORTS_PATH = "/ledger/v1/{org}/exports"
ONE = EXPORTS_PATH + "/{export_id}"
REQUESTED = "export.requested"

export_routes = web.RouteTableDef()

position = integer(0, LARGEST_POSITION)
NEW_EXPORT = Members(
    {
        "from_position": position.about("The first position; 0 where it is not said."),
        "to_position": position.about(
            "The position before which it ends; where it is not said, the checkpoint's size."
        ),
        "recorded_from": instant,
        "recorded_to": instant,
        "job_ids": list_of(integer(1, LARGEST_JOB_ID), MOST_JOBS),
        "type": text(200),
        "domain": text(200),
        "private": boolean,
        "attachments": boolean.about("What is attached to the jobs selected, too, as files."),
        "render": one_of(*RENDERINGS),
        "checkpoint": integer(1, LARGEST_POSITION).about(
            "The size of an earlier checkpoint, by which it is to be proved."
        ),
    },
)
PAGES = Parameters({"limit": limit, "cursor": cursor})
COUNT: Schema = {**INTEGER, "minimum": 0}
WRITTEN = object_of(
    {
        "name": STRING,
        "size_bytes": COUNT,
        "sha256": HASH,
        "checkpoint": COUNT,
        "from": COUNT,
        "to": COUNT,
        "counts": {**OBJECT, "additionalProperties": COUNT},
    }
)
EXPORT = Named(
    "Export",
    object_of(
        {
            "id": INTEGER,
            "state": nullable(A_STATE),
            "progress": nullable({"type": "number"}),
            "reason": nullable(STRING),
            "version": INTEGER,
            "order": OBJECT,
            "requested_by": STRING,
            "requested_at": TIME,
            "file": nullable(WRITTEN),
            "downloads": COUNT,
        }
    ),
)
EXPORT_PAGE = Named("ExportPage", object_of({"exports": array_of(EXPORT), "next": NEXT}))
REQUESTED_EXPORT = Named("RequestedExport", object_of({"id": INTEGER, "version": INTEGER, **RECORDED}))


@export_routes.get(EXPORTS_PATH)
@listing(EXPORT_PAGE, parameters=PAGES, capability=CREATE_EXPORTS)
async def list_exports(request: web.Request) -> web.Response:
    """A page of the exports, in the order they were asked for."""
    caller, parameters = permitted(request), read_parameters(request)
    must_see_all(caller)
    ledger = request.app[LEDGER]
    list_name = f"exports of {caller.org}"
    after = read_cursor(request, parameters, list_name)
    size = parameters.get("limit", DEFAULT_LIMIT)
    page = await ledger.recorder.page(caller.org, after - 1, size, type_name=REQUESTED)
    ids = [int(it.envelope()["stream"].removeprefix("export-")) for it in page.events]
    documents = await asyncio.gather(*(_document(ledger, caller.org, it) for it in ids))
    following = None if page.next_after is None else page.next_after + 1
    return page_answer(request, "exports", Page(list(documents), following), list_name)


@export_routes.post(EXPORTS_PATH)
@operation(
    REQUESTED_EXPORT,
    statuses={202: "Asked for: the job of this id does it."},
    body=NEW_EXPORT,
    capability=CREATE_EXPORTS,
    gives_headers={"Location": "Where the export is."},
)
async def request_export(request: web.Request) -> web.Response:
    """Export a range of events, all their headers, and the contents of those that are selected: 202."""
    read_parameters(request)
    members, body = await read_body_members(request)
    for name in ("recorded_from", "recorded_to"):
        if members.get(name) is not None:
            members[name] = instant_text(members[name])
    command = RequestExport(caller=request[CALLER], idempotency=idempotency(request, body), order=members)
    outcome = await request.app[LEDGER].execute(command)
    return outcome_answer(request, outcome, 202, location=f"{request.path.rstrip('/')}/{outcome.result['id']}")


@export_routes.get(ONE)
@operation(EXPORT, capability=CREATE_EXPORTS)
async def get_export(request: web.Request) -> web.Response:
    """One export: how far it is, and its file once that is written."""
    caller = permitted(request)
    must_see_all(caller)
    read_parameters(request)
    return answer(request, await _document(request.app[LEDGER], caller.org, read_variable(request, "export_id")))


@export_routes.get(ONE + "/file")
@gives(OCTETS, ZIP)
@operation(
    FILE,
    statuses=STATUSES,
    capability=CREATE_EXPORTS,
    gives_headers=SAVED,
)
async def get_export_file(request: web.Request) -> web.StreamResponse:
    """An export's file, a zip; a range of it where one is asked for. That it was given is recorded first."""
    caller = permitted(request)
    must_see_all(caller)
    read_parameters(request)
    export_id: int = read_variable(request, "export_id")
    export = await _export(request.app[LEDGER], caller.org, export_id)
    data = request.app[DATA]
    path = None if data is None else ExportFile.of(data, caller.org, export.requested_at, export_id).path
    if path is None or export.written is None or not await asyncio.to_thread(path.is_file):
        raise NotFoundError(f"Export {export_id} has no file here.", export_id=export_id)
    asked = request.headers.get("Range")
    command = RecordDownload(caller=caller, export_id=export_id, range=None if asked is None else asked[:200])
    return await send_file(request, path, ZIP, record=lambda: request.app[LEDGER].execute(command))


async def _export(ledger: Ledger, org: str, export_id: int) -> Export:
    export = await ledger.aggregate(org, export_stream(export_id))
    if not isinstance(export, Export):
        raise NotFoundError(f"There is no export {export_id}.", export_id=export_id)
    return export


async def _document(ledger: Ledger, org: str, export_id: int) -> dict[str, Any]:
    export = await _export(ledger, org, export_id)
    job = await ledger.aggregate(org, job_stream(export_id))
    known = job if isinstance(job, Job) else None
    written = export.written
    names = ("size_bytes", "sha256", "checkpoint", "from", "to", "counts")
    return {
        "id": export_id,
        "state": None if known is None else str(known.state),
        "progress": None if known is None else known.progress,
        "reason": None if known is None else known.reason,
        "version": export.version,
        "order": export.order,
        "requested_by": export.requested_by,
        "requested_at": export.requested_at,
        "file": None if written is None else {"name": written["file"], **{it: written[it] for it in names}},
        "downloads": export.downloads,
    }
