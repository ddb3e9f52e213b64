"""What all measurements run on: one embedded Postgres with the product's settings, and the ledger in it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from argon2 import PasswordHasher

from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE, capabilities_of
from jobledger.ledger.domain.access_commands import AddPrincipal
from jobledger.ledger.domain.command import Caller
from jobledger.ledger.domain.credential_commands import IssueToken, SetPassword
from jobledger.ledger.domain.job_commands import StartJob
from jobledger.ledger.domain.job_registration import FETCH_START_TIMEOUT_S, JobSpec, RegisterJobs
from jobledger.ledger.evidence.note import KEY_BYTES
from jobledger.ledger.postgres.embedded import EmbeddedPostgres
from jobledger.ledger.store.database import Connection, connect
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from jobledger.ledger.store.migration import migrate
from jobledger.ledger.work.checkpointing import Checkpointing
from jobledger.projections.principal_query import PrincipalQuery
from jobledger.scripts import serving, worker
from jobledger.scripts.benchmarks import hello
from jobledger.scripts.benchmarks.plan import Plan
from jobledger.scripts.evidence_place import EvidencePlace
from jobledger.scripts.listening import listen
from jobledger.scripts.opening import ledger_at

# A server's answer of its address comes within this, a client's of what it measured within that.
START_TIMEOUT_S = 30.0
CLIENT_TIMEOUT_S = 1_800.0


def tell(text: str) -> None:
    """Say how far it is, apart from the table."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own."""

    port: int
    pid: int

    def memory_mib(self, field: str = "VmRSS") -> float:
        """Its memory as the kernel counts it: resident now, or ``VmHWM``, the most it ever was."""
        for line in Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) / 1024
        raise ValueError(field)


class Bed:
    """The database and a ledger in this process; servers and clients in others."""

    def __init__(self, data: Path, postgres: EmbeddedPostgres, ledger: Ledger, plan: Plan) -> None:
        self.data = data
        self.postgres = postgres
        self.url = postgres.url
        self.ledger = ledger
        self.plan = plan
        # Orgs that several measurements share, by what they are for.
        self.orgs: dict[str, Caller] = {}
        self._orgs = 0
        self.evidence = EvidencePlace(data / "witness", data / "signing-key", os.urandom(KEY_BYTES).hex())

    async def new_org(self, kind: str) -> Caller:
        """Someone who may do everything in an org that has just begun."""
        self._orgs += 1
        org = f"{kind}-{self._orgs}"
        await self.ledger.create_org(org)
        return anyone(org)

    async def running_jobs(self, caller: Caller, count: int) -> range:
        """The ids of so many jobs, registered and started."""
        first = 0
        for begin in range(0, count, 10_000):
            jobs = [JobSpec(type="backup", name="nightly") for _ in range(begin, min(begin + 10_000, count))]
            registered = await self.ledger.execute(RegisterJobs(caller=caller, jobs=jobs))
            first = first or registered.result["jobs"][0]["id"]
        ids = range(first, first + count)
        for begin in range(0, count, 1_000):
            started = [StartJob(caller=caller, job_id=job_id) for job_id in ids[begin : begin + 1_000]]
            await asyncio.gather(*map(self.ledger.execute, started))
        return ids

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[Connection]:
        """A connection of the database's owner."""
        connection = await connect(self.url, {}, role=None)
        try:
            yield connection
        finally:
            await connection.close()

    def checkpointing(self) -> Checkpointing:
        """What signs the ledger."""
        return Checkpointing(self.ledger, self.evidence.witness, self.evidence.keys())

    async def sign_all(self) -> None:
        """Sign all orgs as they are, so that a server that signs finds nothing to do."""
        signer = self.checkpointing()
        for org, *_ in await PrincipalQuery(self.ledger.database).orgs():
            await signer.sign(org)

    async def new_token(self, org: str, *roles: str) -> str:
        """A Bearer token of someone of these roles in *org*, by default an operator."""
        token = f"jl_{org}_{urlsafe_b64encode(os.urandom(32)).decode().rstrip('=')}"
        itself = ledger_itself(org)
        name = f"client-{uuid4().hex[:8]}"
        await self.ledger.execute(AddPrincipal(caller=itself, name=name, roles=roles or ("operator",)))
        digest = sha256(token.encode()).digest()
        issue = IssueToken(caller=itself, principal=name, credential=uuid4(), token_hash=digest)
        await self.ledger.execute(issue)
        return token

    async def new_login(self, org: str) -> str:
        """The ``name@org:password`` of an operator of *org*."""
        itself = ledger_itself(org)
        name, password = f"client-{uuid4().hex[:8]}", uuid4().hex
        await self.ledger.execute(AddPrincipal(caller=itself, name=name, roles=("operator",)))
        hashed = PasswordHasher().hash(password)
        await self.ledger.execute(SetPassword(caller=itself, principal=name, credential=uuid4(), password_hash=hashed))
        return f"{name}@{org}:{password}"

    @asynccontextmanager
    async def server(self, *, is_signed: bool = False) -> AsyncIterator[Server]:
        """A server of its own process, as the product runs it, for as long as the context lasts.

        With *is_signed* it also signs what is appended, archives and exports.
        """
        plan = serving.Plan(
            url=self.url,
            cursor_key=os.urandom(32),
            secret_key=os.urandom(32),
            start_timeout_s=FETCH_START_TIMEOUT_S,
            data=self.data if is_signed else None,
            evidence=self.evidence if is_signed else None,
        )
        async with self._serving(worker.__name__, worker.encode_plan(plan)) as server:
            yield server

    @asynccontextmanager
    async def hello(self) -> AsyncIterator[Server]:
        """aiohttp's bare hello, likewise."""
        async with self._serving(hello.__name__, b"") as server:
            yield server

    @asynccontextmanager
    async def _serving(self, module: str, told: bytes) -> AsyncIterator[Server]:
        # The lines that a server writes for each request go to a file, as an operator's do.
        with closing(listen("127.0.0.1", 0)) as listener, (self.data / "server.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                str(listener.fileno()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                pass_fds=(listener.fileno(),),
            )
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(told)
                line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)
                if line != worker.READY:
                    raise RuntimeError(f"the server did not start: {(self.data / 'server.log').read_text()[-1000:]}")
                yield Server(listener.getsockname()[1], process.pid)
            finally:
                if process.returncode is None:
                    process.terminate()
                await process.wait()

    async def client(self, work: str, server: Server, **spec: Any) -> Mapping[str, Any]:
        """What a client in a process of its own measured. Raises RuntimeError where it failed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "jobledger.scripts.benchmarks.client",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        asked = json.dumps({"work": work, "port": server.port, **spec}).encode()
        try:
            answer, _ = await asyncio.wait_for(process.communicate(asked), CLIENT_TIMEOUT_S)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise RuntimeError(f"the client of {work} failed")
        measured: Mapping[str, Any] = json.loads(answer)
        return measured


def anyone(org: str) -> Caller:
    """A principal of *org* with every role, asking as over HTTP."""
    return Caller(
        org=org,
        principal="principal-1",
        capabilities=capabilities_of(CAPABILITIES_BY_ROLE),
        address="127.0.0.1",
        request=str(uuid4()),
    )


@asynccontextmanager
async def make_bed(data: Path, plan: Plan) -> AsyncIterator[Bed]:
    """The bed in an empty folder."""
    async with EmbeddedPostgres(data) as postgres:
        await migrate(postgres.url)
        async with ledger_at(postgres.url) as ledger:
            yield Bed(data, postgres, ledger, plan)
