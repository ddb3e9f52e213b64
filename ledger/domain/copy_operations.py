"""What is asked of many jobs on one copy at once: all of them allow it, or none is changed and each that does not is named."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.access import ORG_STREAM, Org
from jobledger.ledger.domain.command import Find, SteppedCommand, UnitOfWork
from jobledger.ledger.domain.copy import SIBLING_COPIES, Copy, copy_id_of, copy_stream, known_copy
from jobledger.ledger.domain.hold import Hold, hold_stream
from jobledger.ledger.domain.hold_commands import ALL_FILTER_HOLDS, active_holds
from jobledger.ledger.domain.job import LARGEST_JOB_ID, Job, job_stream
from jobledger.ledger.domain.job_commands import visible_job
from jobledger.ledger.domain.job_copies import (
    DEPENDENTS,
    CopyDeleted,
    allow_copy,
    disallow_copies,
    disallow_copy,
    must_be_of,
    must_be_on,
    must_not_be_deleted_from,
)
from jobledger.ledger.domain.job_decisions import must_not_be_running
from jobledger.ledger.domain.job_keeping import release, retain
from jobledger.ledger.domain.policy import NO_POLICY, Policy
from jobledger.ledger.domain.policy_commands import must_give_reason
from jobledger.ledger.domain.retention import must_be_free, reasons_to_keep
from jobledger.ledger.errors import (
    ConflictError,
    InvalidCommandError,
    JobIsRequiredError,
    JobsNotFoundError,
    JobsRefusedError,
    LedgerError,
    NotFoundError,
)

MOST_JOBS = 10_000
# So many are judged before others of this process have a turn.
JOBS_A_TURN = 100


@dataclass(slots=True, kw_only=True, eq=False)
class CopyOperation(SteppedCommand):
    """Base of what is asked of jobs on one copy. A job already as is asked stays as it is.

    ``storage_policy_id`` and ``commcell_id``, where given, must be the copy's. The result is ``{"copy_id", "jobs", "changed"}``:
    the ids of the jobs, each once, in the order given, and of those that something was recorded about.
    """

    copy_id: int
    job_ids: Sequence[int]
    storage_policy_id: int | None = None
    commcell_id: int | None = None
    ids: list[int] = field(init=False)

    def __post_init__(self) -> None:
        """Raises InvalidCommandError for no jobs, or too many, NotFoundError for what can be no copy."""
        if copy_id_of(copy_stream(self.copy_id)) is None:
            raise NotFoundError(f"There is no copy {self.copy_id}.", copy_id=self.copy_id)
        if not 0 < len(self.job_ids) <= MOST_JOBS:
            raise InvalidCommandError(f"One request is about 1 to {MOST_JOBS} jobs.", limit=MOST_JOBS)
        self.ids = list(dict.fromkeys(self.job_ids))

    @property
    def possible_ids(self) -> tuple[int, ...]:
        """Those of the ids that a job can have."""
        return tuple(it for it in self.ids if 0 < it <= LARGEST_JOB_ID)

    @property
    def least_events(self) -> int:
        """Most often one a job."""
        return len(self.ids)

    def streams(self) -> Iterable[str]:
        """The copy and the jobs."""
        yield copy_stream(self.copy_id)
        yield from map(job_stream, self.ids)

    def deciding(self, unit: UnitOfWork) -> Generator[None, None, dict[str, Any]]:
        """Raises NotFoundError, JobsNotFoundError, JobsRefusedError, whose ``refused`` are ``{"id", "code", "detail"}``."""
        copy = known_copy(unit, self.copy_id)
        self.must_name(copy)
        self.prepare(unit, copy)
        changed: list[int] = []
        refused: dict[int, LedgerError] = {}
        for number, job_id in enumerate(self.ids, 1):
            before = len(unit.events)
            try:
                self.change(unit, visible_job(unit, self.caller, job_id))
            except (NotFoundError, ConflictError) as error:
                refused[job_id] = error
            if len(unit.events) > before:
                changed.append(job_id)
            if number % JOBS_A_TURN == 0:
                yield
        if refused:
            raise refusal_of(refused, len(self.ids))
        if changed:
            unit.outdate(DEPENDENTS)
        return {"copy_id": self.copy_id, "jobs": self.ids, "changed": changed}

    def must_name(self, copy: Copy) -> None:
        """Raise NotFoundError where the policy or the commcell is not the copy's."""
        if self.commcell_id not in (None, copy.commcell_id):
            raise NotFoundError(
                f"There is no copy {self.copy_id} in commcell {self.commcell_id}.", commcell_id=self.commcell_id
            )
        if self.storage_policy_id not in (None, copy.storage_policy_id):
            raise NotFoundError(
                f"There is no copy {self.copy_id} of storage policy {self.storage_policy_id}.",
                storage_policy_id=self.storage_policy_id,
            )

    def prepare(self, unit: UnitOfWork, copy: Copy) -> None:
        """What is the same for all of the jobs."""

    @abstractmethod
    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Do it to one job. Raises NotFoundError, ConflictError."""


def refusal_of(refused: dict[int, LedgerError], count: int) -> LedgerError:
    """All refusals of *count* jobs as one: not found where one of them is not there, else a conflict."""
    kind = JobsNotFoundError if any(isinstance(it, NotFoundError) for it in refused.values()) else JobsRefusedError
    return kind(f"{len(refused)} of {count} jobs are refused, and none was changed.", refused=refused)


@dataclass(slots=True, kw_only=True, eq=False)
class PolicyOperation(CopyOperation):
    """Base of what may be asked of any job that is on some copy of the storage policy."""

    capability: ClassVar[str] = "jobs.copy"
    siblings: frozenset[int] = frozenset()

    def finds(self) -> Iterable[Find]:
        """All copies of the policy."""
        return (Find(SIBLING_COPIES, (self.copy_id,)),)

    def prepare(self, unit: UnitOfWork, copy: Copy) -> None:
        """Know them."""
        self.siblings = frozenset(unit.found(Find(SIBLING_COPIES, (self.copy_id,))))


@dataclass(slots=True, kw_only=True, eq=False)
class DisallowCopy(PolicyOperation):
    """The jobs are not to be copied to the copy."""

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Raises JobIsCopiedError."""
        must_be_of(job, self.siblings, self.copy_id)
        disallow_copy(job, unit.now, self.copy_id)


