"""What the maintenance dialect answers with, as schemas."""

from __future__ import annotations

from jobledger.http.schema import BOOLEAN, INTEGER, STRING, UUID, Named, Schema, array_of, nullable, object_of
from jobledger.ledger.domain.job import State

# With six digits of a fraction, always in UTC.
TIME: Schema = {**STRING, "format": "date-time", "pattern": r"\.\d{6}Z$"}


def enveloped(name: str, response: Schema) -> Named:
    """The document of an answer with such a ``response``."""
    status = object_of({"code": INTEGER, "message": STRING})
    return Named(name, object_of({"status": status, "responseCreated": TIME, "response": response}))


ERROR = enveloped(
    "MaintenanceError",
    {
        **object_of({"error": STRING, "request_id": UUID}, without=["request_id"]),
        "description": "`request_id`: of what the server failed at.",
    },
)
EXECUTION = object_of({"id": UUID, "jobId": UUID, "executedAt": TIME})
SCHEDULE = Named(
    "MaintenanceSchedule",
    {
        **object_of(
            {
                "job_id": UUID,
                "organization_Id": STRING,
                "full_build": BOOLEAN,
                "time_expression": STRING,
                "created_by_user": STRING,
                "created_at": TIME,
                "latest_execution": EXECUTION,
                "path": {**STRING, "enum": ["time-based"]},
            },
            without=["latest_execution"],
        ),
        "description": "Without `latest_execution` until it has run.",
    },
)
SCHEDULES_ANSWER = enveloped("MaintenanceSchedules", array_of(SCHEDULE))
CREATED_SCHEDULE = enveloped(
    "CreatedMaintenanceSchedule",
    object_of(
        {
            "job_id": UUID,
            "time_expression": STRING,
            "scheduler_type": {**STRING, "enum": ["time-based/maintenance"]},
            "created_at": TIME,
            "created_by_user": STRING,
        }
    ),
)
DELETED_SCHEDULE = enveloped("DeletedMaintenanceSchedule", STRING)
STARTED = enveloped("StartedMaintenance", {"type": "null"})
MAINTENANCE_RUN = enveloped(
    "MaintenanceRun",
    nullable(
        object_of(
            {
                "id": INTEGER,
                "jobId": {**nullable(UUID), "description": "Its schedule's; null for one that was run at once."},
                "organization_Id": STRING,
                "full_build": BOOLEAN,
                "state": {**STRING, "enum": [it.value for it in State]},
                "progress": {"type": "number", "minimum": 0, "maximum": 1},
                "message": nullable(STRING),
                "registeredAt": TIME,
                "startedAt": nullable(TIME),
                "endedAt": nullable(TIME),
            }
        )
    ),
)
