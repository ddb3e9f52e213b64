"""What the native API answers about schedules, as schemas."""

from __future__ import annotations

from jobledger.http.native.answers import NEXT, RECORDED
from jobledger.http.schema import (
    BOOLEAN,
    INTEGER,
    STRING,
    TIME,
    UUID,
    Named,
    Schema,
    array_of,
    nullable,
    object_of,
)
from jobledger.ledger.domain.schedule_action import ACTIONS

ACTION_MEMBERS: dict[str, Schema] = {
    **dict.fromkeys(("full_build", "purge", "private"), BOOLEAN),
    **dict.fromkeys(("older_than_days", "last_days"), INTEGER),
    **dict.fromkeys(("type", "domain", "render", "reason"), STRING),
    "domains": array_of(STRING),
}
ACTION: Schema = object_of(
    {"kind": {**STRING, "enum": list(ACTIONS)}, **ACTION_MEMBERS}, without=list(ACTION_MEMBERS), further=False
)
COUNT: Schema = {**INTEGER, "minimum": 0}
MEMBERS: dict[str, Schema] = {
    "id": UUID,
    "expression": STRING,
    "action": ACTION,
    "state": {**STRING, "enum": ["ACTIVE", "PAUSED", "DELETED"]},
    "version": INTEGER,
    "created_by": STRING,
    "created_at": TIME,
    "next_at": nullable(TIME),
    "last_due_at": nullable(TIME),
    "last_executed_at": nullable(TIME),
    "last_job_id": nullable(INTEGER),
    "fires": COUNT,
    "missed": {**COUNT, "description": "Due times that were counted in a later fire, and not fired for."},
    "paused_at": nullable(TIME),
    "deleted_at": nullable(TIME),
}
LISTED_SCHEDULE = Named("ListedSchedule", object_of(MEMBERS))
NEXT_FIRES: Schema = {**array_of(TIME, most=5), "description": "The next five times, fewer where it ends before."}
SCHEDULE = Named("Schedule", object_of({**MEMBERS, "next_fires": NEXT_FIRES}))
SCHEDULE_PAGE = Named("SchedulePage", object_of({"schedules": array_of(LISTED_SCHEDULE), "next": NEXT}))
CHANGED: dict[str, Schema] = {"id": UUID, "version": INTEGER, "next_at": nullable(TIME)}
CHANGED_SCHEDULE = Named("ChangedSchedule", object_of({**CHANGED, **RECORDED}))
RUN_SCHEDULE = Named("RunSchedule", object_of({**CHANGED, "job_id": INTEGER, **RECORDED}))
