"""A client of the space dialect for each test."""

from __future__ import annotations

import pytest

from tests.http.serving import Server
from tests.http.space.speaking import Space, space_client


@pytest.fixture
async def space(server: Server) -> Space:
    """A client called super that may do what operators may."""
    return await space_client(server, "super", ["operator"])
