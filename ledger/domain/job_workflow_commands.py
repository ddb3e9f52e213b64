"""What is asked about jobs in a workflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jobledger.ledger.domain.command import Command, Effect, Find, UnitOfWork
from jobledger.ledger.domain.diagram import Diagram, Version, diagram_stream
from jobledger.ledger.domain.diagram_commands import seen_diagram
from jobledger.ledger.domain.hold import hold_stream
from jobledger.ledger.domain.hold_commands import ALL_FILTER_HOLDS, active_holds
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_commands import JobTransition, visible_job
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.domain.job_removal import RemoveJob
from jobledger.ledger.domain.job_workflow import (
    MOST_ATTACHMENTS,
    AttachmentAdded,
    AttachmentRemoved,
    DiagramAssigned,
    current_step,
    finish_step,
    merged,
    must_be_in_progress,
    run_step,
    set_current_steps,
    stop_step,
    update,
    upgrade,
)
from jobledger.ledger.domain.retention import listed
from jobledger.ledger.domain.template import Template, template_stream
from jobledger.ledger.errors import InvalidCommandError, JobIsBelowError, JobIsHeldError, LedgerError, NotFoundError

# A question: the diagrams that some jobs go through.
DIAGRAMS_OF_JOBS = "diagrams_of_jobs"
# Another: a job's parent, the parent's, and so on.
ANCESTORS = "ancestors"
# Each is two events: that it was registered, and where it stands.
MOST_JOBS_CREATED = 5_000
# The effect by which an attachment is removed; its row is (stream, version) of the event that says so.
REMOVE_ATTACHMENTS = "remove_attachments"
RUN, FINISH, STOP, SET_CURRENT = "run", "finish", "stop", "set_current"
STEP_ACTIONS = (RUN, FINISH, STOP, SET_CURRENT)


def diagram_of(unit: UnitOfWork, job: Job) -> Diagram | None:
    """The diagram that the job goes through, None where it has none."""
    return None if job.workflow is None else unit.see(Diagram, diagram_stream(job.workflow["diagram_id"]))


def version_of(unit: UnitOfWork, job: Job) -> Version:
    """The version of its diagram that the job goes through, deleted or not."""
    diagram = diagram_of(unit, job)
    assert diagram is not None
    assert job.workflow is not None
    return diagram.versions[job.workflow["diagram_version"]]


@dataclass(slots=True, kw_only=True, eq=False)
class CreateJobs(Command):
    """Create jobs from a template, all or none, each at its diagram's initial step. The result is ``{"job_ids"}``.

    *diagram_id* is the template's, which never changes; a diagram of which no template was made is its own. *members* are as
    ``Updated`` has them; what they leave open the template says.
    """

    capability: ClassVar[str] = "jobs.register"
    template_id: int
    diagram_id: int
    domain: str
    number_of_jobs: int = 1
    members: Mapping[str, Any] = field(default_factory=dict)

    @property
    def least_events(self) -> int:
        """Two a job."""
        return 2 * self.number_of_jobs

    def streams(self) -> Iterable[str]:
        """The template, its diagram, and the parent job."""
        yield template_stream(self.template_id)
        yield diagram_stream(self.diagram_id)
        parent = self.members.get("details", {}).get("parent_job_id")
        if parent is not None:
            yield job_stream(parent)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, DiagramIsNotActiveError, InvalidCommandError, NotAllowedError."""
        if not 1 <= self.number_of_jobs <= MOST_JOBS_CREATED:
            raise InvalidCommandError(f"One request creates 1 to {MOST_JOBS_CREATED} jobs.", limit=MOST_JOBS_CREATED)
        template = unit.see(Template, template_stream(self.template_id))
        if template is None or template.is_deleted or template.diagram_id != self.diagram_id:
            if template is not None or self.template_id != self.diagram_id:
                raise NotFoundError(f"There is no template {self.template_id}.", template_id=self.template_id)
            template = None
        diagram = seen_diagram(unit, self.diagram_id)
        version = diagram.active_version()
        members = self._members(template)
        parent = (members.get("details") or {}).get("parent_job_id")
        if parent is not None:
            visible_job(unit, self.caller, parent)
        template_name = diagram.name if template is None else template.name
        name = members.pop("name", None) or template_name
        spec = JobSpec(
            type=template_name, name=name, domain=self.domain, priority=members.pop("priority", None) or None
        )
        registered = RegisterJobs(caller=self.caller, jobs=[spec] * self.number_of_jobs).decide(unit)["jobs"]
        assigned = {
            "template_id": self.template_id,
            "template_name": template_name,
            "diagram_id": diagram.diagram_id,
            "diagram_name": diagram.name,
            "diagram_version": version.number,
            "steps": [current_step(version.steps[version.content["initial_step"]])],
            **{name: it for name, it in members.items() if it},
        }
        for one in registered:
            job = unit.get(Job, job_stream(one["id"]))
            assert job is not None
            job.trigger_event(DiagramAssigned, timestamp=unit.now, **assigned)
        unit.outdate(DIAGRAMS_OF_JOBS)
        return {"job_ids": [one["id"] for one in registered]}

    def _members(self, template: Template | None) -> dict[str, Any]:
        defaults = {} if template is None else template.defaults
        details = {**defaults.get("details", {}), **self.members.get("details", {})}
        members = {**defaults, **self.members}
        members["details"] = {name: it for name, it in details.items() if it}
        members["extended_properties"] = merged([], members.get("extended_properties") or ())
        return members


