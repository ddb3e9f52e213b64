"""What was removed is in no dump, nor in what Postgres knows of its own of the tables; what proves the rest is as it was."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobledger.ledger.domain.command import Command
from jobledger.ledger.domain.job_removal import DeleteJob, EraseJob
from jobledger.ledger.store.ledger import Ledger
from tests.auditor import audit
from tests.cluster import session
from tests.dumps import dumped, is_in, kept_rows
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
