"""One org's rush is told to come again, and no other org notices."""

from __future__ import annotations

import asyncio

from jobledger.http.places import PLACES, Places
from jobledger.ledger.store.ledger import Ledger
from tests.http.peer import Peers, head
from tests.http.serving import NDJSON, Server, served


async def wait_for(server: Server, count: int) -> None:
    """Until so many requests of the org wait."""
    async with asyncio.timeout(10):
        while sum(server.app[PLACES]._taken.values()) != count:
            await asyncio.sleep(0.01)


async def test_beyond_the_bound_an_org_is_told_to_come_again_before_its_body_is_read(
    peers: Peers, ledger: Ledger
) -> None:
    """At once: the body of the refused has not been sent yet. Other orgs are answered as ever."""
    await ledger.create_org("other")
    async with served(ledger, places=Places(waiting=3)) as server:
        api, other = await server.client("operator"), await server.client("operator", org="other")
        three = [await peers.connect(server) for _ in range(3)]
        for peer in three:
            peer.send(head(api, "jobs", "Content-Length: 10"))
        await wait_for(server, 3)

        late = await peers.connect(server)
        late.send(head(api, "jobs", "Content-Length: 10"))
        refused = await late.reader.readuntil(b"}")
        listed = await other.get("jobs")
        three[0].send(b"{}" + b" " * 8)
        await three[0].reader.readuntil(b"}")
        await wait_for(server, 2)
        accepted = await api.get("jobs")

    assert refused.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 1\r\n" in refused
    assert b'"code":"queue_is_full"' in refused
    assert (listed.status, accepted.status) == (200, 200)


async def test_who_is_not_let_in_takes_no_place(ledger: Ledger) -> None:
    """Else anybody could keep an org out."""
    async with served(ledger, places=Places(waiting=0)) as server:
        stranger = server.api("jl_acme_" + "x" * 43)

        assert (await stranger.get("jobs")).status == 401


async def test_streams_have_places_of_their_own(peers: Peers, ledger: Ledger) -> None:
    """Those that go on for long do not keep the others waiting, and have a bound too."""
    async with served(ledger, places=Places(waiting=1, streams=1)) as server:
        api = await server.client("operator")
        stream = await peers.connect(server)
        stream.send(head(api, "commands", "Transfer-Encoding: chunked", f"Content-Type: {NDJSON}"))
        await stream.reader.readline()

        other = await api.get("jobs")
        second = await api.commands({"command": "start", "id": 1})
        stream.send(b"0\r\n\r\n")
        await wait_for(server, 0)
        third = await api.commands({"command": "start", "id": 1})

    assert other.status == 200
    assert (second.status, second.headers["Retry-After"]) == (503, "1")
    assert third.status == 200
    assert not server.app[PLACES]._taken
