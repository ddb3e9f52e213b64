"""``jobledger backup``: one consistent copy of an installation, also while servers write."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jobledger.ledger.postgres.data_folder import synchronize
from jobledger.ledger.store.database import Connection, connect
from jobledger.ledger.store.migration import ADVISORY_LOCK, LONGEST_MIGRATION_S
from jobledger.ledger.store.table_copy import SUFFIX, Table, copy_out, quoted, sequences, tables
from jobledger.ledger.work.archiving.files import FOLDER as ARCHIVES
from jobledger.scripts.backup_files import ArchiveCopies, BackupFiles
from jobledger.scripts.backup_manifest import (
    ADMIN_PASSWORD,
    DATA,
    DATABASE,
    INSTALLATION,
    MANIFEST,
    SECRET_KEY,
    SECRET_KEY_MARK,
    SIGNING_KEY,
    BackupManifest,
)
from jobledger.scripts.failure import FailedError
from jobledger.scripts.installation import Installation, open_installation
from jobledger.scripts.progress import progress_bar
from jobledger.scripts.settings import Settings

KNOWN_HOSTS = "known_hosts"
# Where an archive is written and deleted while it is being copied, all begins anew; so many times.
ATTEMPTS = 3
# No bound but those of the disk: it takes as long as it takes.
UNBOUNDED = {"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}


async def backup(settings: Settings, target: Path, shown: Mapping[str, str], *, with_keys: bool) -> int:
    """Make the folder *target*, whole or not at all; 1 where files of archives are missing. *shown*: settings that are no secret.

    *target* is absolute. Raises FailedError, OSError.
    """
    if target.exists():  # noqa: ASYNC240 - once, before anything
        raise FailedError(f"{target} is there already: a backup is made in a folder of its own.")
    async with open_installation(settings) as installation:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part"))
        try:
            manifest = await _write(installation, unfinished, shown, with_keys=with_keys)
            # If we die before this line there is no backup of that name.
            os.rename(unfinished, target)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        synchronize(target.parent)
    for name in manifest.missing:
        print(f"jobledger: {name} is missing, or is not what was written: it is not in the backup.", file=sys.stderr)
    sizes = ", ".join(f"{org} {it['size']}" for org, it in manifest.ledgers.items())
    keys = "with its keys" if with_keys else "without its keys: keep those apart"
    print(f"{target}: {len(manifest.files)} files, {manifest.size_bytes} bytes, {keys}. Events: {sizes}.")
    return 1 if manifest.missing else 0


async def _write(
    installation: Installation, folder: Path, shown: Mapping[str, str], *, with_keys: bool
) -> BackupManifest:
    connection = await connect(installation.url, UNBOUNDED, role=None, reply_timeout_s=LONGEST_MIGRATION_S)
    try:
        # No migration meanwhile: it would change what is being read.
        await connection.execute("SELECT pg_advisory_lock_shared($1)", ADVISORY_LOCK)
        with progress_bar("backup", "B") as bar:
            files = BackupFiles(folder, bar.add)
            archives = ArchiveCopies(installation.data, files, f"{DATA}/{ARCHIVES}")
            total = sum(it.size_bytes for it in await tables(connection))
            bar.set_total(total + _size_of(installation.data / ARCHIVES))
            for attempt in range(ATTEMPTS):
                # Most of it before the moment that counts: while that lasts the database keeps what was for it.
                await archives.copy(connection)
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    found = await tables(connection)
                    names = ", ".join(quoted(it.name) for it in found)
                    await connection.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
                    missing = await archives.copy(connection)
                    if missing and attempt < ATTEMPTS - 1 and await _are_gone(installation.url, archives, missing):
                        continue
                    told = await _write_database(connection, files, found)
                break
        _write_data(installation, files, with_keys=with_keys)
        manifest = BackupManifest(
            release=version("jobledger"),
            installation=str(installation.id),
            has_keys=with_keys,
            settings=shown,
            files=files.known,
            missing=missing,
            **told,
        )
        (folder / MANIFEST).touch(0o600)
        with (folder / MANIFEST).open("wb") as file:
            file.write(manifest.encoded)
            file.flush()
            os.fsync(file.fileno())
        files.synchronize()
        return manifest
    finally:
        await connection.close(timeout=5)


async def _are_gone(url: str, archives: ArchiveCopies, missing: list[str]) -> bool:
    """Whether some of what is missing need not be there any more: its archive was deleted just now."""
    now = await connect(url, UNBOUNDED, role=None)
    try:
        return not set(missing) <= await archives.wanted(now)
    finally:
        await now.close(timeout=5)


async def _write_database(connection: Connection, files: BackupFiles, found: list[Table]) -> dict[str, Any]:
    """The tables of the connection's moment, and what is to be known of that."""
    taken_at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    heads = await connection.fetch("SELECT org, size, last_leaf FROM ledger_head ORDER BY org")
    migrations = await connection.fetch("SELECT name, checksum FROM schema_migration ORDER BY name")
    told: dict[str, dict[str, Any]] = {}
    for table in found:
        name = f"{DATABASE}/{table.name}{SUFFIX}"
        known = await copy_out(connection, table, files.make_folder_of(name), files.progress)
        told[table.name] = {"columns": list(table.columns), "rows": known.pop("rows")}
        files.known[name] = known
    return {
        "taken_at": taken_at,
        "postgres": ".".join(map(str, connection.get_server_version()[:2])),
        "ledgers": {it["org"]: {"size": it["size"], "last_leaf": it["last_leaf"].hex()} for it in heads},
        "migrations": {it["name"]: it["checksum"] for it in migrations},
        "tables": told,
        "sequences": await sequences(connection),
    }


def _write_data(installation: Installation, files: BackupFiles, *, with_keys: bool) -> None:
    data = installation.data
    for name in (INSTALLATION, SECRET_KEY_MARK):
        files.copy(data / name, f"{DATA}/{name}")
    known_hosts = data / KNOWN_HOSTS
    for path in sorted(known_hosts.iterdir()) if known_hosts.is_dir() else [known_hosts]:
        if path.is_file() and not path.name.startswith("."):
            files.copy(path, f"{DATA}/{path.relative_to(data)}")
    if with_keys:
        files.write(f"{installation.secret_key.hex()}\n".encode(), f"{DATA}/{SECRET_KEY}")
        given = installation.evidence.given
        lines = given.replace(",", " ").split() if given else installation.evidence.key_file.read_text("utf-8").split()
        files.write("".join(f"{it}\n" for it in lines).encode(), f"{DATA}/{SIGNING_KEY}")
        if (data / ADMIN_PASSWORD).exists():
            files.copy(data / ADMIN_PASSWORD, f"{DATA}/{ADMIN_PASSWORD}")


def _size_of(folder: Path) -> int:
    total = 0
    for path, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except FileNotFoundError:
                continue
    return total
