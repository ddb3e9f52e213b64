"""Who and what the tests are about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Any

from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from jobledger.ledger.domain.command import Caller, Idempotency, Outcome
from jobledger.ledger.domain.job_commands import CancelJob, FailJob, StartJob, SucceedJob
from jobledger.ledger.domain.job_registration import JobSpec, RegisterJobs
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.projections.access import AccessProjection
from jobledger.projections.archives import ArchivedJobsProjection, ArchivesProjection
from jobledger.projections.copies import CopiesProjection
from jobledger.projections.diagrams import DiagramsProjection, TemplatesProjection
from jobledger.projections.domains import DomainsProjection
from jobledger.projections.holds import HoldsProjection
from jobledger.projections.job_copies import JobCopiesProjection
from jobledger.projections.job_history import JobHistoryProjection
from jobledger.projections.jobs import JobsProjection
from jobledger.projections.policy import PolicyProjection
from jobledger.projections.queues import QueuesProjection
from jobledger.projections.rollups import RollupsProjection
from jobledger.projections.schedules import SchedulesProjection
from jobledger.projections.work import WorkProjection
from tests.cluster import session

ORG = "acme"
EVERYTHING = frozenset().union(*CAPABILITIES_BY_ROLE.values()) | {"ledger.watch", "ledger.work"}

ALICE = Caller(
    org=ORG,
    principal="principal-1",
    capabilities=EVERYTHING,
    address="192.0.2.9",
    request="5f0c2a7e-0e5b-4f5e-9f57-0d9a2c3b4d5e",
)
BOB = replace(ALICE, principal="principal-2")
CLIENT = replace(ALICE, principal="principal-3", capabilities=CAPABILITIES_BY_ROLE["client"])
AUDITOR = replace(ALICE, principal="principal-4", capabilities=CAPABILITIES_BY_ROLE["auditor"])
SALES = replace(ALICE, principal="principal-5", home_domain="Sales", domains=frozenset({"Sales"}))


def projections() -> list[Any]:
    """The inline projections that every server has."""
    kept = [JobsProjection(), JobCopiesProjection(), PolicyProjection(), HoldsProjection()]
    known = [CopiesProjection(), AccessProjection(), DiagramsProjection(), TemplatesProjection()]
    done = [SchedulesProjection(), WorkProjection(), ArchivesProjection(), ArchivedJobsProjection()]
    return [*kept, *known, *done, DomainsProjection(), QueuesProjection()]


def catch_up_projections() -> list[Any]:
    """The projections that follow the ledger."""
    return [RollupsProjection(), JobHistoryProjection()]


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[Ledger]:
    """A ledger on the database, as another server process has it."""
    database = Database(url, readers=4, writers=4)
    await database.open()
    try:
        ledger = Ledger(database, projections(), catch_up_projections=catch_up_projections())
        try:
            yield ledger
        finally:
            await ledger.close()
    finally:
        await database.close()


@asynccontextmanager
async def held_head(url: str) -> AsyncIterator[None]:
    """The org's head, locked as by another server's batch."""
    async with session(url) as connection, connection.transaction():
        await connection.execute("SELECT 1 FROM ledger_head WHERE org = $1 FOR UPDATE", ORG)
        yield


def spec(**members: Any) -> JobSpec:
    """A job to register, of which only *members* matter."""
    return JobSpec(**{"type": "copy", "name": "nightly", **members})


def registration(*specs: JobSpec, caller: Caller = ALICE, key: str | None = None, **members: Any) -> RegisterJobs:
    """The registration of *specs*, or of one job with *members*."""
    jobs = specs or (spec(**members),)
    return RegisterJobs(caller=caller, jobs=jobs, idempotency=None if key is None else idempotency(key))


def idempotency(key: str, request: str = "the request") -> Idempotency:
    """An Idempotency-Key sent with a request."""
    return Idempotency(key, sha256(request.encode()).digest())


def ids(outcome: Outcome) -> list[int]:
    """The ids of the jobs registered."""
    return [job["id"] for job in outcome.result["jobs"]]


async def register(ledger: Ledger, **members: Any) -> int:
    """A scheduled job's id."""
    [job_id] = ids(await ledger.execute(registration(**members)))
    return job_id


async def register_running(ledger: Ledger, **members: Any) -> int:
    """A running job's id."""
    job_id = await register(ledger, **members)
    await ledger.execute(StartJob(caller=ALICE, job_id=job_id))
    return job_id


async def register_chain(ledger: Ledger, *, length: int) -> list[int]:
    """Jobs each behind the one before it; the first runs."""
    chain = [await register_running(ledger)]
    while len(chain) < length:
        chain.append(await register(ledger, preceding_job_id=chain[-1]))
    return chain


def start(job_id: int, **members: Any) -> StartJob:
    """Alice starts the job."""
    return StartJob(caller=ALICE, job_id=job_id, **members)


def succeed(job_id: int, **members: Any) -> SucceedJob:
    """Alice says that the job ended well."""
    return SucceedJob(caller=ALICE, job_id=job_id, **members)


def fail(job_id: int, **members: Any) -> FailJob:
    """Alice says that the job failed."""
    return FailJob(caller=ALICE, job_id=job_id, **members)


def cancel(job_id: int, **members: Any) -> CancelJob:
    """Alice cancels the job."""
    return CancelJob(caller=ALICE, job_id=job_id, **members)


async def types_of(ledger: Ledger, stream: str, org: str = ORG) -> list[str]:
    """The types of a stream's events, in their order."""
    return [stored.envelope()["type"] async for stored in ledger.recorder.scan(org, stream=stream)]
