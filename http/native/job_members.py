"""What the native API takes to register and change a job, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

from jobledger.http.members import (
    Reader,
    an_object,
    boolean,
    datastream,
    figures,
    fraction,
    instant,
    job_id,
    list_of,
    one_of,
    read_members,
    text,
    timeout,
)
from jobledger.http.xml_document import XmlObject
from jobledger.ledger.domain.command import Caller, Command, Idempotency, Outcome
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
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.domain.job_keeping import ReleaseJob, RetainJob
from jobledger.ledger.domain.job_registration import JobSpec
from jobledger.ledger.domain.job_removal import SCOPES, DeleteJob, EraseJob
from jobledger.ledger.domain.manage_jobs import MOST_JOBS as MOST_MANAGED_JOBS
from jobledger.ledger.domain.manage_jobs import ManageJobs
from jobledger.ledger.errors import InvalidCommandError
from jobledger.ledger.store.codec import wire_time

MOST_JOBS = 10_000
# Both stand in one index, whose rows Postgres limits to about 2,700 bytes.
SOURCE_BYTES, EXTERNAL_ID_BYTES = 600, 1500

REGISTRATION: dict[str, Reader] = {
    "type": text(200),
    "name": text(500),
    "domain": text(200),
    "priority": text(64),
    "datastream": datastream,
    "stage": text(200),
    "preceding_job_id": job_id,
    "preceding_external_id": text(500, most_bytes=EXTERNAL_ID_BYTES),
    "required_job_ids": list_of(job_id, 10_000),
    "retry_of_job_id": job_id,
    "source": text(200, most_bytes=SOURCE_BYTES),
    "external_id": text(500, most_bytes=EXTERNAL_ID_BYTES),
    "scheduled_at": instant,
    "heartbeat_timeout": timeout,
    "start_timeout": timeout,
    "backup": an_object,
    "attributes": an_object,
    "id": job_id,
    "state": one_of(*sorted(FINAL_STATES)),
    "started_at": instant,
    "ended_at": instant,
    "reason": text(10_000),
}


class Transition(NamedTuple):
    """A verb on one job: its command, and the members of its body."""

    command: Callable[..., Command]
    readers: Mapping[str, Reader]
    needed: tuple[str, ...] = ()


TRANSITIONS: dict[str, Transition] = {
    "start": Transition(StartJob, {"stage": text(200), "started_at": instant}),
    "stage": Transition(EnterStage, {"stage": text(200)}, ("stage",)),
    "progress": Transition(ReportProgress, {"progress": fraction, "figures": figures, "message": text(10_000)}),
    "heartbeat": Transition(SendHeartbeat, {}),
    "succeed": Transition(SucceedJob, {"ended_at": instant, "message": text(10_000)}),
    "fail": Transition(FailJob, {"ended_at": instant, "error": text(10_000)}),
    "cancel": Transition(CancelJob, {"reason": text(10_000)}),
    "close": Transition(CloseJob, {"reason": text(10_000)}),
    "reopen": Transition(ReopenJob, {"reason": text(10_000)}),
    "retain": Transition(RetainJob, {"until": instant, "copy_id": job_id, "reason": text(10_000)}),
    "release": Transition(ReleaseJob, {"copy_id": job_id, "reason": text(10_000)}, ("reason",)),
    "delete": Transition(DeleteJob, {"reason": text(10_000)}, ("reason",)),
    "erase": Transition(EraseJob, {"scope": one_of(*SCOPES), "reason": text(10_000)}, ("reason",)),
}


def read_job(body: Any) -> JobSpec:
    """A job to register. Raises InvalidCommandError."""
    members = read_members(body, REGISTRATION, needed=("type", "name"))
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


def read_jobs(body: Any) -> list[JobSpec]:
    """A list of jobs to register; a fault is told with its place in the list. Raises InvalidCommandError."""
    if not isinstance(body, list) or not 0 < len(body) <= MOST_JOBS:
        raise InvalidCommandError(f"A list of 1 to {MOST_JOBS} jobs is due here.", limit=MOST_JOBS)
    jobs: list[JobSpec] = []
    for index, one in enumerate(body):
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
MANAGEMENT: dict[str, Reader] = {
    "action": one_of(*MANAGED),
    "job_ids": list_of(job_id, MOST_MANAGED_JOBS),
    "all_or_none": boolean,
    "reason": text(10_000),
    "until": instant,
    "copy_id": job_id,
    "scope": one_of(*SCOPES),
}


def read_management(body: Any, caller: Caller, idempotency: Idempotency | None) -> ManageJobs:
    """One verb for many jobs, with the members that it takes for one. Raises InvalidCommandError, NotAllowedError."""
    members = read_members(body, MANAGEMENT, needed=("action", "job_ids"))
    transition = TRANSITIONS[members.pop("action")]
    caller.must(cast("type[Command]", transition.command).capability)
    job_ids, all_or_none = members.pop("job_ids"), members.pop("all_or_none", False)
    # Those of other verbs are refused, as with one job.
    read_members(
        {name: it for name, it in body.items() if name in members}, transition.readers, needed=transition.needed
    )
    return ManageJobs(
        caller=caller,
        idempotency=idempotency,
        all_or_none=all_or_none,
        commands=[cast("JobTransition", transition.command(caller=caller, job_id=it, **members)) for it in job_ids],
    )
