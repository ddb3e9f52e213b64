"""Jobs of the workflow dialect: creating, updating, managing them, and the way through their diagrams."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jobledger.ledger.domain.access import CAPABILITIES_BY_ROLE
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from tests.http.serving import Api, Server
from tests.http.workflow.speaking import DIAGRAM, Workflow, error
from tests.world import ALICE, ORG

POINT = {"geometryType": "Point", "geometry": '{"x":1,"y":2}'}
PROPERTY = {"identifier": "permit.owner", "value": "Ann Example"}


async def test_a_job_as_a_whole(workflow: Workflow) -> None:
    await workflow.diagram()
    [parent, job_id] = await workflow.create("1", numberOfJobs=2)
    reply = await workflow.post(
        f"jobs/{job_id}/update",
        {
            "jobName": "Elm Street 5",
            "priority": "High",
            "description": "d",
            "notes": "n",
            "startDate": "2026-01-02T03:04:05Z",
            "dueDate": "2026-02-02T03:04:05+01:00",
            "ownedBy": "ann",
            "assignedType": "User",
            "assignedTo": "bob",
            "parentJob": parent,
            "location": POINT,
            "extendedProperties": [PROPERTY],
            "somethingElse": {"is": "ignored"},
        },
    )
    assert (reply.status, reply.document) == (200, {"success": True})

    reply = await workflow.get(f"jobs/{job_id}", params={"extProps": "true", "holds": "true", "f": "json"})

    shown = reply.document
    assert shown.pop("createdDate").endswith("Z")
    assert shown.pop("createdBy").startswith("somebody-")
    assert shown == {
        "jobId": "2",
        "jobName": "Elm Street 5",
        "jobStatus": "Ready To Work",
        "priority": "High",
        "ownedBy": "ann",
        "startDate": "2026-01-02T03:04:05.000000Z",
        "startedDate": None,
        "dueDate": "2026-02-02T02:04:05.000000Z",
        "endDate": None,
        "description": "d",
        "notes": "n",
        "percentComplete": 0,
        "parentJob": "1",
        "assignedType": "User",
        "assignedTo": "bob",
        "diagramId": "1",
        "diagramName": "Permit",
        "diagramVersion": 1,
        "jobTemplateId": "1",
        "jobTemplateName": "Permit",
        "currentSteps": [
            {"stepId": "a", "stepName": "Survey", "assignedTo": "ann", "assignedType": "User", "canSkip": False}
        ],
        "extendedProperties": [PROPERTY],
        "holds": [],
        "hasLocation": True,
        "closed": False,
        "archived": False,
    }
    before = await workflow.server.ledger.recorder.head(ORG)
    assert (await workflow.post(f"jobs/{job_id}/update", reply.document)).status == 200
    plain = (await workflow.get(f"jobs/{job_id}")).document
    assert (plain["extendedProperties"], plain["holds"]) == ([], [])
    assert (await workflow.post(f"jobs/{job_id}/update", plain)).status == 200
    assert (await workflow.server.ledger.recorder.head(ORG)).size == before.size


async def test_where_a_job_is(workflow: Workflow) -> None:
    [job_id] = await workflow.create(await workflow.diagram())

    assert (await workflow.get(f"jobs/{job_id}/location")).document == {"location": None}
    assert (await workflow.send("PUT", f"jobs/{job_id}/location", {"location": POINT})).document == {"success": True}
    assert (await workflow.get(f"jobs/{job_id}/location")).document == {"location": POINT}
    for body in ({}, {"location": 7}, {"location": {"geometryType": "Point"}}, {"location": POINT, "x": 1}, [POINT]):
        assert (await workflow.send("PUT", f"jobs/{job_id}/location", body)).status == 400
    assert (await workflow.send("PUT", f"jobs/{job_id}/location", {"location": None})).status == 200
    assert (await workflow.get(f"jobs/{job_id}/location")).document == {"location": None}


async def test_the_way_through_a_diagram(workflow: Workflow) -> None:
    [job_id] = await workflow.create(await workflow.diagram())

    assert await workflow.act(job_id, "Finish", "a") == {
        "success": False,
        "stepResponses": [
            {"stepId": "a", "status": "Error", "statusDescription": "Step a was not run, and cannot be skipped."}
        ],
    }
    assert await workflow.act(job_id, "Run") == {
        "success": True,
        "stepResponses": [{"stepId": "a", "status": "Success", "statusDescription": ""}],
    }
    assert (await workflow.act(job_id, "Stop"))["success"]
    assert (await workflow.act(job_id, "Run", "a"))["success"]
    assert (await workflow.act(job_id, "Finish", "a"))["success"]
    shown = (await workflow.get(f"jobs/{job_id}")).document
    assert (shown["jobStatus"], shown["percentComplete"]) == ("In Progress", 50)
    assert (await workflow.act(job_id, "Finish", "b"))["success"]
    shown = (await workflow.get(f"jobs/{job_id}")).document
    assert (shown["jobStatus"], shown["percentComplete"], shown["currentSteps"]) == ("Done", 100, [])
    reply = await workflow.post(f"jobs/{job_id}/action", {"type": "Run"})
    assert (reply.status, reply.document) == (400, error("Job 1 has ended: SUCCESS.", "JobManageError"))

    reply = await workflow.get(f"jobs/{job_id}/history")
    history = reply.document["jobHistory"]
    assert [(it["action"], it["stepId"]) for it in history] == [
        ("Created", None),
        ("Assigned", None),
        ("Started", None),
        ("Started", "a"),
        ("Paused", "a"),
        ("Started", "a"),
        ("Finished", "a"),
        ("Finished", "b"),
        ("Finished", None),
    ]
    assert {it["jobId"] for it in history} == {job_id}
    assert all(it["username"].startswith("somebody-") for it in history)
    page = (await workflow.get(f"jobs/{job_id}/history", params={"start": 2, "num": 3})).document
    assert (page["jobHistory"], page["nextStart"]) == (history[2:5], 5)


async def test_holding_a_job(server: Server, workflow: Workflow) -> None:
    """Its steps do not run meanwhile, whatever hold it is; releasing it leaves the holds that others placed."""
    [job_id] = await workflow.create(await workflow.diagram())
    keeper = replace(workflow, native=await server.client("compliance", "operator"))

    reply = await workflow.post(f"jobs/{job_id}/action", {"type": "Hold"})
    assert (reply.status, reply.document["error"]["type"]) == (403, "InsufficientPrivilegesError")
    for _ in range(2):
        assert await keeper.act(job_id, "Hold") == {"success": True, "stepResponses": []}
    reply = await workflow.post(f"jobs/{job_id}/action", {"type": "Run"})
    assert (reply.status, reply.document) == (400, error("Job 1 is on legal hold: Job 1.", "JobManageError"))
    holds = (await workflow.get(f"jobs/{job_id}", params={"holds": "true"})).document["holds"]
    assert [(it["holdId"], it["name"], it["isFilter"]) for it in holds] == [("1", "Job 1", False)]
    await keeper.act(job_id, "ReleaseHold")
    await keeper.act(job_id, "ReleaseHold")
    case = PlaceHold(caller=ALICE, name="Case 7", job_ids=[int(job_id)])
    placed = await workflow.server.ledger.execute(case)
    await keeper.act(job_id, "ReleaseHold")
    reply = await workflow.post(f"jobs/{job_id}/action", {"type": "Run"})
    assert reply.document == error("Job 1 is on legal hold: Case 7.", "JobManageError")
    settled = ReleaseHold(caller=ALICE, hold_id=placed.result["id"], reason="settled")
    await workflow.server.ledger.execute(settled)
    assert (await workflow.act(job_id, "Run"))["success"]
    actions = [it["action"] for it in (await workflow.get(f"jobs/{job_id}/history")).document["jobHistory"]]
    assert actions == ["Created", "Assigned", *["Held", "HoldReleased"] * 2, "Started", "Started"]


async def test_all_own_holds_of_a_job_are_released_in_one_append(server: Server, workflow: Workflow) -> None:
    """Those over other jobs beside it, or of another name, stay. A repeat releases nothing that was placed since."""
    job_id, _ = await workflow.create(await workflow.diagram(), numberOfJobs=2)
    keeper = replace(workflow, native=await server.client("compliance", "operator"))
    ledger = workflow.server.ledger
    for name, job_ids in (("Job 1", [1]), ("Job 1", [1, 2]), ("Job 1", [1]), ("Case 7", [1])):
        await ledger.execute(PlaceHold(caller=ALICE, name=name, job_ids=job_ids))
    size = (await ledger.recorder.head(ORG)).size
    key = {"Idempotency-Key": "once"}

    released = await keeper.post(f"jobs/{job_id}/action", {"type": "ReleaseHold"}, headers=key)
    await keeper.act(job_id, "Hold")
    again = await keeper.post(f"jobs/{job_id}/action", {"type": "ReleaseHold"}, headers=key)

    assert released.document == again.document == {"success": True, "stepResponses": []}
    events = (await ledger.recorder.page(ORG, size - 1, 10)).events
    headers = [it.envelope() for it in events]
    assert [it["type"] for it in headers[:4]] == ["hold.released", "job.hold_released"] * 2
    assert len({it["recorded_at"] for it in headers[:4]}) == 1
    assert [it["type"] for it in headers[4:]] == ["hold.placed", "job.hold_placed"]
    assert (await ledger.job(ORG, 1)).holds.keys() == {"2", "4", "5"}


async def test_a_parent_lies_above(workflow: Workflow) -> None:
    """Natively it is a conflict."""
    await workflow.create(await workflow.diagram(), numberOfJobs=2)
    assert (await workflow.post("jobs/2/update", {"parentJob": "1"})).status == 200

    reply = await workflow.post("jobs/1/update", {"parentJob": "2"})
    native = await workflow.native.post("jobs/1/update", {"parent_job_id": 2})

    assert (reply.status, reply.document["error"]["type"]) == (400, "JobManageError")
    assert (native.status, native.document["code"]) == (409, "job_is_below")


async def test_templates_and_what_creating_refuses(workflow: Workflow) -> None:
    await workflow.diagram()
    await workflow.diagram(diagramName="Draft", active=False)

    assert (await workflow.get("jobTemplates")).document == {
        "jobTemplates": [
            {
                "jobTemplateId": "1",
                "jobTemplateName": "Permit",
                "diagramId": "1",
                "diagramName": "Permit",
                "description": "How permits go",
                "state": "Active",
                "defaultPriorityName": None,
                "defaultJobName": None,
                "defaultAssignedType": None,
                "defaultAssignedTo": None,
            }
        ]
    }
    for template_id, body, status in (
        ("1", {"numberOfJobs": 0}, 400),
        ("1", {"numberOfJobs": 5_001}, 400),
        ("1", {"numberOfJobs": "many"}, 400),
        ("1", {"parentJob": "77"}, 404),
        ("1", {"jobName": ""}, 400),
        ("1", {"dueDate": "tomorrow"}, 400),
        ("1", {"extendedProperties": [{"value": 1}]}, 400),
        ("1", [], 400),
        ("2", {}, 404),
        ("3", {}, 404),
        ("x", {}, 404),
    ):
        reply = await workflow.post(f"jobTemplates/{template_id}/job", body)
        assert reply.status == status, (template_id, body, reply.body)
        assert reply.document["error"].keys() == {"message", "type", "details"}
    assert (await workflow.post("jobs/search", {})).document["results"] == []


@pytest.mark.parametrize("path", ["jobs/manage", "jobs/1/update", "jobs/1/action", "jobTemplates/1/job", "diagrams"])
async def test_an_idempotency_key_is_honoured(workflow: Workflow, path: str) -> None:
    await workflow.create(await workflow.diagram())
    body: Any = {
        "jobs/manage": {"type": "Close", "jobIds": ["1", "x"]},
        "jobs/1/update": {"notes": "n"},
        "jobs/1/action": {"type": "Run"},
        "diagrams": DIAGRAM,
    }.get(path, {"jobName": "n"})
    key = {"Idempotency-Key": "a key"}

    first = await workflow.post(path, body, headers=key)
    size = (await workflow.server.ledger.recorder.head(ORG)).size
    again = await workflow.post(path, body, headers=key)

    assert (again.status, again.body) == (first.status, first.body)
    assert (await workflow.server.ledger.recorder.head(ORG)).size == size


async def test_items_are_domains(server: Server, workflow: Workflow) -> None:
    """In an org of Global alone any item means it; else an item is a domain, and shows its jobs alone."""
    diagram_id = await workflow.diagram()
    anything = replace(workflow, item="workflow/7c9e6679f3a24d6f")
    assert await anything.create(diagram_id) == ["1"]
    assert (await workflow.native.job(1))["domain"] == "Global"
    sales = replace(workflow, native=await server.client("operator", home_domain="Sales", domains=("Sales",)))
    sales.item = "acme/Sales"

    assert await sales.create(diagram_id) == ["2"]
    assert (await workflow.native.job(2))["domain"] == "Sales"
    for client, item, path, status in (
        (workflow, "acme/Global", "jobs/1", 200),
        (workflow, "acme/Global", "jobs/2", 404),
        (workflow, "workflow/Sales", "jobs/2", 200),
        (workflow, "workflow/Sales", "jobs/1", 404),
        (workflow, "acme/7c9e6679f3a24d6f", "jobs/1", 404),
        (sales, "acme/Global", "jobs/1", 404),
        (sales, "acme/Sales", "jobs/1", 404),
        (workflow, "other/Global", "jobs/1", 404),
        (workflow, "nowhere/Global", "jobs/1", 404),
        (workflow, "acme/Global", "nothing", 404),
        (workflow, "acme/Global", "checkStatus", 200),
        (workflow, "acme/Nowhere", "healthCheck", 404),
    ):
        reply = await replace(client, item=item).get(path)
        assert reply.status == status, (item, path, reply.body)
        if status == 404:
            assert reply.document["error"]["type"] == "NotFoundError"
    reply = await replace(workflow, item="acme/Global").manage("Close", "1", "2")
    assert reply.document == error("1 of 2 jobs were managed.", "JobManageError", "2: There is no job 2.")


def test_the_roles_have_what_the_vendors_privileges_mean() -> None:
    assert {"jobs.close", "jobs.reopen", "jobs.upgrade", "jobs.delete"} <= CAPABILITIES_BY_ROLE["operator"]


async def test_a_token_in_the_query(server: Server, api: Api) -> None:
    """On these paths alone; the header wins."""
    token = api.headers["Authorization"].removeprefix("Bearer ")
    nobody = Workflow(server, server.api())
    await api.register()

    assert (await nobody.get("jobs/1", params={"token": token})).status == 200
    reply = await nobody.get("jobs/1", params={"token": token}, headers={"Authorization": "Bearer x"})
    assert (reply.status, reply.document) == (401, error("Valid credentials are needed.", "InvalidTokenError"))
    assert (await nobody.get("jobs/1", params={"token": "x"})).status == 401
    assert (await nobody.get("jobs/1")).status == 401
    assert (await nobody.native.get("jobs/1", params={"token": token})).status == 401
