"""Pull consumers: taking messages from a queue, one after the other, each link leading to the next.

    POST …/pull-consumers → 201, Location: …/attributes-0/<id>, msg-consume-next: …/<id>/consume-next-1
    POST …/consume-next-1, Accept-Wait: 30 → 200, the message, msg-consume-next: …/<id>/consume-next8
    POST …/consume-next8 → 503 Timed out waiting for message receive., the same link

With ``autoAck=false`` the links are ``acknowledge-next``, and of each message ``acknowledgement``.
"""

from __future__ import annotations

from time import monotonic
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import orjson
from aiohttp import web

from jobledger.http.context import CALLER, MESSAGE_WAITING, MESSAGES
from jobledger.http.document import UnsupportedMediaTypeError, read_body
from jobledger.http.members import Members, Reader, reads
from jobledger.http.negotiation import JSON, XML, gives
from jobledger.http.operation import Body, operation, read_headers, read_parameters, read_variable
from jobledger.http.places import begin_stream
from jobledger.http.schema import STRING, object_of
from jobledger.http.space.answers import PROGRESS
from jobledger.http.space.dialect import CONSUMER, CONSUMERS, StaleLinkError
from jobledger.http.space.documents import reply
from jobledger.http.space.flags import flag
from jobledger.http.space.job_documents import progress_update
from jobledger.http.space.queues import found_queue, queue_url
from jobledger.http.standing import STOPPING, Standing
from jobledger.ledger.domain.queue import TooManyConsumersError
from jobledger.ledger.domain.queue_commands import USE_QUEUES
from jobledger.ledger.errors import InvalidCommandError, NotFoundError
from jobledger.ledger.store.messages import FIRST, Given
from jobledger.projections.queue_query import FoundQueue

FORM_TYPE = "application/x-www-form-urlencoded"
LARGEST_FORM_BYTES = 64 * 1024
TIMED_OUT = "Timed out waiting for message receive."
STALE = "This link is stale: go on at the one in the header."
# Less than what makes a consumer idle.
LONGEST_WAIT_S = 240

consumer_routes = web.RouteTableDef()


@reads({**STRING, "pattern": "^ *[0-9]{0,9} *$"})
def wait(value: Any) -> int:
    """Whole seconds; none: 0."""
    text = value.strip()
    if text and not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise ValueError("is not a number of seconds")
    return min(int(text or 0), LONGEST_WAIT_S)


WAIT: dict[str, Reader[Any]] = {"Accept-Wait": wait.about(f"How many seconds to wait, at most {LONGEST_WAIT_S}.")}
LINKS = {
    "msg-consume-next": "Where the next message is had.",
    "msg-acknowledge-next": "Likewise, of a consumer that acknowledges by itself.",
    "msg-acknowledgement": "Where the message is acknowledged.",
    "msg-consumer": "The consumer.",
}


def form_of(name: str) -> Body:
    """A form of one field, true or false."""
    return Body(media_types={FORM_TYPE: object_of({name: STRING})}, is_needed=False)


async def read_form_flag(request: web.Request, name: str) -> bool | None:
    """The field of a form, None for none. Raises InvalidCommandError, UnsupportedMediaTypeError."""
    body = await read_body(request, LARGEST_FORM_BYTES)
    if not body.strip():
        return None
    # As everywhere: a body that says of itself nothing is what is taken here.
    if request.headers.get("Content-Type", "").strip() and request.content_type != FORM_TYPE:
        raise UnsupportedMediaTypeError(f"A body here is {FORM_TYPE}.", content_type=request.content_type)
    try:
        given = parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=10)
        [(found, value)] = given
    except ValueError:
        raise InvalidCommandError(f"The form has one field, {name}.") from None
    if found != name:
        raise InvalidCommandError(f"The form has one field, {name}.")
    return Members({name: flag}).read({name: value}).get(name)


def consumer_url(request: web.Request, queue: FoundQueue, consumer: UUID) -> str:
    """Where the consumer is."""
    return f"{queue_url(request, queue.name)}/pull-consumers/attributes-0/{consumer.hex}"


def links(url: str, position: int, *, auto_acknowledge: bool) -> dict[str, str]:
    """What every answer of a consumer says: where it goes on."""
    name = "consume-next" if auto_acknowledge else "acknowledge-next"
    return {f"msg-{name}": f"{url}/{name}{position}", "msg-consumer": url}


@consumer_routes.post(CONSUMERS)
@gives(XML, JSON)
@operation(
    {},
    capability=USE_QUEUES,
    body=form_of("autoAck"),
    statuses={201: "The consumer was made."},
    may=(TooManyConsumersError,),
    gives_headers={"Location": "Where it is.", **LINKS},
    marks_replays=False,
)
async def create_consumer(request: web.Request) -> web.Response:
    """Make a consumer of a queue."""
    queue = await found_queue(request)
    read_parameters(request)
    given = await read_form_flag(request, "autoAck")
    auto_acknowledge = given is not False
    consumer = uuid4()
    await request.app[MESSAGES].create_consumer(queue.org, queue.queue_id, consumer, auto_acknowledge=auto_acknowledge)
    url = consumer_url(request, queue, consumer)
    return web.Response(status=201, headers={"Location": url, **links(url, FIRST, auto_acknowledge=auto_acknowledge)})


