"""Registering jobs, one or many at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

import orjson

from jobledger.ledger.domain.command import Command, Find, UnitOfWork
from jobledger.ledger.domain.copy import copy_stream
from jobledger.ledger.domain.job import LARGEST_JOB_ID, Job, State, job_stream
from jobledger.ledger.domain.job_commands import BROKEN_STATES, FOLLOW_UPS, discard_after, visible_job
from jobledger.ledger.domain.job_copies import DEPENDENTS, registered_copies
from jobledger.ledger.domain.job_notification import notify
from jobledger.ledger.errors import InvalidCommandError, JobExistsError, NotAllowedError, NotFoundError

# A fetch (a job with a datastream) that has not started so long after its scheduled start is discarded.
FETCH_START_TIMEOUT_S = 2 * 24 * 3600

JOBS_BY_EXTERNAL_ID = "jobs_by_external_id"


@dataclass(slots=True, kw_only=True, eq=False)
class JobSpec:
    """A job as somebody registers it; timeouts in seconds.

    ``job_id``, a final ``state`` and the times and reason that go with it are for imports. ``preceding_external_id`` names the
    preceding job by the external id it has in the same source, registered before or earlier in the same list. ``work`` is what the
    ledger is to do itself: see ``job_work``.
    """

    type: str
    name: str
    domain: str | None = None
    priority: str | None = None
    datastream: dict[str, Any] | None = None
    stage: str | None = None
    preceding_job_id: int | None = None
    preceding_external_id: str | None = None
    required_job_ids: list[int] | None = None
    retry_of_job_id: int | None = None
    source: str | None = None
    external_id: str | None = None
    scheduled_at: datetime | None = None
    heartbeat_timeout: int | None = None
    start_timeout: int | None = None
    backup: dict[str, Any] | None = None
    attributes: dict[str, Any] | None = None
    copies: list[dict[str, Any]] | None = None
    work: dict[str, Any] | None = None
    job_id: int | None = None
    state: State | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None

    @property
    def is_import(self) -> bool:
        """Whether it tells a past that the ledger did not see."""
        return self.job_id is not None or self.state is not None

    def check(self) -> None:
        """Raise InvalidCommandError for members that contradict each other."""
        if self.source is None and (self.external_id is not None or self.preceding_external_id is not None):
            raise InvalidCommandError("An external id needs the source that gave it.", member="source")
        if self.preceding_job_id is not None and self.preceding_external_id is not None:
            raise InvalidCommandError("A job follows one job at most.", member="preceding_external_id")
        if self.state is None and (self.started_at or self.ended_at or self.reason):
            raise InvalidCommandError("Only a job registered in a final state has a past.", member="state")
        if self.state in (State.SUCCESS, State.FAILED) and self.started_at is None:
            raise InvalidCommandError(f"A job that ended in {self.state} had started.", member="started_at")
        if self.started_at is not None and self.ended_at is not None and self.ended_at < self.started_at:
            raise InvalidCommandError("A job does not end before it starts.", member="ended_at")

    def body_hash(self) -> str:
        """SHA-256 (hex) of the members that were given, in canonical order. Raises InvalidCommandError.

        Those not given are left out, so that a release that knows more members computes the same.
        """
        members = {name: value for name in MEMBERS if (value := getattr(self, name)) is not None}
        try:
            canonical = orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
        except (TypeError, orjson.JSONEncodeError) as error:
            raise InvalidCommandError(f"This cannot be written as JSON: {error}") from error
        return hashlib.sha256(canonical).hexdigest()


# By source and external id: the job, its body's hash, and where its registration stands, as the result says it.
Known: TypeAlias = dict[tuple[str, str], tuple[int, str, dict[str, int]]]


MEMBERS = tuple(field.name for field in fields(JobSpec))


@dataclass(slots=True, kw_only=True, eq=False)
class RegisterJobs(Command):
    """Register jobs, all or none. The result's ``jobs`` are in the order given.

    Each is ``{"id", "state", "version", "offset"}``, the offset being that of its ``job.registered`` among the command's events; a
    job that was there before, registered with the same body: ``{"id", "state", "version", "position"}``.
    """

    capability: ClassVar[str] = "jobs.register"
    jobs: Sequence[JobSpec]
    fetch_start_timeout_s: int = FETCH_START_TIMEOUT_S

    @property
    def least_events(self) -> int:
        """One a job."""
        return len(self.jobs)

    def streams(self) -> Iterable[str]:
        """The jobs they follow, require, retry, and those whose ids they want."""
        for job in self.jobs:
            for job_id in (job.preceding_job_id, job.retry_of_job_id, job.job_id, *(job.required_job_ids or ())):
                if job_id is not None:
                    yield job_stream(job_id)
            for copy in job.copies or ():
                yield copy_stream(copy["id"])

    def finds(self) -> Iterable[Find]:
        """Which of the external ids are known."""
        names = dict.fromkeys(
            (job.source or "", external_id)
            for job in self.jobs
            for external_id in (job.external_id, job.preceding_external_id)
            if external_id is not None
        )
        if names:
            yield Find(JOBS_BY_EXTERNAL_ID, tuple(names))

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """The jobs that have the external ids."""
        for known in answers:
            for job_id, _body_hash, _position in known.values():
                yield job_stream(job_id)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises JobExistsError, NotFoundError, NotAllowedError, JobIsFinalError."""
        known: Known = {}
        for find in self.finds():
            for name, (job_id, body_hash, position) in unit.found(find).items():
                known[name] = (job_id, body_hash, {"position": position})
        return {"jobs": [self._register(unit, spec, known) for spec in self.jobs]}

    def _register(self, unit: UnitOfWork, spec: JobSpec, known: Known) -> dict[str, Any]:
        spec.check()
        source = spec.source or ""
        body_hash = None
        if spec.external_id is not None:
            body_hash = spec.body_hash()
            there = known.get((source, spec.external_id))
            if there is not None:
                return self._already_there(unit, spec, there, body_hash)
        if spec.is_import:
            self.caller.must("jobs.import")
        domain = spec.domain or self.caller.home_domain
        if not self.caller.sees(domain):
            raise NotAllowedError(f"You may not register jobs in the domain {domain}.", domain=domain)
        preceding = self._preceding(unit, spec, known)
        for job_id in (
            *(spec.required_job_ids or ()),
            *(() if spec.retry_of_job_id is None else (spec.retry_of_job_id,)),
        ):
            visible_job(unit, self.caller, job_id)
        job_id = self._take_id(unit, spec)
        offset = len(unit.events)
        start_timeout = spec.start_timeout
        if start_timeout is None and spec.datastream is not None and spec.state is None:
            start_timeout = self.fetch_start_timeout_s
        job = unit.begin(
            Job.Registered,
            job_stream(job_id),
            type=spec.type,
            name=spec.name,
            domain=domain,
            priority=spec.priority,
            datastream=spec.datastream,
            stage=spec.stage,
            preceding_job_id=None if preceding is None else preceding.job_id,
            required_job_ids=spec.required_job_ids,
            retry_of_job_id=spec.retry_of_job_id,
            source=spec.source,
            external_id=spec.external_id,
            body_hash=body_hash,
            scheduled_at=spec.scheduled_at,
            heartbeat_timeout=spec.heartbeat_timeout,
            start_timeout=start_timeout,
            backup=spec.backup,
            attributes=spec.attributes,
            copies=registered_copies(unit, spec.copies) if spec.copies else None,
            work=spec.work,
            imported=True if spec.state is not None else None,
        )
        assert isinstance(job, Job)
        if spec.external_id is not None:
            known[source, spec.external_id] = (job_id, body_hash or "", {"offset": offset})
            unit.outdate(JOBS_BY_EXTERNAL_ID, (source, spec.external_id))
        if preceding is not None:
            unit.outdate(FOLLOW_UPS)
        if spec.required_job_ids:
            unit.outdate(DEPENDENTS)
        if spec.work is not None:
            notify(unit, job)
        self._tell_past(unit, spec, job)
        if preceding is not None and preceding.state in BROKEN_STATES and job.state is State.SCHEDULED:
            discard_after(unit, job, preceding)
        return {"id": job_id, "state": str(job.state), "version": job.version, "offset": offset}

    def _already_there(
        self, unit: UnitOfWork, spec: JobSpec, there: tuple[int, str, dict[str, int]], body_hash: str
    ) -> dict[str, Any]:
        job_id, known_hash, place = there
        job = unit.get(Job, job_stream(job_id))
        if known_hash != body_hash or job is None or not self.caller.sees(job.domain):
            raise JobExistsError(
                f"Another job is registered as {spec.external_id} of {spec.source}.",
                source=spec.source,
                external_id=spec.external_id,
            )
        return {"id": job_id, "state": str(job.state), "version": job.version, **place}

    def _preceding(self, unit: UnitOfWork, spec: JobSpec, known: Known) -> Job | None:
        job_id = spec.preceding_job_id
        if spec.preceding_external_id is not None:
            there = known.get((spec.source or "", spec.preceding_external_id))
            job = None if there is None else unit.get(Job, job_stream(there[0]))
            if job is None or not self.caller.sees(job.domain):
                raise NotFoundError(
                    f"There is no job {spec.preceding_external_id} of {spec.source} to follow.",
                    preceding_external_id=spec.preceding_external_id,
                )
            return job
        return None if job_id is None else visible_job(unit, self.caller, job_id)

    def _take_id(self, unit: UnitOfWork, spec: JobSpec) -> int:
        if spec.job_id is None:
            job_id = unit.next_number("job")
            if job_id > LARGEST_JOB_ID:
                raise InvalidCommandError("The org has no job ids left.")
            return job_id
        if not 1 <= spec.job_id <= LARGEST_JOB_ID:
            raise InvalidCommandError(f"A job's id is 1 to {LARGEST_JOB_ID}.", job_id=spec.job_id)
        if unit.get(Job, job_stream(spec.job_id)) is not None:
            raise JobExistsError(f"Job {spec.job_id} exists.", job_id=spec.job_id)
        unit.use_number("job", spec.job_id)
        return spec.job_id

    def _tell_past(self, unit: UnitOfWork, spec: JobSpec, job: Job) -> None:
        if spec.started_at is not None:
            job.start(unit.now, started_at=spec.started_at)
        match spec.state:
            case State.SUCCESS:
                job.succeed(unit.now, ended_at=spec.ended_at)
            case State.FAILED:
                job.fail(unit.now, ended_at=spec.ended_at, error=spec.reason)
            case State.CANCELLED:
                job.cancel(unit.now, ended_at=spec.ended_at, reason=spec.reason)
            case State.DISCARDED:
                job.discard(unit.now, spec.reason or "discarded before it was imported", ended_at=spec.ended_at)
