"""What the workflow dialect takes of a job: the members of creating and updating it, as commands have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobledger.http.members import Reader, an_object, instant, integer, list_of, read_members, text
from jobledger.ledger.domain.job import LARGEST_JOB_ID
from jobledger.ledger.domain.job_workflow import MOST_EXTENDED_PROPERTIES
from jobledger.ledger.store.codec import wire_time

LONGEST_TEXT = 10_000
LARGEST_GEOMETRY_CHARACTERS = 500_000


def geometry(value: Any) -> Any:
    """A geometry: JSON in a text, as the vendor's clients write it, or an object."""
    return text(LARGEST_GEOMETRY_CHARACTERS)(value) if isinstance(value, str) else an_object(value)


def location(value: Any) -> dict[str, Any]:
    """``{"geometryType", "geometry"}``; without members it is none."""
    readers = {"geometryType": text(50), "geometry": geometry}
    given = value if isinstance(value, dict) else an_object(value)
    known = {name: it for name, it in given.items() if name in readers and it is not None}
    if not known:
        return {}
    if len(known) < len(readers):
        raise ValueError("is not an object of geometryType and geometry")
    return {name: readers[name](it) for name, it in known.items()}


def extended_property(value: Any) -> dict[str, Any]:
    """``{"identifier", "value", …}``."""
    members = an_object(value)
    text(500)(members.get("identifier"))
    return members


def day(value: Any) -> str:
    """A time, as it is kept and shown; an empty text is none."""
    return "" if value == "" else wire_time(instant(value))


def parent(value: Any) -> int | None:
    """A job's id, as a text or a number; an empty text is none."""
    return None if value == "" else integer(1, LARGEST_JOB_ID)(value)


def _word(longest: int) -> Reader:
    return text(longest, shortest=0)


extended_properties = list_of(extended_property, MOST_EXTENDED_PROPERTIES)

# By the vendor's names: what the member is called here, and its reader. Those in DETAILS are details.
MEMBERS: dict[str, tuple[str, Reader]] = {
    "jobName": ("name", text(500)),
    "priority": ("priority", _word(64)),
    "location": ("location", location),
    "extendedProperties": ("extended_properties", extended_properties),
}
DETAILS: dict[str, tuple[str, Reader]] = {
    "description": ("description", _word(LONGEST_TEXT)),
    "notes": ("notes", _word(LONGEST_TEXT)),
    "startDate": ("start_date", day),
    "dueDate": ("due_date", day),
    "ownedBy": ("owned_by", _word(200)),
    "assignedType": ("assigned_type", _word(200)),
    "assignedTo": ("assigned_to", _word(200)),
    "parentJob": ("parent_job_id", parent),
}
READERS: Mapping[str, Reader] = {name: reader for name, (_, reader) in (MEMBERS | DETAILS).items()}
# Null says of these that there is none.
CLEARED: Mapping[str, Any] = {**dict.fromkeys(DETAILS, ""), "priority": "", "location": {}}


def read_job_members(given: Mapping[str, Any]) -> dict[str, Any]:
    """The members as ``job.updated`` has them. Raises InvalidCommandError."""
    cleared = {name: CLEARED[name] if it is None and name in CLEARED else it for name, it in given.items()}
    read = read_members(cleared, READERS)
    members = {MEMBERS[name][0]: it for name, it in read.items() if name in MEMBERS}
    details = {DETAILS[name][0]: it or None for name, it in read.items() if name in DETAILS}
    return {**members, "details": details} if details else members
