"""Lists of jobs by numbered pages."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobledger.projections import numbered_jobs
from jobledger.projections.numbered_jobs import NumberedFilter, NumberedJobs, Span
from tests.http.fetches.speaking import Fetches
from tests.world import ORG

YEAR = {"start": "2022-01-01", "end": "2022-12-31"}


async def test_a_list_to_the_letter(fetches: Fetches) -> None:
    await fetches.import_jobs(*({} for _ in range(5)))

    first = await fetches.get("jobs/", {**YEAR, "page_size": "2"})
    second = await fetches.get("jobs/", {**YEAR, "page_size": "2", "page": "2"})
    third = await fetches.get("jobs", {**YEAR, "page_size": "2", "page": "3"})

    jobs = [(await fetches.get(f"jobs/{it}/")).body for it in range(1, 6)]
    query = "end=2022-12-31"
    rest = "page_size=2&start=2022-01-01"
    assert first.body.decode() == (
        f'{{"count":5,"next":"{fetches.base}/api/jobs/?{query}&page=2&{rest}","previous":null,"results":'
        f"[{jobs[0].decode()},{jobs[1].decode()}]}}"
    )
    assert second.document["next"] == f"{fetches.base}/api/jobs/?{query}&page=3&{rest}"
    assert second.document["previous"] == f"{fetches.base}/api/jobs/?{query}&{rest}"
    assert (third.document["next"], third.document["previous"]) == (
        None,
        f"{fetches.base}/api/jobs?{query}&page=2&{rest}",
    )
    assert [it["id"] for it in third.document["results"]] == [5]


async def test_an_empty_list(fetches: Fetches) -> None:
    for path in ("jobs", "jobs/", "datastreams/7/jobs/", "datastreams/7/jobs"):
        assert (await fetches.get(path)).body == b'{"count":0,"next":null,"previous":null,"results":[]}'


async def test_links_without_other_parameters(fetches: Fetches) -> None:
    await fetches.native.post("jobs", [{"type": "t", "name": "n"}] * 101)

    first, second = await fetches.get("jobs/"), await fetches.get("jobs/?page=2")

    assert (first.document["count"], len(first.document["results"])) == (101, 100)
    assert first.document["next"] == f"{fetches.base}/api/jobs/?page=2"
    assert second.document["previous"] == f"{fetches.base}/api/jobs/"


async def test_without_a_time_the_jobs_that_are_not_final(fetches: Fetches) -> None:
    scheduled, done = await fetches.native.register(), await fetches.native.register_running()
    running = await fetches.native.register_running(datastream={"id": 3})
    await fetches.native.post(f"jobs/{done}/succeed")

    assert await fetches.ids() == [scheduled, running]
    assert await fetches.ids(params={"datastream_id": "3"}) == [running]
    assert await fetches.ids(params={"datastream_id": "3/"}) == [running]
    assert await fetches.ids("datastreams/3/jobs/") == [running]
    assert await fetches.ids(params={"state": "Running"}) == [running]
    assert await fetches.ids(params=[("state", "0,running"), ("state", "6")]) == [scheduled, running]
    assert await fetches.ids(params={"state": "2"}) == []


async def test_with_a_time_the_jobs_that_began_in_it(fetches: Fetches) -> None:
    """Both ends are included: a day whole, a second whole, a fraction to itself; those not started by their scheduled time."""
    day = await fetches.import_jobs(
        {"started_at": "2022-10-30T23:59:59.999999Z"},
        {"started_at": "2022-10-31T00:00:00Z"},
        {"started_at": "2022-10-31T12:00:00.5Z", "ended_at": "2022-11-01T00:00:00Z"},
        {"started_at": "2022-10-31T23:59:59.999999Z", "ended_at": "2022-11-01T00:00:00Z"},
        {"started_at": "2022-11-01T00:00:00Z", "ended_at": "2022-11-02T00:00:00Z"},
    )
    day.append(await fetches.native.register(scheduled_at="2022-10-31T08:00:00+02:00"))

    async def listed(**params: str) -> list[int]:
        return [day.index(it) for it in await fetches.ids(params=params)]

    assert await listed(start="2022-10-31", end="2022-10-31") == [1, 2, 3, 5]
    assert await listed(start="2022-10-31T00:00:00Z", end="2022-10-31T23:59:59Z") == [1, 2, 3, 5]
    assert await listed(start="2022-10-31T12:00:00Z", end="2022-10-31T12:00:00Z") == [2]
    assert await listed(start="2022-10-31T12:00:00.5Z", end="2022-10-31T12:00:00.5Z") == [2]
    assert await listed(start="2022-10-31T12:00:00.6Z", end="2022-10-31T12:00:00.7Z") == []
    assert await listed(start="2022-10-31T12:00:00.1Z", end="2022-10-31T23:59:58Z") == [2]
    assert await listed(end="2022-10-30") == [0]
    assert await listed(start="2022-11-01") == [4]
    assert await listed(start="2022-10-31T02:00:00+02:00", end="2022-10-31T08:00:00+02:00") == [1, 5]


async def test_orders(fetches: Fetches) -> None:
    await fetches.import_jobs(
        *({"started_at": f"2022-10-{day:02}T00:00:00Z"} for day in (5, 3, 9, 3)),
    )

    for ordering, expected in (
        ("id", [1, 2, 3, 4]), ("-id", [4, 3, 2, 1]), ("job_start", [2, 4, 1, 3]), ("-job_start", [3, 1, 4, 2]),
    ):  # fmt: skip
        assert await fetches.ids(params={**YEAR, "ordering": ordering}) == expected
        assert await fetches.ids(params={**YEAR, "ordering": ordering, "state": "2"}) == expected


async def test_a_client_that_follows_the_pages_misses_no_job(fetches: Fetches) -> None:
    """While two others add jobs, and start them. It sees none twice either."""
    await fetches.native.post("jobs", [{"type": "t", "name": "n"}] * 40)
    today = {"start": datetime.now(UTC).date().isoformat()}
    going = True

    async def add() -> None:
        while going:
            await fetches.native.register_running()

    writers = [asyncio.create_task(add()) for _ in range(2)]
    for params in ({}, today, {**today, "state": "0,1"}):
        there = (await fetches.get("jobs/", {**params, "page_size": "1"})).document["count"]
        seen: list[int] = []
        url = f"{fetches.base}/api/jobs/?page_size=7" + "".join(f"&{name}={value}" for name, value in params.items())
        while url is not None and len(seen) < 400:
            page = (await fetches.native.send("GET", url)).document
            seen += [job["id"] for job in page["results"]]
            url = page["next"]
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) >= there
    going = False
    await asyncio.gather(*writers)


@pytest.mark.parametrize("few_jobs", [0, 20, 5_000])
async def test_pages_and_counts_are_those_of_the_jobs_one_by_one(
    fetches: Fetches, monkeypatch: pytest.MonkeyPatch, few_jobs: int
) -> None:
    """Whether the jobs are few or many, and whatever days, states, blocks of ids, domains, part of a time, page and order."""
    chance = random.Random(7)  # the same in each run
    begin = datetime(2022, 3, 1, tzinfo=UTC)
    ids = sorted(chance.sample(range(1, 13_000), 120))
    jobs: list[dict[str, Any]] = []
    for job_id in ids:
        started = begin + timedelta(hours=chance.choice([chance.randrange(24 * 6), 24 * chance.randrange(6)]))
        domain = chance.choice(["Global", "Sales", "Ops"])
        state = chance.choice(["SUCCESS", "FAILED", "CANCELLED"])
        datastream = chance.choice([{"id": "3"}, {"id": "4"}])
        jobs.append(
            {
                "id": job_id,
                "domain": domain,
                "started_at": started.isoformat(),
                "state": state,
                "datastream": datastream,
            }
        )
    await fetches.import_jobs(*(job | {"ended_at": "2022-12-31T00:00:00Z"} for job in jobs))
    monkeypatch.setattr(numbered_jobs, "FEW_JOBS", few_jobs)
    pages = NumberedJobs(fetches.server.ledger.database)

    for _ in range(150):
        first, second = sorted(begin + timedelta(hours=chance.randrange(-12, 24 * 7, 6)) for _ in range(2))
        span = chance.choice([Span(first, second), Span(first, second), Span(first), Span(end=second), None])
        first, second = span or Span()
        domains = chance.choice([None, frozenset({"Sales"}), frozenset({"Sales", "Ops"}), frozenset[str]()])
        wanted = NumberedFilter(
            span=span,
            states=chance.choice([None, None, ("FAILED",), ("FAILED", "SUCCESS"), ("RUNNING",)]),
            datastream_id=chance.choice([None, None, None, "3"]),
            by_begin=chance.random() < 0.5,
            is_reversed=chance.random() < 0.5,
        )
        expected = [
            job["id"]
            for job in (sorted(jobs, key=lambda it: (it["started_at"], it["id"])) if wanted.by_begin else jobs)
            if (wanted.states is None or job["state"] in wanted.states)
            and wanted.datastream_id in (None, job["datastream"]["id"])
            and first <= datetime.fromisoformat(job["started_at"]) < second
            and (not domains or job["domain"] in domains)
            if domains is None or job["domain"] in domains
        ][:: -1 if wanted.is_reversed else 1]
        size, number = chance.randint(1, 20), chance.randint(1, 4)
        page = await pages.page(ORG, wanted, domains, number=number, size=size)
        assert page.count == len(expected)
        assert [job["id"] for job in page.jobs] == expected[(number - 1) * size : number * size]


async def test_only_the_jobs_of_the_callers_org_and_domains(fetches: Fetches) -> None:
    mine, sales = await fetches.native.register(), await fetches.native.register(domain="Sales", datastream={"id": 3})
    await fetches.server.ledger.create_org("other")
    stranger = Fetches(fetches.server, await fetches.server.client("operator", org="other"))
    clerk = Fetches(fetches.server, await fetches.server.client("operator", home_domain="Sales", domains=("Sales",)))
    today: dict[str, Any] = {"start": datetime.now(UTC).date().isoformat()}

    for params in ({}, today):
        assert await fetches.ids(params=params) == [mine, sales]
        assert await fetches.ids(params={**params, "stack": "Sales"}) == [sales]
        assert await clerk.ids(params=params) == [sales]
        assert await clerk.ids(params={**params, "stack": "Global"}) == []
        assert await stranger.ids(params=params) == []
    for path in (f"jobs/{mine}/", f"jobs/{mine}/imported/"):
        refused = await clerk.get(path)
        assert (refused.status, refused.body) == (404, b'{"detail":"Not found."}')
    assert (await clerk.post(f"jobs/{mine}/stop/")).status == 404
    assert (await stranger.get(f"jobs/{mine}/")).status == 404
    assert (
        await stranger.post("datastreams/3/fetch_fixed/", {"start": "2022-10-31", "end": "2022-10-31"})
    ).status == 404


async def test_a_page_that_is_not_there(fetches: Fetches) -> None:
    await fetches.native.register()

    for page in ("2", "99", "abc", "0", "-1", "", "1.0", "9" * 10, "9" * 30, "٣"):
        for params in ({"page": page}, {**YEAR, "page": page}):
            reply = await fetches.get("jobs/", params)
            assert (reply.status, reply.body) == (404, b'{"detail":"Invalid page."}')
