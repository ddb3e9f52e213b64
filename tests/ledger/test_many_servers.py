"""Several servers on one database."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_commands import ReportProgress
from jobledger.ledger.errors import JobIsFinalError, NotFoundError, ReleaseDiffersError
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.access import AccessProjection
from jobledger.projections.jobs import JobsProjection
from tests.auditor import audit
from tests.world import (
    ALICE,
    ORG,
    fail,
    ids,
    projections,
    register,
    register_running,
    registration,
    serving,
    start,
    succeed,
)


async def test_servers_append_to_one_org_and_one_job_without_losing_anything(ledger: Ledger, database_url: str) -> None:
    """Positions and versions stay dense, whoever wins, and nothing acknowledged is missing. The auditor looks at both."""
    job_id = await register_running(ledger)
    async with AsyncExitStack() as stack:
        servers = [ledger, *[await stack.enter_async_context(serving(database_url)) for _ in range(3)]]

        async def report(server: Ledger, number: int) -> list[int]:
            positions = []
            for n in range(25):
                command = ReportProgress(caller=ALICE, job_id=job_id, figures={f"{number}-{n}": n})
                outcomes = await asyncio.gather(server.execute(command), server.execute(registration()))
                positions += [position for outcome in outcomes for position in outcome.positions]
            return positions

        acknowledged = await asyncio.gather(*(report(server, n) for n, server in enumerate(servers)))

    positions = sorted(position for it in acknowledged for position in it)
    assert positions == list(range(3, 203))
    job = await ledger.job(ORG, job_id)
    assert job.version == 102
    assert len(job.figures or {}) == 100


async def test_what_another_server_did_is_seen_when_deciding(ledger: Ledger, database_url: str) -> None:
    """A job remembered as running is known to have ended; one that did not exist is found."""
    job_id = await register_running(ledger)
    async with serving(database_url) as other:
        await other.execute(succeed(job_id))
        new = await register(other)

    with pytest.raises(JobIsFinalError):
        await ledger.execute(fail(job_id))
    assert (await ledger.execute(start(new))).result["state"] == "RUNNING"


async def test_what_others_appended_beyond_what_is_worth_catching_up_is_read_anew(
    ledger: Ledger, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobledger.ledger.store.writer.MOST_EVENTS_OF_OTHERS", 3)
    job_id = await register_running(ledger)
    async with serving(database_url) as other:
        for n in (3, 4):
            await asyncio.gather(*(other.execute(registration()) for _ in range(n)))
            await other.execute(ReportProgress(caller=ALICE, job_id=job_id, figures={str(n): n}))

            outcome = await ledger.execute(ReportProgress(caller=ALICE, job_id=job_id, figures={"own": n}))

            assert outcome.result["version"] == (await other.job(ORG, job_id)).version

    assert (await ledger.job(ORG, job_id)).figures == {"3": 3, "4": 4, "own": 4}


async def test_a_server_of_another_release_reads_and_does_not_append(ledger: Ledger, database_url: str) -> None:
    """Nothing is appended with rows that mean something else than the ledger's."""
    job_id = await register(ledger)

    class NewerJobs(JobsProjection):
        fold_version = JobsProjection.fold_version + 1

    class Another(AccessProjection):
        name = "another"

    releases: list[list[Any]] = [
        [NewerJobs(), *projections()[1:]],
        [*projections(), Another()],
    ]
    for folds in releases:
        database = Database(database_url)
        await database.open()
        other = Ledger(database, folds)
        with pytest.raises(ReleaseDiffersError):
            await other.execute(start(job_id))
        with pytest.raises(ReleaseDiffersError):
            await other.execute(registration())
        assert (await other.job(ORG, job_id)).state is State.SCHEDULED
        assert len((await other.recorder.page(ORG, -1, 10)).events) == 2
        await other.close()
        await database.close()

    await ledger.execute(start(job_id))


async def test_orgs_have_ledgers_of_their_own(ledger: Ledger, database_url: str) -> None:
    """Positions and numbers of each begin anew; a job of one is none of another's."""
    await ledger.create_org("other")
    elsewhere = replace(ALICE, org="other")
    outcomes = await asyncio.gather(
        *(ledger.execute(registration(caller=caller)) for _ in range(20) for caller in (ALICE, elsewhere))
    )

    assert [ids(it)[0] for it in outcomes[::2]] == [ids(it)[0] for it in outcomes[1::2]] == list(range(1, 21))
    await register(ledger)
    command = start(21)
    command.caller = elsewhere
    with pytest.raises(NotFoundError):
        await ledger.execute(command)
    assert {org: it.size for org, it in (await audit(database_url)).items()} == {ORG: 22, "other": 21}
