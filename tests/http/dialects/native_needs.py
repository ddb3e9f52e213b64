"""What callers of the native API need, by the path; what verbs must be told, and what no tile is called."""

from __future__ import annotations

from typing import Any

READ = {
    "exports": "exports.create",
    "jobs": "jobs.read",
    "archives": "jobs.read",
    "rollups": "jobs.read",
    "audit": "access.read",
    "copies": "jobs.read",
    "diagrams": "jobs.read",
    "templates": "jobs.read",
    "holds": "jobs.read",
    "policy": "jobs.read",
    "schedules": "schedules.read",
    "queues": "queues.use",
    **dict.fromkeys(("events", "checkpoint", "key", "tile", "proof", "consistency"), "events.read"),
    "principals": "access.read",
    "tokens": "access.read",
    "me": None,
}

NO_TILES = [
    *("0", "00", "0000", "-01", "1e3", "x000/001", "x001", "001/002", "000.p/0", "000.p/256", "000.p/", "000.p/05"),
    *("%00", "%D9%A3"),
]
# Of verbs on a job that take one not empty.
DUE: dict[str, Any] = {
    "copied": {"copy_id": 8},
    "stage": {"stage": "b"},
    "release": {"reason": "settled"},
    "delete": {"reason": "asked for"},
    "erase": {"reason": "asked for"},
}
DONE = {
    "jobs": "jobs.register",
    "archives": "jobs.purge",
    "exports": "exports.create",
    "checkpoint": "checkpoints.attest",
    "copies": "jobs.copy",
    "holds": "holds.manage",
    "policy": "policy.manage",
    "schedules": "schedules.manage",
    "principals": "principals.manage",
    "tokens": "tokens.manage",
    "me": None,
    "diagrams": "diagrams.manage",
    "templates": "diagrams.manage",
}
# Of what is done to a job, but for its verbs.
DONE_TO_JOBS = {
    "jobs/manage": "jobs.retain",
    "jobs/{job_id}/update": "jobs.update",
    "jobs/{job_id}/upgrade": "jobs.upgrade",
    "jobs/{job_id}/steps": "jobs.update",
    "jobs/{job_id}/attachments": "jobs.update",
    "jobs/{job_id}/attachments/{attachment_id}": "jobs.update",
    "templates/{template_id}/jobs": "jobs.register",
}
