"""Clients of the workflow dialect."""

from __future__ import annotations

import pytest

from tests.http.serving import Api, Server
from tests.http.workflow.speaking import Workflow


@pytest.fixture
def workflow(server: Server, api: Api) -> Workflow:
    """A client of the org ``acme`` that may do what operators may, and its other self on the native API."""
    return Workflow(server, api)
