"""What becomes of a job in a workflow: its diagram and steps, what people say of it, what is attached to it.

``Job.workflow``, of jobs that go through a diagram:

    {"template_id":3,"template_name":"Permit","diagram_id":2,"diagram_name":"Permit","diagram_version":4,
     "steps":[{"id":"b","name":"Check","state":"running","can_skip":true}],"finished":["a"]}

``steps`` are the current ones, each ``ready``, ``running`` or ``stopped``; ``finished`` are those that were finished once.
``Job.details`` are members of ``DETAILS``; instants in it are as on the wire. ``Job.attachments`` are by their ids.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from jobledger.ledger.domain.aggregate import WithPrivateMembers
from jobledger.ledger.domain.diagram import Diagram, Version
from jobledger.ledger.domain.job import Job, State
from jobledger.ledger.domain.job_decisions import must_not_be_running
from jobledger.ledger.errors import InvalidCommandError, JobHasNoDiagramError, StepIsNotThereError

DETAILS = (
    *("description", "notes", "start_date", "due_date", "owned_by", "assigned_type", "assigned_to", "parent_job_id"),
)
# What a step shows of itself on a job.
STEP_MEMBERS = ("id", "name", "assigned_type", "assigned_to", "can_skip")
MOST_EXTENDED_PROPERTIES = 1_000
MOST_ATTACHMENTS = 1_000
READY, RUNNING, STOPPED = "ready", "running", "stopped"


class Updated(WithPrivateMembers, Job.Decision):
    """What is said of the job was changed: only what changed is here.

    ``details`` has null for what is said no longer; a location or list of extended properties that is empty is none.
    """

    type_name: ClassVar[str] = "job.updated"
    private: ClassVar[tuple[str, ...]] = ("location", "extended_properties")
    name: str | None = None
    priority: str | None = None
    details: dict[str, Any] | None = None
    location: dict[str, Any] | None = None
    extended_properties: list[dict[str, Any]] | None = None

    def apply(self, aggregate: Job) -> None:
        """What is given takes the place of what was."""
        super().apply(aggregate)
        aggregate.name = self.name or aggregate.name
        if self.priority is not None:
            aggregate.priority = self.priority or None
        if self.details is not None:
            details = {**(aggregate.details or {}), **self.details}
            aggregate.details = {name: it for name in DETAILS if (it := details.get(name)) is not None} or None
        if self.location is not None:
            aggregate.location = self.location or None
        if self.extended_properties is not None:
            aggregate.extended_properties = self.extended_properties or None


class DiagramAssigned(Updated):
    """The job goes through a diagram, from the initial step on; with it, what is said of it from the first."""

    type_name: ClassVar[str] = "job.diagram_assigned"
    template_id: int = 0
    template_name: str = ""
    diagram_id: int = 0
    diagram_name: str = ""
    diagram_version: int = 0
    steps: Sequence[dict[str, Any]] = ()

    def apply(self, aggregate: Job) -> None:
        """Stand at the initial step."""
        super().apply(aggregate)
        names = ("template_id", "template_name", "diagram_id", "diagram_name", "diagram_version")
        aggregate.workflow = {name: getattr(self, name) for name in names}
        aggregate.workflow |= {"steps": list(self.steps), "finished": []}


class Upgraded(Job.Decision):
    """The job goes through another version of its diagram; ``steps`` are its current ones as that version has them."""

    type_name: ClassVar[str] = "job.upgraded"
    diagram_version: int
    diagram_name: str
    steps: list[dict[str, Any]]

    def apply(self, aggregate: Job) -> None:
        """Stand at the same steps of that version."""
        super().apply(aggregate)
        names = {"diagram_version": self.diagram_version, "diagram_name": self.diagram_name}
        aggregate.workflow = {**(aggregate.workflow or {}), **names, "steps": self.steps}


class StepEvent(Job.Decision):
    """Base of what happens to one of the job's current steps. Whoever works on a step is alive."""

    step_id: str
    state: ClassVar[str] = READY

    def apply(self, aggregate: Job) -> None:
        """Change the step's state."""
        super().apply(aggregate)
        workflow = aggregate.workflow or {}
        steps = [{**it, "state": self.state} if it["id"] == self.step_id else it for it in workflow.get("steps", [])]
        aggregate.workflow = {**workflow, "steps": steps}
        aggregate.last_report_at = self.timestamp


class StepStarted(StepEvent):
    """Somebody works on the step."""

    type_name: ClassVar[str] = "job.step_started"
    state: ClassVar[str] = RUNNING


class StepStopped(StepEvent):
    """Whoever worked on the step has stopped."""

    type_name: ClassVar[str] = "job.step_stopped"
    state: ClassVar[str] = STOPPED


