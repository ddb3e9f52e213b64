"""What the native API answers with about events, as schemas."""

from __future__ import annotations

from jobledger.http.native.answers import HASH
from jobledger.http.schema import INTEGER, OBJECT, STRING, TIME, Named, Schema, array_of, nullable, object_of
from jobledger.ledger.domain.event_types import CLASS_BY_TYPE

HEADER = Named(
    "EventHeader",
    object_of(
        {
            "org": STRING,
            "position": INTEGER,
            "recorded_at": TIME,
            "stream": STRING,
            "version": INTEGER,
            "type": {**STRING, "enum": list(CLASS_BY_TYPE)},
            "schema": INTEGER,
            "by": STRING,
            "content": HASH,
            "private": HASH,
        },
        without=["private"],
    ),
)
CONTENT = Named(
    "EventContent",
    object_of(
        {
            "data": OBJECT,
            "via": nullable(STRING),
            "from": nullable(STRING),
            "request": nullable(STRING),
            "salt": {**STRING, "pattern": "^[0-9a-f]{32}$"},
        }
    ),
)
PRIVATE = Named("PrivateContent", object_of({"data": OBJECT, "salt": CONTENT["properties"]["salt"]}))
# Private content is there only where there is any, or any left.
EVENT = Named(
    "Event", object_of({"header": HEADER, "content": nullable(CONTENT), "private": PRIVATE}, without=["private"])
)
EVENT_PAGE = Named("EventPage", object_of({"events": array_of(EVENT), "next_after": nullable(INTEGER)}))
# In XML an event is its stored bytes as text.
EVENT_TEXTS = Named(
    "EventTexts",
    object_of(
        {
            "header": STRING,
            "content": nullable(STRING),
            "content_base64": STRING,
            "private": STRING,
            "private_base64": STRING,
        },
        without=["content", "content_base64", "private", "private_base64"],
    ),
)
EVENT_TEXT_PAGE: Schema = object_of({"events": array_of(EVENT_TEXTS), "next_after": nullable(INTEGER)})
EVENT_LINES: Schema = {**array_of(EVENT), "description": "A line each, without an end where it follows."}
SERVER_SENT: Schema = {
    **array_of(
        object_of({"id": STRING, "event": STRING, "data": EVENT, "retry": INTEGER}, without=["event", "data", "retry"])
    ),
    "description": "Server-sent events, without an end: `id` is the position, `event` the type, `data` the event as JSON.",
}
