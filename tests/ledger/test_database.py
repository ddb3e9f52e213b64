"""What a serving connection may do (invariant 4), and how it is set."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable
from typing import Any

import asyncpg
import pytest

from jobledger.ledger.errors import DatabaseIsAwayError
from jobledger.ledger.store import database as database_module
from jobledger.ledger.store.database import READER_REPLY_TIMEOUT_S, Connection, Database
from jobledger.ledger.store.ledger import Ledger
from tests.cluster import session
from tests.world import register_running

PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
ALLOWED = {
    "event": {"SELECT", "INSERT"},
    "content": {"SELECT", "INSERT"},
    "ledger_head": {"SELECT", "INSERT", "UPDATE"},
    "tile": {"SELECT", "INSERT"},
    "checkpoint": {"SELECT", "INSERT"},
    "schema_migration": {"SELECT"},
    "installation": {"SELECT"},
}

FORBIDDEN = [
    "UPDATE event SET type = 'other'",
    "UPDATE content SET body = ''",
    "DELETE FROM event",
    "DELETE FROM content",
    "TRUNCATE event",
    "TRUNCATE content",
    "DELETE FROM ledger_head",
    "DELETE FROM tile",
    "UPDATE checkpoint SET root = ''",
    "DELETE FROM checkpoint",
    "INSERT INTO schema_migration (name, checksum) VALUES ('', '')",
    "DELETE FROM schema_migration",
    "UPDATE installation SET id = gen_random_uuid()",
    "INSERT INTO installation (id) VALUES (gen_random_uuid())",
    "DROP TABLE event",
    "ALTER TABLE content ADD COLUMN other text",
    "CREATE TRIGGER other BEFORE INSERT ON event EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE TABLE other (id int)",
    "CREATE RULE other AS ON INSERT TO event DO INSTEAD NOTHING",
    "COPY event TO PROGRAM 'true'",
    "CREATE ROLE other",
]


@pytest.fixture
def unaudited_url(own_url: str) -> str:
    """A database of the test's own: what may be changed in it is tried."""
    return own_url


@pytest.fixture
async def writer(database: Database) -> AsyncIterator[Connection]:
    """A serving connection, as writers have it."""
    connection = await database.take_writer()
    yield connection
    database.drop_writer(connection)


async def test_the_serving_role_has_these_privileges_and_no_others(writer: Connection) -> None:
    """On the tables and on each of their columns."""

    async def having(asked: str, privileges: Iterable[str]) -> dict[str, set[str]]:
        return {
            table: {it for it in privileges if await writer.fetchval(f"SELECT {asked}($1, $2)", table, it)}
            for table in ALLOWED
        }

    granted = await having("has_table_privilege", PRIVILEGES)
    on_columns = await having("has_any_column_privilege", ("SELECT", "INSERT", "UPDATE", "REFERENCES"))

    assert await writer.fetchval("SELECT current_user") == "jobledger_app"
    assert granted == ALLOWED
    assert on_columns == ALLOWED


async def is_refused(writer: Connection, sql: str) -> bool:
    """Whether the role lacks the privilege."""
    try:
        await writer.execute(sql)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def test_the_serving_role_cannot_change_what_was_recorded(ledger: Ledger, writer: Connection) -> None:
    """Nor the schema, nor who may do what."""
    await register_running(ledger)

    assert [sql for sql in FORBIDDEN if not await is_refused(writer, sql)] == []


async def test_the_serving_role_owns_nothing_and_is_nobody_else(writer: Connection) -> None:
    role = await writer.fetchrow("SELECT * FROM pg_roles WHERE rolname = 'jobledger_app'")
    assert role is not None
    powers = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolcanlogin", "rolbypassrls", "rolreplication")
    assert not any(role[it] for it in powers)
    owned = "SELECT count(*) FROM pg_class WHERE relowner = $1"
    assert await writer.fetchval(owned, role["oid"]) == 0
    assert await writer.fetchval("SELECT count(*) FROM pg_auth_members WHERE member = $1", role["oid"]) == 0


