"""A job: its states, its events, and what may happen to it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

import orjson

from jobledger.ledger.domain.aggregate import ENVELOPE, NOTHING, Aggregate
from jobledger.ledger.errors import JobCannotBeStoppedError, JobIsClosedError, JobIsFinalError, JobIsNotRunningError

# Job ids lie within int32: clients of every dialect hold them so.
LARGEST_JOB_ID = 2**31 - 1
DEFAULT_DOMAIN = "Global"
# The stage in which a running job can be stopped by hand, and the reason that its events then give.
STOPPABLE_STAGE, STOPPED = "fetch", "cancelled manually"


class State(StrEnum):
    """Where a job stands. Final states never change, but for CANCELLED → DISCARDED in the append of a manual stop."""

    SCHEDULED = "SCHEDULED"
    RUNNING = "RUNNING"
    STALE = "STALE"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    DISCARDED = "DISCARDED"


FINAL_STATES = frozenset({State.SUCCESS, State.FAILED, State.CANCELLED, State.DISCARDED})


def job_stream(job_id: int) -> str:
    """The stream of the job with this id."""
    return f"job-{job_id}"


def job_id_of(stream: str) -> int | None:
    """The id of the job whose stream this is, None for another kind of stream, or an id that no job can have."""
    prefix, _, digits = stream.partition("-")
    if prefix != "job" or not (digits.isascii() and digits.isdecimal()) or digits[0] == "0":
        return None
    job_id = int(digits)
    return job_id if job_id <= LARGEST_JOB_ID else None


class Job(Aggregate):
    """One job, from registration to its final state."""

    job_id: int
    state: State
    # As registered.
    type: str
    name: str
    domain: str
    priority: str | None
    datastream: dict[str, Any] | None
    preceding_job_id: int | None
    required_job_ids: list[int] | None
    retry_of_job_id: int | None
    source: str | None
    external_id: str | None
    body_hash: str | None
    scheduled_at: datetime | None
    heartbeat_timeout: int | None
    start_timeout: int | None
    backup: dict[str, Any] | None
    attributes: dict[str, Any] | None
    registered_at: datetime
    # As it went.
    stage: str | None
    progress: float
    figures: dict[str, int | float] | None
    message: str | None
    started_at: datetime | None
    ended_at: datetime | None
    reason: str | None
    last_report_at: datetime | None
    # When its final event was recorded. Whether its end was told with its registration: the past of another system.
    final_at: datetime | None = None
    imported: bool | None = None
    # What was decided about it apart from its course. On jobs of which nothing was these stay as they are in the class.
    is_decided: bool = False
    is_closed: bool = False
    copies: list[dict[str, Any]] | None = None  # by copy id; see job_copies
    work: dict[str, Any] | None = None  # what the ledger itself is to do; see job_work
    archives: dict[str, dict[str, Any]] | None = None  # which hold it, by their ids; see job_archive
    # What people say of it (see job_workflow), where it stands in its diagram, and what is attached to it, by ids.
    details: dict[str, Any] | None = None
    workflow: dict[str, Any] | None = None
    attachments: dict[str, dict[str, Any]] | None = None
    # What users retain, by the copy's id, "" for the whole job: {"until"?, "reason"?}. The names of the holds that list it, by id.
    retentions: Mapping[str, Mapping[str, str]] = NOTHING
    holds: Mapping[str, str] = NOTHING
    # Whether it is "deleted" or "erased": then only what its residue carries is known of it.
    gone: str | None = None
    residue: dict[str, Any] | None = None  # as ``job_removal.residue_of`` says
    location: dict[str, Any] | None = None  # of private contents, as what follows: what can be erased alone
    extended_properties: list[dict[str, Any]] | None = None
    attachment_names: dict[str, str] | None = None
    PRIVATE_MEMBERS: ClassVar[tuple[str, ...]] = ("location", "extended_properties", "attachment_names")

    class Event(Aggregate.Event):
        """Base of a job's events."""

    class Decision(Event):
        """Base of the events by which something is decided about a job apart from its course."""

        def apply(self, aggregate: Job) -> None:
            """Mark the job as one of which something was decided."""
            aggregate.is_decided = True

    class Registered(Event, Aggregate.Created):
        """The job became known. ``heartbeat_timeout`` and ``start_timeout`` are seconds.

        ``body_hash`` is the SHA-256 (hex) of what a client with a ``source`` and ``external_id`` sent, by which the same
        registration is known again.
        """

        type_name: ClassVar[str] = "job.registered"
        times: ClassVar[tuple[str, ...]] = ("scheduled_at",)
        type: str
        name: str
        domain: str
        priority: str | None = None
        datastream: dict[str, Any] | None = None
        stage: str | None = None
        preceding_job_id: int | None = None
        required_job_ids: list[int] | None = None
        retry_of_job_id: int | None = None
        source: str | None = None
        external_id: str | None = None
        body_hash: str | None = None
        scheduled_at: datetime | None = None
        heartbeat_timeout: int | None = None
        start_timeout: int | None = None
        backup: dict[str, Any] | None = None
        attributes: dict[str, Any] | None = None
        copies: list[dict[str, Any]] | None = None
        work: dict[str, Any] | None = None
        imported: bool | None = None

        def apply(self, aggregate: Job) -> None:
            """Begin in SCHEDULED."""
            members = aggregate.__dict__
            members.update(self.__dict__)
            for name in ENVELOPE:
                del members[name]
            aggregate.job_id = int(self.originator_id[4:])
            aggregate.registered_at = self.timestamp
            aggregate.state = State.SCHEDULED
            aggregate.progress = 0.0
            aggregate.figures = aggregate.message = aggregate.reason = None
            aggregate.started_at = aggregate.ended_at = aggregate.last_report_at = None
            aggregate.is_decided = self.copies is not None or self.work is not None

    class Started(Event):
        """The job began to run. Without a time of its own it started when this was recorded."""

        type_name: ClassVar[str] = "job.started"
        times: ClassVar[tuple[str, ...]] = ("started_at",)
        stage: str | None = None
        started_at: datetime | None = None

        def apply(self, aggregate: Job) -> None:
            """Run, in the stage named."""
            aggregate.state = State.RUNNING
            aggregate.stage = self.stage or aggregate.stage
            aggregate.started_at = self.started_at or self.timestamp
            aggregate.last_report_at = self.timestamp

    class StageEntered(Event):
        """The job went on to another stage."""

        type_name: ClassVar[str] = "job.stage_entered"
        stage: str

        def apply(self, aggregate: Job) -> None:
            """Stand in the stage."""
            aggregate.stage = self.stage
            aggregate.last_report_at = self.timestamp

    class Progressed(Event):
        """The job reported how far it is: ``progress`` from 0 to 1, named ``figures`` of its own, a ``message``."""

        type_name: ClassVar[str] = "job.progressed"
        progress: float | None = None
        figures: dict[str, int | float] | None = None
        message: str | None = None

        def apply(self, aggregate: Job) -> None:
            """Keep the last report of each."""
            if self.progress is not None:
                aggregate.progress = self.progress
            if self.figures:
                aggregate.figures = {**(aggregate.figures or {}), **self.figures}
            aggregate.message = self.message or aggregate.message
            aggregate.last_report_at = self.timestamp

    class Ended(Event):
        """Base of the events after which a job is final. Without a time of its own it ended when this was recorded."""

        times: ClassVar[tuple[str, ...]] = ("ended_at",)
        state: ClassVar[State]
        ended_at: datetime | None = None
        reason: str | None = None

        def apply(self, aggregate: Job) -> None:
            """Be final."""
            aggregate.state = self.state
            aggregate.ended_at = self.ended_at or self.timestamp
            aggregate.final_at = self.timestamp
            aggregate.reason = self.reason

    class Succeeded(Ended):
        """The job ended well."""

        type_name: ClassVar[str] = "job.succeeded"
        state: ClassVar[State] = State.SUCCESS
        message: str | None = None

        def apply(self, aggregate: Job) -> None:
            """Be final, and complete."""
            super().apply(aggregate)
            aggregate.progress = 1.0
            aggregate.message = self.message or aggregate.message

    class Failed(Ended):
        """The job ended badly; ``reason`` is its error."""

        type_name: ClassVar[str] = "job.failed"
        state: ClassVar[State] = State.FAILED

    class Cancelled(Ended):
        """Somebody ended the job."""

        type_name: ClassVar[str] = "job.cancelled"
        state: ClassVar[State] = State.CANCELLED

    class Discarded(Ended):
        """The job will not run; ``because_of_job_id`` is the preceding job that broke, if that is why."""

        type_name: ClassVar[str] = "job.discarded"
        state: ClassVar[State] = State.DISCARDED
        because_of_job_id: int | None = None

    class WentStale(Event):
        """The job sent no sign of life for longer than its ``heartbeat_timeout``; ``last_seen_at`` was the last one."""

        type_name: ClassVar[str] = "job.went_stale"
        times: ClassVar[tuple[str, ...]] = ("last_seen_at",)
        last_seen_at: datetime

        def apply(self, aggregate: Job) -> None:
            """Be stale."""
            aggregate.state = State.STALE

    class Resumed(Event):
        """A stale job gave a sign of life."""

        type_name: ClassVar[str] = "job.resumed"

        def apply(self, aggregate: Job) -> None:
            """Run again."""
            aggregate.state = State.RUNNING
            aggregate.last_report_at = self.timestamp

    @property
    def is_over(self) -> bool:
        """See ``Aggregate``: it is gone."""
        return self.gone is not None

    @property
    def weight_bytes(self) -> int:
        """See ``Aggregate``: more for a job with large attributes."""
        if self.attributes is None and self.backup is None and (not self.is_decided or self.gone is not None):
            return super().weight_bytes
        said = (self.details, self.workflow, self.work, self.attachments, self.location, self.extended_properties)
        large = orjson.dumps((self.attributes, self.backup, self.copies, said, dict(self.retentions)), default=str)
        return super().weight_bytes + 4 * len(large)

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self.state in FINAL_STATES

    @property
    def due_at(self) -> datetime | None:
        """When the job is overdue unless something happens: to be started, or to give a sign of life. None: never."""
        if self.state is State.SCHEDULED and self.start_timeout is not None:
            return (self.scheduled_at or self.registered_at) + timedelta(seconds=self.start_timeout)
        if self.state is State.RUNNING and self.heartbeat_timeout is not None:
            return (self.last_report_at or self.registered_at) + timedelta(seconds=self.heartbeat_timeout)
        return None

    @property
    def begins_at(self) -> datetime:
        """When the job began; while it has not, when it is to begin, else when it was registered."""
        return self.started_at or self.scheduled_at or self.registered_at

    def start(self, at: datetime, stage: str | None = None, started_at: datetime | None = None) -> None:
        """Begin running. A running job stays as it is, a stale one resumes. Raises JobIsFinalError, JobIsClosedError."""
        self.must_not_be_final()
        if self.state is State.SCHEDULED:
            self.must_be_open()
            self.trigger_event(Job.Started, timestamp=at, stage=stage, started_at=started_at)
        else:
            self.give_sign_of_life(at)

    def enter_stage(self, at: datetime, stage: str) -> None:
        """Go on to *stage*. Raises JobIsFinalError, JobIsNotRunningError."""
        self.give_sign_of_life(at)
        if self.stage != stage:
            self.trigger_event(Job.StageEntered, timestamp=at, stage=stage)

    def report_progress(
        self,
        at: datetime,
        progress: float | None = None,
        figures: dict[str, int | float] | None = None,
        message: str | None = None,
    ) -> None:
        """Report how far the job is; an empty report is a sign of life. Raises JobIsFinalError, JobIsNotRunningError."""
        self.give_sign_of_life(at)
        self.trigger_event(Job.Progressed, timestamp=at, progress=progress, figures=figures, message=message)

    def give_sign_of_life(self, at: datetime) -> None:
        """Resume if stale. Raises JobIsFinalError, JobIsNotRunningError."""
        self.must_be_running()
        if self.state is State.STALE:
            self.trigger_event(Job.Resumed, timestamp=at)

    def succeed(self, at: datetime, ended_at: datetime | None = None, message: str | None = None) -> None:
        """End well. Raises JobIsFinalError, JobIsNotRunningError."""
        self.must_be_running()
        self.trigger_event(Job.Succeeded, timestamp=at, ended_at=ended_at, message=message)

    def fail(self, at: datetime, ended_at: datetime | None = None, error: str | None = None) -> None:
        """End badly. Raises JobIsFinalError, JobIsNotRunningError."""
        self.must_be_running()
        self.trigger_event(Job.Failed, timestamp=at, ended_at=ended_at, reason=error)

    def cancel(self, at: datetime, ended_at: datetime | None = None, reason: str | None = None) -> None:
        """Be ended by somebody, started or not. Raises JobIsFinalError."""
        self.must_not_be_final()
        self.trigger_event(Job.Cancelled, timestamp=at, ended_at=ended_at, reason=reason)

    def stop(self, at: datetime) -> None:
        """Be stopped by hand in the fetch stage: cancelled, and with it discarded. Raises JobCannotBeStoppedError."""
        if self.state is not State.RUNNING or self.stage != STOPPABLE_STAGE:
            stage = "no stage" if self.stage is None else f"the stage {self.stage}"
            said = f"is {self.state} in {stage}; only a job that runs in the stage {STOPPABLE_STAGE} can be stopped."
            raise JobCannotBeStoppedError(
                f"Job {self.job_id} {said}", job_id=self.job_id, state=str(self.state), stage=self.stage
            )
        self.trigger_event(Job.Cancelled, timestamp=at, reason=STOPPED)
        # The one way from one final state to another, and both stand in the history.
        self.trigger_event(Job.Discarded, timestamp=at, reason=STOPPED)

    def discard(
        self, at: datetime, reason: str, because_of_job_id: int | None = None, ended_at: datetime | None = None
    ) -> None:
        """Never run. Raises JobIsFinalError."""
        self.must_not_be_final()
        self.trigger_event(
            Job.Discarded, timestamp=at, reason=reason, because_of_job_id=because_of_job_id, ended_at=ended_at
        )

    def go_stale(self, at: datetime, last_seen_at: datetime) -> None:
        """Be stale: no sign of life since *last_seen_at*. Raises JobIsFinalError, JobIsNotRunningError."""
        self.must_be_running()
        if self.state is State.RUNNING:
            self.trigger_event(Job.WentStale, timestamp=at, last_seen_at=last_seen_at)

    def must_not_be_final(self) -> None:
        """Raise JobIsFinalError, with the state it ended in, if it has ended."""
        if self.state in FINAL_STATES:
            said = f"Job {self.job_id} has ended: {self.state}."
            raise JobIsFinalError(said, job_id=self.job_id, state=str(self.state), reason=self.reason)

    def must_be_open(self) -> None:
        """Raise JobIsClosedError if it is closed."""
        if self.is_closed:
            raise JobIsClosedError(f"Job {self.job_id} is closed.", job_id=self.job_id)

    def must_be_running(self) -> None:
        """Raise JobIsFinalError or JobIsNotRunningError unless it is RUNNING or STALE."""
        self.must_not_be_final()
        if self.state is State.SCHEDULED:
            raise JobIsNotRunningError(f"Job {self.job_id} has not started.", job_id=self.job_id, state=str(self.state))


Job.Registered.aggregate_class = Job
