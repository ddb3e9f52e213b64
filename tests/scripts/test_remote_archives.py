"""``POST …/archive-purge-jobs`` with a remote host, from request to purge: a real server, and real SSH servers to copy to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import asyncssh
import orjson
import pytest

from tests.cluster import session
from tests.remote.ssh_servers import LACK, PASSWORD, SshServer, account, asyncssh_server, openssh_server
from tests.remote.test_password import WRONG, dump
from tests.scripts.place import Place, Server

pytestmark = pytest.mark.slow

SPACE = "/api/space/job-management"
JOBS = 6
PATIENCE_S = 60.0
SFTP = "Subsystem sftp /usr/lib/openssh/sftp-server"


@pytest.fixture
def far() -> Iterator[Path]:
    """The folder on the other host, with a name that a shell would make something else of."""
    with tempfile.TemporaryDirectory(prefix="far-") as place:
        Path(place).chmod(0o755)
        folder = Path(place, 'it\'s "$(touch gone)" *')
        folder.mkdir()
        yield folder


@dataclass
class Scene:
    """A server with jobs that have ended, and all that anybody was told or that is stored."""

    place: Place
    url: str
    server: Server
    password: str
    jobs: list[int] = field(default_factory=list)
    everything: list[bytes] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """The status and the bytes of an answer to the admin."""
        connection = self.server.connect()
        try:
            headers = {"Accept": "application/json", **self.server.authorization(self.password)}
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, None if body is None else orjson.dumps(body), headers)
            answer = connection.getresponse()
            said = answer.read()
            self.everything.append(repr(answer.headers.items()).encode() + said)
            return answer.status, said
        finally:
            connection.close()

    def read(self, path: str) -> Any:
        """What a path shows."""
        status, said = self.call("GET", path)
        assert status == 200, said
        return orjson.loads(said)

    def native(self, path: str) -> Any:
        """What the native API shows."""
        return self.read(f"/ledger/v1/default/{path}")

    def end_jobs(self) -> None:
        """Have some jobs run and end, with something private."""
        for number in range(JOBS):
            body = {"type": "Backup", "name": f"job {number}", "attributes": {"Filler": os.urandom(3_000).hex()}}
            job_id = orjson.loads(self.call("POST", "/ledger/v1/default/jobs", body)[1])["id"]
            for step in ("start", "succeed"):
                status, said = self.call("POST", f"/ledger/v1/default/jobs/{job_id}/{step}", {})
                assert status == 200, said
            self.jobs.append(job_id)

    def ask(self, ssh: SshServer, path: Path, password: str = PASSWORD) -> int:
        """Ask for all of them to be archived there; the job's id."""
        before = time.time_ns() // 1_000_000 + 1
        while time.time_ns() // 1_000_000 <= before:
            time.sleep(0.001)
        members = {"archive-jobs-before": before, "user": ssh.user, "password": password}
        members |= {"ip": f"127.0.0.1:{ssh.port}", "path": str(path)}
        status, said = self.call("POST", f"{SPACE}/archive-purge-jobs", {"archive-purge-jobs-remote-request": members})
        assert status == 202, said
        return int(orjson.loads(said)["task"]["id"])

    async def over(self, job_id: int) -> dict[str, Any]:
        """The job as the space dialect shows it once it has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            job: dict[str, Any] = (await asyncio.to_thread(self.read, f"{SPACE}/jobs/{job_id}"))["job"]
            if job["job-state"] == "DONE":
                return job
            assert time.monotonic() < deadline, job
            await asyncio.sleep(0.05)

    async def no_secret_is_left(self) -> None:
        """Nothing is encrypted any more, and the passwords are nowhere: not in the database, log, answers or files."""
        async with session(self.url) as connection:
            deadline = time.monotonic() + PATIENCE_S
            while await connection.fetchval("SELECT count(*) FROM secret"):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
        await self.look_into_the_database()
        self.everything.append(self.server.log.read_bytes())
        self.everything += [it.read_bytes() for it in self.place.data.rglob("*") if it.is_file()]
        digests = [hashlib.sha256(it.encode()).digest() for it in (PASSWORD, WRONG)]
        forms = [PASSWORD.encode(), PASSWORD.encode().hex().encode(), base64.b64encode(PASSWORD.encode()), *digests]
        for form in (*forms, *(it.hex().encode() for it in digests)):
            assert not [it for it in self.everything if form in it]

    async def look_into_the_database(self) -> None:
        """Keep all that is stored now."""
        self.everything.append(await dump(self.url))

    async def nothing_is_purged(self) -> None:
        """Each job is as it was."""
        for job_id in self.jobs:
            job = await asyncio.to_thread(self.native, f"jobs/{job_id}")
            assert (job["state"], job.get("purged")) == ("SUCCESS", None)
            assert len(job["attributes"]["Filler"]) == 6_000

    async def all_is_purged_and_there(self, archive_id: int, far: Path) -> None:
        """The jobs are gone, and the files of the archive are on the other host, as they are here."""
        archive = await asyncio.to_thread(self.native, f"archives/{archive_id}")
        assert (archive["state"], archive["selected"], archive["purged"]) == ("COMPLETED", JOBS, JOBS)
        assert archive["copied_at"] is not None
        for job_id in self.jobs:
            assert (await asyncio.to_thread(self.native, f"jobs/{job_id}"))["purged"] is True
        here = {it.name: it.read_bytes() for it in (self.place.data / "archive" / "default").iterdir()}
        assert {it.name: it.read_bytes() for it in far.iterdir()} == here
        assert len(here) >= 2
        assert not any(it.startswith(".") for it in here)
        self.everything += here.values()


@asynccontextmanager
async def scene(place: Place, url: str, **environment: str) -> AsyncIterator[Scene]:
    """A server that may copy to this machine, and jobs that have ended."""
    place.environment |= {"JOBLEDGER_SCP_ALLOW": "127.0.0.0/8", "JOBLEDGER_SCP_TRUST": "first-use", **environment}
    server = await asyncio.to_thread(place.start)
    made = Scene(place, url, server, server.password)
    try:
        await asyncio.to_thread(made.end_jobs)
        yield made
    finally:
        if made.server.process.poll() is None:
            assert await asyncio.to_thread(made.server.stop) == 0, made.server.log.read_text()
        close(made.server)


def close(server: Server) -> None:
    """No more is read from it."""
    assert server.process.stdout is not None
    server.process.stdout.close()


async def test_an_archive_is_copied_to_asyncssh_and_then_purged(shared: Place, database_url: str, far: Path) -> None:
    """Archived, copied, verified there, purged; the password is nowhere while it waits, nor afterwards."""
    async with asyncssh_server(far) as ssh, scene(shared, database_url) as it:
        archive_id = await asyncio.to_thread(it.ask, ssh, far)
        await it.look_into_the_database()

        job = await it.over(archive_id)

        assert job["job-status"] == "SUCCESS", job
        await it.all_is_purged_and_there(archive_id, far)
        await it.no_secret_is_left()


@pytest.mark.skipif(LACK is not None, reason=str(LACK))
async def test_an_archive_is_copied_to_openssh_and_then_purged(
    shared: Place, database_url: str, far: Path, tmp_path: Path
) -> None:
    with account() as user:
        async with openssh_server(far, user, tmp_path / "sshd", SFTP) as ssh, scene(shared, database_url) as it:
            archive_id = await asyncio.to_thread(it.ask, ssh, far)

            job = await it.over(archive_id)

            assert job["job-status"] == "SUCCESS", job
            await it.all_is_purged_and_there(archive_id, far)
            await it.no_secret_is_left()


async def test_what_fails_purges_nothing_and_says_which_step(shared: Place, database_url: str, far: Path) -> None:
    """A wrong password, a folder that is not there, a file that lies there, a host whose key has changed."""
    async with asyncssh_server(far) as ssh, scene(shared, database_url) as it:

        async def fails(summary: str, path: Path = far, password: str = PASSWORD) -> None:
            job = await it.over(await asyncio.to_thread(it.ask, ssh, path, password))
            assert (job["job-status"], job["summary"]) == ("FAILURE", f"{summary}<br>"), job
            await it.nothing_is_purged()

        await fails("login refused", password=WRONG)
        await fails("copy failed", path=far / "none")
        assert list(far.iterdir()) == []
        known = it.place.data / "known_hosts" / "default"
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        known.write_text(f"[127.0.0.1]:{ssh.port} {other}")
        await fails("host key refused")
        assert ssh.logins.count(f"{ssh.user} True") == 1
        await it.no_secret_is_left()


class Slow(asyncssh.SFTPServer):
    """An SFTP server that stops at the first byte of a file until it may go on."""

    may_go_on: ClassVar[asyncio.Event]
    has_come: ClassVar[asyncio.Event]

    async def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        self.has_come.set()
        await self.may_go_on.wait()
        written: int = super().write(file_obj, offset, data)  # type: ignore[assignment]  # it is no coroutine there
        return written


@pytest.fixture
def slow() -> type[Slow]:
    """Such a server's class, of this loop."""
    Slow.may_go_on, Slow.has_come = asyncio.Event(), asyncio.Event()
    return Slow


