"""The embedded Postgres: our own, in the data folder, for a server that was given no database URL."""

import asyncio
import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from types import MappingProxyType, TracebackType
from typing import Self

from jobledger.ledger.postgres.data_folder import (
    SOCKET_NAME,
    DataFolder,
    DataFolderInUseError,
    give,
    running_url,
    synchronize,
)
from jobledger.ledger.postgres.postmaster import (
    OWNER,
    POLL_S,
    Account,
    EmbeddedPostgresError,
    PidFile,
    binaries_folder,
    end_process,
    find_account,
    find_launcher,
    output_of,
    start_process,
    stop_leftover,
)

__all__ = ["DataFolderInUseError", "EmbeddedPostgres", "EmbeddedPostgresError", "running_url"]

LOG = logging.getLogger(__name__)

SURVIVORS_PATIENCE_S = 45.0  # sessions of a killed postmaster end within moments, a busy one with its statement
LEFTOVERS_PATIENCE_S = 10.0
LONGEST_PAUSE_S = 2.0
RECOVERY_NOTICE_S = 10.0

CREATE_DATABASE = f"CREATE DATABASE {OWNER};\n".encode()
MEBIBYTE = 1024 * 1024
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "max_connections": "100",
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "max_wal_size": "4GB",
        "wal_compression": "on",
        "checkpoint_timeout": "15min",
        "huge_pages": "try",
        "jit": "off",  # the bundled build has none
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "on",
        "log_filename": "postgres-%a.log",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_file_mode": "0600",
        # Rows and parameters hold what a purge must be able to remove: none of them goes into the log. Terse also
        # leaves out DETAIL and CONTEXT, which quote keys, rows, and the statement a crashed session was running.
        "log_statement": "none",
        "log_min_error_statement": "panic",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_error_verbosity": "terse",
    }
)


