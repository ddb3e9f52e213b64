"""Bringing a database to this release's schema, as various owners, on every Postgres that is supported."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import asyncpg
import pytest

from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_decisions import CloseJob
from jobledger.ledger.postgres.postmaster import binaries_folder
from jobledger.ledger.store import database, migration
from jobledger.ledger.store.database import Connection, connect
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.migration import Migration, SchemaError, check_schema, known_migrations, migrate
from tests.auditor import audit
from tests.cluster import fresh_database, running_cluster, session, url_of
from tests.world import ALICE, ORG, fail, register, register_chain, register_running, serving, start, succeed

SYSTEM_BINARIES = Path("/usr/lib/postgresql/15/bin")
BINARIES = {18: binaries_folder(), 16: binaries_folder().parents[1] / "pginstall" / "bin", 15: SYSTEM_BINARIES}
OWNERS = {"plain": "LOGIN", "creator": "LOGIN CREATEROLE"}


@pytest.fixture
def unaudited_url(own_url: str) -> str:
    """A database of the test's own: its schema is changed."""
    return own_url


@pytest.fixture
async def empty_url(cluster_url: str) -> AsyncIterator[str]:
    async with fresh_database(cluster_url) as url:
        yield url


async def check(url: str) -> UUID:
    """What a server finds when it starts."""
    connection: Connection = await connect(url, {})
    try:
        return await check_schema(connection)
    finally:
        await connection.close()


def test_migrations_are_numbered_without_a_gap() -> None:
    names = [it.name for it in known_migrations()]

    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    assert len({it.checksum for it in known_migrations()}) == len(names)


async def test_a_migration_is_applied_once(empty_url: str) -> None:
    names = [it.name for it in known_migrations()]

    assert await migrate(empty_url) == names
    installation = await check(empty_url)
    assert await migrate(empty_url) == []
    assert await check(empty_url) == installation


