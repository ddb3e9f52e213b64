"""Events live: what a client of server-sent events, or of NDJSON, sees as it stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest

from jobledger.http.native import live
from jobledger.http.native.live import LIVE
from jobledger.ledger.store import following, tail
from tests.cluster import session
from tests.http.event_source import EVENT_STREAM, Message, Parser, event_stream
from tests.http.serving import NDJSON, Api, Server

PATIENCE_S = 20.0


def positions(messages: Sequence[Message]) -> list[int]:
    """The positions of the events, which are the messages' ids as well."""
    found = [it.document["header"]["position"] for it in messages]
    assert [it.last_event_id for it in messages] == list(map(str, found))
    return found


@asynccontextmanager
async def ndjson(api: Api, **params: str) -> AsyncIterator[aiohttp.StreamReader]:
    """An NDJSON answer that stays."""
    headers = {"Accept": NDJSON, **api.headers}
    params = {"follow": "true", **params}
    async with api.session.get(api.path("events"), params=params, headers=headers) as response:
        assert response.status == 200, await response.read()
        assert response.content_type == NDJSON
        yield response.content


async def lines(content: aiohttp.StreamReader, count: int) -> list[Any]:
    """So many lines that are not empty."""
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            line = await content.readline()
            assert line, "the stream ended"
            if line.strip():
                found.append(orjson.loads(line))
    return found


def live_count(server: Server) -> int:
    """How many streams the server has open."""
    return sum(map(len, server.app[LIVE]._streams.values()))


async def until(is_so: Any) -> None:
    """Return when *is_so*."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.01)


def test_the_parser_follows_the_rules() -> None:
    """The examples of the specification, cut anywhere, with each end of line."""
    text = (
        "\ufeff: a comment\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"
        "event: add\ndata: 1\ndata: 2\nretry: 50\nretry: 5x\nid: 7\nother: x\n\nid: 8\n\ndata\n\ndata: not ended\n"
    ).encode()
    expected = [
        Message("message", "first event", "1"), Message("message", "second event", ""),
        Message("message", " third event", ""), Message("add", "1\n2", "7"), Message("message", "", "8"),
    ]  # fmt: skip
    for end in (b"\n", b"\r\n", b"\r"):
        whole = text.replace(b"\n", end)
        for size in (1, 2, 3, 7, len(whole)):
            parser = Parser()
            pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
            assert [it for piece in pieces for it in parser.feed(piece)] == expected
            assert (parser.last_event_id, parser.retry_ms, parser.comments) == ("8", 50, 1)


async def test_the_bytes_of_a_stream(server: Server, api: Api) -> None:
    """As the module says: first from where it goes on, then each event on lines of its own, as it is stored."""
    await api.register()
    page = await api.get("events", {"after": "2"})

    reply = await api.get("events", {"after": "2", "limit": "1"}, headers={"Accept": EVENT_STREAM})

    event = page.body.removeprefix(b'{"events":[').removesuffix(b'],"next_after":null}')
    assert reply.body == b"retry: 1000\nid: 2\n\nid: 3\nevent: job.registered\ndata: " + event + b"\n\n"
    assert reply.headers["Content-Type"] == EVENT_STREAM
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["X-Accel-Buffering"] == "no"


@pytest.mark.usefixtures("either_way")
async def test_what_is_appended_comes_at_once(api: Api) -> None:
    async with event_stream(api) as stream, ndjson(api) as content:
        assert positions(await stream.take(3)) == [0, 1, 2]
        assert [it["header"]["position"] for it in await lines(content, 3)] == [0, 1, 2]
        for n in range(3, 10):
            await api.register()
            async with asyncio.timeout(0.9):  # before anybody polls
                [message] = await stream.take(1)
                [line] = await lines(content, 1)
            assert positions([message]) == [n]
            assert (message.type, message.document) == ("job.registered", line)


async def test_the_last_event_id_counts_before_after(api: Api) -> None:
    for _ in range(5):
        await api.register()

    for params, last, expected in (
        ({}, "", 0), ({"after": "4"}, "", 5), ({"after": "4"}, "1", 2), ({"after": "head"}, "5", 6), ({}, "-1", 0),
    ):  # fmt: skip
        async with event_stream(api, params, last_event_id=last) as stream:
            assert positions(await stream.take(8 - expected)) == list(range(expected, 8))


async def test_from_the_head_a_client_that_is_cut_off_before_any_event_knows_its_place(api: Api) -> None:
    """Coming back with the same URL it would else miss what was appended meanwhile."""
    async with event_stream(api, {"after": "head"}) as stream:
        await until(lambda: stream.response.content.total_bytes > 0)
        stream.parser.feed(stream.response.content.read_nowait())
        last = stream.parser.last_event_id
    assert last == "2"
    await api.register()

    async with event_stream(api, {"after": "head"}, last_event_id=last) as stream:
        assert positions(await stream.take(1)) == [3]


@pytest.mark.parametrize("window", ["in the window", "behind it"])
async def test_filters_let_only_theirs_through(api: Api, monkeypatch: pytest.MonkeyPatch, window: str) -> None:
    if window == "behind it":
        monkeypatch.setattr(following, "MOST_EVENTS_BACK", 0)
        monkeypatch.setattr(tail, "WINDOW_STRETCHES", 1)
        monkeypatch.setattr(tail, "STRETCH_BYTES", 1)
        monkeypatch.setattr(following, "FILTERED_EVENTS", 2)
    for _ in range(3):
        await api.register_running()
    async with (
        event_stream(api, {"type": "job.started"}) as started,
        event_stream(api, {"stream": "job-5"}, last_event_id="4") as fifth,
        event_stream(api, path="jobs/2/events") as second,
        event_stream(api, {"type": "job.succeeded", "stream": "job-2", "limit": "1"}) as ended,
    ):
        for _ in range(3):
            await api.register_running()
        await api.post("jobs/2/succeed")

        assert positions(await started.take(6)) == [4, 6, 8, 10, 12, 14]
        assert positions(await fifth.take(2)) == [11, 12]
        assert positions(await second.take(3)) == [5, 6, 15]
        assert positions(await ended.rest()) == [15]


async def test_a_silent_stream_is_kept_alive_and_tells_how_far_a_filter_has_looked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a client that comes back does not look through all of it again."""
    monkeypatch.setattr(live, "KEEP_ALIVE_S", 0.05)
    async with event_stream(api, {"type": "job.failed"}) as stream, ndjson(api, after="head") as content:
        parser = stream.parser
        await api.register()
        async with asyncio.timeout(PATIENCE_S):
            while parser.last_event_id != "3" or parser.comments < 3:
                assert parser.feed(await stream.response.content.readany()) == []
            await lines(content, 1)
            for _ in range(3):
                assert await content.readline() == b"\n"