async def test_what_is_cancelled_while_it_is_copied_purges_nothing(
    shared: Place, database_url: str, far: Path, slow: type[Slow]
) -> None:
    async with asyncssh_server(far, sftp=slow) as ssh, scene(shared, database_url) as it:
        archive_id = await asyncio.to_thread(it.ask, ssh, far)
        await asyncio.wait_for(slow.has_come.wait(), PATIENCE_S)
        await it.look_into_the_database()

        # The space dialect cancels what waits alone.
        status, said = await asyncio.to_thread(it.call, "POST", f"/ledger/v1/default/jobs/{archive_id}/cancel", {})
        slow.may_go_on.set()

        assert status == 200, said
        assert (await it.over(archive_id))["mo-state"] == "CANCELLED"
        await it.nothing_is_purged()
        await it.no_secret_is_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_what_is_interrupted_while_it_is_copied_is_finished_by_the_next_server(
    shared: Place, database_url: str, far: Path, slow: type[Slow], number: signal.Signals
) -> None:
    """No file has its name meanwhile; afterwards all have, once, and nothing else is there."""
    async with asyncssh_server(far, sftp=slow) as ssh, scene(shared, database_url) as it:
        archive_id = await asyncio.to_thread(it.ask, ssh, far)
        await asyncio.wait_for(slow.has_come.wait(), PATIENCE_S)
        await it.look_into_the_database()
        assert all(part.name.startswith(".") for part in far.iterdir())
        await asyncio.to_thread(it.server.stop, number)
        close(it.server)
        await it.look_into_the_database()
        slow.may_go_on.set()

        it.server = await asyncio.to_thread(it.place.start)
        job = await it.over(archive_id)

        assert job["job-status"] == "SUCCESS", job
        await it.all_is_purged_and_there(archive_id, far)
        await it.no_secret_is_left()
