"""What copying to another host needs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from jobledger.ledger.domain.destination import Destination
from jobledger.ledger.store.ledger import Ledger
from jobledger.ledger.store.secret_store import SecretStore
from jobledger.ledger.work.host_keys import HostKeys
from jobledger.ledger.work.remote import SCP, SshCopy
from jobledger.ledger.work.remote_host import RemoteHosts
from tests.examples import quick_or_slow
from tests.remote.ssh_servers import LACK, PASSWORD, SshServer, account, asyncssh_server, openssh_server
from tests.world import ORG

KEY = bytes(range(32))
JOB, CLAIM = 7, 3
HOST = "127.0.0.1"
# Larger than a few pieces, and of no even size.
ARCHIVE_BYTES = 700_001


@dataclass
class Sender:
    """Sends what lies in ``local`` as a job of archiving does."""

    ledger: Ledger
    secrets: SecretStore
    data: Path
    local: Path
    allowed: tuple[str, ...] = ("127.0.0.0/8",)
    trusts_first: bool = False
    pauses_s: tuple[float, ...] = ()
    told: list[float] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """An archive's files, in the order they are sent in."""
        return sorted(self.local.iterdir())

    @property
    def known_hosts(self) -> Path:
        """The org's file of known hosts."""
        return self.data / "known_hosts" / ORG

    def know(self, *lines: str) -> None:
        """Make these the known hosts."""
        self.known_hosts.parent.mkdir(mode=0o700, exist_ok=True)
        self.known_hosts.write_text("".join(line.rstrip("\n") + "\n" for line in lines))

    async def send(
        self,
        server: SshServer,
        *,
        host: str = HOST,
        path: str | None = None,
        password: str = PASSWORD,
        claim: int = CLAIM,
        user: str | None = None,
        progress: Callable[[float], Any] | None = None,
    ) -> None:
        """Send all. Raises what sending raises."""
        where = Destination.read(f"{host}:{server.port}", path or str(server.folder), user or server.user)
        copy = SshCopy(
            self.ledger,
            self.secrets,
            RemoteHosts([ip_network(it) for it in self.allowed]),
            HostKeys(self.data / "known_hosts", trusts_first=self.trusts_first),
            pauses_s=self.pauses_s,
        )
        secret = await self.secrets.put(ORG, SCP, password)
        try:
            await copy.send(ORG, JOB, claim, where.told(secret), self.files, progress or self._tell)
        finally:
            await self.secrets.delete(ORG, secret)

    async def _tell(self, done: float) -> None:
        self.told.append(done)


@pytest.fixture
def sender(ledger: Ledger, tmp_path: Path) -> Sender:
    """What sends, from a data folder of its own."""
    local = tmp_path / "local [1]*"
    data = tmp_path / "data"
    for folder in (local, data):
        folder.mkdir()
    (local / "JobArchive_acme_2026-11-22_16-00-00_7.ndjson.gz").write_bytes(os.urandom(ARCHIVE_BYTES))
    (local / "JobArchive_acme_2026-11-22_16-00-00_7.private.ndjson.gz").write_bytes(b"")
    (local / "JobArchive_acme_2026-11-22_16-00-00_7.manifest.json").write_bytes(b"{}" * 70_000)
    return Sender(ledger, SecretStore(ledger.database, KEY), data, local)


@pytest.fixture
def far() -> Iterator[Path]:
    """The folder on the other host. Not among the tests' folders, which are their maker's alone, and become so again."""
    with tempfile.TemporaryDirectory(prefix="far-") as place:
        Path(place).chmod(0o755)
        folder = Path(place, "folder")
        folder.mkdir()
        yield folder


@pytest.fixture(scope="session")
def far_account() -> Iterator[str]:
    """An account that OpenSSH's server lets in."""
    if LACK is not None:
        pytest.skip(LACK)
    with account() as name:
        yield name


SFTP = "Subsystem sftp /usr/lib/openssh/sftp-server"
SSHD_SETTINGS = {
    "sshd": (SFTP,),
    "sshd without SFTP": (),
    "sshd with SFTP alone": ("Subsystem sftp internal-sftp", "ForceCommand internal-sftp"),
}
KINDS = ("asyncssh", "asyncssh without commands", "asyncssh without SFTP", *SSHD_SETTINGS)


@pytest.fixture(params=quick_or_slow(KINDS, 2))
async def server(request: pytest.FixtureRequest, far: Path, tmp_path: Path, sender: Sender) -> AsyncIterator[SshServer]:
    """A server of each kind, whose key is known."""
    async with server_of_kind(request, far, tmp_path) as served:
        sender.know(served.known_as(HOST))
        yield served


@asynccontextmanager
async def server_of_kind(request: pytest.FixtureRequest, far: Path, tmp_path: Path) -> AsyncIterator[SshServer]:
    """The server that the fixture is asked for."""
    kind = request.param
    if kind in SSHD_SETTINGS:
        user = request.getfixturevalue("far_account")
        async with openssh_server(far, user, tmp_path / "sshd", *SSHD_SETTINGS[kind]) as served:
            yield served
    else:
        commands, sftp = "without commands" not in kind, "without SFTP" not in kind
        async with asyncssh_server(far, runs_commands=commands, has_sftp=sftp) as served:
            yield served
