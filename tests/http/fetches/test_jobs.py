"""One job as the fetches dialect shows it, how far it is, and stopping it."""

from __future__ import annotations

import re

import pytest

from jobledger.http.fetches.job_documents import slug
from jobledger.http.fetches.times import shown_duration
from tests.http.fetches.speaking import Fetches
from tests.http.serving import blank
from tests.world import ORG, types_of


async def test_a_finished_job_to_the_letter(fetches: Fetches) -> None:
    await fetches.import_jobs(
        {
            "datastream": {"id": 3, "name": "Ad spend (Köln)"},
            "attributes": {"range_start": "2022-10-30", "range_end": "2022-10-30T23:59:59+00:00", "manual": True},
        }
    )

    for path in ("jobs/1/", "jobs/1"):
        reply = await fetches.get(path)
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
        assert reply.body.decode() == (
            '{"id":1,"url":"BASE/api/jobs/1/","job_start":"2022-10-31T10:00:00Z","job_end":"2022-10-31T11:02:03Z",'
            '"range_start":"2022-10-30T00:00:00Z","range_end":"2022-10-30T23:59:59Z","scheduled":"2022-10-31T00:00:00Z",'
            '"progress":1,"duration":"1h 2m 3s","state":2,"state_label":"Success","state_color":"green","manual":true,"issues":[],'
            '"datastream":{"id":3,"name":"Ad spend (Köln)","slug":"ad-spend-koln","url":"BASE/api/datastreams/3/"},'
            '"stage":null,"discard_reason":null}'
        ).replace("BASE", fetches.base)


async def test_a_running_job_to_the_letter(fetches: Fetches) -> None:
    """What it does not have is null; its progress a fraction."""
    await fetches.native.register_running(stage="fetch")
    await fetches.native.post("jobs/1/progress", {"progress": 0.25, "figures": {"rows": 7, "bytes": 1.5, "x": 1}})

    job, imported = await fetches.get("jobs/1/"), await fetches.get("jobs/1/imported/")

    assert re.sub(r'"duration":"\d+s"', '"duration":"0s"', blank(job.body)) == (
        '{"id":1,"url":"BASE/api/jobs/1/","job_start":"TIME","job_end":null,"range_start":null,"range_end":null,'
        '"scheduled":"TIME","progress":0.25,"duration":"0s","state":1,"state_label":"Running","state_color":"orange",'
        '"manual":false,"issues":[],"datastream":null,"stage":"fetch","discard_reason":null}'
    ).replace("BASE", fetches.base)
    assert blank(imported.body) == (
        '{"id":1,"url":"BASE/api/jobs/1/","state":1,"state_label":"Running","stage":"fetch","progress":0.25,'
        '"started":"TIME","updated":"TIME","imported":{"rows":7,"bytes":1.5,"extracts":null},"message":null}'
    ).replace("BASE", fetches.base)
    for body in (job.body, imported.body):
        assert re.findall(rb'T[\d:.]+Z"', body) == re.findall(rb'T\d\d:\d\d:\d\dZ"', body)


@pytest.mark.parametrize(
    ("verbs", "shown"),
    [
        ([], (0, "Scheduled", "gray")), (["start"], (1, "Running", "orange")), (["start", "succeed"], (2, "Success", "green")),
        (["cancel"], (3, "Cancelled", "blue")), (["start", "fail"], (4, "Failed", "red")),
    ],
)  # fmt: skip
async def test_states(fetches: Fetches, verbs: list[str], shown: tuple[int, str, str]) -> None:
    await fetches.native.register()
    for verb in verbs:
        await fetches.native.post(f"jobs/1/{verb}", {"error": "no route"} if verb == "fail" else None)

    job = (await fetches.get("jobs/1/")).document

    assert (job["state"], job["state_label"], job["state_color"]) == shown
    assert job["issues"] == (["no route"] if "fail" in verbs else [])
    assert isinstance(job["progress"], int)


