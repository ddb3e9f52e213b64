"""The documents that the native API accepts, by the path below the org."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobledger.http.native.archives import NEW_ARCHIVE, WHY
from jobledger.http.native.checkpoints import COSIGNATURE, TIMESTAMP
from jobledger.http.native.copies import NEW_COPY
from jobledger.http.native.diagrams import (
    CREATION,
    NEW_DIAGRAM,
    NEW_TEMPLATE,
    SAVED_DIAGRAM,
    SAVED_TEMPLATE,
)
from jobledger.http.native.exports import NEW_EXPORT
from jobledger.http.native.holds import NEW_HOLD, RELEASE
from jobledger.http.native.job_members import MANAGEMENT, REGISTRATION
from jobledger.http.native.policy import POLICY
from jobledger.http.native.principals import CHANGE, NEW_PRINCIPAL, OWN_PASSWORD, PASSWORD, REASON
from jobledger.http.native.schedules import NEW_SCHEDULE
from jobledger.http.native.tokens import NEW_TOKEN
from jobledger.http.native.workflow import STEPS
from jobledger.http.native.workflow_members import JOB_MEMBERS
from tests.http.serving import OWNER_PASSWORD

# Of the copies 7 and 8; job 1 is to be copied to 7.
NEW_COPY_BODY = {"name": "primary", "storage_policy_id": 3, "storage_policy_name": "nightly"}
# By the path below the org: the document that is accepted, and the readers of its members.
BODIES: dict[str, tuple[Any, Mapping[str, Any]]] = {
    "jobs": ({"type": "copy", "name": "n"}, REGISTRATION),
    "principals": ({"name": "carol", "roles": ["client"]}, NEW_PRINCIPAL),
    "principals/{principal_id}": ({"roles": ["client"]}, CHANGE),
    "principals/{principal_id}/password": ({"password": "correct horse"}, PASSWORD),
    "me/password": ({"current": OWNER_PASSWORD, "password": OWNER_PASSWORD}, OWN_PASSWORD),
    "tokens": ({"principal_id": 2}, NEW_TOKEN),
    "tokens/{token_id}/revoke": ({}, REASON),
    "jobs/manage": ({"action": "retain", "job_ids": [1]}, MANAGEMENT),
    "holds": ({"name": "case 7", "reason": "a lawsuit", "filter": {"type": "none"}}, NEW_HOLD),
    "holds/{hold_id}/release": ({"reason": "settled"}, RELEASE),
    "policy": ({"rules": [{"type": "other", "basic_days": 1}], "reason": "law"}, POLICY),
    "copies/{copy_id}": (NEW_COPY_BODY, NEW_COPY),
    "jobs/{job_id}/update": ({}, JOB_MEMBERS),
    "jobs/{job_id}/upgrade": ({}, {}),
    "jobs/{job_id}/steps": ({"action": "run"}, STEPS),
    "archives": ({"ended_before": "2000-01-01T00:00:00Z"}, NEW_ARCHIVE),
    "archives/{archive_id}/purge": ({"reason": "space"}, WHY),
    "exports": ({}, NEW_EXPORT),
    "schedules": ({"expression": "0 0 4 ? * *", "action": {"kind": "maintenance"}}, NEW_SCHEDULE),
    "diagrams": ({"name": "d", "steps": [{"id": "a"}]}, NEW_DIAGRAM),
    "diagrams/{diagram_id}": ({}, SAVED_DIAGRAM),
    "diagrams/{diagram_id}/versions/{number}/activate": ({}, {}),
    "templates": ({"name": "t", "diagram_id": 1}, NEW_TEMPLATE),
    "templates/{template_id}": ({}, SAVED_TEMPLATE),
    "templates/{template_id}/jobs": ({}, CREATION),
    "checkpoint/{size}/cosignatures": ({"cosignature": "— w AAAA", "key": "w+0+A"}, COSIGNATURE),
    "checkpoint/{size}/timestamp": ({"token": "MAA="}, TIMESTAMP),
}
