"""The native API's queues: which there are, and how they stand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.http.serving import Server
from tests.http.space.speaking import Space, space_client
from tests.http.space.test_queues import consumer, take, work_of


@pytest.fixture
async def space(server: Server) -> Space:
    """A client that may use queues."""
    return await space_client(server, "super", ["client"])


async def listed(space: Space, query: str = "") -> list[dict[str, Any]]:
    """The queues that its client is shown."""
    reply = await space.native.get(f"queues{query}")
    assert reply.status == 200, reply.body
    queues: list[dict[str, Any]] = reply.document["queues"]
    return queues


async def test_a_queue_says_how_it_stands(space: Space, server: Server) -> None:
    """What is in it, what of that is given out, who takes from it, and when it is found no more."""
    made = await consumer(space, await space.queue("q"), "autoAck=false")
    for _ in range(3):
        await work_of(server.ledger)
    await take(space, made.headers["msg-acknowledge-next"])
    await space.queue("kept", durable=True)

    first, second = await listed(space)

    assert [first["name"], first["owner"], first["durable"]] == ["q", "super", False]
    assert [first["messages"], first["held"], first["consumers"]] == [3, 1, 1]
    assert [second["name"], second["durable"], second["messages"]] == ["kept", True, 0]
    kept = [datetime.fromisoformat(it["dropped_at"]) - datetime.fromisoformat(it["used_at"]) for it in (first, second)]
    assert kept == [timedelta(hours=24), timedelta(days=30)]
    # To ask is not to use.
    assert (await space.native.get("queues/1")).document == first


async def test_queues_are_their_makers_and_shown_to_who_manages_them(space: Space, server: Server) -> None:
    other = await space_client(server, "other", ["client"])
    manager = await space_client(server, "boss", ["admin"])
    await space.queue("q")
    await other.queue("q")

    assert [(it["id"], it["owner"]) for it in await listed(space)] == [(1, "super")]
    assert [it["id"] for it in await listed(other)] == [2]
    assert [(it["id"], it["owner"]) for it in await listed(manager)] == [(1, "super"), (2, "other")]
    assert (await other.native.get("queues/1")).status == 404
    assert (await manager.native.get("queues/1")).status == 200
    await space.send("DELETE", f"{server.url}/api/hornet-q/queues/jms.queue.q")
    assert (await manager.native.get("queues/1")).status == 404
    assert [it["id"] for it in await listed(manager)] == [2]


async def test_queues_come_by_pages(space: Space) -> None:
    for number in range(3):
        await space.queue(f"q{number}")

    first = (await space.native.get("queues?limit=2")).document
    second = (await space.native.get(f"queues?limit=2&cursor={first['next']}")).document

    assert [it["name"] for it in (*first["queues"], *second["queues"])] == ["q0", "q1", "q2"]
    assert second["next"] is None
