"""The numbers: right, readable, and of nobody in particular."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Histogram
from prometheus_client.parser import text_string_to_metric_families as parse

from jobledger.http import health
from jobledger.http.metrics import REQUEST_SECONDS, Metrics, observe_all
from jobledger.http.urls import Edge
from jobledger.ledger.store.database import Database
from jobledger.ledger.store.ledger import Ledger
from tests.cluster import short_folder
from tests.http.serving import Api, Reply, Server, add_principal, served
from tests.http.test_access import basic
from tests.system.wire import Direction, Failure, Fault, proxied
from tests.world import ORG, projections, registration

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(server: Server, headers: dict[str, str] | None = None) -> Reply:
    """The answer of /metrics."""
    return await Api(server.session, server.url).send("GET", server.url + "/metrics", headers=headers or {})


def samples(reply: Reply) -> Samples:
    """Each sample's value, by its name and labels."""
    assert reply.status == 200, reply.body
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(reply.body.decode())
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    """The value of one sample."""
    return found[name, tuple(sorted(labels.items()))]


async def test_appends_are_measured_by_the_batch(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number, their sizes, and how long the database took; of one that was refused there is nothing to measure."""
    monkeypatch.setattr(health, "GOOD_FOR_S", 0.0)
    metrics = Metrics()
    ledger = Ledger(database, projections(), metrics)
    await ledger.create_org(ORG)
    async with served(ledger, metrics=metrics) as server:
        api = await server.client("operator")
        before = samples(await scrape(server))
        await api.post("jobs", [{"type": "copy", "name": "n"}] * 150)
        await api.post("jobs/1/start")
        await api.post("jobs/1/start", {"nonsense": 1})
        await api.post("jobs/999/start")
        after = samples(await scrape(server))
    await ledger.close()

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("jobledger_append_seconds_count") == 2
    assert 0 < grown("jobledger_append_seconds_sum") < 10
    assert grown("jobledger_append_events_sum") == 151
    assert grown("jobledger_append_events_bucket", le="1.0") == 1
    assert grown("jobledger_append_events_bucket", le="100.0") == 1
    assert grown("jobledger_append_events_bucket", le="200.0") == 2
    assert grown("jobledger_events") == 151


async def test_what_the_database_fails_is_counted(database_url: str, ledger: Ledger) -> None:
    """Each time that it is tried again."""
    metrics = Metrics()
    with short_folder() as folder:
        async with proxied(database_url, folder) as (url, proxy):
            behind = Database(url, readers=1, writers=1)
            await behind.open()
            other = Ledger(behind, projections(), metrics)
            await other.execute(registration())
            proxy.arm([Fault(Direction.FRONTEND, 1, Failure.CUT_BEFORE)])
            await other.execute(registration())
            await other.close()
            await behind.close()

    assert "jobledger_append_retries_total 1.0" in metrics.text([]).decode()


@pytest.mark.usefixtures("under_lock")
async def test_appends_under_the_lock_are_measured_too(database: Database) -> None:
    metrics = Metrics()
    ledger = Ledger(database, projections(), metrics)
    await ledger.create_org(ORG)
    async with served(ledger, metrics=metrics) as server:
        await server.client("operator")
        found = samples(await scrape(server))
    await ledger.close()

    assert value(found, "jobledger_append_events_sum") == value(found, "jobledger_events") == 3


async def test_requests_are_counted_by_their_route(server: Server) -> None:
    """Never by their path, whose number has no bound."""
    api = await server.client("operator")
    job_id = await api.register()
    for _ in range(3):
        await api.job(job_id)
    for path in ("jobs/77", "nowhere/at/all", "jobs/1/explode"):
        assert (await api.get(path)).status == 404
    await api.send("PROPFIND", api.path("jobs"))
    await server.raw(b"nonsense\r\n\r\n")
    await server.api().get("jobs")
    reply = await scrape(server)
    found = samples(reply)

    def count(dialect: str, method: str, route: str, status: str) -> float:
        return value(found, "jobledger_requests_total", dialect=dialect, method=method, route=route, status=status)

    one = "/ledger/v1/{org}/jobs/{job_id}"
    assert count("native", "POST", "/ledger/v1/{org}/jobs", "201") == 1
    assert count("native", "GET", one, "200") == 3
    assert count("native", "GET", one, "404") == 1
    assert count("native", "GET", "none", "404") == 2
    assert count("native", "other", "none", "405") == 1
    assert count("native", "GET", "/ledger/v1/{org}/jobs", "401") == 1
    assert count("other", "other", "none", "400") == 1
    assert value(found, "jobledger_request_seconds_count", dialect="native") == 9
    for word in (b"acme", b"nowhere", b"jobs/77", b"127.0.0.1", b"PROPFIND", b"principal"):
        assert word not in reply.body


async def test_failed_logins_are_counted(server: Server) -> None:
    """Credentials that are not valid; to show none is no attempt."""
    await add_principal(server.ledger, ["operator"], name="ann", password="right")
    for headers in ({}, {"Authorization": "Bearer nonsense"}, basic("ann", "wrong"), basic("ann", "right")):
        await Api(server.session, server.url, headers=headers).get("jobs")

    # Answered 400, as that dialect says it.
    for password, status in (("wrong", 400), ("right", 200)):
        login = {"username": f"ann@{ORG}", "password": password}
        async with server.session.post(f"{server.url}/api/auth/token/", json=login) as response:
            assert response.status == status

    assert value(samples(await scrape(server)), "jobledger_login_failures_total") == 3


async def test_how_the_server_stands_is_told(server: Server) -> None:
    found = samples(await scrape(server))

    assert value(found, "jobledger_ready") == 1
    assert value(found, "jobledger_queue_depth") == 0
    assert value(found, "jobledger_stopped_ledgers") == 0
    assert abs(value(found, "jobledger_clock_offset_seconds")) < 1


# This machine's address is taken for a trusted proxy's, so that another machine can ask.
BEHIND = Edge(trusted_proxies=(ip_network("127.0.0.0/8"),), is_behind_proxy=True)
ELSEWHERE = {"X-Forwarded-For": "192.0.2.9"}


async def test_from_elsewhere_only_who_may_read_them_is_answered(ledger: Ledger) -> None:
    """A principal of the installation's own org that has ``metrics.read``: to others they would tell of each other."""
    await ledger.create_org("default")
    async with served(ledger, edge=BEHIND) as server:
        auditor, client = await server.client("auditor", org="default"), await server.client("client", org="default")
        stranger = await server.client("auditor")
        statuses = [
            (await scrape(server, headers)).status
            for headers in (
                ELSEWHERE,
                {**ELSEWHERE, **auditor.headers},
                {**ELSEWHERE, **client.headers},
                {**ELSEWHERE, **stranger.headers},
                {**ELSEWHERE, "Authorization": "Bearer jl_acme_" + "x" * 43},
                {},
                {"X-Forwarded-For": "127.0.0.1"},
            )
        ]

    assert statuses == [401, 200, 403, 403, 401, 200, 200]


@pytest.mark.parametrize(
    ("edge", "headers", "status"),
    [
        (Edge(), {}, 200),
        # A proxy on this machine that nobody told us of passes strangers on.
        (Edge(), ELSEWHERE, 401),
        (Edge(), {"X-Forwarded-For": "127.0.0.1"}, 401),
        (Edge(), {"Via": "1.1 proxy"}, 401),
        (Edge(is_behind_proxy=True), {}, 401),
        (Edge(trusted_proxies=(ip_network("10.0.0.0/8"),), is_behind_proxy=True), {}, 200),
    ],
)
async def test_a_proxy_on_this_machine_opens_nothing(
    ledger: Ledger, edge: Edge, headers: dict[str, str], status: int
) -> None:
    async with served(ledger, edge=edge) as server:
        assert (await scrape(server, headers)).status == status


@given(st.lists(st.one_of(st.floats(0, 60), st.sampled_from(REQUEST_SECONDS))))
def test_many_are_observed_together_as_one_by_one(values: list[float]) -> None:
    together, singly = (Histogram("seconds", "…", buckets=REQUEST_SECONDS, registry=None) for _ in range(2))

    observe_all(together, values)
    for it in values:
        singly.observe(it)

    [counted], [meant] = together.collect(), singly.collect()
    for one, other in zip(counted.samples, meant.samples, strict=True):
        assert (one.name, one.labels) == (other.name, other.labels)
        assert one.value == pytest.approx(other.value)
