"""The copies dialect: ``/webconsole/api/…`` and ``/commandcenter/api/…``, as Commvault speaks of jobs on a plan's copies."""

from jobledger.http.copies.dialect import COPIES
from jobledger.http.copies.job_lists import copy_job_routes
from jobledger.http.copies.operations import operation_routes
from jobledger.http.copies.policies import policy_routes
from jobledger.http.copies.sessions import session_routes

COPIES_ROUTES = (operation_routes, copy_job_routes, policy_routes, session_routes)

__all__ = ["COPIES", "COPIES_ROUTES"]
