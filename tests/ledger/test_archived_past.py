"""Asked for a purged job, the answer says which archives hold it, and whether the one that it was purged to is still there."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobledger.ledger.domain.archive_commands import DeleteArchive
from jobledger.ledger.domain.job_removal import ALL, PRIVATE, EraseJob
from jobledger.ledger.errors import GoneError
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.job_query import JobQuery
from jobledger.projections.past_query import PastQuery
from tests.ledger.archived import archived, ended
from tests.ledger.test_job_history import follow
from tests.world import ALICE, ORG


async def named(past: PastQuery, job_id: int, position: int) -> list[int] | None:
    """The archives that the refusal names, None for none."""
    with pytest.raises(GoneError) as refusal:
        await past.job(ORG, job_id, await past.moment(ORG, position), None)
    archives: list[int] | None = refusal.value.facts.get("archives")
    return archives


async def test_an_archive_that_was_deleted_or_erased_is_not_named(ledger: Ledger, tmp_path: Path) -> None:
    first, second = await ended(ledger, 2, is_located=True)
    then = (await ledger.recorder.head(ORG)).size - 1
    archive = await archived(ledger, tmp_path, purge=True)
    past, jobs = await follow(ledger), JobQuery(ledger.database)
    assert await named(past, first, then) == [archive.archive_id]
    left = await jobs.purged(ORG, second, None)
    assert left is not None
    assert (left["archive"]["id"], left["archive"]["deleted"]) == (archive.archive_id, False)

    for scope, still in ((PRIVATE, [archive.archive_id]), (ALL, None)):
        await ledger.execute(EraseJob(caller=ALICE, job_id=first, scope=scope, reason="asked for"))
        await follow(ledger)
        assert await named(past, first, then) == still
    assert await named(past, second, then) == [archive.archive_id]

    await ledger.execute(DeleteArchive(caller=ALICE, archive_id=archive.archive_id, reason="kept long enough"))

    await follow(ledger)
    assert await named(past, second, then) is None
    assert await jobs.purged(ORG, second, None) == {**left, "archive": {**left["archive"], "deleted": True}}
