"""The password of another host is nowhere but encrypted, while a run is ahead, and then nowhere."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jobledger.ledger.domain.destination import Destination
from jobledger.ledger.domain.job import State
from jobledger.ledger.domain.job_commands import CancelJob
from jobledger.ledger.postgres.postmaster import binaries_folder
from jobledger.ledger.work.host_keys import HostKeys
from jobledger.ledger.work.remote import SCP, SshCopy
from jobledger.ledger.work.remote_host import RemoteHosts
from jobledger.ledger.work.runner import Runner, Step, Task, Work
from jobledger.ledger.work.secret_sweep import SecretSweep
from jobledger.projections.pruning import sweep_secrets
from jobledger.projections.work_query import WorkQuery
from tests.cluster import session
from tests.examples import quick_or_slow
from tests.ledger.test_watch import until
from tests.remote.conftest import HOST, Sender
from tests.remote.ssh_servers import PASSWORD, asyncssh_server
from tests.world import CLIENT, ORG, register

WRONG = "wrong-" + PASSWORD


class Copying(Work):
    """Copies, and nothing else."""

    kind: ClassVar[str] = "copying"

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        hosts = RemoteHosts([ip_network("127.0.0.0/8")])
        keys = HostKeys(sender.data / "known_hosts", trusts_first=True)
        self._copy = SshCopy(sender.ledger, sender.secrets, hosts, keys, pauses_s=())
        self.may_go_on = asyncio.Event()

    def steps(self, order: Mapping[str, Any]) -> Mapping[str, Step]:
        return {"copy": self._send}

    async def _send(self, task: Task) -> None:
        async def progress(done: float) -> None:
            await task.advance(progress=done)
            await self.may_go_on.wait()

        await self._copy.send(
            task.org, task.job_id, task.claim, task.order["destination"], self._sender.files, progress
        )


async def dump(url: str) -> bytes:
    """All that is stored; what is stored as bytes, decoded too."""
    command = [str(binaries_folder() / "pg_dump"), "--inserts", url]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    dumped, _errors = await process.communicate()
    assert process.returncode == 0
    return dumped + b"\n".join(bytes.fromhex(it.decode()) for it in re.findall(rb"\\x((?:[0-9a-f]{2})+)'", dumped))


@pytest.mark.parametrize(
    ("password", "is_cancelled", "state"),
    quick_or_slow(
        [(PASSWORD, False, State.SUCCESS), (WRONG, False, State.FAILED), (PASSWORD, True, State.CANCELLED)], 1
    ),
)
async def test_the_password_is_nowhere_else(
    sender: Sender,
    far: Path,
    database_url: str,
    caplog: pytest.LogCaptureFixture,
    password: str,
    is_cancelled: bool,
    state: State,
) -> None:
    """After success, failure, and cancelling in the midst: neither in a dump, at any time, nor in the log at its finest, nor in
    what a job tells.
    """
    caplog.set_level(logging.DEBUG)
    work = Copying(sender)
    runner = Runner(sender.ledger, WorkQuery(sender.ledger.database).open, [work])
    sweep = SecretSweep(sender.ledger, sweep_secrets)
    async with asyncssh_server(far) as server, session(database_url) as connection:
        async with sender.secrets.deposit(ORG, SCP, password) as deposit:
            told = Destination.read(f"{HOST}:{server.port}", str(far), server.user).told(deposit.id)
            job_id = await register(sender.ledger, work={"kind": work.kind, "order": {"destination": told}})
            deposit.keep()
        stored = [await dump(database_url)]
        await runner.start()
        await sweep.start()
        try:
            if is_cancelled:
                await until(lambda: connection.fetchval("SELECT count(*) > 0 FROM event WHERE type = 'job.progressed'"))
                stored.append(await dump(database_url))
                await sender.ledger.execute(CancelJob(caller=CLIENT, job_id=job_id))
            work.may_go_on.set()
            await until(lambda: connection.fetchval("SELECT count(*) = 0 FROM secret"))
        finally:
            await runner.stop()
            await sweep.stop()
    stored.append(await dump(database_url))

    job = await sender.ledger.job(ORG, job_id)
    assert job.state is state
    assert job.reason == ("login refused" if state is State.FAILED else None)
    assert str(deposit.id).encode() in stored[-1]
    everything = [
        *stored,
        caplog.text.encode(),
        repr([it.__dict__ for it in caplog.records]).encode(),
        repr(job).encode(),
    ]
    everything += [it.read_bytes() for it in sender.data.rglob("*") if it.is_file()]
    plain = PASSWORD.encode()
    digests = [hashlib.sha256(it).digest() for it in (plain, WRONG.encode())]
    for form in (plain, plain.hex().encode(), b64encode(plain), *digests, *(it.hex().encode() for it in digests)):
        assert not [it for it in everything if form in it]
