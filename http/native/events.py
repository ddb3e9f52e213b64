"""The native API's events: as they are stored, byte for byte.

{"header":<the header as it was hashed>,"content":<the content as it was hashed, or null where it was purged>}

A page as JSON; all up to the head as NDJSON; live as server-sent events, or as NDJSON with ``follow=true``.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, FORM, LEDGER
from jobledger.http.exchange import answer, answer_json
from jobledger.http.members import Reader, integer, one_of, text
from jobledger.http.native.event_answers import EVENT_LINES, EVENT_PAGE, EVENT_TEXT_PAGE, SERVER_SENT
from jobledger.http.native.event_texts import events_in_xml
from jobledger.http.native.live import JSON_LINES, SERVER_SENT_EVENTS, live_events, shown_event
from jobledger.http.native.parameters import DEFAULT_LIMIT, LINK, limit
from jobledger.http.negotiation import EVENT_STREAM, JSON, NDJSON, XML, Form, gives
from jobledger.http.operation import Parameters, operation, operation_of, permitted, read_headers, read_parameters
from jobledger.http.places import begin_stream
from jobledger.http.schema import STRING
from jobledger.http.standing import STOPPING, Standing, may_still_read
from jobledger.ledger.domain.event_types import CLASS_BY_TYPE
from jobledger.ledger.errors import InvalidCommandError, NotAllowedError
from jobledger.ledger.store.tail import must_be_itself

FORMS = (JSON, XML, NDJSON, EVENT_STREAM)
HEAD = "head"

event_routes = web.RouteTableDef()

position = integer(-1, 2**63 - 1)


def read_after(value: Any) -> int | str:
    """A position, -1 for the beginning, or ``head``."""
    return HEAD if value == HEAD else position(value)


def read_type(value: Any) -> str:
    """A type of events."""
    if value not in CLASS_BY_TYPE:
        raise ValueError("is no type of events")
    return str(value)


def read_seen(value: str) -> int | None:
    """The position of the event that a client of server-sent events saw last; None where that is empty."""
    if value and not re.fullmatch(r"-1|[0-9]{1,18}", value):
        raise ValueError("is not the position of an event")
    return int(value) if value else None


AFTER = Reader(read_after, {"anyOf": [position.schema, {**STRING, "enum": [HEAD]}]}).about(
    "Begin beyond this position; `head`, for who follows: with what comes next."
)
PARAMETERS = Parameters(
    {
        "after": AFTER,
        "limit": limit,
        "follow": one_of("true", "false").about("Stay at the head, in NDJSON; server-sent events always do."),
    }
)
FILTERS = {
    "type": Reader(read_type, {**STRING, "enum": list(CLASS_BY_TYPE)}),
    "stream": text(100).about("Of one aggregate, such as `job-42`."),
}
FILTERED = Parameters({**PARAMETERS, **FILTERS})
SEEN = {
    "Last-Event-ID": Reader(read_seen, {**STRING, "pattern": "^(|-1|[0-9]{1,18})$"}).about(
        "Of server-sent events: the last `id` that was seen; counts before `after`."
    )
}
EVENTS_IN = {"xml": EVENT_TEXT_PAGE, "ndjson": EVENT_LINES, "sse": SERVER_SENT}


@event_routes.get("/ledger/v1/{org}/events")
@gives(*FORMS)
@operation(EVENT_PAGE, forms=EVENTS_IN, parameters=FILTERED, headers=SEEN, capability="events.read", gives_headers=LINK)
async def get_events(request: web.Request) -> web.StreamResponse:
    """A page of the org's events by position; as NDJSON all of them, streamed, up to the head as it stands."""
    caller = permitted(request)
    if caller.domains is not None:
        raise NotAllowedError("The ledger's events are of all domains, and you may see only some.")
    return await event_page(request)


