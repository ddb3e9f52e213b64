"""Idempotency-Key: a request sent again does not happen again."""

from __future__ import annotations

import pytest

from tests.http.serving import Api, Server

JOB = {"type": "copy", "name": "nightly"}
KEY = {"Idempotency-Key": "a key"}


async def test_the_same_request_gets_the_same_answer(api: Api) -> None:
    first = await api.post("jobs", JOB, headers=KEY)
    await api.post("jobs/1/start")
    again = await api.post("jobs", JOB, headers=KEY)

    assert (again.status, again.body, again.headers["Location"]) == (201, first.body, "/ledger/v1/acme/jobs/1")
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert await api.job_ids() == [1]


@pytest.mark.parametrize("verb", ["start", "stage", "progress", "heartbeat", "succeed", "fail", "cancel"])
async def test_every_transition_honours_the_key(api: Api, verb: str) -> None:
    await api.register_running()
    body = {"stage": "b"} if verb == "stage" else {}

    first = await api.post(f"jobs/1/{verb}", body, headers=KEY)
    again = await api.post(f"jobs/1/{verb}", body, headers=KEY)

    assert first.status == 200
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"


async def test_another_request_under_the_key_is_refused(api: Api) -> None:
    await api.post("jobs", JOB, headers=KEY)

    for reply in (
        await api.post("jobs", {**JOB, "name": "other"}, headers=KEY),
        await api.post("jobs", data=b' {"type":"copy","name":"nightly"}', headers=KEY),
        await api.post("jobs/1/start", headers=KEY),
    ):
        assert reply.status == 422
        assert reply.shown == (
            '{"type":"urn:jobledger:idempotency-key-reused","title":"The Idempotency-Key was used for another request",'
            '"status":422,"detail":"This Idempotency-Key was sent with another request.","code":"idempotency_key_reused",'
            '"instance":"urn:uuid:UUID","key":"a key"}'
        )


async def test_a_key_is_its_principals_own(server: Server, api: Api) -> None:
    other = await server.client("client")

    await api.post("jobs", JOB, headers=KEY)
    reply = await other.post("jobs", JOB, headers=KEY)

    assert (reply.status, reply.document["id"]) == (201, 2)


async def test_a_refusal_is_not_remembered(api: Api) -> None:
    refused = await api.post("jobs/1/start", headers=KEY)
    await api.register()
    accepted = await api.post("jobs/1/start", headers=KEY)

    assert (refused.status, accepted.status) == (404, 200)
    assert "Idempotent-Replayed" not in accepted.headers


async def test_a_key_holds_in_every_server(server: Server, api: Api, database_url: str) -> None:
    from tests.http.serving import served
    from tests.world import serving

    first = await api.post("jobs", JOB, headers=KEY)
    async with serving(database_url) as ledger, served(ledger) as other:
        again = await Api(other.session, other.url, headers=api.headers).post("jobs", JOB, headers=KEY)

    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")


async def test_what_no_key_can_be(api: Api) -> None:
    for key in ("", "é", "k" * 256, "a\tb"):
        reply = await api.post("jobs", JOB, headers={"Idempotency-Key": key})

        assert (reply.status, reply.document["header"]) == (400, "Idempotency-Key")
    headers = [*api.headers.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    async with api.session.post(api.path("jobs"), data=b"{}", headers=headers) as response:
        assert response.status == 400
    assert (await api.post("jobs", JOB, headers={"Idempotency-Key": "k" * 255})).status == 201
