"""What schemathesis is told of this API beyond its description; it loads this file by the name that ``SCHEMATHESIS_HOOKS`` has."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import schemathesis
from hypothesis import strategies as st

from jobledger.ledger.domain.access import ORG_NAME
from jobledger.ledger.domain.job import LARGEST_JOB_ID
from tests.http.dialects.manners import ATTACHMENT_ID, SCHEDULE_ID
from tests.world import ORG

# Of most requests the org and the job are there, so that what is generated comes further than to a 404.
JOBS = 6
# Diagram 1, and template 2 of it.
NUMBERED = {
    **dict.fromkeys(("job_id", "principal_id", "copy_id", "storage_policy_id"), JOBS),
    "diagram_id": 1,
    "template_id": 2,
    "number": 2,
    "version": 2,
}
NAMED = {"attachment_id": ATTACHMENT_ID, "schedule_id": SCHEDULE_ID}
MOST_ITEMS = 20

TIMES = st.datetimes(datetime(1901, 1, 1), datetime(9899, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # bounds are naive
schemathesis.openapi.format("date-time", TIMES.map(lambda it: it.isoformat().replace("+00:00", "Z")))


@schemathesis.hook
def map_path_parameters(_context: Any, given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Name what is there."""
    for name, value in (given or {}).items():
        if name == "org" and isinstance(value, str) and ORG_NAME.fullmatch(value):
            given = {**(given or {}), "org": ORG}
        elif name == "org_id" and isinstance(value, str) and ORG_NAME.fullmatch(value.lower()):
            given = {**(given or {}), name: ORG}
        elif name in NUMBERED and isinstance(value, int) and 0 < value <= LARGEST_JOB_ID:
            given = {**(given or {}), name: value % NUMBERED[name] + 1}
        elif name in NAMED and isinstance(value, str) and value.endswith(tuple("01234567")):
            given = {**(given or {}), name: NAMED[name]}
    return given


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    """A list as its lines."""
    listed = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(it, default=str).encode() + b"\n" for it in listed)


@schemathesis.hook
def before_load_schema(_context: Any, raw_schema: dict[str, Any]) -> None:
    """Lists of thousands take minutes to make, and tell no more."""
    todo: list[Any] = [raw_schema]
    while todo:
        it = todo.pop()
        if isinstance(it, dict):
            if it.get("maxItems", 0) > MOST_ITEMS:
                del it["maxItems"]
            todo += it.values()
        elif isinstance(it, list):
            todo += it
