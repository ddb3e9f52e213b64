"""``as_of``: what was, at a position of the ledger or at a time, which is the last position recorded by then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.context import CATCH_UP, CURSOR_KEY, PAST
from jobledger.http.members import instant, integer, reads
from jobledger.ledger.domain.command import Caller
from jobledger.projections.job_history import JobHistoryProjection
from jobledger.projections.past_query import Moment

EPOCH, MICROSECOND = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)

position = integer(0, 2**63 - 1)


@reads({"anyOf": [position.schema, instant.schema]})
def position_or_instant(value: Any) -> int | datetime:
    """A position, or an instant."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return position.read(value)
    try:
        return instant.read(value)
    except ValueError:
        raise ValueError("is neither a position nor an instant like 2026-11-21T22:34:05Z") from None


as_of = position_or_instant.about(
    "As it stood at this position, or at this time: after the last event recorded by then."
)


async def moment_of(request: web.Request, caller: Caller, asked: int | datetime) -> Moment:
    """The moment that is asked of, up to which the history of jobs is known.

    Raises InvalidCommandError for one that is yet to come, ProjectionIsBehindError.
    """
    moment = await request.app[PAST].moment(caller.org, asked)
    await request.app[CATCH_UP].wait_for(caller.org, JobHistoryProjection.name)
    return moment


def past_cursor(request: web.Request, after: int, moment: Moment, list_name: str) -> str:
    """The cursor of a list as it stood: the pages that follow are of the very same moment."""
    place = orjson.dumps([after, moment.position, (moment.now - EPOCH) // MICROSECOND])
    return request.app[CURSOR_KEY].place_cursor(place, list_name)


def read_past_cursor(request: web.Request, cursor: str, list_name: str) -> tuple[int, Moment]:
    """What ``past_cursor`` made it of. Raises InvalidCommandError."""
    after, at, now = orjson.loads(request.app[CURSOR_KEY].read_place(cursor, list_name))
    return after, Moment(at, EPOCH + now * MICROSECOND)
