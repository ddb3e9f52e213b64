"""Lists of jobs: filters, pages, cursors."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from yarl import URL

from jobledger.http.cursor import CursorKey
from jobledger.ledger.errors import InvalidCommandError
from tests.http.serving import CURSOR_KEY, Api, Reply, Server

JOBS: list[dict[str, Any]] = [
    {"type": "copy", "name": "Alpha"},
    {"type": "backup", "name": "beta", "domain": "Sales", "scheduled_at": "2026-01-01T00:00:00Z"},
    {"type": "copy", "name": "gamma", "datastream": {"id": 7, "name": "Tapes"}, "scheduled_at": "2026-01-02T00:00:00Z"},
    {"type": "copy", "name": "delta", "source": "cron", "external_id": "X-1"},
    {"type": "copy", "name": "ÉTÉ", "source": "batch", "external_id": "X-1", "datastream": {"id": "7a"}},
    {
        "type": "swf", "name": "past", "state": "FAILED",
        "started_at": "1993-10-01T00:00:00Z", "ended_at": "1993-10-02T00:00:00Z",
    },
]  # fmt: skip


def next_url(reply: Reply) -> str | None:
    """Where the answer's Link says that the list goes on."""
    link = reply.headers.get("Link")
    if link is None:
        return None
    assert link.startswith("<")
    assert link.endswith('>; rel="next"')
    return link[1:].partition(">")[0]


async def test_each_filter_lets_its_jobs_through(api: Api) -> None:
    await api.post("jobs", JOBS)
    await api.post("jobs/1/start")
    expected: dict[tuple[tuple[str, str], ...], list[int]] = {
        (): [1, 2, 3, 4, 5, 6],
        (("state", "SCHEDULED"),): [2, 3, 4, 5],
        (("state", "RUNNING"), ("state", "FAILED")): [1, 6],
        (("state", "RUNNING"), ("state", "RUNNING")): [1],
        (("state", "SUCCESS"),): [],
        (("type", "backup"),): [2],
        (("type", "BACKUP"),): [],
        (("domain", "Sales"),): [2],
        (("domain", "Global"), ("type", "copy")): [1, 3, 4, 5],
        (("datastream_id", "7"),): [3],
        (("datastream_id", "7a"),): [5],
        (("source", "cron"),): [4],
        (("external_id", "X-1"),): [4, 5],
        (("source", "batch"), ("external_id", "X-1")): [5],
        (("scheduled_from", "2026-01-02T00:00:00Z"),): [3],
        (("scheduled_to", "2026-01-02T00:00:00Z"),): [2],
        (("scheduled_from", "2026-01-02T00:30:00+01:00"),): [3],
        (("started_from", "1993-10-01T00:00:00Z"), ("started_to", "1993-10-01T00:00:00.000001Z")): [6],
        (("started_from", "2000-01-01T00:00:00Z"),): [1],
        (("ended_from", "1993-10-02T00:00:00Z"),): [6],
        (("ended_to", "1993-10-02T00:00:00Z"),): [],
        (("q", "alpha"),): [1],
        (("q", "ALPHA"),): [1],
        (("q", "été"),): [5],
        (("q", "tape"),): [3],
        (("q", "x-1"),): [4, 5],
        (("q", "%"),): [],
        (("q", "_"),): [],
        (("limit", "2"),): [1, 2],
    }

    found = {query: await api.job_ids(list(query)) for query in expected}

    assert found == expected


async def test_an_empty_list_is_a_document_too(api: Api) -> None:
    reply = await api.get("jobs")

    assert (reply.status, reply.body) == (200, b'{"jobs":[],"next":null}')
    assert "Link" not in reply.headers


async def test_a_page_names_the_next_one(api: Api) -> None:
    await api.post("jobs", JOBS)

    first = await api.get("jobs", {"limit": "4"})
    second = await api.get("jobs", {"limit": "4", "cursor": first.document["next"]})

    assert next_url(first) == f"/ledger/v1/acme/jobs?limit=4&cursor={first.document['next']}"
    assert [job["id"] for job in second.document["jobs"]] == [5, 6]
    assert second.document["next"] is None
    assert "Link" not in second.headers


