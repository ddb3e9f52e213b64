"""What the workflow dialect takes of a job: the members of creating and updating it, as commands have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobledger.http.members import Reader, read_members, text
from jobledger.http.native.workflow_members import LONGEST_TEXT, day, extended_properties, location, parent
from jobledger.http.workflow.items import Known


def _word(longest: int) -> Reader[str]:
    return text(longest, shortest=0)


# By the vendor's names: what the member is called here, and its reader. Those in DETAILS are details.
MEMBERS: dict[str, tuple[str, Reader[Any]]] = {
    "jobName": ("name", text(500)),
    "priority": ("priority", _word(64)),
    "location": ("location", location),
    "extendedProperties": ("extended_properties", extended_properties),
}
DETAILS: dict[str, tuple[str, Reader[Any]]] = {
    "description": ("description", _word(LONGEST_TEXT)),
    "notes": ("notes", _word(LONGEST_TEXT)),
    "startDate": ("start_date", day),
    "dueDate": ("due_date", day),
    "ownedBy": ("owned_by", _word(200)),
    "assignedType": ("assigned_type", _word(200)),
    "assignedTo": ("assigned_to", _word(200)),
    "parentJob": ("parent_job_id", parent),
}
READERS = Known({name: reader for name, (_, reader) in (MEMBERS | DETAILS).items()})
# Null says of these that there is none.
CLEARED: Mapping[str, Any] = {**dict.fromkeys(DETAILS, ""), "priority": "", "location": {}}


def read_job_members(given: Mapping[str, Any]) -> dict[str, Any]:
    """The members as ``job.updated`` has them. Raises InvalidCommandError."""
    cleared = {name: CLEARED[name] if it is None and name in CLEARED else it for name, it in given.items()}
    read = read_members(cleared, READERS)
    members = {MEMBERS[name][0]: it for name, it in read.items() if name in MEMBERS}
    if given.get("extendedProperties", ()) is None:
        members["extended_properties"] = None
    details = {DETAILS[name][0]: it or None for name, it in read.items() if name in DETAILS}
    return {**members, "details": details} if details else members
