"""The workflow dialect: ``/{orgId}/{itemId}/…``, as ArcGIS Workflow Manager speaks of jobs."""

from jobledger.http.workflow.attachments import attachment_routes
from jobledger.http.workflow.diagrams import diagram_routes
from jobledger.http.workflow.dialect import WORKFLOW
from jobledger.http.workflow.health import health_routes
from jobledger.http.workflow.history import history_routes
from jobledger.http.workflow.jobs import workflow_job_routes
from jobledger.http.workflow.search import search_routes

# Those with fixed words before those with an id in their place.
WORKFLOW_ROUTES = (
    search_routes,
    workflow_job_routes,
    history_routes,
    attachment_routes,
    diagram_routes,
    health_routes,
)

__all__ = ["WORKFLOW", "WORKFLOW_ROUTES"]
