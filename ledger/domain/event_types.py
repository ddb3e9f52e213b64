"""The closed registry of event types: a type that is not here is never read, skipped or guessed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jobledger.ledger.domain.access import Org, Principal
from jobledger.ledger.domain.aggregate import Aggregate, event_from_data
from jobledger.ledger.domain.archive import Archive
from jobledger.ledger.domain.copy import Copy
from jobledger.ledger.domain.denial import Denials
from jobledger.ledger.domain.diagram import Diagram
from jobledger.ledger.domain.evidence import Forked, KeyChanged
from jobledger.ledger.domain.export import Export
from jobledger.ledger.domain.hold import Hold
from jobledger.ledger.domain.host_key_commands import HostKeyTrusted
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_archive import Archived, Purged
from jobledger.ledger.domain.job_copies import Copied, CopyAllowed, CopyDeleted, CopyDisallowed
from jobledger.ledger.domain.job_decisions import Closed, Reopened
from jobledger.ledger.domain.job_keeping import HoldPlaced, HoldReleased, Retained, RetentionReleased
from jobledger.ledger.domain.job_removal import Deleted, Erased
from jobledger.ledger.domain.job_work import Claimed, WorkNoted
from jobledger.ledger.domain.job_workflow import (
    AttachmentAdded,
    AttachmentRemoved,
    CurrentStepsSet,
    DiagramAssigned,
    StepFinished,
    StepStarted,
    StepStopped,
    Updated,
    Upgraded,
)
from jobledger.ledger.domain.policy_commands import PolicyChanged
from jobledger.ledger.domain.queue import Queue
from jobledger.ledger.domain.schedule import Schedule
from jobledger.ledger.domain.template import Template
from jobledger.ledger.errors import CorruptLedgerError

EVENT_CLASSES: tuple[type[Aggregate.Event], ...] = (
    Job.Registered,
    Job.Started,
    Job.StageEntered,
    Job.Progressed,
    Job.Succeeded,
    Job.Failed,
    Job.Cancelled,
    Job.Discarded,
    Job.WentStale,
    Job.Resumed,
    Closed,
    Reopened,
    Copied,
    CopyDisallowed,
    CopyAllowed,
    CopyDeleted,
    Copy.Registered,
    Copy.Changed,
    Updated,
    DiagramAssigned,
    Upgraded,
    StepStarted,
    StepStopped,
    StepFinished,
    CurrentStepsSet,
    AttachmentAdded,
    AttachmentRemoved,
    Diagram.Created,
    Diagram.DraftSaved,
    Diagram.VersionSaved,
    Diagram.Activated,
    Diagram.VersionDeleted,
    Diagram.Deleted,
    Template.Created,
    Template.Changed,
    Template.Deleted,
    Retained,
    RetentionReleased,
    HoldPlaced,
    HoldReleased,
    Deleted,
    Erased,
    Archived,
    Purged,
    Claimed,
    WorkNoted,
    Hold.Placed,
    Hold.Released,
    Schedule.Created,
    Schedule.Paused,
    Schedule.Resumed,
    Schedule.Fired,
    Schedule.Run,
    Schedule.Deleted,
    Queue.Created,
    Queue.Deleted,
    Archive.Requested,
    Archive.Selected,
    Archive.Written,
    Archive.Verified,
    Archive.Copied,
    Archive.PurgeRequested,
    Archive.Completed,
    Archive.Erased,
    Archive.Deleted,
    Export.Requested,
    Export.Written,
    Export.Downloaded,
    Org.Created,
    PolicyChanged,
    HostKeyTrusted,
    Forked,
    KeyChanged,
    Principal.Added,
    Principal.Granted,
    Principal.Disabled,
    Principal.Enabled,
    Principal.PasswordSet,
    Principal.PasswordRemoved,
    Principal.TokenIssued,
    Principal.TokenRevoked,
    Denials.Denied,
)
CLASS_BY_TYPE: dict[str, type[Aggregate.Event]] = {cls.type_name: cls for cls in EVENT_CLASSES}


def must_know(type_name: str, schema: int) -> type[Aggregate.Event]:
    """The class of events of this type. CorruptLedgerError for a type or schema that this code does not know."""
    event_class = CLASS_BY_TYPE.get(type_name)
    if event_class is None or not 1 <= schema <= event_class.class_version:
        raise CorruptLedgerError(f"Events of type {type_name}, schema {schema}, are not known to this release.")
    return event_class


def read_event(
    type_name: str, schema: int, stream: str, version: int, recorded_at: datetime, data: Mapping[str, Any]
) -> Aggregate.Event:
    """The event as today's class, its data brought forward from *schema*. Raises CorruptLedgerError."""
    event_class = must_know(type_name, schema)
    if schema < event_class.class_version:
        data = dict(data)
        for older in range(schema, event_class.class_version):
            getattr(event_class, f"upcast_v{older}_v{older + 1}")(data)
    try:
        return event_from_data(event_class, stream, version, recorded_at, data)
    except (TypeError, ValueError) as error:
        raise CorruptLedgerError(f"Version {version} of {stream} does not read as {type_name}: {error}") from error
