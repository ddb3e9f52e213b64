"""What is decided about a job apart from its course."""

import pytest

from jobledger.ledger.domain.job_commands import StartJob
from jobledger.ledger.domain.job_decisions import CloseJob, ReopenJob
from jobledger.ledger.errors import JobIsClosedError, JobIsOpenError, JobIsRunningError
from jobledger.ledger.store.ledger import Ledger
from tests.world import ALICE, registration


async def test_a_closed_job_is_not_started_until_it_is_open_again(ledger: Ledger) -> None:
    await ledger.execute(registration())
    closed = await ledger.execute(CloseJob(caller=ALICE, job_id=1, reason="not needed"))
    again = await ledger.execute(CloseJob(caller=ALICE, job_id=1))

    assert closed.result == {"id": 1, "state": "SCHEDULED", "version": 2, "closed": True}
    assert again.event_count == 0
    with pytest.raises(JobIsClosedError):
        await ledger.execute(StartJob(caller=ALICE, job_id=1))

    await ledger.execute(ReopenJob(caller=ALICE, job_id=1))
    with pytest.raises(JobIsOpenError):
        await ledger.execute(ReopenJob(caller=ALICE, job_id=1))
    await ledger.execute(StartJob(caller=ALICE, job_id=1))
    with pytest.raises(JobIsRunningError):
        await ledger.execute(CloseJob(caller=ALICE, job_id=1))
