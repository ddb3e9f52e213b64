"""``jobledger restore``: a backup put back, whole, where nothing is yet.

The schema is made by this release's own migrations, as far as the backup's: tables, owner, grants and functions are those of the
release, and belong to the URL's role. Into it come the rows, in one transaction.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from jobledger.ledger.evidence.standing import difference
from jobledger.ledger.evidence.store import EvidenceStore
from jobledger.ledger.evidence.witness import Witness
from jobledger.ledger.postgres.data_folder import DataFolder, synchronize
from jobledger.ledger.postgres.embedded import EmbeddedPostgres
from jobledger.ledger.postgres.postmaster import find_account
from jobledger.ledger.store.database import Connection, connect
from jobledger.ledger.store.migration import LONGEST_MIGRATION_S, migrate, must_agree
from jobledger.ledger.store.table_copy import SUFFIX, copy_in, quoted, tables
from jobledger.scripts.backup import UNBOUNDED
from jobledger.scripts.backup_files import BackupFiles
from jobledger.scripts.backup_manifest import (
    DATA,
    DATABASE,
    INSTALLATION,
    SECRET_KEY,
    SIGNING_KEY,
    BackupManifest,
    must_be_whole,
    read_manifest,
)
from jobledger.scripts.evidence_place import WITNESS
from jobledger.scripts.failure import FailedError
from jobledger.scripts.opening import ledger_at
from jobledger.scripts.progress import ProgressBar, progress_bar
from jobledger.scripts.settings import Settings

# What an operator has, or puts there, before: the witness is in no backup, and the keys in few.
MAY_BE_THERE = frozenset({WITNESS, SECRET_KEY, SIGNING_KEY})


async def restore(settings: Settings, source: Path) -> None:
    """Put back the backup *source*. Raises FailedError, SchemaError, OSError; then nothing is there that was not before."""
    manifest = read_manifest(source)
    must_agree(dict(manifest.migrations))
    data = settings.data.absolute()
    before = set() if not data.exists() else {it.name for it in data.iterdir()}
    if before - MAY_BE_THERE:
        raise FailedError(
            f"{data} is not empty: a backup is put back into a new data folder; only {WITNESS}, {SECRET_KEY} and "
            f"{SIGNING_KEY} may lie there already."
        )
    _must_be_its_keys(source, data, manifest)
    with progress_bar("restore", "B") as bar:
        bar.set_total(2 * manifest.size_bytes)
        await must_be_whole(source, manifest, bar.add)
        is_new = not data.exists()
        try:
            async with _database(settings, data, manifest) as url:
                await _put_back_files(source, data, manifest, bar)
                await _put_back_rows(url, source, manifest, bar)
                await migrate(url)
                differing = await _differing(settings, url, manifest)
        except BaseException:
            _remove(data, before, is_whole=is_new)
            raise
    sizes = ", ".join(f"{org} {it['size']}" for org, it in manifest.ledgers.items())
    print(f"{data}: put back what was there at {manifest.taken_at}. Events: {sizes}.")
    if not manifest.has_keys:
        print(f"The backup has no keys: give the servers theirs, in {data / SECRET_KEY} and {data / SIGNING_KEY}.")
    for org, what in differing.items():
        print(f"{org}: {what}. Servers will not write to it: see docs/evidence.md, and jobledger recover --org {org}.")


@asynccontextmanager
async def _database(settings: Settings, data: Path, manifest: BackupManifest) -> AsyncIterator[str]:
    """The URL of an empty database. From here on the data folder is that of the backup's installation, and of no other.

    Raises FailedError, EmbeddedPostgresError.
    """
    async with AsyncExitStack() as stack:
        if settings.database_url is not None:
            connection = await connect(settings.database_url, {}, role=None)
            try:
                if await tables(connection):
                    raise FailedError("The database of JOBLEDGER_DATABASE_URL has tables: make an empty one.")
            finally:
                await connection.close(timeout=5)
            _mark(data, manifest)
            yield settings.database_url
            return
        folder = DataFolder(data)
        await folder.lock(await find_account())
        try:
            _mark(data, manifest)
        finally:
            folder.release()
        embedded = EmbeddedPostgres(data)
        await stack.enter_async_context(embedded)
        yield embedded.url


def _mark(data: Path, manifest: BackupManifest) -> None:
    """If we die after this line, a server finds a folder whose database is another one's, and does not start."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = data / INSTALLATION
    path.write_text(f"{manifest.installation}\n", "utf-8")
    path.chmod(0o600)
    synchronize(data)


