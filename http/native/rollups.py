"""The native API's rollups: how many jobs ended, how long they ran and what they moved."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.context import CATCH_UP, CURSOR_KEY, ROLLUPS
from jobledger.http.members import one_of, reads, text
from jobledger.http.native.answers import A_STATE, NEXT
from jobledger.http.native.lists import list_answer, listing
from jobledger.http.native.parameters import DEFAULT_LIMIT, cursor, limit
from jobledger.http.operation import Parameters, permitted, read_parameters, several
from jobledger.http.schema import INTEGER, STRING, Named, array_of, nullable, object_of
from jobledger.ledger.domain.job import FINAL_STATES
from jobledger.ledger.errors import ProjectionIsBehindError
from jobledger.projections.rollup_query import SHOWN, RollupFilter
from jobledger.projections.rollups import Group, RollupsProjection

READ_JOBS = "jobs.read"
# Type and domain stand in it, of up to 200 characters each.
LONGEST_CURSOR = 3_000
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

rollup_routes = web.RouteTableDef()


@reads({**STRING, "format": "date"})
def day(value: Any) -> date:
    """A day as ``yyyy-mm-dd``."""
    try:
        # Python reads days of weeks, too.
        if DAY.fullmatch(value) is None:
            raise ValueError
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("is not a day like 2026-11-21") from None


FILTERS = Parameters(
    {
        "day_from": day.about("Included."),
        "day_to": day.about("Not included."),
        "type": text(200),
        "domain": text(200),
        "state": several(one_of(*sorted(FINAL_STATES))),
        "limit": limit,
        "cursor": replace(
            cursor, read=text(LONGEST_CURSOR).read, schema={**cursor.schema, "maxLength": LONGEST_CURSOR}
        ),
    },
    lists=frozenset({"state"}),
)
SECONDS = {"type": "number", "minimum": 0}
ROLLUP = Named(
    "Rollup",
    object_of(
        {
            "day": {**STRING, "format": "date"},
            "type": STRING,
            "domain": STRING,
            "state": A_STATE,
            "jobs": INTEGER,
            "timed_jobs": INTEGER,
            "duration_total": SECONDS,
            "duration_p50": nullable(SECONDS),
            "duration_p95": nullable(SECONDS),
            "bytes": INTEGER,
        }
    ),
)
ROLLUP_PAGE = Named("RollupPage", object_of({"rollups": array_of(ROLLUP), "next": NEXT, "position": INTEGER}))


@rollup_routes.get("/ledger/v1/{org}/rollups")
@listing(
    ROLLUP_PAGE,
    parameters=FILTERS,
    capability=READ_JOBS,
    may=(ProjectionIsBehindError,),
)
async def list_rollups(request: web.Request) -> web.Response:
    """A page of the jobs that ended, counted by day, type, domain and final state, as of the ledger when it was asked."""
    caller = permitted(request)
    parameters = read_parameters(request)
    size = parameters.pop("limit", DEFAULT_LIMIT)
    following_of = parameters.pop("cursor", None)
    states = parameters.pop("state", None)
    wanted = RollupFilter(states=None if states is None else tuple(sorted(set(states))), **parameters)
    list_name = f"rollups of {caller.org}: {wanted!r}"
    keys = request.app[CURSOR_KEY]
    after = None if following_of is None else _read_place(keys.read_place(following_of, list_name))
    position = await request.app[CATCH_UP].wait_for(caller.org, RollupsProjection.name)
    page = await request.app[ROLLUPS].page(caller.org, wanted, caller.domains, after=after, limit=size)
    following = None if page.next_after is None else keys.place_cursor(_place(page.next_after), list_name)
    return list_answer(request, "rollups", page.rollups, following, columns=SHOWN, position=position - 1)


def _place(group: Group) -> bytes:
    return orjson.dumps([group[0].isoformat(), *group[1:]])


def _read_place(place: bytes) -> Group:
    on, type_name, domain, state = orjson.loads(place)
    return date.fromisoformat(on), type_name, domain, state
