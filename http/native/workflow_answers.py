"""What the native API answers about diagrams, templates, and jobs in workflows, as schemas."""

from __future__ import annotations

from jobledger.http.native.answers import ATTACHED, CHANGED, NEXT, RECORDED, STRINGS
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

A_VERSION: Schema = {**INTEGER, "description": "-1 is the draft."}

DIAGRAM = Named(
    "Diagram",
    object_of(
        {
            "id": INTEGER,
            "name": STRING,
            "description": nullable(STRING),
            "active_version": nullable(INTEGER),
            "versions": array_of(A_VERSION),
            "version": INTEGER,
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
)
DIAGRAM_PAGE = Named("DiagramPage", object_of({"diagrams": array_of(DIAGRAM), "next": NEXT}))
STEP = Named(
    "Step",
    object_of(
        {
            "id": STRING,
            "name": STRING,
            "next": STRINGS,
            "assigned_type": STRING,
            "assigned_to": STRING,
            "can_skip": BOOLEAN,
            "attributes": OBJECT,
        },
        without=["assigned_type", "assigned_to", "can_skip", "attributes"],
    ),
)
DIAGRAM_VERSION = Named(
    "DiagramVersion",
    object_of(
        {
            "id": INTEGER,
            "name": STRING,
            "description": nullable(STRING),
            "diagram_version": A_VERSION,
            "is_active": BOOLEAN,
            "saved_at": TIME,
            "initial_step": STRING,
            "steps": array_of(STEP),
            "attributes": OBJECT,
        },
        without=["attributes"],
    ),
)
CHANGED_DIAGRAM = Named(
    "ChangedDiagram",
    object_of(
        {
            "id": INTEGER,
            "diagram_version": A_VERSION,
            "active_version": nullable(INTEGER),
            "version": INTEGER,
            **RECORDED,
        }
    ),
)
DELETED_DIAGRAM = Named("DeletedDiagram", object_of({"id": INTEGER, "version": INTEGER, **RECORDED}))

TEMPLATE = Named(
    "Template",
    object_of(
        {
            "id": INTEGER,
            "name": STRING,
            "diagram_id": INTEGER,
            "diagram_name": STRING,
            "description": nullable(STRING),
            "active_version": nullable(INTEGER),
            "is_own": {**BOOLEAN, "description": "false: a diagram, of which no template was made."},
            "defaults": OBJECT,
            "version": INTEGER,
            "created_at": TIME,
            "updated_at": TIME,
        }
    ),
)
TEMPLATE_PAGE = Named("TemplatePage", object_of({"templates": array_of(TEMPLATE), "next": NEXT}))
CREATED_TEMPLATE = Named(
    "CreatedTemplate", object_of({"id": INTEGER, "diagram_id": INTEGER, "version": INTEGER, **RECORDED})
)
CHANGED_TEMPLATE = Named("ChangedTemplate", object_of({"id": INTEGER, "version": INTEGER, **RECORDED}))
CREATED_JOBS = Named("CreatedJobs", object_of({"job_ids": array_of(INTEGER), **RECORDED}))

UPDATED_JOB = Named("UpdatedJob", object_of({**CHANGED, "changed": STRINGS, **RECORDED}))
STEPS_TAKEN = Named(
    "StepsTaken",
    object_of(
        {
            **CHANGED,
            "steps": array_of(
                object_of({"id": STRING, "is_done": BOOLEAN, "code": nullable(STRING), "detail": nullable(STRING)})
            ),
            **RECORDED,
        }
    ),
)
ATTACHMENTS = Named(
    "Attachments",
    object_of(
        {
            "attachments": array_of(
                object_of({"id": UUID, "name": nullable(STRING), **ATTACHED}, without=["media_type"]),
            )
        }
    ),
)
ADDED_ATTACHMENT = Named("AddedAttachment", object_of({**CHANGED, "attachment_id": UUID, "name": STRING, **RECORDED}))
REMOVED_ATTACHMENT = Named("RemovedAttachment", object_of({**CHANGED, **RECORDED}))
