"""Many events read at once are what each is by itself."""

from __future__ import annotations

import asyncpg
import pytest

from jobledger.ledger.errors import CorruptLedgerError
from jobledger.ledger.store.codec import StoredEvent
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.reading import EventReader
from tests.cluster import session
from tests.ledger.histories import History
from tests.world import ORG

EVERY_EVENT = """
SELECT e.position, e.header, c.body, c.private FROM event AS e LEFT JOIN content AS c USING (org, position)
 WHERE org = $1 ORDER BY position
"""


async def stored(url: str) -> list[asyncpg.Record]:
    """Every event of the org."""
    async with session(url) as connection:
        return await connection.fetch(EVERY_EVENT, ORG)


async def some_of_all_kinds(ledger: Ledger, url: str) -> list[asyncpg.Record]:
    """Events with private contents, and such whose contents are gone, among many."""
    history = History(ledger, 11)
    records: list[asyncpg.Record] = []
    while {it["body"] is None for it in records} != {True, False} or all(it["private"] is None for it in records):
        await history.go_on(200)
        records = await stored(url)
    return records


async def test_many_are_read_as_each_is(ledger: Ledger, database_url: str) -> None:
    """Of all kinds, with private contents, and with contents that are gone; also those of a shape that was read before."""
    records = await some_of_all_kinds(ledger, database_url)
    reader = EventReader()

    for _ in range(2):
        read = list(reader.read(*zip(*records, strict=True)))

        assert len(read) == len(records) > 100
        for record, (header, position, event) in zip(records, read, strict=True):
            alone = StoredEvent(*record)
            assert (header, position) == (alone.envelope(), alone.position)
            if alone.content is None:
                assert event is None
            else:
                assert (type(event), event.__dict__) == (type(alone.event()), alone.event().__dict__)
    assert any(it["body"] is None for it in records)
    assert any(it["private"] is not None for it in records)


@pytest.mark.parametrize("column", ["body", "private"])
async def test_a_content_that_was_altered_is_noticed(ledger: Ledger, database_url: str, column: str) -> None:
    """Also where many of its shape were read before it."""
    records = await some_of_all_kinds(ledger, database_url)
    reader = EventReader()
    list(reader.read(*zip(*records, strict=True)))
    altered = [dict(it) for it in records]
    last = [it for it in altered if it[column] is not None][-1]
    last[column] = last[column].replace(b'"salt":"', b'"salt": "')

    with pytest.raises(CorruptLedgerError, match=f"position {last['position']} is not the one"):
        list(reader.read(*zip(*(it.values() for it in altered), strict=True)))
