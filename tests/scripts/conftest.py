"""Data folders for the command line."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cluster import fresh_database, short_folder
from tests.scripts.place import Place


@pytest.fixture
def parent() -> Iterator[Path]:
    """An empty folder with a short path."""
    with short_folder() as folder:
        yield folder


@pytest.fixture
def empty(parent: Path) -> Place:
    """A data folder that is not there yet."""
    return Place(parent / "data")


@pytest.fixture(scope="session")
def begun_folder() -> Iterator[Path]:
    """The data folder of a server that was started once, and stopped."""
    with short_folder() as folder:
        with Place(folder / "data").serving():
            pass
        yield folder / "data"


@pytest.fixture
def place(begun_folder: Path, parent: Path) -> Place:
    """A copy of it, for one test."""
    subprocess.run(["cp", "-a", begun_folder, parent / "data"], check=True)
    return Place(parent / "data")


@pytest.fixture
def shared(database_url: str, parent: Path) -> Place:
    """A migrated database of its own in the session's Postgres, named by its URL; audited when the test is over."""
    return Place(parent / "data", {"JOBLEDGER_DATABASE_URL": database_url})


@pytest.fixture
async def unmigrated(cluster_url: str, parent: Path) -> AsyncIterator[Place]:
    """An empty database of its own in the session's Postgres, named by its URL."""
    async with fresh_database(cluster_url) as url:
        yield Place(parent / "data", {"JOBLEDGER_DATABASE_URL": url})


@pytest.fixture
def unaudited(unaudited_url: str, parent: Path) -> Place:
    """As ``shared``, for tests that tamper with what is stored."""
    return Place(parent / "data", {"JOBLEDGER_DATABASE_URL": unaudited_url})
