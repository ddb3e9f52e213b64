"""What callers ask of archives: to make one, to purge what one holds, to delete its files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from jobledger.ledger.domain.archive import Archive, ArchiveIsKeptError, archive_stream, instant_text
from jobledger.ledger.domain.command import Caller, Command, Find, UnitOfWork
from jobledger.ledger.domain.job import LARGEST_JOB_ID, Job, job_stream
from jobledger.ledger.domain.job_notification import OWNER, notify
from jobledger.ledger.domain.policy_commands import must_give_reason
from jobledger.ledger.errors import InvalidCommandError, NotAllowedError, NotFoundError

ARCHIVE = "archive"
ARCHIVE_TYPE = "Archive/Purge Jobs"
PURGE_JOBS = "jobs.purge"
# Who asks for what ended until now means its own clock; the unit's was read when its batch began.
CLOCKS_DIFFER = timedelta(seconds=5)
# A question: which of an archive's jobs something keeps; some ids.
KEPT_IN_ARCHIVE = "kept_in_archive"
# What a destination has, and nothing else: its password lies where ``secret`` says.
DESTINATION = ("host", "port", "path", "user", "secret")


def may_see(caller: Caller, domains: Iterable[str] | None) -> bool:
    """Whether an archive of these domains, None for all, exists for the caller."""
    return caller.domains is None or (domains is not None and caller.domains.issuperset(domains))


def visible_archive(unit: UnitOfWork, caller: Caller, archive_id: int) -> Archive:
    """The archive, if there is one that the caller may see. Raises NotFoundError."""
    archive = unit.get(Archive, archive_stream(archive_id))
    if archive is None or not may_see(caller, archive.order.get("domains")):
        raise NotFoundError(f"There is no archive {archive_id}.", archive_id=archive_id)
    return archive


def register_work(
    unit: UnitOfWork,
    caller: Caller,
    order: Mapping[str, Any],
    *,
    scheduled_at: datetime | None = None,
    recurrence: str | None = None,
    domain: str | None = None,
    owner: str | None = None,
    attributes: dict[str, Any] | None = None,
) -> Job:
    """A job that the ledger does itself, in that domain, or the caller's home domain. ``owner`` is told where whoever is noted
    as registering it may not be who asked for it. Raises InvalidCommandError.
    """
    job_id = unit.next_number("job")
    if job_id > LARGEST_JOB_ID:
        raise InvalidCommandError("The org has no job ids left.")
    work = {"kind": ARCHIVE, "order": dict(order)}
    if recurrence is not None:
        work["recurrence"] = recurrence
        # Each occurrence after the first is registered by the ledger itself.
        owner = owner or caller.principal
    if owner is not None:
        work[OWNER] = owner
    job = unit.begin(
        Job.Registered,
        job_stream(job_id),
        type=ARCHIVE_TYPE,
        name=f"{ARCHIVE_TYPE}-{job_id}",
        domain=domain or caller.home_domain,
        scheduled_at=scheduled_at,
        attributes=attributes,
        work=work,
    )
    assert isinstance(job, Job)
    notify(unit, job)
    return job


def request_next(unit: UnitOfWork, caller: Caller, job: Job, next_at: datetime) -> Job:
    """The occurrence after *job* of an archiving that recurs, with what it was asked for."""
    work = job.work or {}
    owner: str = work[OWNER]
    following = register_work(
        unit,
        caller,
        work["order"],
        scheduled_at=next_at,
        recurrence=work["recurrence"],
        domain=job.domain,
        owner=owner,
    )
    request_archive(unit, following.job_id, owner, work["order"])
    return following


@dataclass(slots=True, kw_only=True, eq=False)
class RequestArchive(Command):
    """Archive the jobs that have ended before an instant, of a type or any, of these domains or all that the caller sees; then,
    with ``purge``, purge them. The result is ``{"id", "version"}``: of the job that does it, whose id is the archive's.

    ``destination`` is where a copy goes, ``queue`` which queue is told. ``scheduled_at`` and ``recurrence`` are the job's,
    ``schedule_id`` is the schedule's that asks for it.
    """

    capability: ClassVar[str] = PURGE_JOBS
    ended_before: datetime
    job_type: str | None = None
    domains: tuple[str, ...] | None = None
    purge: bool = False
    destination: Mapping[str, Any] | None = None
    queue: str | None = None
    scheduled_at: datetime | None = None
    recurrence: str | None = None
    reason: str | None = None
    schedule_id: UUID | None = None

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises InvalidCommandError, NotAllowedError."""
        order = self.asked(unit.now)
        by_schedule = self.schedule_id is not None
        job = register_work(
            unit,
            self.caller,
            order,
            scheduled_at=self.scheduled_at,
            recurrence=self.recurrence,
            owner=self.caller.principal if by_schedule else None,
            attributes={"schedule": str(self.schedule_id)} if by_schedule else None,
        )
        request_archive(unit, job.job_id, self.caller.principal, order)
        return {"id": job.job_id, "version": job.version}

    def asked(self, now: datetime) -> dict[str, Any]:
        """What it asks for, as the work's order. Raises InvalidCommandError, NotAllowedError."""
        if self.reason is not None:
            must_give_reason(self.reason)
        if self.ended_before > max(now, self.scheduled_at or now) + CLOCKS_DIFFER:
            raise InvalidCommandError("Only jobs that have ended are archived.", member="ended_before")
        if self.destination is not None and not set(self.destination) <= set(DESTINATION):
            raise InvalidCommandError(f"A destination has {', '.join(DESTINATION)}.", member="destination")
        return self._order()

    def _order(self) -> dict[str, Any]:
        domains = self.domains
        if domains is None and self.caller.domains is not None:
            domains = tuple(sorted(self.caller.domains))
        for domain in domains or ():
            if not self.caller.sees(domain):
                raise NotAllowedError(f"You may not archive jobs of the domain {domain}.", domain=domain)
        order: dict[str, Any] = {"ended_before": instant_text(self.ended_before), "purge": self.purge}
        for name, it in (
            ("type", self.job_type or None),
            ("domains", None if domains is None else list(dict.fromkeys(domains))),
            ("destination", None if self.destination is None else dict(self.destination)),
            ("queue", self.queue),
            ("reason", self.reason),
        ):
            if it is not None:
                order[name] = it
        return order


