"""Deleting and erasing jobs: what goes, what stays, and what may not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import asyncpg
import pytest

from jobledger.ledger.domain.aggregate import WithPrivateMembers
from jobledger.ledger.domain.command import Effect, UnitOfWork
from jobledger.ledger.domain.event_types import CLASS_BY_TYPE
from jobledger.ledger.domain.hold import HoldFilter
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from jobledger.ledger.domain.job import Job
from jobledger.ledger.domain.job_commands import JobTransition
from jobledger.ledger.domain.job_keeping import ReleaseJob, RetainJob
from jobledger.ledger.domain.job_removal import REMOVE_CONTENTS, DeleteJob, Erased, EraseJob
from jobledger.ledger.domain.policy_commands import ChangePolicy
from jobledger.ledger.errors import (
    GoneError,
    InvalidCommandError,
    JobIsHeldError,
    JobIsNotFinalError,
    JobIsRetainedError,
    JobIsRunningError,
    NotFoundError,
)
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.loading import load_aggregates
from jobledger.scripts.replay import Unknown, fold
from tests.cluster import session
from tests.world import (
    ALICE,
    CLIENT,
    ORG,
    SALES,
    cancel,
    idempotency,
    ids,
    register,
    register_running,
    registration,
    serving,
    start,
    succeed,
    types_of,
)

SECRET = "Jane Doe, 5 Elm Street"


class Located(WithPrivateMembers, Job.Decision):
    """Somebody says where the job is: what is private here."""

    type_name: ClassVar[str] = "job.located"
    private: ClassVar[tuple[str, ...]] = ("location",)
    location: dict[str, Any] | None = None

    def apply(self, aggregate: Job) -> None:
        super().apply(aggregate)
        if self.location is not None:
            aggregate.location = self.location


@dataclass(slots=True, kw_only=True, eq=False)
class LocateJob(JobTransition):
    """Say where the job is."""

    capability: ClassVar[str] = "jobs.update"
    place: str = SECRET

    def change(self, unit: UnitOfWork, job: Job) -> None:
        job.trigger_event(Located, timestamp=unit.now, location={"place": self.place})


@pytest.fixture(scope="module", autouse=True)
def located() -> Iterator[None]:
    """A type of event with private content, until the last audit is over."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CLASS_BY_TYPE, Located.type_name, Located)
        yield


def delete(job_id: int, **members: Any) -> DeleteJob:
    return DeleteJob(**{"caller": ALICE, "job_id": job_id, "reason": "asked for", **members})


def erase(job_id: int, **members: Any) -> EraseJob:
    return EraseJob(**{"caller": ALICE, "job_id": job_id, "reason": "asked for", **members})


async def finished(ledger: Ledger, **members: Any) -> int:
    job_id = await register_running(ledger, **members)
    await ledger.execute(succeed(job_id))
    return job_id


async def all_rows(url: str) -> str:
    """Every row of every table, as COPY writes it."""
    found = []
    async with session(url) as owner:
        for record in await owner.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            rows = await owner.fetch(f'SELECT t::text AS line FROM "{record["tablename"]}" AS t')
            found += [it["line"] for it in rows]
            if record["tablename"] == "content":
                bodies = await owner.fetch(
                    "SELECT convert_from(body, 'UTF8'), convert_from(private, 'UTF8') FROM content"
                )
                found += [str(tuple(it)) for it in bodies]
            if record["tablename"] == "idempotency":
                found += [it[0] for it in await owner.fetch("SELECT convert_from(answer, 'UTF8') FROM idempotency")]
    return "\n".join(found)