async def test_a_full_last_page_is_the_last(api: Api) -> None:
    await api.post("jobs", JOBS)

    assert (await api.get("jobs", {"limit": "6"})).document["next"] is None


async def test_a_link_keeps_the_filter_whatever_its_characters(api: Api) -> None:
    name = 'a>b, "c"; é+&=%<d>'
    await api.post("jobs", [{"type": name, "name": str(number)} for number in range(3)])
    query = [("state", "SCHEDULED"), ("state", "RUNNING"), ("type", name), ("limit", "1")]

    reply = await api.get("jobs", query)
    seen = [job["id"] for job in reply.document["jobs"]]
    while (link := next_url(reply)) is not None:
        reply = await api.send("GET", URL(f"{api.url}{link}", encoded=True))
        assert reply.status == 200
        seen += [job["id"] for job in reply.document["jobs"]]

    assert seen == [1, 2, 3]


async def test_paging_gives_each_job_once_while_others_are_added(api: Api) -> None:
    """None twice, and none missed of those that were there when it began."""
    await api.post("jobs", [{"type": "copy", "name": str(number)} for number in range(200)])
    is_done = asyncio.Event()

    async def add() -> None:
        while not is_done.is_set():
            job_id = await api.register()
            await api.post(f"jobs/{job_id - 100}/start")

    adding = asyncio.create_task(add())
    reply = await api.get("jobs", {"limit": "7"})
    seen = [job["id"] for job in reply.document["jobs"]]
    while reply.document["next"] is not None and len(seen) < 1_000:
        reply = await api.get("jobs", {"limit": "7", "cursor": reply.document["next"]})
        seen += [job["id"] for job in reply.document["jobs"]]
    is_done.set()
    await adding

    assert len(seen) == len(set(seen))
    assert set(range(1, 201)) <= set(seen)
    assert seen == sorted(seen)


async def test_a_cursor_is_good_for_its_list_alone(server: Server, api: Api) -> None:
    await api.post("jobs", JOBS)
    await server.ledger.create_org("other")
    stranger = await server.client("operator", org="other")
    cursor = (await api.get("jobs", {"limit": "2"})).document["next"]

    refused = [
        await api.get("jobs", {"type": "copy", "cursor": cursor}),
        await api.get("jobs", {"state": "SCHEDULED", "cursor": cursor}),
        await stranger.get("jobs", {"cursor": cursor}),
        await api.get("jobs", {"cursor": cursor[:-1]}),
        await api.get("jobs", {"cursor": cursor + "AAAA"}),
        await api.get("jobs", {"cursor": cursor[:8] + "!!!!" + cursor[8:]}),
        await api.get("jobs", {"cursor": "B" + cursor[1:]}),
        await api.get("jobs", {"cursor": ""}),
        await api.get("jobs", {"cursor": "é"}),
    ]

    assert [reply.status for reply in refused] == [400] * len(refused)
    assert {reply.document["code"] for reply in refused} == {"invalid"}
    assert await api.job_ids({"cursor": cursor, "limit": "1000"}) == [3, 4, 5, 6]


@pytest.mark.parametrize("place", range(32))
def test_no_character_of_a_cursor_can_be_changed(place: int) -> None:
    key = CursorKey(CURSOR_KEY)
    cursor = key.cursor(4711, "jobs")
    others = (it for it in "AQgw_-" if it != cursor[place])

    assert key.read(cursor, "jobs") == 4711
    for other in others:
        with pytest.raises(InvalidCommandError):
            key.read(cursor[:place] + other + cursor[place + 1 :], "jobs")


def test_a_cursor_of_another_installation_is_refused() -> None:
    with pytest.raises(InvalidCommandError):
        CursorKey(b"one").read(CursorKey(b"another").cursor(1, "jobs"), "jobs")


async def test_head_answers_like_get_without_the_body(api: Api) -> None:
    await api.post("jobs", JOBS)

    got = await api.get("jobs", {"limit": "2"})
    reply = await api.send("HEAD", api.path("jobs"), params={"limit": "2"})

    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["Link"] == got.headers["Link"]
    assert reply.headers["Content-Length"] == str(len(got.body))
