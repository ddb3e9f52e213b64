"""Jobs, and how they go, as this dialect shows them.

<job href="/api/space/job-management/jobs/7" uri="/api/space/job-management/jobs/7"><id>7</id><name>…</name>…</job>
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from jobledger.http.context import DOMAINS, JOBS
from jobledger.http.space.dialect import JOB_MANAGEMENT
from jobledger.http.space.documents import INSTANCE, Markup
from jobledger.http.space.domains import DomainNumbers
from jobledger.ledger.domain.cron import CronExpression
from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_recurrence import RECURRENCE, owner_of

JOBS_HREF = f"{JOB_MANAGEMENT}/jobs"
ARCHIVE_TYPE = "Archive/Purge Jobs"
DONE = "DONE"
# job-state, job-status, mo-state.
WORDS: Mapping[State, tuple[str, str, str]] = {
    State.SCHEDULED: ("SCHEDULED", "UNDETERMINED", "SCHEDULED"),
    State.RUNNING: ("INPROGRESS", "UNDETERMINED", "INPROGRESS"),
    State.STALE: ("INPROGRESS", "UNDETERMINED", "STALE"),
    State.SUCCESS: (DONE, "SUCCESS", "SUCCESS"),
    State.FAILED: (DONE, "FAILURE", "FAILURE"),
    State.CANCELLED: (DONE, "FAILURE", "CANCELLED"),
    State.DISCARDED: (DONE, "FAILURE", "DISCARDED"),
}
JOB_STATE, JOB_STATUS, MO_STATE = range(3)
HUNDREDTH = Decimal("0.01")
ELEMENTS = (
    *("id", "name", "percent-complete", "mo-state", "job-state", "job-status", "job-type", "summary"),
    *("scheduled-start-time", "start-time", "end-time", "owner", "schedule-string", "repeat-cron", "retry-supported"),
    *("domain-id", "domain-name"),
)
UNITS = ((86_400, "DAYS"), (3_600, "HOURS"), (60, "MINUTES"), (1, "SECONDS"))


def href_of(job_id: int) -> str:
    """Where the job is."""
    return f"{JOBS_HREF}/{job_id}"


def name_of(job: Mapping[str, Any]) -> str:
    """What the job is called here: an archive and purge by its type and id, as there are many of one name."""
    name, suffix = job["name"], f"-{job['id']}"
    return f"{name}{suffix}" if job["type"] == ARCHIVE_TYPE and not name.endswith(suffix) else name


def shown_time(moment: str | None) -> str | None:
    """``Thu, 17 Mar 2011 05:29:00 GMT``."""
    if moment is None:
        return None
    return format_datetime(datetime.fromisoformat(moment).astimezone(UTC).replace(microsecond=0), usegmt=True)


def percentage(job: Mapping[str, Any]) -> float:
    """How far it is, from 0.0 to 100.0, with two digits: rounded as a filter by it rounds."""
    return float(Decimal(f"{100 * float(job['progress'] or 0):.15g}").quantize(HUNDREDTH, ROUND_HALF_UP))


def schedule_string(scheduled_at: str | None, recurrence: str | None) -> str | None:
    """``(at(SEC MIN HOUR DOM MON DOW YEAR))``; None of a job that was not scheduled."""
    if recurrence is not None:
        return f"(at({recurrence}))"
    if scheduled_at is None:
        return None
    at = datetime.fromisoformat(scheduled_at).astimezone(UTC)
    return f"(at({at.second} {at.minute} {at.hour} {at.day} {at.month} ? {at.year}))"


def marked_up(*texts: str | None) -> Markup:
    """The lines of the first that there is, each with a line break in HTML behind it."""
    text = next((it for it in texts if it), "")
    return Markup("".join(f"{line}<br>" for line in text.splitlines()))


def progress_update(job: Mapping[str, Any]) -> dict[str, Any]:
    """The progress notification of a job, which is as the native API shows it; ``recurrence`` where it has one."""
    state, status, _ = WORDS[State(job["state"])]
    document: dict[str, Any] = {
        "@xmlns:xsi": INSTANCE,
        "@xsi:type": "parallel-progress",
        "job": {"@href": href_of(job["id"])},
        "taskId": job["id"],
        "jobName": name_of(job),
        "state": state,
        "status": status,
        # However far it came: clients follow it until then.
        "percentage": 100.0 if state == DONE else percentage(job),
        "data": marked_up(job["reason"], job["message"]),
    }
    if (recurrence := job.get(RECURRENCE)) is not None:
        document["recurrence"] = shown_recurrence(job["scheduled_at"], recurrence)
    return {"progress-update": document}


def shown_recurrence(scheduled_at: str | None, expression: str) -> dict[str, Any]:
    """When a job recurs: ``repeatInterval`` is the time to the run after it, in the largest unit that it is a multiple of."""
    start = datetime.fromisoformat(scheduled_at) if scheduled_at is not None else datetime.now(UTC)
    following = CronExpression.parse(expression).next_after(start)
    shown: dict[str, Any] = {"startTime": shown_time(scheduled_at), "endTime": ""}
    if following is not None:
        seconds = max(1, round((following - start).total_seconds()))
        size, unit = next(it for it in UNITS if seconds % it[0] == 0)
        shown |= {"repeatInterval": seconds // size, "unit": unit}
    return {name: value for name, value in shown.items() if value is not None}


async def shown_jobs(
    request: web.Request, org: str, jobs: Sequence[Mapping[str, Any]], fields: frozenset[str] | None = None
) -> list[dict[str, Any]]:
    """The jobs, which are as the native API shows them, as elements: of *fields*, None for all. Raises DatabaseIsAwayError."""
    if not jobs:
        return []
    known = await request.app[JOBS].registered_by(org, [it["id"] for it in jobs])
    owners = {number: owner_of(it["work"]) or it["by"] for number, it in known.items()}
    names = await request.app[DOMAINS].names(org, owners.values())
    numbers = await DomainNumbers.of(request, org)
    return [_shown(it, known.get(it["id"], {}), names.get(owners.get(it["id"], "")), numbers, fields) for it in jobs]


def _shown(
    job: Mapping[str, Any],
    known: Mapping[str, Any],
    owner: str | None,
    numbers: DomainNumbers,
    fields: frozenset[str] | None,
) -> dict[str, Any]:
    words = WORDS[State(job["state"])]
    work = known.get("work") or {}
    recurrence = work.get(RECURRENCE) or (work.get("order") or {}).get(RECURRENCE)
    elements = {
        "id": job["id"],
        "name": name_of(job),
        "percent-complete": percentage(job),
        "mo-state": words[MO_STATE],
        "job-state": words[JOB_STATE],
        "job-status": words[JOB_STATUS],
        "job-type": job["type"],
        "summary": marked_up(job["reason"], job["message"]),
        "scheduled-start-time": shown_time(job["scheduled_at"] or job["registered_at"]),
        "start-time": shown_time(job["started_at"]),
        "end-time": shown_time(job["ended_at"]),
        "owner": owner,
        "schedule-string": schedule_string(job["scheduled_at"], recurrence),
        "repeat-cron": recurrence,
        "retry-supported": False,
        "domain-id": numbers.number(job["domain"]),
        "domain-name": job["domain"],
    }
    shown = {
        name: value for name, value in elements.items() if value is not None and (fields is None or name in fields)
    }
    return {"@href": href_of(job["id"]), "@uri": href_of(job["id"]), **shown}
