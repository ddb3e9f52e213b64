"""SSH servers of this machine: asyncssh's in this process, and OpenSSH's own ``sshd``."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import asyncssh

PASSWORD = "correct-horse-$(battery)"
SSHD = Path("/usr/sbin/sshd")
SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")
# Why the tests with OpenSSH's own server cannot run here, None where they can.
LACK = (
    "OpenSSH's sshd is not installed here (Debian, Ubuntu: apt install openssh-server)"
    if not (SSHD.exists() and SFTP_SERVER.exists())
    else "only root can let sshd log in by a password, to an account made for that"
    if os.geteuid() != 0
    else None
)
_NUMBERS = count(1)


@dataclass
class SshServer:
    """One that listens, on 127.0.0.1. ``folder`` may be written by whoever logs in."""

    port: int
    folder: Path
    user: str
    key: asyncssh.SSHKey
    logins: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    def known_as(self, host: str) -> str:
        """Its line in a file of known hosts."""
        return f"[{host}]:{self.port} {self.key.export_public_key().decode()}"


class Guarded(asyncssh.SSHServer):
    """Lets in who knows the password."""

    def __init__(self, served: SshServer) -> None:
        self._served = served

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self.connection = conn

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        self._served.logins.append("key")
        return False

    def validate_password(self, username: str, password: str) -> bool:
        self._served.logins.append(f"{username} {password == PASSWORD}")
        return (username, password) == (self._served.user, PASSWORD)


@asynccontextmanager
async def asyncssh_server(
    folder: Path,
    *,
    sftp: Callable[[asyncssh.SSHServerChannel[bytes]], asyncssh.SFTPServer] | None = None,
    runs_commands: bool = True,
    port: int = 0,
    key: asyncssh.SSHKey | None = None,
    has_sftp: bool = True,
) -> AsyncIterator[SshServer]:
    """asyncssh's server. *sftp* makes another than the usual SFTP server."""
    served = SshServer(port, folder, "archiver", key or asyncssh.generate_private_key("ssh-ed25519"))

    async def run(process: asyncssh.SSHServerProcess[bytes]) -> None:
        command = process.command or ""
        served.commands.append(command)
        child = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert child.stdin is not None
        assert child.stdout is not None
        feeding = asyncio.create_task(_pump(process.stdin, child.stdin))
        await _pump(child.stdout, process.stdout)
        process.exit(await child.wait())
        feeding.cancel()
        await asyncio.wait([feeding])

    acceptor = await asyncssh.listen(
        "127.0.0.1",
        port,
        server_factory=lambda: Guarded(served),
        server_host_keys=[served.key],
        process_factory=run if runs_commands else None,
        sftp_factory=(sftp or True) if has_sftp else None,
        encoding=None,
    )
    served.port = acceptor.get_port()
    try:
        yield served
    finally:
        acceptor.close()
        await acceptor.wait_closed()


async def _pump(reader: Any, writer: Any) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


@contextmanager
def account() -> Iterator[str]:
    """A throw-away account of this machine with the password."""
    for left in (it.pw_name for it in pwd.getpwall() if it.pw_name.startswith("jl-test-")):
        # By a run that was killed.
        if not Path("/proc", left.split("-")[2]).exists():
            subprocess.run(["userdel", left], check=False, capture_output=True)
    # One of the session's own may be there beside a test's.
    name = f"jl-test-{os.getpid()}-{next(_NUMBERS)}"
    subprocess.run(
        ["useradd", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/bin/sh", name], check=True
    )
    try:
        subprocess.run(["chpasswd"], input=f"{name}:{PASSWORD}\n", text=True, check=True)
        yield name
    finally:
        subprocess.run(["userdel", name], check=True, capture_output=True)


@asynccontextmanager
async def openssh_server(folder: Path, user: str, scratch: Path, *settings: str) -> AsyncIterator[SshServer]:
    """OpenSSH's own, as root, on a port of its own; *settings* are lines of its configuration."""
    scratch.mkdir(mode=0o700)
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(scratch / "key")
    (scratch / "key").chmod(0o600)
    # Where sshd, started as root, looks for a folder that is nobody's.
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    shutil.chown(folder, user)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    lines = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {scratch / 'key'}",
        "PidFile none",
        "UsePAM no",
        "PasswordAuthentication yes",
        "KbdInteractiveAuthentication no",
        "PubkeyAuthentication no",
        f"AllowUsers {user}",
        "PerSourceMaxStartups none",
        *settings,
    ]
    (scratch / "sshd_config").write_text("\n".join(lines) + "\n")
    process = await asyncio.create_subprocess_exec(
        SSHD, "-D", "-e", "-f", scratch / "sshd_config", stderr=subprocess.PIPE
    )
    draining = None
    try:
        assert process.stderr is not None
        said = b""
        while b"Server listening" not in said:
            line = await asyncio.wait_for(process.stderr.readline(), 60)
            assert line, said.decode()
            said += line
        draining = asyncio.create_task(process.stderr.read())
        yield SshServer(port, folder, user, key)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if draining is not None:
            await draining