async def test_a_deleted_job_is_gone_from_rows_and_its_private_contents_from_the_store(
    ledger: Ledger, database_url: str
) -> None:
    job_id = await finished(ledger)
    await ledger.execute(LocateJob(caller=ALICE, job_id=job_id, idempotency=idempotency("where")))
    assert SECRET in await all_rows(database_url)

    outcome = await ledger.execute(delete(job_id))

    assert outcome.result == {"id": 1, "state": "SUCCESS", "version": 5, "deleted": True, "discarded": []}
    assert SECRET not in await all_rows(database_url)
    repeated = await ledger.execute(LocateJob(caller=ALICE, job_id=job_id, idempotency=idempotency("where")))
    assert repeated.is_repeated
    assert SECRET not in str(repeated)
    for command in (start(job_id), cancel(job_id), LocateJob(caller=ALICE, job_id=job_id)):
        with pytest.raises(GoneError):
            await ledger.execute(command)
    with pytest.raises(GoneError):
        await ledger.job(ORG, job_id)
    again = await ledger.execute(delete(job_id))
    assert again.event_count == 0
    with pytest.raises(NotFoundError) as refusal:
        await ledger.execute(delete(job_id, caller=SALES))
    assert not isinstance(refusal.value, GoneError)


async def test_another_server_knows_what_is_gone(ledger: Ledger, database_url: str) -> None:
    """From rows, and from the events that it catches up with, whose contents may be gone by then."""
    async with serving(database_url) as other:
        # It remembers this job, and comes back to events of it whose contents are gone.
        job_id = await finished(other)
        await ledger.execute(LocateJob(caller=ALICE, job_id=job_id))
        await ledger.execute(erase(job_id, scope="all"))
        deleted = await finished(ledger)
        await ledger.execute(delete(deleted))

        for gone in (job_id, deleted):
            with pytest.raises(GoneError):
                await other.execute(start(gone))
        with pytest.raises(GoneError):
            await other.execute(registration(preceding_job_id=deleted))

    async with ledger.database.reader() as reader:
        folded = await load_aggregates(reader, ORG, await ledger.recorder.head(ORG), [], ["job-1", "job-2"])
    assert [it.gone for it in folded.values() if isinstance(it, Job)] == ["erased", "deleted"]
    async with serving(database_url) as fresh:
        for gone in (job_id, deleted):
            with pytest.raises(GoneError):
                await fresh.execute(start(gone))


async def test_those_scheduled_behind_a_deleted_job_are_discarded(ledger: Ledger) -> None:
    first = await register(ledger)
    second = await register(ledger, preceding_job_id=first)
    third = await register(ledger, preceding_job_id=second)

    outcome = await ledger.execute(delete(first))

    assert outcome.result["discarded"] == [second, third]
    assert (await ledger.job(ORG, second)).reason == "preceding job 1 was deleted"
    assert (await ledger.job(ORG, third)).reason == "preceding job 2 was discarded"


async def test_a_deleted_jobs_external_id_is_free_again(ledger: Ledger) -> None:
    job_id = await register(ledger, source="cron", external_id="a")
    deleting = await ledger.enqueue(delete(job_id))
    registering = await ledger.enqueue(registration(source="cron", external_id="a"))

    await deleting
    assert ids(await registering) == [2]


