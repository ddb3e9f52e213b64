"""Closing, reopening, upgrading and deleting jobs of the workflow dialect, many at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobledger.ledger.domain.hold_commands import PlaceHold
from jobledger.ledger.domain.job_keeping import RetainJob
from tests.http.serving import Server
from tests.http.workflow.speaking import DIAGRAM, Workflow, error
from tests.world import ALICE, types_of


async def test_the_vendors_example(workflow: Workflow) -> None:
    """As the vendor's documentation has it: the request, and what comes back."""
    job_id = await workflow.native.register()
    reply = await workflow.manage("Close", str(job_id))
    assert (reply.status, reply.body) == (200, b'{"success":true}')

    reply = await workflow.manage("Close", "string")
    assert (reply.status, reply.document) == (
        400,
        error("0 of 1 jobs were managed.", "JobManageError", "string: There is no job string."),
    )


async def test_each_job_is_judged_by_itself(workflow: Workflow) -> None:
    for _ in range(3):
        await workflow.native.register()
    await workflow.native.register_running()

    reply = await workflow.manage("Close", "1", "4", "9", "2", "1", 3, "x")

    assert (reply.status, reply.document) == (
        400,
        error(
            "3 of 6 jobs were managed.",
            "JobManageError",
            "4: Job 4 is running.",
            "9: There is no job 9.",
            "x: There is no job x.",
        ),
    )
    assert [(await workflow.native.job(it))["closed"] for it in (1, 2, 3, 4)] == [True, True, True, False]
    assert (await workflow.manage("Close", "1", "2")).document == {"success": True}
    reply = await workflow.manage("Reopen", "1", "4")
    assert reply.document == error("1 of 2 jobs were managed.", "JobManageError", "4: Job 4 is open.")


async def test_upgrading(workflow: Workflow) -> None:
    """Not if closed, running, or standing at a step that the version has not; done if it goes through it already."""
    diagram_id = await workflow.diagram()
    await workflow.create(diagram_id, numberOfJobs=5)
    await workflow.native.register()
    assert (await workflow.manage("Upgrade", "1")).document == {"success": True}
    await workflow.act("2", "Run")
    await workflow.manage("Close", "3")
    await workflow.act("4", "SetCurrentStep", "b")
    steps = [{"id": "a", "name": "Look", "paths": []}]
    reply = await workflow.post(f"diagrams/{diagram_id}", {**DIAGRAM, "steps": steps})
    assert reply.document == {"success": True, "diagramVersion": 2}

    reply = await workflow.manage("Upgrade", *"123456")

    assert reply.document == error(
        "2 of 6 jobs were managed.",
        "JobManageError",
        "2: Job 2 is running.",
        "3: Job 3 is closed.",
        "4: The current step of job 4, b, is not in version 2 of its diagram.",
        "6: Job 6 goes through no diagram.",
    )
    shown = (await workflow.get("jobs/5")).document
    assert (shown["diagramVersion"], shown["currentSteps"][0]["stepName"]) == (2, "Look")
    assert await types_of(workflow.server.ledger, "job-5") == [
        "job.registered",
        "job.diagram_assigned",
        "job.upgraded",
    ]


async def test_deleting(workflow: Workflow) -> None:
    """Not if running, retained or held; afterwards it is in no list, and deleting it again is done."""
    for _ in range(3):
        await workflow.native.register()
    await workflow.native.register_running()
    await workflow.native.register(preceding_job_id=1)
    ledger = workflow.server.ledger
    await ledger.execute(RetainJob(caller=ALICE, job_id=2))
    await ledger.execute(PlaceHold(caller=ALICE, name="Case 7", job_ids=[3]))

    reply = await workflow.manage("Delete", *"1234")

    assert reply.status == 400
    assert reply.document == error(
        "1 of 4 jobs were managed.",
        "JobManageError",
        "2: Job 2 is retained until released (user).",
        "3: Job 3 is on legal hold: Case 7.",
        "4: Job 4 is running.",
    )
    assert (await workflow.manage("Delete", "1")).document == {"success": True}
    for path in ("jobs/1", "jobs/1/history", "jobs/1/attachments", "jobs/1/location"):
        assert (await workflow.get(path)).status == 404
    assert (await workflow.get("jobs/5")).document["jobStatus"] == "Discarded"
    found = await workflow.post("jobs/search", {"fields": ["jobId"]})
    assert found.document["results"] == [["2"], ["3"], ["4"], ["5"]]


async def test_a_missing_privilege_is_a_refusal_like_the_others(server: Server, workflow: Workflow) -> None:
    await workflow.native.register()
    poor = replace(workflow, native=await server.client("client"))

    for kind, capability in (("Close", "close"), ("Reopen", "reopen"), ("Upgrade", "upgrade"), ("Delete", "delete")):
        reply = await poor.manage(kind, "1")
        assert (reply.status, reply.document) == (
            400,
            error(
                "0 of 1 jobs were managed.",
                "InsufficientPrivilegesError",
                f"1: This needs the capability jobs.{capability}.",
            ),
        )
    reply = await poor.post("diagrams", DIAGRAM)
    assert (reply.status, reply.document["error"]["type"]) == (403, "InsufficientPrivilegesError")


async def test_ten_thousand_jobs_at_once_and_no_more(workflow: Workflow) -> None:
    reply = await workflow.manage("Close", *(str(it) for it in range(1, 10_002)))
    assert reply.document == error(
        "From 1 to 10000 jobs are managed at once.", "InvalidRequestError", *reply.document["error"]["details"]
    )
    assert (reply.status, reply.document["error"]["details"]) == (400, ["jobIds names more than 10000"])
    bodies: list[Any] = [{"type": "Close", "jobIds": []}, {"type": "Shut", "jobIds": ["1"]}, {"type": "Close"}, {}, []]
    for body in bodies:
        reply = await workflow.post("jobs/manage", body)
        assert (reply.status, reply.document["error"]["type"]) == (400, "InvalidRequestError")


async def test_a_million_ids_are_refused(workflow: Workflow) -> None:
    few = await workflow.manage("Delete", *map(str, range(100_001)))
    many = await workflow.manage("Delete", *map(str, range(1_000_000)))

    assert (few.status, few.document["error"]["details"]) == (400, ["jobIds has more than 100000 elements"])
    assert (many.status, many.document) == (
        413,
        error("A document holds at most 1000000 values.", "InvalidRequestError"),
    )
