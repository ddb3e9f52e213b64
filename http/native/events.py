"""The native API's events: as they are stored, byte for byte.

{"header":<the header as it was hashed>,"content":<the content as it was hashed, or null where it was purged>}
"""

from __future__ import annotations

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, FORM, LEDGER
from jobledger.http.exchange import answer, answer_json
from jobledger.http.members import integer, text
from jobledger.http.native.event_texts import events_in_xml
from jobledger.http.native.parameters import DEFAULT_LIMIT, limit, read_parameters
from jobledger.http.negotiation import JSON, NDJSON, XML, gives
from jobledger.ledger.domain.event_types import CLASS_BY_TYPE
from jobledger.ledger.errors import InvalidCommandError, NotAllowedError
from jobledger.ledger.store.codec import StoredEvent

FORMS = (JSON, XML, NDJSON)
# A streamed answer is written in pieces of about this size.
PIECE_BYTES = 64 * 1024

event_routes = web.RouteTableDef()

PARAMETERS = {"after": integer(-1, 2**63 - 1), "limit": limit}
FILTERS = {"type": text(100), "stream": text(100)}


@event_routes.get("/ledger/v1/{org}/events")
@gives(*FORMS)
async def get_events(request: web.Request) -> web.StreamResponse:
    """A page of the org's events by position; as NDJSON all of them, streamed, up to the head as it stands."""
    caller = request[CALLER]
    caller.must("events.read")
    if caller.domains is not None:
        raise NotAllowedError("The ledger's events are of all domains, and you may see only some.")
    return await event_page(request)


async def event_page(request: web.Request, stream: str | None = None) -> web.StreamResponse:
    """Events of *stream*, or those that the query asks for, in the form that ``Accept`` does."""
    readers = PARAMETERS if stream is not None else {**PARAMETERS, **FILTERS}
    wanted = read_parameters(request, readers)
    type_name = wanted.get("type")
    if type_name is not None and type_name not in CLASS_BY_TYPE:
        raise InvalidCommandError(f"There are no events of type {type_name}.", parameter="type")
    stream = stream or wanted.get("stream")
    if request[FORM] is NDJSON:
        return await _stream_events(request, wanted.get("after", -1), wanted.get("limit"), type_name, stream)
    page = await request.app[LEDGER].recorder.page(
        request[CALLER].org,
        wanted.get("after", -1),
        wanted.get("limit", DEFAULT_LIMIT),
        type_name=type_name,
        stream=stream,
    )
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


async def _stream_events(
    request: web.Request, after: int, most: int | None, type_name: str | None, stream: str | None
) -> web.StreamResponse:
    """NDJSON, a page at a time from the store, so that an answer of any length takes little memory."""
    recorder, org = request.app[LEDGER].recorder, request[CALLER].org
    size = min(most or 1000, 1000)
    # The first page before the answer begins: what is wrong with the request is still told in its status.
    page = await recorder.page(org, after, size, type_name=type_name, stream=stream)
    end = (await recorder.head(org)).size
    response = web.StreamResponse(headers={"Content-Type": NDJSON.content_type})
    await response.prepare(request)
    # What is written in answer to HEAD would be taken for the next answer.
    while request.method != "HEAD":
        lines = [shown_event(it) + b"\n" for it in page.events if it.position < end]
        if lines:
            await response.write(b"".join(lines))
        if page.next_after is None or page.next_after + 1 >= end or most is not None:
            break
        page = await recorder.page(org, page.next_after, size, type_name=type_name, stream=stream)
    await response.write_eof()
    return response


def shown_event(stored: StoredEvent) -> bytes:
    """The event as a JSON object that holds its stored bytes verbatim."""
    return b'{"header":%b,"content":%b}' % (stored.header, stored.content or b"null")
