"""Rollups over the native API: whole documents, filters, pages, domains."""

from __future__ import annotations

import re

import pytest

from tests.cluster import session
from tests.http.serving import Api, Server

PAST = {"state": "SUCCESS", "started_at": "2025-03-01T23:59:59Z"}


@pytest.fixture
async def api(server: Server) -> Api:
    """A client that may import, with jobs that ended."""
    api = await server.client("operator")
    for members in (
        {"type": "ETL", "domain": "Sales", "ended_at": "2025-03-02T00:00:01Z", "backup": {"sizeOfApplication": 2**40}},
        {"type": "ETL", "domain": "Sales", "ended_at": "2025-03-02T00:00:29Z"},
        {"type": "copy", "ended_at": "2025-03-01T23:59:59.012Z"},
        {"type": "copy", "ended_at": "2025-03-05T00:00:00Z", "state": "FAILED"},
    ):
        await api.register(**{**PAST, **members})
    return api


ETL = {
    "day": "2025-03-02",
    "type": "ETL",
    "domain": "Sales",
    "state": "SUCCESS",
    "jobs": 2,
    "timed_jobs": 2,
    "duration_total": 32.0,
    "duration_p50": 2.0,
    "duration_p95": 30.08,
    "bytes": 2**40,
}


async def test_a_read_sees_every_answered_write(api: Api) -> None:
    """Invariant 6: at once, though nothing has been counted before."""
    reply = await api.get("rollups", {"type": "ETL"})

    assert reply.status == 200
    [shown] = reply.document["rollups"]
    assert {**shown, "duration_p50": 2.0, "duration_p95": 30.08} == ETL
    assert abs(shown["duration_p50"] - 2) <= 2 / 128
    assert abs(shown["duration_p95"] - 30) <= 30 / 128
    assert (reply.document["next"], reply.document["position"]) == (None, (await _size(api)) - 1)
    job_id = await api.register_running(type="ETL")
    assert (await api.post(f"jobs/{job_id}/succeed")).status == 200
    assert len((await api.get("rollups", {"type": "ETL"})).document["rollups"]) == 2


async def _size(api: Api) -> int:
    events = (await api.get("events", {"limit": "1000"})).document["events"]
    return int(events[-1]["header"]["position"]) + 1


async def test_filters_and_pages(api: Api) -> None:
    """In the order of days; each page goes on where the one before ended, and only in its own list."""
    days: list[str] = []
    parameters: dict[str, str] = {"limit": "1"}
    while True:
        reply = await api.get("rollups", parameters)
        days += [it["day"] for it in reply.document["rollups"]]
        if reply.document["next"] is None:
            assert "Link" not in reply.headers
            break
        assert 'rel="next"' in reply.headers["Link"]
        parameters = {"limit": "1", "cursor": reply.document["next"]}
    assert days == ["2025-03-01", "2025-03-02", "2025-03-05"]
    assert (await api.get("rollups", {**parameters, "type": "copy"})).status == 400

    for wanted, found in (
        ({"day_from": "2025-03-02", "day_to": "2025-03-05"}, ["2025-03-02"]),
        ({"domain": "Sales"}, ["2025-03-02"]),
        ({"state": "FAILED"}, ["2025-03-05"]),
        ([("state", "FAILED"), ("state", "SUCCESS"), ("type", "copy")], ["2025-03-01", "2025-03-05"]),
        ({"type": "none"}, []),
    ):
        assert [it["day"] for it in (await api.get("rollups", wanted)).document["rollups"]] == found


async def test_only_what_is_of_the_callers_domains(server: Server, api: Api) -> None:
    sales = await server.client("auditor", home_domain="Sales", domains=("Sales",))

    assert [it["domain"] for it in (await sales.get("rollups")).document["rollups"]] == ["Sales"]
    assert (await sales.get("rollups", {"domain": "Global"})).document["rollups"] == []
    assert (await (await server.client()).get("rollups")).status == 403


async def test_in_xml_and_csv(api: Api) -> None:
    xml = await api.get("rollups", {"state": "FAILED"}, headers={"Accept": "application/xml"})
    csv = await api.get("rollups", {"type": "ETL"}, headers={"Accept": "text/csv"})

    assert b"<rollups><day>2025-03-05</day><type>copy</type>" in xml.body
    lines = csv.body.decode().split("\r\n")
    assert lines[0] == "day,type,domain,state,jobs,timed_jobs,duration_total,duration_p50,duration_p95,bytes"
    assert re.fullmatch(rf"2025-03-02,ETL,Sales,SUCCESS,2,2,32\.0,[\d.]+,[\d.]+,{2**40}", lines[1])


async def test_what_cannot_come_as_far_in_time_is_503(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another server has the tracking position in hand and does not let go."""
    monkeypatch.setattr("jobledger.ledger.work.catch_up.CatchUp.wait_for.__defaults__", (0.3,))
    assert (await api.get("rollups")).status == 200
    await api.register(**{**PAST, "type": "late", "ended_at": "2025-03-05T00:00:00Z"})
    async with session(database_url) as other, other.transaction():
        await other.execute("SELECT FROM tracking FOR UPDATE")

        reply = await api.get("rollups")

    assert (reply.status, reply.document["code"]) == (503, "projection_is_behind")
    assert "Retry-After" in reply.headers
    assert (await api.get("rollups", {"type": "late"})).document["rollups"][0]["jobs"] == 1
