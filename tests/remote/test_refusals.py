"""What ends badly: no file has its name then, what is said is no more than five words, and the password is nowhere."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import subprocess
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from jobledger.ledger.store.secret_store import SecretStore
from jobledger.ledger.work.runner import WorkFailedError
from tests.examples import quick_or_slow
from tests.remote import conftest
from tests.remote.conftest import HOST, SSHD_SETTINGS, Sender
from tests.remote.ssh_servers import PASSWORD, asyncssh_server, openssh_server
from tests.remote.test_copying import contents
from tests.world import ORG


def refused(word: str) -> Any:
    return pytest.raises(WorkFailedError, match=f"^{word}$")


async def test_a_host_of_no_known_key_is_not_even_asked(sender: Sender, far: Path) -> None:
    async with asyncssh_server(far) as server:
        with refused("host key refused"):
            await sender.send(server)

    assert (contents(far), server.logins) == ({}, [])
    assert not sender.known_hosts.exists()


async def test_a_changed_key_is_refused_before_the_password_is_shown(sender: Sender, far: Path) -> None:
    """Of the same kind or another, pinned or trusted on first use."""
    for sender.trusts_first in (False, True):
        for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256"):
            async with asyncssh_server(far) as server:
                other = asyncssh.generate_private_key(kind).export_public_key().decode()
                sender.know(f"[{HOST}]:{server.port} {other}")
                with refused("host key refused"):
                    await sender.send(server)

                assert (contents(far), server.logins) == ({}, [])


async def test_a_revoked_key_is_refused(sender: Sender, far: Path) -> None:
    async with asyncssh_server(far) as server:
        sender.know(server.known_as(HOST), f"@revoked * {server.key.export_public_key().decode()}")
        with refused("host key refused"):
            await sender.send(server)
        sender.know(f"@revoked * {server.key.export_public_key().decode()}")
        sender.trusts_first = True
        with refused("host key refused"):
            await sender.send(server)

    assert server.logins == []


async def test_a_file_of_known_hosts_that_cannot_be_read_lets_nobody_in(sender: Sender, far: Path) -> None:
    sender.trusts_first = True
    async with asyncssh_server(far) as server:
        for content in (f"{HOST}\n", "\xff"):
            sender.know()
            sender.known_hosts.write_bytes(content.encode("latin-1"))
            with refused("host key refused"):
                await sender.send(server)

    assert server.logins == []


async def test_a_key_is_trusted_on_first_use_once_and_that_is_an_event(sender: Sender, far: Path) -> None:
    sender.trusts_first = True
    async with asyncssh_server(far) as server:
        await asyncio.gather(sender.send(server), sender.send(server, path=str(far.parent)))
        await sender.send(server)
        key, port = server.key, server.port

    events = await sender.ledger.recorder.stream_page(ORG, "org", 1, 100)
    assert {json.loads(it.header)["type"] for it in events} == {"org.host_key_trusted"}
    trusted = [json.loads(it.content)["data"] for it in events if it.content]
    assert trusted == [
        {
            "host": HOST,
            "port": port,
            "algorithm": "ssh-ed25519",
            "fingerprint": key.get_fingerprint(),
            "job_id": conftest.JOB,
        }
    ]
    assert sender.known_hosts.read_text() == server.known_as(HOST)
    assert sender.known_hosts.stat().st_mode & 0o777 == 0o600
    async with asyncssh_server(far, port=port) as another:
        with refused("host key refused"):
            await sender.send(another)
    assert another.logins == []


@pytest.mark.parametrize("host", [HOST, "localhost", "[::1]", "[::ffff:127.0.0.1]", "ip6-localhost"])
async def test_a_host_outside_the_allowed_networks_is_not_asked(sender: Sender, far: Path, host: str) -> None:
    """However it is named."""
    sender.allowed = ("192.0.2.0/24", "2001:db8::/32")
    async with asyncssh_server(far) as server:
        sender.know(server.known_as(host))
        with refused("not reachable"):
            await sender.send(server, host=host)

    assert server.logins == []


async def test_nobody_listens(sender: Sender, far: Path) -> None:
    """It is tried again, and it does not last longer than that."""
    async with asyncssh_server(far) as server:
        sender.know(server.known_as(HOST))
    sender.pauses_s = (0.01, 0.01)

    with refused("not reachable"):
        await sender.send(server)


async def test_a_host_that_comes_back_is_copied_to(sender: Sender, far: Path) -> None:
    async with asyncssh_server(far) as server:
        sender.know(server.known_as(HOST))
    sender.pauses_s = (0.2,) * 100

    sending = asyncio.create_task(sender.send(server))
    await asyncio.sleep(0.3)
    async with asyncssh_server(far, port=server.port, key=server.key):
        await sending

    assert contents(far) == contents(sender.local)


class Faulty(asyncssh.SFTPServer):
    """An SFTP server that ``at`` bytes shows a fault, once if ``is_once``."""

    at = 300_000
    is_once = False
    faults = 0

    def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        if offset + len(data) > self.at and not (self.is_once and type(self).faults):
            type(self).faults += 1
            data = self.fault(data)
        written: int = super().write(file_obj, offset, data)  # type: ignore[assignment]  # it is no coroutine there
        return written

    @abstractmethod
    def fault(self, data: bytes) -> bytes:
        """What is written instead, or an error raised."""


def faulty(what: str, *, once: bool = False) -> type[Faulty]:
    class Server(Faulty):
        is_once = once

        def fault(self, data: bytes) -> bytes:
            if what == "cut":
                self.connection.abort()
            elif what == "full":
                raise OSError(errno.ENOSPC, f"No space left, {PASSWORD}")
            elif what == "refusing":
                raise asyncssh.SFTPFailure(f"no more of {PASSWORD}")
            elif what == "altering":
                return bytes([data[0] ^ 1]) + data[1:]
            return data

    return Server


@pytest.mark.parametrize("runs_commands", quick_or_slow([True, False], 1))
@pytest.mark.parametrize(
    ("what", "word"),
    [("cut", "copy failed"), ("full", "copy failed"), ("refusing", "copy failed"), ("altering", "copy differs")],
)
async def test_a_fault_in_the_midst_leaves_no_file(
    sender: Sender, far: Path, caplog: pytest.LogCaptureFixture, what: str, word: str, runs_commands: bool
) -> None:
    """And what the server says, which may be the password, is not told."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "asyncssh")
    server_class = faulty(what)
    async with asyncssh_server(far, sftp=server_class, runs_commands=runs_commands) as server:
        sender.know(server.known_as(HOST))
        with refused(word) as error:
            await sender.send(server)

    assert server_class.faults >= 1
    # Where the connection is gone nothing could be removed: the next claim does.
    assert {it for it in contents(far) if not it.startswith(".")} == set()
    assert what == "cut" or contents(far) == {}
    assert PASSWORD not in caplog.text
    assert PASSWORD not in str(error.value)


