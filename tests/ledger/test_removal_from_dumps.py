"""What was removed is in no dump, nor in what Postgres knows of its own of the tables; what proves the rest is as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.postgres.postmaster import binaries_folder, output_of
from jobledger.ledger.store.ledger import Ledger
from tests.auditor import audit
from tests.cluster import session
from tests.located import SECRET, LocateJob, located_events
from tests.world import ALICE, ORG, idempotency, register_running, succeed

NAME = "the name of somebody"
REMOVALS: dict[str, tuple[tuple[str, ...], Command]] = {
    "deleted": ((SECRET,), DeleteJob(caller=ALICE, job_id=1, reason="asked for")),
    "private": ((SECRET,), EraseJob(caller=ALICE, job_id=1, reason="asked for")),
    "whole": ((SECRET, NAME), EraseJob(caller=ALICE, job_id=1, scope="all", reason="asked for")),
}


@pytest.fixture(scope="module", autouse=True)
def located() -> Iterator[None]:
    """A type of event with private content, until the last audit is over."""
    with located_events():
        yield


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


@pytest.mark.parametrize("removal", REMOVALS)
async def test_what_is_removed_is_in_no_dump(ledger: Ledger, database_url: str, removal: str) -> None:
    """Also where tables were analysed while it was there, and where who sent it repeats the request."""
    gone, command = REMOVALS[removal]
    locate = LocateJob(caller=ALICE, job_id=1, idempotency=idempotency("where"))
    await register_running(ledger, name=NAME)
    await ledger.execute(locate)
    await register_running(ledger, name="another")
    await ledger.execute(LocateJob(caller=ALICE, job_id=2, place="elsewhere"))
    await ledger.execute(succeed(1))
    async with session(database_url) as owner:
        await owner.execute("ANALYZE")
    before, headers = await dumped(database_url), await kept_rows(database_url)
    assert all(is_in(before, it) for it in (SECRET, NAME, "elsewhere"))

    await ledger.execute(command)
    repeated = await ledger.execute(locate)

    assert repeated.is_repeated
    after = await dumped(database_url)
    assert [it for it in gone if is_in(after, it)] == []
    assert is_in(after, "elsewhere")
    assert (await kept_rows(database_url))[: len(headers)] == headers
    await audit(database_url, ORG)
