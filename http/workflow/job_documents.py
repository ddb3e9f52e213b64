"""A job, and its history, as the workflow dialect shows them.

{"jobId":"7","jobName":"Permit","jobStatus":"In Progress","priority":"High","ownedBy":"ann","createdBy":"ann",
 "createdDate":"2026-11-21T22:34:05.123456Z","startDate":null,"startedDate":"2026-11-21T22:34:06.123456Z","dueDate":null,
 "endDate":null,"description":null,"notes":null,"percentComplete":50,"parentJob":null,"diagramId":"2","diagramName":"Permit",
 "diagramVersion":1,"jobTemplateId":"2","jobTemplateName":"Permit","currentSteps":[{"stepId":"b","stepName":"Check",
 "assignedTo":null,"assignedType":null,"canSkip":false}],"extendedProperties":[],"holds":[],"hasLocation":false,
 "closed":false,"archived":false}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobledger.ledger.domain.job import State

STATUS = {
    State.SCHEDULED: "Ready To Work",
    State.RUNNING: "In Progress",
    State.STALE: "Stale",
    State.SUCCESS: "Done",
    State.FAILED: "Failed",
    State.CANCELLED: "Cancelled",
    State.DISCARDED: "Discarded",
}
STATE_BY_STATUS = {word.lower(): str(state) for state, word in STATUS.items()} | {
    str(it).lower(): str(it) for it in State
}
# What the members of a job are called here that can be searched by, sorted by and listed.
FIELDS = {
    "jobId": "id",
    "jobName": "name",
    "jobStatus": "state",
    "priority": "priority",
    "ownedBy": "owned_by",
    "createdDate": "registered_at",
    "startDate": "start_date",
    "startedDate": "started_at",
    "dueDate": "due_date",
    "endDate": "ended_at",
    "description": "description",
    "notes": "notes",
    "percentComplete": "progress",
    "parentJob": "parent_job_id",
    "diagramId": "diagram_id",
    "diagramName": "diagram_name",
    "diagramVersion": "diagram_version",
    "jobTemplateId": "template_id",
    "jobTemplateName": "template_name",
    "assignedType": "assigned_type",
    "assignedTo": "assigned_to",
    "closed": "closed",
}
# What a history calls each type of event; what is not here is Updated. A hold over a filter is told by its own stream.
ACTIONS = {
    "job.registered": "Created",
    "job.diagram_assigned": "Assigned",
    "job.started": "Started",
    "job.resumed": "Started",
    "job.went_stale": "Paused",
    "job.succeeded": "Finished",
    "job.failed": "Error",
    "job.cancelled": "Cancelled",
    "job.discarded": "Cancelled",
    "job.closed": "Closed",
    "job.reopened": "Reopened",
    "job.upgraded": "Upgraded",
    "job.deleted": "Deleted",
    "job.hold_placed": "Held",
    "job.hold_released": "HoldReleased",
    "job.step_started": "Started",
    "job.step_stopped": "Paused",
    "job.step_finished": "Finished",
    "job.attachment_added": "Added",
    "job.attachment_removed": "Removed",
}
OTHER_ACTION = "Updated"
# What came of it: of anything but a job that failed, that it was done.
SUCCESS, ERROR = "Success", "Error"
# What else there is to say of it.
MESSAGES = ("reason", "error", "message", "name")


def text_id(number: int | None) -> str | None:
    """An id as clients of this dialect hold it."""
    return None if number is None else str(number)


def shown_job(job: Mapping[str, Any], created_by: str | None) -> dict[str, Any]:
    """The document of *job*, which is as the native API shows it, without what is only shown where it is asked for."""
    details, workflow = job["details"] or {}, job["workflow"] or {}
    return {
        "jobId": str(job["id"]),
        "jobName": job["name"],
        "jobStatus": STATUS[State(job["state"])],
        "priority": job["priority"],
        "ownedBy": details.get("owned_by"),
        "createdBy": created_by,
        "createdDate": job["registered_at"],
        "startDate": details.get("start_date"),
        "startedDate": job["started_at"],
        "dueDate": details.get("due_date"),
        "endDate": job["ended_at"],
        "description": details.get("description"),
        "notes": details.get("notes"),
        "percentComplete": round(job["progress"] * 100),
        "parentJob": text_id(details.get("parent_job_id")),
        "assignedType": details.get("assigned_type"),
        "assignedTo": details.get("assigned_to"),
        "diagramId": text_id(workflow.get("diagram_id")),
        "diagramName": workflow.get("diagram_name"),
        "diagramVersion": workflow.get("diagram_version"),
        "jobTemplateId": text_id(workflow.get("template_id")),
        "jobTemplateName": workflow.get("template_name"),
        "currentSteps": [shown_step(it) for it in workflow.get("steps", [])],
        "extendedProperties": [],
        "holds": [],
        "hasLocation": job["location"] is not None,
        "closed": job["closed"],
        "archived": False,
    }


def shown_step(step: Mapping[str, Any]) -> dict[str, Any]:
    """A current step."""
    return {
        "stepId": step["id"],
        "stepName": step["name"],
        "assignedTo": step.get("assigned_to"),
        "assignedType": step.get("assigned_type"),
        "canSkip": step.get("can_skip", False),
    }


def shown_event(job_id: int, header: Mapping[str, Any], data: Mapping[str, Any], username: str) -> dict[str, Any]:
    """An event as an entry of the job's history."""
    said = next((data[it] for it in MESSAGES if isinstance(data.get(it), str)), None)
    return {
        "date": header["recorded_at"],
        "jobId": str(job_id),
        "stepId": data.get("step_id"),
        "username": username,
        "action": ACTIONS.get(header["type"], OTHER_ACTION),
        "result": ERROR if header["type"] == "job.failed" else SUCCESS,
        "message": said,
        "type": header["type"],
        "version": header["version"],
    }
