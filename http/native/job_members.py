"""What the native API takes to register and change a job, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from jobledger.http.members import (
    Members,
    an_object,
    boolean,
    datastream,
    figures,
    fraction,
    instant,
    integer,
    job_id,
    list_of,
    one_of,
    reads,
    text,
    timeout,
)
from jobledger.http.native.answers import CHANGED_JOB, CLOSED_JOB, DELETED_JOB, ERASED_JOB, RETAINED_JOB
from jobledger.http.negotiation import XML
from jobledger.http.operation import Body, Operation
from jobledger.http.schema import Named, Schema, array_of, object_of
from jobledger.http.xml_document import XmlObject
from jobledger.ledger.domain.command import Caller, Idempotency, Outcome
from jobledger.ledger.domain.copy import LARGEST_COPY_ID
from jobledger.ledger.domain.job import FINAL_STATES, State
from jobledger.ledger.domain.job_commands import (
    CancelJob,
    EnterStage,
    FailJob,
    JobTransition,
    ReportProgress,
    SendHeartbeat,
    StartJob,
    SucceedJob,
)
from jobledger.ledger.domain.job_copies import COPY_STATES, MOST_COPIES, NoteCopied
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.domain.job_keeping import ReleaseJob, RetainJob
from jobledger.ledger.domain.job_registration import JobSpec
from jobledger.ledger.domain.job_removal import SCOPES, DeleteJob, EraseJob
from jobledger.ledger.domain.manage_jobs import MOST_JOBS as MOST_MANAGED_JOBS
from jobledger.ledger.domain.manage_jobs import ManageJobs
from jobledger.ledger.errors import (
    GoneError,
    InvalidCommandError,
    JobCopyIsDeletedError,
    JobCopyIsDisallowedError,
    JobIsClosedError,
    JobIsFinalError,
    JobIsNotFinalError,
    JobIsNotRunningError,
    JobIsOpenError,
    JobIsRetainedError,
    JobIsRunningError,
    LedgerError,
    TooManyRetentionsError,
)
from jobledger.ledger.store.codec import wire_time

MOST_JOBS = 10_000
READ_TOGETHER = 100
# Both stand in one index, whose rows Postgres limits to about 2,700 bytes.
SOURCE_BYTES, EXTERNAL_ID_BYTES = 600, 1500

JOB_COPY = Members(
    {
        "id": integer(1, LARGEST_COPY_ID),
        "state": one_of(*COPY_STATES),
        "copied_at": instant,
    },
    needed=("id",),
)


@reads(JOB_COPY.schema)
def job_copy(value: Any) -> dict[str, Any]:
    """A copy that a job is on: its ``id``, and perhaps a ``state`` and ``copied_at``."""
    if not isinstance(value, dict):
        raise ValueError("holds what is not an object")
    try:
        return JOB_COPY.read(value)
    except InvalidCommandError as error:
        raise ValueError(f"holds one of which {error.detail.removesuffix('.')}") from None


REGISTRATION = Members(
    {
        "type": text(200),
        "name": text(500),
        "domain": text(200).about("Else the caller's home domain."),
        "priority": text(64),
        "datastream": datastream,
        "stage": text(200),
        "preceding_job_id": job_id.about("Breaks that one off, this one is discarded."),
        "preceding_external_id": text(500, most_bytes=EXTERNAL_ID_BYTES).about(
            "Of the same source; also earlier in the same list."
        ),
        "required_job_ids": list_of(job_id, 10_000),
        "retry_of_job_id": job_id,
        "source": text(200, most_bytes=SOURCE_BYTES).about(
            "Together with `external_id` it names a job once in the org."
        ),
        "external_id": text(500, most_bytes=EXTERNAL_ID_BYTES),
        "scheduled_at": instant,
        "heartbeat_timeout": timeout.about("Seconds of silence after which it goes stale."),
        "start_timeout": timeout.about("Seconds after which it is discarded if it has not started."),
        "backup": an_object,
        "copies": list_of(job_copy, MOST_COPIES).about("The copies of storage policies that it is on."),
        "attributes": an_object,
        "id": job_id.about("Of an import, as all that follow: needs the capability `jobs.import`."),
        "state": one_of(*sorted(FINAL_STATES)),
        "started_at": instant,
        "ended_at": instant,
        "reason": text(10_000),
    },
    needed=("type", "name"),
)


A_JOB = Named("Registration", REGISTRATION.schema)
A_LIST = array_of(A_JOB, least=1, most=MOST_JOBS)
IN_XML = {"anyOf": [A_JOB, object_of({"job": A_LIST}, further=False), object_of({"jobs": A_LIST}, further=False)]}
JOBS_BODY = Body({"anyOf": [A_JOB, A_LIST]}, {XML.media_type: IN_XML})


class Transition(NamedTuple):
    """A verb on one job: its command, and the members of its body."""

    command: type[JobTransition]
    readers: Members
    may: tuple[type[LedgerError], ...] = (JobIsFinalError, JobIsNotRunningError)
    answer: Schema = CHANGED_JOB

    @property
    def operation(self) -> Operation:
        """What it takes and gives."""
        return Operation(
            summary=self.command.__doc__,
            answer=self.answer,
            body=self.readers,
            capability=self.command.capability,
            may=(GoneError, *self.may),
        )


TRANSITIONS: dict[str, Transition] = {
    "start": Transition(
        StartJob, Members({"stage": text(200), "started_at": instant}), (JobIsFinalError, JobIsClosedError)
    ),
    "stage": Transition(EnterStage, Members({"stage": text(200)}, needed=("stage",))),
    "progress": Transition(
        ReportProgress, Members({"progress": fraction, "figures": figures, "message": text(10_000)})
    ),
    "heartbeat": Transition(SendHeartbeat, Members({})),
    "succeed": Transition(SucceedJob, Members({"ended_at": instant, "message": text(10_000)})),
    "fail": Transition(FailJob, Members({"ended_at": instant, "error": text(10_000)})),
    "cancel": Transition(CancelJob, Members({"reason": text(10_000)}), (JobIsFinalError,)),
    "close": Transition(CloseJob, Members({"reason": text(10_000)}), (JobIsRunningError,), CLOSED_JOB),
    "reopen": Transition(ReopenJob, Members({"reason": text(10_000)}), (JobIsOpenError,), CLOSED_JOB),
    "copied": Transition(
        NoteCopied,
        Members({"copy_id": integer(1, LARGEST_COPY_ID), "copied_at": instant}, needed=("copy_id",)),
        (JobCopyIsDisallowedError,),
    ),
    "retain": Transition(
        RetainJob,
        Members({"until": instant, "copy_id": job_id.about("A copy that the job is on."), "reason": text(10_000)}),
        (TooManyRetentionsError, JobCopyIsDeletedError),
        RETAINED_JOB,
    ),
    "release": Transition(
        ReleaseJob, Members({"copy_id": job_id, "reason": text(10_000)}, needed=("reason",)), (), RETAINED_JOB
    ),
    "delete": Transition(
        DeleteJob,
        Members({"reason": text(10_000)}, needed=("reason",)),
        (JobIsRunningError, JobIsRetainedError),
        DELETED_JOB,
    ),
    "erase": Transition(
        EraseJob,
        Members({"scope": one_of(*SCOPES), "reason": text(10_000)}, needed=("reason",)),
        (JobIsNotFinalError, JobIsRetainedError),
        ERASED_JOB,
    ),
}


def read_job(body: Any) -> JobSpec:
    """A job to register. Raises InvalidCommandError."""
    members = REGISTRATION.read(body)
    if "id" in members:
        members["job_id"] = members.pop("id")
    if "state" in members:
        members["state"] = State(members["state"])
    return JobSpec(**members)


def listed_jobs(document: Any) -> Any:
    """The list that a request to register holds, None where it is one job. In XML the jobs of a list are elements ``job``
    (or ``jobs``, as in lists that are answered), or items.
    """
    if isinstance(document, XmlObject) and document.keys() in ({"job"}, {"jobs"}):
        [within] = document.values()
        return within if isinstance(within, list) else [within]
    return document if isinstance(document, list) else None


async def read_jobs(body: Any) -> list[JobSpec]:
    """A list of jobs to register; a fault is told with its place in the list. Raises InvalidCommandError."""
    if not isinstance(body, list) or not 0 < len(body) <= MOST_JOBS:
        raise InvalidCommandError(f"A list of 1 to {MOST_JOBS} jobs is due here.", limit=MOST_JOBS)
    jobs: list[JobSpec] = []
    for index, one in enumerate(body):
        if index % READ_TOGETHER == READ_TOGETHER - 1:
            # Others go on in between.
            await asyncio.sleep(0)
        try:
            jobs.append(read_job(one))
        except InvalidCommandError as error:
            raise InvalidCommandError(f"Job {index} of the list: {error.detail}", index=index, **error.facts) from None
    if sum(len(job.required_job_ids or ()) for job in jobs) > MOST_JOBS:
        raise InvalidCommandError(f"A list requires at most {MOST_JOBS} jobs in all.", limit=MOST_JOBS)
    return jobs


def shown_registration(outcome: Outcome, *, is_list: bool) -> tuple[int, dict[str, Any]]:
    """The status and the document that answer a registration: 200 where every job was there already."""
    first = outcome.first_position or 0
    shown = [_shown_registered(job, first) for job in outcome.result["jobs"]]
    status = 201 if outcome.event_count else 200
    return status, {"jobs": shown} if is_list else shown[0]


def _shown_registered(job: Mapping[str, Any], first_position: int) -> dict[str, Any]:
    offset = job.get("offset")
    position = job.get("position") if offset is None else first_position + offset
    return {"id": job["id"], "state": job["state"], "version": job["version"], "position": position}


def shown_transition(outcome: Outcome) -> dict[str, Any]:
    """The document that answers a transition."""
    return {
        **outcome.result,
        "positions": list(outcome.positions),
        "recorded_at": wire_time(outcome.recorded_at) if outcome.event_count else None,
    }


# The verbs that many jobs can be given at once.
MANAGED = ("close", "reopen", "retain", "release", "delete", "erase")
MANAGEMENT = Members(
    {
        "action": one_of(*MANAGED),
        "job_ids": list_of(job_id, MOST_MANAGED_JOBS),
        "all_or_none": boolean.about("Whether none is changed if one is refused."),
        "reason": text(10_000),
        "until": instant,
        "copy_id": job_id,
        "scope": one_of(*SCOPES),
    },
    needed=("action", "job_ids"),
)


def read_management(given: Mapping[str, Any], caller: Caller, idempotency: Idempotency | None) -> ManageJobs:
    """One verb for many jobs, with the members that it takes for one. Raises InvalidCommandError, NotAllowedError."""
    members = dict(given)
    transition = TRANSITIONS[members.pop("action")]
    caller.must(transition.command.capability)
    job_ids, all_or_none = members.pop("job_ids"), members.pop("all_or_none", False)
    must_be_taken(members, transition.readers)
    return ManageJobs(
        caller=caller,
        idempotency=idempotency,
        all_or_none=all_or_none,
        commands=[transition.command(caller=caller, job_id=it, **members) for it in job_ids],
    )


def must_be_taken(members: Mapping[str, Any], readers: Members) -> None:
    """Raise InvalidCommandError for members that this verb does not take, or lacks: as with one job."""
    errors = [{"member": name, "problem": "is not known here"} for name in members if name not in readers]
    errors += [{"member": name, "problem": "is missing"} for name in readers.needed if name not in members]
    if errors:
        told = "; ".join(f"{it['member']} {it['problem']}" for it in errors)
        raise InvalidCommandError(f"{told[0].upper()}{told[1:]}.", errors=errors)
