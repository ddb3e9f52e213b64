"""The maintenance dialect's schedules: whole documents, as its clients know them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from jobledger.ledger.domain.job_work import ClaimWork
from jobledger.ledger.store.ledger import ledger_itself
from tests.http.maintenance.speaking import DAILY, SCHEDULES, Maintenance, must_be_now, run
from tests.http.serving import Reply

VECTORS = Path(__file__).parents[2] / "data" / "quartz_vectors.json"
XML = {"Content-Type": "application/xml", "Accept": "application/xml"}


def told(reply: Reply, message: str = "success") -> Any:
    """The response in an envelope, which is as it must be."""
    assert reply.status == 200, reply.body
    assert list(reply.document) == ["status", "responseCreated", "response"]
    assert reply.document["status"] == {"code": 200, "message": message}
    must_be_now(reply.document["responseCreated"])
    return reply.document["response"]


async def test_a_schedule_is_created_listed_and_deleted(maintenance: Maintenance) -> None:
    created = told(await maintenance.post(body=DAILY), "Time-based schedule successfully created.")
    must_be_now(created["created_at"])
    job_id = str(UUID(created["job_id"]))
    assert created == {
        "job_id": job_id,
        "time_expression": "0 0 4 ? * * *",
        "scheduler_type": "time-based/maintenance",
        "created_at": created["created_at"],
        "created_by_user": "devUser",
    }

    assert told(await maintenance.get()) == [
        {
            "job_id": job_id,
            "organization_Id": "acme",
            "full_build": False,
            "time_expression": "0 0 4 ? * * *",
            "created_by_user": "devUser",
            "created_at": created["created_at"],
            "path": "time-based",
        }
    ]

    assert told(await maintenance.delete(job_id)) == f"successfully deleted job with Id: [{job_id}]"
    assert told(await maintenance.get()) == []
    assert (await maintenance.delete(job_id)).status == 404


async def test_schedules_of_other_actions_are_none_of_this_dialects(maintenance: Maintenance) -> None:
    """Neither listed nor deleted here."""
    body = {"expression": "0 0 4 ? * *", "action": {"kind": "archive", "older_than_days": 90}}
    made = await maintenance.native.post("schedules", body)

    assert told(await maintenance.get()) == []
    assert (await maintenance.delete(made.document["id"])).status == 404

    shown = await maintenance.native.get(f"schedules/{made.document['id']}")
    assert shown.document["state"] == "ACTIVE"


@pytest.mark.parametrize(
    ("params", "body", "expression"),
    [
        (DAILY, None, "0 0 4 ? * * *"),
        ({}, {"time_expression": "0 0 0 ? * MON"}, "0 0 0 ? * MON"),
        (DAILY, {"time_expression": "0 0 0 ? * MON"}, "0 0 0 ? * MON"),
        ({"scheduler_type": "time-based"}, {"time_expression": "0 0 0 ? * MON"}, "0 0 0 ? * MON"),
        ({"scheduler_type": "x", "time_expression": "x" * 3_000}, DAILY, "0 0 4 ? * * *"),
    ],
)
async def test_the_body_counts_before_the_query(
    maintenance: Maintenance, params: dict[str, str], body: Any, expression: str
) -> None:
    created = told(await maintenance.post(body=body, params=params), "Time-based schedule successfully created.")

    assert created["time_expression"] == expression


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain", "x"])
async def test_a_body_that_is_empty_is_none_whatever_it_says_of_itself(
    maintenance: Maintenance, media_type: str
) -> None:
    """As ``curl -d ""`` and Java's own client send it, with all that is asked for in the query."""
    query = {"time_expression": "0 0 4 ? * *", "scheduler_type": "time-based"}

    reply = await maintenance.post(params=query, data=b"", headers={"Content-Type": media_type})

    assert (reply.status, reply.document["response"]["time_expression"]) == (200, "0 0 4 ? * *")


async def test_a_latest_execution_is_told_once_it_has_run(maintenance: Maintenance) -> None:
    job_id = await maintenance.create(full_build=True)
    ran = await maintenance.native.post(f"schedules/{job_id}/run")
    assert ran.status == 200, ran.body

    [shown] = told(await maintenance.get())

    must_be_now(shown["latest_execution"]["executedAt"])
    assert shown["full_build"] is True
    assert list(shown["latest_execution"]) == ["id", "jobId", "executedAt"]
    assert shown["latest_execution"]["jobId"] == job_id
    assert UUID(shown["latest_execution"]["id"]) != UUID(job_id)
    assert list(shown)[-1] == "path"


