"""What jobs have that go through a diagram, and attachments of a known id, for jobs that were registered otherwise; and a
schedule of a known id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar
from uuid import UUID

from jobledger.ledger.domain.command import UnitOfWork
from jobledger.ledger.domain.diagram import diagram_stream
from jobledger.ledger.domain.diagram_commands import known_diagram
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_commands import JobTransition
from jobledger.ledger.domain.job_workflow import DiagramAssigned, current_step
from jobledger.ledger.domain.job_workflow_commands import DIAGRAMS_OF_JOBS, AddAttachment
from jobledger.ledger.domain.queue_commands import CreateQueue
from jobledger.ledger.domain.schedule_commands import CreateSchedule
from jobledger.ledger.store.attachments import AttachmentStore, Upload
from jobledger.ledger.store.ledger import Ledger
from tests.world import ALICE


@dataclass(slots=True, kw_only=True, eq=False)
class AssignDiagram(JobTransition):
    """Let a job go through a diagram, as those do that are created from a template: the same event."""

    capability: ClassVar[str] = "jobs.update"
    diagram_id: int
    template_id: int

    def streams(self) -> Iterable[str]:
        """The job, and the diagram."""
        return (job_stream(self.job_id), diagram_stream(self.diagram_id))

    def change(self, unit: UnitOfWork, job: Job) -> None:
        """Stand at its initial step."""
        diagram = known_diagram(unit, self.diagram_id)
        version = diagram.active_version()
        job.trigger_event(
            DiagramAssigned,
            timestamp=unit.now,
            template_id=self.template_id,
            template_name="t",
            diagram_id=self.diagram_id,
            diagram_name=diagram.name,
            diagram_version=version.number,
            steps=[current_step(version.steps[version.content["initial_step"]])],
        )
        unit.outdate(DIAGRAMS_OF_JOBS)


async def equip(
    ledger: Ledger, org: str, job_id: int, *, diagram_id: int, template_id: int, attachment_id: str
) -> None:
    """Give a job a diagram, and an attachment."""
    alice = replace(ALICE, org=org)
    await ledger.execute(AssignDiagram(caller=alice, job_id=job_id, diagram_id=diagram_id, template_id=template_id))
    upload = Upload(org, UUID(attachment_id))
    store = AttachmentStore(ledger.database)
    await store.add(upload, b"a plan")
    await store.finish(upload)
    await ledger.execute(
        AddAttachment(
            caller=alice,
            job_id=job_id,
            attachment_id=attachment_id,
            name="plan.txt",
            size_bytes=upload.size_bytes,
            chunk_count=upload.chunk_count,
            sha256=upload.sha256,
        )
    )


async def add_schedule(ledger: Ledger, org: str, schedule_id: str) -> None:
    """Create a schedule with this id."""
    await ledger.execute(
        CreateSchedule(
            caller=replace(ALICE, org=org),
            schedule_id=UUID(schedule_id),
            expression="0 0 4 ? * *",
            action={"kind": "maintenance"},
        )
    )


async def add_queue(ledger: Ledger, org: str, name: str) -> None:
    """A queue of the org's first principal."""
    caller = replace(ALICE, org=org)
    await ledger.execute(CreateQueue(caller=caller, name=name))
