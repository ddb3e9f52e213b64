"""Time travel over the native API: jobs, their events, lists and principals as they stood; and who did what."""

from __future__ import annotations

import pytest

from tests.cluster import session
from tests.http.serving import Api, Server
from tests.http.test_job_lists import next_url
from tests.world import ORG


async def size_of(api: Api) -> int:
    return int((await api.get("events", {"limit": "1000"})).document["events"][-1]["header"]["position"]) + 1


async def test_a_job_its_events_and_lists_as_they_stood(server: Server) -> None:
    api = await server.client("operator", "auditor")
    first, second = await api.register(name="one"), await api.register(name="two")
    begin = await size_of(api)
    await api.post(f"jobs/{first}/start")
    await api.post(f"jobs/{first}/progress", {"progress": 0.5})
    await api.post(f"jobs/{first}/succeed")
    started = {"as_of": str(begin)}

    job = (await api.get(f"jobs/{first}", started)).document
    assert (job["state"], job["progress"], job["version"]) == ("RUNNING", 0.0, 2)
    assert (await api.get(f"jobs/{first}", {"as_of": str(begin + 1)})).document["progress"] == 0.5
    events = (await api.get(f"jobs/{first}/events", started)).document
    assert [it["header"]["type"] for it in events["events"]] == ["job.registered", "job.started"]
    assert events["next_after"] is None
    lines = await api.get(f"jobs/{first}/events", started, headers={"Accept": "application/x-ndjson"})
    assert len(lines.lines) == 2
    running = (await api.get("jobs", {**started, "state": "RUNNING"})).document["jobs"]
    assert [it["id"] for it in running] == [first]
    page = await api.get("jobs", {**started, "limit": "1"})
    assert [it["id"] for it in page.document["jobs"]] == [first]
    following = await api.get("jobs", {**started, "limit": "1", "cursor": page.document["next"]})
    assert ([it["id"] for it in following.document["jobs"]], next_url(following)) == ([second], None)
    for altered in ({"as_of": str(begin + 1)}, {}):
        assert (await api.get("jobs", {**altered, "limit": "1", "cursor": page.document["next"]})).status == 400
    csv = await api.get("jobs", started, headers={"Accept": "text/csv"})
    assert [it.split(",")[4] for it in csv.body.decode().split("\r\n")[1:3]] == ["RUNNING", "SCHEDULED"]
    xml = await api.get(f"jobs/{first}", started, headers={"Accept": "application/xml"})
    assert xml.document["state"] == "RUNNING"
    assert (await api.get(f"jobs/{second}", {"as_of": "1"})).status == 404
    at = (await api.get(f"jobs/{first}/events")).document["events"][1]["header"]["recorded_at"]
    assert (await api.get(f"jobs/{first}", {"as_of": at})).document == job
    assert (await api.get("jobs", {"as_of": "2001-01-01T00:00:00Z"})).document == {"jobs": [], "next": None}
    assert (await api.get(f"jobs/{first}", {"as_of": "2001-01-01T00:00:00Z"})).status == 404


@pytest.mark.parametrize("path", ["jobs", "jobs/1", "jobs/1/events", "principals"])
@pytest.mark.parametrize("wrong", ["maybe", "-1", "1.5", "", "999999", "2090-01-01T00:00:00Z", "2026-01-01", "9" * 30])
async def test_what_is_no_moment_of_the_past_is_refused(server: Server, path: str, wrong: str) -> None:
    api = await server.client("operator", "auditor")
    await api.register()

    reply = await api.get(path, {"as_of": wrong})

    assert (reply.status, "as_of" in reply.body.decode()) == (400, True)


async def test_what_is_live_has_no_end(server: Server) -> None:
    api = await server.client("operator", "auditor")
    await api.register()

    reply = await api.get("jobs/1/events", {"as_of": "1"}, headers={"Accept": "text/event-stream"})

    assert reply.status in (400, 404)