class EmbeddedPostgres:
    """The Postgres that lives in a data folder: started, watched, started again when it dies, stopped with us.

    Serves the role and the database `jobledger`, on a Unix socket only, to the user of this process and to root.
    *settings* go over those chosen here, but for where it listens and to whom. Raises EmbeddedPostgresError at once
    for a path that a socket cannot have.
    """

    def __init__(
        self, data: Path, *, binaries: Path | None = None, settings: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._folder = DataFolder(data)
        self._binaries = (binaries or binaries_folder()).absolute()
        self._settings = settings
        self._launcher: list[str] = []
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The URL for asyncpg, psycopg and psql."""
        return self._folder.url

    @property
    def pid(self) -> int | None:
        """The process id of the postmaster, None while there is none."""
        return self._process.pid if self._process and self._process.returncode is None else None

    async def start(self) -> None:
        """Lock the data folder, make the database if there is none, and return when it accepts connections.

        Waits for crash recovery however long it takes. Raises DataFolderInUseError, EmbeddedPostgresError.
        """
        account = await find_account()
        await self._folder.lock(account)
        try:
            self._folder.make_folders(account)
            self._launcher = await find_launcher(account, self._binaries, self._folder.socket)
            leftover = await stop_leftover(self._folder.cluster, self._folder.socket / SOCKET_NAME, account)
            if leftover is not None:
                LOG.warning("Stopped the Postgres (process %d) of a server that was killed.", leftover)
            await self._make_cluster(account)
            self._process = await self._launch()
        except BaseException:
            self._folder.release()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="embedded Postgres")

    async def stop(self) -> None:
        """Shut Postgres down, after 30 s by force, and release the data folder."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        if self._process is not None:
            await end_process(self._process)
            self._process = None
        self._folder.release()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def _make_cluster(self, account: Account) -> None:
        cluster = self._folder.cluster
        await self._remove_unfinished(cluster.parent)
        if cluster.exists():
            return
        LOG.info("Making a database in %s.", cluster)
        new = Path(tempfile.mkdtemp(prefix="cluster.new-", dir=cluster.parent))
        give(new, account)
        initdb, postgres = self._binaries / "initdb", self._binaries / "postgres"
        options = (f"--username={OWNER}", "--auth=peer", "--encoding=UTF8", "--locale=C", "--data-checksums")
        steps: list[tuple[list[str | Path], bytes]] = [
            ([initdb, "-D", new, *options, "--no-sync"], b""),
            ([postgres, "--single", "-D", new, "-c", "exit_on_error=on", "template1"], CREATE_DATABASE),
            ([initdb, "-D", new, "--sync-only"], b""),
        ]
        for command, stdin in steps:
            code, output = await output_of([*self._launcher, *command], stdin)
            if code:
                raise EmbeddedPostgresError(f"The database cannot be made in {cluster}: {_reason(output)}")
        # Killed before this line, the next start begins anew; after it, the cluster is complete and on disk.
        os.rename(new, cluster)
        synchronize(cluster.parent)

    async def _remove_unfinished(self, parent: Path) -> None:
        """Remove what starts left that were killed while they made a database; what they began may be writing there still."""
        give_up_at = monotonic() + LEFTOVERS_PATIENCE_S
        while unfinished := list(parent.glob("cluster.new-*")):  # noqa: ASYNC240 - few
            for folder in unfinished:
                shutil.rmtree(folder, ignore_errors=True)
            if monotonic() > give_up_at:
                return
            await asyncio.sleep(0.05)

    async def _launch(self) -> asyncio.subprocess.Process:
        """Start the postmaster and wait until it accepts connections."""
        folder, loop = self._folder, asyncio.get_running_loop()
        settings = {
            **SETTINGS,
            "shared_buffers": f"{_shared_buffers_size() // MEBIBYTE}MB",
            "log_directory": str(folder.log),
            **self._settings,
            "listen_addresses": "",
            "port": "5432",  # only names the socket
            "unix_socket_permissions": "0700",
            "unix_socket_directories": '"{}"'.format(str(folder.socket).replace('"', '""')),
            "hba_file": str(folder.rules),
            "ident_file": str(folder.identities),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        command: list[str | Path] = [*self._launcher, self._binaries / "postgres", "-D", folder.cluster, *options]
        deadline = loop.time() + SURVIVORS_PATIENCE_S
        while True:
            process = await start_process(command, folder.startup_log)
            if await self._is_ready(process):
                return process
            output = folder.startup_log.read_text(errors="replace")
            # Sessions of a killed postmaster may still use its shared memory.
            if "still in use" not in output or loop.time() > deadline:
                raise EmbeddedPostgresError(f"Postgres did not start; its log is in {folder.log}: {_reason(output)}")
            await asyncio.sleep(0.1)

    async def _is_ready(self, process: asyncio.subprocess.Process) -> bool:
        """Wait until *process* accepts connections; False when it ended instead."""
        loop = asyncio.get_running_loop()
        notice = loop.time() + RECOVERY_NOTICE_S
        try:
            while process.returncode is None:
                if PidFile.read(self._folder.cluster) == PidFile(process.pid, "ready"):
                    return True
                if loop.time() > notice:
                    notice = loop.time() + RECOVERY_NOTICE_S
                    LOG.info("Postgres is recovering; waiting for it.")
                await asyncio.sleep(POLL_S)
        except BaseException:
            await end_process(process)
            raise
        return False

    async def _supervise(self) -> None:
        """Start Postgres again whenever it ends, with a pause that doubles while it cannot be started."""
        while True:
            assert self._process is not None
            LOG.error("Postgres ended (exit code %d); starting it again.", await self._process.wait())
            pause_s = 0.05
            while True:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                try:
                    self._process = await self._launch()
                except (EmbeddedPostgresError, OSError) as error:
                    LOG.error("%s", error)
                else:
                    break


def _reason(output: str) -> str:
    """Return the line of *output* that says why: the last one that Postgres calls fatal, else the last."""
    lines = output.strip().splitlines() or ["it said nothing"]
    return next((line for line in reversed(lines) if "FATAL" in line or "error:" in line), lines[-1])


def _shared_buffers_size() -> int:
    """Return an eighth of the memory that we may use, from 128 MiB to 1 GiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such group, or its limit is the word max
        memory = min(memory, int(CGROUP_LIMIT.read_text()))
    return max(128 * MEBIBYTE, min(memory // 8, 1024 * MEBIBYTE))
