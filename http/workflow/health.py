"""``checkStatus`` and ``healthCheck`` of an item: whether this server can answer for it."""

from __future__ import annotations

from aiohttp import web

from jobledger.http.exchange import answer
from jobledger.http.workflow.dialect import ITEM
from jobledger.http.workflow.items import item_domain, parameters

health_routes = web.RouteTableDef()


@health_routes.get(ITEM + "/checkStatus")
@health_routes.get(ITEM + "/healthCheck")
async def check(request: web.Request) -> web.Response:
    """That the item is there; asked of the database."""
    parameters(request)
    await item_domain(request)
    return answer(request, {"success": True})
