"""A server that is killed at any step of an export: another goes on, and there is never a file that looks whole and is not."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from jobledger.ledger.domain.job import State
from jobledger.ledger.store.ledger import Ledger
from tests.ledger.archived import ended, finished
from tests.ledger.exported import export_of, file_of, request, verified
from tests.signing import sign
from tests.system import exporting_process
from tests.system.exporting_process import PLACES
from tests.system.test_archiving import working
from tests.world import types_of

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("place", PLACES)
async def test_an_export_is_finished_by_another_server_wherever_the_first_was_killed(
    ledger: Ledger, database_url: str, tmp_path: Path, place: str
) -> None:
    """Complete, or absent; written once, and no part of it is left."""
    await ended(ledger, 7)
    size = (await sign(ledger)).size
    export_id = await request(ledger, checkpoint=size)
    path = file_of(tmp_path, await export_of(ledger, export_id))
    module = exporting_process.__name__
    with working(database_url, tmp_path, place, module=module) as first:
        assert first.stdout is not None
        assert (await asyncio.to_thread(first.stdout.readline)).decode().strip() == place
        first.kill()
    assert path.exists() == (place == "renamed")

    with working(database_url, tmp_path, module=module):
        job = await finished(ledger, export_id, within=timedelta(seconds=60))

    assert job.state is State.SUCCESS, job.reason
    assert verified(path) == 0
    assert [it.name for it in path.parent.iterdir()] == [path.name]
    assert (await types_of(ledger, f"export-{export_id}")).count("export.written") == 1