class StepFinished(Job.Decision):
    """The step is done; ``steps`` became current after it. ``progress`` is how much of the diagram is finished."""

    type_name: ClassVar[str] = "job.step_finished"
    step_id: str
    steps: list[dict[str, Any]]
    progress: float
    was_skipped: bool | None = None

    def apply(self, aggregate: Job) -> None:
        """Go on."""
        super().apply(aggregate)
        workflow = aggregate.workflow or {}
        left = [it for it in workflow.get("steps", []) if it["id"] != self.step_id]
        finished = sorted({*workflow.get("finished", []), self.step_id})
        aggregate.workflow = {**workflow, "steps": [*left, *self.steps], "finished": finished}
        aggregate.progress = self.progress
        aggregate.last_report_at = self.timestamp


class CurrentStepsSet(Job.Decision):
    """Somebody said where the job stands; steps that were current before are not."""

    type_name: ClassVar[str] = "job.current_steps_set"
    steps: list[dict[str, Any]]

    def apply(self, aggregate: Job) -> None:
        """Stand there."""
        super().apply(aggregate)
        aggregate.workflow = {**(aggregate.workflow or {}), "steps": self.steps}


class AttachmentAdded(WithPrivateMembers, Job.Decision):
    """Something was attached. ``sha256`` is of its bytes, which lie beside the ledger, and ``media_type`` what its sender said."""

    type_name: ClassVar[str] = "job.attachment_added"
    private: ClassVar[tuple[str, ...]] = ("name",)
    attachment_id: str
    size_bytes: int
    sha256: str
    media_type: str | None = None
    name: str | None = None

    def apply(self, aggregate: Job) -> None:
        """Know it."""
        super().apply(aggregate)
        attachment = {"size_bytes": self.size_bytes, "sha256": self.sha256, "added_at": wire(self.timestamp)}
        if self.media_type is not None:
            attachment["media_type"] = self.media_type
        aggregate.attachments = {**(aggregate.attachments or {}), self.attachment_id: attachment}
        if self.name is not None:
            aggregate.attachment_names = {**(aggregate.attachment_names or {}), self.attachment_id: self.name}


class AttachmentRemoved(Job.Decision):
    """An attachment was removed, with its bytes and the private content that named it."""

    type_name: ClassVar[str] = "job.attachment_removed"
    attachment_id: str
    reason: str | None = None

    def apply(self, aggregate: Job) -> None:
        """Know it no longer."""
        super().apply(aggregate)
        aggregate.attachments = without(aggregate.attachments, self.attachment_id)
        aggregate.attachment_names = without(aggregate.attachment_names, self.attachment_id)


def without(members: Mapping[str, Any] | None, name: str) -> dict[str, Any] | None:
    """The members but one; None for none."""
    return {key: value for key, value in (members or {}).items() if key != name} or None


def wire(instant: datetime) -> str:
    """The instant as a row and a document have it."""
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


