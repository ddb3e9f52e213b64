"""The space dialect: ``/api/space/job-management/…`` and ``/api/hornet-q/queues/…``, as Junos Space speaks of jobs."""

from jobledger.http.space.archiving import archive_routes
from jobledger.http.space.cancelling import cancel_routes
from jobledger.http.space.consumers import consumer_routes
from jobledger.http.space.dialect import SPACE
from jobledger.http.space.jobs import job_routes
from jobledger.http.space.queues import queue_routes

SPACE_ROUTES = (job_routes, cancel_routes, archive_routes, queue_routes, consumer_routes)

__all__ = ["SPACE", "SPACE_ROUTES"]
