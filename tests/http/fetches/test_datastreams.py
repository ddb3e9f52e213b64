"""Fetching a range of a datastream."""

from __future__ import annotations

import pytest

from jobledger.ledger.domain.job_registration import FETCH_START_TIMEOUT_S
from tests.http.fetches.speaking import Fetches

DAY = {"start": "2022-10-31", "end": "2022-10-31"}


async def test_a_fetch_is_one_job_of_the_datastream(fetches: Fetches) -> None:
    await fetches.native.register(datastream={"id": 3, "name": "Old name"}, domain="Sales")
    await fetches.native.register(datastream={"id": 3, "name": "Ad spend"}, domain="Sales")

    reply = await fetches.post("datastreams/3/fetch_fixed/", DAY)

    assert reply.status == 200
    assert reply.body.decode() == (
        '{"status":"ok","message":"Fetch scheduled.","start":"2022-10-31T00:00:00Z","end":"2022-10-31T23:59:59Z",'
        '"jobs":[{"id":3,"url":"BASE/api/jobs/3/"}]}'
    ).replace("BASE", fetches.base)
    job, native = (await fetches.get("jobs/3/")).document, await fetches.native.job(3)
    assert (job["range_start"], job["range_end"]) == ("2022-10-31T00:00:00Z", "2022-10-31T23:59:59Z")
    assert (job["manual"], job["state_label"], job["datastream"]["slug"]) == (True, "Scheduled", "ad-spend")
    assert (native["type"], native["name"], native["domain"]) == ("fetch", "Ad spend", "Sales")
    assert native["start_timeout"] == FETCH_START_TIMEOUT_S == 2 * 24 * 3600
    assert await fetches.ids("datastreams/3/jobs/") == [1, 2, 3]


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        ("2022-10-30", "2022-11-01", ("2022-10-30T00:00:00Z", "2022-11-01T23:59:59Z")),
        ("2022-10-30T01:02:03Z", "2022-10-30T01:02:03Z", ("2022-10-30T01:02:03Z", "2022-10-30T01:02:03Z")),
        ("2022-10-30T01:02:03+01:00", "2022-10-30", ("2022-10-30T00:02:03Z", "2022-10-30T23:59:59Z")),
    ],
)
async def test_ranges(fetches: Fetches, start: str, end: str, shown: tuple[str, str]) -> None:
    await fetches.native.register(datastream={"id": "a b/ü"})

    reply = await fetches.post("datastreams/a%20b%2F%C3%BC/fetch_fixed", {"start": start, "end": end})

    assert reply.status == 200, reply.body
    assert (reply.document["start"], reply.document["end"]) == shown
    assert (await fetches.native.job(2))["name"] == "Datastream a b/ü"


async def test_a_fetch_is_repeated_by_its_key(fetches: Fetches) -> None:
    await fetches.native.register(datastream={"id": 3})
    key = {"Idempotency-Key": "a"}

    first = await fetches.post("datastreams/3/fetch_fixed/", DAY, headers=key)
    again = await fetches.post("datastreams/3/fetch_fixed/", DAY, headers=key)
    other = await fetches.post("datastreams/3/fetch_fixed/", {**DAY, "end": "2022-11-01"}, headers=key)

    assert (first.status, first.body) == (again.status, again.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status, list(other.document)) == (422, ["detail"])
    assert await fetches.ids("datastreams/3/jobs/") == [1, 2]


async def test_a_datastream_that_no_job_ever_named(fetches: Fetches) -> None:
    for path in ("4", "3x", "%00", "x" * 300):
        for reply in (
            await fetches.post(f"datastreams/{path}/fetch_fixed/", DAY),
            await fetches.get(f"datastreams/{path}/"),
        ):
            assert (reply.status, reply.body) == (404, b'{"detail":"Not found."}')


async def test_a_datastream_is_what_its_last_job_says(fetches: Fetches) -> None:
    await fetches.native.register(datastream={"id": 3, "name": "Ad spend"})

    reply = await fetches.get("datastreams/3/")

    assert reply.body.decode() == (
        f'{{"id":3,"name":"Ad spend","slug":"ad-spend","url":"{fetches.base}/api/datastreams/3/"}}'
    )