async def test_migrations_at_once_are_applied_once(empty_url: str) -> None:
    """They wait for each other; there is one installation."""
    applied = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))

    assert sorted(applied) == [[], [], [], [it.name for it in known_migrations()]]
    async with session(empty_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM installation") == 1


async def test_a_migration_waits_for_another_however_long_it_takes(
    empty_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than a server waits for the answer to a statement."""
    monkeypatch.setattr(database, "REPLY_TIMEOUT_S", 0.1)
    async with session(empty_url) as other:
        await other.execute("SELECT pg_advisory_lock($1)", migration.ADVISORY_LOCK)
        waiting = asyncio.ensure_future(migrate(empty_url))
        done, _ = await asyncio.wait([waiting], timeout=0.5)
        assert not done

    assert await waiting == [it.name for it in known_migrations()]


async def test_an_empty_database_is_refused_with_what_to_do(cluster_url: str) -> None:
    async with fresh_database(cluster_url) as url:
        with pytest.raises(SchemaError, match="jobledger db migrate"):
            await check(url)


async def test_a_database_that_lacks_a_migration_is_refused(unaudited_url: str) -> None:
    last = known_migrations()[-1].name
    async with session(unaudited_url) as connection:
        await connection.execute("DELETE FROM schema_migration WHERE name = $1", last)

    with pytest.raises(SchemaError, match=rf"lacks {last}\. Run: jobledger db migrate"):
        await check(unaudited_url)


async def test_a_database_of_a_later_release_is_refused(unaudited_url: str) -> None:
    """Neither served nor migrated."""
    async with session(unaudited_url) as connection:
        await connection.execute("INSERT INTO schema_migration (name, checksum) VALUES ('9999_later', '')")

    for attempt in (check, migrate):
        with pytest.raises(SchemaError, match="later release: it has 9999_later"):
            await attempt(unaudited_url)


async def test_a_migration_that_was_altered_is_refused(unaudited_url: str) -> None:
    async with session(unaudited_url) as connection:
        await connection.execute("UPDATE schema_migration SET checksum = 'other' WHERE name = '0001_ledger'")

    for attempt in (check, migrate):
        with pytest.raises(SchemaError, match="another 0001_ledger"):
            await attempt(unaudited_url)


async def test_a_migration_that_fails_leaves_nothing(unaudited_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is a transaction; those before it stay, and it can be repeated."""
    good = Migration("0098_good", "CREATE TABLE good (id int);")
    bad = Migration("0099_bad", "CREATE TABLE bad (id int); SELECT 1 / 0;")
    mended = replace(bad, sql="CREATE TABLE bad (id int);")
    known = known_migrations()
    monkeypatch.setattr(migration, "known_migrations", lambda: [*known, good, bad])

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(unaudited_url)

    monkeypatch.setattr(migration, "known_migrations", lambda: [*known, good, mended])
    assert await migrate(unaudited_url) == ["0099_bad"]


WITHOUT_BEGINS = """
DROP TABLE job_count;
ALTER TABLE job DROP COLUMN begins_at;
UPDATE ledger_head SET projections = jsonb_set(projections, '{jobs,fold}', '1');
DELETE FROM schema_migration WHERE name LIKE '0006%' OR name LIKE '0007%';
"""
# What comes later and would be there already.
WITHOUT_WORKFLOW = """
DROP TABLE diagram, diagram_version, template, attachment, attachment_chunk, upload;
DROP FUNCTION discard_upload, remove_attachments;
DROP INDEX job_count_domain;
UPDATE ledger_head SET projections = projections - 'diagrams' - 'templates';
DELETE FROM schema_migration WHERE name LIKE '%_workflow';
"""
WITHOUT_SCHEDULES = """
DROP TABLE schedule, job_work, job_domain, queue, queue_use, message, consumer;
DROP SEQUENCE message_id;
UPDATE ledger_head SET projections = projections - 'schedules' - 'work' - 'domains' - 'queues';
DELETE FROM schema_migration WHERE name LIKE '%_schedules' OR name LIKE '%_queues';
"""
WITHOUT_KEEPING = """
DROP TABLE job_residue, org_policy, hold;
DROP FUNCTION remove_contents;
ALTER TABLE job DROP COLUMN final_at, DROP COLUMN imported, DROP COLUMN is_closed, DROP COLUMN is_held,
                DROP COLUMN retained_until;
UPDATE ledger_head
   SET projections = jsonb_set(projections - 'policy' - 'holds', '{jobs, fold}', '3')
 WHERE projections -> 'jobs' ->> 'fold' = '4';
DELETE FROM schema_migration WHERE name LIKE '0009%';
"""


async def test_jobs_of_an_earlier_release_are_known_by_when_they_begin(empty_url: str) -> None:
    """Their rows and counts come out as those of a fold of all events, which is what the audit compares."""
    await migrate(empty_url)
    async with serving(empty_url) as ledger:
        await ledger.create_org(ORG)
        await register(ledger, scheduled_at=datetime(2022, 10, 31, 23, tzinfo=UTC))
        await register_running(ledger)
        await register(ledger)
    async with session(empty_url) as owner:
        await owner.execute(WITHOUT_SCHEDULES + WITHOUT_WORKFLOW + WITHOUT_KEEPING + WITHOUT_BEGINS)

    later = ["0009_keeping", "0011_workflow", "0012_schedules", "0015_queues"]
    assert await migrate(empty_url) == ["0006_job_begins", "0007_job_states", *later]

    async with serving(empty_url) as ledger:
        await ledger.execute(start(1))
    await audit(empty_url)


async def test_jobs_of_an_earlier_release_are_known_by_when_their_end_was_recorded(empty_url: str) -> None:
    """As their policy, which was none, that is as a fold of all events has it."""
    await migrate(empty_url)
    async with serving(empty_url) as ledger:
        await ledger.create_org(ORG)
        await ledger.execute(succeed(await register_running(ledger), ended_at=datetime(2020, 1, 1, tzinfo=UTC)))
        await ledger.execute(CloseJob(caller=ALICE, job_id=1))
    async with session(empty_url) as owner:
        await owner.execute(WITHOUT_SCHEDULES + WITHOUT_WORKFLOW + WITHOUT_KEEPING)

    assert await migrate(empty_url) == ["0009_keeping", "0011_workflow", "0012_schedules", "0015_queues"]

    async with serving(empty_url) as ledger:
        await register_running(ledger)
    await audit(empty_url)


async def test_an_old_postgres_is_refused(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "OLDEST_POSTGRES", 990000)

    with pytest.raises(SchemaError, match="Postgres 15 or later"):
        await migrate(empty_url)


def test_a_postgres_that_may_lose_what_it_committed_is_refused() -> None:
    async def attempt(url: str) -> None:
        await migrate(url)
        with pytest.raises(SchemaError, match="fsync"):
            await check(url)

    with running_cluster({"shared_buffers": "16MB", "fsync": "off"}) as url:
        asyncio.run(attempt(url))


def runnable(version: int) -> bool:
    return (BINARIES[version] / "postgres").exists()


@pytest.fixture(scope="module", params=[18, pytest.param(16, marks=pytest.mark.slow), 15])
def bare_cluster_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A cluster in which nothing was made yet, and to which the owners may connect as such."""
    if not runnable(request.param):
        pytest.skip(f"Postgres {request.param} is not installed")

    async def make_owners(url: str) -> None:
        async with session(url) as connection:
            for name, options in OWNERS.items():
                await connection.execute(f"CREATE ROLE {name} {options}")
            await connection.execute("SELECT pg_reload_conf()")
        for name in OWNERS:
            async with asyncio.timeout(10):
                while not await can_connect(url_of(url, "jobledger", role=name)):
                    await asyncio.sleep(0.02)

    with running_cluster({"shared_buffers": "16MB"}, binaries=BINARIES[request.param]) as url:
        [socket] = parse_qs(urlsplit(url).query)["host"]
        with (Path(socket).parent / "identities").open("a") as identities:
            identities.writelines(f'server "{pwd.getpwuid(os.geteuid()).pw_name}" {name}\n' for name in OWNERS)
        asyncio.run(make_owners(url))
        yield url


async def can_connect(url: str) -> bool:
    try:
        async with session(url):
            return True
    except asyncpg.InvalidAuthorizationSpecificationError:
        return False


@pytest.fixture
async def owned(bare_cluster_url: str) -> AsyncIterator[str]:
    """A cluster in which there is no serving role, before and after."""
    yield bare_cluster_url
    async with session(bare_cluster_url) as connection:
        await connection.execute("DROP ROLE IF EXISTS jobledger_app")


async def smoke(url: str) -> None:
    """The ledger works, and the auditor finds it in order."""
    await check(url)
    async with serving(url) as ledger:
        await ledger.create_org(ORG)
        first, second, third = await register_chain(ledger, length=3)
        await ledger.execute(fail(first))
        assert [(await ledger.job(ORG, it)).state for it in (second, third)] == [State.DISCARDED] * 2
    assert (await audit(url))[ORG].size == 8


async def test_a_superuser_migrates(owned: str) -> None:
    async with fresh_database(owned) as url:
        await migrate(url)
        await smoke(url)


async def test_an_owner_that_may_create_roles_migrates(owned: str) -> None:
    async with fresh_database(owned, owner="creator") as url:
        url = url.replace("//jobledger@", "//creator@")
        await migrate(url)
        await smoke(url)


async def test_an_owner_that_may_not_create_roles_is_told_what_a_dba_runs(owned: str) -> None:
    """After those statements it migrates and serves. Nothing was made before."""
    async with fresh_database(owned, owner="plain") as url:
        await dba_helps(url, "CREATE ROLE jobledger_app NOLOGIN;", "GRANT jobledger_app TO plain;")


async def test_an_owner_that_may_not_take_the_serving_role_is_told_what_a_dba_runs(owned: str) -> None:
    """The role is the cluster's: another database's migration may have made it."""
    async with session(owned) as connection:
        await connection.execute("CREATE ROLE jobledger_app NOLOGIN")
    async with fresh_database(owned, owner="plain") as url:
        await dba_helps(url, "GRANT jobledger_app TO plain;")


async def dba_helps(url: str, *expected: str) -> None:
    owner_url = url.replace("//jobledger@", "//plain@")
    with pytest.raises(SchemaError, match="Let a DBA run") as refusal:
        await migrate(owner_url)
    statements = [line.strip() for line in str(refusal.value).splitlines() if line.startswith("  ")]
    assert statements == list(expected)
    async with session(url) as dba:
        for statement in statements:
            await dba.execute(statement)
        assert await dba.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0

    await migrate(owner_url)
    await smoke(owner_url)


async def test_first_statistics_leave_what_is_recorded_alone(ledger: Ledger, database_url: str) -> None:
    """A database that was in use before that migration keeps every row."""
    await register(ledger, source="cron", external_id="1")
    sql = next(it.sql for it in known_migrations() if it.name == "0003_first_statistics")
    count = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM job), (SELECT count(*) FROM content)"
    async with session(database_url) as connection:
        before = await connection.fetchrow(count)

        await connection.execute(sql)

        assert before == await connection.fetchrow(count)
        assert before is not None
        assert before[0] > 0


WITHOUT_COPIES = """
DROP TABLE storage_copy, job_copy, job_requirement;
UPDATE ledger_head SET projections = projections - 'copies' - 'job_copies';
DELETE FROM schema_migration WHERE name LIKE '%_copies';
"""


async def test_of_jobs_of_an_earlier_release_it_is_known_what_they_require(empty_url: str) -> None:
    """As a fold of all events has it."""
    await migrate(empty_url)
    async with serving(empty_url) as ledger:
        await ledger.create_org(ORG)
        full = await register(ledger)
        await register(ledger, required_job_ids=[full, full])
    async with session(empty_url) as owner:
        await owner.execute(WITHOUT_COPIES)

    [applied] = await migrate(empty_url)

    assert applied.endswith("_copies")
    async with serving(empty_url) as ledger:
        await register(ledger, required_job_ids=[full])
    await audit(empty_url)
