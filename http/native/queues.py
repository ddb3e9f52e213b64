"""The native API's queues: which there are, and how they stand. Messages are taken over the space dialect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from jobledger.http.context import DOMAINS, QUEUES_QUERY
from jobledger.http.exchange import answer
from jobledger.http.native.lists import listing, page_answer
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, limit
from jobledger.http.native.principals import read_cursor
from jobledger.http.native.queue_answers import QUEUE, QUEUE_PAGE
from jobledger.http.operation import Parameters, operation, permitted, read_parameters, read_variable
from jobledger.ledger.domain.queue_commands import MANAGE_QUEUES, USE_QUEUES

QUEUES_PATH = "/ledger/v1/{org}/queues"
PAGES = Parameters({"limit": limit, "cursor": cursor})

queue_list_routes = web.RouteTableDef()


@queue_list_routes.get(QUEUES_PATH)
@listing(QUEUE_PAGE, parameters=PAGES, capability=USE_QUEUES)
async def list_queues(request: web.Request) -> web.Response:
    """A page of the caller's queues, to who manages queues of all, by id."""
    caller, parameters = permitted(request), read_parameters(request)
    list_name = f"queues of {caller.org}: {None if MANAGE_QUEUES in caller.capabilities else caller.principal!r}"
    after = read_cursor(request, parameters, list_name)
    page = await request.app[QUEUES_QUERY].queues(caller, after=after, limit=parameters.get("limit", DEFAULT_LIMIT))
    shown = replace(page, documents=await _shown(request, caller.org, page.documents))
    return page_answer(request, "queues", shown, list_name)


@queue_list_routes.get(QUEUES_PATH + "/{queue_id}")
@operation(QUEUE, capability=USE_QUEUES)
async def get_queue(request: web.Request) -> web.Response:
    """One queue. Asking does not count as using it."""
    caller = permitted(request)
    read_parameters(request)
    found = await request.app[QUEUES_QUERY].queue(caller, read_variable(request, "queue_id"))
    [shown] = await _shown(request, caller.org, [found])
    return answer(request, shown)


async def _shown(request: web.Request, org: str, queues: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The queues with their owners' names."""
    names = await request.app[DOMAINS].names(org, {it["owner"] for it in queues})
    return [{**it, "owner": names[it["owner"]]} for it in queues]
