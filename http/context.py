"""What a request handler finds in the application."""

from __future__ import annotations

from aiohttp import web

from jobledger.http.access import Access
from jobledger.http.cursor import CursorKey
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.job_query import JobQuery
from jobledger.projections.principal_query import PrincipalQuery

LEDGER = web.AppKey("ledger", Ledger)
JOBS = web.AppKey("jobs", JobQuery)
PRINCIPALS = web.AppKey("principals", PrincipalQuery)
ACCESS = web.AppKey("access", Access)
CURSOR_KEY = web.AppKey("cursor_key", CursorKey)
FETCH_START_TIMEOUT_S = web.AppKey("fetch_start_timeout_s", int)

CALLER = web.RequestKey("caller", Caller)
REQUEST_ID = web.RequestKey("request_id", str)
# The answer, once its status and headers are on their way.
BEGUN = web.RequestKey("begun", web.StreamResponse)