async def test_a_job_is_stopped_in_the_fetch_stage(fetches: Fetches) -> None:
    """It ends discarded, its history shows both; what follows it goes with it, in the same append."""
    await fetches.native.register_running(stage="fetch")
    await fetches.native.register(preceding_job_id=1)
    size = (await fetches.server.ledger.recorder.head(ORG)).size

    reply = await fetches.post("jobs/1/stop/")

    assert (reply.status, reply.body) == (200, b'{"status":"ok","message":"Job stopped."}')
    first, second = (await fetches.get("jobs/1/")).document, (await fetches.get("jobs/2/")).document
    assert (first["state_label"], first["discard_reason"]) == ("Discarded", "cancelled manually")
    assert (second["state_label"], second["discard_reason"]) == ("Discarded", "preceding job 1 was discarded")
    assert (await types_of(fetches.server.ledger, "job-1"))[-2:] == ["job.cancelled", "job.discarded"]
    assert (await fetches.server.ledger.recorder.head(ORG)).size == size + 3
    worker = await fetches.native.post("jobs/1/progress", {"progress": 0.5})
    assert (worker.status, worker.document["state"]) == (409, "DISCARDED")


@pytest.mark.parametrize(
    ("verbs", "told"),
    [
        ([], "Job 1 is Scheduled in the stage fetch"), (["start", "stage"], "Job 1 is Running in the stage load"),
        (["start", "succeed"], "Job 1 is Success in the stage fetch"), (["start", "fail"], "Job 1 is Failed in the stage fetch"),
        (["cancel"], "Job 1 is Cancelled in the stage fetch"),
    ],
)  # fmt: skip
async def test_a_job_is_not_stopped_elsewhere(fetches: Fetches, verbs: list[str], told: str) -> None:
    await fetches.native.register(stage="fetch")
    for verb in verbs:
        await fetches.native.post(f"jobs/1/{verb}", {"stage": "load"} if verb == "stage" else None)
    before = await fetches.native.job(1)

    reply = await fetches.post("jobs/1/stop")

    assert reply.status == 400
    assert reply.document == {"detail": f"{told}; only a Running job in the stage fetch can be stopped."}
    assert await fetches.native.job(1) == before


async def test_a_stop_is_repeated_by_its_key(fetches: Fetches) -> None:
    await fetches.native.register_running(stage="fetch")
    key = {"Idempotency-Key": "a"}

    first, again = await fetches.post("jobs/1/stop/", headers=key), await fetches.post("jobs/1/stop/", headers=key)

    assert (first.status, first.body) == (again.status, again.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await fetches.post("jobs/1/stop/")).status == 400


async def test_a_slash_at_the_end_makes_no_other_request(fetches: Fetches) -> None:
    """Nor under a key: either path is the same stop."""
    await fetches.native.register_running(stage="fetch")
    key = {"Idempotency-Key": "a"}

    first, again = await fetches.post("jobs/1/stop/", headers=key), await fetches.post("jobs/1/stop", headers=key)

    assert (again.status, again.body) == (200, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"


def test_durations() -> None:
    assert [shown_duration(it) for it in (-1, 0, 59, 60, 3599, 3600, 3723, 100_000)] == [
        "0s", "0s", "59s", "1m 0s", "59m 59s", "1h 0m 0s", "1h 2m 3s", "27h 46m 40s",
    ]  # fmt: skip


def test_slugs() -> None:
    assert [slug(it) for it in ("Ad spend (Köln)", " a -- b_c ", "7", "東京", "A/B: ÉTÉ")] == [
        "ad-spend-koln", "a-b_c", "7", "", "ab-ete",
    ]  # fmt: skip


async def test_a_range_that_is_no_time_is_null(fetches: Fetches) -> None:
    """Attributes are whoever registered the job's."""
    for value in ("soon", 7, None, "2022-02-30", {"a": 1}, "2022-10-30T00:00:00"):
        attributes = {"range_start": value, "range_end": value, "manual": "yes"}
        job_id = await fetches.native.register(attributes=attributes)

        job = (await fetches.get(f"jobs/{job_id}/")).document

        assert (job["range_start"], job["range_end"], job["manual"]) == (None, None, False)


async def test_a_deleted_job_is_as_one_that_never_was(fetches: Fetches) -> None:
    """In no list, not counted, and 404 in the same words, whatever is asked of it."""
    first, second = await fetches.import_jobs({"datastream": {"id": 3}}, {"datastream": {"id": 3}})
    assert (await fetches.native.post(f"jobs/{first}/delete", {"reason": "asked for"})).status == 200

    replies = [
        *[await fetches.get(f"jobs/{it}/{rest}") for it in (first, 99) for rest in ("", "imported/")],
        *[await fetches.post(f"jobs/{it}/stop/") for it in (first, 99)],
    ]

    assert {(it.status, it.body) for it in replies} == {(404, b'{"detail":"Not found."}')}
    assert await fetches.ids("jobs/", {"start": "2022-10-01", "end": "2022-11-30"}) == [second]
