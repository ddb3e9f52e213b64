"""What a request handler finds in the application."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from jobledger.http.access import Access
from jobledger.http.cursor import CursorKey
from jobledger.http.dialect import Dialect, Dialects
from jobledger.http.negotiation import Form
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.evidence.attaching import Attestations
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.store.attachments import AttachmentStore
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.message_waiting import MessageWaiting
from jobledger.ledger.store.messages import MessageStore
from jobledger.ledger.store.secret_store import SecretStore
from jobledger.ledger.work.catch_up import CatchUp
from jobledger.ledger.work.denied_attempts import DeniedAttempts
from jobledger.ledger.work.remote_host import RemoteHosts
from jobledger.projections.archive_query import ArchiveQuery
from jobledger.projections.audit_query import AuditQuery
from jobledger.projections.copy_query import CopyQuery
from jobledger.projections.diagram_query import DiagramQuery
from jobledger.projections.domain_query import DomainQuery
from jobledger.projections.job_query import JobQuery
from jobledger.projections.job_search import JobSearch
from jobledger.projections.keeping_query import KeepingQuery
from jobledger.projections.numbered_jobs import NumberedJobs
from jobledger.projections.past_query import PastQuery
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.projections.queue_query import QueueQuery
from jobledger.projections.rollup_query import RollupQuery
from jobledger.projections.schedule_query import ScheduleQuery

LEDGER = web.AppKey("ledger", Ledger)
ATTESTATIONS = web.AppKey("attestations", Attestations)
EVIDENCE = web.AppKey("evidence", EvidenceStore)
JOBS = web.AppKey("jobs", JobQuery)
AUDIT = web.AppKey("audit", AuditQuery)
PAST = web.AppKey("past", PastQuery)
PRINCIPALS = web.AppKey("principals", PrincipalQuery)
COPY_JOBS = web.AppKey("copy_jobs", CopyQuery)
KEEPING = web.AppKey("keeping", KeepingQuery)
SCHEDULES = web.AppKey("schedules", ScheduleQuery)
ROLLUPS = web.AppKey("rollups", RollupQuery)
CATCH_UP = web.AppKey("catch_up", CatchUp)
NUMBERED_JOBS = web.AppKey("numbered_jobs", NumberedJobs)
DIAGRAMS = web.AppKey("diagrams", DiagramQuery)
DOMAINS = web.AppKey("domains", DomainQuery)
JOB_SEARCH = web.AppKey("job_search", JobSearch)
ARCHIVES = web.AppKey("archives", ArchiveQuery)
# The installation's folder, None where there is none.
DATA: web.AppKey[Path | None] = web.AppKey("data", Path)
ATTACHMENTS = web.AppKey("attachments", AttachmentStore)
QUEUES_QUERY = web.AppKey("queues", QueueQuery)
MESSAGES = web.AppKey("messages", MessageStore)
MESSAGE_WAITING = web.AppKey("message_waiting", MessageWaiting)
# Passwords of hosts that archives are copied to, and which hosts those may be.
SECRETS = web.AppKey("secrets", SecretStore)
REMOTE_HOSTS = web.AppKey("remote_hosts", RemoteHosts)
ACCESS = web.AppKey("access", Access)
DENIED = web.AppKey("denied", DeniedAttempts)
CURSOR_KEY = web.AppKey("cursor_key", CursorKey)
LARGEST_ATTACHMENT_BYTES = web.AppKey("largest_attachment_bytes", int)
FETCH_START_TIMEOUT_S = web.AppKey("fetch_start_timeout_s", int)
# Held while a large XML document is read.
READING_XML = web.AppKey("reading_xml", asyncio.Semaphore)
DIALECTS = web.AppKey("dialects", Dialects)

CALLER = web.RequestKey("caller", Caller)
# When it was asked who that is, on the monotonic clock.
ASKED_AT = web.RequestKey("asked_at", float)
REQUEST_ID = web.RequestKey("request_id", str)
# Whose path it is, None for nobody's.
OWNER: web.RequestKey[Dialect | None] = web.RequestKey("owner", Dialect)
# The same; of nobody's path, the first dialect.
DIALECT = web.RequestKey("dialect", Dialect)
# What the answer is to be written in.
FORM = web.RequestKey("form", Form)
# The answer, once its status and headers are on their way.
BEGUN = web.RequestKey("begun", web.StreamResponse)
