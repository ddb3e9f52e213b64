"""Speaking the fetches dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from tests.http.serving import Api, Reply, Server

IMPORTED = {
    "type": "fetch",
    "name": "Ad spend",
    "state": "SUCCESS",
    "scheduled_at": "2022-10-31T00:00:00Z",
    "started_at": "2022-10-31T10:00:00.75Z",
    "ended_at": "2022-10-31T11:02:03.8Z",
}


@dataclass
class Fetches:
    """A client: what it sends goes below ``/api/``."""

    server: Server
    native: Api

    @property
    def base(self) -> str:
        """What absolute URLs begin with."""
        return self.server.url

    async def get(self, path: str, params: Any = None, **options: Any) -> Reply:
        """GET a path below ``/api/``."""
        return await self.native.send("GET", f"{self.base}/api/{path}", params=params, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        """POST *body* as JSON, or what the options say."""
        if body is not None:
            options = {"data": orjson.dumps(body), **options}
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        return await self.native.send("POST", f"{self.base}/api/{path}", **options)

    async def ids(self, path: str = "jobs/", params: Any = None) -> list[int]:
        """The ids on one page of a list, which is all of it."""
        reply = await self.get(path, params)
        assert reply.status == 200, reply.body
        found = [job["id"] for job in reply.document["results"]]
        assert (reply.document["count"], reply.document["next"]) == (len(found), None)
        return found

    async def import_jobs(self, *jobs: dict[str, Any]) -> list[int]:
        """The ids of jobs with a past, each of which has *IMPORTED*'s members where it has none of its own."""
        reply = await self.native.post("jobs", [{**IMPORTED, **job} for job in jobs])
        assert reply.status == 201, reply.body
        return [job["id"] for job in reply.document["jobs"]]