@consumer_routes.get(CONSUMER)
@gives(XML, JSON)
@operation({}, capability=USE_QUEUES, statuses={204: "It is there."}, gives_headers=LINKS)
async def show_consumer(request: web.Request) -> web.Response:
    """Where a consumer goes on."""
    queue = await found_queue(request)
    read_parameters(request)
    consumer = read_variable(request, "consumer_id")
    found = await request.app[MESSAGES].consumer(queue.org, queue.queue_id, consumer)
    if found is None:
        raise NotFoundError("Consumer does not exist.")
    url = consumer_url(request, queue, consumer)
    return web.Response(status=204, headers=links(url, found.position, auto_acknowledge=found.auto_acknowledge))


@consumer_routes.delete(CONSUMER)
@gives(XML, JSON)
@operation({}, capability=USE_QUEUES, statuses={204: "It is no more."})
async def drop_consumer(request: web.Request) -> web.Response:
    """Drop a consumer."""
    queue = await found_queue(request)
    read_parameters(request)
    consumer = read_variable(request, "consumer_id")
    if not await request.app[MESSAGES].drop_consumer(queue.org, queue.queue_id, consumer):
        raise NotFoundError("Consumer does not exist.")
    request.app[MESSAGE_WAITING].wake(queue.org, queue.queue_id)
    return web.Response(status=204)


takes_next = operation(
    PROGRESS,
    capability=USE_QUEUES,
    body=form_of("autoAck"),
    headers=WAIT,
    # There was none within the wait: 503, with the text that clients know.
    statuses={200: "The next message."},
    may=(TooManyConsumersError, StaleLinkError),
    gives_headers=LINKS,
    marks_replays=False,
)


@consumer_routes.post(f"{CONSUMER}/consume-next{{place}}")
@gives(XML, JSON)
@takes_next
async def consume_next(request: web.Request) -> web.Response:
    """Take the next message; the one before is acknowledged by it."""
    return await take_next(request, auto_acknowledge=True)


@consumer_routes.post(f"{CONSUMER}/acknowledge-next{{place}}")
@gives(XML, JSON)
@takes_next
async def acknowledge_next(request: web.Request) -> web.Response:
    """Take the next message, to be acknowledged."""
    return await take_next(request, auto_acknowledge=False)


async def take_next(request: web.Request, *, auto_acknowledge: bool) -> web.Response:
    """The next message, waited for as long as the client wants."""
    queue = await found_queue(request)
    read_parameters(request)
    wait_s = read_headers(request)["Accept-Wait"]
    await read_form_flag(request, "autoAck")
    consumer, place = read_variable(request, "consumer_id"), read_variable(request, "place")
    url = consumer_url(request, queue, consumer)
    given = await _given(request, queue, consumer, place, wait_s, auto_acknowledge=auto_acknowledge)
    headers = links(url, given.position, auto_acknowledge=auto_acknowledge)
    if given.is_stale:
        raise StaleLinkError(STALE, headers=headers)
    if given.message is None:
        return web.Response(status=503, text=TIMED_OUT, content_type="text/plain", headers=headers)
    if not auto_acknowledge:
        headers = {"msg-acknowledgement": f"{url}/acknowledgement{given.message.message_id}", "msg-consumer": url}
    return reply(request, progress_update(orjson.loads(given.message.body)), headers=headers)


async def _given(
    request: web.Request, queue: FoundQueue, consumer: UUID, place: int, wait_s: int, *, auto_acknowledge: bool
) -> Given:
    store, deadline = request.app[MESSAGES], monotonic() + wait_s
    if not wait_s:
        return await store.consume(queue.org, queue.queue_id, consumer, place, auto_acknowledge=auto_acknowledge)
    standing = Standing(request)
    async with request.app[MESSAGE_WAITING].at(queue.org, queue.queue_id) as waiter:
        with request.app[STOPPING].told_to(waiter.end):
            while True:
                # One that waits holds neither a thread nor a connection, nor one of its org's places for requests.
                given = await store.consume(
                    queue.org, queue.queue_id, consumer, place, auto_acknowledge=auto_acknowledge
                )
                if given.message is not None or given.is_stale:
                    return given
                begin_stream(request)
                place = given.position
                if not await waiter.wait(deadline):
                    return given
                # Who was shut out meanwhile takes nothing any more.
                request[CALLER] = await standing.caller()
                queue = await found_queue(request)


@consumer_routes.post(f"{CONSUMER}/acknowledgement{{message}}")
@gives(XML, JSON)
@operation(
    {},
    capability=USE_QUEUES,
    body=form_of("acknowledge"),
    statuses={204: "So it is."},
    may=(StaleLinkError,),
    gives_headers=LINKS,
    marks_replays=False,
)
async def acknowledge(request: web.Request) -> web.Response:
    """Acknowledge a message, or put it back."""
    queue = await found_queue(request)
    read_parameters(request)
    is_taken = await read_form_flag(request, "acknowledge")
    if is_taken is None:
        raise InvalidCommandError("The form has one field, acknowledge.")
    consumer, message_id = read_variable(request, "consumer_id"), read_variable(request, "message")
    url = consumer_url(request, queue, consumer)
    store = request.app[MESSAGES]
    if not await store.acknowledge(queue.org, queue.queue_id, consumer, message_id, is_taken=is_taken):
        found = await store.consumer(queue.org, queue.queue_id, consumer)
        position = FIRST if found is None else found.position
        raise StaleLinkError(STALE, headers=links(url, position, auto_acknowledge=False))
    if not is_taken:
        request.app[MESSAGE_WAITING].wake(queue.org, queue.queue_id)
    return web.Response(status=204, headers=links(url, message_id, auto_acknowledge=False))