async def test_what_runs_or_is_kept_is_not_deleted_or_erased(ledger: Ledger) -> None:
    running = await register_running(ledger)
    with pytest.raises(JobIsRunningError):
        await ledger.execute(delete(running))
    with pytest.raises(JobIsNotFinalError):
        await ledger.execute(erase(running, scope="all"))
    await ledger.execute(succeed(running))
    await ledger.execute(ChangePolicy(caller=ALICE, rules=[{"basic_days": 30}], reason="law"))
    await ledger.execute(RetainJob(caller=ALICE, job_id=running, reason="mine"))
    await ledger.execute(RetainJob(caller=ALICE, job_id=running, copy_id=9, until=datetime(2099, 1, 1, tzinfo=UTC)))
    await ledger.execute(PlaceHold(caller=ALICE, name="case 7", job_ids=[running]))
    await ledger.execute(PlaceHold(caller=ALICE, name="case 8", filter=HoldFilter(type="copy")))

    for command in (delete(running), erase(running), erase(running, scope="all")):
        with pytest.raises(JobIsHeldError) as refusal:
            await ledger.execute(command)
        told = [
            {name: it for name, it in reason.items() if name != "until"} for reason in refusal.value.facts["reasons"]
        ]
        assert told == [
            {"kind": "hold", "hold_id": 1, "name": "case 7"},
            {"kind": "hold", "hold_id": 2, "name": "case 8"},
            {"kind": "user", "reason": "mine"},
            {"kind": "user", "copy_id": 9},
            {"kind": "basic"},
        ]

    await ledger.execute(ReleaseHold(caller=ALICE, hold_id=1, reason="settled"))
    await ledger.execute(ReleaseHold(caller=ALICE, hold_id=2, reason="settled"))
    with pytest.raises(JobIsRetainedError):
        await ledger.execute(delete(running))
    for copy_id in (None, 9):
        await ledger.execute(ReleaseJob(caller=ALICE, job_id=running, copy_id=copy_id, reason="over"))
    with pytest.raises(JobIsRetainedError) as last:
        await ledger.execute(delete(running))
    assert [it["kind"] for it in last.value.facts["reasons"]] == ["basic"]
    # A shorter policy does not shorten what was fixed when the job ended.
    await ledger.execute(ChangePolicy(caller=ALICE, rules=[], reason="other law"))
    with pytest.raises(JobIsRetainedError):
        await ledger.execute(delete(running))
    await ledger.execute(delete(await finished(ledger)))


async def test_a_job_that_ends_long_ago_by_its_own_time_is_retained_from_its_record_on(ledger: Ledger) -> None:
    """An imported job's past is told by another system, and counts as told."""
    await ledger.execute(ChangePolicy(caller=ALICE, rules=[{"basic_days": 30}], reason="law"))
    job_id = await register_running(ledger)
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    await ledger.execute(succeed(job_id, ended_at=long_ago))
    imported = await register(ledger, state="SUCCESS", started_at=long_ago, ended_at=long_ago)

    with pytest.raises(JobIsRetainedError) as refusal:
        await ledger.execute(delete(job_id))
    [reason] = refusal.value.facts["reasons"]
    final_at = (await ledger.job(ORG, job_id)).final_at
    assert final_at is not None
    assert datetime.fromisoformat(reason["until"]) == final_at + timedelta(days=30)
    await ledger.execute(delete(imported))


async def test_private_contents_alone_are_erased(ledger: Ledger, database_url: str) -> None:
    job_id = await register(ledger)
    await ledger.execute(LocateJob(caller=ALICE, job_id=job_id))

    await ledger.execute(erase(job_id))

    assert SECRET not in await all_rows(database_url)
    assert (await ledger.job(ORG, job_id)).location is None
    await ledger.execute(LocateJob(caller=ALICE, job_id=job_id, place="elsewhere"))
    assert (await ledger.job(ORG, job_id)).location == {"place": "elsewhere"}


async def test_all_contents_are_erased(ledger: Ledger, database_url: str) -> None:
    """Also of a job that was deleted: what is public of its events is still there, until it is erased."""
    name = "the name of somebody"
    for is_deleted in (False, True):
        job_id = await finished(ledger, name=name)
        if is_deleted:
            await ledger.execute(delete(job_id))
        assert name in await all_rows(database_url)

        outcome = await ledger.execute(erase(job_id, scope="all"))

        assert outcome.event_count == 1
        assert name not in await all_rows(database_url)
        assert (await ledger.execute(erase(job_id, scope="all"))).event_count == 0
        assert (await types_of(ledger, f"job-{job_id}"))[-1] == "job.erased"
        with pytest.raises(GoneError):
            await ledger.execute(start(job_id))


