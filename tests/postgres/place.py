"""An embedded Postgres for a test, and looks at its processes."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from jobledger.ledger.postgres.embedded import (
    EmbeddedPostgres,
)

SMALL = {"shared_buffers": "16MB", "max_wal_size": "64MB"}
DEADLINE_S = 10.0
NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")

SERVER = f"""
import asyncio, sys
from pathlib import Path
from jobledger.ledger.postgres.embedded import EmbeddedPostgres
async def main():
    postgres = EmbeddedPostgres(Path(sys.argv[1]), settings={SMALL!r})
    await postgres.start()
    print(postgres.pid, flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def start_and_stop(data: Path) -> None:
    async with EmbeddedPostgres(data, settings=SMALL):
        pass


async def query(postgres: EmbeddedPostgres, *statements: str) -> object:
    """Run *statements* in a session of their own; return what the last one yields."""
    connection = await asyncpg.connect(postgres.url)
    try:
        return [await connection.fetchval(statement) for statement in statements][-1]
    finally:
        await connection.close()


async def eventually(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not is_so():
            await asyncio.sleep(0.02)


async def eventually_answers(ask: Callable[[], Awaitable[object]]) -> object:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return await ask()
        except (OSError, asyncpg.PostgresError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)


def command_line(pid: int | None) -> list[str]:
    """Return the words of a process; none when it is gone, though its parent may not have noticed."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except (FileNotFoundError, ProcessLookupError):
        return [""]


def is_running(pid: int | None) -> bool:
    return command_line(pid) != [""]


def user_id(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Uid:"))


def capabilities(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapEff:"))


@contextlib.asynccontextmanager
async def server(data: Path, *launcher: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Another process that serves *data*, and the process id of its Postgres; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *launcher, sys.executable, "-c", SERVER, data, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        async with asyncio.timeout(DEADLINE_S):
            pid = int(await process.stdout.readline())
        yield process, pid
        await kill(process)
        await eventually(lambda: not is_running(pid))
    finally:
        await kill(process)


async def kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()
