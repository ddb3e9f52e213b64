"""Who is let in to the maintenance dialect, and tokens for passwords."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from tests.http.maintenance.speaking import DAILY, SCHEDULES, Maintenance, deletion, run
from tests.http.maintenance.test_schedules import must_be_refused
from tests.http.serving import Reply, add_principal

PASSWORD = "correct horse"
OTHER_ORGS = ("globex", "nowhere", "Acme", "%00", "")


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def nobody(maintenance: Maintenance) -> Maintenance:
    return replace(maintenance, native=maintenance.server.api())


async def ask_all(maintenance: Maintenance, org: str, job_id: str) -> list[Reply]:
    """Each request of the dialect, to that org."""
    path = SCHEDULES.replace("acme", org)
    return [
        await maintenance.get(path),
        await maintenance.get(f"aggregates/maintenance/orgId/{org}"),
        await maintenance.post(path, DAILY),
        await maintenance.post(run(org)),
        await maintenance.native.send("DELETE", f"{maintenance.server.url}/{deletion(job_id, org)}"),
    ]


async def test_without_valid_credentials_every_org_is_401(maintenance: Maintenance) -> None:
    job_id = await maintenance.create()
    for org in ("acme", *OTHER_ORGS):
        for reply in await ask_all(nobody(maintenance), org, job_id):
            must_be_refused(reply, 401, "Unauthorized")
            assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    wrong = await maintenance.get(headers={"Authorization": "Bearer jl_acme_" + "x" * 43})
    must_be_refused(wrong, 401, "Unauthorized")


async def test_another_org_is_as_one_that_does_not_exist(maintenance: Maintenance) -> None:
    await maintenance.server.ledger.create_org("globex")
    job_id = await maintenance.create()
    shown = set()
    for org in OTHER_ORGS:
        for reply in await ask_all(maintenance, org, job_id):
            must_be_refused(reply, 404, "Not Found")
            shown.add(reply.document["response"]["error"])
    assert len(shown) == 1
    assert await maintenance.listed() == [job_id]


async def test_a_caller_without_the_capability_is_401(maintenance: Maintenance) -> None:
    """403 is never sent. An auditor may list, and change nothing."""
    job_id = await maintenance.create()
    client = replace(maintenance, native=await maintenance.server.client("client", name="worker"))
    auditor = replace(maintenance, native=await maintenance.server.client("auditor", name="auditor"))

    for reply in await ask_all(client, "acme", job_id):
        must_be_refused(reply, 401, "Unauthorized")
    statuses = [reply.status for reply in await ask_all(auditor, "acme", job_id)]

    assert statuses == [200, 200, 401, 401, 401]
    assert await maintenance.listed() == [job_id]


async def test_a_token_for_a_password(maintenance: Maintenance) -> None:
    await add_principal(maintenance.server.ledger, ["operator"], name="etl", password=PASSWORD)
    for name, accept in (("etl", "*/*"), ("etl@acme", "application/json"), ("etl", "text/plain")):
        reply = await nobody(maintenance).get("acme/auth", headers={**basic(name), "Accept": accept})

        assert reply.status == 200, reply.body
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
        token = reply.body.decode()
        shown = await nobody(maintenance).get(headers={"Authorization": f"Bearer {token}"})
        assert shown.status == 200
        # What it issued is no way to the next.
        again = await nobody(maintenance).get("acme/auth", headers={"Authorization": f"Bearer {token}"})
        must_be_refused(again, 401, "Unauthorized")


@pytest.mark.parametrize(
    ("org", "headers", "status"),
    [
        ("acme", {}, 401),
        ("acme", basic("etl", "wrong"), 401),
        ("acme", basic("nobody"), 401),
        ("acme", {"Authorization": "Basic ?"}, 401),
        ("nowhere", basic("etl"), 401),
        ("nowhere", basic("etl@acme"), 404),
        ("globex", basic("etl@acme"), 404),
    ],
)
async def test_no_token_for_anything_else(maintenance: Maintenance, org: str, headers: Any, status: int) -> None:
    ledger = maintenance.server.ledger
    await ledger.create_org("globex")
    await add_principal(ledger, ["operator"], name="etl", password=PASSWORD)
    size = (await ledger.recorder.head("acme")).size

    reply = await nobody(maintenance).get(f"{org}/auth", headers=headers)

    must_be_refused(reply, status, {401: "Unauthorized", 404: "Not Found"}[status])
    assert (await ledger.recorder.head("acme")).size == size


async def test_only_get_issues_a_token(maintenance: Maintenance) -> None:
    await add_principal(maintenance.server.ledger, ["operator"], name="etl", password=PASSWORD)
    for method in ("HEAD", "POST", "DELETE"):
        reply = await maintenance.server.api().send(method, f"{maintenance.server.url}/acme/auth", headers=basic("etl"))
        assert reply.status == 405