async def test_active_lists_those_that_fire_and_its_contrary_those_that_do_not(maintenance: Maintenance) -> None:
    firing, paused, deleted = [await maintenance.create() for _ in range(3)]
    await maintenance.native.post(f"schedules/{paused}/pause")
    await maintenance.delete(deleted)

    assert await maintenance.listed() == [firing, paused]
    assert await maintenance.listed(active="true") == [firing]
    assert await maintenance.listed(active="False") == [paused]


async def test_it_is_spoken_in_xml_too(maintenance: Maintenance) -> None:
    created = await maintenance.post(
        headers=XML,
        data=b"<x><time_expression>0 0 0 ? * MON</time_expression><full_build>TRUE</full_build></x>",
    )
    listed = await maintenance.get(headers=XML)
    refused = await maintenance.get(headers=XML, params={"active": "maybe"})

    assert created.headers["Content-Type"] == "application/xml"
    assert b"<message>Time-based schedule successfully created.</message>" in created.body
    assert b"\n<response><status><code>200</code><message>success</message></status><responseCreated>" in listed.body
    assert listed.document["response"]["time_expression"] == "0 0 0 ? * MON"
    assert listed.body.endswith(b"<path>time-based</path></response></response>")
    assert b"<full_build>true</full_build>" in listed.body
    assert refused.status == 400
    assert b"<status><code>400</code><message>Bad Request</message></status>" in refused.body
    assert b"<error>" in refused.body


async def test_maintenance_runs_at_once(maintenance: Maintenance) -> None:
    """Its job is registered, and told until there is a later one."""
    assert told(await maintenance.get("aggregates/maintenance/orgId/acme")) is None

    assert told(await maintenance.post(run()), "Maintenance successfully started for acme") is None
    assert (
        told(await maintenance.post(run(), {"full_build": True}), "Maintenance successfully started for acme") is None
    )

    shown = told(await maintenance.get("aggregates/maintenance/orgId/acme"))
    must_be_now(shown.pop("registeredAt"))
    assert shown == {
        "id": 2,
        "jobId": None,
        "organization_Id": "acme",
        "full_build": True,
        "state": "SCHEDULED",
        "progress": 0,
        "message": None,
        "startedAt": None,
        "endedAt": None,
    }
    # A server does the first; nobody else may.
    assert (await maintenance.native.post("jobs/1/start")).status == 409
    claim = ClaimWork(caller=ledger_itself("acme"), job_id=1, claim=0, server="s", lapse=timedelta(0))
    await maintenance.server.ledger.execute(claim)
    assert told(await maintenance.get("aggregates/maintenance/orgId/acme"))["id"] == 1


async def test_a_post_under_the_same_key_is_done_once(maintenance: Maintenance) -> None:
    """What the query says belongs to the request."""
    key = {"Idempotency-Key": "k1"}
    first = await maintenance.post(params=DAILY, headers=key)
    again = await maintenance.post(params=DAILY, headers=key)
    other = await maintenance.post(params={**DAILY, "time_expression": "0 0 0 ? * MON"}, headers=key)
    runs = [await maintenance.post(run(), headers={"Idempotency-Key": "k2"}) for _ in range(2)]

    assert first.document["response"] == again.document["response"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status, other.document["status"]["code"]) == (422, 422)
    assert [it.status for it in runs] == [200, 200]
    assert len(await maintenance.listed()) == 1
    assert await maintenance.native.job_ids() == [1]


BAD: list[tuple[dict[str, str], Any]] = [
    ({}, None),
    ({}, {}),
    ({}, []),
    ({}, "0 0 4 ? * * *"),
    ({}, {**DAILY, "time_expression": None}),
    ({}, {**DAILY, "time_expression": 5}),
    ({}, {**DAILY, "time_expression": ["0 0 4 ? * * *"]}),
    ({}, {**DAILY, "time_expression": "0 0 24 ? * *"}),
    ({}, {**DAILY, "time_expression": "0 0 4 * * *"}),
    ({}, {**DAILY, "time_expression": "0 0 0 30 2 ?"}),
    ({}, {**DAILY, "time_expression": "0 0 4 ? * * 2020"}),
    ({}, {**DAILY, "time_expression": "\0 0 4 ? * *"}),
    ({}, {**DAILY, "time_expression": "0," * 500_000}),
    ({}, {**DAILY, "scheduler_type": "event-based"}),
    ({}, {**DAILY, "scheduler_type": True}),
    ({}, {**DAILY, "full_build": "maybe"}),
    ({}, {**DAILY, "colour": "blue"}),
    ({**DAILY, "scheduler_type": "Time-Based"}, None),
    ({**DAILY, "colour": "blue"}, None),
    ({**DAILY, "full_build": "1"}, None),
    ({"time_expression": "60 0 0 ? * *"}, None),
]


