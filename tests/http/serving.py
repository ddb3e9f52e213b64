"""A real server on a real socket, and those who speak with it."""

from __future__ import annotations

import asyncio
import io
import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID as Uuid
from uuid import uuid4

import aiohttp
import orjson
from aiohttp import web
from argon2 import PasswordHasher
from multidict import CIMultiDictProxy
from yarl import URL

from jobledger.http.app import make_app
from jobledger.http.connections import make_runner
from jobledger.http.xml_document import plain, read_xml, write_xml
from jobledger.ledger.domain.access_commands import AddPrincipal
from jobledger.ledger.domain.credential_commands import IssueToken
from jobledger.ledger.store.ledger import Ledger, ledger_itself
from tests.http.described import Conformance
from tests.world import ORG

CURSOR_KEY = b"the installation's secret"
NDJSON = "application/x-ndjson"
# Hashes of the same strength for all would cost each test seconds; what is verified is the encoded hash's own strength.
WEAK_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

# The password of whoever may do everything.
OWNER_PASSWORD = "staple battery"

TIME = re.compile(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z"')
UUID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
HASH = re.compile(rb"\b[0-9a-f]{64}\b")
SALT = re.compile(rb"\b[0-9a-f]{32}\b")


@dataclass(frozen=True)
class Reply:
    """An answer, read whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def document(self) -> Any:
        """The document in the body, of XML as the server itself would read it."""
        media_type = self.headers["Content-Type"].partition(";")[0]
        if media_type.endswith("xml"):
            return plain(read_xml(self.body)[1])
        if media_type == "text/plain":
            return self.body.decode()
        return orjson.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        """The JSON documents in the body's lines."""
        return [orjson.loads(line) for line in self.body.splitlines()]

    @property
    def shown(self) -> str:
        """The body, but for what is another each time: times, ids of requests, hashes, salts."""
        return blank(self.body)


def blank(body: bytes) -> str:
    """*body* with a word in place of each instant, request id, hash and salt."""
    for pattern, word in ((TIME, b'"TIME"'), (UUID, b"UUID"), (HASH, b"HASH"), (SALT, b"SALT")):
        body = pattern.sub(word, body)
    return body.decode()


@dataclass
class Api:
    """One client of one org."""

    session: aiohttp.ClientSession
    url: str
    org: str = ORG
    headers: dict[str, str] = field(default_factory=dict)

    def path(self, path: str) -> str:
        """The URL of a path below the org."""
        return f"{self.url}/ledger/v1/{self.org}/{path}"

    async def send(self, method: str, url: str | URL, **options: Any) -> Reply:
        """Send a request with the client's own headers, read the answer whole."""
        headers = {**self.headers, **options.pop("headers", {})}
        if isinstance(options.get("data"), bytes):
            # aiohttp warns of large bodies given as bytes.
            headers["Content-Length"] = str(len(options["data"]))
            options["data"] = io.BytesIO(options["data"])
        async with self.session.request(method, url, headers=headers, **options) as response:
            return Reply(response.status, response.headers, await response.read())

    async def get(self, path: str, params: Any = None, **options: Any) -> Reply:
        """GET a path below the org."""
        return await self.send("GET", self.path(path), params=params, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        """POST *body* as JSON, or what the options say, to a path below the org."""
        if body is not None:
            options = {"data": orjson.dumps(body), **options}
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        return await self.send("POST", self.path(path), **options)

    async def put(self, path: str, body: Any, **options: Any) -> Reply:
        """PUT *body* as JSON to a path below the org."""
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return await self.send("PUT", self.path(path), data=orjson.dumps(body), headers=headers, **options)

    async def post_xml(self, path: str, body: Any, *, root: str = "any", **options: Any) -> Reply:
        """POST *body*, a document or XML as it is, and ask for XML."""
        data = body if isinstance(body, bytes) else write_xml(body, root)
        headers = {"Content-Type": "application/xml", "Accept": "application/xml", **options.pop("headers", {})}
        return await self.post(path, data=data, headers=headers, **options)

    async def commands(self, *commands: Any, **options: Any) -> Reply:
        """POST commands, each a document or a line as it is."""
        lines = [it if isinstance(it, bytes) else orjson.dumps(it) for it in commands]
        headers = {"Content-Type": NDJSON, **options.pop("headers", {})}
        return await self.post("commands", data=b"\n".join(lines) + b"\n", headers=headers, **options)

    async def register(self, **members: Any) -> int:
        """A scheduled job's id."""
        reply = await self.post("jobs", {"type": "copy", "name": "nightly", **members})
        assert reply.status == 201, reply.body
        job_id: int = reply.document["id"]
        return job_id

    async def register_running(self, **members: Any) -> int:
        """A running job's id."""
        job_id = await self.register(**members)
        reply = await self.post(f"jobs/{job_id}/start")
        assert reply.status == 200, reply.body
        return job_id

    async def draw(self) -> None:
        """A diagram, 1, of which version 2 is the active one and there is a draft, and a template of it, 2."""
        for path, steps in (("diagrams", ["a", "b"]), ("diagrams/1", ["a"])):
            told = [{"id": it, "next": following} for it, following in zip(steps, [steps[1:], []], strict=False)]
            await self.post(path, {"name": "d", "steps": told, "active": True})
        await self.post("diagrams/1", {"name": "d", "steps": [{"id": "z"}]})
        await self.post("templates", {"name": "t", "diagram_id": 1})

    async def job(self, job_id: int) -> Any:
        """The job's document."""
        reply = await self.get(f"jobs/{job_id}")
        assert reply.status == 200, reply.body
        return reply.document

    async def job_ids(self, params: Any = None) -> list[int]:
        """The ids on a page of the list of jobs."""
        reply = await self.get("jobs", params)
        assert reply.status == 200, reply.body
        return [job["id"] for job in reply.document["jobs"]]


@dataclass
class Server:
    """A server, and a session to speak with it."""

    ledger: Ledger
    app: web.Application
    port: int
    session: aiohttp.ClientSession
    runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def api(self, token: str | None = None, *, org: str = ORG) -> Api:
        """A client that shows *token*."""
        return Api(self.session, self.url, org, {} if token is None else {"Authorization": f"Bearer {token}"})

    async def client(self, *roles: str, org: str = ORG, **members: Any) -> Api:
        """A client with a new principal of these roles."""
        return self.api(await add_principal(self.ledger, roles, org=org, **members), org=org)

    async def raw(
        self, request: bytes, *, patience_s: float = 5, is_over: Callable[[bytes], bool] = lambda said: False
    ) -> bytes:
        """All that the server says to these bytes, until it is silent, closes, or has said what *is_over*."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            said = b""
            try:
                async with asyncio.timeout(patience_s) as patience:
                    while piece := await reader.read(65536):
                        said += piece
                        if is_over(said):
                            break
                        patience.reschedule(asyncio.get_running_loop().time() + 0.3)
            except TimeoutError:
                pass
            return said
        finally:
            writer.close()


@asynccontextmanager
async def served(ledger: Ledger, *, runner_options: Any = None, **options: Any) -> AsyncIterator[Server]:
    """The ledger's server on a free port of this machine. Each of its answers is what the API's description says."""
    app = make_app(ledger, cursor_key=CURSOR_KEY, **options)
    conformance = Conformance()
    app.on_response_prepare.append(conformance.check)
    runner = make_runner(app, shutdown_timeout=1, **(runner_options or {}))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as session:
            yield Server(ledger, app, port, session, runner)
    finally:
        await runner.cleanup()
    assert not conformance.wrong, "\n".join(conformance.wrong)


def new_token(org: str = ORG) -> str:
    """A token that nobody has."""
    return f"jl_{org}_{secrets.token_urlsafe(32)}"


async def add_principal(
    ledger: Ledger,
    roles: Iterable[str],
    *,
    org: str = ORG,
    name: str | None = None,
    password: str | None = None,
    expires_at: datetime | None = None,
    credential: Uuid | None = None,
    **members: Any,
) -> str:
    """Add a principal with a token, which is returned, and perhaps a password."""
    name = name or f"somebody-{secrets.token_hex(4)}"
    token = new_token(org)
    hashed = None if password is None else WEAK_HASHER.hash(password)
    itself = ledger_itself(org)
    add = AddPrincipal(
        caller=itself,
        name=name,
        roles=tuple(roles),
        credential=None if hashed is None else uuid4(),
        password_hash=hashed,
        **members,
    )
    issue = IssueToken(
        caller=itself,
        principal=name,
        credential=credential or uuid4(),
        token_hash=sha256(token.encode()).digest(),
        expires_at=expires_at,
    )
    added = await ledger.enqueue(add)
    issued = await ledger.enqueue(issue)
    await added
    await issued
    return token
