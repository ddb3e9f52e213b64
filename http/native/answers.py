"""What the native API answers with, as schemas."""

from __future__ import annotations

from jobledger.http.schema import (
    BOOLEAN,
    INTEGER,
    OBJECT,
    STRING,
    TIME,
    UUID,
    Named,
    Schema,
    array_of,
    nullable,
    object_of,
)
from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_copies import COPY_STATES

STRINGS = array_of(STRING)
A_STATE = Named("State", {**STRING, "enum": [it.value for it in State]})
A_COPY_STATE: Schema = {**STRING, "enum": list(COPY_STATES)}
HASH: Schema = {**STRING, "pattern": "^[0-9a-f]{64}$"}
FRACTION: Schema = {"type": "number", "minimum": 0, "maximum": 1}

PROBLEM = Named(
    "Problem",
    {
        **object_of(
            {
                "type": STRING,
                "title": STRING,
                "status": INTEGER,
                "detail": STRING,
                "code": STRING,
                "instance": STRING,
                "retry_after_s": INTEGER,
                "errors": array_of(object_of({"member": STRING, "problem": STRING})),
            },
            without=["retry_after_s", "errors"],
            # The facts of the case.
            further=True,
        ),
        "description": "RFC 9457; further members are the facts of the case.",
    },
)

KEPT_BY = Named(
    "ReasonToKeep",
    {
        **object_of(
            {
                "kind": {**STRING, "enum": ["hold", "user", "extended", "basic"]},
                "hold_id": INTEGER,
                "name": STRING,
                "copy_id": INTEGER,
                "until": nullable(TIME),
                "reason": STRING,
            },
            without=["hold_id", "name", "copy_id", "reason"],
        ),
        "description": "Why a job may not be removed; `until` is null where that is over when it is released.",
    },
)

JOB_COPY = Named(
    "JobCopy",
    object_of({"id": INTEGER, "state": A_COPY_STATE, "copied_at": nullable(TIME), "deleted_at": nullable(TIME)}),
)

DETAIL_MEMBERS: dict[str, Schema] = {
    **dict.fromkeys(("description", "notes"), STRING),
    **dict.fromkeys(("start_date", "due_date"), TIME),
    **dict.fromkeys(("owned_by", "assigned_type", "assigned_to"), STRING),
    "parent_job_id": INTEGER,
}
DETAILS = Named("JobDetails", object_of(DETAIL_MEMBERS, without=DETAIL_MEMBERS))
CURRENT_STEP = object_of(
    {
        "id": STRING,
        "name": STRING,
        "assigned_type": STRING,
        "assigned_to": STRING,
        "can_skip": BOOLEAN,
        "state": {**STRING, "enum": ["ready", "running", "stopped"]},
    },
    without=["assigned_type", "assigned_to", "can_skip"],
)
WORKFLOW = Named(
    "JobWorkflow",
    object_of(
        {
            "template_id": INTEGER,
            "template_name": STRING,
            "diagram_id": INTEGER,
            "diagram_name": STRING,
            "diagram_version": INTEGER,
            "steps": {**array_of(CURRENT_STEP), "description": "The current ones."},
            "finished": STRINGS,
        }
    ),
)
ATTACHED: dict[str, Schema] = {"size_bytes": INTEGER, "sha256": HASH, "added_at": TIME, "media_type": STRING}
ATTACHED_BYTES = object_of(ATTACHED, without=["media_type"])