@dataclass(slots=True, kw_only=True, eq=False)
class UpdateJob(JobTransition):
    """Say something else of a job. The result is that of a transition, and ``changed``, the names of what changed.

    *members* are as ``Updated`` has them. Where nothing differs nothing is appended.
    """

    capability: ClassVar[str] = "jobs.update"
    members: Mapping[str, Any]

    def streams(self) -> Iterable[str]:
        """The job, and its new parent."""
        yield job_stream(self.job_id)
        if self.parent_id is not None:
            yield job_stream(self.parent_id)

    def finds(self) -> Iterable[Find]:
        """What lies above its new parent."""
        return () if self.parent_id is None else (Find(ANCESTORS, (self.parent_id,)),)

    @property
    def parent_id(self) -> int | None:
        """The parent that it is to have; None where that is not said, or there is to be none."""
        parent_id: int | None = (self.members.get("details") or {}).get("parent_job_id")
        return parent_id or None

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, JobIsClosedError, InvalidCommandError, JobIsBelowError."""
        job = visible_job(unit, self.caller, self.job_id)
        parent = self.parent_id
        if parent is not None and parent != (job.details or {}).get("parent_job_id"):
            if parent == self.job_id:
                raise InvalidCommandError("A job is not its own parent.", parent_job_id=parent)
            visible_job(unit, self.caller, parent)
            if self.job_id in unit.found(Find(ANCESTORS, (parent,))):
                raise JobIsBelowError(
                    f"Job {parent} lies below job {self.job_id}, and cannot be its parent.",
                    job_id=self.job_id,
                    parent_job_id=parent,
                )
            unit.outdate(ANCESTORS)
        changed = update(job, unit.now, self.members)
        return {"id": self.job_id, "state": str(job.state), "version": job.version, "changed": changed}


@dataclass(slots=True, kw_only=True, eq=False)
class WorkflowCommand(JobTransition):
    """Base of what is asked of one job and the diagram that it goes through."""

    def finds(self) -> Iterable[Find]:
        """Its diagram."""
        return (Find(DIAGRAMS_OF_JOBS, (self.job_id,)),)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """The diagram."""
        diagram_ids, *_ = answers
        return map(diagram_stream, diagram_ids)


@dataclass(slots=True, kw_only=True, eq=False)
class UpgradeJob(WorkflowCommand):
    """Let a job go through the active version of its diagram."""

    capability: ClassVar[str] = "jobs.upgrade"

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Upgrade it."""
        upgrade(job, unit.now, diagram_of(unit, job))


