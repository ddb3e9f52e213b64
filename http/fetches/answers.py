"""What the fetches dialect answers with, as schemas."""

from __future__ import annotations

from jobledger.http.fetches.job_documents import FIGURES, STATES
from jobledger.http.schema import (
    BOOLEAN,
    INTEGER,
    STRING,
    URL,
    Named,
    Schema,
    array_of,
    nullable,
    object_of,
)

# Without fractions, always in UTC.
SECOND: Schema = {"type": "string", "format": "date-time", "pattern": "Z$"}
STATE: Schema = {**INTEGER, "enum": [it.number for it in STATES.values()]}
LABEL: Schema = {**STRING, "enum": [it.label for it in STATES.values()]}
FRACTION: Schema = {"type": "number", "minimum": 0, "maximum": 1}
OK: Schema = {**STRING, "enum": ["ok"]}

ERROR = Named(
    "FetchesError",
    {
        **object_of(
            {"detail": STRING, "errors": {"type": "object", "additionalProperties": array_of(STRING)}},
            without=["errors"],
            further=True,
        ),
        "description": "`errors` names members and parameters at fault; they stand beside it too.",
    },
)
DATASTREAM = Named(
    "FetchesDatastream",
    object_of({"id": {"type": ["integer", "string"]}, "name": nullable(STRING), "slug": STRING, "url": URL}),
)
JOB = Named(
    "FetchesJob",
    object_of(
        {
            "id": INTEGER,
            "url": URL,
            "job_start": nullable(SECOND),
            "job_end": nullable(SECOND),
            "range_start": nullable(SECOND),
            "range_end": nullable(SECOND),
            "scheduled": nullable(SECOND),
            "progress": FRACTION,
            "duration": {**STRING, "pattern": "^([0-9]+h )?([0-9]+m )?[0-9]+s$"},
            "state": STATE,
            "state_label": LABEL,
            "state_color": {**STRING, "enum": [it.color for it in STATES.values()]},
            "manual": BOOLEAN,
            "issues": array_of(STRING),
            "datastream": nullable(DATASTREAM),
            "stage": nullable(STRING),
            "discard_reason": nullable(STRING),
        }
    ),
)
JOB_PAGE = Named(
    "FetchesJobPage",
    object_of({"count": INTEGER, "next": nullable(URL), "previous": nullable(URL), "results": array_of(JOB)}),
)
IMPORT = Named(
    "FetchesImport",
    object_of(
        {
            "id": INTEGER,
            "url": URL,
            "state": STATE,
            "state_label": LABEL,
            "stage": nullable(STRING),
            "progress": FRACTION,
            "started": nullable(SECOND),
            "updated": nullable(SECOND),
            "imported": object_of(dict.fromkeys(FIGURES, nullable({"type": "number"}))),
            "message": nullable(STRING),
        }
    ),
)
STOPPED = Named("FetchesStopped", object_of({"status": OK, "message": STRING}))
SCHEDULED = Named(
    "FetchesScheduled",
    object_of(
        {
            "status": OK,
            "message": STRING,
            "start": SECOND,
            "end": SECOND,
            "jobs": array_of(object_of({"id": INTEGER, "url": URL})),
        }
    ),
)
TOKEN = Named(
    "FetchesToken",
    object_of({"username": STRING, "token": STRING, "expires_in": {"type": "null"}}),
)