def request_archive(unit: UnitOfWork, archive_id: int, requested_by: str, order: Mapping[str, Any]) -> None:
    """Begin the archive of the job that was registered with this order."""
    members = {**order, "ended_before": datetime.fromisoformat(order["ended_before"])}
    unit.begin(Archive.Requested, archive_stream(archive_id), requested_by=requested_by, **members)


@dataclass(slots=True, kw_only=True, eq=False)
class ArchiveCommand(Command):
    """Base of what is asked of one archive."""

    capability: ClassVar[str] = PURGE_JOBS
    archive_id: int
    reason: str | None = None

    def streams(self) -> Iterable[str]:
        """The archive."""
        return (archive_stream(self.archive_id),)


@dataclass(slots=True, kw_only=True, eq=False)
class PurgeArchive(ArchiveCommand):
    """Purge the jobs that an archive holds. The result is ``{"id", "version", "archive_id"}``, of the job that does it."""

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, GoneError, ArchiveIsNotVerifiedError, InvalidCommandError."""
        must_give_reason(self.reason)
        archive = visible_archive(unit, self.caller, self.archive_id)
        archive.must_be_here()
        archive.must_be_verified()
        job = register_work(unit, self.caller, {"purge_of": self.archive_id, "reason": self.reason})
        archive.trigger_event(Archive.PurgeRequested, timestamp=unit.now, job_id=job.job_id, reason=self.reason)
        return {"id": job.job_id, "version": job.version, "archive_id": self.archive_id}


@dataclass(slots=True, kw_only=True, eq=False)
class DeleteArchive(ArchiveCommand):
    """Let an archive's files be removed, all but the manifest. The result is ``{"id", "version", "deleted": true}``.

    What it alone holds of purged jobs is gone with it. One that was deleted is done, nothing appended.
    """

    def finds(self) -> Iterable[Find]:
        """Which of its jobs something keeps."""
        return (Find(KEPT_IN_ARCHIVE, (self.archive_id,)),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, InvalidCommandError, ArchiveIsNotVerifiedError, ArchiveIsKeptError."""
        must_give_reason(self.reason)
        archive = visible_archive(unit, self.caller, self.archive_id)
        if archive.deleted_at is not None:
            return {"id": self.archive_id, "version": archive.version, "deleted": True}
        # Until then somebody may be writing it.
        archive.must_be_verified()
        if archive.completed_at is None:
            purger = archive.purge_job_id
            raise ArchiveIsKeptError(
                f"Job {purger} is not done with the archive.", archive_id=self.archive_id, job_id=purger
            )
        kept = unit.found(Find(KEPT_IN_ARCHIVE, (self.archive_id,)))
        if kept:
            raise ArchiveIsKeptError(
                f"Jobs that the archive holds are on hold or retained, {kept[0]} among them.",
                archive_id=self.archive_id,
                job_ids=kept,
            )
        archive.trigger_event(Archive.Deleted, timestamp=unit.now, reason=self.reason)
        return {"id": self.archive_id, "version": archive.version, "deleted": True}
