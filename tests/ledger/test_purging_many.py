"""Purging many jobs: how many go at once, and what the history forgets of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work.archiving import work
from jobledger.ledger.work.catch_up import CatchUp
from tests.cluster import session
from tests.ledger.archived import archived, ended
from tests.world import ORG

TOLD = ("job_past", "job_history")


@pytest.mark.parametrize(
    ("job_s", "expected"),
    [(1e-6, work.MOST_JOBS_A_BATCH), (work.BATCH_S / 90.5, 90), (1.0, work.FEWEST_JOBS_A_BATCH)],
)
def test_a_batch_has_as_many_jobs_as_lately_took_so_long(
    job_s: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was before, within the bounds."""
    now = 100.0
    monkeypatch.setattr(work, "monotonic", lambda: now)
    pace = work.Pace()
    first = pace.jobs

    for took_s in (0.5, *[100 * job_s] * 100):
        now += took_s
        pace.hear(100)

    assert (first, pace.jobs) == (work.FIRST_JOBS_A_BATCH, expected)


async def test_what_the_history_told_of_a_purged_job_is_gone_though_it_was_told_meanwhile(
    ledger: Ledger, database_url: str, tmp_path: Path
) -> None:
    """Who told of it read the events before they were purged, and wrote afterwards: that goes when the purge is come to."""
    jobs = await ended(ledger, 3)
    await CatchUp(ledger).wait_for(ORG, "job_history")
    async with session(database_url) as owner:
        kept = {table: await owner.fetch(f"SELECT * FROM {table} WHERE id = ANY ($1)", jobs) for table in TOLD}
        await archived(ledger, tmp_path, purge=True)
        for table, rows in kept.items():
            assert await owner.fetchval(f"SELECT count(*) FROM {table} WHERE id = ANY ($1)", jobs) == 0
            await owner.copy_records_to_table(table, records=[tuple(it) for it in rows])

        await CatchUp(ledger).wait_for(ORG, "job_history")

        for table, rows in kept.items():
            assert rows
            assert await owner.fetchval(f"SELECT count(*) FROM {table} WHERE id = ANY ($1)", jobs) == 0
