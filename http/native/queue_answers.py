"""What the native API answers of queues, as the API's description has it."""

from __future__ import annotations

from jobledger.http.native.answers import NEXT
from jobledger.http.schema import BOOLEAN, INTEGER, STRING, TIME, Named, array_of, object_of

QUEUE = Named(
    "Queue",
    object_of(
        {
            "id": INTEGER,
            "name": STRING,
            "owner": {**STRING, "description": "The name of the principal that made it."},
            "durable": {**BOOLEAN, "description": "Kept for 30 days unused, else for 24 hours."},
            "created_at": TIME,
            "used_at": {**TIME, "description": "When it was used last, or made."},
            "dropped_at": {**TIME, "description": "When it is found no more, unless it is used before."},
            "messages": {**INTEGER, "description": "How many are in it."},
            "held": {**INTEGER, "description": "How many of these were given out and are not acknowledged yet."},
            "consumers": {**INTEGER, "description": "How many were used within 300 seconds."},
        }
    ),
)
QUEUE_PAGE = Named("QueuePage", object_of({"queues": array_of(QUEUE), "next": NEXT}))
