"""Clients of the fetches dialect."""

from __future__ import annotations

import pytest

from tests.http.fetches.speaking import Fetches
from tests.http.serving import Api, Server


@pytest.fixture
def fetches(server: Server, api: Api) -> Fetches:
    """A client of the org ``acme`` that may do what operators may, and its other self on the native API."""
    return Fetches(server, api)
