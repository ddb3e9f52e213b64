"""One installation: a database, and the data folder that belongs to it and to no other."""

from __future__ import annotations

import asyncio
import fcntl
import hmac
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

import asyncpg

from jobledger.ledger.postgres.embedded import DataFolderInUseError, EmbeddedPostgres, running_url
from jobledger.ledger.store.database import Connection, connect
from jobledger.ledger.store.migration import check_schema, migrate
from jobledger.scripts.evidence_place import EvidencePlace, evidence_place
from jobledger.scripts.failure import FailedError
from jobledger.scripts.kept_file import keep, read_kept
from jobledger.scripts.settings import SECRET_KEY_BYTES, Settings, decode_secret_key

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
# For how long a command waits until the server that holds the data folder has started its Postgres.
PATIENCE_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Installation:
    """A database whose schema was checked, and its data folder. All its servers have the same secret key."""

    id: UUID
    data: Path
    url: str = field(repr=False)
    secret_key: bytes = field(repr=False)
    evidence: EvidencePlace

    def key_for(self, purpose: str) -> bytes:
        """A key of its own for each purpose, 32 bytes, so that none can be had from another."""
        return hmac.digest(self.secret_key, purpose.encode(), "sha256")


@dataclass(frozen=True, slots=True)
class OpenDatabase:
    """A database that can be connected to, and the migrations that opening it has applied."""

    url: str = field(repr=False)
    migrated: list[str]


@asynccontextmanager
async def open_installation(settings: Settings, *, may_begin: bool = False) -> AsyncIterator[Installation]:
    """The installation, for a command. See ``open_database``. Raises FailedError, SchemaError, EmbeddedPostgresError."""
    async with open_database(settings, may_begin=may_begin) as database:
        yield await check_installation(settings, database.url)


@asynccontextmanager
async def open_database(settings: Settings, *, may_begin: bool) -> AsyncIterator[OpenDatabase]:
    """The database: that of the URL; beside a running server that server's; else one started for the purpose.

    *may_begin*: whether the command may be an embedded database's first. Raises FailedError, EmbeddedPostgresError.
    """
    if settings.database_url is not None:
        yield OpenDatabase(settings.database_url, [])
        return
    if not may_begin and not (settings.data / "postgres").exists():
        raise FailedError(f"There is no ledger in {settings.data}. Make one: jobledger serve --data {settings.data}")
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        with _guest_of(settings.data) as url:
            if url is not None:
                yield OpenDatabase(url, [])
                return
        try:
            async with host_database(settings, waits_for_guests=True) as database:
                yield database
                return
        except DataFolderInUseError:
            # Its server is starting, or stopping, or its Postgres died just now and is being started again.
            if asyncio.get_running_loop().time() > deadline:
                raise
        await asyncio.sleep(POLL_S)


@asynccontextmanager
async def host_database(
    settings: Settings, *, postgres: Mapping[str, str] = NO_SETTINGS, waits_for_guests: bool = False
) -> AsyncIterator[OpenDatabase]:
    """The embedded Postgres, started here, migrated, and stopped at the end.

    *waits_for_guests*: whether commands that came to use it meanwhile may finish first. Raises DataFolderInUseError.
    """
    embedded = EmbeddedPostgres(settings.data, settings=postgres)
    await embedded.start()
    try:
        yield OpenDatabase(embedded.url, await migrate(embedded.url))
    finally:
        with _guest_book(settings.data) as book:
            try:
                if waits_for_guests:
                    await _wait_for_guests(book)
            finally:
                await embedded.stop()


async def check_installation(settings: Settings, url: str) -> Installation:
    """Check the schema, and that database and data folder belong together. Raises FailedError, SchemaError."""
    connection = await _connect(url, is_ours=settings.database_url is None)
    try:
        installation = await check_schema(connection)
        data = settings.data
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = read_kept(data / "installation")
        if kept not in (None, str(installation)):
            raise FailedError(
                f"The data folder {data} belongs to installation {kept}, and the database is installation {installation}: "
                "choose this database's data folder (--data or JOBLEDGER_DATA), or the other database."
            )
        secret_key = await _secret_key(settings, connection, is_new=kept is None)
    finally:
        await connection.close(timeout=5)
    # Last: a folder that has it has had its key compared with the database's.
    keep(data / "installation", str(installation))
    return Installation(installation, data, url, secret_key, evidence_place(settings))


async def _secret_key(settings: Settings, connection: Connection, *, is_new: bool) -> bytes:
    """The key that all servers of the installation have, made at the first start. Raises FailedError for another.

    Which that is, is known in the database, and in each data folder. Where a folder that *is_new* not has no mark of it, it was
    removed because the key was changed on purpose.
    """
    secret_key = settings.secret_key
    if secret_key is None:
        path = settings.data / "secret-key"
        secret_key = decode_secret_key(keep(path, os.urandom(SECRET_KEY_BYTES).hex()), str(path))
    mark = hmac.digest(secret_key, b"mark", "sha256").hex()
    path = settings.data / "secret-key-mark"
    is_changed = not is_new and read_kept(path) is None
    await connection.execute(
        "UPDATE installation SET secret_key_mark = $1 WHERE secret_key_mark IS NULL OR $2", mark, is_changed
    )
    known = await connection.fetchval("SELECT secret_key_mark FROM installation")
    if known != mark and is_new:
        raise FailedError(
            "The secret key is not the one that the other servers of this database have: give this one the same, by "
            "JOBLEDGER_SECRET_KEY, or by their data folder."
        )
    if known != mark or keep(path, mark) != mark:
        raise FailedError(
            f"The secret key is not the one that the servers of {settings.data} have had until now. Give it back to them; "
            f"or, if it was changed on purpose, remove {settings.data / 'secret-key-mark'} while none of them runs."
        )
    return secret_key


async def migrate_installation(settings: Settings) -> list[str]:
    """Bring the database to this release's schema; the names of what was applied. Two at once apply each once."""
    async with open_database(settings, may_begin=True) as database:
        connection = await _connect(database.url, is_ours=settings.database_url is None)
        await connection.close(timeout=5)
        return database.migrated + await migrate(database.url)


async def _connect(url: str, *, is_ours: bool) -> Connection:
    try:
        return await connect(url, {}, role=None)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        if is_ours:
            raise
        # A URL that cannot be parsed is quoted in part by some of these, and it may hold a password.
        told = isinstance(error, (OSError, asyncpg.PostgresError)) and str(error)
        why = f": {error}" if told else f" ({type(error).__name__})"
        raise FailedError(f"The database of JOBLEDGER_DATABASE_URL cannot be reached{why}.") from error


@contextmanager
def _guest_of(data: Path) -> Iterator[str | None]:
    """The URL of the Postgres that another process runs in *data*, None if none does.

    While it is used a shared lock on ``guests`` asks a host that is itself but a command not to stop it.
    """
    if not (data / "lock").exists():
        yield None
        return
    with _guest_book(data) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            # The host is about to stop it.
            yield None
        else:
            yield running_url(data)


async def _wait_for_guests(book: int) -> None:
    """Wait until no other command uses our Postgres. From then on, until the book is closed, none comes to."""
    while True:
        try:
            fcntl.flock(book, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(POLL_S)
        else:
            return


@contextmanager
def _guest_book(data: Path) -> Iterator[int]:
    file = os.open(data / "guests", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)
