"""Data folders for the tests of the embedded Postgres."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jobledger.ledger.postgres.embedded import (
    EmbeddedPostgres,
)
from tests.postgres.place import SMALL, start_and_stop


@pytest.fixture
def parent() -> Iterator[Path]:
    """A folder with a short path that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="jobledger-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data folder whose database is made; tests share it that leave it whole."""
    parent = Path(tempfile.mkdtemp(prefix="jobledger-"))
    parent.chmod(0o755)
    asyncio.run(start_and_stop(parent / "data"))
    yield parent / "data"
    shutil.rmtree(parent)


@pytest.fixture
def data(made: Path, parent: Path) -> Path:
    """A copy of it, for one test."""
    subprocess.run(["cp", "-a", made, parent / "data"], check=True)
    return parent / "data"


@pytest.fixture
async def postgres(made: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with EmbeddedPostgres(made, settings=SMALL) as postgres:
        yield postgres
