"""Speaking the maintenance dialect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tests.http.serving import Api, Reply, Server

SCHEDULES = "aggregates/maintenance/scheduler/jobs/orgId/acme"
DAILY = {"time_expression": "0 0 4 ? * * *", "scheduler_type": "time-based"}


def deletion(job_id: str, org: str = "acme") -> str:
    """The path that deletes a schedule."""
    return f"api/1.0/aggregates/maintenance-schedule/jobs/orgId/{org}/jobId/{job_id}"


def run(org: str = "acme") -> str:
    """The path that runs maintenance at once."""
    return f"api/1.0/aggregates/maintenance/orgId/{org}/run-immediately"


def must_be_now(moment: str) -> None:
    """*moment* has six digits of a fraction and Z, and was a moment ago."""
    at = datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert len(moment) == len("2022-04-02T14:34:23.585278Z")
    assert timedelta(0) <= datetime.now(UTC) - at < timedelta(minutes=1)


@dataclass
class Maintenance:
    """A client."""

    server: Server
    native: Api

    async def get(self, path: str = SCHEDULES, **options: Any) -> Reply:
        """GET a path."""
        return await self.native.send("GET", f"{self.server.url}/{path}", **options)

    async def delete(self, job_id: str, org: str = "acme", **options: Any) -> Reply:
        """Delete a schedule."""
        return await self.native.send("DELETE", f"{self.server.url}/{deletion(job_id, org)}", **options)

    async def post(self, path: str = SCHEDULES, body: Any = None, **options: Any) -> Reply:
        """POST *body* as JSON, or what the options say."""
        if body is not None:
            options = {"data": orjson.dumps(body), **options}
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        return await self.native.send("POST", f"{self.server.url}/{path}", **options)

    async def create(self, **members: Any) -> str:
        """A schedule's id."""
        reply = await self.post(body={**DAILY, **members})
        assert reply.status == 200, reply.body
        job_id: str = reply.document["response"]["job_id"]
        return job_id

    async def listed(self, **params: str) -> list[str]:
        """The ids of the schedules listed."""
        reply = await self.get(params=params)
        assert reply.status == 200, reply.body
        return [it["job_id"] for it in reply.document["response"]]