async def test_what_was_cut_in_the_midst_is_done_again(sender: Sender, far: Path) -> None:
    server_class = faulty("cut", once=True)
    sender.pauses_s = (0.01,)
    async with asyncssh_server(far, sftp=server_class) as server:
        sender.know(server.known_as(HOST))
        await sender.send(server)

    assert server_class.faults == 1
    assert contents(far) == contents(sender.local)


async def test_a_job_that_is_no_more_this_servers_stops_and_cleans_up(sender: Sender, far: Path) -> None:
    """What progress raises ends it, and so does being cancelled."""
    async with asyncssh_server(far) as server:
        sender.know(server.known_as(HOST))

        async def lost(done: float) -> None:
            raise KeyError("lost")

        with pytest.raises(KeyError):
            await sender.send(server, progress=lost)
        assert contents(far) == {}

        begun = asyncio.Event()

        async def wait(done: float) -> None:
            begun.set()
            await asyncio.Event().wait()

        sending = asyncio.create_task(sender.send(server, progress=wait))
        await begun.wait()
        assert contents(far) != {}
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

    assert contents(far) == {}


async def test_a_password_that_is_gone_lets_nobody_in(
    sender: Sender, far: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def put(store: SecretStore, org: str, purpose: str, text: str) -> Any:
        secret = await usual(store, org, purpose, text)
        await store.delete(org, secret)
        return secret

    usual = SecretStore.put
    monkeypatch.setattr(SecretStore, "put", put)
    async with asyncssh_server(far) as server:
        sender.know(server.known_as(HOST))
        with refused("login refused"):
            await sender.send(server)

    assert server.logins == []
    assert "is not there" in caplog.text


async def test_a_folder_that_may_not_be_written_is_left_alone(
    sender: Sender, far: Path, far_account: str, tmp_path: Path
) -> None:
    for number, settings in enumerate(SSHD_SETTINGS.values()):
        async with openssh_server(far, far_account, tmp_path / str(number), *settings) as server:
            sender.know(server.known_as(HOST))
            os.chown(far, 0, 0)
            with refused("copy failed"):
                await sender.send(server)

    assert contents(far) == {}


@pytest.fixture
def full_disk(far: Path, far_account: str) -> Iterator[Path]:
    """A file system of its own that has room for some of an archive."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", far], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    yield far
    subprocess.run(["umount", far], check=True)


@pytest.mark.parametrize("kind", quick_or_slow(SSHD_SETTINGS, 1))
async def test_a_full_disk_leaves_nothing(
    sender: Sender, full_disk: Path, far_account: str, tmp_path: Path, kind: str
) -> None:
    async with openssh_server(full_disk, far_account, tmp_path / "sshd", *SSHD_SETTINGS[kind]) as server:
        sender.know(server.known_as(HOST))
        with refused("copy failed"):
            await sender.send(server)

    assert contents(full_disk) == {}
