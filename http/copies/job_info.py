"""A job on a copy as the copies dialect shows it: 35 members, always present, each of its type.

What the ledger itself knows (state, times, retention, the copy) is its own; the rest is what the job was registered with as
``backup``, under the same names. What is not known there, or is of another type, is ``""``, 0, false or ``{"id":0,"name":""}``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from jobledger.http.members import INSTANT
from jobledger.ledger.domain.job import State

STATUSES = {
    State.RUNNING: ("Running", 1),
    State.SCHEDULED: ("Waiting", 2),
    State.STALE: ("Pending", 3),
    State.SUCCESS: ("Completed", 4),
    State.FAILED: ("Failed", 5),
    State.CANCELLED: ("Killed", 6),
    State.DISCARDED: ("Killed", 6),
}
JOB_TYPES = ("Full", "Incremental", "Differential", "Synthetic Full", "Archive")
VERIFICATIONS = ("Not Picked", "Expired", "Not Picked", "Picked", "Partial", "Successful", "Failed")
UNKNOWN_VERIFICATION = "Invalid data received."
RETAINED_BY = ("No Data Available", "User", "Extended Retention", "Basic Retention")
RETAINED_BY_KIND = {"hold": 1, "user": 1, "extended": 2, "basic": 3}
UNTIL_RELEASED = -1
WHOLE = re.compile(r"-?\d{1,19}", re.ASCII)
LONGEST_NUMBER = 40


def job_info(
    job: Mapping[str, Any],
    entry: Mapping[str, Any],
    reasons: Sequence[Any],
    *,
    required_by: str = "",
    is_soft_aged: bool = False,
    now: datetime,
) -> dict[str, Any]:
    """The document of *job*, its members as the native API calls them; *entry* is what is known of it on the copy.

    *reasons* are those why its data there is kept at *now*, see ``reasons_to_keep``.
    """
    backup = job.get("backup") or {}
    status, status_id = STATUSES[job["state"]]
    started, ended = _seconds(job.get("started_at")), _seconds(job.get("ended_at"))
    verification = _integer(backup, "dataVerificationStatus", bits=32)
    is_known = 0 <= verification < len(VERIFICATIONS)
    job_type = backup.get("jobType")
    reason = reasons[0] if reasons else None
    retained_by = 0 if reason is None else RETAINED_BY_KIND[reason.kind]
    copied = _seconds(entry["copied_at"])
    return {
        "jobId": job["id"],
        "status": status,
        "server": _entity(backup, "server"),
        "agentType": _entity(backup, "agentType"),
        "subClient": _entity(backup, "subClient"),
        "jobType": job_type if job_type in JOB_TYPES else "",
        "startTime": started,
        "sizeOfApplication": _integer(backup, "sizeOfApplication"),
        "retainUntil": _retain_until(reason),
        "instance": _entity(backup, "instance"),
        "backupSet": _entity(backup, "backupSet"),
        "region": _entity(backup, "region"),
        "retentionReason": _retention_reason(reason),
        "username": _text(backup, "username"),
        "description": _text(backup, "description"),
        "savingPercentage": _number(backup, "savingPercentage"),
        "dataWritten": _integer(backup, "dataWritten"),
        "avgThroughput": _number(backup, "avgThroughput"),
        "endTime": ended,
        "duration": max(0, (ended or int(now.timestamp())) - started) if started else 0,
        "dataVerificationStatus": verification,
        "hardwareEncrypted": _boolean(backup, "hardwareEncrypted"),
        "lastVerifiedOn": _instant(backup, "lastVerifiedOn"),
        "copiedTime": copied or _integer(backup, "copiedTime"),
        "encrypted": _boolean(backup, "encrypted"),
        "parentJobId": _integer(backup, "parentJobId"),
        "retainedBy": retained_by,
        "deduplicated": _boolean(backup, "deduplicated"),
        "requiredByJobs": required_by,
        "strRetainedBy": RETAINED_BY[retained_by],
        "strDataVerificationStatus": VERIFICATIONS[verification] if is_known else UNKNOWN_VERIFICATION,
        "isAged": entry["deleted_at"] is not None,
        "statusId": status_id,
        "isSoftAged": is_soft_aged,
        "jobAttributesEx": _integer(backup, "jobAttributesEx"),
    }


def _seconds(written: str | None) -> int:
    return 0 if written is None else math.floor(datetime.fromisoformat(written).timestamp())


def _retain_until(reason: Any) -> int:
    if reason is None:
        return 0
    return UNTIL_RELEASED if reason.until is None else math.floor(reason.until.timestamp())


def _retention_reason(reason: Any) -> str:
    if reason is None:
        return ""
    return f"Legal hold: {reason.name}" if reason.kind == "hold" else reason.reason or ""


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _integer(members: Mapping[str, Any], name: str, bits: int = 64) -> int:
    value = members.get(name)
    if isinstance(value, str) and WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        return 0
    return value


def _number(members: Mapping[str, Any], name: str) -> float:
    value = members.get(name)
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        try:
            value = float(value)
        except ValueError:
            return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return 0.0
    return float(value)


def _boolean(members: Mapping[str, Any], name: str) -> bool:
    value = members.get(name)
    return value if isinstance(value, bool) else isinstance(value, str) and value.lower() == "true"


def _instant(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) and INSTANT.fullmatch(value) else ""


def _entity(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = members.get(name)
    if not isinstance(value, dict):
        return {"id": 0, "name": ""}
    return {"id": _integer(value, "id", bits=32), "name": _text(value, "name")}