async def _put_back_files(source: Path, data: Path, manifest: BackupManifest, bar: ProgressBar) -> None:
    files = BackupFiles(data, bar.add)
    for name in manifest.files:
        below = name.removeprefix(f"{DATA}/")
        if below in (name, INSTALLATION) or (data / below).exists():
            continue
        known = files.copy(source / name, below)
        if dict(known) != dict(manifest.files[name]):
            raise FailedError(f"The backup changed while it was put back: {name}.")
    for name in manifest.files:
        if name.startswith(f"{DATA}/"):
            synchronize((data / name.removeprefix(f"{DATA}/")).parent)
    synchronize(data)


async def _put_back_rows(url: str, source: Path, manifest: BackupManifest, bar: ProgressBar) -> None:
    """Make the schema, and fill it: all rows, or none."""
    await migrate(url, only=manifest.migrations.keys())
    connection = await connect(url, UNBOUNDED, role=None, reply_timeout_s=LONGEST_MIGRATION_S)
    try:
        there = {it.name: set(it.columns) for it in await tables(connection)}
        for name, told in manifest.tables.items():
            if not set(told["columns"]) <= there.get(name, set()):
                raise FailedError(f"The backup has a table {name} that is none of Job Ledger's: it was not put back.")
        async with connection.transaction():
            await connection.execute(f"TRUNCATE {', '.join(map(quoted, there))}")
            for name, told in manifest.tables.items():
                rows = await copy_in(
                    connection, name, told["columns"], source / DATABASE / f"{name}{SUFFIX}", lambda _: None
                )
                if rows != told["rows"]:
                    raise FailedError(f"The table {name} has {rows} rows, and was written with {told['rows']}.")
                bar.add(manifest.files[f"{DATABASE}/{name}{SUFFIX}"]["size_bytes"])
            for name, (last, is_called) in manifest.sequences.items():
                await connection.execute("SELECT setval($1::text::regclass, $2, $3)", quoted(name), last, is_called)
            await _must_be_the_heads(connection, manifest)
        # What the planner knows came from the migrations.
        await connection.execute("ANALYZE")
    finally:
        await connection.close(timeout=5)


async def _must_be_the_heads(connection: Connection, manifest: BackupManifest) -> None:
    heads = await connection.fetch("SELECT org, size, last_leaf FROM ledger_head")
    found = {it["org"]: {"size": it["size"], "last_leaf": it["last_leaf"].hex()} for it in heads}
    if found != {org: dict(it) for org, it in manifest.ledgers.items()}:
        raise FailedError("The ledgers of the backup are not those of its manifest.")
    if str(await connection.fetchval("SELECT id FROM installation")) != manifest.installation:
        raise FailedError("The backup's database is another installation's than its manifest says.")


async def _differing(settings: Settings, url: str, manifest: BackupManifest) -> dict[str, str]:
    """Of each org what the witness, if it is there, has seen otherwise."""
    witness = Witness(settings.witness or settings.data.absolute() / WITNESS)
    differing = {}
    async with ledger_at(url, readers=2, writers=1) as ledger:
        store = EvidenceStore(ledger.database)
        for org in manifest.ledgers:
            seen = witness.newest(org)
            what = None if seen is None else await difference(store, ledger.recorder, org, seen)
            if what is not None:
                differing[org] = what
    return differing


def _must_be_its_keys(source: Path, data: Path, manifest: BackupManifest) -> None:
    """Raise FailedError where a key lies in the data folder that is not the backup's."""
    for name in (SECRET_KEY, SIGNING_KEY):
        if manifest.has_keys and (data / name).exists() and (data / name).read_bytes() != _kept(source, name):
            raise FailedError(f"{data / name} is not the one in the backup: take away one of them.")


def _kept(source: Path, name: str) -> bytes:
    try:
        return (source / DATA / name).read_bytes()
    except FileNotFoundError:
        raise FailedError(f"The backup is not whole: {DATA}/{name} is missing.") from None


def _remove(data: Path, before: set[str], *, is_whole: bool) -> None:
    """Leave the data folder as it was."""
    if is_whole:
        shutil.rmtree(data, ignore_errors=True)
        return
    for path in data.iterdir():
        if path.name in before:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