async def event_page(request: web.Request, stream: str | None = None, until: int | None = None) -> web.StreamResponse:
    """Events of *stream*, or those that the query asks for, in the form that ``Accept`` does; up to position *until*, included."""
    wanted, seen = read_parameters(request), read_headers(request)["Last-Event-ID"]
    type_name = wanted.get("type")
    capability = operation_of(request).capability or ""
    stream = stream or wanted.get("stream")
    if is_live(request[FORM], wanted):
        if until is not None:
            raise InvalidCommandError("What is live goes on; as_of has an end.", parameter="as_of")
        async with request.app[LEDGER].following.follow(
            request[CALLER].org,
            live_after(seen if request[FORM] is EVENT_STREAM else None, wanted),
            type_name=type_name,
            stream=stream,
        ) as follower:
            kind = SERVER_SENT_EVENTS if request[FORM] is EVENT_STREAM else JSON_LINES
            return await live_events(request, kind, follower, most=wanted.get("limit"), capability=capability)
    if request[FORM] is NDJSON:
        return await _stream_events(
            request, wanted.get("after", -1), wanted.get("limit"), type_name, stream, capability, until
        )
    page = await request.app[LEDGER].recorder.page(
        request[CALLER].org,
        wanted.get("after", -1),
        wanted.get("limit", DEFAULT_LIMIT),
        type_name=type_name,
        stream=stream,
    )
    if until is not None:
        page = page.up_to(until)
    for it in page.events:
        must_be_itself(request[CALLER].org, it)
    headers = {}
    if page.next_after is not None:
        headers["Link"] = f'<{request.rel_url.update_query(after=page.next_after)}>; rel="next"'
    if request[FORM] is XML:
        return answer(request, events_in_xml(page), headers=headers)
    body = b'{"events":[%b],"next_after":%b}' % (
        b",".join(map(shown_event, page.events)),
        orjson.dumps(page.next_after),
    )
    return answer_json(request, body, headers=headers)


def is_live(form: Form, wanted: dict[str, Any]) -> bool:
    """Whether the answer stays at the head. Raises InvalidCommandError for what only a live one, or none, can have."""
    follow = wanted.get("follow")
    if form is EVENT_STREAM:
        if follow == "false":
            raise InvalidCommandError("Server-sent events are live.", parameter="follow")
        return True
    if follow == "true":
        if form is not NDJSON:
            raise InvalidCommandError(
                f"To follow, accept {NDJSON.media_type} or {EVENT_STREAM.media_type}.", parameter="follow"
            )
        return True
    if wanted.get("after") == HEAD:
        raise InvalidCommandError("Only who follows can begin at the head.", parameter="after")
    return False


def live_after(seen: int | None, wanted: dict[str, Any]) -> int | None:
    """The position after which a live answer begins, None for the head. Raises InvalidCommandError.

    What a client of server-sent events has *seen* last counts before ``after``: it comes back with the URL that it began with.
    Without either it is the beginning, as for every other answer: who builds on the events misses none by leaving it out.
    """
    if seen is not None:
        return seen
    after = wanted.get("after", -1)
    return None if after == HEAD else int(after)


async def _stream_events(
    request: web.Request,
    after: int,
    most: int | None,
    type_name: str | None,
    stream: str | None,
    capability: str,
    until: int | None,
) -> web.StreamResponse:
    """NDJSON, a page at a time from the store, so that an answer of any length takes little memory."""
    recorder, org = request.app[LEDGER].recorder, request[CALLER].org
    size = min(most or 1000, 1000)
    # The first page before the answer begins: what is wrong with the request is still told in its status.
    page = await recorder.page(org, after, size, type_name=type_name, stream=stream)
    for it in page.events:
        must_be_itself(org, it)
    end = (await recorder.head(org)).size if until is None else until + 1
    standing, stopping = Standing(request), request.app[STOPPING]
    stopping.must_not_have_begun()
    begin_stream(request)
    response = web.StreamResponse(headers={"Content-Type": NDJSON.content_type})
    await response.prepare(request)
    # What is written in answer to HEAD would be taken for the next answer.
    while request.method != "HEAD":
        lines = [shown_event(it) + b"\n" for it in page.events if it.position < end]
        if lines:
            await response.write(b"".join(lines))
        if page.next_after is None or page.next_after + 1 >= end or most is not None:
            break
        # What ends it before its end breaks it off, behind a line: by that a client knows that it is not all.
        stopping.must_not_have_begun()
        if not may_still_read(request[CALLER], await standing.caller(), capability):
            raise NotAllowedError("You may not read on.")
        page = await recorder.page(org, page.next_after, size, type_name=type_name, stream=stream)
        for it in page.events:
            must_be_itself(org, it)
    await response.write_eof()
    return response
