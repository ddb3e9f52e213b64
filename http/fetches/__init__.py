"""The fetches dialect: ``/api/…``, as the Adverity Management API speaks of jobs."""

from jobledger.http.fetches.datastreams import datastream_routes
from jobledger.http.fetches.dialect import FETCHES
from jobledger.http.fetches.jobs import fetch_job_routes
from jobledger.http.fetches.tokens import token_routes

FETCH_ROUTES = (fetch_job_routes, datastream_routes, token_routes)

__all__ = ["FETCHES", "FETCH_ROUTES"]
