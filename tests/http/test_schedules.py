"""Schedules over the native API: whole documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from tests.http.serving import Api, Reply, Server

DAILY = {"expression": "0 0 4 ? * *", "action": {"kind": "maintenance"}}
NOBODYS = "0b6f5f0e-3c0e-4a53-9d42-6f3c3c7a7c11"


@pytest.fixture
async def api(server: Server) -> Api:
    """A client that may do what operators may."""
    return await server.client("operator", name="ann")


async def create(api: Api, **members: Any) -> str:
    reply = await api.post("schedules", {**DAILY, **members})
    assert reply.status == 201, reply.body
    schedule_id: str = reply.document["id"]
    return schedule_id


async def delete(api: Api, schedule_id: str) -> Reply:
    return await api.send("DELETE", api.path(f"schedules/{schedule_id}"))


async def listed(api: Api, **params: Any) -> list[str]:
    reply = await api.get("schedules", params)
    assert reply.status == 200, reply.body
    return [it["id"] for it in reply.document["schedules"]]


def instants(texts: list[str]) -> list[datetime]:
    return [datetime.fromisoformat(it) for it in texts]


async def test_a_schedule_from_its_creation_to_its_end(api: Api) -> None:
    created = await api.post("schedules", DAILY)
    schedule_id = str(UUID(created.document["id"]))
    now = datetime.now(UTC)
    first = now.replace(hour=4, minute=0, second=0, microsecond=0)
    first += timedelta(days=0 if first > now else 1)
    assert created.status == 201
    assert created.headers["Location"] == f"/ledger/v1/acme/schedules/{schedule_id}"
    assert created.shown == ('{"id":"UUID","version":1,"next_at":"TIME","positions":[3],"recorded_at":"TIME"}').replace(
        "[3]", str(created.document["positions"])
    )

    shown = (await api.get(f"schedules/{schedule_id}")).document
    assert instants(shown.pop("next_fires")) == [first + timedelta(days=it) for it in range(5)]
    assert shown == {
        "id": schedule_id,
        "expression": "0 0 4 ? * *",
        "action": {"kind": "maintenance", "full_build": False},
        "state": "ACTIVE",
        "version": 1,
        "created_by": "ann",
        "created_at": created.document["recorded_at"],
        "next_at": first.isoformat().replace("+00:00", "Z"),
        "last_due_at": None,
        "last_executed_at": None,
        "last_job_id": None,
        "fires": 0,
        "missed": 0,
        "paused_at": None,
        "deleted_at": None,
    }

    ran = await api.post(f"schedules/{schedule_id}/run")
    assert (ran.status, ran.document["job_id"], ran.document["version"]) == (200, 1, 2)
    job = await api.job(1)
    assert (job["type"], job["state"]) == ("Aggregate Maintenance", "SCHEDULED")
    assert job["attributes"] == {"full_build": False, "schedule": schedule_id}

    paused = await api.post(f"schedules/{schedule_id}/pause", {"reason": "moving"})
    shown = (await api.get(f"schedules/{schedule_id}")).document
    assert (paused.document["next_at"], shown["state"], shown["next_fires"]) == (None, "PAUSED", [])
    assert shown["last_job_id"] == 1
    resumed = await api.post(f"schedules/{schedule_id}/resume")
    assert datetime.fromisoformat(resumed.document["next_at"]) == first

    assert (await delete(api, schedule_id)).status == 200
    assert (await delete(api, schedule_id)).status == 410
    shown = (await api.get(f"schedules/{schedule_id}")).document
    assert (shown["state"], shown["next_fires"]) == ("DELETED", [])


async def test_archives_and_exports_are_scheduled_by_who_may_ask_for_them(server: Server) -> None:
    """And are shown with all that they are; the documents are the same in XML."""
    officer = await server.client("compliance", name="cora", capabilities=["schedules.manage"])
    archive = {"kind": "archive", "older_than_days": 90, "purge": True, "type": "Backup", "domains": ["Sales"]}
    export = {"kind": "export", "last_days": 7, "render": "csv"}
    ids = [await create(officer, action=it) for it in (archive, export)]
    written = await officer.post_xml("schedules", {**DAILY, "action": archive})

    ran = await officer.post(f"schedules/{ids[0]}/run")
    refused = await (await server.client("admin", name="ann")).post("schedules", {**DAILY, "action": archive})

    shown = (await officer.get("schedules")).document["schedules"]
    assert [it["action"] for it in shown] == [archive, {**export, "private": False}, archive]
    assert written.status == 201
    made = (await officer.get(f"archives/{ran.document['job_id']}")).document
    assert (made["domains"], made["requested_by"]) == (["Sales"], "cora")
    assert (refused.status, refused.document["capability"]) == (403, "jobs.purge")
    assert await listed(officer, kind="export") == [ids[1]]


async def test_lists_go_by_creation_and_leave_out_what_was_deleted(api: Api) -> None:
    ids = [await create(api) for _ in range(4)]
    await api.post(f"schedules/{ids[1]}/pause")
    await delete(api, ids[2])

    assert await listed(api) == [ids[0], ids[1], ids[3]]
    assert await listed(api, deleted="true") == [ids[2]]
    assert await listed(api, active="true") == [ids[0], ids[3]]
    assert await listed(api, active="false", kind="maintenance") == [ids[1]]
    page = await api.get("schedules", {"limit": "2"})
    assert [it["id"] for it in page.document["schedules"]] == ids[:2]
    assert await listed(api, limit="2", cursor=page.document["next"]) == [ids[3]]


async def test_a_creation_under_the_same_key_is_done_once(api: Api) -> None:
    replies = [await api.post("schedules", DAILY, headers={"Idempotency-Key": "k"}) for _ in range(2)]

    assert replies[0].document == replies[1].document
    assert replies[1].headers["Idempotent-Replayed"] == "true"
    assert len(await listed(api)) == 1


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"expression": "0 0 24 ? * *"}, "The field hours, 24: 24 is not between 0 and 23."),
        ({"expression": "0 0 0 30 2 ?"}, "This expression never fires."),
        ({"expression": "0," * 500_000}, "Expression is not 1 to 2000 characters long."),
        ({"expression": None}, "Expression is missing."),
        ({"action": None}, "Action is missing."),
        ({"action": {}}, "Action is no action: kind is missing."),
        ({"action": "maintenance"}, "Action is not an object with a kind."),
        ({"action": {"kind": "fly"}}, "Action is no action: kind is none of maintenance, archive, export."),
        ({"action": {"kind": "archive"}}, "The action archive needs older_than_days."),
        (
            {"action": {"kind": "archive", "older_than_days": -1}},
            "Action is no action: older_than_days is not between 0 and 36600.",
        ),
        ({"action": {"kind": "maintenance", "purge": True}}, "The action maintenance has no purge."),
        ({"action": {"kind": "maintenance", "path": "/"}}, "Action is no action: path is not known here."),
        ({"colour": "blue"}, "Colour is not known here."),
    ],
)
async def test_bad_input_is_refused_and_changes_nothing(api: Api, members: dict[str, Any], told: str) -> None:
    reply = await api.post("schedules", {**DAILY, **members})

    assert (reply.status, reply.document["detail"]) == (400, told)
    assert await listed(api) == []


async def test_an_expression_that_is_refused_names_its_field(api: Api) -> None:
    reply = await api.post("schedules", {**DAILY, "expression": "0 61 0 ? * *"})

    assert (reply.document["code"], reply.document["field"]) == ("invalid_expression", "minutes")


async def test_a_schedule_is_found_by_its_id_in_its_org_alone(server: Server, api: Api) -> None:
    schedule_id = await create(api)
    await server.ledger.create_org("globex")
    other = await server.client("operator", org="globex")

    for client, given in ((api, NOBODYS), (api, "1"), (api, "nonsense"), (other, schedule_id)):
        assert (await client.get(f"schedules/{given}")).status == 404
        assert (await client.post(f"schedules/{given}/run")).status == 404
        assert (await delete(client, given)).status == 404
    assert await listed(other) == []


async def test_it_is_spoken_in_xml_too(api: Api) -> None:
    created = await api.post_xml("schedules", {**DAILY, "action": {"kind": "maintenance", "full_build": True}})
    shown = await api.get(f"schedules/{created.document['id']}", headers={"Accept": "application/xml"})

    assert created.status == 201
    assert b"<action><kind>maintenance</kind><full_build>true</full_build></action>" in shown.body
    assert shown.body.count(b"<next_fires>") == 5
