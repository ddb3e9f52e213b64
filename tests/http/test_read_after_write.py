"""A read after an answered write sees it, at every path and in every server; and no stream grows slow."""

from __future__ import annotations

from time import perf_counter

import pytest

from tests.http.serving import NDJSON, Api, Server, served
from tests.world import serving


async def test_what_was_answered_is_seen_everywhere(api: Api, database_url: str) -> None:
    """Also by another server that had read before."""
    async with serving(database_url) as ledger, served(ledger) as other:
        there = Api(other.session, other.url, headers=api.headers)
        await there.get("jobs")
        for number in range(1, 21):
            job_id = await api.register(name=f"job {number}")
            started = await api.post(f"jobs/{job_id}/start", {"stage": "s"})
            for reader in (api, there):
                assert (await reader.job(job_id))["version"] == started.document["version"] == 2
                assert job_id in await reader.job_ids({"state": "RUNNING"})
                assert job_id not in await reader.job_ids({"state": "SCHEDULED"})
                assert (await reader.job_ids({"q": f"job {number}"}))[0] == (job_id if number != 1 else 1)
                events = (await reader.get(f"jobs/{job_id}/events")).document["events"]
                assert [it["header"]["position"] for it in events][-1:] == started.document["positions"]
                newest = await reader.get("events", {"after": str(started.document["positions"][0] - 1)})
                assert newest.document["events"][0] == events[-1]
                streamed = await reader.get("events", headers={"Accept": NDJSON})
                assert streamed.lines[-1] == events[-1]
            # Decided there on what was just recorded here.
            assert (await there.post(f"jobs/{job_id}/progress", {"progress": 0.5})).document["version"] == 3
            assert (await api.post(f"jobs/{job_id}/stage", {"stage": "t"})).document["version"] == 4


async def test_outcomes_of_commands_are_seen_while_their_stream_goes_on(api: Api) -> None:
    replies = await api.commands(
        *({"command": "register", "job": {"type": "t", "name": str(it)}} for it in range(100)),
        *({"command": "start", "id": it} for it in range(1, 101)),
    )

    assert await api.job_ids({"state": "RUNNING"}) == [it["id"] for it in replies.lines[:100]]


@pytest.mark.slow
@pytest.mark.alone
async def test_a_command_takes_as_long_on_a_long_stream_as_on_a_short_one(
    server: Server, api: Api, database_url: str
) -> None:
    """A coarse guard, on a machine that others use: the best of some tries, within ten times."""
    short, long = await api.register_running(), await api.register_running()
    await api.commands(*({"command": "progress", "id": long, "progress": 0.5} for _ in range(10_000)))
    await api.commands(*({"command": "progress", "id": short, "progress": 0.5} for _ in range(8)))
    assert (await api.job(long))["version"] == 10_002

    async def measure(client: Api, job_id: int) -> float:
        began = perf_counter()
        reply = await client.post(f"jobs/{job_id}/progress", {"progress": 0.6})
        assert reply.status == 200
        return perf_counter() - began

    warm = {job_id: min([await measure(api, job_id) for _ in range(10)]) for job_id in (short, long)}
    cold: dict[int, list[float]] = {short: [], long: []}
    for _ in range(4):
        for job_id, took in cold.items():
            async with serving(database_url) as ledger, served(ledger) as other:
                there = Api(other.session, other.url, headers=api.headers)
                # The connections are made, the job is not known.
                await there.get("jobs")
                took.append(await measure(there, job_id))

    assert warm[long] < 10 * warm[short]
    assert min(cold[long]) < 10 * min(cold[short])
