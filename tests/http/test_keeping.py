"""Retention, holds, the policy, deleting and erasing over the native API: whole documents."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.http.serving import Api, Reply, Server


@pytest.fixture
async def api(server: Server) -> Api:
    """A client that may do what operators and compliance officers may."""
    return await server.client("operator", "compliance")


async def put_policy(api: Api, body: Any, query: str = "") -> Reply:
    """PUT the policy."""
    headers = {"Content-Type": "application/json"}
    return await api.send("PUT", api.path(f"policy{query}"), data=orjson.dumps(body), headers=headers)


async def dry_run(api: Api, body: Any) -> Reply:
    """Ask what a policy would do."""
    return await put_policy(api, body, "?dry_run=true")


async def finished(api: Api, **members: Any) -> int:
    """A job that ended well."""
    job_id = await api.register(**members)
    for verb in ("start", "succeed"):
        assert (await api.post(f"jobs/{job_id}/{verb}")).status == 200
    return job_id


async def test_a_job_shows_what_keeps_it(api: Api) -> None:
    job_id = await finished(api)
    before = await api.job(job_id)
    assert (before["closed"], before["holds"], before["retention"]) == (False, [], [])

    await api.post(f"jobs/{job_id}/close")
    retained = await api.post(
        f"jobs/{job_id}/retain", {"until": "2099-01-01T00:00:00Z", "copy_id": 9, "reason": "mine"}
    )
    assert (retained.status, retained.document["until"]) == (200, "2099-01-01T00:00:00Z")
    assert (await api.post("holds", {"name": "case 7", "reason": "r", "job_ids": [job_id]})).status == 201
    assert (await api.post("holds", {"name": "case 8", "reason": "r", "filter": {"type": "copy"}})).status == 201
    policy = {"rules": [{"basic_days": "forever"}], "reason": "law"}
    assert (await put_policy(api, policy)).status == 200

    after = await api.job(job_id)
    user = {"kind": "user", "copy_id": 9, "until": "2099-01-01T00:00:00Z", "reason": "mine"}
    assert after["closed"] is True
    assert after["holds"] == [{"id": 1, "name": "case 7"}, {"id": 2, "name": "case 8"}]
    assert after["retention"] == [user, {"kind": "basic", "until": None}]
    [listed] = (await api.get("jobs", {"held": "true", "retained": "true", "closed": "true"})).document["jobs"]
    assert listed == after
    answer = (await api.get(f"jobs/{job_id}/retention")).document
    assert answer == {
        "id": job_id,
        "state": "SUCCESS",
        "retained": True,
        "reasons": [
            {"kind": "hold", "hold_id": 1, "name": "case 7", "until": None},
            {"kind": "hold", "hold_id": 2, "name": "case 8", "until": None},
            user,
            {"kind": "basic", "until": None},
        ],
        "may_be_deleted": False,
        "may_be_erased": False,
    }
    refused = await api.post(f"jobs/{job_id}/delete", {"reason": "asked for"})
    assert (refused.status, refused.document["code"]) == (409, "job_is_held")
    assert refused.document["reasons"] == answer["reasons"]


async def test_a_deleted_job_is_gone(api: Api) -> None:
    job_id = await finished(api)

    deleted = await api.post(f"jobs/{job_id}/delete", {"reason": "asked for"})

    assert deleted.status == 200
    assert deleted.document["deleted"] is True
    for reply in (
        await api.get(f"jobs/{job_id}"),
        await api.get(f"jobs/{job_id}/events"),
        await api.get(f"jobs/{job_id}/retention"),
        await api.post(f"jobs/{job_id}/start"),
    ):
        assert (reply.status, reply.document["code"], reply.document["gone"]) == (410, "gone", "deleted")
    assert (await api.get("jobs")).document["jobs"] == []
    assert (await api.post(f"jobs/{job_id}/delete", {"reason": "asked for"})).document["positions"] == []
    assert (await api.post(f"jobs/{job_id}/erase", {"reason": "asked for", "scope": "all"})).status == 200
    assert (await api.get(f"jobs/{job_id}")).document["gone"] == "erased"


async def test_holds_are_listed_and_released(api: Api) -> None:
    job_id = await finished(api)
    await api.post("holds", {"name": "case 7", "reason": "a lawsuit", "job_ids": [job_id, job_id]})
    await api.post("holds", {"name": "case 8", "reason": "another", "filter": {"ended_from": "2020-01-01T00:00:00Z"}})

    first = (await api.get("holds", {"limit": "1"})).document
    second = (await api.get("holds", {"limit": "1", "cursor": first["next"]})).document
    for hold in (*first["holds"], *second["holds"]):
        del hold["placed_at"]
    shown = {
        "id": 1,
        "name": "case 7",
        "version": 1,
        "reason": "a lawsuit",
        "filter": None,
        "job_count": 1,
        "active": True,
    }
    assert first["holds"] == [{**shown, "released_at": None, "release_reason": None}]
    assert second["next"] is None
    assert second["holds"][0]["filter"] == {"ended_from": "2020-01-01T00:00:00Z"}
    assert (await api.get("holds/1")).document["job_ids"] == [job_id]

    assert (await api.post("holds/1/release", {})).status == 400
    assert (await api.post("holds/1/release", {"reason": "settled"})).status == 200
    assert (await api.post("holds/1/release", {"reason": "settled"})).document["positions"] == []
    assert [it["id"] for it in (await api.get("holds", {"active": "true"})).document["holds"]] == [2]
    for path in ("holds/3", "holds/x"):
        assert (await api.get(path)).status == 404
    bodies: list[Any] = [{"filter": {}}, {"job_ids": []}, {}, {"job_ids": [1], "filter": {"type": "a"}}]
    for body in bodies:
        assert (await api.post("holds", {"name": "n", "reason": "r", **body})).status == 400
    missing = await api.post("holds", {"name": "n", "reason": "r", "job_ids": [1, 77]})
    assert (missing.status, missing.document["job_ids"]) == (404, [77])


async def test_a_policy_shows_first_what_it_would_do(api: Api) -> None:
    await finished(api)
    await api.register(type="backup")
    assert (await api.get("policy")).document == {
        "rules": [],
        "locked": False,
        "version": 0,
        "changed_at": None,
        "reason": None,
    }
    rules = [{"type": "copy", "state": "SUCCESS", "basic_days": 30}, {"type": "backup", "extended_days": "forever"}]

    dry = await dry_run(api, {"rules": rules})
    assert dry.document == {
        "dry_run": True,
        "lengthens": {"count": 1, "ids": [1]},
        "releases": {"count": 0, "ids": []},
        "shortens": {"count": 0, "ids": []},
        "fewer_days": [],
    }
    assert (await api.get("policy")).document["version"] == 0

    changed = await put_policy(api, {"rules": rules, "locked": True, "reason": "law"})
    assert (changed.status, changed.document["version"], changed.document["locked"]) == (200, 1, True)
    smaller: list[Any] = [{"rules": []}, {"rules": rules, "locked": False}]
    for body in smaller:
        for query in ("", "?dry_run=true"):
            refused = await put_policy(api, {**body, "reason": "no law"}, query)
            assert (refused.status, refused.document["code"]) == (409, "policy_is_locked")
    grown = [*rules, {"basic_days": 1}]
    assert (await put_policy(api, {"rules": grown, "reason": "more law"})).document["version"] == 2
    assert (await put_policy(api, {"rules": grown, "reason": "again"})).document["positions"] == []


async def test_a_shorter_policy_shortens_only_what_has_not_ended(api: Api) -> None:
    await put_policy(api, {"rules": [{"type": "copy", "basic_days": 30}], "reason": "law"})
    await finished(api)
    await api.register()
    await api.register(type="backup")

    dry = await dry_run(api, {"rules": [{"type": "copy", "basic_days": 10}]})

    assert dry.document["shortens"] == {"count": 1, "ids": [2]}
    assert dry.document["releases"] == dry.document["lengthens"] == {"count": 0, "ids": []}
    assert {it["type"] for it in dry.document["fewer_days"]} == {"copy"}


async def test_what_is_no_policy_is_refused(api: Api) -> None:
    rules: list[Any] = [
        {"basic_days": -1}, {"basic_days": 36_501}, {"basic_days": 1.5}, {"basic_days": "ever"}, {"basic_days": True},
        {"state": "RUNNING"}, {"type": ""}, {"days": 1}, 1, [],
    ]  # fmt: skip
    for rule in rules:
        assert (await put_policy(api, {"rules": [rule], "reason": "law"})).status == 400, rule
    bodies: list[Any] = [
        {"rules": [{}] * 201, "reason": "law"},
        {"rules": []},
        {"reason": "law"},
        {"rules": {}, "reason": "law"},
    ]
    for body in bodies:
        assert (await put_policy(api, body)).status == 400
    assert (await api.get("policy")).document["version"] == 0


async def test_many_jobs_are_managed_in_one_request(api: Api) -> None:
    await api.register()
    await api.register_running()

    each = await api.post("jobs/manage", {"action": "close", "job_ids": [1, 2, 77, 1]})
    assert each.status == 200
    assert [it["id"] for it in each.document["done"]] == [1]
    assert [(it["id"], it["code"]) for it in each.document["refused"]] == [(2, "job_is_running"), (77, "not_found")]
    together = await api.post("jobs/manage", {"action": "reopen", "job_ids": [1, 2], "all_or_none": True})
    assert (together.status, together.document["code"]) == (409, "jobs_refused")
    assert [(it["id"], it["code"]) for it in together.document["refused"]] == [(2, "job_is_open")]
    bodies: list[Any] = [
        {"action": "close", "job_ids": []},
        {"action": "close", "job_ids": [1], "until": "2099-01-01T00:00:00Z"},
        {"action": "delete", "job_ids": [1]},
        {"action": "retain", "job_ids": list(range(1, 10_002))},
    ]
    for body in bodies:
        assert (await api.post("jobs/manage", body)).status == 400, body
