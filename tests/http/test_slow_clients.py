"""A client that is too slow holds nothing up for ever. Deadlines are made short here; what is slow is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest

from jobledger.http.deadlines import DEADLINES, Deadlines
from jobledger.http.health import METRICS
from jobledger.ledger.store.ledger import Ledger
from tests.http.peer import PATIENCE_S, Peers, head
from tests.http.serving import NDJSON, Api, Server, served

SHORT = replace(
    DEADLINES, head_s=0.4, keep_alive_s=0.8, idle_s=0.4, stream_idle_s=1.2, rate_s=0.8, least_rate=1000.0, closing_s=0.4
)


@pytest.fixture
async def server(ledger: Ledger) -> AsyncIterator[Server]:
    """A server of little patience."""
    async with served(ledger, runner_options={"deadlines": SHORT}) as server:
        yield server


@pytest.fixture
async def api(server: Server) -> Api:
    """A client."""
    return await server.client("operator")


def slow(server: Server, at: str) -> float:
    """How many clients were given up there."""
    text = server.app[METRICS].text([]).decode()
    [value] = [
        line.split()[1] for line in text.splitlines() if line.startswith(f'jobledger_slow_clients_total{{at="{at}"}}')
    ]
    return float(value)


def problem_in(said: bytes) -> tuple[bytes, str]:
    """The status line of an answer, and the code of its problem."""
    answer, _, body = said.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in answer
    return answer.partition(b"\r\n")[0], orjson.loads(body)["code"]


async def test_a_head_that_trickles_in_is_given_up(peers: Peers, server: Server) -> None:
    """However long its client goes on sending a byte now and then."""
    peer = await peers.connect(server)

    said = await peer.trickle(b"GET /ledger/v1/acme/jobs HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 1_000)

    assert problem_in(said) == (b"HTTP/1.1 408 Request Timeout", "too_slow")
    assert slow(server, "head") == 1


@pytest.mark.parametrize(
    ("path", "media_type", "told"),
    [
        (b"/api/space/job-management/jobs", b"text/plain; charset=utf-8", b"The request's headers took too long."),
        (
            b"/aggregates/maintenance/orgId/acme",
            b"application/json",
            b'"response":{"error":"The request\'s headers took',
        ),
        (b"/webconsole/api/Job", b"application/json", b'"errorMessage":"The request\'s headers took too long'),
    ],
)
async def test_a_head_that_trickles_in_is_given_up_in_its_dialects_words(
    peers: Peers, server: Server, path: bytes, media_type: bytes, told: bytes
) -> None:
    peer = await peers.connect(server)

    peer.send(b"GET " + path + b" HTTP/1.1\r\n")
    said = await peer.trickle(b"Host: x\r\nX-Long: " + b"x" * 1_000)

    assert said.startswith(b"HTTP/1.1 408 Request Timeout\r\nContent-Type: " + media_type + b"\r\n")
    assert told in said


async def test_who_connects_and_says_nothing_is_given_up(peers: Peers, server: Server) -> None:
    peer = await peers.connect(server)

    assert problem_in(await peer.rest())[1] == "too_slow"


async def test_a_second_head_that_trickles_in_is_given_up(peers: Peers, server: Server, api: Api) -> None:
    """A connection that was good once has the same deadlines."""
    peer = await peers.connect(server)
    peer.send(head(api, "jobs", method="GET"))
    assert (await peer.reader.readline()).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(2 * SHORT.look_every_s)

    said = await peer.trickle(b"GET /ledger/v1/acme/jobs HTTP/1.1\r\nX-Long: " + b"x" * 1_000)

    assert b'"code":"too_slow"' in said


async def test_a_connection_that_is_idle_is_closed(peers: Peers, server: Server, api: Api) -> None:
    """Without a word: its client may be about to ask, and then asks anew."""
    peer = await peers.connect(server)
    peer.send(head(api, "jobs", method="GET"))

    said = await peer.rest()

    assert said.startswith(b"HTTP/1.1 200")
    assert said.count(b"HTTP/1.1") == 1


async def test_a_body_that_stops_is_answered_408_and_changes_nothing(peers: Peers, server: Server, api: Api) -> None:
    """In the form of the path's dialect, with the request's id, as every error."""
    peer = await peers.connect(server)
    peer.send(head(api, "jobs", "Content-Length: 100"), b'{"type":"copy",')

    said = await peer.rest()

    assert problem_in(said) == (b"HTTP/1.1 408 Request Timeout", "too_slow")
    assert b"X-Request-Id: " in said
    assert b"Connection: close" in said
    assert await api.job_ids() == []


async def test_a_body_that_trickles_in_is_answered_408(peers: Peers, server: Server, api: Api) -> None:
    """A byte now and then is not silence, and not the least rate either."""
    peer = await peers.connect(server)
    peer.send(head(api, "jobs", "Content-Length: 10000"))

    said = await peer.trickle(b" " * 1_000)

    assert problem_in(said)[1] == "too_slow"
    assert slow(server, "body") == 1


async def test_a_body_at_a_fair_rate_takes_as_long_as_it_takes(peers: Peers, server: Server, api: Api) -> None:
    """Longer than any deadline."""
    peer = await peers.connect(server)
    body = orjson.dumps({"type": "copy", "name": "n", "attributes": {"note": "x" * 6_000}})
    peer.send(head(api, "jobs", f"Content-Length: {len(body)}", "Content-Type: application/json"))

    for start in range(0, len(body), 400):
        peer.send(body[start : start + 400])
        await asyncio.sleep(0.1)

    assert (await peer.reader.readline()).startswith(b"HTTP/1.1 201")


@pytest.mark.slow
async def test_a_stream_of_commands_is_held_to_no_rate(peers: Peers, server: Server, api: Api) -> None:
    """A worker sends a line when it has something to say; only silence for long ends it, and tells why."""
    peer = await peers.connect(server)
    peer.send(head(api, "commands", "Transfer-Encoding: chunked", f"Content-Type: {NDJSON}"))
    line = orjson.dumps({"command": "register", "job": {"type": "copy", "name": "n"}}) + b"\n"

    for _ in range(3):
        peer.send(f"{len(line):x}\r\n".encode(), line, b"\r\n")
        await asyncio.sleep(SHORT.idle_s + 0.2)
    said = await peer.rest()

    assert said.count(b'"status":201') == 3
    assert b'"code":"too_slow"' in said


async def test_an_answer_that_nobody_takes_is_given_up(peers: Peers, server: Server, api: Api) -> None:
    """What it had to read is let go of, though its client keeps the connection."""
    note = {"note": "x" * 100_000}
    reply = await api.post("jobs", [{"type": "copy", "name": "n", "attributes": note} for _ in range(200)])
    assert reply.status == 201
    peer = await peers.connect(server, limit=1024)
    peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a connection's transport reads too
    peer.send(head(api, "events", f"Accept: {NDJSON}", method="GET"))

    async with asyncio.timeout(PATIENCE_S):
        while 'slow_clients_total{at="answer"}' not in server.app[METRICS].text([]).decode():
            await asyncio.sleep(0.05)

    assert slow(server, "answer") == 1
    assert await api.job_ids({"limit": 1}) == [1]


@pytest.mark.slow
async def test_who_takes_no_answer_is_given_no_further_one(peers: Peers, ledger: Ledger) -> None:
    """Requests that are sent ahead wait with their client, not in our memory."""
    async with served(ledger) as server:
        api = await server.client("operator")
        await api.post("jobs", [{"type": "copy", "name": "n", "attributes": {"note": "x" * 40_000}}])
        peer = await peers.connect(server, limit=1024)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a connection's transport reads too
        peer.send(head(api, "jobs", method="GET") * 1_000)
        assert server.runner is not None
        bounded = server.runner.server
        assert bounded is not None
        async with asyncio.timeout(PATIENCE_S):
            while not (held := [it for it in bounded.connections if it.writing_paused]):
                await asyncio.sleep(0.02)

        transport = held[0].transport
        assert transport is not None
        before = transport.get_write_buffer_size()
        for _ in range(20):
            assert await api.job_ids({"limit": 1}) == [1]

        assert transport.get_write_buffer_size() == before < 200_000


async def test_a_connection_that_the_other_side_holds_on_to_is_cut(peers: Peers, ledger: Ledger) -> None:
    """Closed by us, it would otherwise wait for ever to be rid of what nobody reads."""
    deadlines = replace(SHORT, rate_s=60.0, idle_s=60.0)
    async with served(ledger, runner_options={"deadlines": deadlines}) as server:
        api = await server.client("operator")
        await api.post("jobs", [{"type": "copy", "name": "n", "attributes": {"note": "x" * 100_000}}] * 200)
        peer = await peers.connect(server, limit=1024)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a connection's transport reads too
        peer.send(head(api, "events", f"Accept: {NDJSON}", method="GET"))
        assert server.runner is not None
        bounded = server.runner.server
        assert bounded is not None
        async with asyncio.timeout(PATIENCE_S):
            while not (held := [it for it in bounded.connections if it.writing_paused]):
                await asyncio.sleep(0.02)

            held[0].force_close()
            while held[0] in bounded.connections:
                await asyncio.sleep(0.02)


async def test_slow_clients_keep_no_others_waiting(peers: Peers, server: Server, api: Api) -> None:
    many = [await peers.connect(server) for _ in range(50)]
    for peer in many:
        peer.send(b"GET /ledger")

    assert await api.register() == 1
    assert all(b'"code":"too_slow"' in said for said in [await peer.rest() for peer in many])


async def test_one_connection_too_many_is_told_to_come_again(peers: Peers, ledger: Ledger) -> None:
    """And the next one is let in as soon as another goes."""
    async with served(ledger, runner_options={"most_connections": 3}) as server:
        first, *_ = [await peers.connect(server) for _ in range(3)]
        while "jobledger_connections 3" not in server.app[METRICS].text([]).decode():
            await asyncio.sleep(0.05)

        refused = await (await peers.connect(server)).rest()
        asking = [await peers.connect(server) for _ in range(2)]
        for peer, path in zip(asking, (b"/api/space/job-management/jobs", b"/ledger/v1/acme/jobs"), strict=True):
            peer.send(b"GET " + path + b" HTTP/1.1\r\n")
        space, native = [await it.rest() for it in asking]
        first.writer.close()
        await first.writer.wait_closed()
        await asyncio.sleep(0.05)
        accepted = await server.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert problem_in(refused) == (b"HTTP/1.1 503 Service Unavailable", "too_many_connections")
    assert problem_in(native) == problem_in(refused)
    assert b"Content-Type: text/plain; charset=utf-8\r\n" in space
    assert space.endswith(b"Too many connections are open.")
    assert all(b"Retry-After: 1\r\n" in it for it in (refused, space, native))
    assert accepted.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("deadlines", [DEADLINES, SHORT])
def test_a_round_comes_often_enough(deadlines: Deadlines) -> None:
    """What is too slow is noticed within a quarter more than its deadline."""
    shortest = min(deadlines.head_s, deadlines.idle_s, deadlines.rate_s, deadlines.closing_s)
    assert deadlines.look_every_s <= shortest / 4
