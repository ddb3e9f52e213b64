"""On which copies the data of a job lies, or is to lie.

A job keeps a list of ``{"id", "state", "copied_at", "deleted_at"}`` by copy id, replaced and never changed. The state is what
is true of copying; a deletion stands beside it, so that it is still known what was deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.command import UnitOfWork
from jobledger.ledger.domain.copy import copy_stream, known_copy
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_commands import JobTransition
from jobledger.ledger.errors import (
    InvalidCommandError,
    JobCopyIsDeletedError,
    JobCopyIsDisallowedError,
    JobIsCopiedError,
    NotFoundError,
)

AVAILABLE, TO_BE_COPIED, NOT_TO_BE_COPIED = "available", "to_be_copied", "not_to_be_copied"
COPY_STATES = (AVAILABLE, TO_BE_COPIED, NOT_TO_BE_COPIED)
MOST_COPIES = 100
# Who requires some jobs, directly or not, with what of it stands on a copy.
DEPENDENTS = "dependents"


def told_time(moment: datetime) -> str:
    """The instant as a job's copies have it: text, which is the same in memory, in events and in rows."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def entry_of(job: Job, copy_id: int) -> dict[str, Any] | None:
    """What is known of the job on the copy; None for nothing."""
    return next((it for it in job.copies or () if it["id"] == copy_id), None)


def is_held_on(entry: dict[str, Any] | None) -> bool:
    """Whether the job's data lies on the copy."""
    return entry is not None and entry["state"] == AVAILABLE and entry["deleted_at"] is None


class CopyDecision(Job.Decision):
    """Base of the events that change what is known of a job on its copies."""

    def put(self, aggregate: Job, copy_id: int, **members: Any) -> None:
        """Change what is known of the job on one copy."""
        before = entry_of(aggregate, copy_id) or {
            "id": copy_id,
            "state": TO_BE_COPIED,
            "copied_at": None,
            "deleted_at": None,
        }
        others = [it for it in aggregate.copies or () if it["id"] != copy_id]
        aggregate.copies = sorted([*others, {**before, **members}], key=lambda it: it["id"])


class Copied(CopyDecision):
    """The job's data was copied to the copy. Without a time of its own that was when this was recorded."""

    type_name: ClassVar[str] = "job.copied"
    times: ClassVar[tuple[str, ...]] = ("copied_at",)
    copy_id: int
    copied_at: datetime | None = None

    def apply(self, aggregate: Job) -> None:
        """Be available there."""
        super().apply(aggregate)
        copied_at = told_time(self.copied_at or self.timestamp)
        self.put(aggregate, self.copy_id, state=AVAILABLE, copied_at=copied_at, deleted_at=None)


class CopyDisallowed(CopyDecision):
    """The job's data is not to be copied to these copies."""

    type_name: ClassVar[str] = "job.copy_disallowed"
    copy_ids: list[int]

    def apply(self, aggregate: Job) -> None:
        """Not to be copied there."""
        super().apply(aggregate)
        for copy_id in self.copy_ids:
            self.put(aggregate, copy_id, state=NOT_TO_BE_COPIED, copied_at=None)


class CopyAllowed(CopyDecision):
    """The job's data is to be copied to the copy, again if it was deleted there."""

    type_name: ClassVar[str] = "job.copy_allowed"
    copy_id: int

    def apply(self, aggregate: Job) -> None:
        """To be copied there."""
        super().apply(aggregate)
        self.put(aggregate, self.copy_id, state=TO_BE_COPIED, copied_at=None, deleted_at=None)


class CopyDeleted(CopyDecision):
    """The job's data on the copy was deleted, or will never be there."""

    type_name: ClassVar[str] = "job.copy_deleted"
    copy_id: int
    reason: str | None = None

    def apply(self, aggregate: Job) -> None:
        """Deleted there."""
        super().apply(aggregate)
        self.put(aggregate, self.copy_id, deleted_at=told_time(self.timestamp))


