"""What the native API takes of a job in a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobledger.http.members import Members, Reader, an_object, instant, job_id, list_of, reads, text
from jobledger.http.schema import OBJECT, STRING, Schema, object_of
from jobledger.ledger.domain.job_workflow import DETAILS, MOST_EXTENDED_PROPERTIES
from jobledger.ledger.store.codec import wire_time

LONGEST_TEXT = 10_000
# One that comes in a query: the request's line has room for it however it is encoded.
LONGEST_REASON = 200
LARGEST_GEOMETRY_CHARACTERS = 500_000
# What says that there is none.
EMPTY: Schema = {**STRING, "maxLength": 0}

geometry_type = text(50)
geometry_text = text(LARGEST_GEOMETRY_CHARACTERS)


@reads({"anyOf": [geometry_text.schema, OBJECT]})
def geometry(value: Any) -> Any:
    """A geometry: JSON in a text, as the vendor's clients write it, or an object."""
    return geometry_text(value) if isinstance(value, str) else an_object(value)


LOCATION_MEMBERS: Mapping[str, Reader[Any]] = {"geometryType": geometry_type, "geometry": geometry}


@reads(
    {
        **object_of({name: it.schema for name, it in LOCATION_MEMBERS.items()}, without=LOCATION_MEMBERS, further=True),
        "dependentRequired": {"geometryType": ["geometry"], "geometry": ["geometryType"]},
    }
)
def location(value: Any) -> dict[str, Any]:
    """``{"geometryType", "geometry"}``; without members it is none."""
    readers = LOCATION_MEMBERS
    given = value if isinstance(value, dict) else an_object(value)
    known = {name: it for name, it in given.items() if name in readers and it is not None}
    if not known:
        return {}
    if len(known) < len(readers):
        raise ValueError("is not an object of geometryType and geometry")
    return {name: readers[name](it) for name, it in known.items()}


identifier = text(500)


@reads(object_of({"identifier": identifier.schema}, further=True))
def extended_property(value: Any) -> dict[str, Any]:
    """``{"identifier", "value", …}``."""
    members = an_object(value)
    if members.get("identifier") is None:
        raise ValueError("holds a property of which identifier is missing")
    try:
        identifier(members["identifier"])
    except ValueError as error:
        raise ValueError(f"holds a property of which identifier {error}") from None
    return members


@reads({"anyOf": [instant.schema, EMPTY]})
def day(value: Any) -> str:
    """A time, as it is kept and shown; an empty text is none."""
    return "" if value == "" else wire_time(instant(value))


@reads({"anyOf": [job_id.schema, EMPTY]})
def parent(value: Any) -> int | None:
    """A job's id, as a text or a number; an empty text is none."""
    return None if value == "" else job_id(value)


extended_properties = list_of(extended_property, MOST_EXTENDED_PROPERTIES)


class SaidOfJob(Members):
    """What is said of a job: null, as an empty text, says that there is none, where there may be none."""

    def read(self, body: Any) -> dict[str, Any]:
        """See ``Members``; what is cleared is None."""
        read = super().read(body)
        nulls = [name for name, it in body.items() if it is None] if isinstance(body, dict) else []
        return read | {name: None for name in nulls if name in CLEARED}


JOB_MEMBERS = SaidOfJob(
    {
        "name": text(500),
        "priority": text(64),
        "description": text(LONGEST_TEXT, shortest=0),
        "notes": text(LONGEST_TEXT, shortest=0),
        "start_date": day,
        "due_date": day,
        "owned_by": text(200, shortest=0),
        "assigned_type": text(200, shortest=0),
        "assigned_to": text(200, shortest=0),
        "parent_job_id": parent,
        "location": location,
        "extended_properties": extended_properties,
    }
)
CLEARED = frozenset({*DETAILS, "priority", "location", "extended_properties"})
step_ids = list_of(text(200), 1_000)


def workflow_members(read: Mapping[str, Any]) -> dict[str, Any]:
    """The members that were read as ``job.updated`` has them."""
    members = {name: it for name, it in read.items() if name not in DETAILS}
    details = {name: it or None for name, it in read.items() if name in DETAILS}
    return {**members, "details": details} if details else members