JOB = Named(
    "Job",
    object_of(
        {
            "id": INTEGER,
            "type": STRING,
            "name": STRING,
            "domain": STRING,
            "state": A_STATE,
            "version": INTEGER,
            "priority": nullable(STRING),
            "stage": nullable(STRING),
            "progress": FRACTION,
            "figures": nullable({**OBJECT, "additionalProperties": {"type": "number"}}),
            "message": nullable(STRING),
            "reason": nullable(STRING),
            "datastream": nullable(
                object_of({"id": {"type": ["integer", "string"]}, "name": nullable(STRING)}, without=["name"])
            ),
            "preceding_job_id": nullable(INTEGER),
            "required_job_ids": nullable(array_of(INTEGER)),
            "retry_of_job_id": nullable(INTEGER),
            "source": nullable(STRING),
            "external_id": nullable(STRING),
            "heartbeat_timeout": nullable(INTEGER),
            "start_timeout": nullable(INTEGER),
            "registered_at": TIME,
            "scheduled_at": nullable(TIME),
            "started_at": nullable(TIME),
            "ended_at": nullable(TIME),
            "last_report_at": nullable(TIME),
            "updated_at": TIME,
            "backup": nullable(OBJECT),
            "attributes": nullable(OBJECT),
            "closed": BOOLEAN,
            "copies": nullable(array_of(JOB_COPY)),
            "details": nullable(DETAILS),
            "workflow": nullable(WORKFLOW),
            "attachments": nullable({**OBJECT, "additionalProperties": ATTACHED_BYTES}),
            "holds": array_of(object_of({"id": INTEGER, "name": STRING})),
            "retention": array_of(KEPT_BY),
            "location": nullable(OBJECT),
            "extended_properties": nullable(array_of(OBJECT)),
            "attachment_names": nullable({**OBJECT, "additionalProperties": STRING}),
        }
    ),
)
NEXT = nullable({**STRING, "description": "The cursor of the next page; null on the last one."})
JOB_PAGE = Named("JobPage", object_of({"jobs": array_of(JOB), "next": NEXT}))

REGISTERED = Named(
    "RegisteredJob",
    object_of({"id": INTEGER, "state": A_STATE, "version": INTEGER, "position": INTEGER}),
)
REGISTERED_LIST = Named("RegisteredJobs", object_of({"jobs": array_of(REGISTERED)}))
REGISTRATION_ANSWER: Schema = {"anyOf": [REGISTERED, REGISTERED_LIST]}

# Of what was asked: the positions of its events, none where it had been done before.
RECORDED: dict[str, Schema] = {"positions": array_of(INTEGER), "recorded_at": nullable(TIME)}
CHANGED_JOB = Named(
    "ChangedJob",
    object_of(
        {"id": INTEGER, "state": A_STATE, "version": INTEGER, "discarded": array_of(INTEGER), **RECORDED},
        without=["discarded"],
    ),
)

CHANGED: dict[str, Schema] = {"id": INTEGER, "state": A_STATE, "version": INTEGER}
CLOSED_JOB = Named("ClosedJob", object_of({**CHANGED, "closed": BOOLEAN, **RECORDED}))
RETAINED_JOB = Named(
    "RetainedJob",
    object_of({**CHANGED, "copy_id": INTEGER, "until": nullable(TIME), **RECORDED}, without=["copy_id", "until"]),
)
DELETED_JOB = Named(
    "DeletedJob",
    object_of({**CHANGED, "deleted": BOOLEAN, "discarded": array_of(INTEGER), **RECORDED}, without=["discarded"]),
)
ELSEWHERE: Schema = {
    **array_of(object_of({"archive_id": INTEGER, "host": STRING, "port": INTEGER, "path": STRING})),
    "description": "Copies of archives on other hosts: nothing here reaches them.",
}
ERASED_JOB = Named(
    "ErasedJob",
    object_of(
        {
            **CHANGED,
            "erased": STRING,
            "archives": array_of(INTEGER),
            "erasing_job_id": INTEGER,
            "copies_elsewhere": ELSEWHERE,
            **RECORDED,
        },
        without=["archives", "erasing_job_id", "copies_elsewhere"],
    ),
)
MANAGED_JOBS = Named(
    "ManagedJobs",
    object_of(
        {
            "done": array_of({**object_of(CHANGED, further=True), "description": "As the verb on one job answers."}),
            "refused": array_of(object_of({"id": INTEGER, "code": STRING, "detail": STRING}, further=True)),
            "first_position": nullable(INTEGER),
            "event_count": INTEGER,
            "recorded_at": nullable(TIME),
        }
    ),
)
RETENTION = Named(
    "Retention",
    object_of(
        {
            "id": INTEGER,
            "state": A_STATE,
            "retained": BOOLEAN,
            "reasons": array_of(KEPT_BY),
            "may_be_deleted": BOOLEAN,
            "may_be_erased": BOOLEAN,
        }
    ),
)

