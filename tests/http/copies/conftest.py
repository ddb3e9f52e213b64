"""Clients of the copies dialect."""

from __future__ import annotations

import pytest

from tests.http.copies.speaking import Copies, register_copies
from tests.http.serving import Api, Server


@pytest.fixture
async def copies(server: Server, api: Api) -> Copies:
    """A client of the org ``acme`` that may do what operators may; policy 7 has the copies 9, 10 and 11, policy 8 copy 20."""
    await register_copies(api)
    return Copies(server, api)
