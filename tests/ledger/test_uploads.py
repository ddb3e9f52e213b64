"""Uploads that nothing records: they leave nothing behind, whatever cut them off."""

from __future__ import annotations

import pytest

from jobledger.ledger.store.attachments import CHUNK_BYTES, AttachmentStore, Upload
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.work import watch as watch_module
from tests.cluster import session
from tests.ledger.test_watch import until, watching
from tests.world import ORG


async def chunk_count(url: str, upload: Upload) -> int:
    """How many of an upload's chunks are there."""
    async with session(url) as owner:
        count: int = await owner.fetchval("SELECT count(*) FROM attachment_chunk WHERE id = $1", upload.id)
        return count


async def test_the_watch_removes_what_a_crash_left(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not what came just now: its event may be on its way."""
    monkeypatch.setattr(watch_module, "ROUND_S", 0.05)
    monkeypatch.setattr(watch_module, "FORGET_EVERY_S", 0.05)
    store = AttachmentStore(ledger.database)
    left, coming = Upload(ORG), Upload(ORG)
    for upload in (left, coming):
        await store.add(upload, b"x" * (CHUNK_BYTES + 1))
        await store.finish(upload)
    async with session(database_url) as owner:
        await owner.execute("UPDATE upload SET touched_at = touched_at - interval '61 min' WHERE id = $1", left.id)

    async with watching(ledger):

        async def is_gone() -> bool:
            return await chunk_count(database_url, left) == 0

        await until(is_gone)

    assert await chunk_count(database_url, coming) == 2
    await store.discard(coming)
    assert await chunk_count(database_url, coming) == 0
