"""Requests over HTTP to one worker with everything on, sent by another process: changes, lists by time, XML beside JSON."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from random import Random
from statistics import median
from typing import Any

from jobledger.scripts.benchmarks.bed import Bed, Server, tell
from jobledger.scripts.benchmarks.growth import large_org
from jobledger.scripts.benchmarks.population import FIRST_START, START_EVERY
from jobledger.scripts.benchmarks.table import Row, percentile

CONNECTIONS = 64
LEAST_PROGRESS_RATE = 3_500.0
LONGEST_MS = 40.0
LEAST_BASIC_RATIO = 0.85
LEAST_XML_RATIO = 0.3
LIST_CONNECTIONS = 4
# What is asked for before anything is measured.
WARMING_S = 1.0


async def load(bed: Bed, server: Server, **spec: Any) -> Mapping[str, Any]:
    """What a client measured. Raises RuntimeError if anything was answered that is not a success."""
    answer = await bed.client("load", server, **spec)
    if not answer["statuses"] or any(not status.startswith("2") for status in answer["statuses"]):
        raise RuntimeError(f"answers by status: {answer['statuses']}")
    return answer


def rate_of(answer: Mapping[str, Any]) -> float:
    """Requests a second."""
    return float(len(answer["latencies_ms"]) / answer["seconds"])


async def measure_requests(bed: Bed) -> list[Row]:
    """Progress with a token, the same with a password, and aiohttp's bare hello, in turn."""
    plan = bed.plan
    caller = await bed.new_org("requests")
    ids = await bed.running_jobs(caller, CONNECTIONS)
    login = b64encode(f"{await bed.new_login(caller.org)}".encode()).decode()
    spec = {
        "connections": CONNECTIONS,
        "seconds": plan.round_s,
        "requests": [
            ("POST", f"/ledger/v1/{caller.org}/jobs/{job_id}/progress", '{"progress":0.5,"message":"half of it"}')
            for job_id in ids
        ],
    }
    bearer = {**spec, "headers": {"Authorization": f"Bearer {await bed.new_token(caller.org)}"}}
    basic = {**spec, "headers": {"Authorization": f"Basic {login}"}}
    hello = {**spec, "headers": {}, "requests": [("GET", "/", "")]}
    rates: dict[str, list[float]] = {"bearer": [], "basic": [], "hello": []}
    p99_ms: list[float] = []
    async with bed.server() as server, bed.hello() as peer:
        for warmed in (bearer, basic):
            await load(bed, server, **{**warmed, "seconds": WARMING_S})
        for number in range(plan.rounds):
            answer = await load(bed, server, **bearer)
            rates["bearer"].append(rate_of(answer))
            p99_ms.append(percentile(answer["latencies_ms"], 0.99))
            rates["basic"].append(rate_of(await load(bed, server, **basic)))
            rates["hello"].append(rate_of(await load(bed, peer, **hello)))
            told = ", ".join(f"{name} {rates[name][-1]:,.0f}" for name in rates)
            tell(f"requests, round {number + 1}: {told} requests/s; p99 {p99_ms[-1]:.1f} ms")
    what = f"POST jobs/…/progress, {CONNECTIONS} connections"
    return [
        Row(what=what, unit="requests/s", ours=rates["bearer"], least=LEAST_PROGRESS_RATE),
        Row(
            what=f"{what}, beside a bare hello",
            unit="requests/s",
            ours=rates["bearer"],
            others=rates["hello"],
            other_name="aiohttp",
        ),
        Row(what=f"{what}, p99", unit="ms", ours=p99_ms, most=LONGEST_MS),
        Row(
            what=f"{what}, Basic",
            unit="requests/s",
            ours=rates["basic"],
            others=rates["bearer"],
            other_name="Bearer",
            least=LEAST_BASIC_RATIO,
        ),
    ]


def times_asked(jobs: int, count: int) -> Sequence[str]:
    """Queries of so many lists by time: of some hours, of days, of nearly all; their first pages and pages far behind."""
    chance = Random(1)  # noqa: S311  # chooses what to read, no secret
    last = FIRST_START + jobs * START_EVERY
    whole = (last - FIRST_START) / timedelta(days=1)
    queries = []
    for number in range(count):
        days = min(whole, chance.uniform(0.1, 1.0) if number % 2 else chance.randint(1, 1 + int(whole)))
        begin = FIRST_START + timedelta(days=chance.uniform(0, whole - days))
        end = begin + timedelta(days=days)
        pages = max(1, int(days / whole * jobs / 100) - 1)
        page = chance.randint(1, pages) if number % 4 == 0 else 1
        pattern = "%Y-%m-%dT%H:%M:%SZ" if number % 2 else "%Y-%m-%d"
        shown = [it.astimezone(UTC).strftime(pattern) for it in (begin, end)]
        queries.append(f"start={shown[0]}&end={shown[1]}&page={page}")
    return queries


async def measure_times(bed: Bed) -> list[Row]:
    """Lists of the fetches dialect by time, with their counts."""
    plan = bed.plan
    caller = await large_org(bed)
    spec = {
        "headers": {"Authorization": f"Bearer {await bed.new_token(caller.org)}"},
        "connections": 1,
        "requests": [("GET", f"/api/jobs/?{query}", "") for query in times_asked(plan.large_jobs, plan.pages)],
    }
    p99_ms: list[float] = []
    async with bed.server() as server:
        await load(bed, server, **spec, seconds=WARMING_S)
        for _ in range(plan.rounds):
            answer = await load(bed, server, **spec, seconds=2 * plan.round_s)
            p99_ms.append(percentile(answer["latencies_ms"], 0.99))
            tell(f"times: {rate_of(answer):,.0f} lists/s, median {median(answer['latencies_ms']):.1f} ms")
    what = f"GET /api/jobs/?start=…&end=… of {plan.large_jobs:,}, count included, p99"
    return [Row(what=what, unit="ms", ours=p99_ms, most=LONGEST_MS)]


async def measure_xml(bed: Bed) -> list[Row]:
    """A list of 100 jobs in XML and in JSON, in turn."""
    plan = bed.plan
    caller = await bed.new_org("xml")
    await bed.running_jobs(caller, 100)
    token = await bed.new_token(caller.org)
    rates: dict[str, list[float]] = {"xml": [], "json": []}
    async with bed.server() as server:
        for number in range(-1, plan.rounds):
            for form, measured in rates.items():
                answer = await load(
                    bed,
                    server,
                    headers={"Authorization": f"Bearer {token}", "Accept": f"application/{form}"},
                    connections=LIST_CONNECTIONS,
                    requests=[("GET", f"/ledger/v1/{caller.org}/jobs?limit=100", "")],
                    seconds=plan.round_s if number >= 0 else WARMING_S,
                )
                if number >= 0:
                    measured.append(rate_of(answer))
    what = "GET jobs?limit=100 in XML"
    row = Row(
        what=what,
        unit="requests/s",
        ours=rates["xml"],
        others=rates["json"],
        other_name="in JSON",
        least=LEAST_XML_RATIO,
    )
    return [row]