@dataclass(slots=True, kw_only=True, eq=False)
class DisallowAllCopies(PolicyOperation):
    """The jobs are not to be copied to any copy of the storage policy; those made already stay."""

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Of one job."""
        must_be_of(job, self.siblings, self.copy_id)
        disallow_copies(job, unit.now, self.siblings)


@dataclass(slots=True, kw_only=True, eq=False)
class AllowCopy(PolicyOperation):
    """The jobs are to be copied to the copy again."""

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Of one job."""
        must_be_of(job, self.siblings, self.copy_id)
        allow_copy(job, unit.now, self.copy_id)


@dataclass(slots=True, kw_only=True, eq=False)
class RetainOnCopy(CopyOperation):
    """The jobs' data on the copy is retained, until then or until it is released."""

    capability: ClassVar[str] = "jobs.retain"
    until: datetime | None = None
    reason: str | None = None

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Raises JobCopyIsDeletedError, InvalidCommandError for a time that has passed."""
        must_not_be_deleted_from(job, self.copy_id)
        retain(job, unit.now, self.until, self.copy_id, self.reason)


@dataclass(slots=True, kw_only=True, eq=False)
class ReleaseOnCopy(CopyOperation):
    """A user's retention of the jobs' data on the copy ends; what else keeps it stays."""

    capability: ClassVar[str] = "jobs.retain"
    reason: str | None = None

    def prepare(self, unit: UnitOfWork, copy: Copy) -> None:
        """Raises InvalidCommandError where no reason is given."""
        must_give_reason(self.reason)

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Of one job."""
        must_be_on(job, self.copy_id)
        release(job, unit.now, self.copy_id, self.reason)


@dataclass(slots=True, kw_only=True, eq=False)
class DeleteFromCopy(CopyOperation):
    """The jobs' data on the copy is deleted: not while they run, are retained there or held, or others there require them."""

    capability: ClassVar[str] = "jobs.delete"
    reason: str | None = None
    required: dict[int, tuple[int, str]] = field(default_factory=dict, init=False)
    policy: Policy = field(default=NO_POLICY, init=False)
    holds: list[Hold] = field(default_factory=list, init=False)
    _dependents: Find = field(init=False)

    def __post_init__(self) -> None:
        """As any; its question is put together once: it is looked up by all the ids in it."""
        super(DeleteFromCopy, self).__post_init__()
        self._dependents = Find(DEPENDENTS, (self.copy_id, *self.possible_ids))

    def streams(self) -> Iterable[str]:
        """The copy, the jobs, and the org for its policy."""
        return (*super(DeleteFromCopy, self).streams(), ORG_STREAM)

    def finds(self) -> Iterable[Find]:
        """Who requires them on the copy, and the holds over filters."""
        return (self._dependents, ALL_FILTER_HOLDS)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """Those of these holds."""
        _dependents, holds = answers
        return map(hold_stream, holds)

    def prepare(self, unit: UnitOfWork, copy: Copy) -> None:
        """Know what keeps jobs, and which of them are required by jobs that are on the copy and not among them."""
        must_give_reason(self.reason)
        org = unit.see(Org, ORG_STREAM)
        assert org is not None
        self.policy, self.holds = org.policy, active_holds(unit)
        self.required = required_by_others(self.ids, unit.found(self._dependents))

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Raises JobIsRunningError, JobIsHeldError, JobIsRetainedError, JobIsRequiredError."""
        entry = must_be_on(job, self.copy_id)
        if entry["deleted_at"] is not None:
            return
        must_not_be_running(job)
        must_be_free(job, reasons_to_keep(job, self.policy, self.holds, unit.now, self.copy_id))
        other = self.required.get(job.job_id)
        if other is not None:
            other_id, domain = other
            by = f"job {other_id}" if self.caller.sees(domain) else "another job"
            raise JobIsRequiredError(
                f"Job {job.job_id} is required on copy {self.copy_id} by {by}, which is not listed.",
                job_id=job.job_id,
                copy_id=self.copy_id,
            )
        job.trigger_event(CopyDeleted, timestamp=unit.now, copy_id=self.copy_id, reason=self.reason)


def required_by_others(
    ids: Sequence[int], dependents: Iterable[tuple[int, int, str | None]]
) -> dict[int, tuple[int, str]]:
    """Which of *ids* are required, directly or not, by jobs on the copy that are none of them: one such job, and its domain.

    *dependents* are ``(required id, job id, the domain of that job where it is on the copy)``.
    """
    listed = set(ids)
    requires: defaultdict[int, list[int]] = defaultdict(list)
    others: dict[int, tuple[int, str]] = {}
    for required_id, job_id, domain in dependents:
        requires[job_id].append(required_id)
        if domain is not None and job_id not in listed:
            others[job_id] = (job_id, domain)
    # From all of them at once, up to what they require: each job is gone through once, however long the chain.
    because = dict(sorted(others.items()))
    todo = list(because)
    while todo:
        job_id = todo.pop()
        for required_id in requires.get(job_id, ()):
            if required_id not in because:
                because[required_id] = because[job_id]
                todo.append(required_id)
    return {job_id: because[job_id] for job_id in ids if job_id in because}
