"""A disk that is full: told as such, nothing acknowledged is lost, reads go on, and writing resumes when there is room."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

import pytest

from jobledger.ledger.errors import UnavailableError
from jobledger.ledger.postgres.embedded import EmbeddedPostgres
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.migration import migrate
from tests.auditor import audit
from tests.cluster import short_folder
from tests.world import ORG, register, registration, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.alone,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk"),
]

DISK = "size=320m,mode=755"
SMALL = {"shared_buffers": "16MB", "max_wal_size": "48MB", "wal_recycle": "off", "wal_init_zero": "on"}
KIBIBYTE = 1024


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small disk of its own."""
    with short_folder() as folder:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", DISK, "tmpfs", folder], capture_output=True, text=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"no disk can be mounted here: {mounted.stderr}")
        yield folder
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
async def postgres(disk: Path) -> AsyncIterator[EmbeddedPostgres]:
    async with EmbeddedPostgres(disk / "data", settings=SMALL) as postgres:
        await migrate(postgres.url)
        yield postgres


def _write_for_ever(file: IO[bytes]) -> None:
    while True:
        file.write(bytes(64 * KIBIBYTE))


def fill(disk: Path) -> Path:
    """All the room that is left, taken by one file."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        _write_for_ever(file)
    return filler


async def register_until_refused(ledger: Ledger) -> tuple[list[str], UnavailableError]:
    """The names of the large jobs that were taken, and why the next was not."""
    taken: list[str] = []
    while True:
        name = f"large {len(taken)}"
        try:
            await register(ledger, name=name, attributes={"text": os.urandom(300 * KIBIBYTE).hex()})
        except UnavailableError as refusal:
            return taken, refusal
        taken.append(name)


async def test_a_full_disk_is_told_and_gone_when_there_is_room(disk: Path, postgres: EmbeddedPostgres) -> None:
    async with serving(postgres.url) as ledger:
        await ledger.create_org(ORG)
        first = await register(ledger, name="first")
        filler = fill(disk)

        async with asyncio.timeout(120):
            taken, refusal = await register_until_refused(ledger)

            assert refusal.retry_after_s > 0
            assert (await ledger.job(ORG, first)).name == "first"
            with pytest.raises(UnavailableError):
                await ledger.execute(registration(attributes={"text": os.urandom(300 * KIBIBYTE).hex()}))
            filler.unlink()
            while True:
                try:
                    await register(ledger, name="last")
                    break
                except UnavailableError:
                    await asyncio.sleep(0.1)  # Postgres may have to recover first

    jobs = (await audit(postgres.url))[ORG].aggregates.values()
    names = [getattr(it, "name", None) for it in jobs]
    assert names.count("first") == names.count("last") == 1
    assert all(names.count(it) == 1 for it in taken)
