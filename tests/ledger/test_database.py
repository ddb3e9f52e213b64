"""What a serving connection may do (invariant 4), how it is set, and that every statement is one."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from importlib import resources
from itertools import combinations

import asyncpg
import pytest

from jobledger.ledger.errors import DatabaseIsAwayError
from jobledger.ledger.store import database as database_module
from jobledger.ledger.store.appender import Appender
from jobledger.ledger.store.database import READER_REPLY_TIMEOUT_S, Connection, Database
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.statement import parameter_count, shift_parameters, statement
from tests.cluster import session
from tests.world import projections, register_running

PACKAGES = (
    *("jobledger.ledger.store", "jobledger.ledger.work", "jobledger.projections"),
    "jobledger.projections.rebuild",
)
STATEMENTS = [
    (package, file.name.removesuffix(".sql"))
    for package in PACKAGES
    for file in sorted(resources.files(package).joinpath("sql").iterdir(), key=lambda it: it.name)
    if file.name.endswith(".sql")
]
# What stands in a larger statement only.
COMPOSED = {"append"}
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
ALLOWED = {
    "event": {"SELECT", "INSERT"},
    "content": {"SELECT", "INSERT"},
    "ledger_head": {"SELECT", "INSERT", "UPDATE"},
    "schema_migration": {"SELECT"},
    "installation": {"SELECT"},
}


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


@pytest.mark.parametrize("table", ALLOWED)
async def test_the_serving_role_has_these_privileges_and_no_others(writer: Connection, table: str) -> None:
    """On the table and on each of its columns."""
    granted = {it for it in PRIVILEGES if await writer.fetchval("SELECT has_table_privilege($1, $2)", table, it)}
    on_columns = {
        it
        for it in ("SELECT", "INSERT", "UPDATE", "REFERENCES")
        if await writer.fetchval("SELECT has_any_column_privilege($1, $2)", table, it)
    }

    assert await writer.fetchval("SELECT current_user") == "jobledger_app"
    assert granted == ALLOWED[table]
    assert on_columns == ALLOWED[table]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE event SET type = 'other'",
        "UPDATE content SET body = ''",
        "DELETE FROM event",
        "DELETE FROM content",
        "TRUNCATE event",
        "TRUNCATE content",
        "DELETE FROM ledger_head",
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
    ],
)
async def test_the_serving_role_cannot(ledger: Ledger, writer: Connection, sql: str) -> None:
    await register_running(ledger)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await writer.execute(sql)


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


@pytest.mark.parametrize(("package", "name"), STATEMENTS)
async def test_every_statement_prepares(writer: Connection, package: str, name: str) -> None:
    """Against the migrated schema, with as many parameters as its header lists."""
    sql = statement(package, name)
    comments = "\n".join(line for line in sql.splitlines() if line.startswith("--"))
    assert comments, "a statement's header says what it is for"
    parameters = parameter_count(sql) if "$" in sql else 0
    assert {f"${n}" for n in range(1, parameters + 1)} <= set(re.findall(r"\$\d+", comments))
    if name in COMPOSED:
        sql += " SELECT"

    prepared = await writer.prepare(sql)

    assert len(prepared.get_parameters()) == parameters


HEADS = frozenset({"write_head", "move_head"})
ANSWERS = frozenset({"remember_answers", "replace_answers"})


async def test_the_append_prepares_with_whatever_joins_it(writer: Connection) -> None:
    """A batch is one statement: with those of the projections, of the answers and of the effects that have rows.

    Whether two can stand beside each other is seen of any two, and of all; each part's parameters are shifted by those before it.
    """
    appender = Appender(projections())
    count = len(appender._parts)
    for size in (1, 2, 3, *range(count - 2, count + 1)):
        for names in combinations(appender._parts, size):
            if len(HEADS.intersection(names)) != 1 or set(names) >= ANSWERS:
                continue
            parts = [(name, [None] * parameter_count(appender._parts[name])) for name in names]
            sql, arguments = appender._joined(parts, "SELECT")
            await writer.prepare(sql)
            assert parameter_count(sql) == len(arguments)


def test_parameters_are_shifted_whole() -> None:
    assert shift_parameters("$1 + $10 - $2", 10) == "$11 + $20 - $12"
    assert parameter_count("$2 $11 $3") == 11


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
