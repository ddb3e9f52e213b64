"""The workflow dialect's manners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from jobledger.http.workflow.diagrams import CREATED, SAVED
from jobledger.http.workflow.dialect import WORKFLOW
from jobledger.http.workflow.history import PARAMETERS
from jobledger.http.workflow.job_readers import READERS
from jobledger.http.workflow.jobs import ACTION, CREATION, LOCATED, MANAGEMENT, SHOWING
from jobledger.http.workflow.search import SEARCH
from tests.http.dialects.manners import A_FORM, ATTACHMENT_ID, MEBIBYTE, Body, Manners, Sample, Target, json_body
from tests.http.dialects.wrong import (
    NO_NUMBERS,
    WRONG_DETAILS,
    WRONG_ID,
    WRONG_LOCATION,
    WRONG_PROPERTIES,
    WRONG_TEXT,
    WRONG_WORDS,
)
from tests.http.serving import Reply

BELOW = "/{org_id}/{item_id}/"
DIAGRAM = {"diagramName": "d", "steps": [{"id": "a", "paths": []}]}
# By the path below the item: the document that is accepted, and the readers of its members.
BODIES: dict[str, tuple[Any, Mapping[str, Any]]] = {
    "jobTemplates/{template_id}/job": ({}, CREATION),
    "jobs/{job_id}/update": ({}, READERS),
    "jobs/{job_id}/location": ({"location": {"geometryType": "Point", "geometry": "{}"}}, LOCATED),
    "jobs/{job_id}/action": ({"type": "Run"}, ACTION),
    "jobs/manage": ({"type": "Upgrade", "jobIds": ["1"]}, MANAGEMENT),
    "jobs/search": ({}, SEARCH),
    "diagrams": (DIAGRAM, CREATED),
    "diagrams/{diagram_id}": (DIAGRAM, SAVED),
}
DONE = {
    "jobTemplates/{template_id}/job": "jobs.register",
    "jobs/{job_id}/update": "jobs.update",
    "jobs/{job_id}/location": "jobs.update",
    "jobs/{job_id}/action": "jobs.update",
    "jobs/{job_id}/attachments": "jobs.update",
    "jobs/{job_id}/attachments/{attachment_id}": "jobs.update",
    # Each job is refused by itself, with 400.
    "jobs/manage": None,
    "jobs/search": "jobs.read",
}
WRONG_FLAG = ["", "yes", "1", "%00"]
WRONG_NUMBER: list[Any] = [-1, 10**6, 1.5, "x", "", True, [], {}]


class WorkflowManners(Manners):
    """``error`` with a message, a type and details; the org is in the path, and the item is a domain of it."""

    dialect = WORKFLOW
    org_variable = "org_id"
    samples: ClassVar = {
        "job_id": Sample("1", "4", "9", ["2", "3", *NO_NUMBERS]),
        "diagram_id": Sample("1", "3", "9", ["2", *NO_NUMBERS]),
        "template_id": Sample("2", "4", "9", ["5", *NO_NUMBERS]),
        "attachment_id": Sample(
            ATTACHMENT_ID, ATTACHMENT_ID[:-1] + "8", ATTACHMENT_ID[:-1] + "9", ["2", *NO_NUMBERS, ATTACHMENT_ID.upper()]
        ),
    }
    challenge = "Bearer"
    wrong_members: ClassVar = {
        "jobName": [*WRONG_TEXT, "x" * 501],
        "priority": [*WRONG_TEXT[:-1], "x" * 65],
        "location": WRONG_LOCATION,
        "extendedProperties": WRONG_PROPERTIES,
        **{name: WRONG_DETAILS[name] for name in ("description", "notes")},
        "startDate": WRONG_DETAILS["start_date"],
        "dueDate": WRONG_DETAILS["due_date"],
        "ownedBy": WRONG_DETAILS["owned_by"],
        "assignedType": WRONG_DETAILS["assigned_type"],
        "assignedTo": WRONG_DETAILS["assigned_to"],
        "parentJob": WRONG_DETAILS["parent_job_id"],
        "numberOfJobs": [*WRONG_ID, 5_001],
        "type": [*WRONG_TEXT, "close", "run", "Explode"],
        "stepIds": [*WRONG_WORDS, ["x" * 201]],
        "jobIds": [1, "x", True, {}, [None], [[1]], [True], [1.5], [""], ["1" * 41]],
        "q": [*WRONG_TEXT[:-1], "x" * 4_001],
        "search": [*WRONG_TEXT[:-1], "x" * 201],
        "start": WRONG_NUMBER,
        "num": [0, *WRONG_NUMBER],
        "sortFields": [
            1, "x", True, {}, [1], [{}], [{"field": "none"}], [{"field": "jobId", "sortOrder": "up"}],
            [{"field": "jobId", "more": 1}], [{"field": "jobId"}] * 6,
        ],
        "fields": [1, "x", True, {}, [1], [None], ["none"], ["jobId"] * 23],
        "displayNames": [1, "x", True, {}, [1], [None], [""], ["x" * 201], ["x"] * 23],
        "diagramName": [*WRONG_TEXT, "x" * 501],
        "active": [1, 0, "x", [], {}],
        "initialStepId": [*WRONG_TEXT, "x" * 201],
        "steps": [
            1, "x", True, {}, [1], [{}], [{"id": ""}], [{"id": 1}], [{"id": "a", "canSkip": 1}],
            [{"id": "a", "paths": [1]}], [{"id": "a", "paths": [{"next": "b"}]}], [{"id": "a"}] * 1001,
        ],
    }  # fmt: skip
    wrong_parameters: ClassVar = {
        **dict.fromkeys(("extProps", "holds"), WRONG_FLAG),
        "start": ["", "-1", "x", "1.5", "2147483648", "9" * 30, "%00", "%D9%A3"],
        "num": ["", "0", "-1", "1001", "1.5", "x", "9" * 30, "%00", "%D9%A3"],
    }

    def words(self, pattern: str) -> Mapping[str, Sequence[str]]:
        return {"item_id": ["Global"], "version": ["2", "-1"]}

    def body(self, target: Target) -> Body | None:
        if target.method not in ("POST", "PUT"):
            return None
        if self.is_upload(target):
            return A_FORM
        document, _ = BODIES[target.pattern.removeprefix(BELOW)]
        limit = (64 if target.last == "manage" else 8) * MEBIBYTE
        return json_body(document, is_due=bool(document), limit_bytes=limit)

    def members(self, target: Target) -> Mapping[str, Any]:
        return BODIES[target.pattern.removeprefix(BELOW)][1]

    def parameters(self, target: Target) -> Sequence[str]:
        taken: dict[str, Sequence[str]] = {"jobs/{job_id}": [*SHOWING], "jobs/{job_id}/history": [*PARAMETERS]}
        return taken.get(target.pattern.removeprefix(BELOW), []) if target.method == "GET" else []

    def queries(self, target: Target) -> Sequence[str]:
        return {
            "jobs/{job_id}": ["extProps=true&holds=true", "f=json"],
            "jobs/{job_id}/history": ["start=1&num=1"],
        }.get(target.pattern.removeprefix(BELOW), [])

    def capability(self, target: Target) -> str | None:
        below = target.pattern.removeprefix(BELOW)
        if target.method == "GET":
            return None if target.last in ("checkStatus", "healthCheck") else "jobs.read"
        return DONE.get(below, "diagrams.manage")

    def with_password(self, shown: str) -> dict[str, str] | None:
        return None

    def status(self, target: Target, meant: int) -> int:
        """What the state forbids is a bad request; what was deleted is as if it had never been."""
        return {409: 400, 410: 404}.get(meant, meant)

    def is_upload(self, target: Target) -> bool:
        return target.method == "POST" and target.pattern.endswith("/attachments")

    def passes_over(self, target: Target) -> bool:
        """The whole of what is shown may be posted back."""
        return target.last in ("job", "update") or target.pattern.startswith(f"{BELOW}diagrams")

    def faults(self, target: Target, reply: Reply) -> list[str]:
        document = reply.document
        if set(document) != {"error"}:
            return [f"has members {list(document)}"]
        # In XML an empty list is absent.
        if set(document["error"]) | {"details"} != {"message", "type", "details"}:
            return [f"has an error of members {list(document['error'])}"]
        details = document["error"].get("details", [])
        is_text = isinstance(document["error"]["message"], str) and document["error"]["message"]
        return [] if is_text and isinstance(details, list | str) else ["says nothing"]

    def named(self, document: Any) -> list[str]:
        details = document["error"].get("details", [])
        return [it.partition(" ")[0] for it in ([details] if isinstance(details, str) else details)]
