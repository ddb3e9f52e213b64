"""Archives: what is selected is written as it is stored, read back, verified, and only then purged."""

from __future__ import annotations

from pathlib import Path

import orjson

from jobledger.ledger.domain.job import State
from jobledger.ledger.store.ledger import Ledger
from tests.ledger.archived import archived, ended, file_of, folder, job_of, lines_of
from tests.world import ORG, register_running


async def test_an_archive_holds_what_is_stored_byte_for_byte_in_the_order_of_positions(
    ledger: Ledger, tmp_path: Path
) -> None:
    """zcat reads it; every event of each selected job is there, and none of another."""
    jobs = await ended(ledger, 3, is_located=True)
    await register_running(ledger)
    stored = [
        it async for it in ledger.recorder.scan(ORG) if it.envelope()["stream"] in {f"job-{job_id}" for job_id in jobs}
    ]

    archive = await archived(ledger, tmp_path)

    lines = lines_of(file_of(tmp_path))
    raw = b"".join(b'{"header":%b,"content":%b}\n' % (it.header, it.content) for it in stored)
    assert lines == [orjson.loads(it) for it in raw.splitlines()]
    import gzip

    assert gzip.decompress(file_of(tmp_path).read_bytes()) == raw
    assert (archive.selected, archive.selected_events, archive.archived, archive.purged) == (3, 12, 3, 0)
    assert folder(tmp_path).stat().st_mode & 0o777 == 0o700
    for job_id in jobs:
        assert (await job_of(ledger, job_id)).archives is not None
        assert (await ledger.job(ORG, job_id)).state is State.SUCCESS


async def test_what_is_purged_leaves_a_residue_its_headers_and_nothing_else(ledger: Ledger, tmp_path: Path) -> None:
    jobs = await ended(ledger, 3, is_located=True)
    running = await register_running(ledger)

    archive = await archived(ledger, tmp_path, purge=True)

    assert (archive.purged, archive.archived, dict(archive.not_purged)) == (3, 0, {})
    for job_id in jobs:
        job = await job_of(ledger, job_id)
        assert (job.gone, job.state) == ("purged", State.SUCCESS)
        stored = [it async for it in ledger.recorder.scan(ORG, stream=f"job-{job_id}")]
        assert [it.content is None for it in stored] == [True] * (len(stored) - 1) + [False]
        assert all(it.private is None for it in stored)
    assert (await ledger.job(ORG, running)).state is State.RUNNING