async def test_an_expression_that_quartz_refuses_is_refused(maintenance: Maintenance) -> None:
    """Each of the vectors, and those that never fire."""
    vectors = orjson.loads(VECTORS.read_bytes())["vectors"]
    refused = [it for it in vectors if not it["valid"] or not it["next"]]
    assert len(refused) > 18
    for vector in refused:
        reply = await maintenance.post(body={"time_expression": vector["expression"]})
        must_be_refused(reply, 400, "Bad Request")
    assert await maintenance.listed() == []


@pytest.mark.parametrize(("params", "body"), BAD)
async def test_bad_input_is_refused_and_changes_nothing(
    maintenance: Maintenance, params: dict[str, str], body: Any
) -> None:
    reply = await maintenance.post(params=params, body=body)

    must_be_refused(reply, 400, "Bad Request")
    assert await maintenance.listed() == []


def must_be_refused(reply: Reply, status: int, message: str) -> None:
    """An error is the same envelope, with an object that says what is wrong."""
    document = reply.document
    assert reply.status == status, reply.body
    assert list(document) == ["status", "responseCreated", "response"]
    assert document["status"] == {"code": status, "message": message}
    must_be_now(document["responseCreated"])
    assert list(document["response"]) == ["error"]
    assert document["response"]["error"]


async def test_what_is_wrong_with_an_expression_is_said_with_its_field(maintenance: Maintenance) -> None:
    reply = await maintenance.post(body={"time_expression": "0 0 24 ? * *"})

    assert reply.document["response"] == {"error": "The field hours, 24: 24 is not between 0 and 23."}


@pytest.mark.parametrize("active", ["maybe", "", "1"])
async def test_active_is_true_or_false(maintenance: Maintenance, active: str) -> None:
    must_be_refused(await maintenance.get(params={"active": active}), 400, "Bad Request")


@pytest.mark.parametrize(
    "job_id", ["nonsense", "0b6f5f0e-3c0e-4a53-9d42-6f3c3c7a7c11", "1", "%00", "0b6f5f0e3c0e4a539d426f3c3c7a7c11"]
)
async def test_what_no_schedule_has_as_its_id_is_not_found(maintenance: Maintenance, job_id: str) -> None:
    must_be_refused(await maintenance.delete(job_id), 404, "Not Found")


async def test_other_faults_keep_the_envelope(maintenance: Maintenance, monkeypatch: pytest.MonkeyPatch) -> None:
    """On every path of the dialect, and the server's own with the request's id and nothing else."""
    get, post = maintenance.get, maintenance.post
    for path in ("aggregates", "aggregates/nothing", "api/1.0/aggregates/nothing", "api/1.0/aggregates/"):
        must_be_refused(await get(path), 404, "Not Found")
    must_be_refused(
        await maintenance.native.send("PUT", f"{maintenance.server.url}/{SCHEDULES}"), 405, "Method Not Allowed"
    )
    must_be_refused(await post(data=b"{", headers={"Content-Type": "application/json"}), 400, "Bad Request")
    must_be_refused(await post(data=b"x", headers={"Content-Type": "text/csv"}), 415, "Unsupported Media Type")
    must_be_refused(await get(headers={"Accept": "text/csv"}), 406, "Not Acceptable")
    too_large = b'{"time_expression":"' + b"0" * (8 * 1024 * 1024) + b'"}'
    reply = await post(data=too_large, headers={"Content-Type": "application/json"})
    assert reply.document["status"]["code"] == reply.status == 413

    monkeypatch.setattr("jobledger.http.maintenance.schedules.shown_schedule", None)
    await maintenance.create()
    fault = await get()
    assert fault.status == 500
    assert fault.document["status"] == {"code": 500, "message": "Internal Server Error"}
    assert fault.document["response"] == {
        "error": "A server error occurred. Check the logs for more details.",
        "request_id": fault.headers["X-Request-Id"],
    }


async def test_the_list_is_whole_however_long(maintenance: Maintenance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobledger.projections.schedule_query.ROWS_A_PAGE", 2)
    created = [await maintenance.create() for _ in range(5)]

    assert await maintenance.listed() == created
    assert orjson.loads((await maintenance.get()).body)["response"][4]["job_id"] == created[4]
