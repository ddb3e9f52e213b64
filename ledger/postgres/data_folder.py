"""The data folder: what of it belongs to whom, its lock, and where its Postgres is reached.

<data>/                    the server's, 0700; as root, root:jobledger 0710
├── lock                   flock held while a server runs; its process id
└── postgres/              the server's likewise, with what it writes for Postgres to read:
    ├── rules, identities  who may connect
    ├── startup.log        what Postgres said before it opened its log
    ├── cluster/           Postgres' own, 0700: the database
    ├── socket/            Postgres' own, 0700: the only place where it listens
    └── log/               Postgres' own, 0700: a file for each day of the week
"""

import asyncio
import fcntl
import os
import pwd
import socket
import sys
from pathlib import Path
from urllib.parse import quote

from jobledger.ledger.postgres.postmaster import OWNER, POLL_S, Account, EmbeddedPostgresError, PidFile

SOCKET_NAME = ".s.PGSQL.5432"
LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103  # bytes: sun_path without its final zero
LOCK_PATIENCE_S = 0.5  # running_url holds the lock for an instant


class DataFolderInUseError(EmbeddedPostgresError):
    """Another process holds the lock of the data folder."""

    def __init__(self, path: Path, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"The data folder {path} is in use by {holder}: stop it, or choose another data folder.")
        self.pid = pid


class DataFolder:
    """A data folder and its Postgres' folders. Raises EmbeddedPostgresError for a path that a socket cannot have."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()  # not resolved: a short symlink is the way out of a path that is too long
        self.postgres = self.path / "postgres"
        self.cluster = self.path.resolve() / "postgres" / "cluster"
        self.socket = self.postgres / "socket"
        self.log = self.postgres / "log"
        self.rules = self.postgres / "rules"
        self.identities = self.postgres / "identities"
        self.startup_log = self.postgres / "startup.log"
        self._lock: int | None = None
        size, room = len(os.fsencode(self.path)), LONGEST_SOCKET_PATH - len(f"/postgres/socket/{SOCKET_NAME}")
        if size > room:
            raise EmbeddedPostgresError(
                f"The path of the data folder may be {room} bytes long, and {self.path} is {size}, because the path of "
                f"a Unix socket below it is limited to {LONGEST_SOCKET_PATH}: choose a shorter one, or a short symlink."
            )
        if "," in str(self.path):
            raise EmbeddedPostgresError(
                f"The path of the data folder {self.path} has a comma, which separates hosts in a URL: choose another."
            )

    @property
    def url(self) -> str:
        """The URL of the Postgres in it. The port names the socket, whatever PGPORT says; nothing listens on it."""
        return f"postgresql://{OWNER}@/{OWNER}?host={quote(str(self.socket), safe='/')}&port=5432"

    async def lock(self, account: Account) -> None:
        """Make the folder if it is absent and take its lock. Raises DataFolderInUseError."""
        # As root, Postgres' user must pass through to its own folders. Its group may, and nobody else; it can neither
        # list the data folder nor read its files. A folder that is there already keeps the permissions it has.
        if not self.path.exists():
            self.path.mkdir(mode=0o700, parents=True)
            _let_pass(self.path, account)
        try:
            file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError:
            raise EmbeddedPostgresError(
                f"The data folder {self.path} is not yours: start the server as its owner, or choose another."
            ) from None
        try:
            await self._wait_for(file)
        except BaseException:
            os.close(file)
            raise
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._lock = file

    async def _wait_for(self, file: int) -> None:
        deadline = asyncio.get_running_loop().time() + LOCK_PATIENCE_S
        while not _is_locked(file):
            if asyncio.get_running_loop().time() > deadline:
                holder = os.pread(file, 20, 0).strip()
                raise DataFolderInUseError(self.path, int(holder) if holder.isdigit() else None)
            await asyncio.sleep(POLL_S)

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def make_folders(self, account: Account) -> None:
        """Make the folders around the cluster and say who may connect. Raises EmbeddedPostgresError: not the owner."""
        self.postgres.mkdir(mode=0o700, exist_ok=True)
        _let_pass(self.postgres, account)
        if self.cluster.exists() and (uid := self.cluster.stat().st_uid) != account.uid:
            raise EmbeddedPostgresError(
                f"{self.cluster} belongs to user id {uid}, but Postgres would run as {account.name}: start the server "
                f"as that user, or first chown -R {account.name} the folders cluster, socket and log beside it."
            )
        for folder in (self.socket, self.log):
            folder.mkdir(mode=0o700, exist_ok=True)
            give(folder, account)
        # Peer: the kernel says who connects. Others cannot reach the socket anyway; this does not depend on it. The
        # folder stays ours so that Postgres' user cannot put a link where we, maybe as root, write.
        _write(self.rules, "local all all peer map=server\n")
        names = {account.name, _name_of(os.geteuid()), _name_of(0)}
        _write(self.identities, "".join(f'server "{name}" {OWNER}\n' for name in sorted(names)))


def running_url(data: Path) -> str | None:
    """Return the URL of the Postgres of the server that runs on *data*, None when none runs or accepts."""
    folder = DataFolder(data)
    try:
        lock = os.open(folder.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        found = PidFile.read(folder.cluster)
        return folder.url if found and found.status == "ready" and _is_listening(folder.socket) else None
    finally:
        os.close(lock)
    return None


def give(folder: Path, account: Account) -> None:
    """Make *folder* the account's alone."""
    folder.chmod(0o700)
    if not account.is_own:
        os.chown(folder, account.uid, account.gid)


def synchronize(folder: Path) -> None:
    """Bring the names in *folder* to disk."""
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _let_pass(folder: Path, account: Account) -> None:
    if not account.is_own:
        os.chown(folder, -1, account.gid)
    folder.chmod(0o700 if account.is_own else 0o710)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def _name_of(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name


def _is_locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_listening(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(folder / SOCKET_NAME))
        except OSError:
            return False
    return True
