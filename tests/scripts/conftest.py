"""Data folders for the command line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.cluster import fresh_database, short_folder
from tests.scripts.place import Place, ReadyProgram


@pytest.fixture
def unaudited_url(own_url: str) -> str:
    """A database of the test's own: a data folder belongs to one installation."""
    return own_url


@pytest.fixture
def parent() -> Iterator[Path]:
    """An empty folder with a short path."""
    with short_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def ready_program() -> Iterator[ReadyProgram]:
    """The program, imported once for all short runs."""
    command = [sys.executable, str(Path(__file__).with_name("ready_program.py"))]
    with (
        short_folder() as folder,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        yield ReadyProgram(folder, process)


@pytest.fixture
def ready(request: pytest.FixtureRequest) -> ReadyProgram | None:
    """That program; None for whole-system tests, which run the real one, and some of them more than one at once."""
    if request.node.get_closest_marker("slow") is not None:
        return None
    program: ReadyProgram = request.getfixturevalue("ready_program")
    return program


@pytest.fixture
def empty(parent: Path, ready: ReadyProgram | None) -> Place:
    """A data folder that is not there yet."""
    return Place(parent / "data", ready=ready)


@pytest.fixture(scope="session")
def begun_folder() -> Iterator[Path]:
    """The data folder of a server that was started once, and stopped."""
    with short_folder() as folder:
        with Place(folder / "data").serving():
            pass
        yield folder / "data"


@pytest.fixture
def place(begun_folder: Path, parent: Path, ready: ReadyProgram | None) -> Place:
    """A copy of it, for one test."""
    subprocess.run(["cp", "-a", begun_folder, parent / "data"], check=True)
    return Place(parent / "data", ready=ready)


@pytest.fixture
def shared(database_url: str, parent: Path, ready: ReadyProgram | None) -> Place:
    """A migrated database of its own in the session's Postgres, named by its URL; audited when the test is over."""
    return Place(parent / "data", {"JOBLEDGER_DATABASE_URL": database_url}, ready)


@pytest.fixture
async def unmigrated(cluster_url: str, parent: Path, ready: ReadyProgram | None) -> AsyncIterator[Place]:
    """An empty database of its own in the session's Postgres, named by its URL."""
    async with fresh_database(cluster_url) as url:
        yield Place(parent / "data", {"JOBLEDGER_DATABASE_URL": url}, ready)


@pytest.fixture
def unaudited(unaudited_url: str, parent: Path, ready: ReadyProgram | None) -> Place:
    """As ``shared``, for tests that tamper with what is stored."""
    return Place(parent / "data", {"JOBLEDGER_DATABASE_URL": unaudited_url}, ready)
