"""Registering, changing and reading one job: the documents as clients read them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http.serving import Api, Server

REGISTERED = '{"id":1,"state":"SCHEDULED","version":1,"position":3}'

FULL = {
    "type": "backup",
    "name": "Nightly ✓",
    "domain": "Sales",
    "priority": "high",
    "datastream": {"id": 7, "name": "tapes"},
    "stage": "queued",
    "source": "cron",
    "external_id": "42/7",
    "scheduled_at": "2026-11-21T23:34:05.5+01:00",
    "heartbeat_timeout": 60,
    "start_timeout": "3600",
    "backup": {"level": 0},
    "attributes": {"user": "ann", "deep": [1, {"two": None}], "big": 18446744073709551615},
}


async def test_one_registration_is_answered_with_its_id_and_position(api: Api) -> None:
    reply = await api.post("jobs", {"type": "copy", "name": "nightly"})

    assert reply.status == 201
    assert reply.body.decode() == REGISTERED
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Location"] == "/ledger/v1/acme/jobs/1"


async def test_a_list_is_answered_in_its_order(api: Api) -> None:
    reply = await api.post("jobs", [{"type": "copy", "name": "a"}, {"type": "copy", "name": "b"}])

    assert reply.status == 201
    assert reply.body.decode() == (
        '{"jobs":[{"id":1,"state":"SCHEDULED","version":1,"position":3},'
        '{"id":2,"state":"SCHEDULED","version":1,"position":4}]}'
    )
    assert "Location" not in reply.headers


async def test_a_list_of_one_is_a_list(api: Api) -> None:
    reply = await api.post("jobs", [{"type": "copy", "name": "a"}])

    assert reply.body.decode() == f'{{"jobs":[{REGISTERED}]}}'


async def test_a_list_is_registered_whole_or_not_at_all(api: Api) -> None:
    refused = await api.post("jobs", [{"type": "copy", "name": "a"}, {"type": "copy"}])
    forbidden = await api.post("jobs", [{"type": "copy", "name": "a"}, {"type": "copy", "name": "b", "id": 0}])

    assert refused.status == forbidden.status == 400
    assert refused.document["index"] == 1
    assert refused.document["errors"] == [{"member": "name", "problem": "is missing"}]
    assert await api.job_ids() == []


async def test_what_is_there_already_is_answered_with_200(api: Api) -> None:
    job = {"type": "copy", "name": "a", "source": "cron", "external_id": "1"}
    await api.post("jobs", job)
    await api.post("jobs/1/start")

    again = await api.post("jobs", job)
    mixed = await api.post("jobs", [job, {"type": "copy", "name": "b"}])

    assert (again.status, again.body.decode()) == (200, '{"id":1,"state":"RUNNING","version":2,"position":3}')
    assert (mixed.status, mixed.body.decode()) == (
        201,
        '{"jobs":[{"id":1,"state":"RUNNING","version":2,"position":3},'
        '{"id":2,"state":"SCHEDULED","version":1,"position":5}]}',
    )


async def test_the_same_external_id_with_another_body_is_a_conflict(api: Api) -> None:
    job = {"type": "copy", "name": "a", "source": "cron", "external_id": "1"}
    await api.post("jobs", job)

    reply = await api.post("jobs", {**job, "name": "b"})

    assert reply.status == 409
    assert reply.shown == (
        '{"type":"urn:jobledger:job-exists","title":"Another job has this id, or this source and external id","status":409,'
        '"detail":"Another job is registered as 1 of cron.","code":"job_exists","instance":"urn:uuid:UUID",'
        '"source":"cron","external_id":"1"}'
    )


async def test_a_job_is_shown_as_it_was_registered(api: Api) -> None:
    await api.post("jobs", FULL)

    reply = await api.get("jobs/1")

    assert reply.status == 200
    assert reply.shown == (
        '{"id":1,"type":"backup","name":"Nightly ✓","domain":"Sales","state":"SCHEDULED","version":1,"priority":"high",'
        '"stage":"queued","progress":0.0,"figures":null,"message":null,"reason":null,'
        '"datastream":{"id":7,"name":"tapes"},"preceding_job_id":null,"required_job_ids":null,"retry_of_job_id":null,'
        '"source":"cron","external_id":"42/7","heartbeat_timeout":60,"start_timeout":3600,"registered_at":"TIME",'
        '"scheduled_at":"TIME","started_at":null,"ended_at":null,"last_report_at":null,"updated_at":"TIME",'
        '"backup":{"level":0},"attributes":{"user":"ann","deep":[1,{"two":null}],"big":18446744073709551615},'
        '"closed":false,"holds":[],"retention":[],"location":null,"extended_properties":null}'
    )
    assert reply.document["scheduled_at"] == "2026-11-21T22:34:05.500000Z"


async def test_a_job_has_the_same_members_whatever_was_given(api: Api) -> None:
    """A client need not ask whether a member is there."""
    await api.post("jobs", [FULL, {"type": "copy", "name": "plain"}])

    assert list(await api.job(1)) == list(await api.job(2))


async def test_a_job_in_a_list_is_the_same_document(api: Api) -> None:
    await api.post("jobs", [FULL, {"type": "copy", "name": "plain"}])

    listed = (await api.get("jobs")).document["jobs"]

    assert listed == [await api.job(1), await api.job(2)]


@pytest.mark.parametrize(
    ("before", "verb", "body", "answer"),
    [
        ([], "start", {"stage": "copy"}, '"RUNNING","version":2,"positions":[4],"recorded_at":"TIME"'),
        ([], "start", None, '"RUNNING","version":2,"positions":[4],"recorded_at":"TIME"'),
        (["start"], "start", None, '"RUNNING","version":2,"positions":[],"recorded_at":null'),
        (["start"], "stage", {"stage": "b"}, '"RUNNING","version":3,"positions":[5],"recorded_at":"TIME"'),
        (["start"], "progress", {"progress": 1}, '"RUNNING","version":3,"positions":[5],"recorded_at":"TIME"'),
        (["start"], "heartbeat", None, '"RUNNING","version":2,"positions":[],"recorded_at":null'),
        (["start"], "succeed", {"message": "ok"}, '"SUCCESS","version":3,"positions":[5],"recorded_at":"TIME"'),
        (
            ["start"],
            "fail",
            {"error": "no"},
            '"FAILED","version":3,"positions":[5],"recorded_at":"TIME","discarded":[]',
        ),
        ([], "cancel", {"reason": "no"}, '"CANCELLED","version":2,"positions":[4],"recorded_at":"TIME","discarded":[]'),
    ],
)
async def test_a_transition_is_answered_with_the_state_it_led_to(
    api: Api, before: list[str], verb: str, body: Any, answer: str
) -> None:
    await api.register()
    for earlier in before:
        await api.post(f"jobs/1/{earlier}")

    reply = await api.post(f"jobs/1/{verb}", body)

    head, _, tail = answer.partition(',"positions"')
    tail, _, discarded = tail.partition(',"discarded"')
    discarded = f',"discarded"{discarded}' if discarded else ""
    assert reply.status == 200
    assert reply.shown == f'{{"id":1,"state":{head}{discarded},"positions"{tail}}}'


async def test_follow_ups_discarded_with_a_job_are_told(api: Api) -> None:
    await api.register_running()
    await api.register(preceding_job_id=1)
    await api.register(preceding_job_id=2)

    reply = await api.post("jobs/1/fail", {"error": "no route to host"})

    assert reply.shown == (
        '{"id":1,"state":"FAILED","version":3,"discarded":[2,3],"positions":[7,8,9],"recorded_at":"TIME"}'
    )
    assert (await api.job(3))["reason"] == "preceding job 2 was discarded"


async def test_what_a_job_was_told_on_its_way_is_shown(api: Api) -> None:
    await api.register()
    await api.post("jobs/1/start", {"stage": "read", "started_at": "2026-01-02T03:04:05Z"})
    await api.post("jobs/1/progress", {"progress": 0.25, "figures": {"bytes": 10, "rate": 0.5}, "message": "so far"})
    await api.post("jobs/1/progress", {"figures": {"bytes": 20}})
    await api.post("jobs/1/stage", {"stage": "write"})
    running = await api.job(1)
    await api.post("jobs/1/succeed", {"ended_at": "2026-01-02T04:04:05Z", "message": "done"})
    ended = await api.job(1)

    told = ("state", "stage", "progress", "figures", "message", "started_at", "ended_at", "version")
    assert [running[it] for it in told] == [
        "RUNNING", "write", 0.25, {"bytes": 20, "rate": 0.5}, "so far", "2026-01-02T03:04:05Z", None, 5,
    ]  # fmt: skip
    assert [ended[it] for it in told] == [
        "SUCCESS", "write", 1.0, {"bytes": 20, "rate": 0.5}, "done", "2026-01-02T03:04:05Z", "2026-01-02T04:04:05Z", 6,
    ]  # fmt: skip


async def test_a_worker_learns_that_its_job_was_stopped(api: Api) -> None:
    """A report for a final job is a conflict that tells the state and why."""
    await api.register_running()
    await api.post("jobs/1/cancel", {"reason": "not needed"})

    for verb, body in (("progress", {"progress": 0.5}), ("heartbeat", None), ("stage", {"stage": "b"})):
        reply = await api.post(f"jobs/1/{verb}", body)

        assert reply.status == 409
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert reply.shown == (
            '{"type":"urn:jobledger:job-is-final","title":"The job has ended","status":409,'
            '"detail":"Job 1 has ended: CANCELLED.","code":"job_is_final","instance":"urn:uuid:UUID",'
            '"job_id":1,"state":"CANCELLED","reason":"not needed"}'
        )


async def test_a_report_for_a_job_that_has_not_started_is_a_conflict(api: Api) -> None:
    await api.register()

    reply = await api.post("jobs/1/succeed")

    assert reply.status == 409
    assert (reply.document["code"], reply.document["state"]) == ("job_is_not_running", "SCHEDULED")


async def test_a_job_that_is_not_there_is_404(api: Api) -> None:
    for reply in (await api.get("jobs/1"), await api.post("jobs/1/start"), await api.get("jobs/1/events")):
        assert reply.status == 404
        assert reply.shown == (
            '{"type":"urn:jobledger:not-found","title":"There is no such thing here","status":404,'
            '"detail":"There is no job 1.","code":"not_found","instance":"urn:uuid:UUID","job_id":1}'
        )


async def test_an_import_has_its_own_id_and_past(api: Api) -> None:
    past = {"state": "FAILED", "started_at": "1993-10-01T00:00:00Z", "ended_at": "1993-10-01T01:00:00Z", "reason": "x"}

    reply = await api.post("jobs", {"type": "swf", "name": "n", "id": 500, **past})
    following = await api.register()

    assert (reply.status, reply.body.decode()) == (201, '{"id":500,"state":"FAILED","version":3,"position":3}')
    assert following == 501
    assert {it: (await api.job(500))[it] for it in past} == past


async def test_an_import_needs_its_capability(server: Server) -> None:
    client = await server.client("client")

    for members in ({"id": 5}, {"state": "CANCELLED"}):
        reply = await client.post("jobs", {"type": "copy", "name": "n", **members})

        assert reply.status == 403
        assert reply.document["capability"] == "jobs.import"


async def test_every_answer_forbids_storing_and_guessing(api: Api) -> None:
    for reply in (await api.get("jobs"), await api.get("jobs/1"), await api.send("GET", f"{api.url}/nowhere")):
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_an_answer_has_its_requests_id(api: Api) -> None:
    """By which a problem is known in the log, and an event's content names the request that made it."""
    refused = await api.get("jobs/1")
    accepted = await api.post("jobs", {"type": "copy", "name": "n"})

    assert refused.document["instance"] == f"urn:uuid:{refused.headers['X-Request-Id']}"
    [event] = (await api.get("jobs/1/events")).document["events"]
    assert event["content"]["request"] == accepted.headers["X-Request-Id"]
    assert event["content"]["from"] == "127.0.0.1"
    assert event["content"]["via"] == "native"


async def test_the_longest_list_is_registered(api: Api) -> None:
    jobs = [{"type": "copy", "name": str(number)} for number in range(10_000)]

    reply = await api.post("jobs", jobs)
    refused = await api.post("jobs", [*jobs, jobs[0]])
    empty = await api.post("jobs", [])

    assert reply.status == 201
    assert [job["id"] for job in reply.document["jobs"]] == list(range(1, 10_001))
    assert [job["position"] for job in reply.document["jobs"]] == list(range(3, 10_003))
    assert refused.status == empty.status == 400
    assert refused.document["limit"] == 10_000
