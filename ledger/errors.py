"""What can go wrong, as a caller or an operator sees it.

LedgerError                    the caller can act on it
├── InvalidCommandError        malformed, out of range
│   ├── ContentTooLargeError
│   └── IdempotencyKeyReusedError
├── NotFoundError
│   ├── JobsNotFoundError
│   └── GoneError              it was deleted or erased
├── ConflictError              the state forbids it
│   ├── JobIsFinalError
│   ├── JobIsNotRunningError
│   ├── JobCannotBeStoppedError
│   ├── JobExistsError
│   ├── JobIsClosedError
│   ├── JobIsOpenError
│   ├── JobIsRunningError
│   ├── JobHasBegunError
│   ├── JobIsCopiedError
│   ├── JobCopyIsDisallowedError
│   ├── JobCopyIsDeletedError
│   ├── JobIsRequiredError
│   ├── CopyStaysError
│   ├── JobIsBelowError
│   ├── JobHasNoDiagramError
│   ├── StepIsNotThereError
│   ├── DiagramIsNotActiveError
│   ├── DiagramVersionIsActiveError
│   ├── JobIsNotFinalError
│   ├── JobIsTheLedgersError
│   ├── JobIsRetainedError
│   │   └── JobIsHeldError
│   ├── JobsRefusedError
│   ├── TooManyRetentionsError
│   ├── TooManyHoldsError
│   ├── PolicyIsLockedError
│   ├── NameIsTakenError
│   ├── LastAdministratorError
│   └── TooManyTokensError
├── NotAllowedError            the caller lacks the capability
├── NotLetInError              what the caller shows lets nobody in, or no more
└── UnavailableError           nothing was appended, try again (retry_after_s)
    ├── CallerIsOutdatedError  it must be asked again who calls
    ├── QueueIsFullError
    ├── TooManyFollowersError
    ├── DatabaseIsAwayError
    ├── TooManyAttemptsError
    ├── ProjectionIsBehindError
    └── ReleaseDiffersError
OutcomeUnknownError            a LedgerError too: repeat with the same Idempotency-Key
CorruptLedgerError             not a LedgerError: an operator must act; the org's writing stops

Errors of one part alone stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class LedgerError(Exception):
    """The request was refused.

    A class's first docstring line is its title on the wire and ``code`` its stable name; ``facts`` are shown to the caller, so
    they never hold a secret.
    """

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    @classmethod
    def title(cls) -> str:
        """The first line of the docstring, without its full stop."""
        return (cls.__doc__ or "").splitlines()[0].rstrip(".")


def told_refusal(job_id: int, refusal: LedgerError) -> dict[str, Any]:
    """One job's refusal among those of several: its id, the error's code and detail, and its facts."""
    return {"id": job_id, "code": refusal.code, "detail": refusal.detail, **refusal.facts}


class InvalidCommandError(LedgerError):
    """The request is malformed or out of range."""

    code = "invalid"


class ContentTooLargeError(InvalidCommandError):
    """An event's content or header is too large."""

    code = "content_too_large"


class IdempotencyKeyReusedError(InvalidCommandError):
    """The Idempotency-Key was used for another request."""

    code = "idempotency_key_reused"


class NotFoundError(LedgerError):
    """There is no such thing here."""

    code = "not_found"


class JobsNotFoundError(NotFoundError):
    """Some of the jobs are not there; none was changed.

    ``refused`` holds the refusal of each by its id, those among them that were refused for another reason.
    """

    code = "jobs_not_found"

    def __init__(self, detail: str, *, refused: Mapping[int, LedgerError] | None = None, **facts: Any) -> None:
        if refused is not None:
            facts["refused"] = [told_refusal(job_id, it) for job_id, it in refused.items()]
        super().__init__(detail, **facts)
        self.refused = refused or {}


class GoneError(NotFoundError):
    """It was deleted or erased."""

    code = "gone"


class ConflictError(LedgerError):
    """The present state forbids it."""

    code = "conflict"


class JobIsFinalError(ConflictError):
    """The job has ended."""

    code = "job_is_final"


class JobIsNotRunningError(ConflictError):
    """The job is not running."""

    code = "job_is_not_running"


class JobCannotBeStoppedError(ConflictError):
    """The job does not run in a stage in which it can be stopped."""

    code = "job_cannot_be_stopped"


class JobExistsError(ConflictError):
    """Another job has this id, or this source and external id."""

    code = "job_exists"


class JobIsClosedError(ConflictError):
    """The job is closed."""

    code = "job_is_closed"


class JobIsOpenError(ConflictError):
    """The job is open."""

    code = "job_is_open"


class JobIsRunningError(ConflictError):
    """The job is running."""

    code = "job_is_running"


