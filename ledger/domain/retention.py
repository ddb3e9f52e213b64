"""The one question of retention: may this job be deleted, erased or purged, and if not, why not, with every reason.

A reason is a legal hold, a user's retention, extended or basic retention by the org's policy; in this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobledger.ledger.domain.hold import FilterHold, Hold
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.policy import WITHOUT_END, Policy
from jobledger.ledger.errors import JobIsHeldError, JobIsRetainedError

HOLD, USER, EXTENDED, BASIC = "hold", "user", "extended", "basic"
# So many holds, and so many retentions, are told in the line of a refusal; its facts have all.
MOST_TOLD = 20
# The user retention of the whole job: it protects every copy too.
WHOLE_JOB = ""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a job may not be removed. ``until`` is when this is over, None for a hold and for what lasts until it is released.

    ``hold_id`` and ``name`` are a hold's, ``copy_id`` that of the copy that a user retains, None for the whole job.
    """

    kind: str
    until: datetime | None = None
    hold_id: int | None = None
    name: str | None = None
    copy_id: int | None = None
    reason: str | None = None

    @property
    def data(self) -> dict[str, Any]:
        """As plain members, instants as text; ``until`` is always there, null for without end."""
        members = {
            "kind": self.kind,
            "hold_id": self.hold_id,
            "name": self.name,
            "copy_id": self.copy_id,
            "until": None if self.until is None else _text(self.until),
            "reason": self.reason,
        }
        return {name: it for name, it in members.items() if it is not None or name == "until"}


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")


def reasons_to_keep(
    job: Job,
    policy: Policy,
    filter_holds: Iterable[Hold | FilterHold],
    now: datetime,
    copy_id: int | None = None,
) -> list[Reason]:
    """Every reason why the job may not be removed at *now*: none, and it may. *filter_holds* are the org's active ones.

    With *copy_id*: why its data on that copy may not be; else what a user retains on any copy counts.
    """
    listed = {int(hold_id): name for hold_id, name in job.holds.items()} if job.holds else {}
    listed |= {it.hold_id: it.name for it in filter_holds if it.covers(job)}
    reasons = [Reason(HOLD, hold_id=hold_id, name=listed[hold_id]) for hold_id in sorted(listed)]
    if job.retentions:
        reasons += _by_users(job, now, copy_id)
    if job.final_at is not None:
        basic, extended = policy_retention(job, policy)
        for kind, until in ((EXTENDED, extended), (BASIC, basic)):
            if until is not None and until > now:
                reasons.append(Reason(kind, until=None if until == WITHOUT_END else until))
    return reasons


def _by_users(job: Job, now: datetime, copy_id: int | None) -> list[Reason]:
    reasons = []
    for name in sorted(job.retentions, key=lambda it: int(it or 0)):
        until = retained_until(job, name)
        if until is not None and until > now and (copy_id is None or name in (WHOLE_JOB, str(copy_id))):
            reasons.append(
                Reason(
                    USER,
                    until=None if until == WITHOUT_END else until,
                    copy_id=int(name) if name else None,
                    reason=job.retentions[name].get("reason"),
                )
            )
    return reasons


def retained_until(job: Job, name: str) -> datetime | None:
    """Until when a user retains the job (``""``) or the copy of this id: None for not at all, WITHOUT_END until released."""
    retention = job.retentions.get(name)
    if retention is None:
        return None
    until = retention.get("until")
    return WITHOUT_END if until is None else datetime.fromisoformat(until)


def counted_from(job: Job) -> datetime | None:
    """From when basic and extended retention count: back-dating its end does not shorten them. None while it has not ended."""
    if job.ended_at is None or job.final_at is None or job.imported:
        return job.ended_at
    return max(job.ended_at, job.final_at)


def policy_retention(job: Job, policy: Policy) -> tuple[datetime | None, datetime | None]:
    """Until when basic and extended retention last, as ``Policy.until``; None, None for a job that has not ended."""
    begin = counted_from(job)
    if begin is None or job.final_at is None:
        return None, None
    return policy.until(job.type, job.state, begin, job.final_at)


def may_be_deleted(job: Job, reasons: Sequence[Reason]) -> bool:
    """Whether a job with these reasons may be deleted: not while it runs, whatever else."""
    return not reasons and job.state not in (State.RUNNING, State.STALE)


def may_be_erased(job: Job, reasons: Sequence[Reason]) -> bool:
    """Whether a job with these reasons may be erased whole, or purged: it has ended. What is private of it may be before."""
    return not reasons and job.is_final


def must_be_free(job: Job, reasons: list[Reason]) -> None:
    """Raise JobIsHeldError or JobIsRetainedError, with all of them, if there is any reason to keep the job."""
    if not reasons:
        return
    facts: dict[str, Any] = {"job_id": job.job_id, "reasons": [it.data for it in reasons]}
    holds = [it.name or "" for it in reasons if it.kind == HOLD]
    retained = [it for it in reasons if it.kind != HOLD]
    told = f"is on legal hold: {listed(holds)}" if holds else _retention_told(retained)
    if holds and retained:
        told = f"{told}; it {_retention_told(retained)}"
    kind = JobIsHeldError if holds else JobIsRetainedError
    raise kind(f"Job {job.job_id} {told}.", **facts)


def _retention_told(reasons: Sequence[Reason]) -> str:
    """How long in all, and by whom: "is retained until released (user on copy 9 until …; user on copy 10 until released)"."""
    ends = {_end_told(it): it for it in reasons}
    latest = max(ends, key=lambda it: _end_order(ends[it]))
    if len(reasons) == 1:
        return f"is retained {latest} ({_source_told(reasons[0])})"
    return f"is retained {latest} ({listed([f'{_source_told(it)} {_end_told(it)}' for it in reasons], '; ')})"


def _source_told(reason: Reason) -> str:
    return reason.kind if reason.copy_id is None else f"{reason.kind} on copy {reason.copy_id}"


def _end_told(reason: Reason) -> str:
    if reason.until is not None:
        return f"until {_text(reason.until)}"
    # Nobody can release what the org's policy retains.
    return "until released" if reason.kind == USER else "for ever"


def _end_order(reason: Reason) -> tuple[bool, datetime]:
    return reason.until is None and reason.kind != USER, reason.until or WITHOUT_END


def listed(told: Sequence[str], separator: str = ", ") -> str:
    """The first of them, and how many more there are."""
    further = [f"and {len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
    return separator.join([*told[:MOST_TOLD], *further])