OUTCOME = Named(
    "CommandOutcome",
    {
        "anyOf": [
            object_of({"line": INTEGER, "status": INTEGER, **REGISTERED["properties"]}),
            object_of({"line": INTEGER, "status": INTEGER, **REGISTERED_LIST["properties"]}),
            object_of({"line": INTEGER, "status": INTEGER, **CHANGED_JOB["properties"]}, without=["discarded"]),
            {**PROBLEM, "properties": {"line": INTEGER, **PROBLEM["properties"]}},
        ]
    },
)

PRINCIPAL = Named(
    "Principal",
    object_of(
        {
            "id": INTEGER,
            "name": STRING,
            "roles": STRINGS,
            "capabilities": STRINGS,
            "home_domain": STRING,
            "domains": nullable({**STRINGS, "description": "Those that it may see; null: all."}),
            "is_disabled": BOOLEAN,
            "has_password": BOOLEAN,
            "tokens": INTEGER,
            "version": INTEGER,
            "added_at": TIME,
        }
    ),
)
ME = Named("Me", object_of({"org": STRING, "principal": PRINCIPAL, "capabilities": STRINGS}))
PRINCIPAL_PAGE = Named("PrincipalPage", object_of({"principals": array_of(PRINCIPAL), "next": NEXT}))
CHANGED_PRINCIPAL = Named(
    "ChangedPrincipal",
    object_of(
        {"id": INTEGER, "name": STRING, "version": INTEGER, "revoked": array_of(UUID), **RECORDED},
        without=["revoked"],
    ),
)

TOKEN = Named(
    "Token",
    object_of(
        {
            "id": UUID,
            "principal_id": INTEGER,
            "principal": STRING,
            "label": nullable(STRING),
            "is_login": BOOLEAN,
            "issued_at": TIME,
            "expires_at": nullable(TIME),
        }
    ),
)
TOKEN_PAGE = Named("TokenPage", object_of({"tokens": array_of(TOKEN), "next": NEXT}))
CHANGED_TOKEN: dict[str, Schema] = {"id": UUID, "principal_id": INTEGER, "principal": STRING, "version": INTEGER}
REVOKED_TOKEN = Named("RevokedToken", object_of({**CHANGED_TOKEN, **RECORDED}))
ISSUED_TOKEN = Named(
    "IssuedToken",
    object_of(
        {
            **CHANGED_TOKEN,
            "expires_at": nullable(TIME),
            "token": nullable({**STRING, "description": "Shown this once; null in the answer to a repeat."}),
            **RECORDED,
        }
    ),
)

HOLD = Named(
    "Hold",
    object_of(
        {
            "id": INTEGER,
            "name": STRING,
            "version": INTEGER,
            "reason": nullable(STRING),
            "filter": nullable(OBJECT),
            "job_count": nullable(INTEGER),
            "job_ids": array_of(INTEGER),
            "active": BOOLEAN,
            "placed_at": TIME,
            "released_at": nullable(TIME),
            "release_reason": nullable(STRING),
        },
        without=["job_ids"],
    ),
)
HOLD_PAGE = Named("HoldPage", object_of({"holds": array_of(HOLD), "next": NEXT}))
CHANGED_HOLD = Named("ChangedHold", object_of({"id": INTEGER, "name": STRING, "version": INTEGER, **RECORDED}))

DAYS: Schema = {"anyOf": [INTEGER, {"const": "forever"}]}
RULE = object_of(
    {"type": STRING, "state": A_STATE, "basic_days": DAYS, "extended_days": DAYS},
    without=["type", "state", "basic_days", "extended_days"],
)
RETENTION_POLICY = Named(
    "RetentionPolicy",
    object_of(
        {
            "rules": array_of(RULE),
            "locked": BOOLEAN,
            "version": INTEGER,
            "changed_at": nullable(TIME),
            "reason": nullable(STRING),
        }
    ),
)
CHANGED_POLICY = Named("ChangedPolicy", object_of({"version": INTEGER, "locked": BOOLEAN, **RECORDED}))
EFFECT = object_of({"count": INTEGER, "ids": array_of(INTEGER)})
POLICY_EFFECTS = Named(
    "PolicyEffects",
    object_of(
        {
            "dry_run": BOOLEAN,
            "lengthens": EFFECT,
            "releases": EFFECT,
            "shortens": EFFECT,
            "fewer_days": array_of(OBJECT),
        }
    ),
)
