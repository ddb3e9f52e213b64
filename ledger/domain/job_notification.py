"""Telling a queue how a job goes that the ledger does itself: the message is written in the append of what it tells.

A message is the job as it stands then, as plain data; whoever takes it is shown it in the dialect's words.
"""

from __future__ import annotations

from typing import Any

import orjson

from jobledger.ledger.domain.command import Effect, UnitOfWork
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.queue import PREFIX

MESSAGE = "message"
# The work's member that names the queue by its stream.
QUEUE = "queue"
# Likewise the principal that asked for it first, by its stream.
OWNER = "owner"


def notify(unit: UnitOfWork, job: Job) -> None:
    """Put how *job* stands into its queue, if its work names one. That the queue is gone does not matter."""
    queue = work_member(job, QUEUE)
    if not isinstance(queue, str) or not queue.startswith(PREFIX):
        return
    body = orjson.dumps(notification_of(job)).decode()
    queue_id = int(queue.removeprefix(PREFIX))
    unit.affect(Effect("drop_oldest_messages", (queue_id,)))
    unit.affect(Effect(MESSAGE, (queue_id, unit.now, body)))


def notification_of(job: Job) -> dict[str, Any]:
    """What a notification tells of the job; those of its members that the API shows, by the same names."""
    return {
        "id": job.job_id,
        "type": job.type,
        "name": job.name,
        "state": str(job.state),
        "progress": job.progress,
        "message": job.message,
        "reason": job.reason,
        "scheduled_at": None if job.scheduled_at is None else job.scheduled_at.isoformat(),
        "recurrence": work_member(job, "recurrence"),
    }


def work_member(job: Job, name: str) -> Any:
    """A member of the job's work, or of the order in it; None for none."""
    work = job.work or {}
    return work.get(name) or (work.get("order") or {}).get(name)
