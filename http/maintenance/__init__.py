"""The maintenance dialect: ``/aggregates/maintenance/…``, as AtScale speaks of aggregate maintenance schedules."""

from jobledger.http.maintenance.dialect import MAINTENANCE
from jobledger.http.maintenance.schedules import maintenance_routes
from jobledger.http.maintenance.tokens import auth_routes

MAINTENANCE_ROUTES = (maintenance_routes, auth_routes)

__all__ = ["MAINTENANCE", "MAINTENANCE_ROUTES"]