@dataclass(slots=True, kw_only=True, eq=False)
class TakeSteps(WorkflowCommand):
    """Run, finish or stop current steps of a job, or say which they are; each step is judged by itself, in one append.

    The result is that of a transition, and ``steps``: ``{"id", "is_done", "code", "detail"}`` for each. Without *step_ids* it is
    all current ones. *following*: the steps to go on to, of those that the finished ones lead to; absent all of them.
    """

    capability: ClassVar[str] = "jobs.update"
    action: str
    step_ids: Sequence[str] | None = None
    following: Sequence[str] | None = None

    def finds(self) -> Iterable[Find]:
        """Its diagram, and the holds over filters."""
        return (Find(DIAGRAMS_OF_JOBS, (self.job_id,)), ALL_FILTER_HOLDS)

    def found_streams(self, answers: Iterable[Any]) -> Iterable[str]:
        """Those of all of them."""
        diagram_ids, holds = answers
        return [*map(diagram_stream, diagram_ids), *map(hold_stream, holds)]

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, JobHasNoDiagramError, JobIsClosedError, JobIsFinalError, JobIsHeldError, InvalidCommandError."""
        job = visible_job(unit, self.caller, self.job_id)
        must_be_in_progress(job)
        holding = [*job.holds.values(), *(it.name for it in active_holds(unit) if it.covers(job))]
        if holding:
            raise JobIsHeldError(f"Job {self.job_id} is on legal hold: {listed(holding)}.", job_id=self.job_id)
        assert job.workflow is not None
        step_ids = self.step_ids
        if step_ids is None and self.action != SET_CURRENT:
            step_ids = [it["id"] for it in job.workflow["steps"]]
        if not step_ids:
            raise InvalidCommandError("No step is named.", member="step_ids")
        if self.action == SET_CURRENT:
            set_current_steps(job, unit.now, version_of(unit, job), step_ids)
            steps = [told(it) for it in dict.fromkeys(step_ids)]
        else:
            steps = [self._take(unit, job, it) for it in dict.fromkeys(step_ids)]
        return {"id": self.job_id, "state": str(job.state), "version": job.version, "steps": steps}

    def _take(self, unit: UnitOfWork, job: Job, step_id: str) -> dict[str, Any]:
        try:
            match self.action:
                case "run":
                    run_step(job, unit.now, step_id)
                case "stop":
                    stop_step(job, unit.now, step_id)
                case _:
                    finish_step(job, unit.now, version_of(unit, job), step_id, self.following)
        except LedgerError as refusal:
            # Each of them is raised before anything is appended.
            return told(step_id, refusal)
        return told(step_id)


def told(step_id: str, refusal: LedgerError | None = None) -> dict[str, Any]:
    """What the caller is told of one step."""
    if refusal is None:
        return {"id": step_id, "is_done": True, "code": None, "detail": None}
    return {"id": step_id, "is_done": False, "code": refusal.code, "detail": refusal.detail}


@dataclass(slots=True, kw_only=True, eq=False)
class AddAttachment(JobTransition):
    """Attach to a job what was written as *attachment_id*, so many bytes in so many chunks."""

    capability: ClassVar[str] = "jobs.update"
    attachment_id: str
    name: str
    size_bytes: int
    chunk_count: int
    sha256: str
    media_type: str | None = None

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Raises JobIsClosedError, InvalidCommandError for one too many."""
        job.must_be_open()
        if len(job.attachments or ()) >= MOST_ATTACHMENTS:
            raise InvalidCommandError(f"A job has at most {MOST_ATTACHMENTS} attachments.", limit=MOST_ATTACHMENTS)
        job.trigger_event(
            AttachmentAdded,
            timestamp=unit.now,
            attachment_id=self.attachment_id,
            size_bytes=self.size_bytes,
            sha256=self.sha256,
            media_type=self.media_type,
            name=self.name,
        )
        row = (self.attachment_id, self.job_id, self.size_bytes, self.chunk_count)
        unit.affect(Effect("attachment", row))
        unit.affect(Effect("drop_uploads", (self.attachment_id,)))

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """The result is that of a transition, and ``attachment_id``. Raises NotFoundError, and as ``change``."""
        return {**super(AddAttachment, self).decide(unit), "attachment_id": self.attachment_id}


@dataclass(slots=True, kw_only=True, eq=False)
class RemoveAttachment(RemoveJob):
    """Remove an attachment: its bytes, and the private content that named it. What keeps the job keeps its attachments."""

    capability: ClassVar[str] = "jobs.update"
    attachment_id: str

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Raises NotFoundError, JobIsClosedError, JobIsHeldError, JobIsRetainedError."""
        if self.attachment_id not in (job.attachments or {}):
            raise NotFoundError(
                f"Job {self.job_id} has no attachment {self.attachment_id}.", attachment_id=self.attachment_id
            )
        job.must_be_open()
        self.must_be_free(unit, job)
        job.trigger_event(AttachmentRemoved, timestamp=unit.now, attachment_id=self.attachment_id, reason=self.reason)
        unit.affect(Effect(REMOVE_ATTACHMENTS, (job.id, job.version)))
