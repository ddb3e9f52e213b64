"""Where random histories take place."""

from __future__ import annotations

import asyncio

import pytest

from jobledger.ledger.store.database import Database
from tests.histories import Place


@pytest.fixture
def place(loop: asyncio.AbstractEventLoop, database: Database) -> Place:
    """The shared database, by the loop and the connections of all tests."""
    return Place(loop, database)
