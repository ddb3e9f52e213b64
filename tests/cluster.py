"""Clusters and databases for tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import MappingProxyType
from uuid import uuid4

import asyncpg

PROGRAM = Path(__file__).with_name("postgres_server.py")
SMALL = MappingProxyType({"shared_buffers": "64MB", "max_wal_size": "256MB"})
MEMORY = Path("/dev/shm")
NEEDED_BYTES = 1024**3


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder that everybody may enter, with a path short enough for a socket below it; removed at the end.

    In memory where there is room: Postgres syncs to disk as ever, and the tests need not wait for it. A process that is
    killed loses nothing there that it would not lose on a disk.
    """
    is_roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > NEEDED_BYTES
    folder = Path(tempfile.mkdtemp(prefix="jobledger-", dir=MEMORY if is_roomy else "/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running_cluster(settings: Mapping[str, str] = SMALL, *, binaries: Path | None = None) -> Iterator[str]:
    """A Postgres of its own, started by another process, and its URL."""
    with short_folder() as folder:
        command = [sys.executable, str(PROGRAM), str(folder / "data"), json.dumps(dict(settings))]
        if binaries is not None:
            command.append(str(binaries))
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url, "Postgres did not start"
            # On leaving the process's standard input ends, and so does the server.
            yield url


def url_of(cluster_url: str, database: str, *, role: str = "jobledger") -> str:
    """The URL of another database of the cluster, for another role."""
    return cluster_url.replace("//jobledger@/jobledger?", f"//{role}@/{database}?")


@asynccontextmanager
async def session(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection as the URL's role; the tests' own, so that it can see and do everything."""
    connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


@asynccontextmanager
async def fresh_database(
    cluster_url: str, *, template: str = "template1", owner: str = "jobledger"
) -> AsyncIterator[str]:
    """A database copied from *template*, dropped at the end, and its URL."""
    name = f"test_{uuid4().hex}"
    async with session(cluster_url) as connection:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy OWNER {owner}")
    try:
        yield url_of(cluster_url, name)
    finally:
        async with session(cluster_url) as connection:
            await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
