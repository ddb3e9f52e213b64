"""What a request handler finds in the application."""

from __future__ import annotations

import asyncio

from aiohttp import web

from jobledger.http.access import Access
from jobledger.http.cursor import CursorKey
from jobledger.http.dialect import Dialect, Dialects
from jobledger.http.negotiation import Form
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.store.attachments import AttachmentStore
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.catch_up import CatchUp
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
from jobledger.projections.rollup_query import RollupQuery
from jobledger.projections.schedule_query import ScheduleQuery

LEDGER = web.AppKey("ledger", Ledger)
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
ATTACHMENTS = web.AppKey("attachments", AttachmentStore)
ACCESS = web.AppKey("access", Access)
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
