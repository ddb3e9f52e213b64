"""What callers ask of exports, and the step by which the ledger notes that one is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from jobledger.ledger.domain.access_commands import must_see_all
from jobledger.ledger.domain.command import Command, UnitOfWork
from jobledger.ledger.domain.export import Export, export_stream
from jobledger.ledger.domain.job import LARGEST_JOB_ID, Job, job_stream
from jobledger.ledger.domain.job_commands import visible_job
from jobledger.ledger.domain.job_notification import OWNER, notify
from jobledger.ledger.domain.job_work import WorkStep, must_hold
from jobledger.ledger.errors import InvalidCommandError, NotFoundError

EXPORT = "export"
EXPORT_TYPE = "Export"
CREATE_EXPORTS = "exports.create"
MOST_JOBS = 10_000
RENDERINGS = ("csv", "xml")


def known_export(unit: UnitOfWork, export_id: int) -> Export:
    """The export. Raises NotFoundError."""
    export = unit.get(Export, export_stream(export_id))
    if export is None:
        raise NotFoundError(f"There is no export {export_id}.", export_id=export_id)
    return export


@dataclass(slots=True, kw_only=True, eq=False)
class RequestExport(Command):
    """Export a range of events: all their headers, and the contents of those that are selected. The result is
    ``{"id", "version"}``: of the job that does it, whose id is the export's.

    ``order``: see ``Export.Requested``; from is included, to is not. ``scheduled_at`` is the job's, ``schedule_id`` the schedule's
    that asks for it.
    """

    capability: ClassVar[str] = CREATE_EXPORTS
    order: Mapping[str, Any]
    scheduled_at: datetime | None = None
    schedule_id: UUID | None = None

    def asked(self, _now: datetime) -> dict[str, Any]:
        """What it asks for, as the work's order. Raises InvalidCommandError, NotAllowedError."""
        must_see_all(self.caller)
        order = {name: it for name, it in self.order.items() if it is not None}
        for name in ("from", "to"):
            if f"{name}_position" in order and f"recorded_{name}" in order:
                raise InvalidCommandError(
                    f"It is either a position or a time: {name}_position or recorded_{name}.", member=f"recorded_{name}"
                )
        if "job_ids" in order:
            order["job_ids"] = sorted(set(order["job_ids"]))
        order.setdefault("private", False)
        if not order.get("attachments"):
            order.pop("attachments", None)
        return order

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises InvalidCommandError, NotAllowedError."""
        order = self.asked(unit.now)
        work: dict[str, Any] = {"kind": EXPORT, "order": order}
        by_schedule = self.schedule_id is not None
        if by_schedule:
            # The ledger itself is noted as registering it.
            work[OWNER] = self.caller.principal
        job_id = unit.next_number("job")
        if job_id > LARGEST_JOB_ID:
            raise InvalidCommandError("The org has no job ids left.")
        job = unit.begin(
            Job.Registered,
            job_stream(job_id),
            type=EXPORT_TYPE,
            name=f"{EXPORT_TYPE}-{job_id}",
            domain=self.caller.home_domain,
            scheduled_at=self.scheduled_at,
            attributes={"schedule": str(self.schedule_id)} if by_schedule else None,
            work=work,
        )
        assert isinstance(job, Job)
        notify(unit, job)
        unit.begin(Export.Requested, export_stream(job_id), requested_by=self.caller.principal, order=order)
        return {"id": job_id, "version": job.version}


@dataclass(slots=True, kw_only=True, eq=False)
class RecordDownload(Command):
    """Somebody is about to be given an export's file. The result is ``{"id", "version", "downloads"}``."""

    capability: ClassVar[str] = CREATE_EXPORTS
    export_id: int
    range: str | None = None

    def streams(self) -> Iterable[str]:
        """The export."""
        return (export_stream(self.export_id),)

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, NotAllowedError."""
        must_see_all(self.caller)
        export = known_export(unit, self.export_id)
        if export.written is None:
            raise NotFoundError(f"Export {self.export_id} is not written.", export_id=self.export_id)
        export.trigger_event(Export.Downloaded, timestamp=unit.now, range=self.range)
        return {"id": self.export_id, "version": export.version, "downloads": export.downloads}


@dataclass(slots=True, kw_only=True, eq=False)
class NoteExported(WorkStep):
    """The file is written, under a name that carries the claim's number, and durable: it may have its own name now."""

    written: Mapping[str, Any]
    is_counted: ClassVar[bool] = False

    def streams(self) -> Iterable[str]:
        """The job that does it, and the export."""
        return (job_stream(self.job_id), export_stream(self.job_id))

    def decide(self, unit: UnitOfWork) -> dict[str, Any]:
        """Raises NotFoundError, GoneError, ClaimIsLostError, JobIsFinalError."""
        must_hold(visible_job(unit, self.caller, self.job_id), self.claim)
        export = known_export(unit, self.job_id)
        if export.written is None:
            export.trigger_event(Export.Written, timestamp=unit.now, claim=self.claim, **self.written)
        return {"claim": (export.written or {})["claim"]}
