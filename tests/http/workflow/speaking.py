"""Speaking the workflow dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from tests.http.serving import Api, Reply, Server

DIAGRAM: dict[str, Any] = {
    "diagramName": "Permit",
    "description": "How permits go",
    "active": True,
    "initialStepId": "a",
    "displayGrid": True,
    "steps": [
        {
            "id": "a",
            "name": "Survey",
            "assignedType": "User",
            "assignedTo": "ann",
            "canSkip": False,
            "position": "1 2 3 4",
            "paths": [{"nextStep": "b", "points": []}],
        },
        {"id": "b", "name": "Check", "canSkip": True, "paths": []},
    ],
}


def error(message: str, kind: str, *details: str) -> Any:
    """The document of a refusal."""
    return {"error": {"message": message, "type": kind, "details": list(details)}}


@dataclass
class Workflow:
    """A client: what it sends goes below an org and an item."""

    server: Server
    native: Api
    item: str = "acme/Global"

    @property
    def base(self) -> str:
        """What its URLs begin with."""
        return f"{self.server.url}/{self.item}"

    async def send(self, method: str, path: str, body: Any = None, **options: Any) -> Reply:
        """Send *body* as JSON, or what the options say."""
        if body is not None:
            options = {"data": orjson.dumps(body), **options}
            options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
        return await self.native.send(method, f"{self.base}/{path}", **options)

    async def get(self, path: str, **options: Any) -> Reply:
        """GET a path of the item."""
        return await self.send("GET", path, **options)

    async def post(self, path: str, body: Any = None, **options: Any) -> Reply:
        """POST to a path of the item."""
        return await self.send("POST", path, body, **options)

    async def diagram(self, **members: Any) -> str:
        """The id of a diagram, active unless told otherwise."""
        reply = await self.post("diagrams", {**DIAGRAM, **members})
        assert reply.status == 200, reply.body
        diagram_id: str = reply.document["diagramId"]
        return diagram_id

    async def create(self, template_id: str, **members: Any) -> list[str]:
        """The ids of jobs created from a template."""
        reply = await self.post(f"jobTemplates/{template_id}/job", members)
        assert reply.status == 200, reply.body
        job_ids: list[str] = reply.document["jobIds"]
        return job_ids

    async def manage(self, kind: str, *job_ids: Any, **options: Any) -> Reply:
        """Manage jobs."""
        return await self.post("jobs/manage", {"type": kind, "jobIds": list(job_ids)}, **options)

    async def act(self, job_id: str, kind: str, *step_ids: str) -> Any:
        """What an action answers."""
        reply = await self.post(f"jobs/{job_id}/action", {"type": kind, "stepIds": list(step_ids)})
        assert reply.status == 200, reply.body
        return reply.document

    async def attach(self, job_id: str, body: bytes, name: str = "plan.txt", **options: Any) -> Reply:
        """Attach a file to a job."""
        head = f'--b\r\nContent-Disposition: form-data; name="attachment"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=b", **options.pop("headers", {})}
        form = head.encode() + body + b"\r\n--b--\r\n"
        return await self.send("POST", f"jobs/{job_id}/attachments", data=form, headers=headers, **options)
