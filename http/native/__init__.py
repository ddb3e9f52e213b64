"""The native API: ``/ledger/v1/{org}/…``."""

from jobledger.http.native.archives import archive_routes
from jobledger.http.native.audit import audit_routes
from jobledger.http.native.checkpoints import checkpoint_routes
from jobledger.http.native.commands import command_routes
from jobledger.http.native.copies import copy_routes
from jobledger.http.native.diagrams import diagram_routes
from jobledger.http.native.dialect import NATIVE
from jobledger.http.native.events import event_routes
from jobledger.http.native.evidence import evidence_routes
from jobledger.http.native.exports import export_routes
from jobledger.http.native.holds import hold_routes
from jobledger.http.native.jobs import job_routes
from jobledger.http.native.policy import policy_routes
from jobledger.http.native.principals import principal_routes
from jobledger.http.native.queues import queue_list_routes
from jobledger.http.native.rollups import rollup_routes
from jobledger.http.native.schedules import schedule_routes
from jobledger.http.native.tokens import token_routes
from jobledger.http.native.workflow import workflow_routes

__all__ = [
    "NATIVE",
    "archive_routes",
    "audit_routes",
    "checkpoint_routes",
    "command_routes",
    "copy_routes",
    "diagram_routes",
    "event_routes",
    "evidence_routes",
    "export_routes",
    "hold_routes",
    "job_routes",
    "policy_routes",
    "principal_routes",
    "queue_list_routes",
    "rollup_routes",
    "schedule_routes",
    "token_routes",
    "workflow_routes",
]