def registered_copies(unit: UnitOfWork, given: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The copies that a job is registered with, each ``{"id", "state"?, "copied_at"?}``, as the job keeps them.

    Raises NotFoundError for an unknown copy, InvalidCommandError.
    """
    entries: dict[int, dict[str, Any]] = {}
    for one in given:
        copy_id, state, copied_at = one["id"], one.get("state", AVAILABLE), one.get("copied_at")
        known_copy(unit, copy_id)
        if copy_id in entries:
            raise InvalidCommandError(f"Copy {copy_id} is named twice.", member="copies", copy_id=copy_id)
        if copied_at is not None and state != AVAILABLE:
            raise InvalidCommandError(
                f"What is {state} has not been copied to copy {copy_id}.", member="copies", copy_id=copy_id
            )
        told = None if copied_at is None else told_time(copied_at)
        entries[copy_id] = {"id": copy_id, "state": state, "copied_at": told, "deleted_at": None}
    if len(entries) > MOST_COPIES:
        raise InvalidCommandError(f"A job is on at most {MOST_COPIES} copies.", member="copies", limit=MOST_COPIES)
    return [entries[copy_id] for copy_id in sorted(entries)]


def must_be_on(job: Job, copy_id: int) -> dict[str, Any]:
    """What is known of the job on the copy. Raises NotFoundError where nothing is."""
    entry = entry_of(job, copy_id)
    if entry is None:
        raise NotFoundError(f"Job {job.job_id} is not on copy {copy_id}.", job_id=job.job_id, copy_id=copy_id)
    return entry


def must_not_be_deleted_from(job: Job, copy_id: int) -> None:
    """Raise NotFoundError where nothing is known of the job on the copy, JobCopyIsDeletedError where it was deleted there."""
    if must_be_on(job, copy_id)["deleted_at"] is not None:
        raise JobCopyIsDeletedError(
            f"Job {job.job_id} was deleted from copy {copy_id}.", job_id=job.job_id, copy_id=copy_id
        )


def must_be_of(job: Job, copy_ids: Iterable[int], copy_id: int) -> None:
    """Raise NotFoundError unless the job is on one of *copy_ids*, those of the policy of the copy *copy_id*."""
    known = {it["id"] for it in job.copies or ()}
    if known.isdisjoint(copy_ids):
        raise NotFoundError(
            f"Job {job.job_id} is on no copy of the storage policy of copy {copy_id}.",
            job_id=job.job_id,
            copy_id=copy_id,
        )


def note_copied(job: Job, at: datetime, copy_id: int, copied_at: datetime | None = None) -> None:
    """Its data was copied there. Raises JobCopyIsDisallowedError, InvalidCommandError."""
    entry = entry_of(job, copy_id)
    if is_held_on(entry):
        return
    if entry is None and len(job.copies or ()) >= MOST_COPIES:
        raise InvalidCommandError(f"A job is on at most {MOST_COPIES} copies.", limit=MOST_COPIES)
    if entry is not None and entry["state"] == NOT_TO_BE_COPIED:
        raise JobCopyIsDisallowedError(
            f"Job {job.job_id} is not to be copied to copy {copy_id}.", job_id=job.job_id, copy_id=copy_id
        )
    job.trigger_event(Copied, timestamp=at, copy_id=copy_id, copied_at=copied_at)


def disallow_copy(job: Job, at: datetime, copy_id: int) -> None:
    """Not to be copied to this one. Raises JobIsCopiedError where it was already."""
    entry = entry_of(job, copy_id)
    if entry is not None and entry["state"] == AVAILABLE:
        raise JobIsCopiedError(
            f"Job {job.job_id} has been copied to copy {copy_id}.", job_id=job.job_id, copy_id=copy_id
        )
    disallow_copies(job, at, (copy_id,))


def disallow_copies(job: Job, at: datetime, copy_ids: Iterable[int]) -> None:
    """Not to be copied to any of these; copies already made, and what is so already, stay as they are."""
    settled = {it["id"] for it in job.copies or () if it["state"] != TO_BE_COPIED}
    disallowed = sorted(set(copy_ids) - settled)
    if disallowed:
        job.trigger_event(CopyDisallowed, timestamp=at, copy_ids=disallowed)


def allow_copy(job: Job, at: datetime, copy_id: int) -> None:
    """To be copied to this one again; where it lies already it stays."""
    entry = entry_of(job, copy_id)
    if entry is None or entry["state"] == NOT_TO_BE_COPIED or entry["deleted_at"] is not None:
        job.trigger_event(CopyAllowed, timestamp=at, copy_id=copy_id)


@dataclass(slots=True, kw_only=True, eq=False)
class NoteCopied(JobTransition):
    """An auxiliary copy was made: the job's data lies on that copy too. The result is that of a transition."""

    capability: ClassVar[str] = "jobs.copy"
    copy_id: int
    copied_at: datetime | None = None

    def streams(self) -> Iterable[str]:
        """The job and the copy."""
        return (job_stream(self.job_id), copy_stream(self.copy_id))

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Note it. Raises NotFoundError for an unknown copy."""
        known_copy(unit, self.copy_id)
        note_copied(job, unit.now, self.copy_id, self.copied_at)
        unit.outdate(DEPENDENTS)