class JobIsCopiedError(ConflictError):
    """The job has been copied there."""

    code = "job_is_copied"


class JobCopyIsDisallowedError(ConflictError):
    """The job is not to be copied there."""

    code = "job_copy_is_disallowed"


class JobCopyIsDeletedError(ConflictError):
    """The job's data on the copy was deleted."""

    code = "job_copy_is_deleted"


class JobIsRequiredError(ConflictError):
    """Other jobs require the job."""

    code = "job_is_required"


class JobIsBelowError(ConflictError):
    """The parent lies below the job itself."""

    code = "job_is_below"


class JobHasNoDiagramError(ConflictError):
    """The job goes through no diagram."""

    code = "job_has_no_diagram"


class StepIsNotThereError(ConflictError):
    """A current step of the job is not in the diagram's version."""

    code = "step_is_not_there"


class DiagramIsNotActiveError(ConflictError):
    """The diagram has no active version."""

    code = "diagram_is_not_active"


class DiagramVersionIsActiveError(ConflictError):
    """The version is the active one."""

    code = "diagram_version_is_active"


class JobIsTheLedgersError(ConflictError):
    """The ledger does this job itself."""

    code = "job_is_the_ledgers"


class JobIsNotFinalError(ConflictError):
    """The job has not ended."""

    code = "job_is_not_final"


class JobIsRetainedError(ConflictError):
    """The job is retained."""

    code = "job_is_retained"


class JobIsHeldError(JobIsRetainedError):
    """The job is on legal hold."""

    code = "job_is_held"


class JobsRefusedError(ConflictError):
    """Some of the jobs may not be changed so; none was.

    ``refused`` holds the refusal of each by its id.
    """

    code = "jobs_refused"

    def __init__(self, detail: str, *, refused: Mapping[int, LedgerError] | None = None, **facts: Any) -> None:
        if refused is not None:
            facts["refused"] = [told_refusal(job_id, it) for job_id, it in refused.items()]
        super().__init__(detail, **facts)
        self.refused = refused or {}


class TooManyRetentionsError(ConflictError):
    """As many copies of the job are retained as may be."""

    code = "too_many_retentions"


class CopyStaysError(ConflictError):
    """A copy stays in its storage policy and commcell."""

    code = "copy_stays"


class TooManyHoldsError(ConflictError):
    """As many holds over filters are placed as may be."""

    code = "too_many_holds"


class PolicyIsLockedError(ConflictError):
    """The policy is locked: it only grows."""

    code = "policy_is_locked"


class NameIsTakenError(ConflictError):
    """The name is taken."""

    code = "name_is_taken"


class JobHasBegunError(ConflictError):
    """The job is not one that is scheduled and has not started."""

    code = "job_has_begun"


class LastAdministratorError(ConflictError):
    """The org would be left without anybody who can manage it."""

    code = "last_administrator"


class TooManyTokensError(ConflictError):
    """The principal has as many tokens as it may have."""

    code = "too_many_tokens"


class NotAllowedError(LedgerError):
    """The caller lacks the capability."""

    code = "not_allowed"


class NotLetInError(LedgerError):
    """Valid credentials are needed."""

    code = "not_let_in"


class UnavailableError(LedgerError):
    """The ledger cannot take this now; nothing was appended."""

    code = "unavailable"

    def __init__(self, detail: str, *, retry_after_s: int = 1, **facts: Any) -> None:
        super().__init__(detail, **facts)
        self.retry_after_s = retry_after_s


class CallerIsOutdatedError(UnavailableError):
    """Who may do what has changed since it was asked who calls."""

    code = "caller_is_outdated"


class HistoryDiffersError(UnavailableError):
    """The org's ledger is not the one that was shown; nothing is appended until an operator acts."""

    code = "history_differs"


class QueueIsFullError(UnavailableError):
    """Too many requests are waiting; nothing was appended."""

    code = "queue_is_full"


class TooManyFollowersError(UnavailableError):
    """Too many follow this ledger on this server."""

    code = "too_many_followers"


class DatabaseIsAwayError(UnavailableError):
    """The database cannot be reached; nothing was appended."""

    code = "database_is_away"


class TooManyAttemptsError(UnavailableError):
    """Too many attempts to log in have failed."""

    code = "too_many_attempts"


class ProjectionIsBehindError(UnavailableError):
    """What is asked for has not come as far as the ledger yet."""

    code = "projection_is_behind"


class ReleaseDiffersError(UnavailableError):
    """This server is of another release than the ledger's projections; nothing was appended."""

    code = "release_differs"


class OutcomeUnknownError(LedgerError):
    """The outcome is unknown; repeat with the same Idempotency-Key."""

    code = "outcome_unknown"


class CorruptLedgerError(Exception):
    """What the store holds is not what this code wrote or can read: an operator must act."""
