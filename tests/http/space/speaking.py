"""Speaking the space dialect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

from jobledger.http.space.dialect import JOB_MANAGEMENT, QUEUES
from tests.http.dialects.manners import basic
from tests.http.serving import Api, Reply, Server, add_principal

XML, JSON = {"Accept": "application/xml"}, {"Accept": "application/json"}
MT = "application/vnd.net.juniper.space.job-management."
A_QUEUE = '<queue name="{}"><durable>{}</durable></queue>'


@dataclass
class Space:
    """A client of the dialect; *native* is the same principal's of the native API."""

    server: Server
    native: Api
    headers: dict[str, str]

    async def send(self, method: str, url: str, **options: Any) -> Reply:
        """Send a request to a path, or a URL of this server."""
        url = url if url.startswith("http") else f"{self.server.url}{url}"
        headers = {**self.headers, **options.pop("headers", {})}
        return await Api(self.server.session, self.server.url).send(method, url, headers=headers, **options)

    async def get(self, path: str, **options: Any) -> Reply:
        """GET what lies below the job management."""
        return await self.send("GET", f"{JOB_MANAGEMENT}{path}", **options)

    async def post(self, path: str, body: str | None = None, media_type: str | None = None, **options: Any) -> Reply:
        """POST a document to what lies below the job management."""
        headers = {**({} if media_type is None else {"Content-Type": media_type}), **options.pop("headers", {})}
        data = None if body is None else body.encode()
        return await self.send("POST", f"{JOB_MANAGEMENT}{path}", data=data, headers=headers, **options)

    async def ids(self, query: str = "") -> list[int]:
        """The ids of the jobs that a query finds."""
        reply = await self.get(f"/jobs{query}", headers=XML)
        if reply.status == 204:
            return []
        assert reply.status == 200, reply.body
        return [int(it.findtext("id") or 0) for it in ElementTree.fromstring(reply.body)]

    async def queue(self, name: str = "q", *, durable: bool = False) -> str:
        """The URL of a new queue."""
        reply = await self.make_queue(A_QUEUE.format(name, str(durable).lower()))
        assert reply.status == 201, reply.body
        return reply.headers["Location"]

    async def make_queue(self, body: str, media_type: str = "application/hornetq.jms.queue+xml") -> Reply:
        """POST a queue."""
        return await self.send("POST", QUEUES, data=body.encode(), headers={"Content-Type": media_type})


async def space_client(server: Server, name: str, roles: Iterable[str], **members: Any) -> Space:
    """A client with a new principal, which shows its password."""
    token = await add_principal(server.ledger, roles, name=name, password="secret", **members)
    return Space(server, server.api(token), {"Authorization": f"Basic {basic(f'{name}@acme', 'secret')}"})
