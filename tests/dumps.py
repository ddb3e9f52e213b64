"""What a dump of a database holds, for tests of what was removed."""

from __future__ import annotations

from jobledger.ledger.postgres.postmaster import binaries_folder, output_of
from tests.cluster import session


async def dumped(url: str) -> str:
    """All that pg_dump writes of the database, with what planners know of its tables."""
    code, output = await output_of([binaries_folder() / "pg_dump", "--statistics", url])
    assert code == 0, output
    return output


def is_in(dump: str, text: str) -> bool:
    """Whether the text is there, as it is or as the bytes of a column."""
    return text in dump or text.encode().hex() in dump


async def kept_rows(url: str) -> list[str]:
    """Headers, and what is not the job's."""
    async with session(url) as owner:
        events = await owner.fetch("SELECT e::text AS line FROM event AS e ORDER BY org, position")
        return [it["line"] for it in events]
