"""The native API's rollups: how many jobs ended, how long they ran and what they moved."""

from __future__ import annotations

from datetime import date
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, CATCH_UP, CURSOR_KEY, FORM, ROLLUPS
from jobledger.http.csv_rows import write_csv
from jobledger.http.exchange import answer
from jobledger.http.members import Reader, one_of, text
from jobledger.http.native.parameters import DEFAULT_LIMIT, limit, read_parameters
from jobledger.http.negotiation import CSV, JSON, XML, gives
from jobledger.ledger.domain.job import FINAL_STATES
from jobledger.projections.rollup_query import SHOWN, RollupFilter
from jobledger.projections.rollups import Group, RollupsProjection

READ_JOBS = "jobs.read"
# Type and domain stand in it, of up to 200 characters each.
LONGEST_CURSOR = 3_000

rollup_routes = web.RouteTableDef()


def day(value: Any) -> date:
    """A day as ``yyyy-mm-dd``."""
    try:
        if len(value) != len("yyyy-mm-dd"):
            raise ValueError
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("is not a day like 2026-11-21") from None


one_state = one_of(*sorted(FINAL_STATES))
FILTERS: dict[str, Reader] = {
    "day_from": day,
    "day_to": day,
    "type": text(200),
    "domain": text(200),
    "state": lambda values: tuple(sorted({one_state(value) for value in values})),
    "limit": limit,
    "cursor": text(LONGEST_CURSOR),
}


@rollup_routes.get("/ledger/v1/{org}/rollups")
@gives(JSON, XML, CSV)
async def list_rollups(request: web.Request) -> web.Response:
    """A page of the rollups that the caller may see and the filter lets through, as of the ledger when it was asked."""
    caller = request[CALLER]
    caller.must(READ_JOBS)
    parameters = read_parameters(request, FILTERS, lists=frozenset({"state"}))
    size = parameters.pop("limit", DEFAULT_LIMIT)
    cursor = parameters.pop("cursor", None)
    states = parameters.pop("state", None)
    wanted = RollupFilter(states=states, **parameters)
    list_name = f"rollups of {caller.org}: {wanted!r}"
    keys = request.app[CURSOR_KEY]
    after = None if cursor is None else _read_place(keys.read_place(cursor, list_name))
    position = await request.app[CATCH_UP].wait_for(caller.org, RollupsProjection.name)
    page = await request.app[ROLLUPS].page(caller.org, wanted, caller.domains, after=after, limit=size)
    following = None if page.next_after is None else keys.place_cursor(_place(page.next_after), list_name)
    headers = {}
    if following is not None:
        headers["Link"] = f'<{request.rel_url.update_query(cursor=following)}>; rel="next"'
    if request[FORM] is CSV:
        return web.Response(body=write_csv(SHOWN, page.rollups), headers={**headers, "Content-Type": CSV.content_type})
    shown = {"rollups": page.rollups, "next": following, "position": position - 1}
    return answer(request, shown, headers=headers)


def _place(group: Group) -> bytes:
    return orjson.dumps([group[0].isoformat(), *group[1:]])


def _read_place(place: bytes) -> Group:
    on, type_name, domain, state = orjson.loads(place)
    return date.fromisoformat(on), type_name, domain, state
