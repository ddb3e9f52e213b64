"""Holds and ends of jobs, as the workflow dialect tells of them."""

from __future__ import annotations

from jobledger.ledger.domain.hold import HoldFilter
from jobledger.ledger.domain.hold_commands import PlaceHold, ReleaseHold
from tests.http.workflow.speaking import Workflow
from tests.world import ALICE


async def test_a_hold_over_a_filter_is_told_with_each_job_that_it_covers(workflow: Workflow) -> None:
    """In the job and in its history, behind those that list the job; no more once it is released."""
    ledger = workflow.server.ledger
    await workflow.native.register(type="permit")
    await workflow.native.register(type="another")
    await ledger.execute(
        PlaceHold(caller=ALICE, name="All permits", reason="a lawsuit", filter=HoldFilter(type="permit"))
    )
    await ledger.execute(PlaceHold(caller=ALICE, name="Case 7", job_ids=[1]))

    shown = await workflow.get("jobs/1", params={"holds": "true"})
    history = await workflow.get("jobs/1/history")
    other = (await workflow.get("jobs/2/history")).document["jobHistory"]

    assert (shown.status, history.status) == (200, 200)
    holds = shown.document["holds"]
    assert all(it.pop("holdDate").endswith("Z") for it in holds)
    assert holds == [
        {"holdId": "2", "name": "Case 7", "reason": None, "isFilter": False},
        {"holdId": "1", "name": "All permits", "reason": "a lawsuit", "isFilter": True},
    ]
    told = [(it["action"], it["message"], it["type"]) for it in history.document["jobHistory"][1:]]
    assert told == [("Held", "Case 7", "job.hold_placed"), ("Held", "All permits", "hold.placed")]
    assert [it["action"] for it in other] == ["Created"]
    for hold_id in (1, 2):
        await ledger.execute(ReleaseHold(caller=ALICE, hold_id=hold_id, reason="settled"))
    assert (await workflow.get("jobs/1", params={"holds": "true"})).document["holds"] == []


async def test_of_a_job_that_failed_the_history_says_so(workflow: Workflow) -> None:
    """Of all else that was done, that it was."""
    await workflow.native.register_running()
    assert (await workflow.native.post("jobs/1/fail", {"error": "no route to host"})).status == 200

    history = (await workflow.get("jobs/1/history")).document["jobHistory"]

    told = [(it["action"], it["result"], it["message"]) for it in history]
    assert told[1:] == [("Started", "Success", None), ("Error", "Error", "no route to host")]
    assert told[0][:2] == ("Created", "Success")