def current_step(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step of a diagram as a current one of a job."""
    return {**{name: it for name in STEP_MEMBERS if (it := step.get(name)) is not None}, "state": READY}


def changes_of(job: Job, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Of what is *wanted*, as ``Updated`` has it, what differs from what the job has; extended properties None: there are none
    any more.
    """
    changes: dict[str, Any] = {}
    for name in ("name", "priority"):
        if name in wanted and (wanted[name] or None) != getattr(job, name):
            changes[name] = wanted[name] or ""
    known = job.details or {}
    details = {name: it for name, it in (wanted.get("details") or {}).items() if (it or None) != known.get(name)}
    if details:
        changes["details"] = {name: it or None for name, it in details.items()}
    if "location" in wanted and (wanted["location"] or None) != job.location:
        changes["location"] = wanted["location"] or {}
    if "extended_properties" in wanted:
        given = wanted["extended_properties"]
        properties = [] if given is None else merged(job.extended_properties or [], given)
        if properties != (job.extended_properties or []):
            changes["extended_properties"] = properties
    return changes


def merged(known: Sequence[dict[str, Any]], given: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The extended properties: those *given* take the place of those with the same ``identifier``, the others stay.

    Raises InvalidCommandError for too many, and for an identifier that is given twice.
    """
    counted = Counter(it["identifier"] for it in given)
    if len(counted) < len(given):
        twice = max(counted, key=counted.__getitem__)
        raise InvalidCommandError(
            f"Two extended properties have the identifier {twice}.", member="extended_properties", identifier=twice
        )
    by_identifier = {it["identifier"]: it for it in (*known, *given)}
    if len(by_identifier) > MOST_EXTENDED_PROPERTIES:
        raise InvalidCommandError(
            f"A job has at most {MOST_EXTENDED_PROPERTIES} extended properties.", limit=MOST_EXTENDED_PROPERTIES
        )
    return list(by_identifier.values())


def update(job: Job, at: datetime, wanted: Mapping[str, Any]) -> list[str]:
    """Say what is *wanted* of the job where it differs; the names of what changed. Raises JobIsClosedError."""
    changes = changes_of(job, wanted)
    if changes:
        job.must_be_open()
        job.trigger_event(Updated, timestamp=at, **changes)
    return [*(it for it in changes if it != "details"), *changes.get("details", ())]


def upgrade(job: Job, at: datetime, diagram: Diagram | None) -> None:
    """Go through the diagram's active version. A job that does already stays as it is.

    Raises JobHasNoDiagramError, DiagramIsNotActiveError, JobIsClosedError, JobIsRunningError, StepIsNotThereError.
    """
    workflow = job.workflow
    if workflow is None or diagram is None:
        raise JobHasNoDiagramError(f"Job {job.job_id} goes through no diagram.", job_id=job.job_id)
    version = diagram.active_version()
    if version.number == workflow["diagram_version"]:
        return
    job.must_be_open()
    must_not_be_running(job)
    known = version.steps
    for step in workflow["steps"]:
        if step["id"] not in known:
            raise StepIsNotThereError(
                f"The current step of job {job.job_id}, {step['id']}, is not in version {version.number} of its diagram.",
                job_id=job.job_id,
                step_id=step["id"],
                diagram_version=version.number,
            )
    steps = [{**current_step(known[it["id"]]), "state": it["state"]} for it in workflow["steps"]]
    job.trigger_event(Upgraded, timestamp=at, diagram_version=version.number, diagram_name=diagram.name, steps=steps)


def run_step(job: Job, at: datetime, step_id: str) -> None:
    """Work on a current step; the job runs. Raises StepIsNotThereError."""
    step = must_be_current(job, step_id)
    # A stale job's worker is heard of again.
    job.start(at)
    if step["state"] != RUNNING:
        job.trigger_event(StepStarted, timestamp=at, step_id=step_id)


def stop_step(job: Job, at: datetime, step_id: str) -> None:
    """Work on a current step no longer; the job goes on running. Raises StepIsNotThereError."""
    if must_be_current(job, step_id)["state"] == RUNNING:
        job.trigger_event(StepStopped, timestamp=at, step_id=step_id)


def finish_step(job: Job, at: datetime, version: Version, step_id: str, following: Iterable[str] | None = None) -> None:
    """Finish a current step and go on to those that follow it, or to those of them that are named; after the last one the
    job has succeeded. Raises StepIsNotThereError, InvalidCommandError for a step that was not run and cannot be skipped.
    """
    step = must_be_current(job, step_id)
    is_skipped = step["state"] == READY
    if is_skipped and not step.get("can_skip"):
        raise InvalidCommandError(f"Step {step_id} was not run, and cannot be skipped.", step_id=step_id)
    known = version.steps
    targets = list(dict.fromkeys(known[step_id]["next"] if step_id in known else ()))
    if following is not None:
        wanted = set(following)
        if wanted - set(targets):
            raise InvalidCommandError(f"Step {step_id} does not lead to {min(wanted - set(targets))}.", step_id=step_id)
        targets = [it for it in targets if it in wanted]
    workflow = job.workflow or {}
    standing = {it["id"] for it in workflow["steps"]} - {step_id}
    finished = {*workflow["finished"], step_id} & known.keys()
    job.start(at)
    job.trigger_event(
        StepFinished,
        timestamp=at,
        step_id=step_id,
        steps=[current_step(known[it]) for it in targets if it not in standing],
        progress=round(len(finished) / len(known), 6),
        was_skipped=True if is_skipped else None,
    )
    if not (job.workflow or {})["steps"]:
        job.succeed(at)


def set_current_steps(job: Job, at: datetime, version: Version, step_ids: Iterable[str]) -> None:
    """Stand at these steps; those that were current already stay as they are. Raises StepIsNotThereError."""
    known, standing = version.steps, {it["id"]: it for it in (job.workflow or {})["steps"]}
    wanted = list(dict.fromkeys(step_ids))
    for step_id in wanted:
        if step_id not in known:
            raise StepIsNotThereError(f"There is no step {step_id} in the job's diagram.", step_id=step_id)
    if set(wanted) != standing.keys():
        steps = [standing.get(it) or current_step(known[it]) for it in wanted]
        job.trigger_event(CurrentStepsSet, timestamp=at, steps=steps)


def must_be_current(job: Job, step_id: str) -> Mapping[str, Any]:
    """The current step of that id. Raises StepIsNotThereError."""
    steps: Sequence[Mapping[str, Any]] = (job.workflow or {})["steps"]
    for step in steps:
        if step["id"] == step_id:
            return step
    raise StepIsNotThereError(f"Step {step_id} is not a current step of job {job.job_id}.", step_id=step_id)


def must_be_in_progress(job: Job) -> None:
    """Raise JobHasNoDiagramError, JobIsClosedError or JobIsFinalError unless steps of the job can be taken."""
    if job.workflow is None:
        raise JobHasNoDiagramError(f"Job {job.job_id} goes through no diagram.", job_id=job.job_id)
    job.must_be_open()
    if job.state not in (State.SCHEDULED, State.RUNNING, State.STALE):
        job.must_not_be_final()