async def test_what_cannot_come_as_far_in_time_is_503(
    server: Server, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobledger.ledger.work.catch_up.CatchUp.wait_for.__defaults__", (0.3,))
    api = await server.client("operator", "auditor")
    await api.register()
    assert (await api.get("jobs", {"as_of": "0"})).status == 200
    await api.register()
    async with session(database_url) as other, other.transaction():
        await other.execute("SELECT FROM tracking FOR UPDATE")
        reply = await api.get("jobs", {"as_of": "0"})

    assert (reply.status, reply.document["code"]) == (503, "projection_is_behind")


async def test_what_lacks_an_event_is_not_told_as_if_it_lacked_none(server: Server, database_url: str) -> None:
    api = await server.client("operator", "auditor")
    job_id = await api.register()
    await api.post(f"jobs/{job_id}/start")
    await api.post(f"jobs/{job_id}/progress", {"progress": 0.5})
    positions = [it["header"]["position"] for it in (await api.get(f"jobs/{job_id}/events")).document["events"]]
    asked = {"as_of": f"{positions[2]}"}
    assert (await api.get(f"jobs/{job_id}", asked)).document["progress"] == 0.5
    async with session(database_url) as owner:
        removed = await owner.fetchrow(
            "DELETE FROM event WHERE org = $1 AND position = $2 RETURNING *", ORG, positions[1]
        )
        assert removed is not None

        reply = await api.get(f"jobs/{job_id}", asked)

        await owner.execute(
            f"INSERT INTO event VALUES ({', '.join(f'${n + 1}' for n in range(len(removed)))})", *removed
        )
    assert (reply.status, reply.document["code"]) == (503, "ledger_stopped")


async def test_who_could_do_what(server: Server) -> None:
    """As each stood, also one that was disabled or given more since."""
    api = await server.client("admin")
    number = (await api.post("principals", {"name": "carol", "roles": ["client"], "domains": ["Sales"]})).document["id"]
    before = await size_of(api) - 1
    await api.post(f"principals/{number}/disable", {})
    now = (await api.get(f"principals/{number}")).document

    [then] = (await api.get("principals", {"as_of": str(before), "name": "carol"})).document["principals"]

    assert (then["is_disabled"], then["domains"], now["is_disabled"]) == (False, ["Sales"], True)
    assert then.keys() == now.keys()
    newest = (await api.get("principals", {"as_of": str(before + 1)})).document["principals"]
    assert newest == (await api.get("principals")).document["principals"]
    assert (await api.get("principals", {"as_of": str(before - 1), "name": "carol"})).document["principals"] == []


async def test_who_did_what(server: Server) -> None:
    """To which job, when, by which dialect, from which address; page by page, and by each filter."""
    api, other = await server.client("operator", "auditor"), await server.client("operator")
    for client in (api, other):
        await client.register()
        await client.post(f"jobs/{(await client.get('jobs')).document['jobs'][-1]['id']}/cancel", {"reason": "late"})
    me = (await other.get("me")).document["principal"]

    whole = (await api.get("audit", {"limit": "1000"})).document
    assert [it["position"] for it in whole["audit"]] == list(range(await size_of(api)))
    [cancelled] = (await api.get("audit", {"principal_id": str(me["id"]), "type": "job.cancelled"})).document["audit"]
    assert {it: cancelled[it] for it in ("job_id", "principal", "via", "from", "reason")} == {
        "job_id": 2,
        "principal": me["name"],
        "via": "native",
        "from": "127.0.0.1",
        "reason": "late",
    }
    assert [it["type"] for it in (await api.get("audit", {"job_id": "1"})).document["audit"]] == [
        "job.registered",
        "job.cancelled",
    ]
    pages = []
    parameters = {"limit": "2"}
    while True:
        page = (await api.get("audit", parameters)).document
        pages += page["audit"]
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    assert pages == whole["audit"]
    at = cancelled["recorded_at"]
    late = (await api.get("audit", {"from": at})).document["audit"]
    early = (await api.get("audit", {"to": at})).document["audit"]
    assert early + late == whole["audit"]
    assert cancelled in late
    csv = await api.get("audit", {"job_id": "1"}, headers={"Accept": "text/csv"})
    assert csv.body.decode().startswith(
        "position,recorded_at,type,stream,job_id,version,by,principal_id,principal,via,"
    )
    sales = await server.client("auditor", domains=("Sales",))
    assert (await sales.get("audit")).status == 403
    for role, status in {"client": 403, "operator": 403, "auditor": 200, "compliance": 200, "admin": 200}.items():
        assert (await (await server.client(role)).get("audit")).status == status, role
