"""Bringing a database to the schema that this release knows: numbered files, forward only, each once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from importlib import resources
from uuid import UUID, uuid4

import asyncpg

from jobledger.ledger.store.database import SERVING_ROLE, Connection, connect

# Any constant will do, as long as every release has the same: two migrations at once wait for each other by it.
ADVISORY_LOCK = 5_320_861_907_225_941_617
OLDEST_POSTGRES = 150000
LONGEST_MIGRATION_S = 7 * 24 * 3600.0


class SchemaError(Exception):
    """The database's schema is not one that this release can serve; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of statements."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) of the statements."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def known_migrations() -> list[Migration]:
    """This release's migrations, in order."""
    folder = resources.files("jobledger.ledger.store").joinpath("migrations")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return [Migration(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in files]


async def migrate(url: str, *, only: Collection[str] | None = None) -> list[str]:
    """Apply what is missing, as the URL's role, each migration a transaction; their names. Raises SchemaError.

    *only* these, where it is given: the schema of an earlier release.

    Two at once apply each once: they wait for each other by an advisory lock.
    """
    # A migration takes as long as it takes, and so does waiting for another's.
    connection = await connect(url, {"statement_timeout": "0"}, role=None, reply_timeout_s=LONGEST_MIGRATION_S)
    try:
        if connection.get_server_version().major * 10000 < OLDEST_POSTGRES:
            raise SchemaError(f"Postgres 15 or later is needed; this is {connection.get_server_version().major}.")
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_LOCK)
        await _ensure_serving_role(connection)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration ("
            'name text COLLATE "C" CONSTRAINT schema_migration_pkey PRIMARY KEY,'
            " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        )
        applied = await _applied(connection)
        must_agree(applied)
        missing = [migration for migration in known_migrations() if migration.name not in applied]
        missing = [migration for migration in missing if only is None or migration.name in only]
        for migration in missing:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO schema_migration (name, checksum) VALUES ($1, $2)", migration.name, migration.checksum
                )
        await connection.execute("INSERT INTO installation (id) VALUES ($1) ON CONFLICT DO NOTHING", uuid4())
        return [migration.name for migration in missing]
    finally:
        await connection.close(timeout=5)


async def check_schema(connection: Connection) -> UUID:
    """The installation's id, if the schema is exactly this release's and commits are durable. Raises SchemaError."""
    try:
        applied = await _applied(connection)
    except asyncpg.UndefinedTableError:
        raise SchemaError("The database is empty. Run: jobledger db migrate") from None
    must_agree(applied)
    if missing := [migration.name for migration in known_migrations() if migration.name not in applied]:
        raise SchemaError(f"The database lacks {', '.join(missing)}. Run: jobledger db migrate")
    if await connection.fetchval("SHOW fsync") != "on":
        raise SchemaError("Postgres runs with fsync off: what is acknowledged could be lost. Set fsync = on.")
    installation: UUID = await connection.fetchval("SELECT id FROM installation")
    return installation


async def _applied(connection: Connection) -> dict[str, str]:
    records = await connection.fetch("SELECT name, checksum FROM schema_migration")
    return {record["name"]: record["checksum"] for record in records}


def must_agree(applied: dict[str, str]) -> None:
    """Raise SchemaError unless migrations, by name and checksum, are all this release's."""
    known = {migration.name: migration.checksum for migration in known_migrations()}
    if unknown := sorted(applied.keys() - known.keys()):
        raise SchemaError(f"The database is of a later release: it has {', '.join(unknown)}. Update this server.")
    if changed := sorted(name for name, checksum in applied.items() if known[name] != checksum):
        raise SchemaError(f"The database was made by another {', '.join(changed)} than this release has.")


async def _ensure_serving_role(connection: Connection) -> None:
    """Make the role that serving connections take, and let the owner take it."""
    try:
        async with connection.transaction():
            if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", SERVING_ROLE):
                await connection.execute(f"CREATE ROLE {SERVING_ROLE} NOLOGIN")
    except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
        # Another database of this cluster was being migrated just now: roles belong to the cluster.
        pass
    except asyncpg.InsufficientPrivilegeError as error:
        raise await _for_a_dba(connection, "created", f"  CREATE ROLE {SERVING_ROLE} NOLOGIN;\n") from error
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL ROLE {SERVING_ROLE}")
    except asyncpg.InsufficientPrivilegeError:
        try:
            await connection.execute(f"GRANT {SERVING_ROLE} TO CURRENT_USER")
        except asyncpg.InsufficientPrivilegeError as error:
            raise await _for_a_dba(connection, "taken", "") from error


async def _for_a_dba(connection: Connection, what: str, first: str) -> SchemaError:
    owner = await connection.fetchval("SELECT quote_ident(current_user)")
    return SchemaError(
        f"The role {SERVING_ROLE} cannot be {what} by this user. Let a DBA run:\n"
        f"{first}  GRANT {SERVING_ROLE} TO {owner};\nthen run: jobledger db migrate"
    )
