"""Clients of the maintenance dialect."""

from __future__ import annotations

import pytest

from tests.http.maintenance.speaking import Maintenance
from tests.http.serving import Api, Server


@pytest.fixture
async def maintenance(server: Server) -> Maintenance:
    """A client of the org ``acme`` that may do what operators may, and its other self on the native API."""
    api: Api = await server.client("operator", name="devUser")
    return Maintenance(server, api)
