"""What the workflow dialect answers with, as schemas."""

from __future__ import annotations

from jobledger.http.schema import (
    BOOLEAN,
    INTEGER,
    OBJECT,
    STRING,
    TIME,
    URL,
    UUID,
    Named,
    Schema,
    array_of,
    nullable,
    object_of,
)
from jobledger.http.workflow.job_documents import ERROR as ERRED
from jobledger.http.workflow.job_documents import STATUS
from jobledger.http.workflow.job_documents import SUCCESS as SUCCEEDED

INVALID_TOKEN, NO_PRIVILEGES, NOT_FOUND = "InvalidTokenError", "InsufficientPrivilegesError", "NotFoundError"
INVALID_REQUEST, MANAGE, SERVER = "InvalidRequestError", "JobManageError", "ServerError"
ERROR_TYPES = (INVALID_TOKEN, NO_PRIVILEGES, NOT_FOUND, INVALID_REQUEST, MANAGE, SERVER)
ID: Schema = {**STRING, "pattern": "^[0-9]+$"}
STRINGS = array_of(STRING)
SUCCESS: Schema = {**BOOLEAN, "enum": [True]}

ERROR = Named(
    "WorkflowError",
    object_of(
        {"error": object_of({"message": STRING, "type": {**STRING, "enum": list(ERROR_TYPES)}, "details": STRINGS})}
    ),
)
DONE = Named("WorkflowDone", object_of({"success": SUCCESS}))

CURRENT_STEP = object_of(
    {
        "stepId": STRING,
        "stepName": STRING,
        "assignedTo": nullable(STRING),
        "assignedType": nullable(STRING),
        "canSkip": BOOLEAN,
    }
)
HOLD = object_of(
    {
        "holdId": ID,
        "name": STRING,
        "reason": nullable(STRING),
        "holdDate": TIME,
        "isFilter": BOOLEAN,
    }
)
JOB = Named(
    "WorkflowJob",
    object_of(
        {
            "jobId": ID,
            "jobName": STRING,
            "jobStatus": {**STRING, "enum": list(STATUS.values())},
            "priority": nullable(STRING),
            "ownedBy": nullable(STRING),
            "createdBy": nullable(STRING),
            "createdDate": TIME,
            "startDate": nullable(TIME),
            "startedDate": nullable(TIME),
            "dueDate": nullable(TIME),
            "endDate": nullable(TIME),
            "description": nullable(STRING),
            "notes": nullable(STRING),
            "percentComplete": {**INTEGER, "minimum": 0, "maximum": 100},
            "parentJob": nullable(ID),
            "assignedType": nullable(STRING),
            "assignedTo": nullable(STRING),
            "diagramId": nullable(ID),
            "diagramName": nullable(STRING),
            "diagramVersion": nullable(INTEGER),
            "jobTemplateId": nullable(ID),
            "jobTemplateName": nullable(STRING),
            "currentSteps": array_of(CURRENT_STEP),
            "extendedProperties": array_of(object_of({"identifier": STRING}, further=True)),
            "holds": array_of(HOLD),
            "hasLocation": BOOLEAN,
            "closed": BOOLEAN,
            "archived": {**BOOLEAN, "enum": [False]},
        }
    ),
)
CREATED_JOBS = Named("WorkflowJobIds", object_of({"jobIds": array_of(ID)}))
LOCATION = Named(
    "WorkflowLocation",
    object_of({"location": nullable(object_of({"geometryType": STRING, "geometry": {"anyOf": [STRING, OBJECT]}}))}),
)
STEP_RESPONSES = Named(
    "WorkflowStepResponses",
    object_of(
        {
            "success": BOOLEAN,
            "stepResponses": array_of(
                object_of(
                    {"stepId": STRING, "status": {**STRING, "enum": ["Success", "Error"]}, "statusDescription": STRING}
                )
            ),
        }
    ),
)
VALUE: Schema = {"type": ["string", "number", "boolean", "null"]}
NEXT_START: Schema = {**INTEGER, "description": "-1 where that was all."}
SEARCH_PAGE = Named(
    "WorkflowSearchPage",
    object_of(
        {
            "fields": STRINGS,
            "results": array_of({**array_of(VALUE), "description": "A job's values, in the order of the fields."}),
            "start": INTEGER,
            "nextStart": NEXT_START,
            "num": INTEGER,
        }
    ),
)
HISTORY = Named(
    "WorkflowHistory",
    object_of(
        {
            "jobHistory": array_of(
                object_of(
                    {
                        "date": TIME,
                        "jobId": ID,
                        "stepId": nullable(STRING),
                        "username": nullable(STRING),
                        "action": STRING,
                        "result": {**STRING, "enum": [SUCCEEDED, ERRED]},
                        "message": nullable(STRING),
                        "type": {**STRING, "description": "The ledger's own type of the event."},
                        "version": nullable(INTEGER),
                    }
                )
            ),
            "start": INTEGER,
            "nextStart": NEXT_START,
        }
    ),
)
ATTACHMENTS = Named(
    "WorkflowAttachments",
    object_of(
        {
            "attachments": array_of(
                object_of(
                    {
                        "id": UUID,
                        "alias": nullable(STRING),
                        "name": nullable(STRING),
                        "url": URL,
                        "size": INTEGER,
                        "contentType": nullable(STRING),
                        "sha256": {**STRING, "pattern": "^[0-9a-f]{64}$"},
                        "createdDate": TIME,
                    }
                )
            )
        }
    ),
)
ATTACHED = Named("WorkflowAttached", object_of({"url": URL, "alias": STRING}))

TEMPLATES = Named(
    "WorkflowTemplates",
    object_of(
        {
            "jobTemplates": array_of(
                object_of(
                    {
                        "jobTemplateId": ID,
                        "jobTemplateName": STRING,
                        "diagramId": ID,
                        "diagramName": STRING,
                        "description": nullable(STRING),
                        "state": {**STRING, "enum": ["Active", "Draft"]},
                        "defaultPriorityName": nullable(STRING),
                        "defaultJobName": nullable(STRING),
                        "defaultAssignedType": nullable(STRING),
                        "defaultAssignedTo": nullable(STRING),
                    }
                )
            )
        }
    ),
)
DIAGRAMS = Named(
    "WorkflowDiagrams",
    object_of(
        {
            "diagrams": array_of(
                object_of(
                    {
                        "diagramId": ID,
                        "diagramName": STRING,
                        "description": nullable(STRING),
                        "active": BOOLEAN,
                        "activeVersion": nullable(INTEGER),
                        "draft": BOOLEAN,
                        "versions": array_of(INTEGER),
                    }
                )
            )
        }
    ),
)
STEP = object_of(
    {
        "id": STRING,
        "name": STRING,
        "assignedType": nullable(STRING),
        "assignedTo": nullable(STRING),
        "canSkip": BOOLEAN,
        "paths": array_of(object_of({"nextStep": STRING}, further=True)),
    },
    # Whatever its client drew or decided by.
    further=True,
)
DIAGRAM = Named(
    "WorkflowDiagram",
    object_of(
        {
            "diagramId": ID,
            "diagramName": STRING,
            "description": nullable(STRING),
            "diagramVersion": {**INTEGER, "description": "-1 is the draft."},
            "active": BOOLEAN,
            "initialStepId": STRING,
            "initialStepName": STRING,
            "steps": array_of(STEP),
        },
        further=True,
    ),
)
CREATED_DIAGRAM = Named("WorkflowCreatedDiagram", object_of({"diagramId": ID}))
SAVED_DIAGRAM = Named("WorkflowSavedDiagram", object_of({"success": SUCCESS, "diagramVersion": INTEGER}))
