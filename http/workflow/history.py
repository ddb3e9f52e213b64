"""``/{orgId}/{itemId}/jobs/{id}/history``: the ledger's events of the job, as this dialect calls them. There is no second log."""

from __future__ import annotations

from aiohttp import web

from jobledger.http.context import DOMAINS, LEDGER
from jobledger.http.exchange import answer
from jobledger.http.members import integer
from jobledger.http.operation import Parameters, operation, read_parameters
from jobledger.http.workflow.answers import HISTORY
from jobledger.http.workflow.dialect import ITEM
from jobledger.http.workflow.items import READ_JOBS, item_caller, visible_job
from jobledger.http.workflow.job_documents import SUCCESS, shown_event
from jobledger.http.workflow.jobs import shown_holds
from jobledger.ledger.domain.job import job_stream

LARGEST_PAGE = 1_000
PARAMETERS = Parameters({"start": integer(0, 2**31 - 1), "num": integer(1, LARGEST_PAGE)})

history_routes = web.RouteTableDef()


@history_routes.get(ITEM + "/jobs/{job_id}/history")
@operation(HISTORY, parameters=PARAMETERS, capability=READ_JOBS)
async def get_history(request: web.Request) -> web.Response:
    """The job's events from the *start*-th on, up to *num* (1,000); and, with the last, the holds whose filter covers it."""
    caller = await item_caller(request)
    wanted = read_parameters(request)
    start, size = wanted.get("start", 0), wanted.get("num", LARGEST_PAGE)
    job = await visible_job(request, caller)
    ledger = request.app[LEDGER]
    # Versions are gapless, so an event's place in the history is its version.
    events = await ledger.recorder.stream_page(caller.org, job_stream(job["id"]), start, size + 1)
    told = [(it.envelope(), it.event().data) for it in events[:size] if it.content is not None]
    names = await request.app[DOMAINS].names(caller.org, {header["by"] for header, _ in told})
    history = [shown_event(job["id"], header, data, names.get(header["by"], header["by"])) for header, data in told]
    is_whole = len(events) <= size
    if is_whole:
        # These are in the streams of the holds, however many jobs they cover.
        history += [
            {
                "date": it["holdDate"],
                "jobId": str(job["id"]),
                "stepId": None,
                "username": None,
                "action": "Held",
                "result": SUCCESS,
                "message": it["name"],
                "type": "hold.placed",
                "version": None,
            }
            for it in await shown_holds(request, caller, job["id"])
            if it["isFilter"]
        ]
    return answer(request, {"jobHistory": history, "start": start, "nextStart": -1 if is_whole else start + size})
