"""``checkStatus`` and ``healthCheck`` of an item: whether this server can answer for it."""

from __future__ import annotations

from aiohttp import web

from jobledger.http.exchange import answer
from jobledger.http.operation import operation, read_parameters
from jobledger.http.workflow.answers import DONE
from jobledger.http.workflow.dialect import ITEM
from jobledger.http.workflow.items import item_domain

health_routes = web.RouteTableDef()


@health_routes.get(ITEM + "/checkStatus")
@operation(DONE)
async def check_status(request: web.Request) -> web.Response:
    """Whether the item is there; asked of the database."""
    return await _checked(request)


@health_routes.get(ITEM + "/healthCheck")
@operation(DONE)
async def health_check(request: web.Request) -> web.Response:
    """Whether the item is there; asked of the database."""
    return await _checked(request)


async def _checked(request: web.Request) -> web.Response:
    read_parameters(request)
    await item_domain(request)
    return answer(request, {"success": True})
