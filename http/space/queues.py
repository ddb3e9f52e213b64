"""Queues: ``/api/hornet-q/queues``. Source: the REST interface of HornetQ 2.2, as far as clients of Junos Space use it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from jobledger.http.context import LEDGER, MESSAGES, QUEUES_QUERY
from jobledger.http.members import Members, Reader
from jobledger.http.native.jobs import told_of
from jobledger.http.native.parameters import idempotency
from jobledger.http.negotiation import JSON, XML, gives
from jobledger.http.operation import operation, permitted, read_body_members, read_parameters, read_variable
from jobledger.http.space.answers import QUEUE as QUEUE_DOCUMENT
from jobledger.http.space.bodies import must_be_sent_as, whole
from jobledger.http.space.dialect import QUEUE, QUEUE_PREFIX, QUEUES, queue_name
from jobledger.http.space.documents import reply
from jobledger.http.space.flags import flag
from jobledger.http.urls import public_url
from jobledger.ledger.domain.queue import QueueExistsError, TooManyQueuesError
from jobledger.ledger.domain.queue_commands import USE_QUEUES, CreateQueue, DeleteQueue
from jobledger.projections.queue_query import FoundQueue

QUEUE_TYPE = "application/hornetq.jms.queue"
# Whatever it says of itself: nothing is refused that HornetQ takes.
READERS: dict[str, Reader[Any]] = {"@name": queue_name, "durable": flag}

queue_routes = web.RouteTableDef()

new_queue: Reader[dict[str, Any]] = whole(Members(READERS, needed=("@name",)), lambda given: given)
NEW_QUEUE = Members({"queue": new_queue}, needed=("queue",))


def queue_url(request: web.Request, name: str) -> str:
    """Where the queue is."""
    return f"{public_url(request)}{QUEUES}/{QUEUE_PREFIX}{name}"


async def found_queue(request: web.Request) -> FoundQueue:
    """The queue of the path, which the caller may use. Raises NotAllowedError, NotFoundError, DatabaseIsAwayError."""
    caller = permitted(request)
    return await request.app[QUEUES_QUERY].find(caller, read_variable(request, "queue"))


@queue_routes.post(QUEUES)
@gives(XML, JSON)
@operation(
    {},
    capability=USE_QUEUES,
    body=NEW_QUEUE,
    statuses={201: "The queue was made."},
    may=(QueueExistsError, TooManyQueuesError),
    gives_headers={"Location": "Where it is."},
)
async def create_queue(request: web.Request) -> web.Response:
    """Make a queue."""
    caller = permitted(request)
    read_parameters(request)
    must_be_sent_as(request)
    given, body = await read_body_members(request)
    asked = given["queue"]
    command = CreateQueue(
        caller=caller,
        idempotency=idempotency(request, body),
        name=asked["@name"],
        durable=asked.get("durable", False),
    )
    outcome = await request.app[LEDGER].execute(command)
    return web.Response(status=201, headers={**told_of(outcome), "Location": queue_url(request, asked["@name"])})


@queue_routes.get(QUEUE)
@gives(XML, JSON)
@operation(
    QUEUE_DOCUMENT,
    capability=USE_QUEUES,
    gives_headers={
        "msg-create": "Where messages are put.",
        "msg-create-with-id": "Likewise, with an id of their own.",
        "msg-pull-consumers": "Where consumers are made.",
        "msg-push-consumers": "Where those are made that are called.",
    },
)
async def show_queue(request: web.Request) -> web.Response:
    """A queue, and its links."""
    found = await found_queue(request)
    read_parameters(request)
    await request.app[MESSAGES].use(found.org, found.queue_id)
    url = queue_url(request, found.name)
    headers = {
        "msg-create": f"{url}/create",
        "msg-create-with-id": f"{url}/create/{{id}}",
        "msg-pull-consumers": f"{url}/pull-consumers",
        "msg-push-consumers": f"{url}/push-consumers",
    }
    return reply(request, {"queue": {"name": f"{QUEUE_PREFIX}{found.name}"}}, headers=headers)


@queue_routes.delete(QUEUE)
@gives(XML, JSON)
@operation({}, capability=USE_QUEUES, statuses={204: "It is no more."})
async def delete_queue(request: web.Request) -> web.Response:
    """Delete a queue, and what is in it."""
    found = await found_queue(request)
    read_parameters(request)
    await request.app[LEDGER].execute(DeleteQueue(caller=permitted(request), queue_id=found.queue_id))
    return web.Response(status=204)
