"""What is said of a job, here and natively: extended properties, and what null means."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.serving import Api, Reply
from tests.http.workflow.speaking import Workflow

POINT = {"geometryType": "Point", "geometry": '{"x":1,"y":2}'}
SAID: dict[str, Any] = {
    "priority": "High",
    "description": "d",
    "notes": "n",
    "startDate": "2026-01-02T03:04:05.000000Z",
    "dueDate": "2026-02-02T02:04:05.000000Z",
    "ownedBy": "ann",
    "assignedType": "User",
    "assignedTo": "bob",
    "parentJob": "1",
    "location": POINT,
    "extendedProperties": [{"identifier": "a", "value": 1}],
}
NATIVE = {
    "startDate": "start_date",
    "dueDate": "due_date",
    "ownedBy": "owned_by",
    "assignedType": "assigned_type",
    "assignedTo": "assigned_to",
    "parentJob": "parent_job_id",
    "extendedProperties": "extended_properties",
}


@pytest.mark.parametrize("is_native", [False, True])
async def test_null_says_that_there_is_none(workflow: Workflow, api: Api, is_native: bool) -> None:
    """Of every member that a job can be without; it has a name always, of which null says nothing."""
    [_, job_id] = await workflow.create(await workflow.diagram(), numberOfJobs=2)

    async def update(members: dict[str, Any]) -> Reply:
        if not is_native:
            return await workflow.post(f"jobs/{job_id}/update", members)
        return await api.post(f"jobs/{job_id}/update", {NATIVE.get(name, name): it for name, it in members.items()})

    async def shown() -> dict[str, Any]:
        job: dict[str, Any] = (await workflow.get(f"jobs/{job_id}", params={"extProps": "true"})).document
        return {**{name: job.get(name) for name in SAID}, "location": job["hasLocation"]}

    bare = await shown()
    assert (await update(SAID)).status == 200
    assert await shown() == {**SAID, "location": True}
    for name in SAID:
        reply = await update({name: None})

        assert reply.status == 200, reply.body
        assert await shown() == {**SAID, "location": True} | {name: bare[name]}, name
        assert (await update({name: SAID[name]})).status == 200
    nothing = dict.fromkeys(SAID)
    assert (await update(nothing)).status == 200
    assert await shown() == bare
    version = (await api.job(int(job_id)))["version"]
    assert (await update({**nothing, "name" if is_native else "jobName": None})).status == 200
    assert (await api.job(int(job_id)))["version"] == version
    template = await workflow.create("1", **nothing)
    assert (await workflow.get(f"jobs/{template[0]}")).document["extendedProperties"] == []
    natively = await api.post("templates/1/jobs", {NATIVE.get(name, name): None for name in SAID} | {"domain": None})
    assert natively.status == 201, natively.body


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        (
            [{"identifier": "a", "value": 1}, {"identifier": "a", "value": 2}],
            "Two extended properties have the identifier a.",
        ),
        ([{"value": 1}], " holds a property of which identifier is missing."),
        ([{"identifier": None}], " holds a property of which identifier is missing."),
        ([{"identifier": 1}], " holds a property of which identifier is not a string."),
        ([{"identifier": ""}], " holds a property of which identifier is not 1 to 500 characters long."),
        (["a"], " is not an object."),
    ],
)
async def test_what_is_no_list_of_extended_properties(
    workflow: Workflow, api: Api, properties: list[Any], said: str
) -> None:
    """It is refused in one way, on creating a job as on updating it, here as natively."""
    [job_id] = await workflow.create(await workflow.diagram())
    for send, path, name in (
        (workflow.post, "jobTemplates/1/job", "extendedProperties"),
        (workflow.post, f"jobs/{job_id}/update", "extendedProperties"),
        (api.post, "templates/1/jobs", "extended_properties"),
        (api.post, f"jobs/{job_id}/update", "extended_properties"),
    ):
        reply = await send(path, {name: properties})

        assert reply.status == 400, reply.body
        told = reply.document["detail"] if send == api.post else reply.document["error"]["message"]
        assert told == (f"{name[0].upper()}{name[1:]}{said}" if said[0] == " " else said)
    assert (await api.job(int(job_id)))["version"] == 2
    assert (await api.get("jobs")).document["jobs"][0]["id"] == int(job_id)