async def test_no_table_has_a_trigger_a_rule_or_a_foreign_key(writer: Connection) -> None:
    """And org comes first in the key of each that is an org's: so the tables can be distributed."""
    assert await writer.fetchval("SELECT count(*) FROM pg_trigger") == 0
    assert await writer.fetchval("SELECT count(*) FROM pg_constraint WHERE contype = 'f'") == 0
    indexes = await writer.fetch(
        """SELECT t.relname, i.relname, a.attname FROM pg_index x
             JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
             JOIN pg_namespace n ON n.oid = t.relnamespace
             JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
            WHERE n.nspname = 'public' AND x.indisunique
              AND EXISTS (SELECT 1 FROM pg_attribute o WHERE o.attrelid = t.oid AND o.attname = 'org')"""
    )
    assert {it["attname"] for it in indexes} == {"org"}


async def test_every_constraint_is_named(writer: Connection) -> None:
    """By what it says, not by Postgres: errors are told apart by these names."""
    records = await writer.fetch(
        """SELECT c.conname, t.relname, c.contype::text FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
            JOIN pg_namespace n ON n.oid = t.relnamespace WHERE n.nspname = 'public' AND c.contype <> 'n'"""
    )
    for record in records:
        generated = {f"{record['relname']}_check", f"{record['relname']}_key"}
        assert record["conname"] not in generated
        assert not record["conname"].endswith(("_check", "_key"))


async def test_a_writers_session_gives_up_before_it_stops_others(writer: Connection) -> None:
    settings = ("lock_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "synchronous_commit")

    assert [await writer.fetchval(f"SHOW {it}") for it in settings] == ["5s", "10s", "30s", "on"]


async def test_a_reader_only_reads(database: Database) -> None:
    """And holds no snapshot for long."""
    async with database.reader() as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "5s"
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "5s"
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await connection.execute("INSERT INTO lease VALUES ('x', gen_random_uuid(), now(), now())")


async def test_a_statement_that_takes_too_long_is_an_absent_database(database: Database) -> None:
    async def sleep() -> None:
        async with database.reader() as connection:
            await connection.execute("SET statement_timeout = '20ms'")
            await connection.execute("SELECT pg_sleep(5)")

    with pytest.raises(DatabaseIsAwayError):
        await sleep()


async def test_who_is_cancelled_before_its_statement_leaves_no_lock(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncpg sends no Sync between a statement's preparation and its execution."""
    prepare = asyncpg.Connection._get_statement

    async def prepared(*arguments: Any, **keywords: Any) -> Any:
        await prepare(*arguments, **keywords)
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncpg.Connection, "_get_statement", prepared)
    with pytest.raises(asyncio.CancelledError):
        await database.fetch("SELECT count(*) FROM event")
    monkeypatch.undo()

    async with session(database_url) as connection, asyncio.timeout(5):
        await connection.execute("BEGIN; LOCK TABLE event; ROLLBACK")


async def test_a_database_that_does_not_answer_is_told_as_such(database_url: str) -> None:
    absent = database_url.replace("port=5432", "port=1")
    with pytest.raises(DatabaseIsAwayError):
        await Database(absent).open()
    with pytest.raises(DatabaseIsAwayError):
        await Database(absent).fetch("SELECT 1")


async def test_readers_recover_when_their_connections_were_cut(database: Database, database_url: str) -> None:
    async with session(database_url) as owner:
        await owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    async with asyncio.timeout(10):
        while True:
            try:
                assert (await database.fetch("SELECT 1"))[0][0] == 1
                return
            except DatabaseIsAwayError:
                await asyncio.sleep(0.01)


async def test_a_postgres_that_is_silent_is_told_within_seconds(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is waited for beyond the reply: neither that it cancels, nor that it closes."""
    assert READER_REPLY_TIMEOUT_S < 8
    monkeypatch.setattr(database_module, "READER_REPLY_TIMEOUT_S", 0.5)
    impatient = Database(database.url, readers=1)
    await impatient.open()
    try:
        [[backend]] = await impatient.fetch("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)
        try:
            async with asyncio.timeout(4):
                with pytest.raises(DatabaseIsAwayError):
                    await impatient.fetch("SELECT 1")
                assert (await impatient.fetch("SELECT 1"))[0][0] == 1
        finally:
            os.kill(backend, signal.SIGCONT)
    finally:
        await impatient.close()
