"""What jobs have that go through a diagram, and attachments of a known id, for jobs that were registered otherwise; and a
schedule of a known id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from jobledger.ledger.domain.archive import Archive, archive_stream
from jobledger.ledger.domain.archive_commands import request_archive
from jobledger.ledger.domain.command import Command, UnitOfWork
from jobledger.ledger.domain.diagram import diagram_stream
from jobledger.ledger.domain.diagram_commands import known_diagram
from jobledger.ledger.domain.export import Export, export_stream
from jobledger.ledger.domain.job import Job, job_stream
from jobledger.ledger.domain.job_commands import JobTransition
from jobledger.ledger.domain.job_workflow import DiagramAssigned, current_step
from jobledger.ledger.domain.job_workflow_commands import DIAGRAMS_OF_JOBS, AddAttachment
from jobledger.ledger.domain.queue_commands import CreateQueue
from jobledger.ledger.domain.schedule_commands import CreateSchedule
from jobledger.ledger.store.attachments import AttachmentStore, Upload
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.messages import MessageStore
from jobledger.ledger.work.archiving.files import EVENTS, MANIFEST, PRIVATE, ArchiveFiles, archive_name
from jobledger.ledger.work.exporting.files import ExportFile
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


# What a consumer of the queue is called.
CONSUMER = "0123456789abcdef0123456789abcdef"
# The walks compare answers as text.
FILES = {EVENTS: b"events", PRIVATE: b"private", MANIFEST: b"{}"}


@dataclass(slots=True, kw_only=True, eq=False)
class MakeArchive(Command):
    """An archive of this id that was verified, and holds nothing, without the work."""

    capability: ClassVar[str] = "jobs.purge"
    archive_id: int

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Record all of its events."""
        order = {"ended_before": "2000-01-01T00:00:00+00:00", "purge": False, "domains": ["Global"]}
        request_archive(unit, self.archive_id, self.caller.principal, order)
        archive = unit.get(Archive, archive_stream(self.archive_id))
        assert archive is not None
        name = archive_name(self.caller.org, unit.now, self.archive_id)
        files = {
            f"{name}{suffix}": {"size_bytes": len(it), "sha256": sha256(it).hexdigest()} for suffix, it in FILES.items()
        }
        for kind, members in (
            (Archive.Selected, {"ids": [], "versions": [], "last_id": 0, "skipped": {}, "is_last": True}),
            (Archive.Written, {"claim": 1, "files": files, "counts": {"jobs": 0}}),
            (Archive.Verified, {"manifest_sha256": sha256(FILES[MANIFEST]).hexdigest()}),
            (Archive.Completed, {"purged": 0, "archived": 0, "not_purged": {}}),
        ):
            archive.trigger_event(kind, timestamp=unit.now, **members)
        return {}


async def add_archive(ledger: Ledger, org: str, archive_id: str, data: Path | None) -> None:
    """An archive with this id, its files below *data*."""
    made = await ledger.execute(MakeArchive(caller=replace(ALICE, org=org), archive_id=int(archive_id)))
    if data is not None:
        files = ArchiveFiles.of(data, org, made.recorded_at, int(archive_id))
        files.make_folder()
        for suffix, content in FILES.items():
            files.path(suffix).write_bytes(content)


async def add_queue(ledger: Ledger, org: str, name: str) -> None:
    """A queue of the org's first principal, and a consumer of it."""
    caller = replace(ALICE, org=org)
    made = await ledger.execute(CreateQueue(caller=caller, name=name))
    messages = MessageStore(ledger.database)
    await messages.create_consumer(org, made.result["id"], UUID(CONSUMER), auto_acknowledge=True)


@dataclass(slots=True, kw_only=True, eq=False)
class MakeExport(Command):
    """An export of this id that is written, without the work."""

    capability: ClassVar[str] = "exports.create"
    export_id: int

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Record all of its events."""
        stream = export_stream(self.export_id)
        by = self.caller.principal
        export = unit.begin(Export.Requested, stream, requested_by=by, order={"private": False})
        export.trigger_event(
            Export.Written,
            timestamp=unit.now,
            claim=1,
            file=ExportFile.of(Path(), self.caller.org, unit.now, self.export_id).name,
            size_bytes=6,
            sha256=sha256(b"export").hexdigest(),
            checkpoint=1,
            begin=0,
            end=1,
            counts={"headers": 1},
        )
        return {}


async def add_export(ledger: Ledger, org: str, export_id: str, data: Path | None) -> None:
    """An export with this id, its file below *data*."""
    made = await ledger.execute(MakeExport(caller=replace(ALICE, org=org), export_id=int(export_id)))
    if data is not None:
        file = ExportFile.of(data, org, made.recorded_at, int(export_id))
        file.make_folder()
        file.path.write_bytes(b"export")
