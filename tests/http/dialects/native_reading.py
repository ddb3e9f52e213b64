"""What whoever reads of the native API needs, by the first word of the path."""

from __future__ import annotations

READ = {
    "exports": "exports.create",
    "jobs": "jobs.read",
    "archives": "jobs.read",
    "rollups": "jobs.read",
    "audit": "events.read",
    "copies": "jobs.read",
    "diagrams": "jobs.read",
    "templates": "jobs.read",
    "holds": "jobs.read",
    "policy": "jobs.read",
    "schedules": "schedules.read",
    **dict.fromkeys(("events", "checkpoint", "key", "tile", "proof", "consistency"), "events.read"),
    "principals": "access.read",
    "tokens": "access.read",
    "me": None,
}