async def test_a_hold_keeps_what_is_left_of_a_deleted_job(ledger: Ledger) -> None:
    job_id = await finished(ledger)
    await ledger.execute(delete(job_id))
    await ledger.execute(PlaceHold(caller=ALICE, name="case 7", filter=HoldFilter(datastream_id="5")))

    with pytest.raises(JobIsHeldError):
        await ledger.execute(erase(job_id, scope="all"))


async def test_removal_needs_a_reason_and_a_capability(ledger: Ledger) -> None:
    job_id = await finished(ledger)

    for command in (delete(job_id, reason=None), erase(job_id, reason=" "), erase(job_id, scope="some")):
        with pytest.raises(InvalidCommandError):
            await ledger.execute(command)
    for command in (delete(job_id, caller=CLIENT), erase(job_id, caller=CLIENT)):
        with pytest.raises(Exception, match="capability"):
            await ledger.execute(command)


async def test_the_serving_role_removes_nothing_but_what_an_event_covers(ledger: Ledger, database_url: str) -> None:
    """By SQL, as a server gone astray might: invariant 4."""
    job_id = await finished(ledger)
    other = await finished(ledger)
    for each in (job_id, other):
        await ledger.execute(LocateJob(caller=ALICE, job_id=each))
    await ledger.execute(erase(job_id))
    async with session(database_url) as role:
        before = await role.fetch("SELECT * FROM content ORDER BY position")
        await role.execute("SET ROLE jobledger_app")
        for sql in (
            "DELETE FROM content",
            "UPDATE content SET private = NULL",
            "DELETE FROM event",
            "UPDATE event SET header = ''",
            "TRUNCATE content",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await role.execute(sql)
        removal = "SELECT remove_contents($1, $2, $3)"
        for streams, versions in (
            (["job-2"], [1]),
            (["job-2"], [9]),
            (["job-1", "job-2"], [5, 5]),
            (["org"], [1]),
            (["job-1"], [4]),
        ):
            with pytest.raises(asyncpg.PostgresError) as refusal:
                await role.fetchval(removal, ORG, streams, versions)
            assert refusal.value.sqlstate == "JL002"
        with pytest.raises(asyncpg.PostgresError):
            await role.fetchval(removal, "other", ["job-1"], [5])
        assert await role.fetchval(removal, ORG, ["job-1"], [5]) == 0
        assert await role.fetch("SELECT * FROM content ORDER BY position") == before
        await role.execute("SET search_path = pg_temp; CREATE TEMPORARY TABLE content (org text, position bigint)")
        assert await role.fetchval("SELECT public.remove_contents($1, $2, $3)", ORG, ["job-1"], [5]) == 0


@dataclass(slots=True, kw_only=True, eq=False)
class HastyErase(JobTransition):
    """Erases without saying that it needs the lock."""

    capability: ClassVar[str] = "jobs.erase"

    def change(self, unit: UnitOfWork, job: Job) -> None:
        job.trigger_event(Erased, timestamp=unit.now, scope="private", reason="asked for")
        unit.affect(Effect(REMOVE_CONTENTS, (job.id, job.version)))


async def test_no_removal_is_decided_ahead_of_the_lock(ledger: Ledger, database_url: str) -> None:
    """There its event would not be in the store yet: what is to be removed could not be, or, worse, went unnoticed."""
    job_id = await register(ledger)
    await ledger.execute(LocateJob(caller=ALICE, job_id=job_id))

    await ledger.execute(HastyErase(caller=ALICE, job_id=job_id))

    assert SECRET not in await all_rows(database_url)


async def test_a_replay_goes_on_where_contents_are_gone(ledger: Ledger) -> None:
    job_id = await finished(ledger)
    await ledger.execute(erase(job_id, scope="all"))

    state: Any = None
    states = []
    async for stored in ledger.recorder.scan(ORG, stream="job-1"):
        state = fold(state, stored)
        states.append(state)

    assert [isinstance(it, Unknown) and not it.is_wrong for it in states] == [True, True, True, False]
    assert (states[-1].gone, states[-1].state, states[-1].type) == ("erased", "SUCCESS", "copy")