async def test_what_cannot_be_followed_is_refused(api: Api) -> None:
    for params, headers in (
        ({"follow": "true"}, {}), ({"follow": "yes"}, {}), ({"after": "head"}, {}), ({"after": "head"}, {"Accept": NDJSON}),
        ({"follow": "false"}, {"Accept": EVENT_STREAM}), ({"after": "3"}, {"Accept": EVENT_STREAM}),
        ({"after": "3", "follow": "true"}, {"Accept": NDJSON}), ({"type": "job.exploded"}, {"Accept": EVENT_STREAM}),
        *(({}, {"Accept": EVENT_STREAM, "Last-Event-ID": it}) for it in ("3", "x", "-2", "1.0", "9" * 30, "٣", "1 2")),
    ):  # fmt: skip
        reply = await api.get("events", params, headers=headers)
        assert (reply.status, reply.headers["Content-Type"]) == (400, "application/problem+json"), (params, headers)


async def test_head_of_a_live_stream_has_no_body(api: Api) -> None:
    for accepted in (EVENT_STREAM, NDJSON):
        reply = await api.send("HEAD", api.path("events?follow=true"), headers={"Accept": accepted})
        assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, b"", accepted)
    assert (await api.get("events")).status == 200


@pytest.mark.parametrize("change", ["revoked", "expired", "capability", "domains"])
async def test_who_may_not_read_any_more_is_cut_off(
    server: Server, api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Within seconds, beside others who may go on; the client that comes back is told why."""
    monkeypatch.setattr(live, "RECHECK_S", 0.05)
    statement = {
        "revoked": "DELETE FROM credential WHERE principal_id = 2",
        "expired": "UPDATE credential SET expires_at = clock_timestamp() + interval '10 ms' WHERE principal_id = 2",
        "capability": "UPDATE principal SET roles = '{}' WHERE id = 2",
        "domains": "UPDATE principal SET domains = '{Sales}' WHERE id = 2",
    }[change]
    another = await server.client("auditor")
    async with event_stream(api) as going_on, event_stream(another) as ended, ndjson(another) as content:
        await going_on.take(5)
        async with session(database_url) as owner:
            rows = {"principal": "id = 2", "credential": "principal_id = 2"}
            kept = {
                table: [tuple(it) for it in await owner.fetch(f"SELECT * FROM {table} WHERE {which}")]
                for table, which in rows.items()
            }
            await owner.execute(statement)

            await ended.rest()
            async with asyncio.timeout(PATIENCE_S):
                await content.read()
            status = (await another.get("events", headers={"Accept": EVENT_STREAM})).status
            for table, records in kept.items():
                await owner.execute(f"DELETE FROM {table} WHERE {rows[table]}")
                await owner.copy_records_to_table(table, records=records)
        await api.register()
        assert positions(await going_on.take(1)) == [5]
    assert status == (401 if change in ("revoked", "expired") else 403)


async def test_a_stop_ends_streams_whole_and_lets_none_begin(server: Server, api: Api) -> None:
    async with event_stream(api) as stream, ndjson(api) as content:
        await stream.take(3)
        await lines(content, 3)
        await server.app.shutdown()

        async with asyncio.timeout(2):
            assert await stream.rest() == []
            assert (await content.read()).strip() == b""
    reply = await api.get("events", headers={"Accept": EVENT_STREAM})
    assert reply.status == 503
    assert "Retry-After" in reply.headers


async def test_a_client_that_went_away_makes_room(
    server: Server, api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And with the last one everything that follows ledgers is at rest."""
    monkeypatch.setattr(live, "RECHECK_S", 0.05)
    async with event_stream(api) as stream:
        await stream.take(3)
        assert live_count(server) == 1
    async with asyncio.timeout(5):  # before the next sign of life fails
        await until(lambda: live_count(server) == 0)
    await until(lambda: not server.ledger.following._tails)

    assert server.ledger.following._tasks == []
    assert caplog.text == ""


async def test_too_many_followers_are_refused(server: Server, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "MOST_FOLLOWERS", 2)
    await server.ledger.create_org("other")
    elsewhere = await server.client("auditor", org="other")
    async with event_stream(api), event_stream(api) as stream:
        reply = await api.get("events", headers={"Accept": EVENT_STREAM})
        assert (reply.status, reply.document["code"]) == (503, "too_many_followers")
        assert "Retry-After" in reply.headers
        async with event_stream(elsewhere) as other:
            await other.take(3)
        await stream.take(3)


FAULTS = {
    "another content": "UPDATE content SET body = body || '\\x20' WHERE position = 3",
    "an unknown type": "UPDATE event SET header = overlay(header PLACING 'job.exploding!' FROM"
    " position('job.registered'::bytea IN header)) WHERE position = 3",
    "a header of another position": "UPDATE event SET header = (SELECT header FROM event WHERE position = 4) WHERE position = 3",
    "no header at all": "UPDATE event SET header = 'x' WHERE position = 3",
    "a gap": "DELETE FROM event WHERE position = 3",
    "a line too many": "UPDATE event SET header = header || '\\x0a' WHERE position = 3",
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_nothing_is_told_beyond_what_is_not_right(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """The stream says so and ends, without an id; who comes back is told 503 until it was repaired."""
    # So that it is there before anybody reads.
    monkeypatch.setattr(tail, "PACE_S", 0.5)
    async with session(database_url) as owner, event_stream(api) as stream, ndjson(api) as content:
        await stream.take(3)
        await lines(content, 3)
        await api.post("jobs", [{"type": "copy", "name": str(number)} for number in range(2)])
        kept = [
            [tuple(row) for row in await owner.fetch(f"SELECT * FROM {it} WHERE position = 3")]
            for it in ("event", "content")
        ]
        await owner.execute(FAULTS[fault])

        told = await stream.rest()
        [line] = await lines(content, 1)
        assert await content.read() == b""
        answers = []
        for events_back in (following.MOST_EVENTS_BACK, 0):
            monkeypatch.setattr(following, "MOST_EVENTS_BACK", events_back)
            answers.append(await api.get("events", headers={"Accept": EVENT_STREAM, "Last-Event-ID": "2"}))

        await owner.execute("DELETE FROM event WHERE position = 3; DELETE FROM content WHERE position = 3")
        for table, records in zip(("event", "content"), kept, strict=True):
            await owner.copy_records_to_table(table, records=records)
    assert [(it.type, it.document["code"], it.last_event_id) for it in told] == [("problem", "ledger_stopped", "2")]
    assert line["problem"]["detail"] == told[0].document["detail"]
    assert [(it.status, it.document["code"]) for it in answers] == [(503, "ledger_stopped")] * 2
    async with event_stream(api, last_event_id="2") as stream:
        assert positions(await stream.take(2)) == [3, 4]


@pytest.mark.parametrize("is_filtered", [False, True])
async def test_a_database_that_went_back_is_told(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch, is_filtered: bool
) -> None:
    """By the poll, where nothing is appended; who knows more than there is, is refused."""
    monkeypatch.setattr(following, "POLL_S", 0.05)
    params = {"type": "job.registered"} if is_filtered else {}
    async with session(database_url) as owner, event_stream(api, params) as stream:
        await api.register()
        await stream.take(1 if is_filtered else 4)
        await owner.execute(
            "DELETE FROM event WHERE position = 3; DELETE FROM content WHERE position = 3; DELETE FROM job; DELETE FROM job_count;"
            "UPDATE ledger_head SET size = 3, numbers = numbers - 'job',"
            " recorded_at = (SELECT recorded_at FROM event WHERE position = 2),"
            " last_leaf = sha256('\\x00' || (SELECT header FROM event WHERE position = 2))"
        )
        [problem] = await stream.rest()
    reply = await api.get("events", headers={"Accept": EVENT_STREAM, "Last-Event-ID": "3"})

    assert (problem.type, problem.document["code"]) == ("problem", "ledger_stopped")
    assert reply.status == 400


async def test_another_history_is_told(api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has grown beyond the old one before anybody looked, by the last event that was read."""
    monkeypatch.setattr(tail, "PACE_S", 0.5)
    async with session(database_url) as owner, event_stream(api) as stream:
        await stream.take(3)
        await api.register()
        header = await owner.fetchval("SELECT header FROM event WHERE position = 2")
        await owner.execute("UPDATE event SET header = header || '\\x20' WHERE position = 2")
        [problem] = await stream.rest()
        await owner.execute("UPDATE event SET header = $1 WHERE position = 2", header)

    assert problem.document["code"] == "ledger_stopped"
