"""Speaking the copies dialect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.http.serving import Api, Reply, Server

OPERATIONS = "V4/Plan/BackupDestination/JobOperations"
PREFIXES = ("/webconsole/api", "/commandcenter/api")
BACKUP: dict[str, Any] = {
    "server": {"id": 2, "name": "db1"},
    "agentType": {"id": 33, "name": "Windows File System"},
    "subClient": {"id": 5, "name": "default"},
    "instance": {"id": 1, "name": "DefaultInstanceName"},
    "backupSet": {"id": 3, "name": "defaultBackupSet"},
    "region": {"id": 4, "name": "Europe"},
    "jobType": "Full",
    "sizeOfApplication": 10**12,
    "dataWritten": 4 * 10**11,
    "savingPercentage": 60.5,
    "avgThroughput": 812.25,
    "username": "backup operator",
    "description": "nightly full",
    "dataVerificationStatus": 5,
    "lastVerifiedOn": "2026-01-03T00:00:00Z",
    "hardwareEncrypted": False,
    "encrypted": True,
    "deduplicated": True,
    "parentJobId": 12,
    "jobAttributesEx": 2**40,
}
ENDED = {
    "type": "backup",
    "name": "nightly",
    "state": "SUCCESS",
    "started_at": "2026-01-02T00:00:00Z",
    "ended_at": "2026-01-02T01:02:03.5Z",
}


async def register_copies(api: Api) -> None:
    """Three copies of policy 7, and one of policy 8."""
    for copy_id in (9, 10, 11, 20):
        body = {
            "name": f"Copy {copy_id}",
            "storage_policy_id": 8 if copy_id == 20 else 7,
            "storage_policy_name": "Other" if copy_id == 20 else "Nightly",
            "precedence": 1 if copy_id == 20 else copy_id - 8,
            "is_default": copy_id in (9, 20),
        }
        reply = await api.put(f"copies/{copy_id}", body)
        assert reply.status == 201, reply.body


@dataclass
class Copies:
    """A client: what it sends goes below a prefix of the dialect."""

    server: Server
    native: Api
    prefix: str = PREFIXES[0]
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shown = self.native.headers.get("Authorization", "")
        if shown.startswith("Bearer "):
            self.headers["Authtoken"] = f"QSDK {shown.removeprefix('Bearer ')}"

    async def send(self, method: str, path: str, **options: Any) -> Reply:
        """Send to a path below the prefix, with what this client shows."""
        headers = {**self.headers, **options.pop("headers", {})}
        nobody = Api(self.server.session, self.server.url)
        url = f"{self.server.url}{self.prefix}/{path}"
        return await nobody.send(method, url, headers={name: it for name, it in headers.items() if it}, **options)

    async def get(self, path: str, params: Any = None, **options: Any) -> Reply:
        """GET a path."""
        return await self.send("GET", path, params=params, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        """POST *body* as JSON, or what the options say."""
        if body is not None:
            options = {"data": orjson.dumps(body), **options}
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        return await self.send("POST", path, **options)

    async def operate(
        self, operation: str, *job_ids: int, copy_id: int = 9, headers: Any = None, **members: Any
    ) -> Reply:
        """One of the six operations."""
        body = {
            "storagePolicyId": 7,
            "copyId": copy_id,
            "commcellId": 2,
            "opType": operation,
            "jobIds": list(job_ids),
            **members,
        }
        return await self.post(OPERATIONS, body, headers=headers or {})

    async def job_ids(self, params: Any = None, copy_id: int = 9) -> list[int]:
        """The ids in a copy's list."""
        reply = await self.get(f"V4/Plan/BackupDestination/{copy_id}/Jobs", params)
        assert reply.status == 200, reply.body
        return [it["jobId"] for it in reply.document["jobs"]]

    async def register(self, *jobs: dict[str, Any]) -> list[int]:
        """The ids of jobs that have ended and lie on copy 9, but for what is said of each."""
        each = [{**ENDED, "backup": BACKUP, "copies": [{"id": 9}], **it} for it in jobs]
        reply = await self.native.post("jobs", each)
        assert reply.status == 201, reply.body
        return [it["id"] for it in reply.document["jobs"]]
