"""What the native API takes to register and change a job, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from jobledger.http.members import (
    Members,
    an_object,
    datastream,
    figures,
    fraction,
    instant,
    job_id,
    list_of,
    one_of,
    text,
    timeout,
)
from jobledger.http.native.answers import CHANGED_JOB
from jobledger.http.negotiation import XML
from jobledger.http.operation import Body, Operation
from jobledger.http.schema import Named, array_of, object_of
from jobledger.http.xml_document import XmlObject
from jobledger.ledger.domain.command import Outcome
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
from jobledger.ledger.domain.job_registration import JobSpec
from jobledger.ledger.errors import InvalidCommandError, JobIsFinalError, JobIsNotRunningError, LedgerError
from jobledger.ledger.store.codec import wire_time

MOST_JOBS = 10_000
READ_TOGETHER = 100
# Both stand in one index, whose rows Postgres limits to about 2,700 bytes.
SOURCE_BYTES, EXTERNAL_ID_BYTES = 600, 1500

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

    @property
    def operation(self) -> Operation:
        """What it takes and gives."""
        return Operation(
            summary=self.command.__doc__,
            answer=CHANGED_JOB,
            body=self.readers,
            capability=self.command.capability,
            may=self.may,
        )


TRANSITIONS: dict[str, Transition] = {
    "start": Transition(StartJob, Members({"stage": text(200), "started_at": instant}), (JobIsFinalError,)),
    "stage": Transition(EnterStage, Members({"stage": text(200)}, needed=("stage",))),
    "progress": Transition(
        ReportProgress, Members({"progress": fraction, "figures": figures, "message": text(10_000)})
    ),
    "heartbeat": Transition(SendHeartbeat, Members({})),
    "succeed": Transition(SucceedJob, Members({"ended_at": instant, "message": text(10_000)})),
    "fail": Transition(FailJob, Members({"ended_at": instant, "error": text(10_000)})),
    "cancel": Transition(CancelJob, Members({"reason": text(10_000)}), (JobIsFinalError,)),
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
